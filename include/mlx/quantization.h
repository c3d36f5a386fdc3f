// include/mlx/quantization.h: how values are stored in few bits.
#pragma once

namespace mlx::core {

/**
 * Affine: integers with a scale and a bias of the input's dtype a group. Mxfp4: 4-bit floats (E2M1)
 * with a power of two for each 32. Mxfp8: 8-bit floats (E4M3), likewise. Nvfp4: 4-bit floats with
 * an 8-bit float (E4M3) for each 16.
 */
enum class QuantizationMode { Affine, Mxfp4, Mxfp8, Nvfp4 };

}  // namespace mlx::core
