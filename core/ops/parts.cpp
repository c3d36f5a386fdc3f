// core/ops/parts.cpp: slices, joins, splits, borders.
#include <algorithm>
#include <numeric>

#include "core/ops/axes.h"
#include "core/prim/join.h"
#include "core/prim/slice.h"
#include "core/tracing.h"
#include "mlx/ops.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

/** NumPy's rule for start and stop, in place; returns the shape of the part. */
Shape normalize_slice(const char* op, const Shape& shape, Shape& start, Shape& stop,
                      Shape& strides) {
  size_t ndim = shape.size();
  if (start.size() != ndim || stop.size() != ndim || strides.size() != ndim) {
    throw std::invalid_argument(std::string("[") + op +
                                "] Invalid number of indices or strides for array with dimension " +
                                std::to_string(ndim) + ".");
  }
  Shape out(ndim);
  for (size_t i = 0; i < ndim; ++i) {
    int64_t n = shape[i], step = strides[i];
    if (step == 0)
      throw std::invalid_argument(std::string("[") + op + "] Slice step cannot be zero.");
    int64_t lo = step > 0 ? 0 : -1, hi = step > 0 ? n : n - 1;
    auto clamp = [&](int64_t at) { return std::clamp(at < 0 ? at + n : at, lo, std::max(lo, hi)); };
    int64_t from = clamp(start[i]), to = clamp(stop[i]);
    int64_t span = step > 0 ? to - from : from - to;
    int64_t count = span <= 0 ? 0 : (span + std::abs(step) - 1) / std::abs(step);
    start[i] = static_cast<ShapeElem>(count == 0 ? 0 : from);
    // Normal form means the same when it is normalised again: -1 would count from the end.
    stop[i] = static_cast<ShapeElem>(count == 0 ? 0 : to < 0 ? -n - 1 : to);
    out[i] = static_cast<ShapeElem>(count);
  }
  return out;
}

array update(const char* op, UpdateMode mode, const array& src, const array& value, Shape start,
             Shape stop, Shape strides, StreamOrDevice s) {
  Shape part = normalize_slice(op, src.shape(), start, stop, strides);
  Stream stream = to_stream(s);
  array filled = broadcast_to(astype(value, src.dtype(), stream), part, stream);
  if (filled.size() == 0) return src;
  auto p = std::make_shared<SliceUpdate>(stream, mode, start, stop, strides);
  return array(src.shape(), src.dtype(), p, {src, filled});
}

void check_dynamic(const char* op, const array& a, const array& start, std::vector<int>& axes,
                   const Shape& size) {
  std::string tag = std::string("[") + op + "] ";
  if (start.ndim() > 1 || start.size() != axes.size()) {
    throw std::invalid_argument(tag + "Expected one start for each of " +
                                std::to_string(axes.size()) + " axes but got shape " +
                                to_string(start.shape()) + ".");
  }
  if (!issubdtype(start.dtype(), integer)) {
    throw std::invalid_argument(tag + "Start indices must be integers but are " +
                                dtype_to_string(start.dtype()) + ".");
  }
  if (size.size() != a.ndim()) {
    throw std::invalid_argument(tag + "Got a part with " + std::to_string(size.size()) +
                                " dimensions for array with " + std::to_string(a.ndim()) +
                                " dimensions.");
  }
  for (size_t i = 0; i < size.size(); ++i) {
    if (size[i] < 0 || size[i] > a.shape()[i]) {
      throw std::invalid_argument(tag + "Part of shape " + to_string(size) +
                                  " does not fit in shape " + to_string(a.shape()) + ".");
    }
  }
  for (int& axis : axes) axis = normalize_axis_index(axis, static_cast<int>(a.ndim()), tag);
  auto sorted = axes;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    throw std::invalid_argument(tag + "Repeat axes not allowed.");
}

