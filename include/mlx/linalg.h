// include/mlx/linalg.h: linear algebra. Matrices are the last two axes, axes before them batches;
// float32, float64 and complex64.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mlx/array.h"
#include "mlx/utils.h"

namespace mlx::core::linalg {

/** Norms of vectors (one axis) or matrices (two); all axes if none are given. */
array norm(const array& a, const double ord,
           const std::optional<std::vector<int>>& axis = std::nullopt, bool keepdims = false,
           StreamOrDevice s = {});
inline array norm(const array& a, const double ord, int axis, bool keepdims = false,
                  StreamOrDevice s = {}) {
  return norm(a, ord, std::vector<int>{axis}, keepdims, s);
}
array norm(const array& a, const std::string& ord,
           const std::optional<std::vector<int>>& axis = std::nullopt, bool keepdims = false,
           StreamOrDevice s = {});
inline array norm(const array& a, const std::string& ord, int axis, bool keepdims = false,
                  StreamOrDevice s = {}) {
  return norm(a, ord, std::vector<int>{axis}, keepdims, s);
}
array norm(const array& a, const std::optional<std::vector<int>>& axis = std::nullopt,
           bool keepdims = false, StreamOrDevice s = {});
inline array norm(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {}) {
  return norm(a, std::vector<int>{axis}, keepdims, s);
}

/** Q (m, k) and R (k, n), k = min(m, n). */
std::pair<array, array> qr(const array& a, StreamOrDevice s = {});

/** U (m, m), S (min(m, n)), V^H (n, n); or {S}. */
std::vector<array> svd(const array& a, bool compute_uv, StreamOrDevice s);
inline std::vector<array> svd(const array& a, StreamOrDevice s = {}) { return svd(a, true, s); }

/** Evaluating the inverse of a singular matrix throws std::runtime_error. */
array inv(const array& a, StreamOrDevice s = {});
/** The inverse of one triangle of a. */
array tri_inv(const array& a, bool upper = false, StreamOrDevice s = {});
/** L with L L^H = a, or its adjoint; reads that triangle of a only. */
array cholesky(const array& a, bool upper = false, StreamOrDevice s = {});
array pinv(const array& a, StreamOrDevice s = {});
/** The inverse of the matrix whose Cholesky factor is a. */
array cholesky_inv(const array& a, bool upper = false, StreamOrDevice s = {});

/** {P, L, U}: the rows P of L U are those of a. */
std::vector<array> lu(const array& a, StreamOrDevice s = {});
/** L (without its ones) and U in one matrix, and the row each row was exchanged with. */
std::pair<array, array> lu_factor(const array& a, StreamOrDevice s = {});

/** x with a x = b; a one-dimensional b is a vector. Batches broadcast. */
array solve(const array& a, const array& b, StreamOrDevice s = {});
array solve_triangular(const array& a, const array& b, bool upper = false, StreamOrDevice s = {});

/** Of vectors of 3 or 2 elements along axis; a missing third is 0. */
array cross(const array& a, const array& b, int axis = -1, StreamOrDevice s = {});

/** Eigenvalues and eigenvectors (columns), complex64. */
std::pair<array, array> eig(const array& a, StreamOrDevice s = {});
array eigvals(const array& a, StreamOrDevice s = {});
/** Of hermitian matrices, ascending; the triangle UPLO ("L" or "U") is read. */
array eigvalsh(const array& a, std::string UPLO = "L", StreamOrDevice s = {});
std::pair<array, array> eigh(const array& a, std::string UPLO = "L", StreamOrDevice s = {});

array det(const array& a, StreamOrDevice s = {});
/** Sign (or phase) and logarithm of the absolute value of the determinant. */
std::pair<array, array> slogdet(const array& a, StreamOrDevice s = {});

}  // namespace mlx::core::linalg
