// core/ops/shape.cpp: reshaping, transposing, broadcasting.
#include "core/prim/shape.h"
#include "core/ops/axes.h"
#include "core/prim/number_of_elements.h"
#include "core/tracing.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "mlx/ops.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

template <class P, class... Args>
array view_of(const array& a, Shape shape, StreamOrDevice s, Args&&... args) {
  return array(std::move(shape), a.dtype(),
               std::make_shared<P>(to_stream(s), std::forward<Args>(args)...), {a});
}

int checked_axis(const char* op, int axis, int ndim) {
  return normalize_axis_index(axis, ndim, std::string("[") + op + "] ");
}

}  // namespace

namespace {

/** rule() tells how shape follows from a's; it is only asked where that can matter. */
template <class Rule>
array reshape_by(const array& a, const Shape& shape, StreamOrDevice s, Rule rule) {
  if (in_dynamic_tracing() && a.is_tracer())
    return view_of<Reshape>(a, shape, s, shape, std::optional<ShapeRule>(rule()));
  return reshape(a, shape, s);
}

/** The axes that are left when some go. */
ShapeRule without_axes(const array& a, const std::set<int>& gone) {
  ShapeRule rule;
  for (int i = 0; i < static_cast<int>(a.ndim()); ++i) {
    if (!gone.count(i)) rule.push_back(AxisRule::product(i, i));
  }
  return rule;
}

}  // namespace

array reshape(const array& a, Shape shape, StreamOrDevice s) {
  bool dynamic = in_dynamic_tracing() && a.is_tracer();
  if (shape == a.shape() && !dynamic) return a;
  int infer = -1;
  int64_t known = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == -1) {
      if (infer >= 0)
        throw std::invalid_argument("[reshape] Reshape can only infer one dimension.");
      infer = static_cast<int>(i);
    } else {
      known *= shape[i];
    }
  }
  int64_t size = static_cast<int64_t>(a.size());
  Shape wanted = shape;
  if (infer >= 0) {
    if (known == 0)
      throw std::invalid_argument("[reshape] Cannot infer the shape of an empty array");
    shape[infer] = static_cast<ShapeElem>(size / known);
    known *= shape[infer];
  }
  bool negative = std::any_of(shape.begin(), shape.end(), [](auto d) { return d < 0; });
  if (negative || known != size) {
    throw std::invalid_argument("[reshape] Cannot reshape array of size " + std::to_string(size) +
                                " into shape " + to_string(wanted) + ".");
  }
  if (dynamic && infer >= 0) {
    ShapeRule rule;
    for (auto d : wanted) rule.push_back(d < 0 ? AxisRule::rest() : AxisRule::number(d));
    return view_of<Reshape>(a, shape, s, shape, std::optional<ShapeRule>(std::move(rule)));
  }
  if (shape == a.shape() && !dynamic) return a;
  return view_of<Reshape>(a, shape, s, shape);
}

array unflatten(const array& a, int axis, Shape shape, StreamOrDevice s) {
  if (shape.empty())
    throw std::invalid_argument("[unflatten] Shape to unflatten to cannot be empty.");
  int ax = checked_axis("unflatten", axis, static_cast<int>(a.ndim()));
  Shape wanted = shape;
  int64_t known = 1;
  int infer = -1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == -1) {
      if (infer >= 0) throw std::invalid_argument("[Unflatten] Can only infer one dimension.");
      infer = static_cast<int>(i);
    } else {
      known *= shape[i];
    }
  }
  if (infer >= 0 && known != 0) {
    shape[infer] = static_cast<ShapeElem>(a.shape(ax) / known);
    known *= shape[infer];
  }
  if (known != a.shape(ax) || (infer >= 0 && shape[infer] < 0)) {
    throw std::invalid_argument("[Unflatten] Cannot unflatten axis " + std::to_string(axis) +
                                " with size " + std::to_string(a.shape(ax)) + " into shape " +
                                to_string(wanted) + ".");
  }
  Shape full = a.shape();
  full.erase(full.begin() + ax);
  full.insert(full.begin() + ax, shape.begin(), shape.end());
  return reshape_by(a, full, s, [&] {
    ShapeRule rule = without_axes(a, {ax});
    for (size_t i = 0; i < wanted.size(); ++i)
      rule.insert(rule.begin() + ax + i,
                  wanted[i] < 0 ? AxisRule::rest() : AxisRule::number(wanted[i]));
    return rule;
  });
}