array pad_mirrored(array a, const std::vector<int>& axes, const Shape& low, const Shape& high,
                   const std::string& mode, StreamOrDevice s) {
  for (size_t k = 0; k < axes.size(); ++k) {
    int n = a.shape(axes[k]);
    if (low[k] == 0 && high[k] == 0) continue;
    if (n == 0)
      throw std::invalid_argument("[pad] Cannot extend an empty axis with mode '" + mode + "'.");
    // In array operations, not in a loop: a trace can then say how the rows follow from n.
    array i = arange(-low[k], n + high[k], 1, int32, s);
    auto number = [](int v) { return array(v, int32); };
    if (mode == "edge") {
      i = clip(i, number(0), number(n - 1), s);
    } else {
      bool twice = mode == "symmetric";  // the outermost rows
      int period = twice ? 2 * n : std::max(1, 2 * (n - 1));
      array m = remainder(i, number(period), s);
      i = where(less(m, number(n), s), m, subtract(number(period - twice), m, s), s);
    }
    a = take(a, i, axes[k], s);
  }
  return a;
}

}  // namespace

// ---- slices ----

array slice(const array& a, Shape start, Shape stop, Shape strides, StreamOrDevice s) {
  Shape shape = normalize_slice("slice", a.shape(), start, stop, strides);
  bool forward = std::all_of(strides.begin(), strides.end(), [](auto x) { return x == 1; });
  if (forward && shape == a.shape()) {
    note_shape_read();
    return a;
  }
  return array(shape, a.dtype(), std::make_shared<Slice>(to_stream(s), start, stop, strides), {a});
}

array slice(const array& a, Shape start, Shape stop, StreamOrDevice s) {
  return slice(a, std::move(start), std::move(stop), Shape(a.ndim(), 1), s);
}

array slice(const array& a, const array& start, std::vector<int> axes, Shape slice_size,
            StreamOrDevice s) {
  check_dynamic("slice", a, start, axes, slice_size);
  auto p = std::make_shared<DynamicSlice>(to_stream(s), axes, slice_size);
  return array(slice_size, a.dtype(), p, {a, start});
}

#define UPDATE(func, mode)                                                                      \
  array func(const array& src, const array& value, Shape start, Shape stop, Shape strides,      \
             StreamOrDevice s) {                                                                \
    return update(#func, UpdateMode::mode, src, value, std::move(start), std::move(stop),       \
                  std::move(strides), s);                                                       \
  }                                                                                             \
  array func(const array& src, const array& value, Shape start, Shape stop, StreamOrDevice s) { \
    return func(src, value, std::move(start), std::move(stop), Shape(src.ndim(), 1), s);        \
  }
UPDATE(slice_update, Set)
UPDATE(slice_update_add, Add)
UPDATE(slice_update_prod, Prod)
UPDATE(slice_update_max, Max)
UPDATE(slice_update_min, Min)
#undef UPDATE

array slice_update(const array& src, const array& value, const array& start, std::vector<int> axes,
                   StreamOrDevice s) {
  Stream stream = to_stream(s);
  array part = astype(value, src.dtype(), stream);
  if (part.ndim() < src.ndim()) {
    // Axes that the part lacks: one place where a start is given, all of the source elsewhere.
    size_t missing = src.ndim() - part.ndim();
    Shape shape(src.shape().begin(), src.shape().begin() + missing);
    for (int axis : axes) {
      size_t ax = normalize_axis_index(axis, static_cast<int>(src.ndim()), "[slice_update] ");
      if (ax < missing) shape[ax] = 1;
    }
    shape.insert(shape.end(), part.shape().begin(), part.shape().end());
    part = broadcast_to(part, shape, stream);
  }
  check_dynamic("slice_update", src, start, axes, part.shape());
  return array(src.shape(), src.dtype(), std::make_shared<DynamicSliceUpdate>(stream, axes),
               {src, part, start});
}

// ---- joins and splits ----

