// backend/cpu/fft/transform.cpp: lines and columns of arrays as blocks of columns.
#include "backend/cpu/fft/transform.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/fft/kernels.h"
#include "backend/cpu/parallel.h"
#include "mlx/allocator.h"

namespace mlx::core::cpu::fft {

namespace {

constexpr size_t kBlockBytes = 1 << 16;      // a line whose block is smaller is one block
constexpr size_t kLongestColumn = 2048;      // longer ones are copied together and done as lines
constexpr size_t kShared = size_t(1) << 16;  // a line this long is shared among threads
constexpr size_t kTask = size_t(1) << 15;    // elements of a task of shorter ones
constexpr size_t kKeptBytes = size_t(1) << 22;

/** Working memory of one use: kept per thread and use while small, else from the allocator, whose
 * cache saves the system from giving out new pages each time. */
template <typename T>
class Memory {
 public:
  Memory(Scratch& kept, size_t n) {
    const size_t bytes = n * sizeof(T);
    if (bytes <= kKeptBytes) {
      data_ = static_cast<T*>(kept.get(bytes));
    } else {
      large_.emplace(allocator::malloc(bytes));
      data_ = static_cast<T*>(large_->buffer().raw_ptr());
    }
  }
  T* data() const { return data_; }

 private:
  std::optional<allocator::Data> large_;
  T* data_;
};

template <typename T>
size_t padded_width(size_t n) {
  return (n + kWidth<T> - 1) / kWidth<T> * kWidth<T>;
}

template <typename T>
Block<T> swapped(Block<T> b) {
  return {b.im, b.re};
}

/** The inverse is the transform with real and imaginary parts exchanged before and after. */
template <typename T>
Block<T> turned(Block<T> b, bool inverse) {
  return inverse ? swapped(b) : b;
}

template <typename T>
bool goes_by_lines(size_t n) {
  const auto plan = plan_for<T>(n);
  return plan->rows > 0 || (plan->padded > 0 && plan->padded_plan->rows > 0);
}

/** Columns [n][kWidth] by a plan of any kind. data and work hold columns_size(plan) values. */
template <typename T>
size_t columns_size(const Plan<T>& plan) {
  return (std::max(plan.n, plan.padded) + 1) * kWidth<T>;
}

template <typename T>
void multiply_rows(Block<T> b, const Planar<T>& w, size_t n, bool conjugate) {
  constexpr size_t kW = kWidth<T>;
  for (size_t k = 0; k < n; ++k) {
    const T wr = w.re[k], wi = conjugate ? -w.im[k] : w.im[k];
    for (size_t i = k * kW; i < (k + 1) * kW; ++i) {
      const T re = b.re[i], im = b.im[i];
      b.re[i] = re * wr - im * wi;
      b.im[i] = re * wi + im * wr;
    }
  }
}

template <typename T>
Block<T> columns(const Plan<T>& plan, Block<T> data, Block<T> work) {
  constexpr size_t kW = kWidth<T>;
  const auto& k = kernels(T());
  if (plan.padded == 0) return k.passes(plan, data, work, kW);
  const auto other = [&](Block<T> b) { return b.re == data.re || b.re == data.im ? work : data; };
  multiply_rows(data, plan.chirp, plan.n, false);
  for (T* part : {data.re, data.im}) {
    std::fill(part + plan.n * kW, part + plan.padded * kW, T(0));
  }
  Block<T> b = k.passes(*plan.padded_plan, data, work, kW);
  multiply_rows(b, plan.chirp_spectrum, plan.padded, false);
  b = swapped(k.passes(*plan.padded_plan, swapped(b), swapped(other(b)), kW));
  multiply_rows(b, plan.chirp, plan.n, false);
  return b;
}

/** A line as a matrix of rows and columns; see transform.h. */
template <typename T>
void split_line(const Plan<T>& plan, const std::complex<T>* in, std::complex<T>* out, bool inverse,
                T scale) {
  static thread_local Scratch kept_middle;
  static thread_local Scratch kept_block;
  const auto& k = kernels(T());
  const size_t rows = plan.rows, cols = plan.columns;
  const size_t wide_rows = padded_width<T>(rows), wide_cols = padded_width<T>(cols);
  const bool whole = 2 * sizeof(T) * std::max(rows * wide_cols, cols * wide_rows) <= kBlockBytes;

  Memory<T> middle_memory(kept_middle, 2 * cols * wide_rows);
  const Block<T> middle{middle_memory.data(), middle_memory.data() + cols * wide_rows};
  if (wide_rows != rows) {
    for (T* part : {middle.re, middle.im}) {
      for (size_t c = 0; c < cols; ++c) {
        std::fill(part + c * wide_rows + rows, part + (c + 1) * wide_rows, T(0));
      }
    }
  }

  const size_t first_width = whole ? wide_cols : kWidth<T>;
  parallel_for(int64_t((cols + first_width - 1) / first_width), [&](int64_t task) {
    const size_t c0 = size_t(task) * first_width, some = std::min(first_width, cols - c0);
    const size_t size = rows * first_width;
    Memory<T> memory(kept_block, 4 * size);
    T* m = memory.data();
    Block<T> data{m, m + size}, work{m + 2 * size, m + 3 * size};
    for (size_t r = 0; r < rows; ++r) {
      Block<T> row{data.re + r * first_width, data.im + r * first_width};
      k.split(in + r * cols + c0, turned(row, inverse), some);
      if (some < first_width) {
        std::fill(row.re + some, row.re + first_width, T(0));
        std::fill(row.im + some, row.im + first_width, T(0));
      }
    }
    const Block<T> b = k.passes(*plan.row_plan, data, work, first_width);
    k.turn(b, first_width, {middle.re + c0 * wide_rows, middle.im + c0 * wide_rows}, wide_rows,
           rows, some, plan.between.re.data() + c0 * rows, plan.between.im.data() + c0 * rows);
  });

  const size_t second_width = whole ? wide_rows : kWidth<T>;
  parallel_for(int64_t((rows + second_width - 1) / second_width), [&](int64_t task) {
    const size_t k0 = size_t(task) * second_width, some = std::min(second_width, rows - k0);
    const size_t size = cols * second_width;
    Memory<T> memory(kept_block, 4 * size);
    T* m = memory.data();
    Block<T> data{m, m + size}, work{m + 2 * size, m + 3 * size};
    if (whole) {
      data = middle;
    } else {
      for (size_t c = 0; c < cols; ++c) {
        const size_t bytes = second_width * sizeof(T);
        std::memcpy(data.re + c * second_width, middle.re + c * wide_rows + k0, bytes);
        std::memcpy(data.im + c * second_width, middle.im + c * wide_rows + k0, bytes);
      }
    }
    const Block<T> b = turned(k.passes(*plan.column_plan, data, work, second_width), inverse);
    for (size_t c = 0; c < cols; ++c) {
      k.join({b.re + c * second_width, b.im + c * second_width}, out + c * rows + k0, some, scale);
    }
  });
}

/** As a convolution with the chirp. */
template <typename T>
void bluestein_line(const Plan<T>& plan, const std::complex<T>* in, std::complex<T>* out,
                    bool inverse, T scale) {
  static thread_local Scratch kept;
  const size_t n = plan.n, m = plan.padded;
  Memory<std::complex<T>> memory(kept, m);
  std::complex<T>* a = memory.data();
  const auto times = [](std::complex<T> x, T wr, T wi) {
    return std::complex<T>(x.real() * wr - x.imag() * wi, x.real() * wi + x.imag() * wr);
  };
  const T sign = inverse ? T(-1) : T(1);  // the inverse has conjugate roots
  for (size_t k = 0; k < n; ++k) {
    a[k] = times({in[k].real(), sign * in[k].imag()}, plan.chirp.re[k], plan.chirp.im[k]);
  }
  std::fill(a + n, a + m, std::complex<T>());
  line(*plan.padded_plan, a, a, false, T(1));
  for (size_t k = 0; k < m; ++k) {
    a[k] = times(a[k], plan.chirp_spectrum.re[k], plan.chirp_spectrum.im[k]);
  }
  line(*plan.padded_plan, a, a, true, scale);
  for (size_t k = 0; k < n; ++k) {
    const std::complex<T> y = times(a[k], plan.chirp.re[k], plan.chirp.im[k]);
    out[k] = {y.real(), sign * y.imag()};
  }
}

/** Up to kWidth lines of n numbers, `stride` apart. */
template <typename T>
void load_lines(const std::complex<T>* in, size_t lines, size_t stride, size_t n, Block<T> out) {
  constexpr size_t kW = kWidth<T>;
  if (lines == kW) return kernels(T()).lines_to_columns(in, stride, n, out);
  for (size_t k = 0; k < n; ++k) {
    for (size_t l = 0; l < kW; ++l) {
      const std::complex<T> v = l < lines ? in[l * stride + k] : std::complex<T>();
      out.re[k * kW + l] = v.real(), out.im[k * kW + l] = v.imag();
    }
  }
}

template <typename T>
void store_lines(Block<T> in, size_t n, std::complex<T>* out, size_t lines, size_t stride,
                 T scale) {
  constexpr size_t kW = kWidth<T>;
  if (lines == kW) return kernels(T()).columns_to_lines(in, n, out, stride, scale);
  for (size_t l = 0; l < lines; ++l) {
    for (size_t k = 0; k < n; ++k) {
      out[l * stride + k] = {scale * in.re[k * kW + l], scale * in.im[k * kW + l]};
    }
  }
}

/** Working blocks for columns(), from memory of the thread. */
template <typename T>
class ColumnMemory {
 public:
  explicit ColumnMemory(const Plan<T>& plan)
      : size_(columns_size(plan)), memory_(kept(), 4 * size_) {}
  Block<T> data() const { return {at(0), at(1)}; }
  Block<T> work() const { return {at(2), at(3)}; }

