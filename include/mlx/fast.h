// include/mlx/fast.h: layers that run as one kernel.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mlx/array.h"
#include "mlx/utils.h"

namespace mlx::core::fast {

/** x / sqrt(mean(x^2) + eps) * weight along the last axis; weight is one-dimensional or absent. */
array rms_norm(const array& x, const std::optional<array>& weight, float eps,
               StreamOrDevice s = {});

/** (x - mean) / sqrt(var + eps) * weight + bias along the last axis. */
array layer_norm(const array& x, const std::optional<array>& weight,
                 const std::optional<array>& bias, float eps, StreamOrDevice s = {});

/**
 * Rotary position embedding of x (batch, ..., length, features): rotates the first dims features.
 * Row t is at position scale * (offset + t). Exactly one of base and freqs is given. offset is one
 * integer, or one for each batch entry.
 */
array rope(const array& x, int dims, bool traditional, std::optional<float> base, float scale,
           int offset, const std::optional<array>& freqs = std::nullopt, StreamOrDevice s = {});
array rope(const array& x, int dims, bool traditional, std::optional<float> base, float scale,
           const array& offset, const std::optional<array>& freqs = std::nullopt,
           StreamOrDevice s = {});

/**
 * softmax(scale q k^T + mask) v for q (batch, heads, queries, features), k and v (batch, kv heads,
 * keys, ...). mask_mode is "", "causal" or "array"; mask_arr is boolean (true: visible) or added.
 * Memory does not grow with queries * keys.
 */
array scaled_dot_product_attention(const array& queries, const array& keys, const array& values,
                                   const float scale, const std::string& mask_mode = "",
                                   std::optional<array> mask_arr = {},
                                   const std::optional<array>& sinks = {}, bool force_fused = false,
                                   StreamOrDevice s = {});

}  // namespace mlx::core::fast
