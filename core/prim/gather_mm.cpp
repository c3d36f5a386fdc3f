// core/prim/gather_mm.cpp: gather_mm and gather_qmm.
#include "core/prim/gather_mm.h"

#include <algorithm>

#include "core/prim/quantized.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

using Arrays = std::vector<array>;

int matrices_in(const array& a) {
  int64_t n = 1;
  for (size_t i = 0; i + 2 < a.ndim(); ++i) n *= a.shape(static_cast<int>(i));
  return static_cast<int>(n);
}

array swapped(const array& a, Stream s) { return swapaxes(a, -1, -2, s); }

/** Indices as int32, or those of all matrices in turn. */
array indices_or_all(const char* op, const std::optional<array>& indices, const array& a,
                     Stream s) {
  if (indices) {
    if (!issubdtype(indices->dtype(), integer)) {
      throw std::invalid_argument(std::string("[") + op +
                                  "] Got indices with invalid dtype. Indices must be integral.");
    }
    return astype(*indices, int32, s);
  }
  Shape batch(a.shape().begin(), a.shape().end() - 2);
  return reshape(arange(0, matrices_in(a), 1, int32, s), batch, s);
}

Shape gathered_shape(const array& indices, int m, int n) {
  Shape shape = indices.shape();
  shape.push_back(m);
  shape.push_back(n);
  return shape;
}

/** Adds part [indices.., r, c] into the matrices of an array like `like`. */
array add_into_matrices(const array& part, const array& indices, const array& like, Stream s) {
  int n = matrices_in(like), r = like.shape(-2), c = like.shape(-1);
  array flat = reshape(indices, {static_cast<ShapeElem>(indices.size())}, s);
  array updates = reshape(part, {static_cast<ShapeElem>(indices.size()), 1, r, c}, s);
  return reshape(scatter_add(zeros({n, r, c}, part.dtype(), s), flat, updates, 0, s), like.shape(),
                 s);
}

/** The rows of the matrices of a that indices choose, one below the other: [indices * m, k]. */
array chosen_rows(const array& a, const array& indices, Stream s) {
  array flat = reshape(a, {matrices_in(a), a.shape(-2), a.shape(-1)}, s);
  array rows = take(flat, reshape(indices, {static_cast<ShapeElem>(indices.size())}, s), 0, s);
  return reshape(rows, {static_cast<ShapeElem>(indices.size()) * a.shape(-2), a.shape(-1)}, s);
}

/**
 * For each of n matrices e: the sum over items i with indices[i] = e of left_i^T right_i, where
 * left [items * m, p] and right [items * m, q] are rows: [n, p, q]. Rows are sorted by matrix, so
 * that each sum is one product.
 */
array summed_products(const array& left, const array& right, const array& indices, int n, int m,
                      Stream s) {
  int items = static_cast<int>(indices.size());
  array flat = reshape(indices, {items}, s);
  flat = where(less(flat, array(0), s), add(flat, array(n), s), flat, s);
  array order = argsort(flat, 0, s);
  // Items of each matrix and of those before it.
  array ends =
      sum(less_equal(expand_dims(flat, 0, s), reshape(arange(0, n, 1, int32, s), {n, 1}, s), s), 1,
          false, s);
  ends = astype(ends, int32, s);
  array firsts =
      concatenate({zeros({1}, int32, s), slice(ends, {0}, {std::max(0, n - 1)}, s)}, 0, s);
  array segments = multiply(stack({firsts, ends}, 1, s), array(m), s);
  auto sorted = [&](const array& rows) {
    array a = reshape(rows, {items, m, rows.shape(-1)}, s);
    return reshape(take(a, order, 0, s), rows.shape(), s);
  };
  return segmented_mm(swapped(sorted(left), s), sorted(right), segments, s);
}

/** Operands with a batch axis get it in front and indices that count on over the whole. */
struct BatchedGather {
  int size = 1;
  Stream s;
  array first(const array& a, int axis) const { return axis > 0 ? moveaxis(a, axis, 0, s) : a; }
  array indices(const array& given, int axis, const array& of, bool of_batched) const {
    array i = first(given, axis);
    int count = matrices_in(of) / (of_batched ? size : 1);
    i = where(less(i, array(0), s), add(i, array(count), s), i, s);
    Shape shape = i.shape();
    if (axis < 0) {
      shape.insert(shape.begin(), size);
      i = broadcast_to(expand_dims(i, 0, s), shape, s);
    }
    if (!of_batched) return i;
    Shape column(shape.size(), 1);
    column[0] = size;
    return add(i, reshape(arange(0, size * count, std::max(count, 1), int32, s), column, s), s);
  }
};

}  // namespace

