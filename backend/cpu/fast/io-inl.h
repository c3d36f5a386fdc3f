// backend/cpu/fast/io-inl.h: vector loads and stores of float16, bfloat16, float32 and float64
// memory through float32 (float64) lanes, with correct rounding on every target. Compiled once per
// target.
#if defined(MICA_BACKEND_CPU_FAST_IO_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MICA_BACKEND_CPU_FAST_IO_INL_H_
#undef MICA_BACKEND_CPU_FAST_IO_INL_H_
#else
#define MICA_BACKEND_CPU_FAST_IO_INL_H_
#endif

#include <hwy/highway.h>
#include "backend/cpu/prefetch.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "mlx/dtype.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::ScalableTag<float>;
using DD = hn::ScalableTag<double>;
using DI = hn::RebindToSigned<DF>;
using DU = hn::RebindToUnsigned<DF>;
using VF = hn::Vec<DF>;
using VU = hn::Vec<DU>;

/** The type in which values of T are accumulated: double for double, else float. */
template <class T>
using AccOf = std::conditional_t<std::is_same_v<T, double>, double, float>;
template <class T>
using TagOf = hn::ScalableTag<AccOf<T>>;

HWY_INLINE hn::Vec<DD> load(DD d, const double* p) { return hn::LoadU(d, p); }
HWY_INLINE VF load(DF d, const float* p) { return hn::LoadU(d, p); }
HWY_INLINE VF load(DF d, const bfloat16_t* p) {
  const hn::Rebind<uint16_t, DF> du16;
  const auto bits = hn::LoadU(du16, reinterpret_cast<const uint16_t*>(p));
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(DU(), bits)));
}
HWY_INLINE VF load(DF d, const float16_t* p) {
#if HWY_TARGET == HWY_SSE4
  // No conversion instruction: Highway's emulation doesn't keep infinities and NaN.
  alignas(64) float lanes[HWY_MAX_BYTES / 4];
  for (size_t i = 0; i < hn::Lanes(d); ++i) lanes[i] = float(p[i]);
  return hn::Load(d, lanes);
#else
  const hn::Rebind<hwy::float16_t, DF> d16;
  return hn::PromoteTo(d, hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(p)));
#endif
}

HWY_INLINE void store(hn::Vec<DD> v, DD d, double* p) { hn::StoreU(v, d, p); }
HWY_INLINE void store(VF v, DF d, float* p) { hn::StoreU(v, d, p); }
HWY_INLINE void store(VF v, DF, bfloat16_t* p) {
  // To nearest even; NaN stays a quiet NaN instead of rounding to infinity.
  const DU du;
  const auto bits = hn::BitCast(du, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7fff))));
  const auto quiet = hn::Or(hn::ShiftRight<16>(bits), hn::Set(du, 0x40));
  const auto nan =
      hn::Gt(hn::BitCast(DI(), hn::And(bits, hn::Set(du, 0x7fffffff))), hn::Set(DI(), 0x7f800000));
  const auto half = hn::IfThenElse(hn::RebindMask(du, nan), quiet, rounded);
  const hn::Rebind<uint16_t, DF> du16;
  hn::StoreU(hn::DemoteTo(du16, hn::BitCast(DI(), half)), du16, reinterpret_cast<uint16_t*>(p));
}
HWY_INLINE void store(VF v, DF d, float16_t* p) {
#if HWY_TARGET == HWY_SSE4
  alignas(64) float lanes[HWY_MAX_BYTES / 4];
  hn::Store(v, d, lanes);
  for (size_t i = 0; i < hn::Lanes(d); ++i) p[i] = float16_t(lanes[i]);
#else
  (void)d;
  const hn::Rebind<hwy::float16_t, DF> d16;
  hn::StoreU(hn::DemoteTo(d16, v), d16, reinterpret_cast<hwy::float16_t*>(p));
#endif
}

