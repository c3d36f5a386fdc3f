// core/prim/shape.cpp
#include "core/prim/shape.h"

#include <numeric>

#include "core/copy.h"
#include "mlx/ops.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

using Arrays = std::vector<array>;
using Batched = std::pair<Arrays, std::vector<int>>;

/** Strides of a new shape over the memory of a; false if there are none. */
bool reshaped_strides(const array& a, const Shape& shape, Strides& out) {
  // Groups of old axes that walk as one, matched against groups of new axes of the same size.
  Shape old_shape;
  Strides old_strides;
  for (size_t i = 0; i < a.ndim(); ++i) {
    if (a.shape()[i] == 1) continue;
    old_shape.push_back(a.shape()[i]);
    old_strides.push_back(a.strides()[i]);
  }
  out.resize(shape.size());
  size_t i = 0, j = 0;
  while (j < shape.size()) {
    if (shape[j] == 1) {
      out[j++] = 1;
      continue;
    }
    if (i >= old_shape.size()) return false;
    size_t i_end = i + 1, j_end = j + 1;
    int64_t old_n = old_shape[i], new_n = shape[j];
    while (old_n != new_n) {
      if (old_n < new_n) {
        if (i_end >= old_shape.size()) return false;
        old_n *= old_shape[i_end++];
      } else {
        if (j_end >= shape.size()) return false;
        new_n *= shape[j_end++];
      }
    }
    for (size_t k = i; k + 1 < i_end; ++k) {
      if (old_strides[k] != old_strides[k + 1] * old_shape[k + 1]) return false;
    }
    int64_t step = old_strides[i_end - 1];
    for (size_t k = j_end; k-- > j;) {
      out[k] = step;
      step *= shape[k];
    }
    i = i_end;
    j = j_end;
  }
  return i == old_shape.size();
}

/** Sums a cotangent over the axes along which its value was repeated. */
array sum_to(array g, const Shape& shape, Stream s) {
  std::vector<int> axes;
  int extra = static_cast<int>(g.ndim() - shape.size());
  for (int i = 0; i < static_cast<int>(g.ndim()); ++i) {
    if (i < extra || (shape[i - extra] == 1 && g.shape(i) != 1)) axes.push_back(i);
  }
  if (!axes.empty()) g = sum(g, axes, true, s);
  return g.shape() == shape ? g : reshape(g, shape, s);
}

}  // namespace

// ---- Broadcast ----

void Broadcast::view(const array& in, array& out) const {
  Strides strides(out.ndim(), 0);
  size_t extra = out.ndim() - in.ndim();
  for (size_t i = 0; i < in.ndim(); ++i) {
    if (in.shape()[i] != 1) strides[i + extra] = in.strides()[i];
  }
  make_view(in, out, strides);
}

Arrays Broadcast::jvp(const Arrays&, const Arrays& tangents, const std::vector<int>&) {
  return {broadcast_to(tangents[0], shape_, stream())};
}

Arrays Broadcast::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>&,
                      const Arrays&) {
  return {
      astype(sum_to(cotangents[0], primals[0].shape(), stream()), primals[0].dtype(), stream())};
}

Batched Broadcast::vmap(const Arrays& inputs, const std::vector<int>& axes) {
  array in = axes[0] > 0 ? moveaxis(inputs[0], axes[0], 0, stream()) : inputs[0];
  // The batch axis in front, ones up to the item's rank, then the item's axes.
  Shape middle{in.shape(0)};
  middle.resize(1 + shape_.size() - (in.ndim() - 1), 1);
  middle.insert(middle.end(), in.shape().begin() + 1, in.shape().end());
  Shape full = shape_;
  full.insert(full.begin(), in.shape(0));
  return {{broadcast_to(reshape(in, middle, stream()), full, stream())}, {0}};
}

std::vector<Shape> Broadcast::output_shapes(const Arrays& inputs) {
  return {broadcast_shapes(inputs[0].shape(), shape_)};
}

// ---- Transpose ----

void Transpose::view(const array& in, array& out) const {
  Strides strides(out.ndim());
  for (size_t i = 0; i < axes_.size(); ++i) strides[i] = in.strides()[axes_[i]];
  make_view(in, out, strides);
}