// ---- GatherMM ----

std::vector<Shape> GatherMM::output_shapes(const Arrays& in) {
  return {gathered_shape(in[2], in[0].shape(-2), in[1].shape(-1))};
}

Arrays GatherMM::vjp(const Arrays& primals, const Arrays& cotangents,
                     const std::vector<int>& argnums, const Arrays&) {
  Stream s = stream();
  const array &a = primals[0], &b = primals[1], &lhs = primals[2], &rhs = primals[3],
              &g = cotangents[0];
  Arrays result;
  for (int k : argnums) {
    if (k == 0) {
      array part = gather_mm(g, swapped(b, s), std::nullopt, rhs, sorted_, s);
      result.push_back(add_into_matrices(part, lhs, a, s));
    } else if (k == 1) {
      int items = static_cast<int>(rhs.size());
      array rows = reshape(g, {items * g.shape(-2), g.shape(-1)}, s);
      array sums =
          summed_products(chosen_rows(a, lhs, s), rows, rhs, matrices_in(b), a.shape(-2), s);
      result.push_back(reshape(sums, b.shape(), s));
    } else {
      result.push_back(zeros_like(primals[k], s));
    }
  }
  return result;
}

Arrays GatherMM::jvp(const Arrays& primals, const Arrays& tangents,
                     const std::vector<int>& argnums) {
  Stream s = stream();
  std::optional<array> total;
  for (size_t i = 0; i < argnums.size(); ++i) {
    if (argnums[i] > 1) continue;
    array part =
        gather_mm(argnums[i] == 0 ? tangents[i] : primals[0],
                  argnums[i] == 1 ? tangents[i] : primals[1], primals[2], primals[3], sorted_, s);
    total = total ? add(*total, part, s) : part;
  }
  if (!total) total = zeros(output_shapes(primals)[0], primals[0].dtype(), s);
  return {*total};
}

std::pair<Arrays, std::vector<int>> GatherMM::vmap(const Arrays& in, const std::vector<int>& axes) {
  BatchedGather batch{1, stream()};
  for (size_t i = 0; i < in.size(); ++i) {
    if (axes[i] >= 0) batch.size = in[i].shape(axes[i]);
  }
  array a = batch.first(in[0], axes[0]), b = batch.first(in[1], axes[1]);
  return {{gather_mm(a, b, batch.indices(in[2], axes[2], a, axes[0] >= 0),
                     batch.indices(in[3], axes[3], b, axes[1] >= 0), false, stream())},
          {0}};
}

array gather_mm(array a, array b, std::optional<array> lhs_indices,
                std::optional<array> rhs_indices, bool sorted_indices, StreamOrDevice s_) {
  if (!lhs_indices && !rhs_indices) return matmul(a, b, s_);
  Stream s = to_stream(s_);
  if (a.ndim() == 0 || b.ndim() == 0) {
    throw std::invalid_argument(
        "[gather_mm] Got 0 dimension input. Inputs must have at least one dimension.");
  }
  bool row = a.ndim() == 1, column = b.ndim() == 1;
  if (row) a = expand_dims(a, 0, s);
  if (column) b = expand_dims(b, 1, s);
  if (a.shape(-1) != b.shape(-2)) {
    throw std::invalid_argument("[gather_mm] Last dimension of first input with shape " +
                                to_string(a.shape()) +
                                " must match second to last dimension of second input with shape " +
                                to_string(b.shape()) + ".");
  }
  Dtype t = result_type(a, b);
  if (!issubdtype(t, floating)) {
    throw std::invalid_argument(
        std::string("[gather_mm] Only real floating point types are supported but ") +
        dtype_to_string(a.dtype()) + " and " + dtype_to_string(b.dtype()) + " were provided.");
  }
  array lhs = indices_or_all("gather_mm", lhs_indices, a, s);
  array rhs = indices_or_all("gather_mm", rhs_indices, b, s);
  Shape shape = broadcast_shapes(lhs.shape(), rhs.shape());
  lhs = broadcast_to(lhs, shape, s);
  rhs = broadcast_to(rhs, shape, s);
  array out(gathered_shape(lhs, a.shape(-2), b.shape(-1)), t,
            std::make_shared<GatherMM>(s, sorted_indices),
            {astype(a, t, s), astype(b, t, s), lhs, rhs});
  if (row) out = squeeze(out, -2, s);
  if (column) out = squeeze(out, -1, s);
  return out;
}

