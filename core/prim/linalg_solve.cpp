// core/prim/linalg_solve.cpp
#include "core/prim/linalg_solve.h"

namespace mlx::core {

using namespace linalg_parts;

using Arrays = std::vector<array>;

// ---- Inverse ----

Arrays Inverse::jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>&) {
  Stream s = stream();
  array x = make(primals, s, tri_, upper_)[0];
  array da = tangents[0];
  if (tri_) da = upper_ ? triu(da, 0, s) : tril(da, 0, s);
  return {negative(product(x, da, x, s), s)};
}

Arrays Inverse::vjp(const Arrays&, const Arrays& cotangents, const std::vector<int>&,
                    const Arrays& outputs) {
  Stream s = stream();
  array xh = adjoint(outputs[0], s);
  array ga = negative(product(xh, cotangents[0], xh, s), s);
  if (tri_) ga = upper_ ? triu(ga, 0, s) : tril(ga, 0, s);
  return {ga};
}

// ---- LinearSolve ----

namespace {

/** The part of a that a solve reads. */
array part_read(const array& a, Shaped shaped, Stream s) {
  if (shaped == Shaped::lower) return tril(a, 0, s);
  if (shaped == Shaped::upper) return triu(a, 0, s);
  return a;
}

Shaped of_adjoint(Shaped shaped) {
  if (shaped == Shaped::lower) return Shaped::upper;
  if (shaped == Shaped::upper) return Shaped::lower;
  return shaped;
}

}  // namespace

Arrays LinearSolve::jvp(const Arrays& primals, const Arrays& tangents,
                        const std::vector<int>& argnums) {
  Stream s = stream();
  std::optional<array> right;
  if (auto db = find(tangents, argnums, 1)) right = *db;
  if (auto da = find(tangents, argnums, 0)) {
    array x = make(primals, s, shaped_)[0];
    array moved = product(part_read(*da, shaped_, s), x, s);
    right = right ? subtract(*right, moved, s) : negative(moved, s);
  }
  return make({primals[0], *right}, s, shaped_);
}

Arrays LinearSolve::vjp(const Arrays& primals, const Arrays& cotangents,
                        const std::vector<int>& argnums, const Arrays& outputs) {
  Stream s = stream();
  array gb = make({adjoint(primals[0], s), cotangents[0]}, s, of_adjoint(shaped_))[0];
  Arrays result;
  for (int k : argnums) {
    if (k == 1) {
      result.push_back(gb);
    } else {
      array ga = negative(product(gb, adjoint(outputs[0], s), s), s);
      result.push_back(part_read(ga, shaped_, s));
    }
  }
  return result;
}

// ---- Determinant, Cofactors ----

namespace {

array as_matrix(const array& x, Stream s) { return expand_dims(x, std::vector<int>{-2, -1}, s); }

/** Cofactors of regular matrices by operations that have derivatives. */
array regular_cofactors(const array& a, Stream s) {
  array inverse = Inverse::make({a}, s, false, false)[0];
  return multiply(as_matrix(Determinant::make({a}, s)[0], s), transposed(inverse, s), s);
}

array sum_of_products(const array& a, const array& b, Stream s) {
  return sum(multiply(a, b, s), std::vector<int>{-2, -1}, false, s);
}

}  // namespace

Arrays Determinant::jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>&) {
  Stream s = stream();
  return {sum_of_products(Cofactors::make(primals, s)[0], tangents[0], s)};
}

Arrays Determinant::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>&,
                        const Arrays&) {
  Stream s = stream();
  array c = Cofactors::make(primals, s)[0];
  if (has_imaginary(c)) c = conjugate(c, s);
  return {multiply(as_matrix(cotangents[0], s), c, s)};
}

Arrays Cofactors::jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>&) {
  Stream s = stream();
  // C = d Y with Y = A^-T: dC = (sum C * dA) Y - Y dA^T C.
  array y = transposed(Inverse::make(primals, s, false, false)[0], s);
  array c = make(primals, s)[0];
  array grown = multiply(as_matrix(sum_of_products(c, tangents[0], s), s), y, s);
  return {subtract(grown, product(y, transposed(tangents[0], s), c, s), s)};
}

Arrays Cofactors::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>&,
                      const Arrays&) {
  Stream s = stream();
  const array& g = cotangents[0];
  array c = regular_cofactors(primals[0], s);
  array y = transposed(Inverse::make(primals, s, false, false)[0], s);
  if (has_imaginary(c)) c = conjugate(c, s), y = conjugate(y, s);
  // The adjoint of dA -> (sum C * dA) Y - Y dA^T C.
  array first = multiply(as_matrix(sum_of_products(g, y, s), s), c, s);
  array turned = product(c, transposed(g, s), y, s);
  return {subtract(first, turned, s)};
}

// ---- LogDeterminant ----

Arrays LogDeterminant::jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>&) {
  Stream s = stream();
  array inverse = Inverse::make(primals, s, false, false)[0];
  array trace = sum_of_products(transposed(inverse, s), tangents[0], s);
  if (!has_imaginary(trace)) return {zeros_like(trace, s), trace};
  array sign = make(primals, s)[0];
  return {multiply(sign, imaginary_part(trace, s), s), real(trace, s)};
}

Arrays LogDeterminant::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>&,
                           const Arrays& outputs) {
  Stream s = stream();
  array weight = cotangents[1];
  if (has_imaginary(primals[0])) {
    array turn = imaginary_part(multiply(conjugate(cotangents[0], s), outputs[0], s), s);
    weight = subtract(astype(weight, complex64, s), turn, s);
  }
  array inverse = adjoint(Inverse::make(primals, s, false, false)[0], s);
  return {multiply(as_matrix(weight, s), inverse, s)};
}

}  // namespace mlx::core
