// core/prim/join.cpp
#include "core/prim/join.h"

#include <cstring>

#include "core/copy.h"
#include "mlx/dtype_utils.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

using Arrays = std::vector<array>;
using Batched = std::pair<Arrays, std::vector<int>>;

/** The block of `whole` of this shape that begins at `at`. */
array block(const array& whole, const Shape& shape, const Shape& at) {
  array part(shape, whole.dtype(), nullptr, {});
  int64_t offset = 0;
  for (size_t i = 0; i < at.size(); ++i) offset += whole.strides()[i] * at[i];
  make_view(whole, part, whole.strides(), offset);
  return part;
}

/** Joins few packed bytes, which starting a copy of each part would take longer than. */
bool join_packed(const Arrays& parts, int axis, array& out) {
  constexpr size_t kMost = 256 << 10;  // bytes
  if (out.nbytes() > kMost) return false;
  for (const auto& in : parts) {
    if (!in.flags().row_contiguous) return false;
  }
  size_t rows = 1;
  for (int d = 0; d < axis; ++d) rows *= out.shape(d);
  if (rows == 0) return true;
  const size_t row = out.nbytes() / rows;
  char* to = out.data<char>();
  for (const auto& in : parts) {
    const size_t bytes = in.nbytes() / rows;
    const char* from = in.data<char>();
    for (size_t r = 0; r < rows && bytes > 0; ++r)
      std::memcpy(to + r * row, from + r * bytes, bytes);
    to += bytes;
  }
  return true;
}

}  // namespace

// ---- Concatenate ----

void Concatenate::eval_cpu(const Arrays& inputs, Arrays& outputs) {
  array& out = outputs[0];
  allocate(out);
  if (join_packed(inputs, axis_, out)) return;
  Shape at(out.ndim(), 0);
  for (const auto& in : inputs) {
    if (in.size() > 0) {
      array part = block(out, in.shape(), at);
      copy_into(in, part);
    }
    at[axis_] += in.shape(axis_);
  }
}

std::vector<Shape> Concatenate::output_shapes(const Arrays& inputs) {
  Shape shape = inputs[0].shape();
  for (size_t i = 1; i < inputs.size(); ++i) shape[axis_] += inputs[i].shape(axis_);
  return {shape};
}

Arrays Concatenate::jvp(const Arrays& primals, const Arrays& tangents,
                        const std::vector<int>& argnums) {
  Arrays all;
  for (const auto& p : primals) all.push_back(zeros_like(p, stream()));
  for (size_t i = 0; i < argnums.size(); ++i) all[argnums[i]] = tangents[i];
  return {concatenate(all, axis_, stream())};
}

Arrays Concatenate::vjp(const Arrays& primals, const Arrays& cotangents,
                        const std::vector<int>& argnums, const Arrays&) {
  std::vector<int> begin{0};
  for (const auto& p : primals) begin.push_back(begin.back() + p.shape(axis_));
  Arrays result;
  for (int a : argnums) {
    Shape start(primals[a].ndim(), 0), stop = cotangents[0].shape();
    start[axis_] = begin[a];
    stop[axis_] = begin[a + 1];
    result.push_back(slice(cotangents[0], start, stop, stream()));
  }
  return result;
}

Batched Concatenate::vmap(const Arrays& inputs, const std::vector<int>& axes) {
  Stream s = stream();
  int n = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (axes[i] >= 0) n = inputs[i].shape(axes[i]);
  }
  Arrays parts;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (axes[i] >= 0) {
      parts.push_back(moveaxis(inputs[i], axes[i], 0, s));
    } else {
      Shape shape = inputs[i].shape();
      shape.insert(shape.begin(), n);
      parts.push_back(broadcast_to(expand_dims(inputs[i], 0, s), shape, s));
    }
  }
  return {{concatenate(parts, axis_ + 1, s)}, {0}};
}

// ---- Split ----

void Split::eval_cpu(const Arrays& inputs, Arrays& outputs) {
  const array& in = inputs[0];
  Shape at(in.ndim(), 0);
  for (auto& out : outputs) {
    array part = block(in, out.shape(), at);
    out.copy_shared_buffer(part);
    at[axis_] += out.shape(axis_);
  }
}

bool Split::fits(const Arrays& inputs) const {
  if (inputs.size() != 1 || axis_ < 0 || axis_ >= static_cast<int>(inputs[0].ndim())) return false;
  ShapeElem before = 0;
  for (auto i : indices_) {
    if (i < before || i > inputs[0].shape(axis_)) return false;
    before = i;
  }
  return true;
}

