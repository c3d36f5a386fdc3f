// core/io/gguf_blocks.h: the blocks in which GGUF files keep quantised tensors. Outputs don't
// overlap inputs; inputs may be unaligned, in a mapped file.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mlx/dtype.h"

namespace mlx::core::io {

/** The block types of GGUF tensors, with the numbers they have in the file. */
enum class GgufType : uint32_t {
  F32 = 0,
  F16 = 1,
  Q4_0 = 2,
  Q4_1 = 3,
  Q5_0 = 6,
  Q5_1 = 7,
  Q8_0 = 8,
  Q2_K = 10,
  Q3_K = 11,
  Q4_K = 12,
  Q5_K = 13,
  Q6_K = 14,
  BF16 = 30,
};

struct GgufBlock {
  const char* name;  // null: a type unknown here
  uint32_t values;   // a block holds
  uint32_t bytes;    // a block takes
};
/** Layout of a type by its number in the file. */
GgufBlock gguf_block(uint32_t type);

/** Bits (4 or 8) of the affine layout that holds this type exactly in groups of 32, or 0. */
int gguf_affine_bits(GgufType type);

/**
 * Rewrites blocks of Q4_0, Q4_1 or Q8_0 as affine groups of 32: `blocks` scales and biases in
 * float16, and blocks * bits words. The values are those of the file (float16 bias: Q4_0 -8 *
 * scale, Q8_0 -128 * scale). `blocks_in` may be unaligned, in a mapped file.
 */
void gguf_to_affine(GgufType type, const void* blocks_in, size_t blocks, uint32_t* packed,
                    float16_t* scales, float16_t* biases);

/** Values of `blocks` blocks of any type above as float32 or float16 (rounded from float32). */
void gguf_dequantize(GgufType type, const void* blocks_in, size_t blocks, void* out,
                     Dtype::Val dtype);

}  // namespace mlx::core::io
