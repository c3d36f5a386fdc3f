// core/ops/linalg.cpp: the public functions of linear algebra, apart from norms.
#include "mlx/linalg.h"

#include "core/ops/axes.h"
#include "core/prim/linalg_factor.h"
#include "core/prim/linalg_solve.h"
#include "core/prim/linalg_spectral.h"

namespace mlx::core::linalg {

namespace {

using Arrays = std::vector<array>;

[[noreturn]] void refuse(const char* op, const std::string& text) {
  throw std::invalid_argument(std::string("[linalg::") + op + "] " + text);
}

bool supported(Dtype t) { return t == float32 || t == float64 || t == complex64; }

void check_matrix(const char* op, const array& a) {
  if (a.ndim() < 2) {
    refuse(op, "Arrays must have >= 2 dimensions. Received array with " + std::to_string(a.ndim()) +
                   " dimensions.");
  }
}

void check_dtype(const char* op, const array& a) {
  if (!supported(a.dtype())) {
    refuse(op, "Arrays must have type float32, float64 or complex64. Received array with type " +
                   std::string(dtype_to_string(a.dtype())) + ".");
  }
}

void check_square(const char* op, const array& a, const char* what) {
  if (a.shape(-1) != a.shape(-2)) {
    refuse(op, std::string(what) + " only defined for square matrices. Received array with shape " +
                   to_string(a.shape()) + ".");
  }
}

void check(const char* op, const array& a) {
  check_matrix(op, a);
  check_dtype(op, a);
}

std::string triangle(const char* op, const std::string& uplo) {
  if (uplo == "L" || uplo == "l") return "L";
  if (uplo == "U" || uplo == "u") return "U";
  refuse(op, "UPLO must be 'L' or 'U' but is '" + uplo + "'.");
}

array inverse(const char* op, const array& a, bool tri, bool upper, StreamOrDevice s) {
  check(op, a);
  check_square(op, a, "Inverses are");
  return Inverse::make({a}, to_stream(s), tri, upper)[0];
}

array solve_any(const char* op, const array& a, const array& b, Shaped shaped, StreamOrDevice s_) {
  if (a.ndim() < 2) {
    refuse(op, "First input must have >= 2 dimensions. Received array with " +
                   std::to_string(a.ndim()) + " dimensions.");
  }
  if (b.ndim() < 1) {
    refuse(op, "Second input must have >= 1 dimensions. Received array with 0 dimensions.");
  }
  if (a.shape(-1) != a.shape(-2)) {
    refuse(op, "First input must be a square matrix. Received array with shape " +
                   to_string(a.shape()) + ".");
  }
  bool vector = b.ndim() == 1;
  if (b.shape(vector ? -1 : -2) != a.shape(-1)) {
    refuse(op, "Last dimension of first input with shape " + to_string(a.shape()) +
                   " must match second to last dimension of second input with shape " +
                   to_string(b.shape()) + ".");
  }
  Dtype t = result_type(a, b);
  if (!supported(t)) {
    refuse(op,
           "Input arrays must promote to float32, float64 or complex64. Received arrays with "
           "type " +
               std::string(dtype_to_string(a.dtype())) + " and " + dtype_to_string(b.dtype()) +
               ".");
  }
  Stream s = to_stream(s_);
  array x = astype(a, t, s), y = astype(vector ? expand_dims(b, -1, s) : b, t, s);
  if (x.ndim() == 2 && y.ndim() > 2) {
    // One matrix for a batch of right sides: all their columns stand side by side.
    array columns = moveaxis(y, -2, 0, s);  // (n, batch..., m)
    Shape shape = columns.shape();
    ShapeElem count = 1;
    for (size_t i = 1; i < shape.size(); ++i) count *= shape[i];
    columns = reshape(columns, {shape[0], count}, s);
    array out = LinearSolve::make({x, columns}, s, shaped)[0];
    return moveaxis(reshape(out, shape, s), 0, -2, s);
  }
  Shape batch = broadcast_shapes(with_matrix(x.shape(), {}), with_matrix(y.shape(), {}));
  auto expand = [&](const array& z) {
    Shape shape = batch;
    shape.push_back(z.shape(-2));
    shape.push_back(z.shape(-1));
    return broadcast_to(z, shape, s);
  };
  array out = LinearSolve::make({expand(x), expand(y)}, s, shaped)[0];
  return vector ? squeeze(out, -1, s) : out;
}

/** Integers count as float32; half floats are computed in it. */
Dtype determinant_dtype(Dtype t) { return supported(t) ? t : Dtype(float32); }

/** The dtype of the result. */
Dtype visible_dtype(Dtype t) { return issubdtype(t, inexact) ? t : Dtype(float32); }

}  // namespace

std::pair<array, array> qr(const array& a, StreamOrDevice s) {
  check("qr", a);
  Arrays out = QRF::make({a}, to_stream(s));
  return {out[0], out[1]};
}

std::vector<array> svd(const array& a, bool compute_uv, StreamOrDevice s) {
  check("svd", a);
  return SVD::make({a}, to_stream(s), compute_uv);
}

array inv(const array& a, StreamOrDevice s) { return inverse("inv", a, false, false, s); }

array tri_inv(const array& a, bool upper, StreamOrDevice s) {
  return inverse("tri_inv", a, true, upper, s);
}

array cholesky(const array& a, bool upper, StreamOrDevice s) {
  check("cholesky", a);
  check_square("cholesky", a, "Cholesky decomposition is");
  return Cholesky::make({a}, to_stream(s), upper)[0];
}

array cholesky_inv(const array& a, bool upper, StreamOrDevice s_) {
  check("cholesky_inv", a);
  check_square("cholesky_inv", a, "Cholesky inverse is");
  Stream s = to_stream(s_);
  array x = Inverse::make({a}, s, true, upper)[0], xh = linalg_parts::adjoint(x, s);
  return upper ? matmul(x, xh, s) : matmul(xh, x, s);
}

array pinv(const array& a, StreamOrDevice s) {
  check("pinv", a);
  return PseudoInverse::make({a}, to_stream(s))[0];
}

std::vector<array> lu(const array& a, StreamOrDevice s_) {
  check("lu", a);
  Stream s = to_stream(s_);
  Arrays out = LUF::make({a}, s);
  int m = a.shape(-2), n = a.shape(-1), k = std::min(m, n);
  array l = linalg_parts::block(out[0], 0, m, 0, k, s);
  array u = linalg_parts::block(out[0], 0, k, 0, n, s);
  l = add(tril(l, -1, s), eye(m, k, 0, a.dtype(), s), s);
  // The inverse of the order the rows were put in.
  return {astype(argsort(out[2], -1, s), uint32, s), l, triu(u, 0, s)};
}

std::pair<array, array> lu_factor(const array& a, StreamOrDevice s) {
  check("lu_factor", a);
  Arrays out = LUF::make({a}, to_stream(s));
  return {out[0], out[1]};
}

array solve(const array& a, const array& b, StreamOrDevice s) {
  return solve_any("solve", a, b, Shaped::general, s);
}

array solve_triangular(const array& a, const array& b, bool upper, StreamOrDevice s) {
  return solve_any("solve_triangular", a, b, upper ? Shaped::upper : Shaped::lower, s);
}

array cross(const array& a, const array& b, int axis, StreamOrDevice s_) {
  Stream s = to_stream(s_);
  int ndim = static_cast<int>(std::max(a.ndim(), b.ndim()));
  // Counted from the end, so that it is the same axis where one array has more axes.
  int last = axis_in_bounds("linalg::cross", axis, ndim) - ndim;
  axis_in_bounds("linalg::cross", last, static_cast<int>(a.ndim()));
  axis_in_bounds("linalg::cross", last, static_cast<int>(b.ndim()));
  int na = a.shape(last), nb = b.shape(last);
  if (na < 2 || na > 3 || nb < 2 || nb > 3) {
    refuse("cross", "The specified axis must have size 2 or 3.");
  }
  Dtype t = result_type(a, b);
  auto parts = [&](const array& x) {
    array whole = astype(x, t, s);
    if (x.shape(last) == 2) {
      Shape shape = x.shape();
      shape[shape.size() + last] = 1;
      whole = concatenate({whole, zeros(shape, t, s)}, last, s);
    }
    return split(whole, 3, last, s);
  };
  Arrays x = parts(a), y = parts(b);
  auto component = [&](int i, int j) {
    return subtract(multiply(x[i], y[j], s), multiply(x[j], y[i], s), s);
  };
  return concatenate({component(1, 2), component(2, 0), component(0, 1)}, last, s);
}

std::pair<array, array> eig(const array& a, StreamOrDevice s) {
  check("eig", a);
  check_square("eig", a, "Eigenvectors are");
  Arrays out = Eig::make({a}, to_stream(s), true);
  return {out[0], out[1]};
}

array eigvals(const array& a, StreamOrDevice s) {
  check("eigvals", a);
  check_square("eigvals", a, "Eigenvalues are");
  return Eig::make({a}, to_stream(s), false)[0];
}

std::pair<array, array> eigh(const array& a, std::string UPLO, StreamOrDevice s) {
  check("eigh", a);
  check_square("eigh", a, "Eigenvectors are");
  Arrays out = Eigh::make({a}, to_stream(s), triangle("eigh", UPLO), true);
  return {out[0], out[1]};
}

array eigvalsh(const array& a, std::string UPLO, StreamOrDevice s) {
  check("eigvalsh", a);
  check_square("eigvalsh", a, "Eigenvalues are");
  return Eigh::make({a}, to_stream(s), triangle("eigvalsh", UPLO), false)[0];
}

array det(const array& a, StreamOrDevice s_) {
  check_matrix("det", a);
  check_square("det", a, "Determinants are");
  Stream s = to_stream(s_);
  array x = astype(a, determinant_dtype(a.dtype()), s);
  return astype(Determinant::make({x}, s)[0], visible_dtype(a.dtype()), s);
}

std::pair<array, array> slogdet(const array& a, StreamOrDevice s_) {
  check_matrix("slogdet", a);
  check_square("slogdet", a, "Determinants are");
  Stream s = to_stream(s_);
  array x = astype(a, determinant_dtype(a.dtype()), s);
  Arrays out = LogDeterminant::make({x}, s);
  Dtype t = visible_dtype(a.dtype());
  return {astype(out[0], t, s), astype(out[1], real_dtype(t), s)};
}

}  // namespace mlx::core::linalg