// ---- GatherQMM ----

std::vector<Shape> GatherQMM::output_shapes(const Arrays& in) {
  return {gathered_shape(in[1], in[0].shape(-2),
                         transpose_ ? in[3].shape(-2) : values_in(in[3], params_))};
}

Arrays GatherQMM::vjp(const Arrays& primals, const Arrays& cotangents,
                      const std::vector<int>& argnums, const Arrays&) {
  Stream s = stream();
  const array &x = primals[0], &lhs = primals[1], &rhs = primals[2], &w = primals[3],
              &g = cotangents[0];
  Arrays result;
  std::optional<array> dw;
  for (int k : argnums) {
    if (k == 0) {
      std::optional<array> biases;
      if (params_.affine()) biases = primals[5];
      array part =
          gather_qmm(g, w, primals[4], biases, std::nullopt, rhs, !transpose_, params_.group_size,
                     params_.bits, to_string(params_.mode), std::nullopt, sorted_, s);
      result.push_back(astype(add_into_matrices(part, lhs, x, s), x.dtype(), s));
      continue;
    }
    if (k < 3) {
      result.push_back(zeros_like(primals[k], s));
      continue;
    }
    if (k == 3) {
      throw std::invalid_argument(
          "[GatherQMM::vjp] No gradient with respect to the quantized weights.");
    }
    if (!params_.affine()) {
      throw std::invalid_argument("[GatherQMM::vjp] No gradient with respect to scales in " +
                                  to_string(params_.mode) + " quantization.");
    }
    if (!dw) {
      int items = static_cast<int>(rhs.size());
      array rows = reshape(g, {items * g.shape(-2), g.shape(-1)}, s);
      array xs = chosen_rows(x, lhs, s);
      dw = summed_products(transpose_ ? rows : xs, transpose_ ? xs : rows, rhs, matrices_in(w),
                           x.shape(-2), s);
      Shape shape = w.shape();
      shape.back() = values_in(w, params_);
      dw = reshape(*dw, shape, s);
    }
    result.push_back(group_gradient(*dw, w, primals[k], params_, k == 4, s));
  }
  return result;
}

Arrays GatherQMM::jvp(const Arrays& primals, const Arrays& tangents,
                      const std::vector<int>& argnums) {
  Stream s = stream();
  std::optional<array> total;
  for (size_t i = 0; i < argnums.size(); ++i) {
    int k = argnums[i];
    if (k == 1 || k == 2) continue;
    if (k == 3 || (k > 3 && !params_.affine())) {
      throw std::invalid_argument(
          "[GatherQMM::jvp] No gradient with respect to the quantized weights.");
    }
    array scales = k == 0 ? primals[4] : k == 4 ? tangents[i] : zeros_like(primals[4], s);
    std::optional<array> biases;
    if (params_.affine())
      biases = k == 0 ? primals[5] : k == 5 ? tangents[i] : zeros_like(primals[5], s);
    array part = gather_qmm(k == 0 ? tangents[i] : primals[0], primals[3], scales, biases,
                            primals[1], primals[2], transpose_, params_.group_size, params_.bits,
                            to_string(params_.mode), std::nullopt, sorted_, s);
    total = total ? add(*total, part, s) : part;
  }
  if (!total) total = zeros(output_shapes(primals)[0], primals[0].dtype(), s);
  return {*total};
}

std::pair<Arrays, std::vector<int>> GatherQMM::vmap(const Arrays& in,
                                                    const std::vector<int>& axes) {
  Stream s = stream();
  BatchedGather batch{1, s};
  for (size_t i = 0; i < in.size(); ++i) {
    if (axes[i] >= 0) batch.size = in[i].shape(axes[i]);
  }
  array x = batch.first(in[0], axes[0]);
  Arrays parts;
  std::vector<bool> batched;
  for (size_t i = 3; i < in.size(); ++i) {
    parts.push_back(batch.first(in[i], axes[i]));
    batched.push_back(axes[i] >= 0);
  }
  bool any = std::find(batched.begin(), batched.end(), true) != batched.end();
  if (any) share_batch(parts, batched, s);
  std::optional<array> biases;
  if (parts.size() > 2) biases = parts[2];
  return {{gather_qmm(x, parts[0], parts[1], biases, batch.indices(in[1], axes[1], x, axes[0] >= 0),
                      batch.indices(in[2], axes[2], parts[0], any), transpose_, params_.group_size,
                      params_.bits, to_string(params_.mode), std::nullopt, false, s)},
          {0}};
}

