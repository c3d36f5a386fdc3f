// backend/cpu/fast/softmax.cpp: softmax and logsumexp along one axis.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/fast/check.h"
#include "backend/cpu/fast/fast.h"
#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/fast/softmax.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backend/cpu/fast/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

template <class A, class T>
void scale_row(const A* p, T* out, size_t n, A factor) {
  const TagOf<T> d;
  const auto f = hn::Set(d, factor);
  for_lanes(
      d, n, [&](size_t i) HWY_ATTR { store(hn::Mul(load(d, p + i), f), d, out + i); },
      [&](size_t i, size_t rest)
          HWY_ATTR { store_n(hn::Mul(load_n(d, p + i, rest), f), d, out + i, rest); });
}

template <class T>
void softmax_row(const T* in, T* out, size_t n) {
  using A = AccOf<T>;
  const A max = row_max(in, n);
  if constexpr (sizeof(T) == sizeof(A)) {
    const A sum = exp_row(in, out, n, max);
    scale_row(out, out, n, A(1) / sum);
  } else {
    static thread_local Scratch scratch;
    A* row = static_cast<A*>(scratch.get(n * sizeof(A)));
    const A sum = exp_row(in, row, n, max);
    scale_row(row, out, n, A(1) / sum);
  }
}

/** log(sum(exp)). An infinite maximum answers itself: max - max would be NaN. */
template <class T>
AccOf<T> logsumexp_row(const T* in, size_t n) {
  using A = AccOf<T>;
  const A max = row_max(in, n);
  if (std::isinf(max)) {
    // NaN still wins over infinity.
    for (size_t i = 0; i < n; ++i) {
      if (std::isnan(A(in[i]))) return std::numeric_limits<A>::quiet_NaN();
    }
    return max;
  }
  return max + std::log(exp_row(in, static_cast<A*>(nullptr), n, max));
}

// A strided axis goes through a transposed block of columns: rows of n values of the accumulation
// type.
constexpr size_t kColumns = 16;

template <class T>
void gather_columns(const T* in, size_t n, size_t inner, size_t columns, AccOf<T>* block) {
  for (size_t i = 0; i < n; ++i) {
    for (size_t c = 0; c < columns; ++c) block[c * n + i] = AccOf<T>(in[i * inner + c]);
  }
}

template <class T>
void strided_block(const T* in, T* out, size_t n, size_t inner, size_t columns, bool log) {
  using A = AccOf<T>;
  static thread_local Scratch scratch;
  A* block = static_cast<A*>(scratch.get(columns * n * sizeof(A)));
  gather_columns(in, n, inner, columns, block);
  if (log) {
    for (size_t c = 0; c < columns; ++c) out[c] = T(logsumexp_row(block + c * n, n));
    return;
  }
  for (size_t c = 0; c < columns; ++c) softmax_row(block + c * n, block + c * n, n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t c = 0; c < columns; ++c) out[i * inner + c] = T(block[c * n + i]);
  }
}

/** Task t is row t, or the columns [16 t, 16 t + 16) counted through all outer blocks. */
void softmax_tasks(Dtype::Val dtype, const void* in, void* out, size_t n, size_t inner,
                   size_t begin, size_t end, bool log) {
  with_real_type(dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    const T* from = static_cast<const T*>(in);
    T* to = static_cast<T*>(out);
    if (inner == 1) {
      for (size_t r = begin; r < end; ++r) {
        if (log) {
          to[r] = T(logsumexp_row(from + r * n, n));
        } else {
          softmax_row(from + r * n, to + r * n, n);
        }
      }
      return;
    }
    const size_t blocks = (inner + kColumns - 1) / kColumns;
    for (size_t t = begin; t < end; ++t) {
      const size_t o = t / blocks;
      const size_t c = t % blocks * kColumns;
      const size_t columns = std::min(kColumns, inner - c);
      strided_block(from + o * n * inner + c, log ? to + o * inner + c : to + o * n * inner + c, n,
                    inner, columns, log);
    }
  });
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
namespace {

HWY_EXPORT(softmax_tasks);

void run(const void* in, void* out, Dtype::Val dtype, size_t outer, size_t n, size_t inner,
         bool log) {
  const size_t columns = 16;
  const size_t tasks = inner == 1 ? outer : outer * ((inner + columns - 1) / columns);
  const size_t values = std::max<size_t>(1, inner == 1 ? n : n * columns);
  parallel_range(int64_t(tasks), int64_t(std::max<size_t>(1, 8192 / values)),
                 [&](int64_t begin, int64_t end) {
                   HWY_DYNAMIC_DISPATCH(softmax_tasks)
                   (dtype, in, out, n, inner, size_t(begin), size_t(end), log);
                 });
}

}  // namespace

void softmax(const void* in, void* out, Dtype::Val dtype, size_t outer, size_t n, size_t inner) {
  check_float("softmax", dtype, true);
  if (n == 0 || inner == 0) return;
  run(in, out, dtype, outer, n, inner, false);
}

void logsumexp(const void* in, void* out, Dtype::Val dtype, size_t outer, size_t n, size_t inner) {
  check_float("logsumexp", dtype, true);
  if (inner == 0) return;
  run(in, out, dtype, outer, n, inner, true);
}

}  // namespace mlx::core::cpu
#endif
