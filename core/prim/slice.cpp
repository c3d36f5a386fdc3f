// core/prim/slice.cpp
#include "core/prim/slice.h"

#include <sstream>

#include "core/copy.h"
#include "core/prim/elementwise.h"
#include "mlx/ops.h"
#include "mlx/transforms.h"

namespace mlx::core {

namespace {

using Arrays = std::vector<array>;
using Batched = std::pair<Arrays, std::vector<int>>;

Shape part_shape(const Shape& start, const Shape& stop, const Shape& strides) {
  Shape shape(start.size());
  for (size_t i = 0; i < start.size(); ++i) {
    // (backwards, the end before the first element is -n - 1)
    int64_t to = std::max(stop[i], -1);
    int64_t span = strides[i] > 0 ? to - start[i] : start[i] - to;
    int64_t step = std::abs(strides[i]);
    shape[i] = static_cast<ShapeElem>(std::max<int64_t>(0, (span + step - 1) / step));
  }
  return shape;
}

/** The part of `whole` as an array over its memory. */
array part_of(const array& whole, const Shape& shape, const Shape& start, const Shape& strides) {
  array part(shape, whole.dtype(), nullptr, {});
  Strides steps(shape.size());
  int64_t offset = 0;
  for (size_t i = 0; i < shape.size(); ++i) {
    steps[i] = whole.strides()[i] * strides[i];
    offset += whole.strides()[i] * start[i];
  }
  make_view(whole, part, steps, offset);
  return part;
}

/** out becomes a copy of source, in place where the memory may be written over. */
void take_over(const array& source, array& out) {
  bool free =
      source.is_donatable() && source.flags().row_contiguous && source.data_size() == source.size();
  allocate_or_donate(source, out);
  if (!free) copy_into(source, out);
}

EwOp op_of(UpdateMode mode) {
  switch (mode) {
    case UpdateMode::Prod:
      return EwOp::Multiply;
    case UpdateMode::Max:
      return EwOp::Maximum;
    case UpdateMode::Min:
      return EwOp::Minimum;
    default:
      return EwOp::Add;
  }
}

/** part = op(part, update), in place. */
void combine(array& part, const array& update, EwOp op) {
  if (part.size() == 0) return;
  auto t = part.dtype().val();
  Tape tape;
  tape.inputs = {t, t};
  tape.instrs = {{op, t, t, {0, 1, 0}}};
  tape.outputs = {2};
  auto* u = const_cast<char*>(update.data<char>());
  tape_runner(Device::cpu)(tape, part.shape(),
                           {{part.data<char>(), part.strides()},
                            {u, update.strides()},
                            {part.data<char>(), part.strides()}});
}

/** Starts read from a vector; the part must lie inside. */
Shape checked_start(const char* op, const array& starts, const std::vector<int>& axes,
                    const Shape& whole, const Shape& part) {
  Shape start(whole.size(), 0);
  for (size_t k = 0; k < axes.size(); ++k) {
    const char* p =
        starts.data<char>() + (starts.ndim() ? k * starts.strides(0) : 0) * starts.itemsize();
    int64_t at = detail::read_element<int64_t>(p, starts.dtype());
    int64_t size = whole[axes[k]], from = at < 0 ? at + size : at;
    if (from < 0 || from > size - part[axes[k]]) {
      std::ostringstream text;
      text << "[" << op << "] A part of size " << part[axes[k]] << " from index " << at
           << " is out of bounds for axis " << axes[k] << " with size " << size << ".";
      throw std::out_of_range(text.str());
    }
    start[axes[k]] = static_cast<ShapeElem>(from);
  }
  return start;
}

array with_mode(const array& source, const array& update, UpdateMode mode, const Shape& start,
                const Shape& stop, const Shape& strides, Stream s) {
  switch (mode) {
    case UpdateMode::Set:
      return slice_update(source, update, start, stop, strides, s);
    case UpdateMode::Add:
      return slice_update_add(source, update, start, stop, strides, s);
    case UpdateMode::Prod:
      return slice_update_prod(source, update, start, stop, strides, s);
    case UpdateMode::Max:
      return slice_update_max(source, update, start, stop, strides, s);
    default:
      return slice_update_min(source, update, start, stop, strides, s);
  }
}

}  // namespace

// ---- Slice ----

void Slice::view(const array& in, array& out) const {
  array part = part_of(in, out.shape(), start_, strides_);
  out.copy_shared_buffer(part);
}

namespace {

/** True if every position lies inside shape. */
bool inside(const Shape& shape, const Shape& start, const Shape& stop, const Shape& strides) {
  if (start.size() != shape.size() || stop.size() != shape.size() || strides.size() != shape.size())
    return false;
  if (std::find(strides.begin(), strides.end(), 0) != strides.end()) return false;
  Shape part = part_shape(start, stop, strides);
  for (size_t i = 0; i < shape.size(); ++i) {
    if (part[i] == 0) continue;
    int64_t last = start[i] + (int64_t(part[i]) - 1) * strides[i];
    if (start[i] < 0 || start[i] >= shape[i] || last < 0 || last >= shape[i]) return false;
  }
  return true;
}

}  // namespace

bool Slice::fits(const Arrays& inputs) const {
  return inputs.size() == 1 && inside(inputs[0].shape(), start_, stop_, strides_);
}

bool SliceUpdate::fits(const Arrays& inputs) const {
  return inputs.size() == 2 && inside(inputs[0].shape(), start_, stop_, strides_);
}

std::vector<Shape> Slice::output_shapes(const Arrays&) {
  return {part_shape(start_, stop_, strides_)};
}

Arrays Slice::jvp(const Arrays&, const Arrays& tangents, const std::vector<int>&) {
  return {slice(tangents[0], start_, stop_, strides_, stream())};
}

Arrays Slice::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>&,
                  const Arrays&) {
  array zero = zeros(primals[0].shape(), cotangents[0].dtype(), stream());
  return {slice_update(zero, cotangents[0], start_, stop_, strides_, stream())};
}

