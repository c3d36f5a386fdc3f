// backend/cpu/fast/exp-inl.h: exp of vectors. Error at most 1.1 ULP in float (measured over its
// range) and 1 ULP in double (sampled); infinities, NaN and subnormal results are right. Compiled
// once per target.
#if defined(MICA_BACKEND_CPU_FAST_EXP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MICA_BACKEND_CPU_FAST_EXP_INL_H_
#undef MICA_BACKEND_CPU_FAST_EXP_INL_H_
#else
#define MICA_BACKEND_CPU_FAST_EXP_INL_H_
#endif

#include "backend/cpu/fast/io-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

/** p 2^n, rounded once, for whole n that may lie beyond the exponents of T. */
template <class D, class V>
HWY_INLINE V scale_by(D d, V p, V n) {
  (void)d;
  using T = hn::TFromD<D>;
#if HWY_TARGET <= HWY_AVX3
  if constexpr (sizeof(T) == 4) {
    if constexpr (sizeof(V) == 64) return V{_mm512_maskz_scalef_ps(0xffff, p.raw, n.raw)};
    if constexpr (sizeof(V) == 32) return V{_mm256_scalef_ps(p.raw, n.raw)};
    if constexpr (sizeof(V) == 16) return V{_mm_scalef_ps(p.raw, n.raw)};
  } else {
    if constexpr (sizeof(V) == 64) return V{_mm512_maskz_scalef_pd(0xff, p.raw, n.raw)};
    if constexpr (sizeof(V) == 32) return V{_mm256_scalef_pd(p.raw, n.raw)};
    if constexpr (sizeof(V) == 16) return V{_mm_scalef_pd(p.raw, n.raw)};
  }
#else
  // In two factors, so that results near the largest number and subnormal ones come out right.
  const hn::RebindToSigned<D> di;
  const auto ni = hn::ConvertTo(di, n);
  const auto half = hn::ShiftRight<1>(ni);
  constexpr int kBits = sizeof(T) == 4 ? 23 : 52;
  const auto bias = hn::Set(di, sizeof(T) == 4 ? 127 : 1023);
  const V s1 = hn::BitCast(d, hn::ShiftLeft<kBits>(hn::Add(half, bias)));
  const V s2 = hn::BitCast(d, hn::ShiftLeft<kBits>(hn::Add(hn::Sub(ni, half), bias)));
  return hn::Mul(hn::Mul(p, s1), s2);
#endif
}

/** e^r on |r| <= ln(2)/2: polynomials fitted to it, their terms in pairs, which take less time
 *  than one after the other. */
template <class D, class V>
HWY_INLINE V exp_near_zero(D d, V r) {
  using T = hn::TFromD<D>;
  auto pair = [&](T high, T low) { return hn::MulAdd(r, hn::Set(d, high), hn::Set(d, low)); };
  const V r2 = hn::Mul(r, r), one = hn::Set(d, T(1));
  V q;
  if constexpr (sizeof(T) == 4) {
    const V high =
        hn::MulAdd(r2, hn::Set(d, 0x1.6d4328p-10f), pair(0x1.120b74p-7f, 0x1.5554eap-5f));
    q = hn::MulAdd(high, r2, pair(0x1.5554dcp-3f, 0.5f));
  } else {
    const V r4 = hn::Mul(r2, r2);
    const V a = hn::MulAdd(pair(0.008333333333319561, 0.04166666666648757), r2,
                           pair(0.1666666666666668, 0.5000000000000019));
    const V b = hn::MulAdd(pair(2.7557240804190355e-06, 2.4801485333574577e-05), r2,
                           pair(0.00019841269890154013, 0.001388888895245379));
    const V c = pair(2.5110079917407737e-08, 2.763269466207279e-07);
    q = hn::MulAdd(hn::MulAdd(c, r4, b), r4, a);
  }
  return hn::MulAdd(hn::MulAdd(q, r, one), r, one);
}

/** x - n ln 2 (+ low), ln 2 in two parts; the product with the first is exact. */
template <class D, class V, class... Low>
HWY_INLINE V less_ln2(D d, V x, V n, Low... low_of_x) {
  constexpr bool single = sizeof(hn::TFromD<D>) == 4;
  using T = hn::TFromD<D>;
  const V high = hn::Set(d, single ? T(0x1.62e400p-1) : T(0x1.62e42feep-1));
  const V low = hn::Set(d, single ? T(0x1.7f7d1cp-20) : T(0x1.a39ef35793c76p-33));
  V r = hn::NegMulAdd(n, low, hn::NegMulAdd(n, high, x));
  ((r = hn::Add(r, low_of_x)), ...);
  return r;
}

/** e^(x + low) for any x. */
template <class D, class V, class... Low>
HWY_INLINE V exp_far(D d, V x, Low... low) {
  using T = hn::TFromD<D>;
  // Beyond these the result is 0 or infinity anyway. The bound is the first operand: NaN stays.
  constexpr bool single = sizeof(T) == 4;
  x = hn::Max(hn::Set(d, T(single ? -104 : -746)), hn::Min(hn::Set(d, T(single ? 89 : 710)), x));
  const V n = hn::Round(hn::Mul(x, hn::Set(d, T(1.4426950408889634074))));
  return scale_by(d, exp_near_zero(d, less_ln2(d, x, n, low...)), n);
}
/** Out of line: few lanes need it. */
template <class D, class V, class... Low>
HWY_NOINLINE HWY_ATTR V exp_far_apart(D d, V x, Low... low) {
  return exp_far(d, x, low...);
}

/** e^x, or e^(x + low) where low is far below x. */
template <class D, class V, class... Low>
HWY_INLINE V exp_of(D d, V x, Low... low) {
#if HWY_TARGET <= HWY_AVX3
  return exp_far(d, x, low...);
#else
  // n is rounded by landing in the low bits of a sum, and moves from there to the exponent. Results
  // that are subnormal or infinite take the long way.
  using T = hn::TFromD<D>;
  constexpr bool single = sizeof(T) == 4;
  constexpr int kBits = single ? 23 : 52;
  const V magic = hn::Set(d, single ? T(0x1.8p23) : T(0x1.8p52));
  const V t = hn::MulAdd(x, hn::Set(d, T(1.4426950408889634074)), magic);
  const V p = exp_near_zero(d, less_ln2(d, x, hn::Sub(t, magic), low...));
  const hn::RebindToSigned<D> di;
  const V e = hn::BitCast(d, hn::Add(hn::BitCast(di, p), hn::ShiftLeft<kBits>(hn::BitCast(di, t))));
  const auto near = hn::Le(hn::Abs(x), hn::Set(d, single ? T(86) : T(707)));
  if (HWY_LIKELY(hn::AllTrue(d, near))) return e;
  // Masked values of a softmax.
  const auto zero = hn::Lt(x, hn::Set(d, single ? T(-104) : T(-746)));
  if (hn::AllTrue(d, hn::Or(near, zero))) return hn::IfThenElseZero(near, e);
  return exp_far_apart(d, x, low...);
#endif
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
