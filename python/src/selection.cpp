// python/src/selection.cpp: take and its relatives, and slices at computed positions.
#include "bind.h"
#include "define.h"
#include "mlx/ops.h"

void bind_selection(nb::module_& m) {
  def_function(
      m, "take", "(a: array, /, indices: int | array, axis: int | None = None, *, " STREAM_SIG,
      "The elements, or slices along ``axis``, at the indices; of the flattened array if ``None``.",
      [](const mx::array& a, nb::handle indices, std::optional<int> axis, mx::StreamOrDevice s) {
        if (PyLong_Check(indices.ptr())) {
          int i = to_int(indices, "take");
          return axis ? mx::take(a, i, *axis, s) : mx::take(a, i, s);
        }
        mx::array* i = array_ptr(indices);
        if (!i)
          throw_type_error("take(): indices must be an int or an array, not " +
                           py_type_name(indices) + ".");
        return axis ? mx::take(a, *i, *axis, s) : mx::take(a, *i, s);
      },
      nb::arg(), "indices"_a, "axis"_a.none() = nb::none(), STREAM_ONLY);
  def_function(
      m, "take_along_axis", "(a: array, /, indices: array, axis: int | None = -1, *, " STREAM_SIG,
      "For each position of ``indices``, the element of ``a`` that it names along ``axis``.",
      [](const mx::array& a, const mx::array& indices, std::optional<int> axis,
         mx::StreamOrDevice s) {
        if (axis) return mx::take_along_axis(a, indices, *axis, s);
        return mx::reshape(mx::take_along_axis(mx::flatten(a, s), mx::flatten(indices, s), 0, s),
                           indices.shape(), s);
      },
      nb::arg(), "indices"_a, "axis"_a.none() = -1, STREAM_ONLY);
  def_function(
      m, "put_along_axis",
      "(a: array, /, indices: array, values: array, axis: int | None = None, *, " STREAM_SIG,
      "``a`` with the elements that ``indices`` name along ``axis`` replaced by ``values``.",
      [](const mx::array& a, const mx::array& indices, nb::handle values, std::optional<int> axis,
         mx::StreamOrDevice s) {
        mx::array v = to_array(values, a.dtype());
        if (axis) return mx::put_along_axis(a, indices, v, *axis, s);
        mx::array flat =
            mx::put_along_axis(mx::flatten(a, s), mx::flatten(indices, s), mx::flatten(v, s), 0, s);
        return mx::reshape(flat, a.shape(), s);
      },
      nb::arg(), "indices"_a, "values"_a, "axis"_a.none() = nb::none(), STREAM_ONLY);
  def_function(
      m, "slice",
      "(a: array, start_indices: array, axes: Sequence[int], slice_size: Sequence[int], "
      "*, " STREAM_SIG,
      "A slice of ``slice_size`` that begins at computed positions along ``axes``.",
      [](const mx::array& a, const mx::array& start, nb::handle axes, nb::handle size,
         mx::StreamOrDevice s) {
        return mx::slice(a, start, to_ints(axes, "slice"), to_shape(size, "slice"), s);
      },
      "a"_a, "start_indices"_a, "axes"_a, "slice_size"_a, STREAM_ONLY);
  def_function(
      m, "slice_update",
      "(a: array, update: array, start_indices: array, axes: Sequence[int], *, " STREAM_SIG,
      "``a`` with ``update`` written at computed positions along ``axes``.",
      [](const mx::array& a, const mx::array& update, const mx::array& start, nb::handle axes,
         mx::StreamOrDevice s) {
        return mx::slice_update(a, update, start, to_ints(axes, "slice_update"), s);
      },
      "a"_a, "update"_a, "start_indices"_a, "axes"_a, STREAM_ONLY);
}