Batched Slice::vmap(const Arrays& inputs, const std::vector<int>& axes) {
  Shape start = start_, stop = stop_, strides = strides_;
  start.insert(start.begin() + axes[0], 0);
  stop.insert(stop.begin() + axes[0], inputs[0].shape(axes[0]));
  strides.insert(strides.begin() + axes[0], 1);
  return {{slice(inputs[0], start, stop, strides, stream())}, axes};
}

// ---- SliceUpdate ----

void SliceUpdate::eval_cpu(const Arrays& inputs, Arrays& outputs) {
  array& out = outputs[0];
  take_over(inputs[0], out);
  array part = part_of(out, inputs[1].shape(), start_, strides_);
  if (mode_ == UpdateMode::Set) {
    copy_into(inputs[1], part);
  } else {
    combine(part, inputs[1], op_of(mode_));
  }
}

Arrays SliceUpdate::jvp(const Arrays& primals, const Arrays& tangents,
                        const std::vector<int>& argnums) {
  Stream s = stream();
  array ds = zeros_like(primals[0], s), du = zeros_like(primals[1], s);
  for (size_t i = 0; i < argnums.size(); ++i) (argnums[i] == 0 ? ds : du) = tangents[i];
  if (mode_ == UpdateMode::Set || mode_ == UpdateMode::Add) {
    return {with_mode(ds, du, mode_, start_, stop_, strides_, s)};
  }
  // d f(part, update), written where the part was.
  array part = slice(primals[0], start_, stop_, strides_, s),
        dpart = slice(ds, start_, stop_, strides_, s);
  auto f = [&](const Arrays& in) { return Arrays{elementwise(op_of(mode_), in, s)}; };
  array moved = mlx::core::jvp(ArrayFn(f), {part, primals[1]}, {dpart, du}).second[0];
  return {slice_update(ds, moved, start_, stop_, strides_, s)};
}

Arrays SliceUpdate::vjp(const Arrays& primals, const Arrays& cotangents,
                        const std::vector<int>& argnums, const Arrays&) {
  Stream s = stream();
  const array& g = cotangents[0];
  array gpart = slice(g, start_, stop_, strides_, s);
  std::optional<Arrays> inner;  // cotangents of the part and the update, for the nonlinear modes
  if (mode_ != UpdateMode::Set && mode_ != UpdateMode::Add) {
    array part = slice(primals[0], start_, stop_, strides_, s);
    auto f = [&](const Arrays& in) { return Arrays{elementwise(op_of(mode_), in, s)}; };
    inner = mlx::core::vjp(ArrayFn(f), {part, primals[1]}, {gpart}).second;
  }
  Arrays result;
  for (int a : argnums) {
    if (a == 1) {
      result.push_back(inner ? (*inner)[1] : gpart);
    } else if (mode_ == UpdateMode::Add) {
      result.push_back(g);
    } else {
      array there = inner ? (*inner)[0] : zeros_like(primals[1], s);
      result.push_back(slice_update(g, there, start_, stop_, strides_, s));
    }
  }
  return result;
}

