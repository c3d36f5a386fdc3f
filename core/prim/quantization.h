// core/prim/quantization.h: the parameters of a quantised matrix, and the checks that all functions
// of quantised matrices share.
#pragma once

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "mlx/array.h"
#include "mlx/quantization.h"
#include "mlx/utils.h"

namespace mlx::core {

struct Quantization {
  int group_size;
  int bits;
  QuantizationMode mode = QuantizationMode::Affine;
  bool operator==(const Quantization&) const = default;
  auto fields() const { return std::tie(group_size, bits, mode); }
  bool affine() const { return mode == QuantizationMode::Affine; }
};

std::string to_string(QuantizationMode mode);

/** Parameters with the mode's own where the caller leaves them open; throws for those no mode has.
 * The group size of the mode affine is checked apart. */
Quantization checked_quantization(const char* op, std::optional<int> group_size,
                                  std::optional<int> bits, const std::string& mode);
void check_group_size(const char* op, const Quantization& p);

/** Throws unless packed words, scales and biases fit each other. */
void check_packed(const char* op, const array& w, const array& scales,
                  const std::optional<array>& biases, const Quantization& p);

/** Throws unless x fits a quantised matrix (its transpose). */
void check_columns(const char* op, const array& x, const array& w, const Quantization& p,
                   bool transpose);

/** Throws if there is a global scale and the mode has none, or if it is no float32 of one element.
 */
void check_global_scale(const char* op, const std::optional<array>& scale, const Quantization& p);

/** A global scale says what the largest value is: the largest product of codes and scales, 6 * 448,
 * stands for it. */
constexpr float kLargestNvfp4 = 6.0f * 448.0f;

/** Values in a row of packed words. */
int values_in(const array& w, const Quantization& p);

/** Sums of grad * q and of grad over each group: the cotangents of affine scales and biases. */
array group_gradient(const array& grad, const array& w, const array& like, const Quantization& p,
                     bool of_scales, Stream s);

/** All batched inputs with the batch axis in front. */
std::vector<array> batch_first(const std::vector<array>& inputs, const std::vector<int>& axes,
                               Stream s);
/** Gives every array the batch axis that some have. */
void share_batch(std::vector<array>& arrays, const std::vector<bool>& batched, Stream s);

}  // namespace mlx::core
