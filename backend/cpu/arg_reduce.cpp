// backend/cpu/arg_reduce.cpp: ArgReduce and SearchSorted.
//
// A contiguous row is read once for the best value of each block; only the winning block is read
// again for the position.
#include "backend/cpu/parallel.h"
#include "backend/cpu/prefetch.h"
#include "backend/cpu/sort_keys.h"
#include "backend/cpu/tape/reduce.h"
#include "backend/cpu/walk.h"
#include "core/copy.h"
#include "core/prim/sort.h"

namespace mlx::core::cpu {

namespace {

constexpr size_t kBlock = 1024;         // elements whose best value is found at once
constexpr size_t kShort = 24;           // and of a row that is not worth that
constexpr size_t kChunk = 64 * kBlock;  // of a long row, for one thread

template <typename T, bool max>
bool better(T a, T b) {
  return max ? less_than(b, a) : less_than(a, b);
}

/** Whether a comes before best, which stands earlier: a NaN beats all but another. */
template <typename T, bool max>
bool wins(T a, T best) {
  return !is_nan(best) && (better<T, max>(a, best) || is_nan(a));
}

/** The best value so far and its position; a NaN beats everything. */
template <typename T>
struct Best {
  T value{};
  uint32_t position = 0;
  bool none = true;
  bool nan = false;

  template <bool max>
  void offer(const Best& o) {
    if (o.none || nan) return;
    if (none || o.nan || better<T, max>(o.value, value)) *this = o;
  }
};

/** The best values of blocks: by the loops of max and min where those have the type. */
template <typename T, bool max>
class BlockBest {
 public:
  T operator()(const T* p, size_t n) const {
    if constexpr (is_complex<T>) {
      T best = p[0];
      for (size_t i = 0; i < n && !is_nan(best); ++i) {
        if (is_nan(p[i]) || better<T, max>(p[i], best)) best = p[i];
      }
      return best;
    } else {
      alignas(16) char acc[16];
      T best;
      reducer_.identity(acc, 1);
      reducer_.run(acc, reinterpret_cast<const char*>(p), static_cast<int64_t>(n));
      reducer_.finish(reinterpret_cast<char*>(&best), 0, acc, 1);
      return best;
    }
  }