Batched SliceUpdate::vmap(const Arrays& inputs, const std::vector<int>& axes) {
  Stream s = stream();
  int n = axes[0] >= 0 ? inputs[0].shape(axes[0]) : inputs[1].shape(axes[1]);
  auto bring = [&](const array& a, int axis) {
    if (axis >= 0) return moveaxis(a, axis, 0, s);
    Shape shape = a.shape();
    shape.insert(shape.begin(), n);
    return broadcast_to(expand_dims(a, 0, s), shape, s);
  };
  array source = bring(inputs[0], axes[0]), update = bring(inputs[1], axes[1]);
  Shape start = start_, stop = stop_, strides = strides_;
  start.insert(start.begin(), 0);
  stop.insert(stop.begin(), n);
  strides.insert(strides.begin(), 1);
  return {{with_mode(source, update, mode_, start, stop, strides, s)}, {0}};
}

// ---- DynamicSlice ----

void DynamicSlice::eval_cpu(const Arrays& inputs, Arrays& outputs) {
  Shape start = checked_start("slice", inputs[1], axes_, inputs[0].shape(), size_);
  array part = part_of(inputs[0], size_, start, Shape(start.size(), 1));
  outputs[0].copy_shared_buffer(part);
}

Arrays DynamicSlice::jvp(const Arrays& primals, const Arrays& tangents,
                         const std::vector<int>& argnums) {
  if (argnums[0] != 0) return {zeros(size_, primals[0].dtype(), stream())};
  return {slice(tangents[0], primals[1], axes_, size_, stream())};
}

Arrays DynamicSlice::vjp(const Arrays& primals, const Arrays& cotangents,
                         const std::vector<int>& argnums, const Arrays&) {
  Arrays result;
  for (int a : argnums) {
    array zero = zeros_like(primals[a], stream());
    result.push_back(a == 0 ? slice_update(zero, cotangents[0], primals[1], axes_, stream())
                            : zero);
  }
  return result;
}

Batched DynamicSlice::vmap(const Arrays& inputs, const std::vector<int>& axes) {
  Stream s = stream();
  if (axes[1] < 0) {
    array in = moveaxis(inputs[0], axes[0], 0, s);
    std::vector<int> shifted = axes_;
    for (int& a : shifted) ++a;
    Shape size = size_;
    size.insert(size.begin(), in.shape(0));
    return {{slice(in, inputs[1], shifted, size, s)}, {0}};
  }
  // Starts of its own for each item.
  array starts = moveaxis(inputs[1], axes[1], 0, s);
  Arrays parts;
  for (int i = 0; i < starts.shape(0); ++i) {
    array item = axes[0] < 0 ? inputs[0] : take(inputs[0], i, axes[0], s);
    parts.push_back(slice(item, take(starts, i, 0, s), axes_, size_, s));
  }
  return {{stack(parts, 0, s)}, {0}};
}

// ---- DynamicSliceUpdate ----

void DynamicSliceUpdate::eval_cpu(const Arrays& inputs, Arrays& outputs) {
  array& out = outputs[0];
  Shape start =
      checked_start("slice_update", inputs[2], axes_, inputs[0].shape(), inputs[1].shape());
  take_over(inputs[0], out);
  array part = part_of(out, inputs[1].shape(), start, Shape(start.size(), 1));
  copy_into(inputs[1], part);
}

Arrays DynamicSliceUpdate::jvp(const Arrays& primals, const Arrays& tangents,
                               const std::vector<int>& argnums) {
  Stream s = stream();
  array ds = zeros_like(primals[0], s), du = zeros_like(primals[1], s);
  for (size_t i = 0; i < argnums.size(); ++i) {
    if (argnums[i] == 0) ds = tangents[i];
    if (argnums[i] == 1) du = tangents[i];
  }
  return {slice_update(ds, du, primals[2], axes_, s)};
}

Arrays DynamicSliceUpdate::vjp(const Arrays& primals, const Arrays& cotangents,
                               const std::vector<int>& argnums, const Arrays&) {
  Stream s = stream();
  Arrays result;
  for (int a : argnums) {
    if (a == 0) {
      result.push_back(
          slice_update(cotangents[0], zeros_like(primals[1], s), primals[2], axes_, s));
    } else if (a == 1) {
      result.push_back(slice(cotangents[0], primals[2], axes_, primals[1].shape(), s));
    } else {
      result.push_back(zeros_like(primals[a], s));
    }
  }
  return result;
}

Batched DynamicSliceUpdate::vmap(const Arrays& inputs, const std::vector<int>& axes) {
  Stream s = stream();
  int n = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (axes[i] >= 0) n = inputs[i].shape(axes[i]);
  }
  Arrays parts;
  for (int i = 0; i < n; ++i) {
    auto item = [&](int k) { return axes[k] < 0 ? inputs[k] : take(inputs[k], i, axes[k], s); };
    parts.push_back(slice_update(item(0), item(1), item(2), axes_, s));
  }
  return {{stack(parts, 0, s)}, {0}};
}

}  // namespace mlx::core
