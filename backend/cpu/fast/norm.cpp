// backend/cpu/fast/norm.cpp: RMS and layer normalisation along rows, and their gradients.
#include <algorithm>
#include <cmath>

#include "backend/cpu/fast/check.h"
#include "backend/cpu/fast/fast.h"
#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/fast/norm.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backend/cpu/fast/io-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

/** What a row is normalised with: (x - mean) * inverse. */
template <class A>
struct Moments {
  A mean;
  A inverse;
};

template <class T>
Moments<AccOf<T>> moments(const T* x, size_t n, float eps, bool centre) {
  using A = AccOf<T>;
  const TagOf<T> d;
  A mean = 0;
  if (centre) {
    mean = sum_of_terms(d, x, n, [](size_t, auto v) HWY_ATTR { return v; }) / A(n);
  }
  const auto m = hn::Set(d, mean);
  const A squares = sum_of_terms(d, x, n, [&](size_t, auto v) HWY_ATTR {
    const auto c = hn::Sub(v, m);
    return hn::Mul(c, c);
  });
  return {mean, A(1) / std::sqrt(squares / A(n) + A(eps))};
}

template <class T>
void normalise_row(const T* x, const T* weight, const T* bias, T* out, size_t n, float eps,
                   bool centre) {
  const TagOf<T> d;
  const auto row = moments(x, n, eps, centre);
  const auto mean = hn::Set(d, row.mean);
  const auto inverse = hn::Set(d, row.inverse);
  const auto value = [&](size_t i, auto get) HWY_ATTR {
    auto v = hn::Mul(hn::Sub(get(x + i), mean), inverse);
    if (weight) v = hn::Mul(round_to<T>(d, v), get(weight + i));
    if (bias) v = hn::Add(round_to<T>(d, v), get(bias + i));
    return v;
  };
  for_lanes(
      d, n,
      [&](size_t i) HWY_ATTR {
        store(value(i, [&](const T* p) HWY_ATTR { return load(d, p); }), d, out + i);
      },
      [&](size_t i, size_t rest) HWY_ATTR {
        store_n(value(i, [&](const T* p) HWY_ATTR { return load_n(d, p, rest); }), d, out + i,
                rest);
      });
}

void normalise_rows(Dtype::Val dtype, const void* x, const void* weight, const void* bias,
                    void* out, size_t begin, size_t end, size_t n, float eps, bool centre) {
  with_real_type(dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    for (size_t r = begin; r < end; ++r) {
      normalise_row(static_cast<const T*>(x) + r * n, static_cast<const T*>(weight),
                    static_cast<const T*>(bias), static_cast<T*>(out) + r * n, n, eps, centre);
    }
  });
}

/** Rows of n values with zeros up to whole vectors after them, of the accumulation type. */
constexpr size_t padded_of(size_t n) { return (n + 15) / 16 * 16; }

template <class T>
void read_padded(const T* p, AccOf<T>* out, size_t n) {
  convert_row(p, out, n);
  std::fill(out + n, out + padded_of(n), AccOf<T>(0));
}

/** Rows [begin, end); sums is padded_of(n) values for dweight and as many for dbias. */
template <class T>
void band_vjp(const T* x, const T* weight, const T* dout, size_t begin, size_t end, size_t n,
              float eps, bool centre, T* dx, AccOf<T>* dweight, AccOf<T>* dbias) {
  using A = AccOf<T>;
  const TagOf<T> d;
  static thread_local Scratch scratch;
  const size_t padded = padded_of(n);
  A* xhat = static_cast<A*>(scratch.get(4 * padded * sizeof(A)));
  A* g = xhat + padded;
  A* weighted = g + padded;
  A* w = weighted + padded;
  if (weight) {
    read_padded(weight, w, n);
  } else {
    std::fill(w, w + padded, A(1));
  }
  for (size_t r = begin; r < end; ++r) {
    const auto row = moments(x + r * n, n, eps, centre);
    const auto mean = hn::Set(d, row.mean);
    const auto inverse = hn::Set(d, row.inverse);
    read_padded(x + r * n, xhat, n);
    read_padded(dout + r * n, g, n);
    // dx = inverse (u - mean(u) - xhat mean(u xhat)), u = dout weight; RMS has no mean(u). Beyond
    // n, g is 0.
    auto level = hn::Zero(d);
    auto along = hn::Zero(d);
    for (size_t i = 0; i < padded; i += hn::Lanes(d)) {
      const auto xh = hn::Mul(hn::Sub(hn::Load(d, xhat + i), mean), inverse);
      const auto go = hn::Load(d, g + i);
      const auto u = hn::Mul(go, hn::Load(d, w + i));
      hn::Store(xh, d, xhat + i);
      hn::Store(u, d, weighted + i);
      level = hn::Add(level, u);
      along = hn::MulAdd(u, xh, along);
      if (dweight) hn::StoreU(hn::MulAdd(go, xh, hn::LoadU(d, dweight + i)), d, dweight + i);
      if (dbias) hn::StoreU(hn::Add(go, hn::LoadU(d, dbias + i)), d, dbias + i);
    }
    if (!dx) continue;
    const auto by_n = hn::Set(d, A(1) / A(n));
    const auto a = hn::Mul(hn::SumOfLanes(d, along), by_n);
    const auto l = centre ? hn::Mul(hn::SumOfLanes(d, level), by_n) : hn::Zero(d);
    for (size_t i = 0; i < padded; i += hn::Lanes(d)) {
      const auto u = hn::Sub(hn::Load(d, weighted + i), l);
      hn::Store(hn::Mul(inverse, hn::NegMulAdd(hn::Load(d, xhat + i), a, u)), d, weighted + i);
    }
    if constexpr (std::is_same_v<A, T>) {
      std::copy_n(weighted, n, dx + r * n);
    } else {
      convert_row(weighted, dx + r * n, n);
    }
  }
}

