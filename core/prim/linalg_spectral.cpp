// core/prim/linalg_spectral.cpp
#include "core/prim/linalg_spectral.h"

#include "core/prim/linalg_solve.h"

namespace mlx::core {

using namespace linalg_parts;

using Arrays = std::vector<array>;

// ---- SVD ----

std::vector<Shape> SVD::output_shapes(const Arrays& inputs) {
  const array& a = inputs[0];
  int m = a.shape(-2), n = a.shape(-1);
  Shape values = with_matrix(a.shape(), {std::min(m, n)});
  if (!compute_uv_) return {values};
  return {with_matrix(a.shape(), {m, m}), values, with_matrix(a.shape(), {n, n})};
}

std::vector<Dtype> SVD::dtypes(const Arrays& inputs) const {
  Dtype t = inputs[0].dtype();
  if (!compute_uv_) return {real_dtype(t)};
  return {t, real_dtype(t), t};
}

namespace {

/** What the derivatives of a singular value decomposition are written in. */
struct SvdParts {
  array u, v, inverse, gaps;  // v: columns; 1 / s; 1 / (s_j^2 - s_i^2)
  int m, n, k;
  SvdParts(const Arrays& usv, Stream s)
      : u(usv[0]),
        v(adjoint(usv[2], s)),
        inverse(reciprocal_or_zero(usv[1], s)),
        gaps(inverse_gaps(square(usv[1], s), s)),
        m(usv[0].shape(-1)),
        n(usv[2].shape(-1)),
        k(usv[1].shape(-1)) {
    gaps = astype(gaps, u.dtype(), s);
  }
};

/** The skew matrix that turns all columns, from its leading block and the one below it. */
array whole_turn(const array& leading, const std::optional<array>& below, int size, Stream s) {
  if (!below) return leading;
  array left = concatenate({leading, *below}, -2, s);
  array right = padded(negative(adjoint(*below, s), s), size, below->shape(-2), s);
  return concatenate({left, right}, -1, s);
}

}  // namespace

Arrays SVD::jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>&) {
  Stream s = stream();
  Arrays usv = make(primals, s, true);
  if (usv[1].size() == 0) {
    Arrays none;
    for (const auto& x : make(primals, s, compute_uv_)) none.push_back(zeros_like(x, s));
    return none;
  }
  SvdParts f(usv, s);
  int m = f.m, n = f.n, k = f.k;
  array p = product(adjoint(f.u, s), tangents[0], f.v, s);
  array p11 = block(p, 0, k, 0, k, s);
  array ds = as_dtype(diagonal_of(p11, s), usv[1].dtype(), s);
  if (!compute_uv_) return {ds};
  array p11s = scale_columns(p11, usv[1], s), sp11 = scale_rows(p11, usv[1], s);
  array turn_u = multiply(f.gaps, add(p11s, adjoint(p11s, s), s), s);
  array turn_v = multiply(f.gaps, add(sp11, adjoint(sp11, s), s), s);
  if (has_imaginary(p)) {
    // Only the difference of the phases of a pair of vectors is determined: half for each.
    array phase = multiply(imaginary_part(diagonal_of(p11, s), s),
                           astype(multiply(f.inverse, array(0.5f), s), complex64, s), s);
    turn_u = add(turn_u, diagonal_matrix(phase, s), s);
    turn_v = subtract(turn_v, diagonal_matrix(phase, s), s);
  }
  std::optional<array> below_u, below_v;
  if (m > k) below_u = scale_columns(block(p, k, m, 0, k, s), f.inverse, s);
  if (n > k) below_v = scale_columns(adjoint(block(p, 0, k, k, n, s), s), f.inverse, s);
  array du = product(f.u, whole_turn(turn_u, below_u, m, s), s);
  array dv = product(f.v, whole_turn(turn_v, below_v, n, s), s);
  return {du, ds, adjoint(dv, s)};
}

Arrays SVD::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>&,
                const Arrays& outputs) {
  Stream s = stream();
  if (primals[0].size() == 0) return {zeros_like(primals[0], s)};
  Arrays usv = compute_uv_ ? outputs : make(primals, s, true);
  SvdParts f(usv, s);
  int m = f.m, n = f.n, k = f.k;
  array gs = astype(compute_uv_ ? cotangents[1] : cotangents[0], primals[0].dtype(), s);
  array p = diagonal_matrix(gs, s);
  if (!compute_uv_) {
    array u = block(f.u, 0, m, 0, k, s), v = block(f.v, 0, n, 0, k, s);
    return {product(u, p, adjoint(v, s), s)};
  }
  array gu = product(adjoint(f.u, s), cotangents[0], s);
  array gv = product(adjoint(f.v, s), adjoint(cotangents[2], s), s);
  array gu11 = block(gu, 0, k, 0, k, s), gv11 = block(gv, 0, k, 0, k, s);
  array x = multiply(f.gaps, gu11, s), y = multiply(f.gaps, gv11, s);
  p = add(p, scale_columns(add(x, adjoint(x, s), s), usv[1], s), s);
  p = add(p, scale_rows(add(y, adjoint(y, s), s), usv[1], s), s);
  if (has_imaginary(p)) {
    array phase = imaginary_part(diagonal_of(subtract(gu11, gv11, s), s), s);
    phase = multiply(phase, astype(multiply(f.inverse, array(0.5f), s), complex64, s), s);
    p = add(p, diagonal_matrix(phase, s), s);
  }
  // The block that turns the leading vectors into those beyond the k-th.
  auto beyond = [&](const array& g, int size) {
    array d = subtract(block(g, k, size, 0, k, s), adjoint(block(g, 0, k, k, size, s), s), s);
    return scale_columns(d, f.inverse, s);
  };
  if (m > k) p = concatenate({p, beyond(gu, m)}, -2, s);
  if (n > k) p = concatenate({p, adjoint(beyond(gv, n), s)}, -1, s);
  return {product(f.u, p, adjoint(f.v, s), s)};
}

