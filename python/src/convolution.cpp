// python/src/convolution.cpp: convolutions.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include "bind.h"
#include "define.h"
#include "mlx/ops.h"

namespace {

using Pair = std::pair<int, int>;
using Triple = std::tuple<int, int, int>;
using PairArg = std::variant<int, Pair>;
using TripleArg = std::variant<int, Triple>;
using List = std::vector<int>;
using ListArg = std::variant<int, List>;
using PaddingArg = std::variant<int, List, std::pair<List, List>>;

Pair pair_of(const PairArg& v) {
  if (const int* n = std::get_if<int>(&v)) return {*n, *n};
  return std::get<Pair>(v);
}
Triple triple_of(const TripleArg& v) {
  if (const int* n = std::get_if<int>(&v)) return {*n, *n, *n};
  return std::get<Triple>(v);
}
List list_of(const ListArg& v) {
  if (const int* n = std::get_if<int>(&v)) return {*n};
  return std::get<List>(v);
}

mx::array convolve(mx::array a, mx::array v, const std::string& mode, mx::StreamOrDevice s) {
  if (a.ndim() != 1 || v.ndim() != 1) {
    throw std::invalid_argument("[convolve] Inputs must be 1D but have " +
                                std::to_string(a.ndim()) + " and " + std::to_string(v.ndim()) +
                                " dimensions.");
  }
  if (a.size() == 0 || v.size() == 0) {
    throw std::invalid_argument("[convolve] Inputs cannot be empty.");
  }
  if (a.size() < v.size()) std::swap(a, v);
  const int n = static_cast<int>(v.size());
  int lo = 0, hi = 0;
  if (mode == "full") {
    lo = hi = n - 1;
  } else if (mode == "same") {
    lo = n / 2;
    hi = (n - 1) / 2;
  } else if (mode != "valid") {
    throw std::invalid_argument("[convolve] mode must be 'full', 'same' or 'valid', not '" + mode +
                                "'.");
  }
  mx::array out = mx::conv_general(mx::reshape(a, {1, -1, 1}, s), mx::reshape(v, {1, -1, 1}, s),
                                   {1}, {lo}, {hi}, {1}, {1}, 1, true, s);
  return mx::reshape(out, {-1}, s);
}

void bind_forward(nb::module_& m) {
  def_function(
      m, "conv1d",
      "(input: array, weight: array, /, stride: int = 1, padding: int = 0, dilation: int = 1, "
      "groups: int = 1, *, " STREAM_SIG,
      R"(
Cross-correlation along one axis: ``input`` is ``(N, L, C_in)``, ``weight`` is
``(C_out, K, C_in / groups)``, the result ``(N, L_out, C_out)`` with
``L_out = (L + 2 * padding - dilation * (K - 1) - 1) // stride + 1``.

Floating dtypes, promoted; others, and shapes that don't fit, raise ``ValueError``.

>>> mx.conv1d(mx.arange(5.0).reshape(1, 5, 1), mx.ones((1, 2, 1))).reshape(-1).tolist()
[1.0, 3.0, 5.0, 7.0])",
      [](const mx::array& x, const mx::array& w, int stride, int padding, int dilation, int groups,
         mx::StreamOrDevice s) { return mx::conv1d(x, w, stride, padding, dilation, groups, s); },
      nb::arg(), nb::arg(), "stride"_a = 1, "padding"_a = 0, "dilation"_a = 1, "groups"_a = 1,
      STREAM_ONLY);
  def_function(
      m, "conv2d",
      "(input: array, weight: array, /, stride: int | tuple[int, int] = 1, padding: int | "
      "tuple[int, int] = 0, dilation: int | tuple[int, int] = 1, groups: int = 1, *, " STREAM_SIG,
      R"(
Cross-correlation along two axes: ``input`` is ``(N, H, W, C_in)``, ``weight`` is
``(C_out, KH, KW, C_in / groups)``, the result ``(N, H_out, W_out, C_out)``; sizes as in
:func:`conv1d`. One number stands for both axes.

>>> mx.conv2d(mx.ones((1, 4, 4, 3)), mx.ones((8, 3, 3, 3)), padding=1).shape
(1, 4, 4, 8))",
      [](const mx::array& x, const mx::array& w, const PairArg& stride, const PairArg& padding,
         const PairArg& dilation, int groups, mx::StreamOrDevice s) {
        return mx::conv2d(x, w, pair_of(stride), pair_of(padding), pair_of(dilation), groups, s);
      },
      nb::arg(), nb::arg(), "stride"_a = 1, "padding"_a = 0, "dilation"_a = 1, "groups"_a = 1,
      STREAM_ONLY);
  def_function(
      m, "conv3d",
      "(input: array, weight: array, /, stride: int | tuple[int, int, int] = 1, padding: int | "
      "tuple[int, int, int] = 0, dilation: int | tuple[int, int, int] = 1, groups: int = 1, "
      "*, " STREAM_SIG,
      R"(
Cross-correlation along three axes: ``input`` is ``(N, D, H, W, C_in)``, ``weight`` is
``(C_out, KD, KH, KW, C_in / groups)``; sizes as in :func:`conv1d`.

>>> mx.conv3d(mx.ones((1, 4, 4, 4, 2)), mx.ones((5, 2, 2, 2, 2)), stride=2).shape
(1, 2, 2, 2, 5))",
      [](const mx::array& x, const mx::array& w, const TripleArg& stride, const TripleArg& padding,
         const TripleArg& dilation, int groups, mx::StreamOrDevice s) {
        return mx::conv3d(x, w, triple_of(stride), triple_of(padding), triple_of(dilation), groups,
                          s);
      },
      nb::arg(), nb::arg(), "stride"_a = 1, "padding"_a = 0, "dilation"_a = 1, "groups"_a = 1,
      STREAM_ONLY);
}

