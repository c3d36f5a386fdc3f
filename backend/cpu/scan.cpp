// backend/cpu/scan.cpp: Scan.
//
// A row is cut into blocks, a block into four segments that run side by side (a chain of additions
// is bound by latency); each then takes what came before it. So rounding errors grow with the
// number of blocks, not of elements, and the cut depends on shapes only: results are the same for
// any number of threads. Long rows are read twice: first for the totals of their chunks.
#include <cmath>
#include <limits>

#include "backend/cpu/parallel.h"
#include "backend/cpu/prefetch.h"
#include "backend/cpu/walk.h"
#include "core/copy.h"
#include "core/prim/scan.h"

namespace mlx::core::cpu {

namespace {

constexpr size_t kSegment = 256;
constexpr size_t kBlock = 4 * kSegment;
constexpr size_t kChunk = 16 * kBlock;

template <typename T>
using Accumulator =
    std::conditional_t<std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>, float, T>;

template <Scan::ReduceType type, typename A>
struct Op {
  static A identity() {
    if constexpr (type == Scan::Sum) {
      return A(0);
    } else if constexpr (type == Scan::Prod) {
      return A(1);
    } else {
      constexpr bool max = type == Scan::Max;
      if constexpr (std::is_same_v<A, complex64_t>) {
        float v = max ? -INFINITY : INFINITY;
        return A(v, v);
      } else if constexpr (std::is_floating_point_v<A>) {
        return max ? -std::numeric_limits<A>::infinity() : std::numeric_limits<A>::infinity();
      } else {
        return max ? std::numeric_limits<A>::lowest() : std::numeric_limits<A>::max();
      }
    }
  }
  static A apply(A a, A b) {
    if constexpr (type == Scan::Max || type == Scan::Min) {
      bool b_wins = type == Scan::Max ? less_than(a, b) : less_than(b, a);
      if constexpr (std::is_floating_point_v<A>) {
        return b_wins || b != b ? (a != a ? a : b) : a;
      } else if constexpr (is_complex<A>) {
        return is_nan(a) ? a : b_wins || is_nan(b) ? b : a;
      } else {
        return b_wins ? b : a;
      }
    } else if constexpr (std::is_same_v<A, bool>) {
      return type == Scan::Sum ? a || b : a && b;
    } else if constexpr (std::is_integral_v<A>) {
      return A(type == Scan::Sum ? uint64_t(a) + uint64_t(b) : uint64_t(a) * uint64_t(b));
    } else {
      return type == Scan::Sum ? A(a + b) : A(a * b);
    }
  }
};

/** Replaces buf[0..n) by its running results, segment by segment; returns the totals of the
 * segments. */
template <class O, typename A>
void scan_segments(A* buf, size_t n, A* totals) {
  if (n == kBlock) {
    for (size_t i = 1; i < kSegment; ++i) {
      for (size_t k = 0; k < 4; ++k) {
        buf[k * kSegment + i] = O::apply(buf[k * kSegment + i - 1], buf[k * kSegment + i]);
      }
    }
    for (size_t k = 0; k < 4; ++k) totals[k] = buf[(k + 1) * kSegment - 1];
    return;
  }
  for (size_t begin = 0; begin < n; begin += kSegment) {
    size_t end = std::min(n, begin + kSegment);
    for (size_t i = begin + 1; i < end; ++i) buf[i] = O::apply(buf[i - 1], buf[i]);
    totals[begin / kSegment] = buf[end - 1];
  }
}

/** Loads elements [begin, begin + n) of a row in the direction of the scan. */
template <typename T, typename A>
void load(const T* row, size_t row_n, size_t begin, size_t n, bool reverse, A* buf) {
  if (reverse) {
    for (size_t i = 0; i < n; ++i) buf[i] = A(row[row_n - 1 - begin - i]);
  } else {
    for (size_t i = 0; i < n; ++i) buf[i] = A(row[begin + i]);
  }
}

template <class O, typename T, typename A>
A scan_range(const T* in, T* out, size_t row_n, size_t begin, size_t end, A carry, const Scan& p,
             bool store) {
  A buf[kBlock + 1];
  for (size_t b = begin; b < end; b += kBlock) {
    size_t n = std::min(kBlock, end - b);
    A totals[4];
    prefetch_ahead(in + b, n * sizeof(T));
    load(in, row_n, b, n, p.reverse(), buf + 1);
    scan_segments<O>(buf + 1, n, totals);
    buf[0] = carry;
    for (size_t first = 0; first < n; first += kSegment) {
      size_t last = std::min(n, first + kSegment);
      if (store) {
        for (size_t i = first; i < last; ++i) buf[i + 1] = O::apply(carry, buf[i + 1]);
      }
      carry = O::apply(carry, totals[first / kSegment]);
    }
    if (!store) continue;
    const A* results = p.inclusive() ? buf + 1 : buf;
    if (p.reverse()) {
      for (size_t i = 0; i < n; ++i) out[row_n - 1 - b - i] = T(results[i]);
    } else {
      for (size_t i = 0; i < n; ++i) out[b + i] = T(results[i]);
    }
  }
  return carry;
}

/** A row of one segment, without the copies that segments need; the same additions. */
template <class O, typename T, typename A>
void scan_short(const T* in, T* out, size_t n, const Scan& p) {
  const bool exclusive = !p.inclusive();
  const ptrdiff_t step = p.reverse() ? -1 : 1;
  if (p.reverse()) in += n - 1, out += n - 1;
  A sum = A(*in);
  if (exclusive) {
    // in and out may be the same memory: the next value is read before its place is written.
    *out = T(O::identity());
    for (size_t i = 1; i < n; ++i) {
      in += step, out += step;
      const A next = A(*in);
      *out = T(O::apply(O::identity(), sum));
      sum = O::apply(sum, next);
    }
    return;
  }
  *out = T(O::apply(O::identity(), sum));
  for (size_t i = 1; i < n; ++i) {
    in += step, out += step;
    sum = O::apply(sum, A(*in));
    *out = T(O::apply(O::identity(), sum));
  }
}

template <class O, typename T, typename A>
void scan_rows(const T* in, T* out, size_t rows, size_t n, const Scan& p) {
  if (n < 4 * kChunk || rows >= 8) {
    parallel_range(rows, std::max<size_t>(1, kChunk / n), [&](size_t begin, size_t end) {
      if (n <= kSegment) {
        for (size_t r = begin; r < end; ++r) scan_short<O, T, A>(in + r * n, out + r * n, n, p);
        return;
      }
      for (size_t r = begin; r < end; ++r) {
        scan_range<O, T, A>(in + r * n, out + r * n, n, 0, n, O::identity(), p, true);
      }
    });
    return;
  }
  size_t chunks = (n + kChunk - 1) / kChunk;
  std::vector<A> carry(chunks);
  for (size_t r = 0; r < rows; ++r) {
    auto chunk = [&](size_t c, A from, bool store) {
      return scan_range<O, T, A>(in + r * n, out + r * n, n, c * kChunk,
                                 std::min(n, (c + 1) * kChunk), from, p, store);
    };
    parallel_for(chunks, [&](int64_t c) { carry[c] = chunk(c, O::identity(), false); });
    A sum = O::identity();
    for (size_t c = 0; c < chunks; ++c) {
      A total = carry[c];
      carry[c] = sum;
      sum = O::apply(sum, total);
    }
    parallel_for(chunks, [&](int64_t c) { chunk(c, carry[c], true); });
  }
}

/** Rows whose elements are `inner` apart run side by side; every kStretch elements the sum so far
 * is put away. */
template <class O, typename T, typename A>
void scan_columns(const T* in, T* out, size_t outer, size_t n, size_t inner, const Scan& p) {
  constexpr size_t kColumns = 256, kStretch = 256;
  size_t groups = (inner + kColumns - 1) / kColumns;
  size_t work = n * std::min(inner, kColumns);
  parallel_range(outer * groups, std::max<size_t>(1, kChunk / work), [&](size_t begin, size_t end) {
    A carry[kColumns], local[kColumns];
    for (size_t g = begin; g < end; ++g) {
      size_t first = g % groups * kColumns, w = std::min(kColumns, inner - first);
      size_t base = g / groups * n * inner + first;
      std::fill_n(carry, w, O::identity());
      std::fill_n(local, w, O::identity());
      for (size_t i = 0; i < n; ++i) {
        size_t at = base + (p.reverse() ? n - 1 - i : i) * inner;
        const T* from = in + at;
        T* to = out + at;
        if (p.inclusive()) {
          for (size_t c = 0; c < w; ++c) {
            local[c] = O::apply(local[c], A(from[c]));
            to[c] = T(O::apply(carry[c], local[c]));
          }
        } else {
          for (size_t c = 0; c < w; ++c) {
            A v = A(from[c]);  // in and out may be the same memory
            to[c] = T(O::apply(carry[c], local[c]));
            local[c] = O::apply(local[c], v);
          }
        }
        if (i % kStretch == kStretch - 1) {
          for (size_t c = 0; c < w; ++c) {
            carry[c] = O::apply(carry[c], local[c]);
            local[c] = O::identity();
          }
        }
      }
    }
  });
}

/** log of a running sum of exponentials: the greatest exponent so far, and the sum relative to it.
 */
template <typename A>
struct LogSum {
  A greatest = -std::numeric_limits<A>::infinity();
  A sum = 0;