/** The first n < Lanes(d) values of p, zeros after them; reads nothing beyond. */
template <class D, class T>
HWY_INLINE hn::Vec<D> load_n(D d, const T* p, size_t n) {
#if HWY_TARGET <= HWY_AVX2
  // Masked accesses of these targets leave what is masked off alone.
  if constexpr (std::is_same_v<T, hn::TFromD<D>>) return hn::MaskedLoad(hn::FirstN(d, n), d, p);
#endif
  alignas(64) T lanes[HWY_MAX_BYTES / sizeof(hn::TFromD<D>)] = {};
  std::memcpy(static_cast<void*>(lanes), p, n * sizeof(T));
  return load(d, lanes);
}
template <class D, class T>
HWY_INLINE void store_n(hn::Vec<D> v, D d, T* p, size_t n) {
#if HWY_TARGET <= HWY_AVX2
  if constexpr (std::is_same_v<T, hn::TFromD<D>>) {
    return hn::BlendedStore(v, hn::FirstN(d, n), d, p);
  }
#endif
  alignas(64) T lanes[HWY_MAX_BYTES / sizeof(hn::TFromD<D>)];
  store(v, d, lanes);
  std::memcpy(static_cast<void*>(p), lanes, n * sizeof(T));
}

/** v rounded to T and back. */
template <class T, class D>
HWY_INLINE hn::Vec<D> round_to(D d, hn::Vec<D> v) {
  if constexpr (sizeof(T) == 2) {
    alignas(64) T lanes[HWY_MAX_BYTES / sizeof(hn::TFromD<D>)];
    store(v, d, lanes);
    return load(d, lanes);
  } else {
    return v;
  }
}

/** Calls full(i) for whole vectors and part(i, n) for the rest of [0, size). */
template <class D, class Full, class Part>
HWY_INLINE void for_lanes(D d, size_t size, const Full& full, const Part& part) {
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= size; i += lanes) full(i);
  if (i < size) part(i, size - i);
}

/** The sum over i in [0, size) of term(i, vector of values from i), in four chains of fixed shape.
 */
template <class T, class D, class F>
HWY_INLINE hn::TFromD<D> sum_of_terms(D d, const T* p, size_t size, const F& term) {
  const size_t lanes = hn::Lanes(d);
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + 4 * lanes <= size; i += 4 * lanes) {
    prefetch_ahead(p + i, 4 * lanes * sizeof(T));
    s0 = hn::Add(s0, term(i, load(d, p + i)));
    s1 = hn::Add(s1, term(i + lanes, load(d, p + i + lanes)));
    s2 = hn::Add(s2, term(i + 2 * lanes, load(d, p + i + 2 * lanes)));
    s3 = hn::Add(s3, term(i + 3 * lanes, load(d, p + i + 3 * lanes)));
  }
  for (; i + lanes <= size; i += lanes) s0 = hn::Add(s0, term(i, load(d, p + i)));
  s0 = hn::Add(hn::Add(s0, s1), hn::Add(s2, s3));
  if (i < size) {
    const auto rest = hn::FirstN(d, size - i);
    s0 = hn::Add(s0, hn::IfThenElseZero(rest, term(i, load_n(d, p + i, size - i))));
  }
  return hn::GetLane(hn::SumOfLanes(d, s0));
}

/** Converts n contiguous values between any two of the types. */
template <class Tin, class Tout>
HWY_INLINE void convert_row(const Tin* in, Tout* out, size_t n) {
  const TagOf<Tin> d;
  for_lanes(
      d, n, [&](size_t i) { store(load(d, in + i), d, out + i); },
      [&](size_t i, size_t rest) { store_n(load_n(d, in + i, rest), d, out + i, rest); });
}

/** Calls f with a null pointer of the type that dtype names: float, float16_t or bfloat16_t. */
template <class F>
HWY_INLINE void with_float_type(Dtype::Val dtype, const F& f) {
  if (dtype == Dtype::Val::float32) {
    f(static_cast<float*>(nullptr));
  } else if (dtype == Dtype::Val::float16) {
    f(static_cast<float16_t*>(nullptr));
  } else {
    f(static_cast<bfloat16_t*>(nullptr));
  }
}

/** As with_float_type, float64 too. */
template <class F>
HWY_INLINE void with_real_type(Dtype::Val dtype, const F& f) {
  if (dtype == Dtype::Val::float64) {
    f(static_cast<double*>(nullptr));
  } else {
    with_float_type(dtype, f);
  }
}

/** n values of dtype as float32, or back. */
HWY_INLINE void floats_from(Dtype::Val dtype, const void* in, float* out, size_t n) {
  with_float_type(dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    convert_row(static_cast<const T*>(in), out, n);
  });
}
HWY_INLINE void floats_to(Dtype::Val dtype, const float* in, void* out, size_t n) {
  with_float_type(dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    convert_row(in, static_cast<T*>(out), n);
  });
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