array gather_qmm(const array& x, const array& w, const array& scales,
                 const std::optional<array>& biases, std::optional<array> lhs_indices,
                 std::optional<array> rhs_indices, bool transpose, std::optional<int> group_size,
                 std::optional<int> bits, const std::string& mode,
                 const std::optional<array>& global_scale, bool sorted_indices, StreamOrDevice s_) {
  constexpr const char* kOp = "gather_qmm";
  Stream s = to_stream(s_);
  Quantization p = checked_quantization(kOp, group_size, bits, mode);
  if (x.ndim() < 2) {
    throw std::invalid_argument(
        "[gather_qmm] Input must have at least two dimensions but got input with shape " +
        to_string(x.shape()) + ".");
  }
  check_packed(kOp, w, scales, biases, p);
  check_columns(kOp, x, w, p, transpose);
  if (global_scale) {
    if (p.mode != QuantizationMode::Nvfp4) check_global_scale(kOp, global_scale, p);
    Shape batch(w.shape().begin(), w.shape().end() - 2);
    if (global_scale->shape() != batch) {
      throw std::invalid_argument(
          "[gather_qmm] Global scale must have one entry per expert with shape " +
          to_string(batch) + " but got " + to_string(global_scale->shape()) + ".");
    }
  }
  Dtype st = p.affine() ? result_type(scales, *biases) : Dtype(uint8);
  Dtype out_t = p.affine() ? promote_types(x.dtype(), st) : x.dtype();
  if (!issubdtype(out_t, floating)) {
    throw std::invalid_argument(
        std::string("[gather_qmm] Only real floating types are supported but x.dtype() == ") +
        dtype_to_string(x.dtype()) + ".");
  }
  Dtype t = out_t == float64 ? Dtype(float32) : out_t;
  if (st == float64) st = float32;
  array lhs = indices_or_all(kOp, lhs_indices, x, s), rhs = indices_or_all(kOp, rhs_indices, w, s);
  Shape shape = broadcast_shapes(lhs.shape(), rhs.shape());
  lhs = broadcast_to(lhs, shape, s);
  rhs = broadcast_to(rhs, shape, s);
  Arrays in{astype(x, t, s), lhs, rhs, w, astype(scales, st, s)};
  if (p.affine()) in.push_back(astype(*biases, st, s));
  auto prim = std::make_shared<GatherQMM>(s, p, transpose, sorted_indices);
  array out(prim->output_shapes(in)[0], t, prim, in);
  if (global_scale) {
    array flat = reshape(*global_scale, {static_cast<ShapeElem>(global_scale->size())}, s);
    array factor = divide(take(flat, rhs, 0, s), array(kLargestNvfp4), s);
    out = multiply(out, astype(expand_dims(factor, {-2, -1}, s), t, s), s);
  }
  return astype(out, out_t, s);
}

// ---- Products whose factors are both quantised ----

namespace {

/** x with what quantising loses lost. */
array quantized_value(const array& x, const Quantization& p, const std::optional<array>& global,
                      Stream s) {
  Arrays in{x};
  if (global) in.push_back(*global);
  return array(x.shape(), x.dtype(), std::make_shared<QuantizedValue>(s, p), in);
}

struct Both {
  Quantization p;
  bool packed;
};

Both checked_factors(const char* op, const array& x, const array& w,
                     const std::optional<array>& scales, std::optional<int> group_size,
                     std::optional<int> bits, const std::string& mode,
                     const std::optional<array>& gx, const std::optional<array>& gw) {
  std::string tag = std::string("[") + op + "] ";
  Quantization p = checked_quantization(op, group_size, bits, mode);
  check_global_scale(op, gx, p);
  if (gw && p.mode != QuantizationMode::Nvfp4) check_global_scale(op, gw, p);
  if (gx.has_value() != gw.has_value()) {
    throw std::invalid_argument(
        tag +
        "For nvfp4 mode, either both global_scale_x and global_scale_w must be provided, or "
        "neither.");
  }
  if (!issubdtype(x.dtype(), floating) || x.dtype() == float64) {
    throw std::invalid_argument(
        tag + "Only real floating types except float64 are supported but first argument dtype == " +
        dtype_to_string(x.dtype()) + ".");
  }
  if (w.dtype() == uint32 && !scales)
    throw std::invalid_argument(tag + "Scales must be provided if second argument is quantized.");
  if (scales) {
    if (p.affine()) {
      throw std::invalid_argument(tag + "Packed weights of mode 'affine' are not supported.");
    }
    check_packed(op, w, *scales, std::nullopt, p);
    check_columns(op, x, w, p, true);
    return {p, true};
  }
  check_group_size(op, p);
  if (!issubdtype(w.dtype(), floating) || w.dtype() == float64) {
    throw std::invalid_argument(
        tag +
        "Only real floating types except float64 are supported but second argument dtype "
        "== " +
        dtype_to_string(w.dtype()) + ".");
  }
  if (w.ndim() < 2 || x.shape(-1) != w.shape(-1)) {
    throw std::invalid_argument(
        tag + "Last dimension of first input with shape " + to_string(x.shape()) +
        " must match last dimension of second input with shape " + to_string(w.shape()) + ".");
  }
  if (x.shape(-1) % p.group_size != 0) {
    throw std::invalid_argument(
        tag + "The last dimension of the inputs, " + std::to_string(x.shape(-1)) +
        ", must be divisible by the group size " + std::to_string(p.group_size) + ".");
  }
  return {p, false};
}

}  // namespace