array flatten(const array& a, int start_axis, int end_axis, StreamOrDevice s) {
  int ndim = static_cast<int>(a.ndim());
  if (ndim == 0) return reshape_by(a, {1}, s, [] { return ShapeRule{AxisRule::number(1)}; });
  int start = std::max(0, start_axis < 0 ? start_axis + ndim : start_axis);
  int end = std::min(ndim - 1, end_axis < 0 ? end_axis + ndim : end_axis);
  if (end < 0) {
    throw std::out_of_range("[flatten] Invalid start_axis " + std::to_string(start_axis) +
                            " or end_axis " + std::to_string(end_axis) + " for array with " +
                            std::to_string(ndim) + " dimensions.");
  }
  if (end < start)
    throw std::invalid_argument("[flatten] start_axis must be less than or equal to end_axis");
  if (start == end) return a;
  Shape shape(a.shape().begin(), a.shape().begin() + start);
  int64_t n = 1;
  for (int i = start; i <= end; ++i) n *= a.shape(i);
  shape.push_back(safe_cast<int64_t>(n, "flatten"));
  shape.insert(shape.end(), a.shape().begin() + end + 1, a.shape().end());
  return reshape_by(a, shape, s, [&] {
    ShapeRule rule;
    for (int i = 0; i < ndim; ++i)
      if (i <= start || i > end) rule.push_back(AxisRule::product(i, i == start ? end : i));
    return rule;
  });
}

array flatten(const array& a, StreamOrDevice s) { return flatten(a, 0, -1, s); }

array squeeze(const array& a, const std::vector<int>& axes, StreamOrDevice s) {
  std::set<int> gone;
  for (int axis : axes) {
    int ax = checked_axis("squeeze", axis, static_cast<int>(a.ndim()));
    if (a.shape(ax) != 1) {
      throw std::invalid_argument("[squeeze] Cannot squeeze axis " + std::to_string(axis) +
                                  " with size " + std::to_string(a.shape(ax)) +
                                  " which is not equal to 1.");
    }
    if (!gone.insert(ax).second) throw std::invalid_argument("[squeeze] Received duplicate axes.");
  }
  Shape shape;
  for (int i = 0; i < static_cast<int>(a.ndim()); ++i) {
    if (!gone.count(i)) shape.push_back(a.shape(i));
  }
  return reshape_by(a, shape, s, [&] { return without_axes(a, gone); });
}

array squeeze(const array& a, int axis, StreamOrDevice s) {
  return squeeze(a, std::vector<int>{axis}, s);
}

array squeeze(const array& a, StreamOrDevice s) {
  note_shape_read();
  std::vector<int> axes;
  for (int i = 0; i < static_cast<int>(a.ndim()); ++i) {
    if (a.shape(i) == 1) axes.push_back(i);
  }
  return squeeze(a, axes, s);
}

array expand_dims(const array& a, const std::vector<int>& axes, StreamOrDevice s) {
  int ndim = static_cast<int>(a.ndim() + axes.size());
  std::set<int> fresh;
  for (int axis : axes) {
    if (!fresh.insert(axis_in_bounds("expand_dims", axis, ndim)).second) {
      throw std::invalid_argument("[expand_dims] Received duplicate axes.");
    }
  }
  Shape shape;
  size_t next = 0;
  for (int i = 0; i < ndim; ++i) shape.push_back(fresh.count(i) ? 1 : a.shape()[next++]);
  return reshape_by(a, shape, s, [&] {
    ShapeRule rule;
    int from = 0;
    for (int i = 0; i < ndim; ++i) {
      rule.push_back(fresh.count(i) ? AxisRule::number(1) : AxisRule::product(from, from));
      from += !fresh.count(i);
    }
    return rule;
  });
}