void normalise_band_vjp(Dtype::Val dtype, const void* x, const void* weight, const void* dout,
                        size_t begin, size_t end, size_t n, float eps, bool centre, void* dx,
                        void* sums, bool want_weight, bool want_bias) {
  with_real_type(dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    using A = AccOf<T>;
    const size_t padded = padded_of(n);
    A* dweight = want_weight ? static_cast<A*>(sums) : nullptr;
    A* dbias = want_bias ? static_cast<A*>(sums) + padded : nullptr;
    if (sums) std::fill(static_cast<A*>(sums), static_cast<A*>(sums) + 2 * padded, A(0));
    band_vjp(static_cast<const T*>(x), static_cast<const T*>(weight), static_cast<const T*>(dout),
             begin, end, n, eps, centre, static_cast<T*>(dx), dweight, dbias);
  });
}

/** out[i] = sum over bands of sums[band][which][i], bands in order. */
void add_bands(Dtype::Val dtype, const void* sums, size_t bands, size_t n, size_t which,
               size_t begin, size_t end, void* out) {
  with_real_type(dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    using A = AccOf<T>;
    for (size_t i = begin; i < end; ++i) {
      A sum = 0;
      for (size_t b = 0; b < bands; ++b)
        sum += static_cast<const A*>(sums)[(b * 2 + which) * padded_of(n) + i];
      static_cast<T*>(out)[i] = T(sum);
    }
  });
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
namespace {

HWY_EXPORT(normalise_rows);
HWY_EXPORT(normalise_band_vjp);
HWY_EXPORT(add_bands);

constexpr size_t kGrainValues = 16384;
constexpr size_t kMostBands = 64;

size_t rows_a_task(size_t n) { return std::max<size_t>(1, kGrainValues / std::max<size_t>(n, 1)); }

void normalise(const void* x, const void* weight, const void* bias, void* out, Dtype::Val dtype,
               size_t rows, size_t n, float eps, bool centre) {
  parallel_range(int64_t(rows), int64_t(rows_a_task(n)), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(normalise_rows)
    (dtype, x, weight, bias, out, size_t(begin), size_t(end), n, eps, centre);
  });
}

void normalise_vjp(const void* x, const void* weight, const void* dout, Dtype::Val dtype,
                   size_t rows, size_t n, float eps, bool centre, void* dx, void* dweight,
                   void* dbias) {
  const bool sums = dweight || dbias;
  // Bands are cut by size alone, so that the order of additions never changes.
  const size_t band =
      std::max(rows_a_task(n), sums ? (rows + kMostBands - 1) / kMostBands : size_t(1));
  const size_t bands = (rows + band - 1) / band;
  const size_t size = dtype == Dtype::Val::float64 ? sizeof(double) : sizeof(float);
  const size_t padded = (n + 15) / 16 * 16;
  Scratch scratch;
  char* partial = sums ? static_cast<char*>(scratch.get(bands * 2 * padded * size)) : nullptr;
  parallel_for(int64_t(bands), [&](int64_t b) {
    const size_t begin = size_t(b) * band;
    HWY_DYNAMIC_DISPATCH(normalise_band_vjp)
    (dtype, x, weight, dout, begin, std::min(rows, begin + band), n, eps, centre, dx,
     partial ? partial + size_t(b) * 2 * padded * size : nullptr, dweight != nullptr,
     dbias != nullptr);
  });
  for (size_t which = 0; which < 2; ++which) {
    void* out = which == 0 ? dweight : dbias;
    if (!out) continue;
    parallel_range(int64_t(n), 1024, [&](int64_t begin, int64_t end) {
      HWY_DYNAMIC_DISPATCH(add_bands)
      (dtype, partial, bands, n, which, size_t(begin), size_t(end), out);
    });
  }
}

}  // namespace

void rms_norm(const void* x, const void* weight, void* out, Dtype::Val dtype, size_t rows, size_t n,
              float eps) {
  check_float("rms_norm", dtype, true);
  normalise(x, weight, nullptr, out, dtype, rows, n, eps, false);
}

void rms_norm_vjp(const void* x, const void* weight, const void* dout, Dtype::Val dtype,
                  size_t rows, size_t n, float eps, void* dx, void* dweight) {
  check_float("rms_norm", dtype, true);
  normalise_vjp(x, weight, dout, dtype, rows, n, eps, false, dx, dweight, nullptr);
}

void layer_norm(const void* x, const void* weight, const void* bias, void* out, Dtype::Val dtype,
                size_t rows, size_t n, float eps) {
  check_float("layer_norm", dtype, true);
  normalise(x, weight, bias, out, dtype, rows, n, eps, true);
}

void layer_norm_vjp(const void* x, const void* weight, const void* dout, Dtype::Val dtype,
                    size_t rows, size_t n, float eps, void* dx, void* dweight, void* dbias) {
  check_float("layer_norm", dtype, true);
  normalise_vjp(x, weight, dout, dtype, rows, n, eps, true, dx, dweight, dbias);
}

}  // namespace mlx::core::cpu
#endif
