// backend/cpu/fast/rows-inl.h: the largest value of a row, and the exponentials below it. Compiled
// once per target.
#if defined(MICA_BACKEND_CPU_FAST_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MICA_BACKEND_CPU_FAST_ROWS_INL_H_
#undef MICA_BACKEND_CPU_FAST_ROWS_INL_H_
#else
#define MICA_BACKEND_CPU_FAST_ROWS_INL_H_
#endif

#include <limits>

#include "backend/cpu/fast/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

/** The largest of a row; NaN is overlooked here and comes back through exp. */
template <class T>
AccOf<T> row_max(const T* p, size_t n) {
  using A = AccOf<T>;
  const TagOf<T> d;
  const auto lowest = hn::Set(d, -std::numeric_limits<A>::infinity());
  auto m0 = lowest, m1 = lowest;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    prefetch_ahead(p + i, 2 * lanes * sizeof(T));
    m0 = hn::Max(load(d, p + i), m0);
    m1 = hn::Max(load(d, p + i + lanes), m1);
  }
  for (; i + lanes <= n; i += lanes) m0 = hn::Max(load(d, p + i), m0);
  if (i < n) {
    m0 = hn::Max(hn::IfThenElse(hn::FirstN(d, n - i), load_n(d, p + i, n - i), lowest), m0);
  }
  return hn::GetLane(hn::MaxOfLanes(d, hn::Max(m0, m1)));
}

/** exp(p - max) into out (of the accumulation type; may be null) and the sum of it. */
template <class T>
AccOf<T> exp_row(const T* p, AccOf<T>* out, size_t n, AccOf<T> max) {
  const TagOf<T> d;
  const auto m = hn::Set(d, max);
  return sum_of_terms(d, p, n, [&](size_t i, auto v) HWY_ATTR {
    const auto e = exp_of(d, hn::Sub(v, m));
    if (out) {
      i + hn::Lanes(d) <= n ? hn::StoreU(e, d, out + i) : store_n(e, d, out + i, n - i);
    }
    return e;
  });
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