array concatenate(std::vector<array> arrays, int axis, StreamOrDevice s) {
  if (arrays.empty())
    throw std::invalid_argument("[concatenate] No arrays provided for concatenation");
  if (arrays.size() == 1 && arrays[0].ndim() == 0) return arrays[0];  // as the reference does
  const Shape first = arrays[0].shape();
  int ax = axis_in_bounds("concatenate", axis, static_cast<int>(first.size()));
  Stream stream = to_stream(s);
  Dtype t = result_type(arrays);
  for (const auto& a : arrays) {
    if (a.ndim() != first.size()) {
      throw std::invalid_argument(
          "[concatenate] All the input arrays must have the same number of dimensions. However, "
          "got arrays with dimensions " +
          std::to_string(first.size()) + " and " + std::to_string(a.ndim()) + ".");
    }
    for (int i = 0; i < static_cast<int>(first.size()); ++i) {
      if (i == ax || a.shape(i) == first[i]) continue;
      std::string shapes;
      for (const auto& b : arrays) shapes += to_string(b.shape()) + ", ";
      throw std::invalid_argument(
          "[concatenate] All the input array dimensions must match exactly except for the "
          "concatenation axis. However, the provided shapes are " +
          shapes + "and the concatenation axis is " + std::to_string(axis) + ".");
    }
  }
  if (arrays.size() == 1) return arrays[0];
  for (auto& a : arrays) a = astype(a, t, stream);
  auto p = std::make_shared<Concatenate>(stream, ax);
  Shape shape = p->output_shapes(arrays)[0];
  return array(shape, t, p, std::move(arrays));
}

array concatenate(std::vector<array> arrays, StreamOrDevice s) {
  for (auto& a : arrays) a = flatten(a, s);
  return concatenate(std::move(arrays), 0, s);
}

array stack(const std::vector<array>& arrays, int axis, StreamOrDevice s) {
  if (arrays.empty()) throw std::invalid_argument("[stack] No arrays provided for stacking");
  std::vector<array> parts;
  for (const auto& a : arrays) {
    if (a.shape() != arrays[0].shape())
      throw std::invalid_argument("[stack] All arrays must have the same shape");
    int ax = normalize_axis_index(axis, static_cast<int>(a.ndim()) + 1, "[stack] ");
    parts.push_back(expand_dims(a, ax, s));
  }
  return concatenate(parts, normalize_axis_index(axis, static_cast<int>(arrays[0].ndim()) + 1), s);
}
array stack(const std::vector<array>& arrays, StreamOrDevice s) { return stack(arrays, 0, s); }

std::vector<array> split(const array& a, const Shape& indices, int axis, StreamOrDevice s) {
  int ax = normalize_axis_index(axis, static_cast<int>(a.ndim()), "[split] ");
  if (indices.empty()) return {a};
  int n = a.shape(ax);
  auto within = [n](int i) { return std::clamp(i < 0 ? i + n : i, 0, n); };
  bool rising = std::is_sorted(indices.begin(), indices.end(),
                               [&](int x, int y) { return within(x) < within(y); });
  if (!rising) {
    // Parts that go back, as NumPy has them: each is a slice of its own.
    std::vector<array> out;
    int from = 0;
    for (size_t i = 0; i <= indices.size(); ++i) {
      int to = i < indices.size() ? within(indices[i]) : n;
      Shape start(a.ndim(), 0), stop = a.shape();
      start[ax] = from;
      stop[ax] = to;
      out.push_back(slice(a, start, stop, s));
      from = to;
    }
    return out;
  }
  Shape at;
  for (auto i : indices) at.push_back(within(i));
  auto p = std::make_shared<Split>(to_stream(s), at, ax);
  auto shapes = p->output_shapes({a});
  std::vector<Dtype> dtypes(shapes.size(), a.dtype());
  return array::make_arrays(std::move(shapes), dtypes, p, {a});
}
std::vector<array> split(const array& a, const Shape& indices, StreamOrDevice s) {
  return split(a, indices, 0, s);
}

