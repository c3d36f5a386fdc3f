// core/prim/linalg_factor.cpp
#include "core/prim/linalg_factor.h"

#include "core/prim/linalg_solve.h"
#include "mlx/transforms.h"

namespace mlx::core {

using namespace linalg_parts;

namespace {

using Arrays = std::vector<array>;

array lower_solve(const array& l, const array& b, Stream s) {
  return LinearSolve::make({l, b}, s, Shaped::lower)[0];
}

array upper_solve(const array& u, const array& b, Stream s) {
  return LinearSolve::make({u, b}, s, Shaped::upper)[0];
}

/** b u^-1 for upper triangular u. */
array divide_upper(const array& b, const array& u, Stream s) {
  return transposed(lower_solve(transposed(u, s), transposed(b, s), s), s);
}

/** b u^-H for upper triangular u. */
array divide_upper_adjoint(const array& b, const array& u, Stream s) {
  array c = has_imaginary(u) ? conjugate(u, s) : u;
  return transposed(upper_solve(c, transposed(b, s), s), s);
}

/** The strictly lower part, minus its adjoint; and the imaginary part of the diagonal. */
array antihermitian_of_lower(const array& m, Stream s) {
  array low = tril(m, -1, s);
  array out = subtract(low, adjoint(low, s), s);
  if (has_imaginary(m)) {
    out = add(out, multiply(imaginary_part(m, s), identity_of(m.shape(-1), m, s), s), s);
  }
  return out;
}

}  // namespace

// ---- QRF ----

std::vector<Shape> QRF::output_shapes(const Arrays& inputs) {
  const array& a = inputs[0];
  int m = a.shape(-2), n = a.shape(-1), k = std::min(m, n);
  return {with_matrix(a.shape(), {m, k}), with_matrix(a.shape(), {k, n})};
}

std::vector<Dtype> QRF::dtypes(const Arrays& inputs) const {
  return {inputs[0].dtype(), inputs[0].dtype()};
}

Arrays QRF::jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>&) {
  Stream s = stream();
  const array &a = primals[0], &da = tangents[0];
  int m = a.shape(-2), n = a.shape(-1), k = std::min(m, n);
  Arrays qr = make({a}, s);
  if (a.size() == 0) return {zeros_like(qr[0], s), zeros_like(qr[1], s)};
  const array& q = qr[0];
  array r = block(qr[1], 0, k, 0, k, s);
  array c = divide_upper(block(da, 0, m, 0, k, s), r, s);
  array qc = product(adjoint(q, s), c, s);
  array turn = antihermitian_of_lower(qc, s);  // Q^H dQ
  array dq = add(subtract(c, product(q, qc, s), s), product(q, turn, s), s);
  array dr = triu(product(subtract(qc, turn, s), r, s), 0, s);
  if (n > k) {
    array rest = add(product(adjoint(dq, s), block(a, 0, m, k, n, s), s),
                     product(adjoint(q, s), block(da, 0, m, k, n, s), s), s);
    dr = concatenate({dr, rest}, -1, s);
  }
  return {dq, dr};
}

Arrays QRF::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>&,
                const Arrays& outputs) {
  Stream s = stream();
  const array &a = primals[0], &q = outputs[0];
  int m = a.shape(-2), n = a.shape(-1), k = std::min(m, n);
  if (a.size() == 0) return {zeros_like(a, s)};
  array r = block(outputs[1], 0, k, 0, k, s);
  array gq = cotangents[0], gr = triu(block(cotangents[1], 0, k, 0, k, s), 0, s);
  std::optional<array> rest;
  if (n > k) {
    array g = block(cotangents[1], 0, k, k, n, s);
    rest = product(q, g, s);
    gq = add(gq, product(block(a, 0, m, k, n, s), adjoint(g, s), s), s);
  }
  array w = subtract(product(gr, adjoint(r, s), s), product(adjoint(q, s), gq, s), s);
  array up = triu(w, 1, s);
  array diagonal_part = has_imaginary(w) ? astype(real(w, s), w.dtype(), s) : w;
  array sym = add(add(up, adjoint(up, s), s), multiply(diagonal_part, identity_of(k, w, s), s), s);
  array ga = divide_upper_adjoint(add(gq, product(q, sym, s), s), r, s);
  return {rest ? concatenate({ga, *rest}, -1, s) : ga};
}

// ---- Cholesky ----

