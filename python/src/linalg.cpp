// python/src/linalg.cpp: mx.linalg, linear algebra.
#include <filesystem>
#include <mutex>

#include "bind.h"
#include "core/lapack_path.h"
#include "define.h"
#include "mlx/linalg.h"

namespace {

/**
 * Finds the LAPACK library of the PyPI package scipy-openblas32 at the first call of a function of
 * this module: only files are looked for, and the backend opens it when it needs it.
 */
void find_lapack() {
  static bool found = false;  // under the GIL; looking twice does no harm
  if (found) return;
  for (nb::handle entry : nb::list(nb::module_::import_("sys").attr("path"))) {
    if (!nb::isinstance<nb::str>(entry)) continue;
    auto file = std::filesystem::path(nb::cast<std::string>(entry)) /
                "scipy_openblas32/lib/libscipy_openblas.so";
    std::error_code ignored;
    if (std::filesystem::exists(file, ignored)) {
      mx::set_lapack_path(file.string());
      break;
    }
  }
  found = true;
}

nb::object wrapped(const mx::array& a) { return nb::steal(wrap_array(a)); }

nb::tuple tuple_of(const std::vector<mx::array>& arrays) {
  nb::list out;
  for (const auto& a : arrays) out.append(wrapped(a));
  return nb::tuple(out);
}

nb::tuple tuple_of(const std::pair<mx::array, mx::array>& arrays) {
  return nb::make_tuple(wrapped(arrays.first), wrapped(arrays.second));
}

constexpr const char* kNormDoc = R"(
The norm of vectors along one ``axis``, or of matrices in two; of all elements if neither ``ord`` nor
``axis`` is given.

=======  ================================  ==========================
``ord``  of matrices                       of vectors
=======  ================================  ==========================
None     root of the sum of squares        root of the sum of squares
'fro'    the same                          (an error)
'nuc'    sum of the singular values        (an error)
inf      greatest sum of a row             greatest absolute value
-inf     least sum of a row                least absolute value
0        (an error)                        number of elements not 0
1        greatest sum of a column          sum of the absolute values
-1       least sum of a column             as for any other number
2        greatest singular value           root of the sum of squares
-2       least singular value              as for any other number
other    (an error)                        ``sum(|x|**ord)**(1/ord)``
=======  ================================  ==========================

The result is real; integers count as ``float32``, and half floats are summed in it.

Example:
  >>> mx.linalg.norm(mx.array([3.0, 4.0]))
  array(5, dtype=float32))";

/** The functions of one matrix: their doc says what comes back. */
void bind_products_of_one(nb::module_& m) {
  using One = mx::array (*)(const mx::array&, mx::StreamOrDevice);
  auto one = [&](const char* name, One f, const char* doc) {
    def_function(
        m, name, "(a: array, *, " STREAM_SIG, doc,
        [f](const mx::array& a, mx::StreamOrDevice s) {
          find_lapack();
          return f(a, s);
        },
        "a"_a, STREAM_ONLY);
  };
  one("inv", mx::linalg::inv, R"(
The inverses of square matrices. Evaluating that of a singular one raises ``RuntimeError``.

Example:
  >>> mx.linalg.inv(mx.array([[2.0, 0.0], [0.0, 4.0]])).tolist()
  [[0.5, 0.0], [0.0, 0.25]])");
  one("pinv", mx::linalg::pinv, R"(
The Moore-Penrose inverses (n, m) of matrices (m, n). Singular values below ``10 * max(m, n) * eps``
times the greatest count as zero.

Example:
  >>> mx.linalg.pinv(mx.array([[2.0], [0.0]])).tolist()
  [[0.5, 0.0]])");
  one("det", mx::linalg::det, R"(
The determinants of square matrices. The gradient exists for singular matrices too.

Example:
  >>> mx.linalg.det(mx.array([[2.0, 0.0], [0.0, 4.0]])).item()
  8.0)");
  one("eigvals", mx::linalg::eigvals, R"(
The eigenvalues of square matrices, ``complex64``, in no order.

Example:
  >>> mx.linalg.eigvals(mx.array([[0.0, 1.0], [-1.0, 0.0]])).tolist()
  [1j, -1j])");
}

using Flagged = mx::array (*)(const mx::array&, bool, mx::StreamOrDevice);

