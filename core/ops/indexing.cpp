// core/ops/indexing.cpp: take, gather, scatter and their relatives.
#include <numeric>

#include "core/prim/indexing.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

std::string tag(const char* op) { return std::string("[") + op + "] "; }

[[noreturn]] void fail(const char* op, const std::string& text) {
  throw std::invalid_argument(tag(op) + text);
}

void check_index_dtype(const char* op, const array& indices) {
  if (indices.dtype() == bool_) fail(op, "Boolean indices not supported.");
  if (!issubdtype(indices.dtype(), integer)) {
    fail(op, std::string("Got indices with invalid dtype. Indices must be integral, not ") +
                 dtype_to_string(indices.dtype()) + ".");
  }
}

/** Axes counted from the start, each once. */
std::vector<int> check_axes(const char* op, const array& a, const std::vector<array>& indices,
                            const std::vector<int>& axes) {
  int ndim = static_cast<int>(a.ndim());
  if (indices.size() > a.ndim()) {
    fail(op, "Too many index arrays: got " + std::to_string(indices.size()) +
                 " for an array with " + std::to_string(ndim) + " dimensions.");
  }
  if (indices.size() != axes.size()) {
    fail(op, "Got " + std::to_string(axes.size()) + " axes for " + std::to_string(indices.size()) +
                 " index arrays.");
  }
  std::vector<int> out;
  for (int axis : axes) {
    int ax = axis < 0 ? axis + ndim : axis;
    if (ax < 0 || ax >= ndim) {
      throw std::invalid_argument(tag(op) + "Axis " + std::to_string(axis) +
                                  " is out of bounds for array with " + std::to_string(ndim) +
                                  " dimensions.");
    }
    if (std::find(out.begin(), out.end(), ax) != out.end()) {
      fail(op, "Axis " + std::to_string(axis) + " is given more than once.");
    }
    out.push_back(ax);
  }
  for (const auto& i : indices) check_index_dtype(op, i);
  return out;
}

int check_axis(const char* op, const array& a, int axis) {
  int ndim = static_cast<int>(a.ndim());
  int ax = axis < 0 ? axis + ndim : axis;
  if (ax < 0 || ax >= ndim) {
    throw std::out_of_range(tag(op) + "Axis " + std::to_string(axis) +
                            " is out of bounds for array with " + std::to_string(ndim) +
                            " dimensions.");
  }
  return ax;
}

Shape without_axis(const Shape& shape, int axis) {
  Shape out = shape;
  out.erase(out.begin() + axis);
  return out;
}

Shape with_axis(const Shape& shape, int axis, int size) {
  Shape out = shape;
  out.insert(out.begin() + axis, size);
  return out;
}

void check_along_axis(const char* op, const array& a, const array& indices) {
  if (indices.ndim() != a.ndim()) {
    fail(op, "Indices of dimension " + std::to_string(indices.ndim()) +
                 " does not match array of dimension " + std::to_string(a.ndim()) + ".");
  }
  check_index_dtype(op, indices);
}

array scatter_axis(const char* op, ScatterAxis::ReduceType type, const array& a,
                   const array& indices, const array& values, int axis, StreamOrDevice s) {
  int ax = check_axis(op, a, axis);
  check_along_axis(op, a, indices);
  Shape shape = without_axis(a.shape(), ax);
  if (broadcast_shapes(shape, without_axis(indices.shape(), ax)) != shape) {
    fail(op, "Indices with shape " + to_string(indices.shape()) +
                 " cannot be broadcast to the array's shape " + to_string(a.shape()) + ".");
  }
  // Several values for one index are written one after another.
  shape = broadcast_shapes(with_axis(shape, ax, indices.shape(ax)), values.shape());
  if (shape.size() != a.ndim() || without_axis(shape, ax) != without_axis(a.shape(), ax)) {
    fail(op, "Values with shape " + to_string(values.shape()) +
                 " cannot be broadcast to indices with shape " + to_string(indices.shape()) +
                 " of an array with shape " + to_string(a.shape()) + ".");
  }
  auto stream = to_stream(s);
  array idx = broadcast_to(indices, shape, stream);
  array upd = broadcast_to(astype(values, a.dtype(), stream), shape, stream);
  if (idx.size() == 0) return a;
  return array(a.shape(), a.dtype(), std::make_shared<ScatterAxis>(stream, type, ax),
               {a, idx, upd});
}