std::vector<array> split(const array& a, int num_splits, int axis, StreamOrDevice s) {
  int ax = normalize_axis_index(axis, static_cast<int>(a.ndim()), "[split] ");
  if (num_splits <= 0) {
    throw std::invalid_argument("[split] num_splits must be positive and non-zero but got " +
                                std::to_string(num_splits) + ".");
  }
  if (a.shape(ax) % num_splits != 0) {
    throw std::invalid_argument(
        "[split] Array split does not result in sub arrays with equal size: attempting " +
        std::to_string(num_splits) + " splits along axis " + std::to_string(axis) + " for shape " +
        to_string(a.shape()) + ".");
  }
  int step = a.shape(ax) / num_splits;
  Shape indices;
  for (int i = 1; i < num_splits; ++i) indices.push_back(i * step);
  return split(a, indices, ax, s);
}
std::vector<array> split(const array& a, int num_splits, StreamOrDevice s) {
  return split(a, num_splits, 0, s);
}

std::vector<array> unstack(const array& a, int axis, StreamOrDevice s) {
  int ax = normalize_axis_index(axis, static_cast<int>(a.ndim()), "[unstack] ");
  if (a.shape(ax) == 0) return {};
  auto parts = split(a, a.shape(ax), ax, s);
  for (auto& p : parts) p = squeeze(p, ax, s);
  return parts;
}
std::vector<array> unstack(const array& a, StreamOrDevice s) { return unstack(a, 0, s); }

// ---- repetition ----

array repeat(const array& arr, int repeats, int axis, StreamOrDevice s) {
  int ax = normalize_axis_index(axis, static_cast<int>(arr.ndim()), "[repeat] ");
  if (repeats < 0) throw std::invalid_argument("[repeat] Number of repeats cannot be negative");
  if (repeats == 1) return arr;
  Shape wide = arr.shape();
  wide.insert(wide.begin() + ax + 1, repeats);
  Shape out = arr.shape();
  out[ax] *= repeats;
  return reshape(broadcast_to(expand_dims(arr, ax + 1, s), wide, s), out, s);
}
array repeat(const array& arr, int repeats, StreamOrDevice s) {
  return repeat(flatten(arr, s), repeats, 0, s);
}

array tile(const array& arr, std::vector<int> reps, StreamOrDevice s) {
  Shape shape = arr.shape();
  if (reps.size() < shape.size()) reps.insert(reps.begin(), shape.size() - reps.size(), 1);
  if (shape.size() < reps.size()) shape.insert(shape.begin(), reps.size() - shape.size(), 1);
  Shape narrow, wide, out;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (reps[i] < 0)
      throw std::invalid_argument("[tile] Repetitions cannot be negative, got " +
                                  std::to_string(reps[i]) + ".");
    if (reps[i] != 1) {
      narrow.push_back(1);
      wide.push_back(reps[i]);
    }
    narrow.push_back(shape[i]);
    wide.push_back(shape[i]);
    out.push_back(shape[i] * reps[i]);
  }
  return reshape(broadcast_to(reshape(arr, narrow, s), wide, s), out, s);
}

// ---- borders ----

array pad(const array& a, const std::vector<int>& axes, const Shape& low_pad_size,
          const Shape& high_pad_size, const array& pad_value, const std::string& mode,
          StreamOrDevice s) {
  if (axes.size() != low_pad_size.size() || axes.size() != high_pad_size.size()) {
    throw std::invalid_argument(
        "[pad] Invalid number of padding sizes passed to pad with axes of size " +
        std::to_string(axes.size()));
  }
  std::vector<int> at;
  for (size_t i = 0; i < axes.size(); ++i) {
    at.push_back(normalize_axis_index(axes[i], static_cast<int>(a.ndim()), "[pad] "));
    for (int size : {low_pad_size[i], high_pad_size[i]}) {
      if (size >= 0) continue;
      throw std::invalid_argument(std::string("[pad] Invalid ") +
                                  (size == low_pad_size[i] ? "low" : "high") + " padding size (" +
                                  std::to_string(size) + ") passed to pad for axis " +
                                  std::to_string(i) + ". Padding sizes must be non-negative");
    }
  }
  if (mode == "edge" || mode == "reflect" || mode == "symmetric") {
    return pad_mirrored(a, at, low_pad_size, high_pad_size, mode, s);
  }
  if (mode != "constant")
    throw std::invalid_argument("[pad] Invalid padding mode (" + mode + ") passed to pad");
  if (pad_value.size() != 1)
    throw std::invalid_argument("[pad] The padding value must be a scalar but has shape " +
                                to_string(pad_value.shape()) + ".");
  Shape low(a.ndim(), 0), high(a.ndim(), 0);
  for (size_t i = 0; i < at.size(); ++i) {
    low[at[i]] = low_pad_size[i];
    high[at[i]] = high_pad_size[i];
  }
  Stream stream = to_stream(s);
  auto p = std::make_shared<Pad>(stream, low, high);
  array value = reshape(astype(pad_value, a.dtype(), stream), {}, stream);
  return array(p->output_shapes({a})[0], a.dtype(), p, {a, value});
}

