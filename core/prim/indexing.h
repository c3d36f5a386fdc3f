// core/prim/indexing.h: reading and writing at positions that arrays hold.
//
// Index arrays have any integer dtype. A negative index counts from the end of its axis; one
// outside raises std::out_of_range when the node is evaluated. Where positions repeat, updates are
// applied in the row-major order of the index array, so results are the same for any number of
// threads.
#pragma once

#include <tuple>
#include <vector>

#include "core/prim/prim.h"

namespace mlx::core {

/** Inputs: src, one index array for each of axes, all of one shape. Output: indices' shape, then
 * slice_sizes. */
class Gather final : public Prim<Gather> {
 public:
  static constexpr const char* kName = "Gather";
  Gather(Stream stream, std::vector<int> axes, Shape slice_sizes)
      : Prim(stream), axes_(std::move(axes)), slice_sizes_(std::move(slice_sizes)) {}
  auto fields() const { return std::tie(axes_, slice_sizes_); }
  bool fits(const std::vector<array>& inputs) const override;
  const std::vector<int>& axes() const { return axes_; }
  const Shape& slice_sizes() const { return slice_sizes_; }

  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>&,
                                                       const std::vector<int>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  std::vector<int> axes_;
  Shape slice_sizes_;
};

/** Inputs: src, index arrays, updates of shape indices' shape, then one size for each axis of src.
 */
class Scatter final : public Prim<Scatter> {
 public:
  enum ReduceType { Max, Min, Sum, Prod, None };
  static constexpr const char* kName = "Scatter";
  Scatter(Stream stream, ReduceType reduce_type, const std::vector<int>& axes)
      : Prim(stream), reduce_type_(reduce_type), axes_(axes) {}
  auto fields() const { return std::tie(reduce_type_, axes_); }
  ReduceType reduce_type() const { return reduce_type_; }
  const std::vector<int>& axes() const { return axes_; }

  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>&,
                                                       const std::vector<int>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }

 private:
  ReduceType reduce_type_;
  std::vector<int> axes_;
};

/** out[..., j, ...] = src[..., indices[..., j, ...], ...]; both broadcast to one shape but for
 * axis. */
class GatherAxis final : public Prim<GatherAxis> {
 public:
  static constexpr const char* kName = "GatherAxis";
  GatherAxis(Stream stream, int axis) : Prim(stream), axis_(axis) {}
  auto fields() const { return std::tie(axis_); }
  int axis() const { return axis_; }

  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>&,
                                                       const std::vector<int>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[1].shape()};
  }

 private:
  int axis_;
};

/** Inputs: src, indices, updates of the shape of indices, which is src's but for axis. */
class ScatterAxis final : public Prim<ScatterAxis> {
 public:
  enum ReduceType { Sum, None };
  static constexpr const char* kName = "ScatterAxis";
  ScatterAxis(Stream stream, ReduceType reduce_type, int axis)
      : Prim(stream), reduce_type_(reduce_type), axis_(axis) {}
  auto fields() const { return std::tie(reduce_type_, axis_); }
  ReduceType reduce_type() const { return reduce_type_; }
  int axis() const { return axis_; }

  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>&,
                                                       const std::vector<int>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }

 private:
  ReduceType reduce_type_;
  int axis_;
};

/** Inputs: a, a mask of a's shape, src (1-D). The k-th true element of mask takes src[k]. */
class MaskedScatter final : public Prim<MaskedScatter> {
 public:
  static constexpr const char* kName = "MaskedScatter";
  explicit MaskedScatter(Stream stream) : Prim(stream) {}
  std::tuple<> fields() const { return {}; }

  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>&,
                                                       const std::vector<int>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }
};

/** Throws: op has no derivative with respect to its indices. */
[[noreturn]] void throw_index_derivative(const char* op, const char* kind);

/** Index arrays of a batch of size n, where axes[first + i] is the batch axis of inputs[first + i]:
 * with a leading batch axis of size n or 1, broadcast together. */
std::vector<array> batched_indices(const std::vector<array>& inputs, const std::vector<int>& axes,
                                   size_t first, size_t count, Stream s);

/** x with its batch axis first, broadcast to n there if it has none (axis < 0). */
array batch_first(const array& x, int axis, int n, Stream s);

}  // namespace mlx::core