array expand_dims(const array& a, int axis, StreamOrDevice s) {
  return expand_dims(a, std::vector<int>{axis}, s);
}

array transpose(const array& a, std::vector<int> axes, StreamOrDevice s) {
  int ndim = static_cast<int>(a.ndim());
  if (static_cast<int>(axes.size()) != ndim) {
    throw std::invalid_argument("[transpose] Received " + std::to_string(axes.size()) +
                                " axes for array with " + std::to_string(ndim) + " dimensions.");
  }
  std::vector<bool> seen(ndim, false);
  Shape shape;
  bool same = true;
  for (int i = 0; i < ndim; ++i) {
    axes[i] = checked_axis("transpose", axes[i], ndim);
    if (seen[axes[i]]) throw std::invalid_argument("[transpose] Repeat axes not allowed.");
    seen[axes[i]] = true;
    same &= axes[i] == i;
    shape.push_back(a.shape(axes[i]));
  }
  return same ? a : view_of<Transpose>(a, shape, s, axes);
}

array transpose(const array& a, StreamOrDevice s) {
  std::vector<int> axes(a.ndim());
  std::iota(axes.rbegin(), axes.rend(), 0);
  return transpose(a, axes, s);
}

array swapaxes(const array& a, int axis1, int axis2, StreamOrDevice s) {
  int ndim = static_cast<int>(a.ndim());
  std::vector<int> axes(ndim);
  std::iota(axes.begin(), axes.end(), 0);
  std::swap(axes[checked_axis("swapaxes", axis1, ndim)],
            axes[checked_axis("swapaxes", axis2, ndim)]);
  return transpose(a, axes, s);
}

array matrix_transpose(const array& a, StreamOrDevice s) {
  if (a.ndim() < 2) {
    throw std::invalid_argument("[matrix_transpose] Expected at least 2 dimensions but got shape " +
                                to_string(a.shape()) + ".");
  }
  return swapaxes(a, -1, -2, s);
}

array moveaxis(const array& a, int source, int destination, StreamOrDevice s) {
  int ndim = static_cast<int>(a.ndim());
  int from = checked_axis("moveaxis", source, ndim),
      to = checked_axis("moveaxis", destination, ndim);
  if (from == to) return a;
  std::vector<int> axes(ndim);
  std::iota(axes.begin(), axes.end(), 0);
  axes.erase(axes.begin() + from);
  axes.insert(axes.begin() + to, from);
  return transpose(a, axes, s);
}

array flip(const array& a, const std::vector<int>& axes, StreamOrDevice s) {
  Shape start(a.ndim(), 0), stop = a.shape(), strides(a.ndim(), 1);
  for (int axis : axes) {
    int ax = checked_axis("flip", axis, static_cast<int>(a.ndim()));
    start[ax] = a.shape(ax) - 1;
    stop[ax] = -a.shape(ax) - 1;
    strides[ax] = -1;
  }
  return slice(a, start, stop, strides, s);
}
array flip(const array& a, int axis, StreamOrDevice s) {
  return flip(a, std::vector<int>{axis}, s);
}
array flip(const array& a, StreamOrDevice s) {
  std::vector<int> axes(a.ndim());
  std::iota(axes.begin(), axes.end(), 0);
  return flip(a, axes, s);
}

array broadcast_to(const array& a, const Shape& shape, StreamOrDevice s) {
  if (a.shape() == shape) {
    note_shape_read();
    return a;
  }
  Shape full = broadcast_shapes(a.shape(), shape);
  if (full != shape) {
    throw std::invalid_argument("[broadcast_to] Cannot broadcast array of shape " +
                                to_string(a.shape()) + " into shape " + to_string(shape) + ".");
  }
  return view_of<Broadcast>(a, shape, s, shape);
}

std::vector<array> broadcast_arrays(const std::vector<array>& inputs, StreamOrDevice s) {
  Shape shape;
  for (const auto& in : inputs) shape = broadcast_shapes(shape, in.shape());
  std::vector<array> out;
  for (const auto& in : inputs) out.push_back(broadcast_to(in, shape, s));
  return out;
}