array pad(const array& a, const std::vector<std::pair<int, int>>& pad_width, const array& pad_value,
          const std::string& mode, StreamOrDevice s) {
  if (pad_width.size() != a.ndim()) {
    if (pad_width.size() == 1) return pad(a, pad_width[0], pad_value, mode, s);
    throw std::invalid_argument(
        "[pad] Invalid number of padding sizes passed to pad with axes of size " +
        std::to_string(a.ndim()));
  }
  std::vector<int> axes(a.ndim());
  std::iota(axes.begin(), axes.end(), 0);
  Shape low, high;
  for (auto [before, after] : pad_width) {
    low.push_back(before);
    high.push_back(after);
  }
  return pad(a, axes, low, high, pad_value, mode, s);
}
array pad(const array& a, const std::pair<int, int>& pad_width, const array& pad_value,
          const std::string& mode, StreamOrDevice s) {
  if (a.ndim() == 0) return a;
  if (a.ndim() == 1) return pad(a, {0}, {pad_width.first}, {pad_width.second}, pad_value, mode, s);
  return pad(a, std::vector<std::pair<int, int>>(a.ndim(), pad_width), pad_value, mode, s);
}
array pad(const array& a, int pad_width, const array& pad_value, const std::string& mode,
          StreamOrDevice s) {
  return pad(a, std::make_pair(pad_width, pad_width), pad_value, mode, s);
}

// ---- roll ----

array roll(const array& a, const Shape& shift, const std::vector<int>& axes, StreamOrDevice s) {
  if (shift.size() < axes.size()) {
    throw std::invalid_argument("[roll] At least one shift value per axis is required, " +
                                std::to_string(shift.size()) + " provided for " +
                                std::to_string(axes.size()) + " axes.");
  }
  array r = a;
  if (a.size() == 0) return a;
  // As many pairs as the shorter list has; an axis named twice moves twice.
  for (size_t i = 0; i < std::min(shift.size(), axes.size()); ++i) {
    int ax = normalize_axis_index(axes[i], static_cast<int>(a.ndim()), "[roll] ");
    int n = a.shape(ax);
    int by = ((shift[i] % n) + n) % n;
    if (by == 0) continue;
    auto parts = split(r, Shape{n - by}, ax, s);
    r = concatenate({parts[1], parts[0]}, ax, s);
  }
  return r;
}
array roll(const array& a, int shift, StreamOrDevice s) {
  return reshape(roll(flatten(a, s), Shape{shift}, std::vector<int>{0}, s), a.shape(), s);
}
array roll(const array& a, const Shape& shift, StreamOrDevice s) {
  int total = 0;
  for (int by : shift) total += by;
  return roll(a, total, s);
}
array roll(const array& a, int shift, int axis, StreamOrDevice s) {
  return roll(a, Shape{shift}, std::vector<int>{axis}, s);
}
array roll(const array& a, int shift, const std::vector<int>& axes, StreamOrDevice s) {
  return roll(a, Shape(axes.size(), shift), axes, s);
}
array roll(const array& a, const Shape& shift, int axis, StreamOrDevice s) {
  int total = 0;
  for (int by : shift) total += by;
  return roll(a, Shape{total}, std::vector<int>{axis}, s);
}

}  // namespace mlx::core