 private:
  static Scratch& kept() {
    static thread_local Scratch scratch;
    return scratch;
  }
  T* at(size_t i) const { return memory_.data() + i * size_; }
  size_t size_;
  Memory<T> memory_;
};

/** Calls body(first, count) for groups of up to kWidth of n lines. */
template <typename T, typename F>
void for_groups(size_t n, size_t length, F&& body) {
  constexpr size_t kW = kWidth<T>;
  const size_t groups = (n + kW - 1) / kW;
  parallel_range(int64_t(groups), int64_t(std::max<size_t>(1, kTask / (kW * length))),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t g = begin; g < end; ++g) {
                     body(size_t(g) * kW, std::min(kW, n - size_t(g) * kW));
                   }
                 });
}

/** Calls body(i) for n lines: one after the other where each is shared among threads. */
template <typename F>
void for_lines(size_t n, size_t length, F&& body) {
  if (length >= kShared) {
    for (size_t i = 0; i < n; ++i) body(i);
    return;
  }
  parallel_range(int64_t(n), int64_t(std::max<size_t>(1, kTask / length)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) body(size_t(i));
                 });
}

/** Columns too long for a block: some are copied together, each as a line. */
template <typename T>
void long_columns(const Plan<T>& plan, const std::complex<T>* in, std::complex<T>* out, Lines x,
                  bool inverse, T scale) {
  constexpr size_t kTogether = 64 / sizeof(std::complex<T>);
  static thread_local Scratch kept;
  const size_t groups = (x.inner + kTogether - 1) / kTogether;
  for_lines(x.outer * groups, x.n * kTogether, [&](size_t g) {
    const size_t first = g % groups * kTogether, some = std::min(kTogether, x.inner - first);
    const size_t base = g / groups * x.n * x.inner + first;
    Memory<std::complex<T>> memory(kept, x.n * some);
    std::complex<T>* lines = memory.data();
    for (size_t k = 0; k < x.n; ++k) {
      for (size_t l = 0; l < some; ++l) lines[l * x.n + k] = in[base + k * x.inner + l];
    }
    for (size_t l = 0; l < some; ++l) {
      line(plan, lines + l * x.n, lines + l * x.n, inverse, scale);
    }
    for (size_t k = 0; k < x.n; ++k) {
      for (size_t l = 0; l < some; ++l) out[base + k * x.inner + l] = lines[l * x.n + k];
    }
  });
}