Arrays Transpose::jvp(const Arrays&, const Arrays& tangents, const std::vector<int>&) {
  return {transpose(tangents[0], axes_, stream())};
}

Arrays Transpose::vjp(const Arrays&, const Arrays& cotangents, const std::vector<int>&,
                      const Arrays&) {
  std::vector<int> inverse(axes_.size());
  for (size_t i = 0; i < axes_.size(); ++i) inverse[axes_[i]] = static_cast<int>(i);
  return {transpose(cotangents[0], inverse, stream())};
}

Batched Transpose::vmap(const Arrays& inputs, const std::vector<int>& axes) {
  std::vector<int> order{axes[0]};
  for (int a : axes_) order.push_back(a + (a >= axes[0]));
  return {{transpose(inputs[0], order, stream())}, {0}};
}

std::vector<Shape> Transpose::output_shapes(const Arrays& inputs) {
  Shape shape;
  for (int a : axes_) shape.push_back(inputs[0].shape(a));
  return {shape};
}

// ---- Reshape ----

void Reshape::view(const array& in, array& out) const {
  Strides strides;
  if (in.size() == 0) {
    make_view(in, out, row_major_strides(out.shape()));
  } else if (reshaped_strides(in, out.shape(), strides)) {
    make_view(in, out, strides);
  } else {
    array flat(in.shape(), in.dtype(), nullptr, {});
    allocate(flat);
    copy_into(in, flat);
    make_view(flat, out, row_major_strides(out.shape()));
  }
}

std::shared_ptr<Primitive> Reshape::for_inputs(const Arrays& inputs) {
  const Shape& in = inputs[0].shape();
  Shape shape;
  int64_t known = 1;
  int rest = -1;
  for (const AxisRule& axis : *rule_) {
    int64_t n = axis.last;
    if (axis.first == -2) {
      rest = static_cast<int>(shape.size());
      n = 1;
    } else if (axis.first >= 0) {
      n = 1;
      for (int i = axis.first; i <= axis.last; ++i) n *= in.at(i);
    }
    known *= n;
    shape.push_back(static_cast<ShapeElem>(n));
  }
  int64_t size = static_cast<int64_t>(inputs[0].size());
  if (rest >= 0 && known != 0) shape[rest] = static_cast<ShapeElem>(size / known);
  if (rest >= 0 ? known == 0 || size % known != 0 : known != size) {
    throw std::invalid_argument("[reshape] Cannot reshape array of size " + std::to_string(size) +
                                " into shape " + to_string(shape) + ".");
  }
  return std::make_shared<Reshape>(stream(), std::move(shape), rule_);
}

Arrays Reshape::jvp(const Arrays&, const Arrays& tangents, const std::vector<int>&) {
  return {reshape(tangents[0], shape_, stream())};
}

Arrays Reshape::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>&,
                    const Arrays&) {
  return {reshape(cotangents[0], primals[0].shape(), stream())};
}

Batched Reshape::vmap(const Arrays& inputs, const std::vector<int>& axes) {
  array in = axes[0] > 0 ? moveaxis(inputs[0], axes[0], 0, stream()) : inputs[0];
  Shape shape = shape_;
  shape.insert(shape.begin(), in.shape(0));
  return {{reshape(in, shape, stream())}, {0}};
}

// ---- AsStrided ----

void AsStrided::view(const array& in, array& out) const {
  make_view(row_contiguous(in), out, strides_, static_cast<int64_t>(offset_));
}

Arrays AsStrided::jvp(const Arrays&, const Arrays& tangents, const std::vector<int>&) {
  return {as_strided(tangents[0], shape_, strides_, offset_, stream())};
}

Arrays AsStrided::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>&,
                      const Arrays&) {
  // Where each element came from, as an index into the flat input; repeated ones add up.
  Stream s = stream();
  array from =
      as_strided(arange(0, static_cast<int>(primals[0].size()), s), shape_, strides_, offset_, s);
  array zero = zeros({static_cast<ShapeElem>(primals[0].size())}, cotangents[0].dtype(), s);
  array updates = reshape(cotangents[0], {static_cast<ShapeElem>(cotangents[0].size()), 1}, s);
  return {reshape(scatter_add(zero, flatten(from, s), updates, 0, s), primals[0].shape(), s)};
}