 private:
  // (a double literal stands for float32, so its type does not name float64)
  static Dtype::Val dtype() {
    return std::is_same_v<T, double> ? Dtype::Val::float64 : Dtype(TypeToDtype<T>()).val();
  }
  Reducer reducer_ = find_reducer(max ? ReduceOp::Max : ReduceOp::Min, dtype());
};

/** The first best value of [begin, end), its position counted from p. */
template <typename T, bool max>
Best<T> best_of_range(const T* p, size_t begin, size_t end) {
  static const BlockBest<T, max> best_value;
  size_t where = begin;  // the block of the best so far
  T best = p[begin];
  bool nan = is_nan(best);
  for (size_t b = begin; b < end && !nan; b += kBlock) {
    size_t n = std::min(kBlock, end - b);
    prefetch_ahead(p + b, n * sizeof(T), kPrefetchFar);
    T value = best_value(p + b, n);
    nan = is_nan(value);
    if (nan || better<T, max>(value, best)) {
      where = b;
      best = value;
    }
  }
  size_t at = where;
  if (nan) {
    while (!is_nan(p[at])) ++at;
  } else {
    while (p[at] != best) ++at;
  }
  return {p[at], uint32_t(at), false, nan};
}

template <typename T, bool max>
Best<T> best_of(const T* p, size_t n) {
  return best_of_range<T, max>(p, 0, n);
}

/** float16, bfloat16: as integers of the same order, NaN at the end that wins. */
template <typename T, bool max>
Best<uint16_t> best_of_halves(const T* p, size_t begin, size_t end) {
  Best<uint16_t> best;
  uint16_t keys[kBlock];
  for (size_t b = begin; b < end; b += kBlock) {
    size_t n = std::min(kBlock, end - b);
    for (size_t i = 0; i < n; ++i) {
      uint16_t k = encode<T, true>(p[b + i]);
      keys[i] = !max && k == 0xffff ? 0 : k;
    }
    Best<uint16_t> block = best_of<uint16_t, max>(keys, n);
    block.position += uint32_t(b);
    best.template offer<max>(block);
  }
  return best;
}

/** The position of the best of a few values. */
template <typename T, bool max>
uint32_t best_of_short(const T* p, size_t n) {
  T best = p[0];
  uint32_t at = 0;
  for (size_t i = 1; i < n; ++i) {
    const bool win = wins<T, max>(p[i], best);
    best = win ? p[i] : best;
    at = win ? uint32_t(i) : at;
  }
  return at;
}

template <typename T, bool max>
void contiguous_rows(const T* in, uint32_t* out, size_t rows, size_t n) {
  constexpr bool half = std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>;
  using V = std::conditional_t<half, uint16_t, T>;
  auto range = [](const T* p, size_t begin, size_t end) {
    if constexpr (half)
      return best_of_halves<T, max>(p, begin, end);
    else
      return best_of_range<T, max>(p, begin, end);
  };
  if (n <= kShort) {
    parallel_range(rows, kChunk / 4 / n, [&](size_t begin, size_t end) {
      for (size_t r = begin; r < end; ++r) out[r] = best_of_short<T, max>(in + r * n, n);
    });
    return;
  }
  if (n < 2 * kChunk || rows >= 16) {
    parallel_range(rows, std::max<size_t>(1, kChunk / 4 / n), [&](size_t begin, size_t end) {
      for (size_t r = begin; r < end; ++r) out[r] = range(in + r * n, 0, n).position;
    });
    return;
  }
  size_t chunks = (n + kChunk - 1) / kChunk;
  std::vector<Best<V>> parts(chunks);
  for (size_t r = 0; r < rows; ++r) {
    parallel_for(chunks, [&](int64_t c) {
      parts[c] = range(in + r * n, c * kChunk, std::min(n, (c + 1) * kChunk));
    });
    Best<V> best;
    for (const auto& part : parts) best.template offer<max>(part);
    out[r] = best.position;
  }
}

/** Rows whose elements are `inner` apart: many of them side by side. */
template <typename T, bool max>
void strided_rows(const T* in, uint32_t* out, size_t outer, size_t n, size_t inner) {
  constexpr size_t kColumns = 128;
  size_t groups = (inner + kColumns - 1) / kColumns;
  parallel_range(outer * groups, std::max<size_t>(1, 8192 / (n * std::min(inner, kColumns))),
                 [&](size_t begin, size_t end) {
                   T best[kColumns];
                   uint32_t at[kColumns];
                   for (size_t g = begin; g < end; ++g) {
                     size_t first = g % groups * kColumns, w = std::min(kColumns, inner - first);
                     const T* from = in + g / groups * n * inner + first;
                     std::copy(from, from + w, best);
                     std::fill(at, at + w, 0);
                     for (size_t j = 1; j < n; ++j) {
                       const T* row = from + j * inner;
                       for (size_t c = 0; c < w; ++c) {
                         const bool win = wins<T, max>(row[c], best[c]);
                         best[c] = win ? row[c] : best[c];
                         at[c] = win ? uint32_t(j) : at[c];
                       }
                     }
                     std::copy(at, at + w, out + g / groups * inner + first);
                   }
                 });
}

void arg_reduce(const ArgReduce& p, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array in = row_contiguous(inputs[0]);
  array& out = outputs[0];
  allocate(out);
  if (out.size() == 0) return;
  size_t n = in.shape(p.axis()), inner = 1;
  for (size_t d = p.axis() + 1; d < in.ndim(); ++d) inner *= in.shape(d);
  size_t rows = in.size() / n;
  auto* to = out.data<uint32_t>();
  Dtype dtype = in.dtype() == bool_ ? uint8 : in.dtype();
  dispatch_all_types(dtype, [&](auto t) {
    using T = MLX_GET_TYPE(t);
    if constexpr (!std::is_same_v<T, bool>) {
      const T* from = in.data<T>();
      bool max = p.reduce_type() == ArgReduce::ArgMax;
      if (inner == 1) {
        max ? contiguous_rows<T, true>(from, to, rows, n)
            : contiguous_rows<T, false>(from, to, rows, n);
      } else {
        max ? strided_rows<T, true>(from, to, rows / inner, n, inner)
            : strided_rows<T, false>(from, to, rows / inner, n, inner);
      }
    }
  });
}

void search_sorted(const SearchSorted& p, const std::vector<array>& inputs,
                   std::vector<array>& outputs) {
  array sequence = row_contiguous(inputs[0]), values = row_contiguous(inputs[1]);
  array& out = outputs[0];
  allocate(out);
  if (out.size() == 0) return;
  size_t n = sequence.shape(-1);
  size_t each = values.size();  // values of one sequence
  for (size_t d = 0; d + 1 < sequence.ndim(); ++d) each /= sequence.shape(d);
  auto* to = out.data<uint32_t>();
  dispatch_all_types(values.dtype(), [&](auto t) {
    using T = MLX_GET_TYPE(t);
    const T* seq = sequence.data<T>();
    const T* val = values.data<T>();
    auto less = [](T a, T b) { return less_than(a, b) || (!is_nan(a) && is_nan(b)); };
    parallel_range(values.size(), 1 << 11, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const T* s = seq + i / each * n;
        const T* at = p.right() ? std::upper_bound(s, s + n, val[i], less)
                                : std::lower_bound(s, s + n, val[i], less);
        to[i] = uint32_t(at - s);
      }
    });
  });
}

const RegisterKernel<ArgReduce> arg_reduce_kernel{Device::cpu, &arg_reduce};
const RegisterKernel<SearchSorted> search_sorted_kernel{Device::cpu, &search_sorted};

}  // namespace

}  // namespace mlx::core::cpu
