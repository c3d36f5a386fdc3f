// core/prim/quantized.cpp
#include "core/prim/quantized.h"

#include <algorithm>

#include "mlx/ops.h"

namespace mlx::core {

namespace {

using Arrays = std::vector<array>;

std::string shape_of(const array& a) { return to_string(a.shape()); }

std::vector<Dtype> output_dtypes(Dtype t, const Quantization& p) {
  if (p.affine()) return {uint32, t, t};
  return {uint32, uint8};
}

/** The biases among the inputs of a product, where the mode has them. */
std::optional<array> biases_of(const Arrays& inputs) {
  return inputs.size() > 3 ? std::optional<array>(inputs[3]) : std::nullopt;
}

/** Under vmap: global scales for each entry of the batch, which the other inputs then all have. */
void share_global_scale(Arrays& in, const std::vector<int>& axes, size_t at, Stream s) {
  if (in.size() <= at || axes[at] < 0) return;
  int n = in[at].shape(0);
  for (size_t i = 0; i < at; ++i) {
    if (axes[i] >= 0) continue;
    Shape shape = in[i].shape();
    shape.insert(shape.begin(), n);
    in[i] = broadcast_to(expand_dims(in[i], 0, s), shape, s);
  }
}

}  // namespace

// ---- Quantize ----

std::vector<Shape> Quantize::output_shapes(const Arrays& inputs) {
  Shape packed = inputs[0].shape(), groups = packed;
  packed.back() = static_cast<ShapeElem>(static_cast<int64_t>(packed.back()) * params_.bits / 32);
  groups.back() /= params_.group_size;
  if (!params_.affine()) return {packed, groups};
  return {packed, groups, groups};
}

std::pair<Arrays, std::vector<int>> Quantize::vmap(const Arrays& inputs,
                                                   const std::vector<int>& axes) {
  auto in = batch_first(inputs, axes, stream());
  share_global_scale(in, axes, 1, stream());
  auto outs = array::make_arrays(output_shapes(in), output_dtypes(in[0].dtype(), params_),
                                 std::make_shared<Quantize>(stream(), params_), in);
  return {outs, std::vector<int>(outs.size(), 0)};
}

std::vector<array> quantize(const array& w, std::optional<int> group_size, std::optional<int> bits,
                            const std::string& mode, const std::optional<array>& global_scale,
                            StreamOrDevice s) {
  Quantization p = checked_quantization("quantize", group_size, bits, mode);
  check_global_scale("quantize", global_scale, p);
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
  Arrays inputs{in};
  if (global_scale) inputs.push_back(*global_scale);
  return array::make_arrays(prim->output_shapes(inputs), output_dtypes(in.dtype(), p), prim,
                            inputs);
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
    if (a == 0 || !params_.affine())
      throw std::invalid_argument(
          "[Dequantize::vjp] No gradient with respect to the quantized weights, nor to scales in " +
          to_string(params_.mode) + " quantization.");
    result.push_back(
        group_gradient(cotangents[0], primals[0], primals[a], params_, a == 1, stream()));
  }
  return result;
}

Arrays Dequantize::jvp(const Arrays& primals, const Arrays& tangents,
                       const std::vector<int>& argnums) {
  if (!params_.affine()) {
    throw std::invalid_argument("[Dequantize::jvp] No gradient in " + to_string(params_.mode) +
                                " quantization.");
  }
  array scales = zeros_like(primals[1], stream()), biases = zeros_like(primals[2], stream());
  for (size_t i = 0; i < argnums.size(); ++i) {
    if (argnums[i] == 0)
      throw std::invalid_argument(
          "[Dequantize::jvp] No gradient with respect to the quantized weights.");
    (argnums[i] == 1 ? scales : biases) = tangents[i];
  }
  return {dequantize(primals[0], scales, biases, params_.group_size, params_.bits,
                     to_string(params_.mode), std::nullopt, std::nullopt, stream())};
}

std::pair<Arrays, std::vector<int>> Dequantize::vmap(const Arrays& inputs,
                                                     const std::vector<int>& axes) {
  auto in = batch_first(inputs, axes, stream());
  std::vector<bool> batched;
  for (int a : axes) batched.push_back(a >= 0);
  // A global scale may stay alone; if it is batched, all are.
  bool lone_scale = !params_.affine() && in.size() == 3 && axes[2] < 0;
  Arrays rest;
  if (lone_scale) {
    rest.push_back(in[2]);
    in.pop_back();
    batched.pop_back();
  }
  share_batch(in, batched, stream());
  in.insert(in.end(), rest.begin(), rest.end());
  return {{array(output_shapes(in)[0], dtype_,
                 std::make_shared<Dequantize>(stream(), params_, dtype_), in)},
          {0}};
}