/** Columns that are neighbours in memory, or (few neighbours) any kWidth of them. */
template <typename T>
void short_columns(const Plan<T>& plan, const std::complex<T>* in, std::complex<T>* out, Lines x,
                   bool inverse, T scale) {
  constexpr size_t kW = kWidth<T>;
  const auto& kernel = kernels(T());
  const bool neighbours = x.inner >= kW / 2;
  const size_t groups = (x.inner + kW - 1) / kW;  // of neighbours, for each outer position
  const size_t n = neighbours ? x.outer * groups * kW : x.outer * x.inner;
  for_groups<T>(n, x.n, [&](size_t first, size_t some) {
    const ColumnMemory<T> memory(plan);
    const Block<T> data = memory.data();
    if (neighbours) {
      const size_t g = first / kW, i = g % groups * kW;
      const size_t base = g / groups * x.n * x.inner + i;
      some = std::min(kW, x.inner - i);
      for (size_t k = 0; k < x.n; ++k) {
        const Block<T> row{data.re + k * kW, data.im + k * kW};
        kernel.split(in + base + k * x.inner, row, some);
        if (some == kW) continue;
        std::fill(row.re + some, row.re + kW, T(0));
        std::fill(row.im + some, row.im + kW, T(0));
      }
      const Block<T> b =
          turned(columns(plan, turned(data, inverse), turned(memory.work(), inverse)), inverse);
      for (size_t k = 0; k < x.n; ++k) {
        kernel.join({b.re + k * kW, b.im + k * kW}, out + base + k * x.inner, some, scale);
      }
      return;
    }
    size_t offsets[kW];
    for (size_t l = 0; l < some; ++l) {
      offsets[l] = (first + l) / x.inner * x.n * x.inner + (first + l) % x.inner;
    }
    for (size_t k = 0; k < x.n; ++k) {
      for (size_t l = 0; l < kW; ++l) {
        const std::complex<T> v = l < some ? in[offsets[l] + k * x.inner] : std::complex<T>();
        data.re[k * kW + l] = v.real(), data.im[k * kW + l] = v.imag();
      }
    }
    const Block<T> b =
        turned(columns(plan, turned(data, inverse), turned(memory.work(), inverse)), inverse);
    for (size_t k = 0; k < x.n; ++k) {
      for (size_t l = 0; l < some; ++l) {
        out[offsets[l] + k * x.inner] = {scale * b.re[k * kW + l], scale * b.im[k * kW + l]};
      }
    }
  });
}

}  // namespace

