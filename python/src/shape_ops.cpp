// python/src/shape_ops.cpp: shapes, views, dtypes, joining and taking apart.
#include "bind.h"
#include "define.h"
#include "mlx/ops.h"

namespace {

nb::list listed(const std::vector<mx::array>& arrays) {
  nb::list out;
  for (const auto& a : arrays) out.append(nb::steal(wrap_array(a)));
  return out;
}

/** The positional ints of a.reshape(2, 3), a.reshape((2, 3)), a.reshape(). */
nb::object spread(const nb::args& args) {
  if (args.size() == 1 && !PyIndex_Check(nb::handle(args[0]).ptr())) return args[0];
  if (args.size() == 1 && array_ptr(args[0])) return args[0];
  return nb::borrow<nb::tuple>(args);
}

void bind_views(nb::module_& m) {
  constexpr const char* reshape_doc =
      "The elements in another shape, row by row; one dimension may be -1. Raises ``ValueError`` "
      "if sizes differ.";
  def_function(
      m, "reshape", "(a: array, /, shape: Sequence[int], *, " STREAM_SIG, reshape_doc,
      [](const mx::array& a, nb::handle shape, mx::StreamOrDevice s) {
        return mx::reshape(a, to_shape(shape, "reshape"), s);
      },
      nb::arg(), "shape"_a, STREAM_ONLY);
  array_class().def(
      "reshape",
      [](const mx::array& a, const nb::args& shape, mx::StreamOrDevice s) {
        return mx::reshape(a, to_shape(spread(shape), "reshape"), s);
      },
      "shape"_a, STREAM_ONLY, nb::sig("def reshape(self, *shape, " STREAM_SIG),
      "See :func:`reshape`; the dimensions may be given one by one.");
  def_function(
      m, "unflatten", "(a: array, /, axis: int, shape: Sequence[int], *, " STREAM_SIG,
      "An axis split into several; one dimension may be -1.",
      [](const mx::array& a, int axis, nb::handle shape, mx::StreamOrDevice s) {
        return mx::unflatten(a, axis, to_shape(shape, "unflatten"), s);
      },
      nb::arg(), "axis"_a, "shape"_a, STREAM_ONLY);
  def_both(
      m, "flatten", "(a: array, /, start_axis: int = 0, end_axis: int = -1, *, " STREAM_SIG,
      "The axes from ``start_axis`` to ``end_axis``, both included, as one.",
      [](const mx::array& a, int start, int end, mx::StreamOrDevice s) {
        return mx::flatten(a, start, end, s);
      },
      "start_axis"_a = 0, "end_axis"_a = -1, STREAM_ONLY);
  def_both(
      m, "squeeze", "(a: array, /, axis: None | int | Sequence[int] = None, *, " STREAM_SIG,
      "The array without the given axes of size 1 (without all of them if ``None``).",
      [](const mx::array& a, nb::handle axis, mx::StreamOrDevice s) {
        Axes axes = to_axes(axis, "squeeze");
        return axes.all ? mx::squeeze(a, s) : mx::squeeze(a, axes.list, s);
      },
      "axis"_a.none() = nb::none(), STREAM_ONLY);
  def_function(
      m, "expand_dims", "(a: array, /, axis: int | Sequence[int], *, " STREAM_SIG,
      "The array with axes of size 1 at the given positions of the result.",
      [](const mx::array& a, nb::handle axis, mx::StreamOrDevice s) {
        return mx::expand_dims(a, to_ints(axis, "expand_dims"), s);
      },
      nb::arg(), "axis"_a, STREAM_ONLY);
  for (const char* name : {"transpose", "permute_dims"}) {
    def_function(
        m, name, "(a: array, /, axes: Sequence[int] | None = None, *, " STREAM_SIG,
        "The axes in another order; reversed if ``None``.",
        [](const mx::array& a, nb::handle axes, mx::StreamOrDevice s) {
          return axes.is_none() ? mx::transpose(a, s)
                                : mx::transpose(a, to_ints(axes, "transpose"), s);
        },
        nb::arg(), "axes"_a.none() = nb::none(), STREAM_ONLY);
  }
  array_class().def(
      "transpose",
      [](const mx::array& a, const nb::args& axes, mx::StreamOrDevice s) {
        if (axes.size() == 0 || (axes.size() == 1 && nb::handle(axes[0]).is_none()))
          return mx::transpose(a, s);
        return mx::transpose(a, to_ints(spread(axes), "transpose"), s);
      },
      "axes"_a, STREAM_ONLY, nb::sig("def transpose(self, *axes, " STREAM_SIG),
      "See :func:`transpose`; the axes may be given one by one.");
  def_function(
      m, "matrix_transpose", "(a: array, /, *, " STREAM_SIG,
      "The array with its last two axes swapped.",
      [](const mx::array& a, mx::StreamOrDevice s) { return mx::matrix_transpose(a, s); },
      nb::arg(), STREAM_ONLY);
  def_both(
      m, "swapaxes", "(a: array, /, axis1: int, axis2: int, *, " STREAM_SIG,
      "The array with two axes swapped.",
      [](const mx::array& a, int x, int y, mx::StreamOrDevice s) {
        return mx::swapaxes(a, x, y, s);
      },
      "axis1"_a, "axis2"_a, STREAM_ONLY);
  def_both(
      m, "moveaxis", "(a: array, /, source: int, destination: int, *, " STREAM_SIG,
      "The array with an axis moved to another position.",
      [](const mx::array& a, int from, int to, mx::StreamOrDevice s) {
        return mx::moveaxis(a, from, to, s);
      },
      "source"_a, "destination"_a, STREAM_ONLY);
  def_function(
      m, "flip", "(a: array, /, axis: None | int | Sequence[int] = None, *, " STREAM_SIG,
      "The elements in reverse order along the axes (all if ``None``).",
      [](const mx::array& a, nb::handle axis, mx::StreamOrDevice s) {
        Axes axes = to_axes(axis, "flip");
        return axes.all ? mx::flip(a, s) : mx::flip(a, axes.list, s);
      },
      nb::arg(), "axis"_a.none() = nb::none(), STREAM_ONLY);
  def_function(
      m, "broadcast_to", "(a: scalar | array, /, shape: Sequence[int], *, " STREAM_SIG,
      "The array repeated, without copying, to a shape that it broadcasts to.",
      [](nb::handle a, nb::handle shape, mx::StreamOrDevice s) {
        return mx::broadcast_to(to_array(a), to_shape(shape, "broadcast_to"), s);
      },
      nb::arg(), "shape"_a, STREAM_ONLY);
  m.def(
      "broadcast_arrays",
      [](const nb::args& arrays, mx::StreamOrDevice s) {
        return listed(mx::broadcast_arrays(to_array_list(arrays, "broadcast_arrays"), s));
      },
      "arrays"_a, STREAM_ONLY,
      nb::sig("def broadcast_arrays(*arrays: array, stream: StreamOrDevice = None) -> tuple[array, "
              "...]"),
      with_example(m, "broadcast_arrays",
                   "The arrays at the shape they broadcast to together, as a list."));
  m.def(
      "broadcast_shapes",
      [](const nb::args& shapes) {
        mx::Shape out;
        for (nb::handle s : shapes)
          out = mx::broadcast_shapes(out, to_shape(s, "broadcast_shapes"));
        return shape_tuple(out);
      },
      nb::sig("def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int]"),
      with_example(
          m, "broadcast_shapes",
          "The shape that the shapes broadcast to. Raises ``ValueError`` if they do not."));
  auto at_least = [&](const char* name, mx::array (*one)(const mx::array&, mx::StreamOrDevice),
                      std::vector<mx::array> (*many)(const std::vector<mx::array>&,
                                                     mx::StreamOrDevice)) {
    m.def(
        name,
        [=](const nb::args& arys, mx::StreamOrDevice s) -> nb::object {
          if (arys.size() == 1) {
            nb::object first = arys[0];
            return nb::steal(wrap_array(one(to_array(first), s)));
          }
          std::vector<mx::array> in;
          for (nb::handle a : arys) in.push_back(to_array(a));
          return listed(many(in, s));
        },
        "arys"_a, STREAM_ONLY,
        nb::sig(keep_text(std::string("def ") + name +
                          "(*arys: array, stream: StreamOrDevice = None) -> array | list[array]")),
        with_example(
            m, name,
            "The arrays with axes of size 1 added until they have as many as the name says."));
  };
  at_least("atleast_1d", &mx::atleast_1d, &mx::atleast_1d);
  at_least("atleast_2d", &mx::atleast_2d, &mx::atleast_2d);
  at_least("atleast_3d", &mx::atleast_3d, &mx::atleast_3d);
}

void bind_dtype_ops(nb::module_& m) {
  def_function(
      m, "astype", "(a: array, dtype: Dtype, /, *, " STREAM_SIG,
      "The values converted to ``dtype``.",
      [](const mx::array& a, mx::Dtype d, mx::StreamOrDevice s) { return mx::astype(a, d, s); },
      nb::arg(), nb::arg(), STREAM_ONLY);
  // A cast on the default stream is the common call: it is not parsed further.
  array_class().def(
      "astype",
      [](const mx::array& a, mx::Dtype d, mx::StreamOrDevice s) { return mx::astype(a, d, s); },
      "dtype"_a, "stream"_a.none() = nb::none(),
      nb::sig("def astype(self, dtype: Dtype, stream: Stream | ThreadLocalStream | Device | "
              "DeviceType | None = None) -> array"),
      "The values converted to ``dtype``.");
  auto view = [](nb::handle a, mx::Dtype d, mx::StreamOrDevice s) {
    return mx::view(to_array(a), d, s);
  };
  constexpr const char* view_doc =
      "The bytes read as another dtype; the last axis grows or shrinks with the item size.";
  def_function(m, "view",
               "(a: scalar | array, dtype: Dtype, stream: StreamOrDevice = None) -> array",
               view_doc, view, "a"_a, "dtype"_a, "stream"_a.none() = nb::none());
  array_class().def("view", view, "dtype"_a, STREAM_ONLY,
                    nb::sig("def view(self, dtype: Dtype, *, " STREAM_SIG), view_doc);
  def_function(
      m, "as_strided",
      "(a: array, /, shape: Sequence[int] | None = None, strides: Sequence[int] | None = None, "
      "offset: int = 0, *, " STREAM_SIG,
      "The row-major elements of ``a`` read with any shape and strides (in elements) from "
      "``offset`` on. Nothing is checked.",
      [](const mx::array& a, nb::handle shape, nb::handle strides, size_t offset,
         mx::StreamOrDevice s) {
        mx::Shape sh = shape.is_none() ? a.shape() : to_shape(shape, "as_strided");
        mx::Strides st = mx::row_major_strides(sh);
        if (!strides.is_none()) {
          st.clear();
          for (nb::handle v : nb::iter(strides)) st.push_back(nb::cast<int64_t>(v));
        }
        return mx::as_strided(a, sh, st, offset, s);
      },
      nb::arg(), "shape"_a.none() = nb::none(), "strides"_a.none() = nb::none(), "offset"_a = 0,
      STREAM_ONLY);
  def_function(
      m, "contiguous", "(a: array, /, allow_col_major: bool = False, *, " STREAM_SIG,
      "The array in row-major memory; column-major is left alone if allowed.",
      [](const mx::array& a, bool allow, mx::StreamOrDevice s) {
        return mx::contiguous(a, allow, s);
      },
      nb::arg(), "allow_col_major"_a = false, STREAM_ONLY);
}

void bind_joining(nb::module_& m) {
  for (const char* name : {"concatenate", "concat"}) {
    def_function(
        m, name, "(arrays: list[array], axis: int | None = 0, *, " STREAM_SIG,
        "The arrays one after another along ``axis`` (flattened if ``None``).",
        [](nb::handle arrays, std::optional<int> axis, mx::StreamOrDevice s) {
          auto list = to_array_list(arrays, "concatenate");
          return axis ? mx::concatenate(std::move(list), *axis, s)
                      : mx::concatenate(std::move(list), s);
        },
        "arrays"_a, "axis"_a.none() = 0, STREAM_ONLY);
  }
  def_function(
      m, "stack", "(arrays: list[array], axis: int | None = 0, *, " STREAM_SIG,
      "The arrays along a new axis.",
      [](nb::handle arrays, std::optional<int> axis, mx::StreamOrDevice s) {
        auto list = to_array_list(arrays, "stack");
        return axis ? mx::stack(list, *axis, s) : mx::stack(list, s);
      },
      "arrays"_a, "axis"_a.none() = 0, STREAM_ONLY);
  def_both(
      m, "split",
      "(a: array, /, indices_or_sections: int | Sequence[int], axis: int = 0, *, stream: "
      "StreamOrDevice = None) -> list[array]",
      "Parts of equal size, as many as an int says, or parts that end at the given indices; as a "
      "list.",
      [](const mx::array& a, nb::handle parts, int axis, mx::StreamOrDevice s) {
        if (PyLong_Check(parts.ptr())) return listed(mx::split(a, to_int(parts, "split"), axis, s));
        return listed(mx::split(a, to_shape(parts, "split"), axis, s));
      },
      "indices_or_sections"_a, "axis"_a = 0, STREAM_ONLY);
  def_function(
      m, "unstack",
      "(x: array, /, *, axis: int = 0, stream: StreamOrDevice = None) -> tuple[array, ...]",
      "The subarrays along an axis, without it.",
      [](const mx::array& x, int axis, mx::StreamOrDevice s) {
        return nb::tuple(listed(mx::unstack(x, axis, s)));
      },
      nb::arg(), nb::kw_only(), "axis"_a = 0, "stream"_a.none() = nb::none());
  m.def(
      "meshgrid",
      [](const nb::args& arrays, bool sparse, const std::string& indexing, mx::StreamOrDevice s) {
        return nb::tuple(
            listed(mx::meshgrid(to_array_list(arrays, "meshgrid"), sparse, indexing, s)));
      },
      "arrays"_a, nb::kw_only(), "sparse"_a = false, "indexing"_a = "xy",
      "stream"_a.none() = nb::none(),
      nb::sig("def meshgrid(*arrays: array, sparse: bool | None = False, indexing: str | None = "
              "'xy', stream: StreamOrDevice = None) -> tuple[array, ...]"),
      with_example(
          m, "meshgrid",
          "Coordinates of the grid that 1-D arrays span; ``indexing`` is ``'xy'`` or ``'ij'``."));
  def_function(
      m, "repeat", "(array: array, repeats: int, axis: int | None = None, *, " STREAM_SIG,
      "Each element ``repeats`` times along ``axis`` (flattened if ``None``).",
      [](nb::handle a, int repeats, std::optional<int> axis, mx::StreamOrDevice s) {
        mx::array x = to_array(a);
        return axis ? mx::repeat(x, repeats, *axis, s) : mx::repeat(x, repeats, s);
      },
      "array"_a, "repeats"_a, "axis"_a.none() = nb::none(), STREAM_ONLY);
  def_function(
      m, "tile", "(a: array, reps: int | Sequence[int], /, *, " STREAM_SIG,
      "The whole array ``reps`` times along each axis.",
      [](const mx::array& a, nb::handle reps, mx::StreamOrDevice s) {
        return mx::tile(a, to_ints(reps, "tile"), s);
      },
      nb::arg(), nb::arg(), STREAM_ONLY);
  def_function(
      m, "roll",
      "(a: array, shift: int | tuple[int], axis: None | int | tuple[int] = None, /, *, " STREAM_SIG,
      "The elements moved by ``shift`` along ``axis`` (flattened if ``None``), around the end.",
      [](const mx::array& a, nb::handle shift, nb::handle axis, mx::StreamOrDevice s) {
        mx::Shape shifts = to_shape_or_int(shift, "roll");
        Axes axes = to_axes(axis, "roll");
        bool one = PyLong_Check(shift.ptr());
        if (axes.all) return one ? mx::roll(a, shifts[0], s) : mx::roll(a, shifts, s);
        return one ? mx::roll(a, shifts[0], axes.list, s) : mx::roll(a, shifts, axes.list, s);
      },
      nb::arg(), nb::arg(), nb::arg().none() = nb::none(), STREAM_ONLY);
  def_function(
      m, "pad",
      "(a: array, pad_width: int | tuple[int] | tuple[int, int] | list[tuple[int, int]], mode: "
      "Literal['constant', 'edge', 'reflect', 'symmetric'] = 'constant', constant_values: scalar | "
      "array = 0, *, " STREAM_SIG,
      R"(
The array with more elements before and after it along each axis.

``pad_width`` is one width for all sides, one (before, after) pair for all axes, or a pair an axis.)",
      [](const mx::array& a, nb::handle width, const std::string& mode, nb::handle value,
         mx::StreamOrDevice s) {
        mx::array v = to_array(value, a.dtype());
        auto ints = [](nb::handle h) { return to_ints(h, "pad"); };
        if (PyLong_Check(width.ptr())) return mx::pad(a, to_int(width, "pad"), v, mode, s);
        size_t n = nb::len(width);
        if (n == 0 || PyIndex_Check(nb::object(width[0]).ptr())) {
          auto w = ints(width);
          if (w.size() == 1) return mx::pad(a, w[0], v, mode, s);
          if (w.size() == 2) return mx::pad(a, std::pair(w[0], w[1]), v, mode, s);
          throw std::invalid_argument("[pad] A flat pad_width needs one or two widths, but has " +
                                      std::to_string(w.size()) + ".");
        }
        std::vector<std::pair<int, int>> pairs;
        for (size_t i = 0; i < n; ++i) {
          auto w = ints(nb::object(width[i]));
          if (w.size() != 1 && w.size() != 2)
            throw std::invalid_argument("[pad] Each axis needs a (before, after) pair.");
          pairs.emplace_back(w.front(), w.back());
        }
        if (pairs.size() == 1) return mx::pad(a, pairs[0], v, mode, s);
        return mx::pad(a, pairs, v, mode, s);
      },
      "a"_a, "pad_width"_a, "mode"_a = "constant", "constant_values"_a = 0, STREAM_ONLY);
}

}  // namespace

void bind_shape_ops(nb::module_& m) {
  bind_views(m);
  bind_dtype_ops(m);
  bind_joining(m);
}
