// core/prim/sort.cpp: derivatives and batching of the ordering primitives.
#include "core/prim/sort.h"

#include "core/prim/indexing.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

/** Tangents of results that are positions: no change. */
array no_tangent(const array& primal, const Shape& shape, Stream s) {
  return zeros(shape, primal.dtype(), s);
}

std::vector<array> zero_grads(const std::vector<array>& primals, const std::vector<int>& argnums,
                              Stream s) {
  std::vector<array> grads;
  for (int arg : argnums) grads.push_back(zeros_like(primals[arg], s));
  return grads;
}

/** The axis of an example, counted in the batch. */
int batched_axis(int axis, int batch_axis) {
  return axis + (batch_axis >= 0 && axis >= batch_axis);
}

}  // namespace

#define MLX_BATCHED(Class, call)                                                                \
  std::pair<std::vector<array>, std::vector<int>> Class::vmap(const std::vector<array>& inputs, \
                                                              const std::vector<int>& axes) {   \
    int axis = batched_axis(axis_, axes[0]);                                                    \
    return {{call}, axes};                                                                      \
  }

#define MLX_POSITIONS(Class)                                                                  \
  std::vector<array> Class::vjp(const std::vector<array>& primals, const std::vector<array>&, \
                                const std::vector<int>& argnums, const std::vector<array>&) { \
    return zero_grads(primals, argnums, stream());                                            \
  }                                                                                           \
  std::vector<array> Class::jvp(const std::vector<array>& primals, const std::vector<array>&, \
                                const std::vector<int>&) {                                    \
    return {no_tangent(primals[0], output_shapes(primals)[0], stream())};                     \
  }

std::vector<array> Sort::vjp(const std::vector<array>& primals,
                             const std::vector<array>& cotangents, const std::vector<int>&,
                             const std::vector<array>&) {
  array order = argsort(primals[0], axis_, stream());
  return {put_along_axis(zeros_like(primals[0], stream()), order, cotangents[0], axis_, stream())};
}
std::vector<array> Sort::jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                             const std::vector<int>&) {
  return {take_along_axis(tangents[0], argsort(primals[0], axis_, stream()), axis_, stream())};
}
MLX_BATCHED(Sort, sort(inputs[0], axis, stream()))

MLX_POSITIONS(ArgSort)
MLX_BATCHED(ArgSort, argsort(inputs[0], axis, stream()))

std::vector<array> Partition::vjp(const std::vector<array>& primals,
                                  const std::vector<array>& cotangents, const std::vector<int>&,
                                  const std::vector<array>&) {
  array order = argpartition(primals[0], kth_, axis_, stream());
  return {put_along_axis(zeros_like(primals[0], stream()), order, cotangents[0], axis_, stream())};
}
std::vector<array> Partition::jvp(const std::vector<array>& primals,
                                  const std::vector<array>& tangents, const std::vector<int>&) {
  return {take_along_axis(tangents[0], argpartition(primals[0], kth_, axis_, stream()), axis_,
                          stream())};
}
MLX_BATCHED(Partition, partition(inputs[0], kth_, axis, stream()))

MLX_POSITIONS(ArgPartition)
MLX_BATCHED(ArgPartition, argpartition(inputs[0], kth_, axis, stream()))

MLX_POSITIONS(ArgReduce)
MLX_BATCHED(ArgReduce, reduce_type_ == ArgMin ? argmin(inputs[0], axis, true, stream())
                                              : argmax(inputs[0], axis, true, stream()))
std::vector<Shape> ArgReduce::output_shapes(const std::vector<array>& inputs) {
  Shape shape = inputs[0].shape();
  shape[axis_] = 1;
  return {shape};
}

std::vector<array> SearchSorted::vjp(const std::vector<array>& primals, const std::vector<array>&,
                                     const std::vector<int>& argnums, const std::vector<array>&) {
  return zero_grads(primals, argnums, stream());
}
std::vector<array> SearchSorted::jvp(const std::vector<array>& primals, const std::vector<array>&,
                                     const std::vector<int>&) {
  return {no_tangent(primals[1], primals[1].shape(), stream())};
}
std::pair<std::vector<array>, std::vector<int>> SearchSorted::vmap(const std::vector<array>& inputs,
                                                                   const std::vector<int>& axes) {
  const array& sequence = inputs[0];
  array values = inputs[1];
  int out_axis = axes[1];
  std::vector<array> moved{sequence, values};
  if (axes[0] >= 0 || sequence.ndim() > 1) {
    int batch = axes[0] >= 0 ? sequence.shape(axes[0]) : values.shape(axes[1]);
    moved = {batch_first(sequence, axes[0], batch, stream()),
             batch_first(values, axes[1], batch, stream())};
    out_axis = 0;
  }
  Shape shape = moved[1].shape();
  return {{array(shape, uint32, std::make_shared<SearchSorted>(stream(), right_), moved)},
          {out_axis}};
}

#undef MLX_BATCHED
#undef MLX_POSITIONS

}  // namespace mlx::core
