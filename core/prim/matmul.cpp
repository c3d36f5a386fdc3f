// core/prim/matmul.cpp
#include "core/prim/matmul.h"

#include "mlx/ops.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

using Arrays = std::vector<array>;

// Adjoint: the transpose, conjugated where there is something to conjugate.
array adjoint(const array& a, Stream s) {
  array t = swapaxes(a, -1, -2, s);
  return a.dtype() == complex64 ? conjugate(t, s) : t;
}

Shape product_shape(const array& a, const array& b) {
  Shape shape = a.shape();
  shape.back() = b.shape(-1);
  return shape;
}

/** The cotangent of operand k of a product. */
array product_vjp(int k, const Arrays& in, const array& g, Stream s) {
  return k == 0 ? matmul(g, adjoint(in[1], s), s) : matmul(adjoint(in[0], s), g, s);
}

/** Batch axis in front of every operand that has one; items keep their rank. */
Arrays batch_in_front(const Arrays& inputs, const std::vector<int>& axes, Stream s) {
  Arrays out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    // One more axis for those without, so that batch axes line up.
    out.push_back(axes[i] >= 0 ? moveaxis(inputs[i], axes[i], 0, s) : expand_dims(inputs[i], 0, s));
  }
  return out;
}

void check_matmul(const array& a, const array& b) {
  if (a.ndim() == 0 || b.ndim() == 0) {
    throw std::invalid_argument(
        "[matmul] Got 0 dimension input. Inputs must have at least one dimension.");
  }
}

/** Vectors as matrices, one dtype, equal batch axes. */
std::pair<array, array> prepared(const char* op, array a, array b, Dtype t, Stream s) {
  if (a.ndim() == 1) a = expand_dims(a, 0, s);
  if (b.ndim() == 1) b = expand_dims(b, 1, s);
  if (a.shape(-1) != b.shape(-2)) {
    throw std::invalid_argument(
        std::string("[") + op + "] Last dimension of first input with shape " +
        to_string(a.shape()) + " must match second to last dimension of second input with shape " +
        to_string(b.shape()) + ".");
  }
  a = astype(a, t, s);
  b = astype(b, t, s);
  if (b.ndim() == 2 && a.ndim() > 2) return {a, b};  // the caller flattens
  Shape a_batch(a.shape().begin(), a.shape().end() - 2),
      b_batch(b.shape().begin(), b.shape().end() - 2);
  Shape batch = broadcast_shapes(a_batch, b_batch);
  auto expand = [&](const array& x) {
    Shape shape = batch;
    shape.push_back(x.shape(-2));
    shape.push_back(x.shape(-1));
    return x.shape() == shape ? x : broadcast_to(x, shape, s);
  };
  return {expand(a), expand(b)};
}

}  // namespace

// ---- Matmul ----

std::vector<Shape> Matmul::output_shapes(const Arrays& inputs) {
  return {product_shape(inputs[0], inputs[1])};
}

Arrays Matmul::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>& argnums,
                   const Arrays&) {
  Arrays result;
  for (int k : argnums) result.push_back(product_vjp(k, primals, cotangents[0], stream()));
  return result;
}

Arrays Matmul::jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>& argnums) {
  std::optional<array> total;
  for (size_t i = 0; i < argnums.size(); ++i) {
    array part = argnums[i] == 0 ? matmul(tangents[i], primals[1], stream())
                                 : matmul(primals[0], tangents[i], stream());
    total = total ? add(*total, part, stream()) : part;
  }
  return {*total};
}

std::pair<Arrays, std::vector<int>> Matmul::vmap(const Arrays& inputs,
                                                 const std::vector<int>& axes) {
  auto in = batch_in_front(inputs, axes, stream());
  return {{matmul(in[0], in[1], stream())}, {0}};
}

