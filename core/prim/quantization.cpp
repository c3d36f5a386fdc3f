// core/prim/quantization.cpp
#include "core/prim/quantization.h"

#include "mlx/ops.h"

namespace mlx::core {

namespace {

using Arrays = std::vector<array>;

std::string shape_of(const array& a) { return to_string(a.shape()); }

[[noreturn]] void fail(const char* op, const std::string& text) {
  throw std::invalid_argument(std::string("[") + op + "] " + text);
}

}  // namespace

std::string to_string(QuantizationMode mode) {
  constexpr const char* kNames[] = {"affine", "mxfp4", "mxfp8", "nvfp4"};
  return kNames[static_cast<int>(mode)];
}

Quantization checked_quantization(const char* op, std::optional<int> group_size,
                                  std::optional<int> bits, const std::string& mode) {
  if (mode == "affine") {
    Quantization p{group_size.value_or(64), bits.value_or(4)};
    if (p.bits < 1 || p.bits == 7 || p.bits > 8) {
      fail(op, "The requested number of bits " + std::to_string(p.bits) +
                   " is not supported. The supported bits are 1, 2, 3, 4, 5, 6 and 8.");
    }
    return p;
  }
  constexpr Quantization kModes[] = {{32, 4, QuantizationMode::Mxfp4},
                                     {32, 8, QuantizationMode::Mxfp8},
                                     {16, 4, QuantizationMode::Nvfp4}};
  for (const Quantization& p : kModes) {
    if (mode != to_string(p.mode)) continue;
    if (group_size.value_or(p.group_size) != p.group_size) {
      fail(op, mode + " quantization requires group size " + std::to_string(p.group_size) +
                   " but got " + std::to_string(*group_size) + ".");
    }
    if (bits.value_or(p.bits) != p.bits) {
      fail(op, mode + " quantization requires bits to be " + std::to_string(p.bits) + " but got " +
                   std::to_string(*bits) + ".");
    }
    return p;
  }
  fail(op, "Invalid quantization mode '" + mode + "'.");
}

void check_group_size(const char* op, const Quantization& p) {
  if (p.affine() && p.group_size != 32 && p.group_size != 64 && p.group_size != 128) {
    fail(op, "The requested group size " + std::to_string(p.group_size) +
                 " is not supported. The supported group sizes are 32, 64, and 128.");
  }
}

void check_packed(const char* op, const array& w, const array& scales,
                  const std::optional<array>& biases, const Quantization& p) {
  if (p.affine() && !biases) fail(op, "Biases must be provided for affine quantization.");
  if (!p.affine() && biases) {
    fail(op, "Biases must be null for quantization mode '" + to_string(p.mode) + "'.");
  }
  check_group_size(op, p);
  if (w.dtype() != uint32) {
    fail(op, std::string("The weight matrix should be uint32 but received ") +
                 dtype_to_string(w.dtype()) + ".");
  }
  if (!p.affine() && scales.dtype() != uint8) {
    fail(op, std::string("Scale type must be uint8 but received type ") +
                 dtype_to_string(scales.dtype()) + ".");
  }
  if (w.ndim() < 2 || scales.ndim() < 2) {
    fail(op, "The matrix and scales must have at least 2 dimensions but have shapes " +
                 shape_of(w) + " and " + shape_of(scales) + ".");
  }
  if (biases && scales.shape() != biases->shape()) {
    fail(op, "Scales and biases should have the same shape. Received scales with shape " +
                 shape_of(scales) + " and biases with " + shape_of(*biases) + ".");
  }
  bool fits = w.ndim() == scales.ndim() &&
              static_cast<int64_t>(w.shape(-1)) * 32 ==
                  static_cast<int64_t>(scales.shape(-1)) * p.group_size * p.bits;
  for (int i = 0; fits && i + 1 < static_cast<int>(w.ndim()); ++i)
    fits = w.shape(i) == scales.shape(i);
  if (!fits) {
    fail(op, std::string("Shape of scales ") + (p.affine() ? "and biases does" : "does") +
                 " not match the matrix given the quantization parameters. Provided matrix of "
                 "shape " +
                 shape_of(w) + " and scales of shape " + shape_of(scales) + " with group_size=" +
                 std::to_string(p.group_size) + " and bits=" + std::to_string(p.bits) + ".");
  }
}

void check_columns(const char* op, const array& x, const array& w, const Quantization& p,
                   bool transpose) {
  int columns = values_in(w, p), rows = w.shape(-2);
  if (x.shape(-1) == (transpose ? columns : rows)) return;
  fail(op, "Last dimension of first input with shape " + shape_of(x) +
               " does not match the expanded quantized matrix (" +
               std::to_string(transpose ? columns : rows) + ", " +
               std::to_string(transpose ? rows : columns) + ") computed from shape " + shape_of(w) +
               " with group_size=" + std::to_string(p.group_size) + ", bits=" +
               std::to_string(p.bits) + " and transpose=" + (transpose ? "true" : "false"));
}

void check_global_scale(const char* op, const std::optional<array>& scale, const Quantization& p) {
  if (!scale) return;
  if (p.mode != QuantizationMode::Nvfp4)
    fail(op, "Global scale is only supported for 'nvfp4' quantization mode.");
  if (scale->size() != 1)
    fail(op, "Global scale must be a scalar but got shape " + shape_of(*scale) + ".");
  if (scale->dtype() != float32) {
    fail(op, std::string("Global scale must have dtype float32 but got ") +
                 dtype_to_string(scale->dtype()) + ".");
  }
}

Arrays batch_first(const Arrays& inputs, const std::vector<int>& axes, Stream s) {
  Arrays out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    out.push_back(axes[i] > 0 ? moveaxis(inputs[i], axes[i], 0, s) : inputs[i]);
  }
  return out;
}

void share_batch(Arrays& arrays, const std::vector<bool>& batched, Stream s) {
  int n = -1;
  for (size_t i = 0; i < arrays.size(); ++i) {
    if (batched[i]) n = arrays[i].shape(0);
  }
  for (size_t i = 0; i < arrays.size(); ++i) {
    if (batched[i] || n < 0) continue;
    Shape shape = arrays[i].shape();
    shape.insert(shape.begin(), n);
    arrays[i] = broadcast_to(expand_dims(arrays[i], 0, s), shape, s);
  }
}

int values_in(const array& w, const Quantization& p) {
  return static_cast<int>(static_cast<int64_t>(w.shape(-1)) * 32 / p.bits);
}

array group_gradient(const array& grad, const array& w, const array& like, const Quantization& p,
                     bool of_scales, Stream s) {
  array g = grad;
  if (of_scales) {
    array q = dequantize(w, ones_like(like, s), zeros_like(like, s), p.group_size, p.bits, "affine",
                         std::nullopt, std::nullopt, s);
    g = multiply(g, q, s);
  }
  g = unflatten(g, -1, {g.shape(-1) / p.group_size, p.group_size}, s);
  return astype(sum(g, -1, false, s), like.dtype(), s);
}

}  // namespace mlx::core
