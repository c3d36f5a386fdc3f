// core/prim/quantized.cpp
#include "core/prim/quantized.h"

#include "mlx/ops.h"

namespace mlx::core {

namespace {

using Arrays = std::vector<array>;

std::string shape_of(const array& a) { return to_string(a.shape()); }

Affine checked_params(const char* op, std::optional<int> group_size, std::optional<int> bits,
                      const std::string& mode) {
  std::string tag = std::string("[") + op + "] ";
  if (mode == "mxfp4" || mode == "mxfp8" || mode == "nvfp4") {
    throw std::invalid_argument(tag + "Quantization mode '" + mode +
                                "' is not available; use 'affine'.");
  }
  if (mode != "affine")
    throw std::invalid_argument(tag + "Invalid quantization mode '" + mode + "'.");
  Affine p{group_size.value_or(64), bits.value_or(4)};
  if (p.bits < 1 || p.bits == 7 || p.bits > 8) {
    throw std::invalid_argument(
        tag + "The requested number of bits " + std::to_string(p.bits) +
        " is not supported. The supported bits are 1, 2, 3, 4, 5, 6 and 8.");
  }
  return p;
}

void check_group_size(const char* op, const Affine& p) {
  if (p.group_size != 32 && p.group_size != 64 && p.group_size != 128) {
    throw std::invalid_argument(
        std::string("[") + op + "] The requested group size " + std::to_string(p.group_size) +
        " is not supported. The supported group sizes are 32, 64, and 128.");
  }
}

void check_packed(const char* op, const array& w, const array& scales,
                  const std::optional<array>& biases, const Affine& p) {
  std::string tag = std::string("[") + op + "] ";
  if (!biases)
    throw std::invalid_argument(tag + "Biases must be provided for affine quantization.");
  check_group_size(op, p);
  if (w.dtype() != uint32) {
    throw std::invalid_argument(tag + "The weight matrix should be uint32 but received " +
                                dtype_to_string(w.dtype()) + ".");
  }
  if (w.ndim() < 2 || scales.ndim() < 2) {
    throw std::invalid_argument(
        tag + "The matrix and scales must have at least 2 dimensions but have shapes " +
        shape_of(w) + " and " + shape_of(scales) + ".");
  }
  if (scales.shape() != biases->shape()) {
    throw std::invalid_argument(
        tag + "Scales and biases should have the same shape. Received scales with shape " +
        shape_of(scales) + " and biases with " + shape_of(*biases) + ".");
  }
  bool fits = w.ndim() == scales.ndim() &&
              static_cast<int64_t>(w.shape(-1)) * 32 ==
                  static_cast<int64_t>(scales.shape(-1)) * p.group_size * p.bits;
  for (int i = 0; fits && i + 1 < static_cast<int>(w.ndim()); ++i)
    fits = w.shape(i) == scales.shape(i);
  if (!fits) {
    throw std::invalid_argument(tag +
                                "Shape of scales and biases does not match the matrix given the "
                                "quantization parameters. Provided matrix of shape " +
                                shape_of(w) + " and scales/biases of shape " + shape_of(scales) +
                                " with group_size=" + std::to_string(p.group_size) +
                                " and bits=" + std::to_string(p.bits) + ".");
  }
}

/** All batched inputs with the batch axis in front; w, scales and biases also if only one of them
 * is. */
Arrays batch_first(const Arrays& inputs, const std::vector<int>& axes, Stream s) {
  Arrays out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    out.push_back(axes[i] > 0 ? moveaxis(inputs[i], axes[i], 0, s) : inputs[i]);
  }
  return out;
}

/** Gives every array the batch axis that some have. */
void share_batch(Arrays& arrays, std::vector<bool> batched, Stream s) {
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

int values_in(const array& w, const Affine& p) {
  return static_cast<int>(static_cast<int64_t>(w.shape(-1)) * 32 / p.bits);
}

/** Sums of grad * q and of grad over each group: the cotangents of scales and biases. */
array group_gradient(const array& grad, const array& w, const array& like, const Affine& p,
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

}  // namespace

// ---- Quantize ----

std::vector<Shape> Quantize::output_shapes(const Arrays& inputs) {
  Shape packed = inputs[0].shape(), groups = packed;
  packed.back() = static_cast<ShapeElem>(static_cast<int64_t>(packed.back()) * params_.bits / 32);
  groups.back() /= params_.group_size;
  return {packed, groups, groups};
}

std::pair<Arrays, std::vector<int>> Quantize::vmap(const Arrays& inputs,
                                                   const std::vector<int>& axes) {
  auto in = batch_first(inputs, axes, stream());
  Dtype t = in[0].dtype();
  auto outs = array::make_arrays(output_shapes(in), {uint32, t, t},
                                 std::make_shared<Quantize>(stream(), params_), in);
  return {outs, {0, 0, 0}};
}

std::vector<array> quantize(const array& w, std::optional<int> group_size, std::optional<int> bits,
                            const std::string& mode, const std::optional<array>& global_scale,
                            StreamOrDevice s) {
  Affine p = checked_params("quantize", group_size, bits, mode);
  if (global_scale)
    throw std::invalid_argument(
        "[quantize] Global scale is only supported for 'nvfp4' quantization.");
  if (!issubdtype(w.dtype(), floating)) {
    throw std::invalid_argument(
        std::string("[quantize] Only real floating types can be quantized but w has type ") +
        dtype_to_string(w.dtype()) + ".");
  }
  if (w.ndim() < 2) {
    throw std::invalid_argument(
        "[quantize] The matrix to be quantized must have at least 2 dimension but it has only " +
        std::to_string(w.ndim()) + ".");
  }
  if (p.group_size <= 0 || w.shape(-1) % p.group_size != 0) {
    throw std::invalid_argument(
        "[quantize] The last dimension of the matrix needs to be divisible by the quantization "
        "group size " +
        std::to_string(p.group_size) + ". However the provided matrix has shape " + shape_of(w));
  }
  check_group_size("quantize", p);
  Stream stream = to_stream(s);
  array in = w.dtype() == float64 ? astype(w, float32, stream) : w;
  auto prim = std::make_shared<Quantize>(stream, p);
  return array::make_arrays(prim->output_shapes({in}), {uint32, in.dtype(), in.dtype()}, prim,
                            {in});
}

// ---- Dequantize ----

std::vector<Shape> Dequantize::output_shapes(const Arrays& inputs) {
  Shape shape = inputs[0].shape();
  shape.back() = values_in(inputs[0], params_);
  return {shape};
}

Arrays Dequantize::vjp(const Arrays& primals, const Arrays& cotangents,
                       const std::vector<int>& argnums, const Arrays&) {
  Arrays result;
  for (int a : argnums) {
    if (a == 0)
      throw std::invalid_argument(
          "[Dequantize::vjp] No gradient with respect to the quantized weights.");
    result.push_back(
        group_gradient(cotangents[0], primals[0], primals[a], params_, a == 1, stream()));
  }
  return result;
}

Arrays Dequantize::jvp(const Arrays& primals, const Arrays& tangents,
                       const std::vector<int>& argnums) {
  array scales = zeros_like(primals[1], stream()), biases = zeros_like(primals[2], stream());
  for (size_t i = 0; i < argnums.size(); ++i) {
    if (argnums[i] == 0)
      throw std::invalid_argument(
          "[Dequantize::jvp] No gradient with respect to the quantized weights.");
    (argnums[i] == 1 ? scales : biases) = tangents[i];
  }
  return {dequantize(primals[0], scales, biases, params_.group_size, params_.bits, "affine",
                     std::nullopt, std::nullopt, stream())};
}

std::pair<Arrays, std::vector<int>> Dequantize::vmap(const Arrays& inputs,
                                                     const std::vector<int>& axes) {
  auto in = batch_first(inputs, axes, stream());
  share_batch(in, {axes[0] >= 0, axes[1] >= 0, axes[2] >= 0}, stream());
  return {{array(output_shapes(in)[0], in[1].dtype(),
                 std::make_shared<Dequantize>(stream(), params_), in)},
          {0}};
}

array dequantize(const array& w, const array& scales, const std::optional<array>& biases,
                 std::optional<int> group_size, std::optional<int> bits, const std::string& mode,
                 const std::optional<array>& global_scale, std::optional<Dtype> dtype,
                 StreamOrDevice s) {
  Affine p = checked_params("dequantize", group_size, bits, mode);
  if (global_scale)
    throw std::invalid_argument(
        "[dequantize] Global scale is only supported for 'nvfp4' quantization.");
  check_packed("dequantize", w, scales, biases, p);
  Stream stream = to_stream(s);
  Dtype t = result_type(scales, *biases);
  if (!issubdtype(t, floating)) {
    throw std::invalid_argument(
        std::string("[dequantize] Scales and biases must be floating point but are ") +
        dtype_to_string(t) + ".");
  }
  if (t == float64) t = float32;
  auto prim = std::make_shared<Dequantize>(stream, p);
  Arrays in{w, astype(scales, t, stream), astype(*biases, t, stream)};
  return astype(array(prim->output_shapes(in)[0], t, prim, in), dtype.value_or(t), stream);
}

// ---- QuantizedMatmul ----

std::vector<Shape> QuantizedMatmul::output_shapes(const Arrays& inputs) {
  const array &x = inputs[0], &w = inputs[1];
  Shape x_batch(x.shape().begin(), x.shape().end() - std::min<size_t>(2, x.ndim()));
  Shape w_batch(w.shape().begin(), w.shape().end() - 2);
  Shape out = w_batch.empty() ? x_batch : broadcast_shapes(x_batch, w_batch);
  if (x.ndim() > 1) out.push_back(x.shape(-2));
  out.push_back(transpose_ ? w.shape(-2) : values_in(w, params_));
  return {out};
}

Arrays QuantizedMatmul::vjp(const Arrays& primals, const Arrays& cotangents,
                            const std::vector<int>& argnums, const Arrays&) {
  Stream s = stream();
  const array &x = primals[0], &w = primals[1];
  Arrays result;
  std::optional<array> dw;  // of the dequantised matrix
  for (int a : argnums) {
    if (a == 0) {
      array g = quantized_matmul(cotangents[0], w, primals[2], primals[3], !transpose_,
                                 params_.group_size, params_.bits, "affine", s);
      if (g.ndim() > x.ndim()) {
        std::vector<int> extra(g.ndim() - x.ndim());
        for (size_t i = 0; i < extra.size(); ++i) extra[i] = static_cast<int>(i);
        g = sum(g, extra, false, s);
      }
      for (int i = 0; i < static_cast<int>(x.ndim()); ++i) {
        if (g.shape(i) != x.shape(i)) g = sum(g, i, true, s);
      }
      result.push_back(astype(g, x.dtype(), s));
      continue;
    }
    if (a == 1)
      throw std::invalid_argument(
          "[QuantizedMatmul::vjp] No gradient with respect to the quantized weights.");
    if (!dw) {
      array g = cotangents[0], xs = x;
      if (xs.ndim() == 1) {
        xs = expand_dims(xs, 0, s);
        g = expand_dims(g, 0, s);
      }
      if (w.ndim() == 2 && xs.ndim() > 2) {
        xs = flatten(xs, 0, -2, s);
        g = flatten(g, 0, -2, s);
      }
      dw = transpose_ ? matmul(swapaxes(g, -1, -2, s), xs, s)
                      : matmul(swapaxes(xs, -1, -2, s), g, s);
      while (dw->ndim() > w.ndim()) *dw = sum(*dw, 0, false, s);
    }
    result.push_back(group_gradient(*dw, w, primals[a], params_, a == 2, s));
  }
  return result;
}

Arrays QuantizedMatmul::jvp(const Arrays& primals, const Arrays& tangents,
                            const std::vector<int>& argnums) {
  Stream s = stream();
  std::optional<array> total;
  for (size_t i = 0; i < argnums.size(); ++i) {
    int a = argnums[i];
    if (a == 1)
      throw std::invalid_argument(
          "[QuantizedMatmul::jvp] No gradient with respect to the quantized weights.");
    array x = a == 0 ? tangents[i] : primals[0];
    array scales = a == 0 ? primals[2] : a == 2 ? tangents[i] : zeros_like(primals[2], s);
    array biases = a == 0 ? primals[3] : a == 3 ? tangents[i] : zeros_like(primals[3], s);
    array part = quantized_matmul(x, primals[1], scales, biases, transpose_, params_.group_size,
                                  params_.bits, "affine", s);
    total = total ? add(*total, part, s) : part;
  }
  return {*total};
}

std::pair<Arrays, std::vector<int>> QuantizedMatmul::vmap(const Arrays& inputs,
                                                          const std::vector<int>& axes) {
  Stream s = stream();
  auto in = batch_first(inputs, axes, s);
  bool w_batched = axes[1] >= 0 || axes[2] >= 0 || axes[3] >= 0;
  if (w_batched) {
    Arrays parts(in.begin() + 1, in.end());
    share_batch(parts, {axes[1] >= 0, axes[2] >= 0, axes[3] >= 0}, s);
    size_t x_item = in[0].ndim() - (axes[0] >= 0);
    bool vector = x_item == 1;
    if (axes[0] < 0) in[0] = expand_dims(in[0], 0, s);
    if (vector) in[0] = expand_dims(in[0], -2, s);
    // The batch axis in front, then ones where an operand has fewer axes, then its own.
    size_t ndim = std::max(in[0].ndim(), parts[0].ndim());
    auto pad = [&](array a) {
      while (a.ndim() < ndim) a = expand_dims(a, 1, s);
      return a;
    };
    array out = quantized_matmul(pad(in[0]), pad(parts[0]), pad(parts[1]), pad(parts[2]),
                                 transpose_, params_.group_size, params_.bits, "affine", s);
    return {{vector ? squeeze(out, -2, s) : out}, {0}};
  }
  return {{quantized_matmul(in[0], in[1], in[2], in[3], transpose_, params_.group_size,
                            params_.bits, "affine", s)},
          {0}};
}

array quantized_matmul(const array& x, const array& w, const array& scales,
                       const std::optional<array>& biases, bool transpose,
                       std::optional<int> group_size, std::optional<int> bits,
                       const std::string& mode, StreamOrDevice s) {
  Affine p = checked_params("quantized_matmul", group_size, bits, mode);
  check_packed("quantized_matmul", w, scales, biases, p);
  if (x.ndim() == 0)
    throw std::invalid_argument(
        "[quantized_matmul] The first input must have at least 1 dimension.");
  int columns = values_in(w, p), rows = w.shape(-2);
  if (x.shape(-1) != (transpose ? columns : rows)) {
    throw std::invalid_argument(
        "[quantized_matmul] Last dimension of first input with shape " + shape_of(x) +
        " does not match the expanded quantized matrix (" +
        std::to_string(transpose ? columns : rows) + ", " +
        std::to_string(transpose ? rows : columns) + ") computed from shape " + shape_of(w) +
        " with group_size=" + std::to_string(p.group_size) + ", bits=" + std::to_string(p.bits) +
        " and transpose=" + (transpose ? "true" : "false"));
  }
  Stream stream = to_stream(s);
  Dtype st = result_type(scales, *biases);
  Dtype t = promote_types(x.dtype(), st);
  if (!issubdtype(t, floating)) {
    throw std::invalid_argument(
        std::string(
            "[quantized_matmul] Only real floating types are supported but the inputs have type ") +
        dtype_to_string(t) + ".");
  }
  Dtype out_t = t;
  if (st == float64) st = float32;
  if (t == float64) t = float32;
  auto prim = std::make_shared<QuantizedMatmul>(stream, p, transpose);
  Arrays in{astype(x, t, stream), w, astype(scales, st, stream), astype(*biases, st, stream)};
  return astype(array(prim->output_shapes(in)[0], t, prim, in), out_t, stream);
}

}  // namespace mlx::core