std::vector<Shape> Split::output_shapes(const Arrays& inputs) {
  std::vector<Shape> shapes;
  ShapeElem begin = 0;
  for (size_t i = 0; i <= indices_.size(); ++i) {
    ShapeElem end = i < indices_.size() ? indices_[i] : inputs[0].shape(axis_);
    Shape shape = inputs[0].shape();
    shape[axis_] = std::max(0, end - begin);
    shapes.push_back(shape);
    begin = std::max(begin, end);
  }
  return shapes;
}

Arrays Split::jvp(const Arrays&, const Arrays& tangents, const std::vector<int>&) {
  return split(tangents[0], indices_, axis_, stream());
}

Arrays Split::vjp(const Arrays&, const Arrays& cotangents, const std::vector<int>&, const Arrays&) {
  return {concatenate(cotangents, axis_, stream())};
}

Batched Split::vmap(const Arrays& inputs, const std::vector<int>& axes) {
  int axis = axis_ + (axes[0] <= axis_);
  auto parts = split(inputs[0], indices_, axis, stream());
  return {parts, std::vector<int>(parts.size(), axes[0])};
}

// ---- Pad ----

void Pad::eval_cpu(const Arrays& inputs, Arrays& outputs) {
  array& out = outputs[0];
  allocate(out);
  if (out.size() == 0) return;
  array value(out.shape(), out.dtype(), nullptr, {});
  make_view(inputs[1], value, Strides(out.ndim(), 0));
  copy_into(value, out);
  if (inputs[0].size() == 0) return;
  array part = block(out, inputs[0].shape(), low_);
  copy_into(inputs[0], part);
}

std::vector<Shape> Pad::output_shapes(const Arrays& inputs) {
  Shape shape = inputs[0].shape();
  for (size_t i = 0; i < shape.size(); ++i) shape[i] += low_[i] + high_[i];
  return {shape};
}

Arrays Pad::jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>& argnums) {
  array dx = zeros_like(primals[0], stream()), dv = zeros_like(primals[1], stream());
  for (size_t i = 0; i < argnums.size(); ++i) (argnums[i] == 0 ? dx : dv) = tangents[i];
  return {array(output_shapes(primals)[0], dx.dtype(), std::make_shared<Pad>(stream(), low_, high_),
                {dx, dv})};
}

Arrays Pad::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>& argnums,
                const Arrays&) {
  Stream s = stream();
  Shape stop = low_;
  for (size_t i = 0; i < stop.size(); ++i) stop[i] += primals[0].shape()[i];
  array inside = slice(cotangents[0], low_, stop, s);
  Arrays result;
  for (int a : argnums) {
    result.push_back(a == 0 ? inside
                            : subtract(sum(cotangents[0], false, s), sum(inside, false, s), s));
  }
  return result;
}

Batched Pad::vmap(const Arrays& inputs, const std::vector<int>& axes) {
  Stream s = stream();
  if (axes[1] >= 0) {
    // A value of its own for each item: the border is what the padding of ones leaves at zero.
    array in = axes[0] >= 0 ? moveaxis(inputs[0], axes[0], 0, s) : expand_dims(inputs[0], 0, s);
    Shape low = low_, high = high_;
    low.insert(low.begin(), 0);
    high.insert(high.begin(), 0);
    auto padded = [&](const array& x) {
      auto p = std::make_shared<Pad>(s, low, high);
      return array(p->output_shapes({x})[0], x.dtype(), p, {x, array(0, x.dtype())});
    };
    array inside = padded(ones({in.shape()}, bool_, s));
    Shape value_shape(in.ndim(), 1);
    value_shape[0] = inputs[1].shape(0);
    return {{where(inside, padded(in), reshape(inputs[1], value_shape, s), s)}, {0}};
  }
  Shape low = low_, high = high_;
  low.insert(low.begin() + axes[0], 0);
  high.insert(high.begin() + axes[0], 0);
  auto p = std::make_shared<Pad>(s, low, high);
  return {{array(p->output_shapes(inputs)[0], inputs[0].dtype(), p, inputs)}, {axes[0]}};
}

// ---- Arange ----

void Arange::eval_cpu(const Arrays&, Arrays& outputs) {
  array& out = outputs[0];
  allocate(out);
  dispatch_all_types(out.dtype(), [&](auto type) {
    using T = MLX_GET_TYPE(type);
    T* o = out.data<T>();
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      int64_t start = static_cast<int64_t>(steps_.start);
      int64_t step = static_cast<int64_t>(steps_.step);
      for (int64_t i = 0; i < steps_.size; ++i) o[i] = static_cast<T>(start + i * step);
    } else {
      // In double: each value is rounded once.
      for (int64_t i = 0; i < steps_.size; ++i)
        o[i] = static_cast<T>(steps_.start + static_cast<double>(i) * steps_.step);
    }
  });
}

}  // namespace mlx::core