Batched AsStrided::vmap(const Arrays& inputs, const std::vector<int>& axes) {
  Stream s = stream();
  array in = contiguous(moveaxis(inputs[0], axes[0], 0, s), false, s);
  Shape shape = shape_;
  Strides strides = strides_;
  shape.insert(shape.begin(), in.shape(0));
  strides.insert(strides.begin(), static_cast<int64_t>(in.size() / std::max(in.shape(0), 1)));
  return {{as_strided(in, shape, strides, offset_, s)}, {0}};
}

// ---- Contiguous ----

void Contiguous::view(const array& in, array& out) const {
  if (in.flags().row_contiguous || (allow_col_major_ && in.flags().col_contiguous)) {
    out.copy_shared_buffer(in);
  } else {
    allocate(out);
    copy_into(in, out);
  }
}

Arrays Contiguous::jvp(const Arrays&, const Arrays& tangents, const std::vector<int>&) {
  return tangents;
}
Arrays Contiguous::vjp(const Arrays&, const Arrays& cotangents, const std::vector<int>&,
                       const Arrays&) {
  return cotangents;
}
Batched Contiguous::vmap(const Arrays& inputs, const std::vector<int>& axes) {
  return {{contiguous(moveaxis(inputs[0], axes[0], 0, stream()), allow_col_major_, stream())}, {0}};
}

// ---- StopGradient, Depends ----

Batched StopGradient::vmap(const Arrays& inputs, const std::vector<int>& axes) {
  return {{stop_gradient(inputs[0], stream())}, axes};
}

void Depends::eval_cpu(const Arrays& inputs, Arrays& outputs) {
  for (size_t i = 0; i < outputs.size(); ++i) outputs[i].copy_shared_buffer(inputs[i]);
}

Arrays Depends::vjp(const Arrays& primals, const Arrays& cotangents,
                    const std::vector<int>& argnums, const Arrays&) {
  Arrays result;
  for (int a : argnums) {
    bool value = static_cast<size_t>(a) < cotangents.size();
    result.push_back(value ? cotangents[a] : zeros_like(primals[a], stream()));
  }
  return result;
}

Arrays Depends::jvp(const Arrays& primals, const Arrays& tangents,
                    const std::vector<int>& argnums) {
  // One tangent for each output; which inputs are values is known by position only.
  Arrays result;
  for (const auto& p : primals) result.push_back(zeros_like(p, stream()));
  for (size_t i = 0; i < argnums.size(); ++i) result[argnums[i]] = tangents[i];
  return result;
}

Batched Depends::vmap(const Arrays& inputs, const std::vector<int>& axes) {
  std::vector<Shape> shapes;
  std::vector<Dtype> dtypes;
  for (const auto& in : inputs) {
    shapes.push_back(in.shape());
    dtypes.push_back(in.dtype());
  }
  return {array::make_arrays(shapes, dtypes, std::make_shared<Depends>(stream()), inputs), axes};
}

// ---- parameters from elsewhere ----

bool AsStrided::fits(const Arrays& inputs) const {
  if (inputs.size() != 1 || shape_.size() != strides_.size()) return false;
  int64_t low = static_cast<int64_t>(offset_), high = low;
  for (size_t i = 0; i < shape_.size(); ++i) {
    if (shape_[i] < 0) return false;
    if (shape_[i] == 0) return true;
    int64_t span = strides_[i] * (static_cast<int64_t>(shape_[i]) - 1);
    (span < 0 ? low : high) += span;
  }
  return low >= 0 && high < static_cast<int64_t>(inputs[0].size());
}

bool Transpose::fits(const Arrays& inputs) const {
  if (inputs.size() != 1 || inputs[0].ndim() != axes_.size()) return false;
  std::vector<char> seen(axes_.size(), 0);
  for (int a : axes_) {
    if (a < 0 || a >= static_cast<int>(axes_.size()) || seen[a]++) return false;
  }
  return true;
}

}  // namespace mlx::core
