// backend/cpu/tape/moves.h: items from strided rows to packed ones, and back.
#pragma once

#include <cstdint>

namespace mlx::core::cpu {

/** Strides are in bytes, of any sign; packed items lie together, row after row. */
struct Moves {
  /** out[r, i] = in[r * row_stride + i * stride] for r < rows, i < n */
  void (*gather)(char* out, const char* in, int64_t row_stride, int64_t stride, int64_t rows,
                 int64_t n);
  /** out[r * row_stride + i * stride] = in[r, i] */
  void (*scatter)(char* out, int64_t row_stride, int64_t stride, const char* in, int64_t rows,
                  int64_t n);
  /** n copies of one item */
  void (*splat)(char* out, const char* item, int64_t n);
};

/** For items of 1, 2, 4 or 8 bytes. */
const Moves& moves_of(int itemsize);

/** out[i] = in[i % period] for i < n, of packed items */
void repeat(char* out, const char* in, int64_t period, int64_t n, int itemsize);

}  // namespace mlx::core::cpu
