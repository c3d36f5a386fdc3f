// backend/cpu/quant/quant.h: raw kernels for quantised matrices.
//
// Contracts of every function here: the caller allocates all memory; nothing has to be aligned
// beyond its element type; outputs don't overlap inputs; work is split over the CPU pool by the
// function itself and the bits of the result don't depend on the number of threads. Dtypes outside
// the stated set, or bits and group sizes that affine_supported() refuses, throw
// std::invalid_argument.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mlx/dtype.h"
#include "mlx/quantization.h"

namespace mlx::core::cpu {

// ---- Affine quantisation ----------------------------------------------------------------------
// A row is cut into groups of group_size values; value = scale * q + bias with q of `bits` bits.
// The q of a group are one little-endian bit stream (q[i] is at bits [i*bits, (i+1)*bits)), so a
// group is group_size * bits / 32 whole words whatever the bits, and rows follow each other without
// gaps.

/** bits in {1, 2, 3, 4, 5, 6, 8} and group_size in {32, 64, 128}. */
bool affine_supported(int bits, int group_size);

/** 32-bit words that hold n values, n a multiple of 32. */
constexpr size_t packed_words(size_t n, int bits) { return n / 32 * size_t(bits); }

/**
 * Quantises `groups` contiguous groups. w, scales and biases are float32, float16 or bfloat16
 * (`dtype`). Computed in float32: scale and bias are rounded to dtype, q is found from the
 * unrounded ones. The value of largest magnitude is represented exactly, and so is 0 where the
 * group holds both signs.
 */
void affine_quantize(const void* w, Dtype::Val dtype, size_t groups, int group_size, int bits,
                     uint32_t* packed, void* scales, void* biases);

/**
 * out = scale * q + bias, product and sum rounded to `dtype` each, as Apple's build rounds. scales,
 * biases and out are of dtype (float32, float16 or bfloat16).
 */
void affine_dequantize(const uint32_t* packed, const void* scales, const void* biases,
                       Dtype::Val dtype, size_t groups, int group_size, int bits, void* out);

// ---- Modes of floats: mxfp4, mxfp8, nvfp4
// -------------------------------------------------------- Packed as affine codes of 4 and 8 bits
// are. Scales of mxfp4 and mxfp8 are exponents (2^(s-127)), those of nvfp4 are 8-bit floats. With a
// global scale g, values are multiplied by 2688 / g first.

/** Quantises groups of 32 (nvfp4: 16) values of dtype float32, float16 or bfloat16. The scale is
 * found from the largest magnitude. global_scale 0: none. */
void float_quantize(QuantizationMode mode, const void* w, Dtype::Val dtype, size_t groups,
                    float global_scale, uint32_t* packed, uint8_t* scales);
/** out (float32, float16 or bfloat16) = code * scale, rounded once. */
void float_dequantize(QuantizationMode mode, const uint32_t* packed, const uint8_t* scales,
                      size_t groups, float global_scale, Dtype::Val dtype, void* out);
/** 8-bit floats (E4M3) from and to float32, float16 or bfloat16. */
void to_fp8(const void* in, Dtype::Val dtype, size_t n, uint8_t* out);
void from_fp8(const uint8_t* in, size_t n, Dtype::Val dtype, void* out);

/** A quantised matrix of rows x cols values, cols a multiple of group_size; scales of any of the
 * dtypes. Modes of floats have uint8 scales and no biases. */
struct AffineMatrix {
  const uint32_t* packed;
  const void* scales;
  const void* biases;
  Dtype::Val scale_dtype;  // float32, float16 or bfloat16
  size_t rows;
  size_t cols;
  int group_size;
  int bits;
  QuantizationMode mode = QuantizationMode::Affine;
};

/** Where the parts of one product of a batch begin, in elements (packed: words) from the base
 * pointers. */
struct QuantizedBatch {
  size_t x;
  size_t packed;
  size_t scales;  // also of the biases
  size_t out;
};

/**
 * out = x w^T (transpose: w is [N, K]) or x w (w is [K, N]), for each of `count` batch entries
 * (batch null: one product at the base pointers). x is [M, K] with rows x_row elements apart and
 * unit steps in a row; out is [M, N] with rows out_row apart. x and out are float32, float16 or
 * bfloat16, in any combination; products accumulate in float32. K = 0 gives zeros.
 *
 * M <= 8 with transpose reads the weights once, at memory speed; otherwise panels are dequantised
 * to float32 and go through a GEMM kernel. Scratch: M*K float32 and some hundred kB a thread.
 */
void quantized_matmul(const void* x, Dtype::Val x_dtype, size_t x_row, size_t m,
                      const AffineMatrix& w, bool transpose, void* out, Dtype::Val out_dtype,
                      size_t out_row, const QuantizedBatch* batch = nullptr, size_t count = 1);

}  // namespace mlx::core::cpu