void bind_triangles(nb::module_& m) {
  auto flagged = [&](const char* name, Flagged f, const char* doc) {
    def_function(
        m, name, "(a: array, upper: bool = False, *, " STREAM_SIG, doc,
        [f](const mx::array& a, bool upper, mx::StreamOrDevice s) {
          find_lapack();
          return f(a, upper, s);
        },
        "a"_a, "upper"_a = false, STREAM_ONLY);
  };
  flagged("tri_inv", mx::linalg::tri_inv, R"(
The inverses of the lower (or ``upper``) triangles of square matrices; the rest is not read. A zero
on the diagonal raises ``RuntimeError`` on evaluation.

Example:
  >>> mx.linalg.tri_inv(mx.array([[1.0, 9.0], [1.0, 1.0]])).tolist()
  [[1.0, 0.0], [-1.0, 1.0]])");
  flagged("cholesky", mx::linalg::cholesky, R"(
The triangular ``L`` with a positive diagonal and ``L @ L.T == a`` (conjugated if complex), or its
transpose if ``upper``. Only that triangle of ``a`` is read; derivatives take ``a`` as symmetric. A
matrix that is not positive definite raises ``RuntimeError`` on evaluation.

Example:
  >>> mx.linalg.cholesky(mx.array([[4.0, 2.0], [2.0, 2.0]])).tolist()
  [[2.0, 0.0], [1.0, 1.0]])");
  flagged("cholesky_inv", mx::linalg::cholesky_inv, R"(
The inverses of the matrices whose Cholesky factors (lower, or ``upper``) are ``a``.

Example:
  >>> l = mx.linalg.cholesky(mx.array([[4.0, 0.0], [0.0, 2.0]]))
  >>> mx.allclose(mx.linalg.cholesky_inv(l), mx.array([[0.25, 0.0], [0.0, 0.5]])).item()
  True)");
}

void bind_factors(nb::module_& m) {
#define PAIR_SIG "stream: StreamOrDevice = None) -> tuple[array, array]"
  using Pair = std::pair<mx::array, mx::array> (*)(const mx::array&, mx::StreamOrDevice);
  auto pair = [&](const char* name, Pair f, const char* doc) {
    def_function(
        m, name, "(a: array, *, " PAIR_SIG, doc,
        [f](const mx::array& a, mx::StreamOrDevice s) {
          find_lapack();
          return tuple_of(f(a, s));
        },
        "a"_a, STREAM_ONLY);
  };
  pair("qr", mx::linalg::qr, R"(
``a == Q @ R`` for matrices (m, n): the columns of ``Q`` (m, k) are orthonormal, ``R`` (k, n) is upper
triangular, k is the lesser of m and n.

Example:
  >>> q, r = mx.linalg.qr(mx.array([[2.0, 3.0], [1.0, 2.0]]))
  >>> mx.allclose(q @ r, mx.array([[2.0, 3.0], [1.0, 2.0]]), atol=1e-5).item()
  True)");
  pair("lu_factor", mx::linalg::lu_factor, R"(
The factors of :func:`lu` in one matrix, ``L`` without its diagonal of ones, and for each of the first
rows the row it was exchanged with, in order, ``uint32``.

Example:
  >>> mx.linalg.lu_factor(mx.array([[1.0, 2.0], [2.0, 6.0]]))[0].tolist()
  [[2.0, 6.0], [0.5, -1.0]])");
  pair("eig", mx::linalg::eig, R"(
The eigenvalues (in no order) and the right eigenvectors (columns of length 1) of square matrices,
``complex64``.

Example:
  >>> w, v = mx.linalg.eig(mx.array([[2.0, 0.0], [0.0, 3.0]]))
  >>> w.tolist()
  [(2+0j), (3+0j)])");
  pair("slogdet", mx::linalg::slogdet, R"(
The signs of the determinants of square matrices (their phases if complex; 0 if singular) and the
logarithms of their absolute values.

Example:
  >>> sign, log = mx.linalg.slogdet(mx.array([[0.0, 1.0], [1.0, 0.0]]))
  >>> sign.item(), log.item()
  (-1.0, 0.0))");
  def_function(
      m, "lu", "(a: array, *, stream: StreamOrDevice = None) -> tuple[array, array, array]", R"(
``P``, ``L``, ``U`` with ``L[P] @ U == a`` for matrices (m, n): ``P`` an order of rows, ``L`` (m, k)
lower triangular with ones on its diagonal, ``U`` (k, n) upper triangular.

Example:
  >>> p, l, u = mx.linalg.lu(mx.array([[1.0, 2.0], [2.0, 6.0]]))
  >>> (l[p] @ u).tolist()
  [[1.0, 2.0], [2.0, 6.0]])",
      [](const mx::array& a, mx::StreamOrDevice s) {
        find_lapack();
        return tuple_of(mx::linalg::lu(a, s));
      },
      "a"_a, STREAM_ONLY);
  def_function(
      m, "svd",
      "(a: array, compute_uv: bool = True, *, stream: StreamOrDevice = None) -> tuple[array, "
      "array, "
      "array]",
      R"(
``U`` (m, m), ``S`` and ``Vt`` (n, n) with ``a == U[:, :k] @ diag(S) @ Vt[:k]`` for matrices (m, n), the
k singular values ``S`` in descending order; ``S`` alone unless ``compute_uv``.

Example:
  >>> mx.linalg.svd(mx.array([[3.0, 0.0], [0.0, 4.0]]), compute_uv=False).tolist()
  [4.0, 3.0])",
      [](const mx::array& a, bool compute_uv, mx::StreamOrDevice s) -> nb::object {
        find_lapack();
        auto out = mx::linalg::svd(a, compute_uv, s);
        if (compute_uv) return tuple_of(out);
        return wrapped(out[0]);
      },
      "a"_a, "compute_uv"_a = true, STREAM_ONLY);
  def_function(
      m, "eigh", "(a: array, UPLO: str = 'L', *, " PAIR_SIG, R"(
The eigenvalues (ascending) and eigenvectors (columns) of symmetric or hermitian matrices, of which the
lower (``'L'``) or upper (``'U'``) triangle is read.

Example:
  >>> w, v = mx.linalg.eigh(mx.array([[2.0, 0.0], [0.0, 1.0]]))
  >>> w.tolist()
  [1.0, 2.0])",
      [](const mx::array& a, const std::string& uplo, mx::StreamOrDevice s) {
        find_lapack();
        return tuple_of(mx::linalg::eigh(a, uplo, s));
      },
      "a"_a, "UPLO"_a = "L", STREAM_ONLY);
  def_function(
      m, "eigvalsh", "(a: array, UPLO: str = 'L', *, " STREAM_SIG, R"(
The eigenvalues of :func:`eigh`.

Example:
  >>> mx.linalg.eigvalsh(mx.array([[2.0, 0.0], [0.0, 1.0]])).tolist()
  [1.0, 2.0])",
      [](const mx::array& a, const std::string& uplo, mx::StreamOrDevice s) {
        find_lapack();
        return mx::linalg::eigvalsh(a, uplo, s);
      },
      "a"_a, "UPLO"_a = "L", STREAM_ONLY);
}