array matmul(const array& a, const array& b, StreamOrDevice s) {
  check_matmul(a, b);
  Stream stream = to_stream(s);
  Dtype t = result_type(a, b);
  Dtype compute = t == bool_ ? Dtype(int32) : t;
  auto [x, y] = prepared("matmul", a, b, compute, stream);
  Shape shape;
  // One matrix on the right: the rows of the whole batch on the left are one matrix.
  if (y.ndim() == 2 && x.ndim() > 2) {
    shape = x.shape();
    shape.back() = y.shape(-1);
    ShapeElem rows = 1;
    for (int i = 0; i + 1 < static_cast<int>(x.ndim()); ++i) rows *= x.shape(i);
    x = reshape(x, {rows, x.shape(-1)}, stream);
  }
  array out(product_shape(x, y), compute, std::make_shared<Matmul>(stream), {x, y});
  if (!shape.empty()) out = reshape(out, shape, stream);
  if (a.ndim() == 1) out = squeeze(out, -2, stream);
  if (b.ndim() == 1) out = squeeze(out, -1, stream);
  return out;
}

// ---- AddMM ----

std::vector<Shape> AddMM::output_shapes(const Arrays& inputs) {
  return {product_shape(inputs[0], inputs[1])};
}

Arrays AddMM::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>& argnums,
                  const Arrays&) {
  Stream s = stream();
  const array& g = cotangents[0];
  Arrays result;
  for (int k : argnums) {
    float by = k == 2 ? beta_ : alpha_;
    array d = k == 2 ? g : product_vjp(k, primals, g, s);
    result.push_back(by == 1 ? d : multiply(d, array(by, g.dtype()), s));
  }
  return result;
}

Arrays AddMM::jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>& argnums) {
  Stream s = stream();
  std::optional<array> total;
  for (size_t i = 0; i < argnums.size(); ++i) {
    int k = argnums[i];
    array part = k == 2   ? tangents[i]
                 : k == 0 ? matmul(tangents[i], primals[1], s)
                          : matmul(primals[0], tangents[i], s);
    part = multiply(part, array(k == 2 ? beta_ : alpha_, part.dtype()), s);
    total = total ? add(*total, part, s) : part;
  }
  return {*total};
}

std::pair<Arrays, std::vector<int>> AddMM::vmap(const Arrays& inputs,
                                                const std::vector<int>& axes) {
  auto in = batch_in_front(inputs, axes, stream());
  return {{addmm(in[2], in[0], in[1], alpha_, beta_, stream())}, {0}};
}

array addmm(array c, array a, array b, const float& alpha, const float& beta, StreamOrDevice s) {
  check_matmul(a, b);
  Stream stream = to_stream(s);
  Dtype t = result_type(c, a, b);
  if (!issubdtype(t, inexact)) {
    array scaled = multiply(matmul(a, b, stream), array(alpha), stream);
    return astype(add(scaled, multiply(c, array(beta), stream), stream), t, stream);
  }
  bool row = a.ndim() == 1, column = b.ndim() == 1;
  auto [x, y] = prepared("addmm", a, b, t, stream);
  Shape shape = x.shape();
  shape.back() = y.shape(-1);
  // c broadcasts against the result as the caller sees it: without the axes that vectors lack.
  Shape visible = shape;
  if (row) visible.erase(visible.end() - 2);
  if (column) visible.pop_back();
  array addend = broadcast_to(astype(c, t, stream), broadcast_shapes(c.shape(), visible), stream);
  if (addend.shape() != visible) {
    // c has more axes than the product: add apart.
    return add(multiply(matmul(a, b, stream), array(alpha, t), stream),
               multiply(addend, array(beta, t), stream), stream);
  }
  if (y.ndim() == 2 && x.ndim() > 2) {
    ShapeElem rows = 1;
    for (int i = 0; i + 1 < static_cast<int>(x.ndim()); ++i) rows *= x.shape(i);
    x = reshape(x, {rows, x.shape(-1)}, stream);
    // A bias stays a bias: only its row counts.
    addend = c.ndim() <= 1 ? broadcast_to(astype(c, t, stream), {rows, y.shape(-1)}, stream)
                           : reshape(addend, {rows, y.shape(-1)}, stream);
  } else {
    addend = reshape(addend, shape, stream);
  }
  array out(product_shape(x, y), t, std::make_shared<AddMM>(stream, alpha, beta), {x, y, addend});
  return reshape(out, visible, stream);
}

}  // namespace mlx::core
