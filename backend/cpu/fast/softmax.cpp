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

// A strided axis goes down its columns, a block of them at a time: wide enough for whole cache
// lines, narrow enough that the block is still near when it is read again.
constexpr size_t kMostColumns = 1024;
constexpr size_t kRun = 16;  // terms that are added before they join the sum

/** One block, rows `inner` apart; with log, out is one row. */
template <class T>
void column_block(const T* in, T* out, size_t n, size_t inner, size_t columns, bool log) {
  using A = AccOf<T>;
  const TagOf<T> d;
  using V = hn::Vec<TagOf<T>>;
  constexpr bool kSame = sizeof(T) == sizeof(A);
  alignas(64) A max[kMostColumns], sum[kMostColumns], run[kMostColumns];
  static thread_local Scratch scratch;
  // Exponentials: in place of the result where its type has room for them.
  A* e = log     ? nullptr
         : kSame ? reinterpret_cast<A*>(out)
                 : static_cast<A*>(scratch.get(n * columns * sizeof(A)));
  const size_t e_inner = kSame ? inner : columns;
  // f of columns [c, c + m): m is a whole vector or what is left.
  auto across = [&](const auto& f) HWY_ATTR {
    for (size_t c = 0; c < columns; c += hn::Lanes(d)) f(c, HWY_MIN(hn::Lanes(d), columns - c));
  };
  auto get = [&](const auto* p, size_t m)
                 HWY_ATTR { return HWY_LIKELY(m == hn::Lanes(d)) ? load(d, p) : load_n(d, p, m); };
  auto set = [&](V v, auto* p, size_t m)
                 HWY_ATTR { HWY_LIKELY(m == hn::Lanes(d)) ? store(v, d, p) : store_n(v, d, p, m); };
  across([&](size_t c, size_t) HWY_ATTR {
    hn::Store(hn::Set(d, -std::numeric_limits<A>::infinity()), d, max + c);
    hn::Store(hn::Zero(d), d, sum + c);
    hn::Store(hn::Zero(d), d, run + c);
  });
  for (size_t i = 0; i < n; ++i) {
    across([&](size_t c, size_t m) HWY_ATTR {
      hn::Store(hn::Max(get(in + i * inner + c, m), hn::Load(d, max + c)), d, max + c);
    });
  }
  for (size_t i = 0; i < n; ++i) {
    across([&](size_t c, size_t m) HWY_ATTR {
      const V x = exp_of(d, hn::Sub(get(in + i * inner + c, m), hn::Load(d, max + c)));
      hn::Store(hn::Add(hn::Load(d, run + c), x), d, run + c);
      if (e) set(x, e + i * e_inner + c, m);
    });
    if (i % kRun != kRun - 1 && i + 1 != n) continue;
    across([&](size_t c, size_t) HWY_ATTR {
      const V a = hn::Load(d, sum + c), b = hn::Load(d, run + c), total = hn::Add(a, b);
      hn::Store(total, d, sum + c);
      hn::Store(hn::Sub(b, hn::Sub(total, a)), d,
                run + c);  // what rounding took joins the next run
    });
  }
  if (log) {
    for (size_t c = 0; c < columns; ++c) {
      // Of an infinite maximum the sum is NaN: it answers itself, unless there was a NaN.
      A value = max[c] + std::log(sum[c]);
      if (std::isinf(max[c])) {
        value = max[c];
        for (size_t i = 0; i < n; ++i) {
          if (std::isnan(A(in[i * inner + c]))) value = std::numeric_limits<A>::quiet_NaN();
        }
      }
      out[c] = T(value);
    }
    return;
  }
  across([&](size_t c, size_t)
             HWY_ATTR { hn::Store(hn::Div(hn::Set(d, A(1)), hn::Load(d, sum + c)), d, sum + c); });
  for (size_t i = 0; i < n; ++i) {
    across([&](size_t c, size_t m) HWY_ATTR {
      set(hn::Mul(get(e + i * e_inner + c, m), hn::Load(d, sum + c)), out + i * inner + c, m);
    });
  }
}

/** Task t is row t, or block t of columns, counted through all outer blocks. */
void softmax_tasks(Dtype::Val dtype, const void* in, void* out, size_t n, size_t inner,
                   size_t width, size_t begin, size_t end, bool log) {
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
    const size_t blocks = (inner + width - 1) / width;
    for (size_t t = begin; t < end; ++t) {
      const size_t o = t / blocks;
      const size_t c = t % blocks * width;
      const size_t columns = std::min(width, inner - c);
      column_block(from + o * n * inner + c, log ? to + o * inner + c : to + o * n * inner + c, n,
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

constexpr size_t kBlockItems = 32 * 1024;  // of a strided axis, for one task

void run(const void* in, void* out, Dtype::Val dtype, size_t outer, size_t n, size_t inner,
         bool log) {
  const size_t columns =
      std::max<size_t>(16, std::min<size_t>(1024, kBlockItems / std::max<size_t>(1, n) / 16 * 16));
  const size_t tasks = inner == 1 ? outer : outer * ((inner + columns - 1) / columns);
  const size_t values = std::max<size_t>(1, inner == 1 ? n : n * std::min(inner, columns));
  parallel_range(int64_t(tasks), int64_t(std::max<size_t>(1, 8192 / values)),
                 [&](int64_t begin, int64_t end) {
                   HWY_DYNAMIC_DISPATCH(softmax_tasks)
                   (dtype, in, out, n, inner, columns, size_t(begin), size_t(end), log);
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