array atleast_1d(const array& a, StreamOrDevice s) {
  return a.ndim() == 0 ? reshape(a, {1}, s) : a;
}
array atleast_2d(const array& a, StreamOrDevice s) {
  if (a.ndim() == 0) return reshape(a, {1, 1}, s);
  return a.ndim() == 1 ? reshape(a, {1, a.shape(0)}, s) : a;
}
array atleast_3d(const array& a, StreamOrDevice s) {
  if (a.ndim() == 0) return reshape(a, {1, 1, 1}, s);
  if (a.ndim() == 1) return reshape(a, {1, a.shape(0), 1}, s);
  return a.ndim() == 2 ? reshape(a, {a.shape(0), a.shape(1), 1}, s) : a;
}
#define EACH(func)                                                              \
  std::vector<array> func(const std::vector<array>& arrays, StreamOrDevice s) { \
    std::vector<array> out;                                                     \
    for (const auto& a : arrays) out.push_back(func(a, s));                     \
    return out;                                                                 \
  }
EACH(atleast_1d)
EACH(atleast_2d)
EACH(atleast_3d)
#undef EACH

array as_strided(array a, Shape shape, Strides strides, size_t offset, StreamOrDevice s) {
  if (shape.size() != strides.size()) {
    throw std::invalid_argument("[as_strided] Shape " + to_string(shape) +
                                " and strides must have the same number of elements.");
  }
  // The view may go anywhere within the elements of a, but not outside.
  int64_t first = static_cast<int64_t>(offset), last = first;
  bool empty = false;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < 0) {
      throw std::invalid_argument("[as_strided] Negative dimensions not allowed, got shape " +
                                  to_string(shape) + ".");
    }
    empty |= shape[i] == 0;
    int64_t reach = strides[i] * (static_cast<int64_t>(shape[i]) - 1);
    (reach < 0 ? first : last) += reach;
  }
  if (!empty && (first < 0 || last >= static_cast<int64_t>(a.size()))) {
    throw std::invalid_argument(
        "[as_strided] Shape " + to_string(shape) + ", its strides and offset " +
        std::to_string(offset) + " reach elements " + std::to_string(first) + " to " +
        std::to_string(last) + " of an array of size " + std::to_string(a.size()) + ".");
  }
  return view_of<AsStrided>(a, shape, s, shape, strides, offset);
}

array contiguous(const array& a, bool allow_col_major, StreamOrDevice s) {
  return view_of<Contiguous>(a, a.shape(), s, allow_col_major);
}

array copy(array a, StreamOrDevice s) {
  // Values never change under a node, so a new node over the same memory is a copy.
  return view_of<Contiguous>(a, a.shape(), s, true);
}

array stop_gradient(const array& a, StreamOrDevice s) {
  return view_of<StopGradient>(a, a.shape(), s);
}

std::vector<array> depends(const std::vector<array>& inputs,
                           const std::vector<array>& dependencies) {
  std::vector<array> all = inputs;
  all.insert(all.end(), dependencies.begin(), dependencies.end());
  std::vector<Shape> shapes;
  std::vector<Dtype> dtypes;
  for (const auto& a : all) {
    shapes.push_back(a.shape());
    dtypes.push_back(a.dtype());
  }
  if (all.empty()) return {};
  auto outs = array::make_arrays(shapes, dtypes, std::make_shared<Depends>(to_stream({})), all);
  outs.erase(outs.begin() + inputs.size(), outs.end());
  return outs;
}

array number_of_elements(const array& a, std::vector<int> axes, bool inverted, Dtype dtype,
                         StreamOrDevice s) {
  double n = 1;
  for (int& axis : axes) {
    axis = checked_axis("number_of_elements", axis, static_cast<int>(a.ndim()));
    n *= a.shape(axis);
  }
  // A number where shapes are known; a trace for any shape asks again.
  if (in_dynamic_tracing() && a.is_tracer()) {
    auto p = std::make_shared<NumberOfElements>(to_stream(s), axes, inverted, dtype);
    return array(Shape{}, dtype, std::move(p), {stop_gradient(a, s)});
  }
  return array(inverted ? 1 / n : n, dtype);
}

}  // namespace mlx::core
