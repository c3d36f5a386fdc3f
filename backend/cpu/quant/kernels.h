// backend/cpu/quant/kernels.h: the two ways quantized_matmul goes, shared between its units only.
#pragma once

#include <algorithm>

#include "backend/cpu/parallel.h"
#include "backend/cpu/quant/quant.h"

namespace mlx::core::cpu {

/** Arguments of quantized_matmul, checked. */
struct QuantizedProduct {
  const void* x;
  Dtype::Val x_dtype;
  size_t x_row;
  size_t m;
  AffineMatrix w;
  bool transpose;
  void* out;
  Dtype::Val out_dtype;
  size_t out_row;
  const QuantizedBatch* batch;  // never null
  size_t count;
};

/** Rows of x up to which the weights are unpacked in registers, against x kept in their order. */
constexpr size_t kMaxDotRows = 8;
/** Of these, as many a pass; more make more passes over rows of w kept in L1. */
constexpr size_t kPass = 4;

/** transpose, m <= kMaxDotRows. */
void quantized_dot(const QuantizedProduct& p);
/** The same for the modes of floats. */
void quantized_dot_floats(const QuantizedProduct& p);
/** The same by dot products of bytes; false, and nothing done, where it isn't for them. */
bool quantized_dot_bytes(const QuantizedProduct& p);
/** The same by products of 16-bit words. */
bool quantized_dot_words(const QuantizedProduct& p);
/** Any m, both layouts. */
void quantized_gemm(const QuantizedProduct& p);

inline size_t dtype_bytes(Dtype::Val dtype) {
  return dtype == Dtype::Val::float32 ? 4 : dtype == Dtype::Val::uint8 ? 1 : 2;
}

inline const void* offset_by(const void* base, size_t elements, Dtype::Val dtype) {
  return static_cast<const char*>(base) + elements * dtype_bytes(dtype);
}
inline void* offset_by(void* base, size_t elements, Dtype::Val dtype) {
  return static_cast<char*>(base) + elements * dtype_bytes(dtype);
}

/** How the rows of w are cut between threads. A slice's weights are 16 kB (they stay in L1 between
 * passes over x; about 1 us), more in large matrices. */
struct SliceOfRows {
  explicit SliceOfRows(const QuantizedProduct& p) {
    constexpr size_t kLeast = 16384;
    constexpr size_t kMost = 131072;
    const size_t row_bytes = packed_words(p.w.cols, p.w.bits) * sizeof(uint32_t);
    const size_t bytes = p.m > kPass ? kLeast : std::clamp(p.w.rows * row_bytes / 4, kLeast, kMost);
    rows = std::max<size_t>(4, bytes / row_bytes / 4 * 4);
    slices = (p.w.rows + rows - 1) / rows;
  }
  size_t rows;
  size_t slices;
};

/** Calls f(batch entry, first row, end of rows) for all slices, split over the pool. */
template <class F>
void for_slices(const QuantizedProduct& p, const F& f) {
  const SliceOfRows cut(p);
  parallel_range(int64_t(cut.slices * p.count), 1, [&](int64_t begin, int64_t end) {
    for (size_t i = size_t(begin); i < size_t(end); ++i) {
      const size_t row = i % cut.slices * cut.rows;
      f(i / cut.slices, row, std::min(p.w.rows, row + cut.rows));
    }
  });
}

}  // namespace mlx::core::cpu