template <typename T>
void line(const Plan<T>& plan, const std::complex<T>* in, std::complex<T>* out, bool inverse,
          T scale) {
  if (plan.rows > 0) return split_line(plan, in, out, inverse, scale);
  if (plan.padded > 0) return bluestein_line(plan, in, out, inverse, scale);
  const ColumnMemory<T> memory(plan);
  load_lines(in, 1, plan.n, plan.n, memory.data());
  const Block<T> b = columns(plan, turned(memory.data(), inverse), turned(memory.work(), inverse));
  store_lines(turned(b, inverse), plan.n, out, 1, plan.n, scale);
}

template <typename T>
void complex_to_complex(const std::complex<T>* in, std::complex<T>* out, Lines x, bool inverse,
                        T scale) {
  const auto plan = plan_for<T>(x.n);
  if (x.inner > 1) {
    const bool is_short = std::max(x.n, plan->padded) <= kLongestColumn;
    return is_short ? short_columns(*plan, in, out, x, inverse, scale)
                    : long_columns(*plan, in, out, x, inverse, scale);
  }
  if (goes_by_lines<T>(x.n)) {
    return for_lines(x.outer, x.n,
                     [&](size_t i) { line(*plan, in + i * x.n, out + i * x.n, inverse, scale); });
  }
  for_groups<T>(x.outer, x.n, [&](size_t first, size_t some) {
    const ColumnMemory<T> memory(*plan);
    load_lines(in + first * x.n, some, x.n, x.n, memory.data());
    const Block<T> b =
        columns(*plan, turned(memory.data(), inverse), turned(memory.work(), inverse));
    store_lines(turned(b, inverse), x.n, out + first * x.n, some, x.n, scale);
  });
}

#define MICA_FFT_INSTANTIATE(T)                                                             \
  template void line<T>(const Plan<T>&, const std::complex<T>*, std::complex<T>*, bool, T); \
  template void complex_to_complex<T>(const std::complex<T>*, std::complex<T>*, Lines, bool, T);
MICA_FFT_INSTANTIATE(float)
MICA_FFT_INSTANTIATE(double)
#undef MICA_FFT_INSTANTIATE

}  // namespace mlx::core::cpu::fft
