// python/src/products.cpp: products of arrays, quantised weights, diagonals, array equality.
#include <nanobind/stl/pair.h>

#include "bind.h"
#include "define.h"
#include "mlx/einsum.h"
#include "mlx/ops.h"

namespace {

using Product = mx::array (*)(const mx::array&, const mx::array&, mx::StreamOrDevice);

using OptionalInt = std::optional<int>;
using OptionalArray = std::optional<mx::array>;

OptionalArray optional(nb::handle h, const char* op) {
  if (h.is_none()) return std::nullopt;
  if (mx::array* a = array_ptr(h)) return *a;
  throw_type_error("[" + std::string(op) + "] an array or None is needed, but " + py_type_name(h) +
                   " was given.");
}

void bind_quantized(nb::module_& m) {
  def_function(
      m, "quantize",
      "(w: array, /, group_size: int | None = None, bits: int | None = None, mode: str = 'affine', "
      "*, "
      "global_scale: array | None = None, stream: StreamOrDevice = None) -> tuple[array, array, "
      "array]",
      R"(
The matrix ``w`` with ``bits`` bits an element: packed values, and scales (in the mode ``affine`` also
biases) of each group of ``group_size`` elements of the last axis, whose size must be a multiple of it.

====== ============= ========== ================================================================
mode   group size    bits       value
====== ============= ========== ================================================================
affine 32, (64), 128 1-6 (4), 8 integer times scale, plus bias; both have the dtype of ``w``
mxfp4  32            4          4-bit float (E2M1) times a power of two
mxfp8  32            8          8-bit float (E4M3) times a power of two
nvfp4  16            4          4-bit float times an 8-bit float, and ``global_scale`` / 2688 if any
====== ============= ========== ================================================================

>>> w, scales = mx.quantize(mx.array([[6.0, -1.0] * 16]), mode="mxfp4")
>>> w.shape, scales.tolist(), mx.dequantize(w, scales, mode="mxfp4")[0, :2].tolist()
((1, 4), [[127]], [6.0, -1.0]))",
      [](const mx::array& w, OptionalInt group_size, OptionalInt bits, const std::string& mode,
         nb::handle global_scale, mx::StreamOrDevice s) {
        nb::list out;
        for (auto& a :
             mx::quantize(w, group_size, bits, mode, optional(global_scale, "quantize"), s)) {
          out.append(nb::steal(wrap_array(a)));
        }
        return nb::tuple(out);
      },
      nb::arg(), "group_size"_a.none() = nb::none(), "bits"_a.none() = nb::none(),
      "mode"_a = "affine", nb::kw_only(), "global_scale"_a.none() = nb::none(),
      "stream"_a.none() = nb::none());
  def_function(
      m, "dequantize",
      "(w: array, /, scales: array, biases: array | None = None, group_size: int | None = None, "
      "bits: int | "
      "None = None, mode: str = 'affine', global_scale: array | None = None, dtype: Dtype | None = "
      "None, *, " STREAM_SIG,
      "The matrix that :func:`quantize` packed, as well as it can be known. ``dtype``: that of "
      "affine "
      "scales; without, ``bfloat16`` in the other modes, ``float32`` with a global scale.",
      [](const mx::array& w, const mx::array& scales, nb::handle biases, OptionalInt group_size,
         OptionalInt bits, const std::string& mode, nb::handle global_scale,
         std::optional<mx::Dtype> dtype, mx::StreamOrDevice s) {
        return mx::dequantize(w, scales, optional(biases, "dequantize"), group_size, bits, mode,
                              optional(global_scale, "dequantize"), dtype, s);
      },
      nb::arg(), "scales"_a, "biases"_a.none() = nb::none(), "group_size"_a.none() = nb::none(),
      "bits"_a.none() = nb::none(), "mode"_a = "affine", "global_scale"_a.none() = nb::none(),
      "dtype"_a.none() = nb::none(), STREAM_ONLY);
  def_function(
      m, "quantized_matmul",
      "(x: array, w: array, /, scales: array, biases: array | None = None, transpose: bool = True, "
      "group_size: "
      "int | None = None, bits: int | None = None, mode: str = 'affine', *, " STREAM_SIG,
      "``x`` times the transpose of a quantised matrix (the matrix itself without ``transpose``), "
      "which is never unpacked as a whole.",
      [](const mx::array& x, const mx::array& w, const mx::array& scales, nb::handle biases,
         bool transpose, OptionalInt group_size, OptionalInt bits, const std::string& mode,
         mx::StreamOrDevice s) {
        return mx::quantized_matmul(x, w, scales, optional(biases, "quantized_matmul"), transpose,
                                    group_size, bits, mode, s);
      },
      nb::arg(), nb::arg(), "scales"_a, "biases"_a.none() = nb::none(), "transpose"_a = true,
      "group_size"_a.none() = nb::none(), "bits"_a.none() = nb::none(), "mode"_a = "affine",
      STREAM_ONLY);
}