array scatter_with(const char* op, Scatter::ReduceType type, const array& a,
                   const std::vector<array>& indices, const array& updates,
                   const std::vector<int>& axes, StreamOrDevice s) {
  auto ax = check_axes(op, a, indices, axes);
  auto stream = to_stream(s);
  std::vector<array> inputs{a};
  Shape index_shape;
  for (const auto& i : indices) index_shape = broadcast_shapes(index_shape, i.shape());
  for (const auto& i : indices) inputs.push_back(broadcast_to(i, index_shape, stream));
  if (updates.ndim() != index_shape.size() + a.ndim()) {
    fail(op, "Updates with " + std::to_string(updates.ndim()) +
                 " dimensions do not match the sum of those of the indices (" +
                 std::to_string(index_shape.size()) + ") and the array (" +
                 std::to_string(a.ndim()) + ").");
  }
  for (size_t i = 0; i < updates.ndim(); ++i) {
    bool of_index = i < index_shape.size();
    int size = updates.shape()[i];
    if (of_index ? size != index_shape[i] : size > a.shape()[i - index_shape.size()]) {
      fail(op, "Updates with shape " + to_string(updates.shape()) +
                   " do not fit indices with shape " + to_string(index_shape) +
                   " and array with shape " + to_string(a.shape()) + ".");
    }
  }
  if (updates.size() == 0) return a;
  inputs.push_back(astype(updates, a.dtype(), stream));
  return array(a.shape(), a.dtype(), std::make_shared<Scatter>(stream, type, ax),
               std::move(inputs));
}

}  // namespace

array gather(const array& a, const std::vector<array>& indices, const std::vector<int>& axes,
             const Shape& slice_sizes, StreamOrDevice s) {
  auto ax = check_axes("gather", a, indices, axes);
  auto stream = to_stream(s);
  if (slice_sizes.size() != a.ndim()) {
    fail("gather", "Got " + std::to_string(slice_sizes.size()) + " slice sizes for an array with " +
                       std::to_string(a.ndim()) + " dimensions.");
  }
  for (size_t i = 0; i < a.ndim(); ++i) {
    if (slice_sizes[i] < 0 || slice_sizes[i] > a.shape()[i]) {
      fail("gather", "Slice sizes must lie in [0, a.shape(i)], got " + to_string(slice_sizes) +
                         " for an array with shape " + to_string(a.shape()) + ".");
    }
  }
  Shape shape;
  for (const auto& i : indices) shape = broadcast_shapes(shape, i.shape());
  std::vector<array> inputs{a};
  for (const auto& i : indices) inputs.push_back(broadcast_to(i, shape, stream));
  shape.insert(shape.end(), slice_sizes.begin(), slice_sizes.end());
  return array(std::move(shape), a.dtype(),
               std::make_shared<Gather>(stream, std::move(ax), slice_sizes), std::move(inputs));
}

array take(const array& a, const array& indices, int axis, StreamOrDevice s) {
  int ndim = static_cast<int>(a.ndim());
  int ax = axis < 0 ? axis + ndim : axis;
  if (ax < 0 || ax >= ndim) {
    throw std::out_of_range("[take] Received invalid axis " + std::to_string(axis) +
                            " for array with " + std::to_string(ndim) + " dimensions.");
  }
  check_index_dtype("take", indices);
  if (a.shape(ax) == 0 && indices.size() != 0) {
    fail("take", "Cannot do a non-empty take from an empty axis.");
  }
  Shape shape = without_axis(a.shape(), ax);
  shape.insert(shape.begin() + ax, indices.shape().begin(), indices.shape().end());
  if (indices.size() == 0) return zeros(shape, a.dtype(), s);
  if (ax == 0) {
    Shape sizes = a.shape();
    sizes[0] = 1;
    return squeeze(gather(a, indices, 0, sizes, s), static_cast<int>(indices.ndim()), s);
  }
  // The same index for all other positions: GatherAxis writes the result in its final order.
  Shape spread(ndim, 1);
  spread[ax] = static_cast<ShapeElem>(indices.size());
  auto out = take_along_axis(a, reshape(indices, spread, s), ax, s);
  return indices.ndim() == 1 ? out : reshape(out, shape, s);
}

array take(const array& a, const array& indices, StreamOrDevice s) {
  return take(flatten(a, s), indices, 0, s);
}