  void add(A x) {
    if (x > greatest) {
      sum = sum * std::exp(greatest - x) + A(1);
      greatest = x;
    } else if (x == greatest) {
      sum += A(1);
    } else {
      sum += std::exp(x - greatest);
    }
  }
  A value() const { return greatest + std::log(sum); }
};

template <>
struct LogSum<complex64_t> {
  float greatest = -INFINITY;
  std::complex<float> sum = 0;

  void add(complex64_t x) {
    if (x.real() > greatest) {
      sum *= std::isinf(greatest) ? 0.0f : std::exp(greatest - x.real());
      greatest = x.real();
    }
    float scale = x.real() == greatest ? 1.0f : std::exp(x.real() - greatest);
    sum += std::polar(scale, x.imag());
  }
  complex64_t value() const {
    if (greatest == -INFINITY) return {-INFINITY, 0};
    return std::complex<float>(greatest) + std::log(sum);
  }
};

template <typename T, typename A>
void log_sum_rows(const T* in, T* out, size_t rows, size_t n, size_t inner, const Scan& p) {
  constexpr size_t kColumns = 16;  // a cache line's worth of rows at once
  size_t groups = (inner + kColumns - 1) / kColumns;
  parallel_range(rows / inner * groups, std::max<size_t>(1, 1024 / n),
                 [&](size_t begin, size_t end) {
                   for (size_t g = begin; g < end; ++g) {
                     size_t first = g % groups * kColumns, w = std::min(kColumns, inner - first);
                     size_t base = g / groups * n * inner + first;
                     LogSum<A> sums[kColumns];
                     for (size_t i = 0; i < n; ++i) {
                       size_t at = base + (p.reverse() ? n - 1 - i : i) * inner;
                       for (size_t c = 0; c < w; ++c) {
                         A v = A(in[at + c]);
                         if (p.inclusive()) sums[c].add(v);
                         out[at + c] = T(sums[c].value());
                         if (!p.inclusive()) sums[c].add(v);
                       }
                     }
                   }
                 });
}

void scan(const Scan& p, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array& out = outputs[0];
  const array& x = inputs[0];
  allocate_or_donate(x, out);  // before another handle of x exists
  array in = row_contiguous(x);
  if (out.size() == 0) return;
  size_t n = in.shape(p.axis()), inner = 1;
  for (size_t d = p.axis() + 1; d < in.ndim(); ++d) inner *= in.shape(d);
  size_t rows = in.size() / n;
  dispatch_all_types(in.dtype(), [&](auto t) {
    using T = MLX_GET_TYPE(t);
    using A = Accumulator<T>;
    const T* from = in.data<T>();
    T* to = out.data<T>();
    auto run = [&]<Scan::ReduceType type>() {
      using O = Op<type, A>;
      if (inner == 1)
        scan_rows<O, T, A>(from, to, rows, n, p);
      else
        scan_columns<O, T, A>(from, to, rows / inner, n, inner, p);
    };
    switch (p.reduce_type()) {
      case Scan::Max:
        return run.template operator()<Scan::Max>();
      case Scan::Min:
        return run.template operator()<Scan::Min>();
      case Scan::Sum:
        return run.template operator()<Scan::Sum>();
      case Scan::Prod:
        return run.template operator()<Scan::Prod>();
      default:
        if constexpr (std::is_floating_point_v<A> || is_complex<A>) {
          log_sum_rows<T, A>(from, to, rows, n, inner, p);
        }
    }
  });
}

const RegisterKernel<Scan> scan_kernel{Device::cpu, &scan};

}  // namespace

}  // namespace mlx::core::cpu