namespace {

/** The lower triangle with half the diagonal. */
array half_lower(const array& x, Stream s) {
  array half = multiply(array(0.5f, x.dtype()), identity_of(x.shape(-1), x, s), s);
  return subtract(tril(x, 0, s), multiply(x, half, s), s);
}

}  // namespace

Arrays Cholesky::jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>&) {
  Stream s = stream();
  if (primals[0].size() == 0) return {tangents[0]};
  array out = make(primals, s, upper_)[0];
  array l = upper_ ? adjoint(out, s) : out;
  array x = lower_solve(l, hermitian(tangents[0], s), s);
  x = adjoint(lower_solve(l, adjoint(x, s), s), s);  // L^-1 dA L^-H
  array dl = product(l, half_lower(x, s), s);
  return {upper_ ? adjoint(dl, s) : dl};
}

Arrays Cholesky::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>&,
                     const Arrays& outputs) {
  Stream s = stream();
  if (primals[0].size() == 0) return {cotangents[0]};
  array l = upper_ ? adjoint(outputs[0], s) : outputs[0];
  array g = tril(upper_ ? adjoint(cotangents[0], s) : cotangents[0], 0, s);
  array p = half_lower(product(adjoint(l, s), g, s), s);
  array lh = adjoint(l, s);
  array x = upper_solve(lh, p, s);                           // L^-H P
  array ga = adjoint(upper_solve(lh, adjoint(x, s), s), s);  // ... L^-1
  return {hermitian(ga, s)};
}

// ---- LUF ----

std::vector<Shape> LUF::output_shapes(const Arrays& inputs) {
  const array& a = inputs[0];
  int m = a.shape(-2), n = a.shape(-1);
  return {a.shape(), with_matrix(a.shape(), {std::min(m, n)}), with_matrix(a.shape(), {m})};
}

std::vector<Dtype> LUF::dtypes(const Arrays& inputs) const {
  return {inputs[0].dtype(), uint32, uint32};
}

namespace {

/**
 * L and U made square: a wide matrix gets the rows (0 I) below, a tall one the columns (0 I)^T,
 * neither of which changes its own factors.
 */
struct SquareFactors {
  array l, u;
  SquareFactors(const array& lu, Stream s) : l(lu), u(lu) {
    int m = lu.shape(-2), n = lu.shape(-1), size = std::max(m, n), k = std::min(m, n);
    array whole = padded(lu, size, size, s);
    array one = identity_of(size, lu, s);
    l = add(tril(whole, -1, s), one, s);
    u = triu(whole, 0, s);
    if (k < size) {
      array beyond = greater_equal(arange(size, s), array(k), s);
      u = add(u, multiply(one, astype(beyond, lu.dtype(), s), s), s);
    }
  }
};

array rows_in_order(const array& a, const array& order, Stream s) {
  array index = broadcast_to(expand_dims(order, -1, s), a.shape(), s);
  return take_along_axis(a, index, -2, s);
}

}  // namespace

Arrays LUF::jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>&) {
  Stream s = stream();
  Arrays out = make(primals, s);
  array none = zeros_like(out[1], s), no_rows = zeros_like(out[2], s);
  if (primals[0].size() == 0) return {zeros_like(out[0], s), none, no_rows};
  int m = out[0].shape(-2), n = out[0].shape(-1), size = std::max(m, n);
  SquareFactors f(out[0], s);
  array da = rows_in_order(tangents[0], stop_gradient(out[2], s), s);
  array x = divide_upper(lower_solve(f.l, padded(da, size, size, s), s), f.u, s);
  array d = add(product(f.l, tril(x, -1, s), s), product(triu(x, 0, s), f.u, s), s);
  return {block(d, 0, m, 0, n, s), none, no_rows};
}

Arrays LUF::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>&,
                const Arrays& outputs) {
  Stream s = stream();
  if (primals[0].size() == 0) return {zeros_like(primals[0], s)};
  int m = outputs[0].shape(-2), n = outputs[0].shape(-1), size = std::max(m, n);
  SquareFactors f(outputs[0], s);
  array g = padded(cotangents[0], size, size, s);
  array x = add(tril(product(adjoint(f.l, s), tril(g, -1, s), s), -1, s),
                triu(product(triu(g, 0, s), adjoint(f.u, s), s), 0, s), s);
  x = divide_upper_adjoint(upper_solve(adjoint(f.l, s), x, s), f.u, s);
  array back = argsort(stop_gradient(outputs[2], s), -1, s);
  return {rows_in_order(block(x, 0, m, 0, n, s), back, s)};
}

}  // namespace mlx::core