void bind_diagonals(nb::module_& m) {
  constexpr const char* diagonal_sig =
      "(a: array, offset: int = 0, axis1: int = 0, axis2: int = 1, stream: StreamOrDevice = None) "
      "-> array";
  auto diagonal = [](const mx::array& a, int offset, int axis1, int axis2, mx::StreamOrDevice s) {
    return mx::diagonal(a, offset, axis1, axis2, s);
  };
  def_function(m, "diagonal", diagonal_sig, "A diagonal of two axes, as the last axis.", diagonal,
               "a"_a, "offset"_a = 0, "axis1"_a = 0, "axis2"_a = 1, "stream"_a.none() = nb::none());
  array_class().def("diagonal", diagonal,
                    nb::sig(keep_text(method_signature("diagonal", diagonal_sig))),
                    "See :func:`diagonal`.", "offset"_a = 0, "axis1"_a = 0, "axis2"_a = 1,
                    "stream"_a.none() = nb::none());
  def_both(
      m, "diag", "(a: array, /, k: int = 0, *, " STREAM_SIG,
      "The matrix with this vector on diagonal ``k``, or diagonal ``k`` of this matrix.",
      [](const mx::array& a, int k, mx::StreamOrDevice s) { return mx::diag(a, k, s); }, "k"_a = 0,
      STREAM_ONLY);
  def_function(
      m, "trace",
      "(a: array, /, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Dtype | None = None, "
      "*, " STREAM_SIG,
      "The sum along a diagonal of two axes.",
      [](const mx::array& a, int offset, int axis1, int axis2, std::optional<mx::Dtype> dtype,
         mx::StreamOrDevice s) {
        return dtype ? mx::trace(a, offset, axis1, axis2, *dtype, s)
                     : mx::trace(a, offset, axis1, axis2, s);
      },
      nb::arg(), "offset"_a = 0, "axis1"_a = 0, "axis2"_a = 1, "dtype"_a.none() = nb::none(),
      STREAM_ONLY);
}

void bind_equality(nb::module_& m) {
  def_function(
      m, "array_equal",
      "(a: scalar | array, b: scalar | array, equal_nan: bool = False, stream: StreamOrDevice = "
      "None) -> array",
      "Whether two arrays have the same shape and elements.",
      [](nb::handle a, nb::handle b, bool equal_nan, mx::StreamOrDevice s) {
        auto [x, y] = to_arrays(a, b);
        return mx::array_equal(x, y, equal_nan, s);
      },
      "a"_a, "b"_a, "equal_nan"_a = false, "stream"_a.none() = nb::none());
  constexpr const char* close_sig =
      "(a: array, b: array, /, rtol: float = 1e-05, atol: float = 1e-08, *, equal_nan: bool = "
      "False, " STREAM_SIG;
  auto close = [&](const char* name, auto f, const char* doc) {
    def_function(
        m, name, close_sig, doc,
        [f](nb::handle a, nb::handle b, double rtol, double atol, bool equal_nan,
            mx::StreamOrDevice s) {
          auto [x, y] = to_arrays(a, b);
          return f(x, y, rtol, atol, equal_nan, s);
        },
        nb::arg(), nb::arg(), "rtol"_a = 1e-5, "atol"_a = 1e-8, nb::kw_only(),
        "equal_nan"_a = false, "stream"_a.none() = nb::none());
  };
  close("isclose", &mx::isclose, "Where ``abs(a - b) <= atol + rtol * abs(b)``.");
  close("allclose", &mx::allclose, "Whether :func:`isclose` holds for all elements.");
}

}  // namespace