array qqmm(const array& x, const array& w, const std::optional<array>& w_scales,
           std::optional<int> group_size, std::optional<int> bits, const std::string& mode,
           const std::optional<array>& global_scale_x, const std::optional<array>& global_scale_w,
           StreamOrDevice s_) {
  Stream s = to_stream(s_);
  if (w.ndim() != 2 || x.ndim() == 0) {
    throw std::invalid_argument(
        "[qqmm] The second input must have 2 dimensions and the first at "
        "least 1, but they have shapes " +
        to_string(w.shape()) + " and " + to_string(x.shape()) + ".");
  }
  auto [p, packed] = checked_factors("qqmm", x, w, w_scales, group_size, bits, mode, global_scale_x,
                                     global_scale_w);
  if (global_scale_w) check_global_scale("qqmm", global_scale_w, p);
  array rounded = quantized_value(x, p, global_scale_x, s);
  if (!packed) {
    array value = quantized_value(w, p, global_scale_w, s);
    return matmul(rounded, swapped(astype(value, x.dtype(), s), s), s);
  }
  array out =
      quantized_matmul(rounded, w, *w_scales, std::nullopt, true, p.group_size, p.bits, mode, s);
  if (!global_scale_w) return out;
  array factor = divide(reshape(*global_scale_w, {}, s), array(kLargestNvfp4), s);
  return astype(multiply(astype(out, float32, s), factor, s), x.dtype(), s);
}

array gather_qqmm(const array& x, const array& w, const std::optional<array>& scales_w,
                  const std::optional<array>& lhs_indices, const std::optional<array>& rhs_indices,
                  std::optional<int> group_size, std::optional<int> bits, const std::string& mode,
                  const std::optional<array>& global_scale_x,
                  const std::optional<array>& global_scale_w, bool sorted_indices,
                  StreamOrDevice s_) {
  Stream s = to_stream(s_);
  if (x.ndim() < 2 || w.ndim() < 2) {
    throw std::invalid_argument(
        "[gather_qqmm] Inputs must have at least two dimensions but got inputs with shapes " +
        to_string(x.shape()) + " and " + to_string(w.shape()) + ".");
  }
  auto [p, packed] = checked_factors("gather_qqmm", x, w, scales_w, group_size, bits, mode,
                                     global_scale_x, global_scale_w);
  array rounded = quantized_value(x, p, global_scale_x, s);
  std::optional<array> of_experts = global_scale_w;
  Shape batch(w.shape().begin(), w.shape().end() - 2);
  if (of_experts && of_experts->size() == 1)
    of_experts = broadcast_to(reshape(*of_experts, {}, s), batch, s);
  if (packed) {
    return gather_qmm(rounded, w, *scales_w, std::nullopt, lhs_indices, rhs_indices, true,
                      p.group_size, p.bits, mode, of_experts, sorted_indices, s);
  }
  if (of_experts && of_experts->shape() != batch) {
    throw std::invalid_argument(
        "[gather_qqmm] Global scale must have one entry per expert with shape " + to_string(batch) +
        " but got " + to_string(of_experts->shape()) + ".");
  }
  array value = quantized_value(w, p, of_experts, s);
  return gather_mm(rounded, swapped(astype(value, x.dtype(), s), s), lhs_indices, rhs_indices,
                   sorted_indices, s);
}

}  // namespace mlx::core
