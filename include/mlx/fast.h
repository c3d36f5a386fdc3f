// include/mlx/fast.h: layers that run as one kernel.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
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

/** log(sum(exp(logits))) - logits[target] along the last axis, in float32 (float64 of float64). */
array cross_entropy(const array& logits, const array& targets, StreamOrDevice s = {});

/**
 * The gated delta rule of linear attention. At each time the state [value, key] of a head is
 * multiplied with its gate, then moved by beta (v - state k) k^T, then read: state q.
 * q and k are (batch, time, key heads, key size), v (batch, time, heads, value size), gates (batch,
 * time, heads) or with a value for each key component, beta (batch, time, heads), mask (batch,
 * time): false steps give 0 and keep the state. Returns the readings, like v, and the last state
 * (batch, heads, value size, key size), float32 (float64 of float64).
 */
std::vector<array> gated_delta_update(const array& queries, const array& keys, const array& values,
                                      const array& gates, const array& beta_,
                                      const std::optional<array>& initial_state = std::nullopt,
                                      const std::optional<array>& mask = std::nullopt,
                                      StreamOrDevice s = {});

using TemplateArg = std::variant<int, bool, Dtype>;
using ScalarArg = std::variant<bool, int, float>;

/** How the text of a Metal kernel is compiled. */
struct CompileOptions {
  enum class MathMode { Safe, Relaxed, Fast };
  MathMode math_mode = MathMode::Safe;
};

/** (inputs, output shapes, output dtypes, grid, threadgroup, template arguments, initial value,
 * verbose, stream). */
using CustomKernelFunction = std::function<std::vector<array>(
    const std::vector<array>&, const std::vector<Shape>&, const std::vector<Dtype>&,
    std::tuple<int, int, int>, std::tuple<int, int, int>,
    std::vector<std::pair<std::string, TemplateArg>>, std::optional<float>, bool, StreamOrDevice)>;

/** A kernel in Metal's language. Without an Apple GPU, calling it throws std::runtime_error. */
CustomKernelFunction metal_kernel(const std::string& name,
                                  const std::vector<std::string>& input_names,
                                  const std::vector<std::string>& output_names,
                                  const std::string& source, const std::string& header = "",
                                  bool ensure_row_contiguous = true, bool atomic_outputs = false,
                                  const CompileOptions& compile_options = {});

/** A kernel in CUDA. Without an NVIDIA GPU, throws std::runtime_error. */
CustomKernelFunction cuda_kernel(const std::string& name,
                                 const std::vector<std::string>& input_names,
                                 const std::vector<std::string>& output_names,
                                 const std::string& source, const std::string& header = "",
                                 bool ensure_row_contiguous = true, int shared_memory = 0);
std::vector<array> precompiled_cuda_kernel(
    const std::string& name, const std::string& compiled_source, const std::vector<array>& inputs,
    const std::vector<Shape>& output_shapes, const std::vector<Dtype>& output_dtypes,
    const std::vector<ScalarArg>& scalars, std::tuple<int, int, int> grid,
    std::tuple<int, int, int> threadgroup, int shared_memory = 0,
    std::optional<float> init_value = std::nullopt, bool ensure_row_contiguous = false,
    StreamOrDevice s = {});

}  // namespace mlx::core::fast
