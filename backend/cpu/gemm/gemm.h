// backend/cpu/gemm/gemm.h: matrix products of any dtype over raw strided memory.
//
//   C[i] = alpha * A[i] B[i] + beta * D[i]      for every matrix i of a batch
//
// A, B and D may have any strides (transposed, broadcast, negative); C's rows are contiguous.
// float16 and bfloat16 accumulate in float32 and round once, at the end; integers wrap. Sums are
// cut by shape alone, so the result has the same bits for every number of threads.
#pragma once

#include <cstdint>
#include <vector>

#include "mlx/dtype.h"

namespace mlx::core::cpu {

/** A matrix operand. Strides count elements. Matrix i of the batch starts at
 *  data + (offsets ? offsets[i] : i * batch_stride). */
struct GemmMatrix {
  const void* data = nullptr;
  int64_t row_stride = 0;
  int64_t col_stride = 0;
  int64_t batch_stride = 0;
  const int64_t* offsets = nullptr;
};

struct GemmArgs {
  Dtype dtype = float32;  // of A, B, C and D; every dtype but bool
  int64_t batch = 1;
  int64_t m = 0, n = 0, k = 0;  // A is m x k, B is k x n; any of them may be 0
  GemmMatrix a, b;
  void* c = nullptr;
  int64_t c_row_stride = 0;    // 0: n
  int64_t c_batch_stride = 0;  // 0: m * row stride
  const int64_t* c_offsets = nullptr;
  double alpha = 1;
  double beta = 0;  // 0: D is not read
  GemmMatrix d;     // strides may be 0, as for a bias; must not overlap C
};

/** Throws std::invalid_argument for a dtype it does not serve. Splits its work over the pool. */
void gemm(const GemmArgs& args);

/** Offsets of each matrix of a batch of this shape, in row-major order: fill GemmMatrix::offsets.
 */
std::vector<int64_t> batch_offsets(const std::vector<int64_t>& shape,
                                   const std::vector<int64_t>& strides);

}  // namespace mlx::core::cpu