void bind_transposed(nb::module_& m) {
  def_function(
      m, "conv_transpose1d",
      "(input: array, weight: array, /, stride: int = 1, padding: int = 0, dilation: int = 1, "
      "output_padding: int = 0, groups: int = 1, *, " STREAM_SIG,
      R"(
The transpose of :func:`conv1d` (its gradient with respect to the input): ``input`` is
``(N, L, C_in)``, ``weight`` is ``(C_out, K, C_in / groups)``, and the result has
``(L - 1) * stride - 2 * padding + dilation * (K - 1) + output_padding + 1`` positions.

>>> mx.conv_transpose1d(mx.ones((1, 2, 1)), mx.ones((1, 2, 1)), stride=2).reshape(-1).tolist()
[1.0, 1.0, 1.0, 1.0])",
      [](const mx::array& x, const mx::array& w, int stride, int padding, int dilation,
         int output_padding, int groups, mx::StreamOrDevice s) {
        return mx::conv_transpose1d(x, w, stride, padding, dilation, output_padding, groups, s);
      },
      nb::arg(), nb::arg(), "stride"_a = 1, "padding"_a = 0, "dilation"_a = 1,
      "output_padding"_a = 0, "groups"_a = 1, STREAM_ONLY);
  def_function(
      m, "conv_transpose2d",
      "(input: array, weight: array, /, stride: int | tuple[int, int] = 1, padding: int | "
      "tuple[int, int] = 0, dilation: int | tuple[int, int] = 1, output_padding: int | tuple[int, "
      "int] = 0, groups: int = 1, *, " STREAM_SIG,
      R"(
The transpose of :func:`conv2d`; shapes and sizes as in :func:`conv_transpose1d`, for two axes.

>>> mx.conv_transpose2d(mx.ones((1, 3, 3, 4)), mx.ones((2, 3, 3, 4)), stride=2).shape
(1, 7, 7, 2))",
      [](const mx::array& x, const mx::array& w, const PairArg& stride, const PairArg& padding,
         const PairArg& dilation, const PairArg& output_padding, int groups, mx::StreamOrDevice s) {
        return mx::conv_transpose2d(x, w, pair_of(stride), pair_of(padding), pair_of(dilation),
                                    pair_of(output_padding), groups, s);
      },
      nb::arg(), nb::arg(), "stride"_a = 1, "padding"_a = 0, "dilation"_a = 1,
      "output_padding"_a = 0, "groups"_a = 1, STREAM_ONLY);
  def_function(
      m, "conv_transpose3d",
      "(input: array, weight: array, /, stride: int | tuple[int, int, int] = 1, padding: int | "
      "tuple[int, int, int] = 0, dilation: int | tuple[int, int, int] = 1, output_padding: int | "
      "tuple[int, int, int] = 0, groups: int = 1, *, " STREAM_SIG,
      R"(
The transpose of :func:`conv3d`; shapes and sizes as in :func:`conv_transpose1d`, for three axes.

>>> mx.conv_transpose3d(mx.ones((1, 2, 2, 2, 4)), mx.ones((3, 2, 2, 2, 4))).shape
(1, 3, 3, 3, 3))",
      [](const mx::array& x, const mx::array& w, const TripleArg& stride, const TripleArg& padding,
         const TripleArg& dilation, const TripleArg& output_padding, int groups,
         mx::StreamOrDevice s) {
        return mx::conv_transpose3d(x, w, triple_of(stride), triple_of(padding),
                                    triple_of(dilation), triple_of(output_padding), groups, s);
      },
      nb::arg(), nb::arg(), "stride"_a = 1, "padding"_a = 0, "dilation"_a = 1,
      "output_padding"_a = 0, "groups"_a = 1, STREAM_ONLY);
}

}  // namespace