array dequantize(const array& w, const array& scales, const std::optional<array>& biases,
                 std::optional<int> group_size, std::optional<int> bits, const std::string& mode,
                 const std::optional<array>& global_scale, std::optional<Dtype> dtype,
                 StreamOrDevice s) {
  Quantization p = checked_quantization("dequantize", group_size, bits, mode);
  check_global_scale("dequantize", global_scale, p);
  check_packed("dequantize", w, scales, biases, p);
  if (dtype && !issubdtype(*dtype, floating)) {
    throw std::invalid_argument(
        std::string("[dequantize] Only real floating types are supported but output dtype == ") +
        dtype_to_string(*dtype) + ".");
  }
  Stream stream = to_stream(s);
  if (!p.affine()) {
    Dtype out_t = dtype.value_or(global_scale ? float32 : bfloat16);
    Dtype t = out_t == float64 ? Dtype(float32) : out_t;
    auto prim = std::make_shared<Dequantize>(stream, p, t);
    Arrays in{w, scales};
    if (global_scale) in.push_back(*global_scale);
    return astype(array(prim->output_shapes(in)[0], t, prim, in), out_t, stream);
  }
  Dtype t = result_type(scales, *biases);
  if (!issubdtype(t, floating)) {
    throw std::invalid_argument(
        std::string("[dequantize] Scales and biases must be floating point but are ") +
        dtype_to_string(t) + ".");
  }
  if (t == float64) t = float32;
  auto prim = std::make_shared<Dequantize>(stream, p, t);
  Arrays in{w, astype(scales, t, stream), astype(*biases, t, stream)};
  return astype(array(prim->output_shapes(in)[0], t, prim, in), dtype.value_or(t), stream);
}

// ---- QuantizedValue ----

Arrays QuantizedValue::vjp(const Arrays& primals, const Arrays& cotangents,
                           const std::vector<int>& argnums, const Arrays&) {
  Arrays result;
  for (int a : argnums) result.push_back(a == 0 ? cotangents[0] : zeros_like(primals[a], stream()));
  return result;
}

Arrays QuantizedValue::jvp(const Arrays& primals, const Arrays& tangents,
                           const std::vector<int>& argnums) {
  for (size_t i = 0; i < argnums.size(); ++i) {
    if (argnums[i] == 0) return {tangents[i]};
  }
  return {zeros_like(primals[0], stream())};
}

std::pair<Arrays, std::vector<int>> QuantizedValue::vmap(const Arrays& inputs,
                                                         const std::vector<int>& axes) {
  auto in = batch_first(inputs, axes, stream());
  share_global_scale(in, axes, 1, stream());
  return {{array(in[0].shape(), in[0].dtype(), std::make_shared<QuantizedValue>(stream(), params_),
                 in)},
          {0}};
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
      array g = quantized_matmul(cotangents[0], w, primals[2], biases_of(primals), !transpose_,
                                 params_.group_size, params_.bits, to_string(params_.mode), s);
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
    if (!params_.affine()) {
      throw std::invalid_argument("[QuantizedMatmul::vjp] No gradient with respect to scales in " +
                                  to_string(params_.mode) + " quantization.");
    }
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
    if (a > 1 && !params_.affine()) {
      throw std::invalid_argument("[QuantizedMatmul::jvp] No gradient with respect to scales in " +
                                  to_string(params_.mode) + " quantization.");
    }
    array x = a == 0 ? tangents[i] : primals[0];
    array scales = a == 0 ? primals[2] : a == 2 ? tangents[i] : zeros_like(primals[2], s);
    std::optional<array> biases;
    if (params_.affine())
      biases = a == 0 ? primals[3] : a == 3 ? tangents[i] : zeros_like(primals[3], s);
    array part = quantized_matmul(x, primals[1], scales, biases, transpose_, params_.group_size,
                                  params_.bits, to_string(params_.mode), s);
    total = total ? add(*total, part, s) : part;
  }
  return {*total};
}

std::pair<Arrays, std::vector<int>> QuantizedMatmul::vmap(const Arrays& inputs,
                                                          const std::vector<int>& axes) {
  Stream s = stream();
  auto in = batch_first(inputs, axes, s);
  std::vector<bool> batched;
  for (size_t i = 1; i < axes.size(); ++i) batched.push_back(axes[i] >= 0);
  bool w_batched = std::find(batched.begin(), batched.end(), true) != batched.end();
  if (w_batched) {
    Arrays parts(in.begin() + 1, in.end());
    share_batch(parts, batched, s);
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
    for (array& part : parts) part = pad(part);
    parts.insert(parts.begin(), pad(in[0]));
    array out = quantized_matmul(parts[0], parts[1], parts[2], biases_of(parts), transpose_,
                                 params_.group_size, params_.bits, to_string(params_.mode), s);
    return {{vector ? squeeze(out, -2, s) : out}, {0}};
  }
  return {{quantized_matmul(in[0], in[1], in[2], biases_of(in), transpose_, params_.group_size,
                            params_.bits, to_string(params_.mode), s)},
          {0}};
}

array quantized_matmul(const array& x, const array& w, const array& scales,
                       const std::optional<array>& biases, bool transpose,
                       std::optional<int> group_size, std::optional<int> bits,
                       const std::string& mode, StreamOrDevice s) {
  Quantization p = checked_quantization("quantized_matmul", group_size, bits, mode);
  check_packed("quantized_matmul", w, scales, biases, p);
  if (x.ndim() == 0)
    throw std::invalid_argument(
        "[quantized_matmul] The first input must have at least 1 dimension.");
  check_columns("quantized_matmul", x, w, p, transpose);
  Stream stream = to_stream(s);
  Dtype st = p.affine() ? result_type(scales, *biases) : Dtype(uint8);
  Dtype t = p.affine() ? promote_types(x.dtype(), st) : x.dtype();
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
  Arrays in{astype(x, t, stream), w, astype(scales, st, stream)};
  if (p.affine()) in.push_back(astype(*biases, st, stream));
  return astype(array(prim->output_shapes(in)[0], t, prim, in), out_t, stream);
}

}  // namespace mlx::core
