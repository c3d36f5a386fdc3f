// backend/cpu/gemm/segments.h: products whose left rows lie in pieces, as the patches of a
// convolution do inside the image.
#pragma once

#include <cstdint>

namespace mlx::core::cpu {

/** Floats that a packed k x n matrix takes. */
int64_t packed_floats(int64_t k, int64_t n);
/**
 * Packs B for multiply_segments from its transpose: column j of B lies at w + j * ldw, in `pieces`
 * of `length` floats that begin at offsets. Splits its work over the pool.
 */
void pack_right(const float* w, int64_t ldw, const int64_t* offsets, int64_t pieces, int64_t length,
                int64_t n, float* packed);

/** Where the left rows lie: `lines` times m rows, each of `segments` pieces of `length` floats. */
struct SegmentedRows {
  const float* data;
  int64_t row_stride, line_stride;
  const int64_t* offsets;  // of the pieces
  int64_t segments, length;
  int64_t lines, m;
};

/**
 * C[l, i, j] = sum over s, t of data[l line_stride + i row_stride + offsets[s] + t] * B[s length +
 * t, j] for n columns: B has segments * length rows. Sums run over s, then t, in one chain an
 * element, or, where B is large, in pieces of some hundred products that are added up.
 */
void multiply_segments(const SegmentedRows& a, const float* packed, int64_t n, float* c,
                       int64_t c_row_stride, int64_t c_line_stride);

/**
 * Each channel by itself: C[l, i, c] = sum over s of data[l line_stride + i row_stride + offsets[s]
 * + c] * w[s, c], with segments of w's rows of `channels` floats.
 */
void multiply_channels(const SegmentedRows& a, const float* w, int64_t channels, float* c,
                       int64_t c_row_stride, int64_t c_line_stride);

}  // namespace mlx::core::cpu