void bind_products(nb::module_& m) {
  def_function(
      m, "hadamard_transform", "(a: array, scale: float | None = None, " STREAM_SIG, R"(
The last axis multiplied with a Hadamard matrix (of 1 and -1, with orthogonal rows), times ``scale``,
``1 / sqrt(n)`` if not given. Sizes are ``n = m * 2**k`` with ``m`` in 1, 12, 20, 28; others raise
``ValueError``. Integers give ``float32``.

Example:
  >>> mx.hadamard_transform(mx.ones((4,)))
  array([2, 0, 0, 0], dtype=float32))",
      [](const mx::array& a, std::optional<float> scale, mx::StreamOrDevice s) {
        return mx::hadamard_transform(a, scale, s);
      },
      "a"_a, "scale"_a.none() = nb::none(), "stream"_a.none() = nb::none());

  auto product = [&](const char* name, Product op, const char* sig, const char* doc) {
    def_function(
        m, name, sig, doc,
        [op](const mx::array& a, const mx::array& b, mx::StreamOrDevice s) { return op(a, b, s); },
        nb::arg(), nb::arg(), STREAM_ONLY);
  };
  constexpr const char* two = "(a: array, b: array, /, *, " STREAM_SIG;
  product("matmul", &mx::matmul, two,
          "The product of matrices; a vector is a row on the left, a column on the right; leading "
          "axes broadcast.");
  product("inner", &mx::inner, two, "The sum of products over the last axes.");
  product("outer", &mx::outer, two,
          "The product of each element of ``a`` with each of ``b``, both flattened.");
  def_function(
      m, "kron", "(a: array, b: array, *, " STREAM_SIG, "The Kronecker product.",
      [](const mx::array& a, const mx::array& b, mx::StreamOrDevice s) {
        return mx::kron(a, b, s);
      },
      "a"_a, "b"_a, STREAM_ONLY);
  def_function(
      m, "vecdot", "(a: array, b: array, /, *, axis: int = -1, " STREAM_SIG,
      "The sum of ``conj(a) * b`` along ``axis``.",
      [](const mx::array& a, const mx::array& b, int axis, mx::StreamOrDevice s) {
        return mx::vecdot(a, b, axis, s);
      },
      nb::arg(), nb::arg(), "axis"_a = -1, STREAM_ONLY);
  def_function(
      m, "addmm",
      "(c: array, a: array, b: array, /, alpha: float = 1.0, beta: float = 1.0, *, " STREAM_SIG,
      "``alpha * (a @ b) + beta * c``.",
      [](const mx::array& c, const mx::array& a, const mx::array& b, float alpha, float beta,
         mx::StreamOrDevice s) { return mx::addmm(c, a, b, alpha, beta, s); },
      nb::arg(), nb::arg(), nb::arg(), "alpha"_a = 1.0f, "beta"_a = 1.0f, STREAM_ONLY);
  def_function(
      m, "tensordot", "(a: array, b: array, /, axes: int | list[Sequence[int]] = 2, *, " STREAM_SIG,
      "The sum of products over the last ``axes`` axes of ``a`` and first of ``b``, or over two "
      "lists of axes.",
      [](const mx::array& a, const mx::array& b, nb::handle axes, mx::StreamOrDevice s) {
        if (PyLong_Check(axes.ptr())) return mx::tensordot(a, b, to_int(axes, "tensordot"), s);
        if (nb::len(axes) != 2)
          throw std::invalid_argument("[tensordot] axes must be a list of two lists of axes.");
        return mx::tensordot(a, b, to_ints(nb::object(axes[0]), "tensordot"),
                             to_ints(nb::object(axes[1]), "tensordot"), s);
      },
      nb::arg(), nb::arg(), "axes"_a = 2, STREAM_ONLY);
  m.def(
      "einsum",
      [](const std::string& subscripts, const nb::args& operands, mx::StreamOrDevice s) {
        return mx::einsum(subscripts, to_array_list(operands, "einsum"), s);
      },
      "subscripts"_a, "operands"_a, STREAM_ONLY,
      nb::sig("def einsum(subscripts: str, *operands, stream: StreamOrDevice = None) -> array"),
      with_example(
          m, "einsum",
          "A sum of products by Einstein's notation: ``'ij,jk->ik'`` is a product of matrices."));
  m.def(
      "einsum_path",
      [](const std::string& subscripts, const nb::args& operands) {
        auto [path, text] = mx::einsum_path(subscripts, to_array_list(operands, "einsum_path"));
        nb::list steps;
        for (const auto& step : path) steps.append(nb::tuple(nb::cast(step)));
        return nb::make_tuple(steps, text);
      },
      "subscripts"_a, "operands"_a, nb::sig("def einsum_path(subscripts: str, *operands)"),
      with_example(
          m, "einsum_path",
          "The order in which :func:`einsum` contracts its operands, and a description of it."));
  bind_quantized(m);
  bind_diagonals(m);
  bind_equality(m);
}
