// backend/cpu/fast/cross_entropy.cpp: the loss of class indices, and its gradient.
#include <algorithm>
#include <cmath>

#include "backend/cpu/fast/check.h"
#include "backend/cpu/fast/fast.h"
#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/fast/cross_entropy.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backend/cpu/fast/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

void losses(Dtype::Val dtype, const void* logits, const int64_t* targets, void* loss, size_t begin,
            size_t end, size_t n) {
  with_real_type(dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    using A = AccOf<T>;
    for (size_t r = begin; r < end; ++r) {
      const T* row = static_cast<const T*>(logits) + r * n;
      const A max = row_max(row, n);
      const A sum = exp_row(row, static_cast<A*>(nullptr), n, max);
      static_cast<A*>(loss)[r] = std::log(sum) + (max - A(row[targets[r]]));
    }
  });
}

void gradients(Dtype::Val dtype, const void* logits, const int64_t* targets, const void* dloss,
               void* dlogits, size_t begin, size_t end, size_t n) {
  with_real_type(dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    using A = AccOf<T>;
    static thread_local Scratch scratch;
    A* values = static_cast<A*>(scratch.get(n * sizeof(A)));
    const TagOf<T> d;
    for (size_t r = begin; r < end; ++r) {
      const T* row = static_cast<const T*>(logits) + r * n;
      T* out = static_cast<T*>(dlogits) + r * n;
      const A weight = static_cast<const A*>(dloss)[r];
      const A sum = exp_row(row, values, n, row_max(row, n));
      const A at_target = weight * (values[targets[r]] / sum - A(1));
      const auto factor = hn::Set(d, weight / sum);
      for_lanes(
          d, n, [&](size_t i) HWY_ATTR { store(hn::Mul(load(d, values + i), factor), d, out + i); },
          [&](size_t i, size_t rest) HWY_ATTR {
            store_n(hn::Mul(load_n(d, values + i, rest), factor), d, out + i, rest);
          });
      out[targets[r]] = T(at_target);
    }
  });
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
namespace {

HWY_EXPORT(losses);
HWY_EXPORT(gradients);

int64_t rows_a_task(size_t n) { return int64_t(std::max<size_t>(1, 8192 / n)); }

}  // namespace

void cross_entropy(const void* logits, const int64_t* targets, void* loss, Dtype::Val dtype,
                   size_t rows, size_t n) {
  check_float("cross_entropy", dtype, true);
  parallel_range(int64_t(rows), rows_a_task(n), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(losses)
    (dtype, logits, targets, loss, size_t(begin), size_t(end), n);
  });
}

void cross_entropy_vjp(const void* logits, const int64_t* targets, const void* dloss, void* dlogits,
                       Dtype::Val dtype, size_t rows, size_t n) {
  check_float("cross_entropy", dtype, true);
  parallel_range(int64_t(rows), rows_a_task(n), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(gradients)
    (dtype, logits, targets, dloss, dlogits, size_t(begin), size_t(end), n);
  });
}

}  // namespace mlx::core::cpu
#endif