void bind_convolutions(nb::module_& m) {
  bind_forward(m);
  bind_transposed(m);
  def_function(
      m, "conv_general",
      "(input: array, weight: array, /, stride: int | Sequence[int] = 1, padding: int | "
      "Sequence[int] | tuple[Sequence[int], Sequence[int]] = 0, kernel_dilation: int | "
      "Sequence[int] = 1, input_dilation: int | Sequence[int] = 1, groups: int = 1, flip: bool = "
      "False, *, " STREAM_SIG,
      R"(
The convolution of one to three spatial axes in full: ``input`` is ``(N, ..., C_in)``, ``weight`` is
``(C_out, ..., C_in / groups)``, the result ``(N, ..., C_out)``.

``padding`` is one number, one for each axis, or a pair of lists (before, after); negative ones cut the
input. ``input_dilation`` puts zeros between values of the input, ``kernel_dilation`` between taps.
``flip`` runs through the taps backwards, which is the convolution of signal processing.

>>> x, w = mx.arange(4.0).reshape(1, 4, 1), mx.array([1.0, 2.0]).reshape(1, 2, 1)
>>> mx.conv_general(x, w, padding=([1], [0]), flip=True).reshape(-1).tolist()
[0.0, 1.0, 4.0, 7.0])",
      [](const mx::array& x, const mx::array& w, const ListArg& stride, const PaddingArg& padding,
         const ListArg& kernel_dilation, const ListArg& input_dilation, int groups, bool flip,
         mx::StreamOrDevice s) {
        List lo, hi;
        if (const int* n = std::get_if<int>(&padding)) {
          lo = hi = {*n};
        } else if (const List* l = std::get_if<List>(&padding)) {
          lo = hi = *l;
        } else {
          std::tie(lo, hi) = std::get<2>(padding);
        }
        return mx::conv_general(mx::array(x), mx::array(w), list_of(stride), lo, hi,
                                list_of(kernel_dilation), list_of(input_dilation), groups, flip, s);
      },
      nb::arg(), nb::arg(), "stride"_a = 1, "padding"_a = 0, "kernel_dilation"_a = 1,
      "input_dilation"_a = 1, "groups"_a = 1, "flip"_a = false, STREAM_ONLY);
  def_function(
      m, "convolve", "(a: array, v: array, /, mode: str = 'full', *, " STREAM_SIG,
      R"(
The convolution of two vectors. With ``n`` the longer and ``k`` the shorter size the result has
``n + k - 1`` values in mode ``'full'``, ``n`` in ``'same'`` and ``n - k + 1`` in ``'valid'``.

>>> mx.convolve(mx.array([1.0, 2.0, 3.0]), mx.array([0.0, 1.0, 0.5])).tolist()
[0.0, 1.0, 2.5, 4.0, 1.5])",
      [](const mx::array& a, const mx::array& v, const std::string& mode, mx::StreamOrDevice s) {
        return convolve(a, v, mode, s);
      },
      nb::arg(), nb::arg(), "mode"_a = "full", STREAM_ONLY);
}
