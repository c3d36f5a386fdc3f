// core/prim/shape.h: primitives that look at the same values through another shape. All are views
// where strides allow it.
#pragma once

#include <optional>
#include <vector>

#include "core/prim/prim.h"

namespace mlx::core {

class Broadcast final : public ViewPrim<Broadcast> {
 public:
  Broadcast(Stream s, Shape shape, bool implicit = false)
      : ViewPrim(s), shape_(std::move(shape)), implicit_(implicit) {}
  static constexpr const char* kName = "Broadcast";
  auto fields() const { return std::tie(shape_); }
  const Shape& state() const { return shape_; }
  /** Made by an elementwise operation to bring its arguments to one shape: nobody chose it. */
  bool is_implicit() const { return implicit_; }
  static array implicit(const array& in, const Shape& shape, Stream s) {
    return array(shape, in.dtype(), std::make_shared<Broadcast>(s, shape, true), {in});
  }
  void view(const array& in, array& out) const;
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  Shape shape_;
  bool implicit_;
};

class Transpose final : public ViewPrim<Transpose> {
 public:
  Transpose(Stream s, std::vector<int> axes) : ViewPrim(s), axes_(std::move(axes)) {}
  static constexpr const char* kName = "Transpose";
  auto fields() const { return std::tie(axes_); }
  bool fits(const std::vector<array>& inputs) const override;
  const std::vector<int>& state() const { return axes_; }
  void view(const array& in, array& out) const;
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  std::vector<int> axes_;
};

/** An axis of a result: a number, the product of the input's axes first..last, or what is left. */
struct AxisRule {
  static AxisRule number(int n) { return {-1, n}; }
  static AxisRule rest() { return {-2, 0}; }
  static AxisRule product(int first, int last) { return {first, last}; }
  int first, last;
};
using ShapeRule = std::vector<AxisRule>;

/**
 * A view if the old strides can express the new shape, else a row-major copy. A rule, noted in
 * traces for any shape, tells how the shape follows from the input's.
 */
class Reshape final : public ViewPrim<Reshape> {
 public:
  Reshape(Stream s, Shape shape) : ViewPrim(s), shape_(std::move(shape)) {}
  Reshape(Stream s, Shape shape, std::optional<ShapeRule> rule)
      : ViewPrim(s), shape_(std::move(shape)), rule_(std::move(rule)) {}
  bool is_shape_generic() const override { return rule_.has_value(); }
  std::shared_ptr<Primitive> for_inputs(const std::vector<array>& inputs) override;
  static constexpr const char* kName = "Reshape";
  auto fields() const { return std::tie(shape_); }
  const Shape& state() const { return shape_; }
  void view(const array& in, array& out) const;
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>&) override { return {shape_}; }

 private:
  Shape shape_;
  std::optional<ShapeRule> rule_;
};

/** Strides and offset count elements of the row-major input. */
class AsStrided final : public ViewPrim<AsStrided> {
 public:
  AsStrided(Stream s, Shape shape, Strides strides, size_t offset)
      : ViewPrim(s), shape_(std::move(shape)), strides_(std::move(strides)), offset_(offset) {}
  static constexpr const char* kName = "AsStrided";
  auto fields() const { return std::tie(shape_, strides_, offset_); }
  bool fits(const std::vector<array>& inputs) const override;
  void view(const array& in, array& out) const;
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>&) override { return {shape_}; }

 private:
  Shape shape_;
  Strides strides_;
  size_t offset_;
};

/** The identity that ends in memory without gaps: itself if it has none. */
class Contiguous final : public ViewPrim<Contiguous> {
 public:
  Contiguous(Stream s, bool allow_col_major) : ViewPrim(s), allow_col_major_(allow_col_major) {}
  static constexpr const char* kName = "Contiguous";
  auto fields() const { return std::tie(allow_col_major_); }
  void view(const array& in, array& out) const;
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }

 private:
  bool allow_col_major_;
};

/** The identity through which no derivative flows. */
class StopGradient final : public ViewPrim<StopGradient> {
 public:
  using ViewPrim::ViewPrim;
  static constexpr const char* kName = "StopGradient";
  std::tuple<> fields() const { return {}; }
  bool stops_gradient() const override { return true; }
  void view(const array& in, array& out) const { out.copy_shared_buffer(in); }
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }
};

/** The first n inputs, once all inputs have been computed. */
class Depends final : public Prim<Depends> {
 public:
  using Prim::Prim;
  static constexpr const char* kName = "Depends";
  std::tuple<> fields() const { return {}; }
  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
  void eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    eval_cpu(inputs, outputs);
  }
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    std::vector<Shape> shapes;
    for (const auto& in : inputs) shapes.push_back(in.shape());
    return shapes;
  }
};

}  // namespace mlx::core
