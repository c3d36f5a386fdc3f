// core/prim/linalg_parts.h: what the primitives of linear algebra share.
#pragma once

#include <algorithm>
#include <tuple>
#include <vector>

#include "core/prim/prim.h"
#include "mlx/ops.h"
#include "mlx/utils.h"

namespace mlx::core {

/**
 * A primitive over matrices in the last two axes; axes before them are batches, the same in all
 * inputs. Derived gives output_shapes and dtypes(inputs).
 */
template <class Derived>
class MatrixPrim : public Prim<Derived> {
 public:
  using Prim<Derived>::Prim;

  template <class... Fields>
  static std::vector<array> make(const std::vector<array>& inputs, Stream s,
                                 const Fields&... fields) {
    auto p = std::make_shared<Derived>(s, fields...);
    return array::make_arrays(p->output_shapes(inputs), p->dtypes(inputs), p, inputs);
  }

  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override {
    Stream s = this->stream();
    ShapeElem n = 1;
    for (size_t i = 0; i < axes.size(); ++i) {
      if (axes[i] >= 0) n = inputs[i].shape(axes[i]);
    }
    std::vector<array> in;
    for (size_t i = 0; i < axes.size(); ++i) {
      if (axes[i] >= 0) {
        in.push_back(moveaxis(inputs[i], axes[i], 0, s));
      } else {
        Shape shape = inputs[i].shape();
        shape.insert(shape.begin(), n);
        in.push_back(broadcast_to(inputs[i], shape, s));
      }
    }
    auto outputs = std::apply([&](const auto&... f) { return make(in, s, f...); },
                              static_cast<Derived&>(*this).fields());
    std::vector<int> out_axes(outputs.size(), 0);
    return {std::move(outputs), std::move(out_axes)};
  }
};

/** The dtype of the absolute values of elements of dtype t. */
inline Dtype real_dtype(Dtype t) { return t == complex64 ? Dtype(float32) : t; }

/** shape with its last two axes replaced. */
inline Shape with_matrix(const Shape& shape, std::initializer_list<ShapeElem> last) {
  Shape out(shape.begin(), shape.end() - 2);
  for (ShapeElem n : last) out.push_back(n);
  return out;
}

namespace linalg_parts {

inline bool has_imaginary(const array& a) { return a.dtype() == complex64; }

inline array transposed(const array& a, Stream s) { return swapaxes(a, -1, -2, s); }

/** The transpose, conjugated where there is something to conjugate. */
inline array adjoint(const array& a, Stream s) {
  array t = transposed(a, s);
  return has_imaginary(a) ? conjugate(t, s) : t;
}

/** (a + its adjoint) / 2. */
inline array hermitian(const array& a, Stream s) {
  return multiply(add(a, adjoint(a, s), s), array(0.5f, a.dtype()), s);
}

inline array product(const array& a, const array& b, Stream s) { return matmul(a, b, s); }
inline array product(const array& a, const array& b, const array& c, Stream s) {
  return matmul(matmul(a, b, s), c, s);
}

/** The part [r0, r1) x [c0, c1) of each matrix. */
inline array block(const array& a, int r0, int r1, int c0, int c1, Stream s) {
  Shape start(a.ndim(), 0), stop = a.shape();
  int d = static_cast<int>(a.ndim());
  start[d - 2] = r0, stop[d - 2] = r1, start[d - 1] = c0, stop[d - 1] = c1;
  return slice(a, start, stop, s);
}

/** Each matrix with zeros below and to the right, of size m x n. */
inline array padded(const array& a, int m, int n, Stream s) {
  if (a.shape(-2) == m && a.shape(-1) == n) return a;
  return pad(a, std::vector<int>{-2, -1}, {0, 0}, {m - a.shape(-2), n - a.shape(-1)},
             array(0, a.dtype()), "constant", s);
}

inline array identity_of(int n, const array& like, Stream s) { return eye(n, like.dtype(), s); }

/** The diagonals of square matrices, as vectors. */
inline array diagonal_of(const array& a, Stream s) { return diagonal(a, 0, -2, -1, s); }

/** Matrices with these diagonals. */
inline array diagonal_matrix(const array& v, Stream s) {
  return multiply(expand_dims(v, -1, s), eye(v.shape(-1), v.dtype(), s), s);
}

/** x as dtype t, without its imaginary part if t is real. */
inline array as_dtype(const array& x, Dtype t, Stream s) {
  return astype(has_imaginary(x) && t != complex64 ? real(x, s) : x, t, s);
}

/** i times the imaginary part of a complex array. */
inline array imaginary_part(const array& x, Stream s) {
  return multiply(astype(imag(x, s), complex64, s), array(complex64_t(0, 1)), s);
}

/** Columns of a times the elements of v. */
inline array scale_columns(const array& a, const array& v, Stream s) {
  return multiply(a, astype(expand_dims(v, -2, s), a.dtype(), s), s);
}

/** Rows of a times the elements of v. */
inline array scale_rows(const array& a, const array& v, Stream s) {
  return multiply(a, astype(expand_dims(v, -1, s), a.dtype(), s), s);
}

/** 1 / x, and 0 where x is 0. */
inline array reciprocal_or_zero(const array& x, Stream s) {
  array zero = equal(x, array(0, x.dtype()), s);
  array safe = where(zero, array(1, x.dtype()), x, s);
  return where(zero, array(0, x.dtype()), divide(array(1, x.dtype()), safe, s), s);
}

/** f[i, j] = 1 / (v[j] - v[i]); 0 where they are equal. */
inline array inverse_gaps(const array& v, Stream s) {
  return reciprocal_or_zero(subtract(expand_dims(v, -2, s), expand_dims(v, -1, s), s), s);
}

/** The tangent at argument k, if there is one. */
inline const array* find(const std::vector<array>& tangents, const std::vector<int>& argnums,
                         int k) {
  auto at = std::find(argnums.begin(), argnums.end(), k);
  return at == argnums.end() ? nullptr : &tangents[at - argnums.begin()];
}

}  // namespace linalg_parts

}  // namespace mlx::core
