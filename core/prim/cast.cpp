// core/prim/cast.cpp
#include "core/prim/cast.h"

#include "core/copy.h"
#include "mlx/ops.h"

namespace mlx::core {

void AsType::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  allocate(outputs[0]);
  copy_into(inputs[0], outputs[0]);
}

void AsType::eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  eval_cpu(inputs, outputs);
}

std::vector<array> AsType::jvp(const std::vector<array>&, const std::vector<array>& tangents,
                               const std::vector<int>&) {
  return {astype(tangents[0], dtype_, stream())};
}

std::vector<array> AsType::vjp(const std::vector<array>& primals,
                               const std::vector<array>& cotangents, const std::vector<int>&,
                               const std::vector<array>&) {
  return {astype(cotangents[0], primals[0].dtype(), stream())};
}

std::pair<std::vector<array>, std::vector<int>> AsType::vmap(const std::vector<array>& inputs,
                                                             const std::vector<int>& axes) {
  return {{astype(inputs[0], dtype_, stream())}, axes};
}

array astype(array a, Dtype dtype, StreamOrDevice s) {
  if (a.dtype() == dtype) return a;
  // A scalar constant is converted at once: graphs are full of them.
  if (a.ndim() == 0 && a.is_available() && !a.is_tracer() && a.data_shared_ptr()) {
    array out(Shape{}, dtype, nullptr, {});
    allocate(out);
    copy_into(a, out);
    out.set_status(array::available);
    return out;
  }
  Shape shape = a.shape();
  return array(std::move(shape), dtype, std::make_shared<AsType>(to_stream(s), dtype),
               {std::move(a)});
}

// ---- View ----

void View::view(const array& in, array& out) const {
  size_t from = in.itemsize(), to = out.itemsize();
  if (from == to) {
    out.copy_shared_buffer(in);
    return;
  }
  // The bytes of the last axis must lie together.
  bool together = in.ndim() > 0 && in.strides().back() == 1;
  for (size_t i = 0; together && i + 1 < in.ndim(); ++i) {
    together = in.strides()[i] * static_cast<int64_t>(from) % static_cast<int64_t>(to) == 0;
  }
  array src = in.ndim() == 0 || together ? in : row_contiguous(in);
  Strides strides = src.strides();
  for (size_t i = 0; i + 1 < strides.size(); ++i) {
    strides[i] = strides[i] * static_cast<int64_t>(from) / static_cast<int64_t>(to);
  }
  size_t span;
  auto flags = layout_flags(out.shape(), strides, span);
  out.copy_shared_buffer(src, strides, flags, span);
}

std::vector<Shape> View::output_shapes(const std::vector<array>& inputs) {
  const array& in = inputs[0];
  Shape shape = in.shape();
  size_t from = in.itemsize(), to = dtype_.size();
  if (from == to) return {shape};
  if (shape.empty()) {
    throw std::invalid_argument(std::string("[view] Changing the type from ") +
                                dtype_to_string(in.dtype()) + " to " + dtype_to_string(dtype_) +
                                " is not allowed for a scalar.");
  }
  size_t bytes = shape.back() * from;
  if (bytes % to != 0) {
    throw std::invalid_argument(
        std::string("[view] When viewing as a larger dtype, the size in bytes of the last axis "
                    "must be a multiple of the requested type size, got shape ") +
        to_string(shape) + ".");
  }
  shape.back() = static_cast<ShapeElem>(bytes / to);
  return {shape};
}

std::vector<array> View::jvp(const std::vector<array>&, const std::vector<array>& tangents,
                             const std::vector<int>&) {
  return {mlx::core::view(tangents[0], dtype_, stream())};
}

std::vector<array> View::vjp(const std::vector<array>& primals,
                             const std::vector<array>& cotangents, const std::vector<int>&,
                             const std::vector<array>&) {
  return {mlx::core::view(cotangents[0], primals[0].dtype(), stream())};
}

std::pair<std::vector<array>, std::vector<int>> View::vmap(const std::vector<array>& inputs,
                                                           const std::vector<int>& axes) {
  array in = inputs[0];
  int axis = axes[0];
  // The last axis of an item must stay last.
  if (axis >= 0 && axis == static_cast<int>(in.ndim()) - 1) {
    in = moveaxis(in, axis, 0, stream());
    axis = 0;
  }
  return {{mlx::core::view(in, dtype_, stream())}, {axis}};
}

array view(const array& a, const Dtype& dtype, StreamOrDevice s) {
  if (a.dtype() == dtype) return a;
  auto p = std::make_shared<View>(to_stream(s), dtype);
  return array(p->output_shapes({a})[0], dtype, p, {a});
}

}  // namespace mlx::core
