// python/src/gathered.cpp: 8-bit floats, products of quantised factors, of chosen matrices, of
// segments and of masked blocks.
#include "bind.h"
#include "define.h"
#include "mlx/ops.h"

namespace {

using OptionalInt = std::optional<int>;
using OptionalArray = std::optional<mx::array>;

OptionalArray optional(nb::handle h, const char* op) {
  if (h.is_none()) return std::nullopt;
  if (mx::array* a = array_ptr(h)) return *a;
  throw_type_error("[" + std::string(op) + "] an array or None is needed, but " + py_type_name(h) +
                   " was given.");
}

void bind_fp8(nb::module_& m) {
  def_function(
      m, "to_fp8", "(x: array, *, " STREAM_SIG,
      R"(
Real floating ``x`` as 8-bit floats (E4M3), in ``uint8``. Ties go to the even code; beyond 448 is 448.

>>> mx.to_fp8(mx.array([1.0, -0.5, 1000.0])).tolist()
[56, 176, 126])",
      [](const mx::array& x, mx::StreamOrDevice s) { return mx::to_fp8(x, s); }, "x"_a,
      STREAM_ONLY);
  def_function(
      m, "from_fp8", "(x: array, dtype: Dtype = bfloat16, *, " STREAM_SIG,
      R"(
The values of 8-bit floats (E4M3, in ``uint8``) in a real floating ``dtype``.

>>> mx.from_fp8(mx.array([56, 176, 126], mx.uint8), mx.float32).tolist()
[1.0, -0.5, 448.0])",
      [](const mx::array& x, mx::Dtype dtype, mx::StreamOrDevice s) {
        return mx::from_fp8(x, dtype, s);
      },
      "x"_a, "dtype"_a = mx::bfloat16, STREAM_ONLY);
}

void bind_quantised_factors(nb::module_& m) {
  def_function(
      m, "qqmm",
      "(x: array, w: array, scales: array | None = None, group_size: int | None = None, bits: int "
      "| None = None, mode: str = 'nvfp4', global_scale_x: array | None = None, global_scale_w: "
      "array | None = None, *, " STREAM_SIG,
      R"(
``x`` times the transpose of the matrix ``w``, both rounded to what ``mode`` can hold.

``w`` is packed by :func:`quantize`, with its ``scales``, or a matrix of floats that is rounded here.
Gradients take the rounding for the identity. For ``nvfp4`` there may be a global scale of each.

>>> x, w = mx.full((2, 32), 6.0), mx.full((3, 32), 3.0)
>>> mx.qqmm(x, w).tolist()
[[576.0, 576.0, 576.0], [576.0, 576.0, 576.0]])",
      [](const mx::array& x, const mx::array& w, nb::handle scales, OptionalInt group_size,
         OptionalInt bits, const std::string& mode, nb::handle gx, nb::handle gw,
         mx::StreamOrDevice s) {
        return mx::qqmm(x, w, optional(scales, "qqmm"), group_size, bits, mode,
                        optional(gx, "qqmm"), optional(gw, "qqmm"), s);
      },
      "x"_a, "w"_a, "scales"_a.none() = nb::none(), "group_size"_a.none() = nb::none(),
      "bits"_a.none() = nb::none(), "mode"_a = "nvfp4", "global_scale_x"_a.none() = nb::none(),
      "global_scale_w"_a.none() = nb::none(), STREAM_ONLY);
  def_function(
      m, "gather_qqmm",
      "(x: array, w: array, /, scales: array | None = None, lhs_indices: array | None = None, "
      "rhs_indices: array | None = None, group_size: int | None = None, bits: int | None = None, "
      "mode: str = 'nvfp4', global_scale_x: array | None = None, global_scale_w: array | None = "
      "None, *, sorted_indices: bool = False, " STREAM_SIG,
      R"(
:func:`qqmm` of chosen matrices: see :func:`gather_mm` for the indices. ``global_scale_w`` is one
value, or one for each matrix of ``w``.

>>> x, w = mx.full((2, 1, 32), 6.0), mx.stack([mx.zeros((3, 32)), mx.full((3, 32), 3.0)])
>>> mx.gather_qqmm(x, w, rhs_indices=mx.array([1, 0])).tolist()
[[[576.0, 576.0, 576.0]], [[0.0, 0.0, 0.0]]])",
      [](const mx::array& x, const mx::array& w, nb::handle scales, nb::handle lhs, nb::handle rhs,
         OptionalInt group_size, OptionalInt bits, const std::string& mode, nb::handle gx,
         nb::handle gw, bool sorted, mx::StreamOrDevice s) {
        constexpr const char* op = "gather_qqmm";
        return mx::gather_qqmm(x, w, optional(scales, op), optional(lhs, op), optional(rhs, op),
                               group_size, bits, mode, optional(gx, op), optional(gw, op), sorted,
                               s);
      },
      nb::arg(), nb::arg(), "scales"_a.none() = nb::none(), "lhs_indices"_a.none() = nb::none(),
      "rhs_indices"_a.none() = nb::none(), "group_size"_a.none() = nb::none(),
      "bits"_a.none() = nb::none(), "mode"_a = "nvfp4", "global_scale_x"_a.none() = nb::none(),
      "global_scale_w"_a.none() = nb::none(), nb::kw_only(), "sorted_indices"_a = false,
      "stream"_a.none() = nb::none());
  def_function(
      m, "gather_qmm",
      "(x: array, w: array, /, scales: array, biases: array | None = None, lhs_indices: array | "
      "None = None, rhs_indices: array | None = None, transpose: bool = True, group_size: int | "
      "None = None, bits: int | None = None, mode: str = 'affine', global_scale: array | None = "
      "None, *, sorted_indices: bool = False, " STREAM_SIG,
      R"(
:func:`quantized_matmul` of chosen matrices: see :func:`gather_mm` for the indices.

``global_scale`` (mode ``nvfp4``) has one value for each matrix of ``w``.

>>> w = mx.quantize(mx.stack([mx.zeros((4, 64)), mx.ones((4, 64))]))
>>> mx.gather_qmm(mx.ones((2, 1, 64)), *w, rhs_indices=mx.array([1, 0])).tolist()
[[[64.0, 64.0, 64.0, 64.0]], [[0.0, 0.0, 0.0, 0.0]]])",
      [](const mx::array& x, const mx::array& w, const mx::array& scales, nb::handle biases,
         nb::handle lhs, nb::handle rhs, bool transpose, OptionalInt group_size, OptionalInt bits,
         const std::string& mode, nb::handle global, bool sorted, mx::StreamOrDevice s) {
        constexpr const char* op = "gather_qmm";
        return mx::gather_qmm(x, w, scales, optional(biases, op), optional(lhs, op),
                              optional(rhs, op), transpose, group_size, bits, mode,
                              optional(global, op), sorted, s);
      },
      nb::arg(), nb::arg(), "scales"_a, "biases"_a.none() = nb::none(),
      "lhs_indices"_a.none() = nb::none(), "rhs_indices"_a.none() = nb::none(),
      "transpose"_a = true, "group_size"_a.none() = nb::none(), "bits"_a.none() = nb::none(),
      "mode"_a = "affine", "global_scale"_a.none() = nb::none(), nb::kw_only(),
      "sorted_indices"_a = false, "stream"_a.none() = nb::none());
}

}  // namespace