array take(const array& a, int index, int axis, StreamOrDevice s) {
  int ndim = static_cast<int>(a.ndim());
  int ax = axis < 0 ? axis + ndim : axis;
  if (ax < 0 || ax >= ndim) {
    throw std::out_of_range("[take] Received invalid axis " + std::to_string(axis) +
                            " for array with " + std::to_string(ndim) + " dimensions.");
  }
  int size = a.shape(ax);
  if (index < -size || index >= size) {
    throw std::out_of_range("[take] Index " + std::to_string(index) + " is out of range for axis " +
                            std::to_string(axis) + " of array with shape " + to_string(a.shape()) +
                            ".");
  }
  Shape start(ndim, 0), stop = a.shape();
  start[ax] = index < 0 ? index + size : index;
  stop[ax] = start[ax] + 1;
  return squeeze(slice(a, std::move(start), std::move(stop), s), ax, s);
}

array take(const array& a, int index, StreamOrDevice s) { return take(flatten(a, s), index, 0, s); }

array take_along_axis(const array& a, const array& indices, int axis, StreamOrDevice s) {
  int ax = check_axis("take_along_axis", a, axis);
  check_along_axis("take_along_axis", a, indices);
  auto stream = to_stream(s);
  Shape rest = broadcast_shapes(without_axis(a.shape(), ax), without_axis(indices.shape(), ax));
  array src = broadcast_to(a, with_axis(rest, ax, a.shape(ax)), stream);
  Shape shape = with_axis(rest, ax, indices.shape(ax));
  array idx = broadcast_to(indices, shape, stream);
  return array(std::move(shape), a.dtype(), std::make_shared<GatherAxis>(stream, ax), {src, idx});
}

array put_along_axis(const array& a, const array& indices, const array& values, int axis,
                     StreamOrDevice s) {
  return scatter_axis("put_along_axis", ScatterAxis::None, a, indices, values, axis, s);
}

array scatter_add_axis(const array& a, const array& indices, const array& values, int axis,
                       StreamOrDevice s) {
  return scatter_axis("scatter_add_axis", ScatterAxis::Sum, a, indices, values, axis, s);
}

array scatter(const array& a, const std::vector<array>& indices, const array& updates,
              const std::vector<int>& axes, StreamOrDevice s) {
  return scatter_with("scatter", Scatter::None, a, indices, updates, axes, s);
}
array scatter_add(const array& a, const std::vector<array>& indices, const array& updates,
                  const std::vector<int>& axes, StreamOrDevice s) {
  return scatter_with("scatter_add", Scatter::Sum, a, indices, updates, axes, s);
}
array scatter_prod(const array& a, const std::vector<array>& indices, const array& updates,
                   const std::vector<int>& axes, StreamOrDevice s) {
  return scatter_with("scatter_prod", Scatter::Prod, a, indices, updates, axes, s);
}
array scatter_max(const array& a, const std::vector<array>& indices, const array& updates,
                  const std::vector<int>& axes, StreamOrDevice s) {
  return scatter_with("scatter_max", Scatter::Max, a, indices, updates, axes, s);
}
array scatter_min(const array& a, const std::vector<array>& indices, const array& updates,
                  const std::vector<int>& axes, StreamOrDevice s) {
  return scatter_with("scatter_min", Scatter::Min, a, indices, updates, axes, s);
}

array masked_scatter(const array& a, const array& mask, const array& src, StreamOrDevice s) {
  if (mask.dtype() != bool_) {
    fail("masked_scatter",
         std::string("The mask must be boolean, not ") + dtype_to_string(mask.dtype()) + ".");
  }
  if (mask.ndim() > a.ndim() ||
      !std::equal(mask.shape().begin(), mask.shape().end(), a.shape().begin())) {
    fail("masked_scatter",
         "The boolean mask should have the same shape as the beginning of the indexed array but "
         "the mask has shape " +
             to_string(mask.shape()) + " and the array has shape " + to_string(a.shape()));
  }
  if (mask.size() == 0) return a;
  auto stream = to_stream(s);
  Shape spread = mask.shape();
  spread.resize(a.ndim(), 1);
  array full_mask = broadcast_to(reshape(mask, spread, stream), a.shape(), stream);
  // src has the selected positions first, then what a mask element stands for; without the
  // former it is the same for all of a.
  size_t rest = a.ndim() - mask.ndim();
  Shape target = a.shape();
  if (src.ndim() > rest) {
    target = Shape(src.shape().begin(), src.shape().end() - rest);
    target.insert(target.end(), a.shape().end() - rest, a.shape().end());
  }
  array values = flatten(broadcast_to(astype(src, a.dtype(), stream), target, stream), stream);
  return array(a.shape(), a.dtype(), std::make_shared<MaskedScatter>(stream),
               {a, full_mask, values});
}

}  // namespace mlx::core