void bind_norm(nb::module_& m, const char* name) {
  def_function(
      m, name,
      "(a: array, /, ord: None | int | float | str = None, axis: None | int | list[int] = None, "
      "keepdims: bool = False, *, " STREAM_SIG,
      kNormDoc,
      [](const mx::array& a, nb::handle ord, nb::handle axis, bool keepdims, mx::StreamOrDevice s) {
        find_lapack();
        std::optional<std::vector<int>> axes;
        if (!axis.is_none()) axes = to_axes(axis, "norm").list;
        if (ord.is_none()) return mx::linalg::norm(a, axes, keepdims, s);
        if (nb::isinstance<nb::str>(ord)) {
          return mx::linalg::norm(a, nb::cast<std::string>(ord), axes, keepdims, s);
        }
        return mx::linalg::norm(a, nb::cast<double>(nb::float_(ord)), axes, keepdims, s);
      },
      nb::arg(), "ord"_a.none() = nb::none(), "axis"_a.none() = nb::none(), "keepdims"_a = false,
      STREAM_ONLY);
}

}  // namespace

void bind_linalg(nb::module_& parent) {
  nb::module_ m = parent.def_submodule(
      "linalg", "Linear algebra over the last two axes, in float32, float64 and complex64.");
  bind_norm(m, "norm");
  parent.attr("matrix_norm") = m.attr("norm");
  bind_products_of_one(m);
  bind_triangles(m);
  bind_factors(m);
  def_function(
      m, "solve", "(a: array, b: array, *, " STREAM_SIG, R"(
``x`` with ``a @ x == b``; a one-dimensional ``b`` is a vector. Axes before the matrices broadcast. A
singular ``a`` raises ``RuntimeError`` on evaluation.

Example:
  >>> mx.linalg.solve(mx.array([[2.0, 0.0], [0.0, 4.0]]), mx.array([2.0, 2.0])).tolist()
  [1.0, 0.5])",
      [](const mx::array& a, const mx::array& b, mx::StreamOrDevice s) {
        find_lapack();
        return mx::linalg::solve(a, b, s);
      },
      "a"_a, "b"_a, STREAM_ONLY);
  def_function(
      m, "solve_triangular", "(a: array, b: array, *, upper: bool = False, " STREAM_SIG, R"(
:func:`solve` with the lower (or ``upper``) triangle of ``a``; the rest is not read.

Example:
  >>> mx.linalg.solve_triangular(mx.array([[2.0, 7.0], [1.0, 1.0]]), mx.array([2.0, 2.0])).tolist()
  [1.0, 1.0])",
      [](const mx::array& a, const mx::array& b, bool upper, mx::StreamOrDevice s) {
        find_lapack();
        return mx::linalg::solve_triangular(a, b, upper, s);
      },
      "a"_a, "b"_a, nb::kw_only(), "upper"_a = false, "stream"_a.none() = nb::none());
  def_function(
      m, "cross", "(a: array, b: array, axis: int = -1, *, " STREAM_SIG, R"(
The products, at right angles to both, of vectors of 3 elements along ``axis``; of two, the third counts
as 0.

Example:
  >>> mx.linalg.cross(mx.array([1, 0, 0]), mx.array([0, 1, 0])).tolist()
  [0, 0, 1])",
      [](const mx::array& a, const mx::array& b, int axis, mx::StreamOrDevice s) {
        return mx::linalg::cross(a, b, axis, s);
      },
      "a"_a, "b"_a, "axis"_a = -1, STREAM_ONLY);
}