void bind_gathered(nb::module_& m) {
  bind_fp8(m);
  bind_quantised_factors(m);
  def_function(
      m, "gather_mm",
      "(a: array, b: array, /, lhs_indices: array | None = None, rhs_indices: array | None = None, "
      "*, sorted_indices: bool = False, " STREAM_SIG,
      R"(
Products of chosen matrices, in any real floating dtype.

Indices number the matrices in the last two axes of ``a`` and ``b`` (as if the axes before were one);
left out, they are all in turn. They broadcast: item ``i`` of the result is
``a[lhs_indices[i]] @ b[rhs_indices[i]]``. Matrices of ``b`` that several items take are read once,
sorted or not. An index out of bounds raises ``IndexError``.

>>> a, b = mx.ones((3, 1, 2)), mx.arange(8.0).reshape(2, 2, 2)
>>> mx.gather_mm(a, b, rhs_indices=mx.array([1, 0, 1])).tolist()
[[[10.0, 12.0]], [[2.0, 4.0]], [[10.0, 12.0]]])",
      [](const mx::array& a, const mx::array& b, nb::handle lhs, nb::handle rhs, bool sorted,
         mx::StreamOrDevice s) {
        return mx::gather_mm(a, b, optional(lhs, "gather_mm"), optional(rhs, "gather_mm"), sorted,
                             s);
      },
      nb::arg(), nb::arg(), "lhs_indices"_a.none() = nb::none(),
      "rhs_indices"_a.none() = nb::none(), nb::kw_only(), "sorted_indices"_a = false,
      "stream"_a.none() = nb::none());
  def_function(
      m, "block_masked_mm",
      "(a: array, b: array, /, block_size: int = 64, mask_out: array | None = None, mask_lhs: "
      "array | None = None, mask_rhs: array | None = None, *, " STREAM_SIG,
      R"(
``a @ b`` with masks of one element for each block of ``block_size`` by ``block_size`` elements (the
last may be smaller) of the result, of ``a`` and of ``b``.

Where a boolean mask is false the block counts as zero and costs nothing; other masks are factors.

>>> a = mx.ones((64, 64))
>>> mx.block_masked_mm(a, a, 32, mask_lhs=mx.array([[True, False], [True, True]]))[::32, 0].tolist()
[32.0, 64.0])",
      [](const mx::array& a, const mx::array& b, int block, nb::handle out, nb::handle lhs,
         nb::handle rhs, mx::StreamOrDevice s) {
        constexpr const char* op = "block_masked_mm";
        return mx::block_masked_mm(a, b, block, optional(out, op), optional(lhs, op),
                                   optional(rhs, op), s);
      },
      nb::arg(), nb::arg(), "block_size"_a = 64, "mask_out"_a.none() = nb::none(),
      "mask_lhs"_a.none() = nb::none(), "mask_rhs"_a.none() = nb::none(), STREAM_ONLY);
  def_function(
      m, "segmented_mm", "(a: array, b: array, /, segments: array, *, " STREAM_SIG,
      R"(
For each pair ``(first, last)`` in the last axis of ``segments`` the product
``a[:, first:last] @ b[first:last]`` of two matrices.

>>> a, b = mx.ones((1, 4)), mx.arange(4.0).reshape(4, 1)
>>> mx.segmented_mm(a, b, mx.array([[0, 2], [2, 4]])).tolist()
[[[1.0]], [[5.0]]])",
      [](const mx::array& a, const mx::array& b, const mx::array& segments, mx::StreamOrDevice s) {
        return mx::segmented_mm(a, b, segments, s);
      },
      nb::arg(), nb::arg(), "segments"_a, STREAM_ONLY);
}