// ---- Eigh ----

std::vector<Shape> Eigh::output_shapes(const Arrays& inputs) {
  Shape values = with_matrix(inputs[0].shape(), {inputs[0].shape(-1)});
  if (!compute_eigenvectors_) return {values};
  return {values, inputs[0].shape()};
}

std::vector<Dtype> Eigh::dtypes(const Arrays& inputs) const {
  Dtype t = inputs[0].dtype();
  if (!compute_eigenvectors_) return {real_dtype(t)};
  return {real_dtype(t), t};
}

Arrays Eigh::jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>&) {
  Stream s = stream();
  Arrays wv = make(primals, s, uplo_, true);
  const array& v = wv[1];
  array p = product(adjoint(v, s), hermitian(tangents[0], s), v, s);
  array dw = as_dtype(diagonal_of(p, s), wv[0].dtype(), s);
  if (!compute_eigenvectors_) return {dw};
  array turn = multiply(astype(inverse_gaps(wv[0], s), p.dtype(), s), p, s);
  return {dw, product(v, turn, s)};
}

Arrays Eigh::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>&,
                 const Arrays& outputs) {
  Stream s = stream();
  Arrays wv = compute_eigenvectors_ ? outputs : make(primals, s, uplo_, true);
  const array& v = wv[1];
  array p = diagonal_matrix(astype(cotangents[0], v.dtype(), s), s);
  if (compute_eigenvectors_) {
    array g = product(adjoint(v, s), cotangents[1], s);
    p = add(p, multiply(astype(inverse_gaps(wv[0], s), g.dtype(), s), g, s), s);
  }
  return {hermitian(product(v, p, adjoint(v, s), s), s)};
}

// ---- Eig ----

std::vector<Shape> Eig::output_shapes(const Arrays& inputs) {
  Shape values = with_matrix(inputs[0].shape(), {inputs[0].shape(-1)});
  if (!compute_eigenvectors_) return {values};
  return {values, inputs[0].shape()};
}

std::vector<Dtype> Eig::dtypes(const Arrays&) const {
  if (!compute_eigenvectors_) return {complex64};
  return {complex64, complex64};
}

Arrays Eig::jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>&) {
  Stream s = stream();
  Arrays wv = make(primals, s, true);
  const array& v = wv[1];
  array moved = product(astype(tangents[0], complex64, s), v, s);
  array p = LinearSolve::make({v, moved}, s, Shaped::general)[0];  // V^-1 dA V
  array dw = diagonal_of(p, s);
  if (!compute_eigenvectors_) return {dw};
  array dv = product(v, multiply(inverse_gaps(wv[0], s), p, s), s);
  array grown = real(sum(multiply(conjugate(v, s), dv, s), -2, false, s), s);
  return {dw, subtract(dv, scale_columns(v, grown, s), s)};
}

Arrays Eig::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>&,
                const Arrays& outputs) {
  Stream s = stream();
  Arrays wv = compute_eigenvectors_ ? outputs : make(primals, s, true);
  const array& v = wv[1];
  array p = diagonal_matrix(cotangents[0], s);
  array vh = adjoint(v, s);
  if (compute_eigenvectors_) {
    const array& g = cotangents[1];
    array grown = real(sum(multiply(conjugate(v, s), g, s), -2, false, s), s);
    array free = product(vh, subtract(g, scale_columns(v, grown, s), s), s);
    p = add(p, multiply(conjugate(inverse_gaps(wv[0], s), s), free, s), s);
  }
  array ga = LinearSolve::make({vh, product(p, vh, s)}, s, Shaped::general)[0];
  return {as_dtype(ga, primals[0].dtype(), s)};
}

// ---- PseudoInverse ----

Arrays PseudoInverse::jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>&) {
  Stream s = stream();
  const array &a = primals[0], &da = tangents[0];
  array x = make(primals, s)[0];
  array xh = adjoint(x, s), dah = adjoint(da, s);
  array out = negative(product(x, da, x, s), s);
  // X X^H dA^H (1 - A X) + (1 - X A) dA^H X^H X
  array left = product(product(x, xh, s), dah, s);
  out = add(out, subtract(left, product(left, a, x, s), s), s);
  array right = product(dah, product(xh, x, s), s);
  return {add(out, subtract(right, product(x, product(a, right, s), s), s), s)};
}

Arrays PseudoInverse::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>&,
                          const Arrays& outputs) {
  Stream s = stream();
  const array &a = primals[0], &x = outputs[0];
  array xh = adjoint(x, s), gh = adjoint(cotangents[0], s);
  array out = negative(product(xh, cotangents[0], xh, s), s);
  // The adjoints of the two projected terms of jvp.
  array left = product(gh, product(x, xh, s), s);
  out = add(out, subtract(left, product(a, product(x, left, s), s), s), s);
  array right = product(product(xh, x, s), gh, s);
  return {add(out, subtract(right, product(product(right, x, s), a, s), s), s)};
}

}  // namespace mlx::core
