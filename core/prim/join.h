// core/prim/join.h: several arrays as one, one as several, one with a border.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "core/prim/prim.h"

namespace mlx::core {

class Concatenate final : public Prim<Concatenate> {
 public:
  Concatenate(Stream s, int axis) : Prim(s), axis_(axis) {}
  static constexpr const char* kName = "Concatenate";
  auto fields() const { return std::tie(axis_); }
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
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  int axis_;
};

/** Views between indices along an axis: one output more than indices. */
class Split final : public Prim<Split> {
 public:
  Split(Stream s, Shape indices, int axis) : Prim(s), indices_(std::move(indices)), axis_(axis) {}
  static constexpr const char* kName = "Split";
  auto fields() const { return std::tie(indices_, axis_); }
  bool fits(const std::vector<array>& inputs) const override;
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
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  Shape indices_;
  int axis_;
};

/** Inputs a and a scalar: a inside a border of that value. */
class Pad final : public Prim<Pad> {
 public:
  Pad(Stream s, Shape low, Shape high) : Prim(s), low_(std::move(low)), high_(std::move(high)) {}
  static constexpr const char* kName = "Pad";
  auto fields() const { return std::tie(low_, high_); }
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
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  Shape low_, high_;
};

struct ArangeSteps {
  double start, step;
  int64_t size;
  bool operator==(const ArangeSteps&) const = default;
  auto fields() const { return std::tie(start, step, size); }
};

/** start, start + step, ... */
class Arange final : public Prim<Arange> {
 public:
  Arange(Stream s, ArangeSteps steps) : Prim(s), steps_(steps) {}
  Arange(Stream s, double start, double stop, double step)
      : Arange(s, {start, step, static_cast<int64_t>(std::ceil((stop - start) / step))}) {}
  static constexpr const char* kName = "Arange";
  static constexpr bool kFromShapes = true;
  auto fields() const { return std::tie(steps_); }
  /** start, stop, step. */
  std::tuple<double, double, double> state() const {
    return {steps_.start, steps_.start + steps_.step * static_cast<double>(steps_.size),
            steps_.step};
  }
  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
  void eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    eval_cpu(inputs, outputs);
  }
  std::vector<Shape> output_shapes(const std::vector<array>&) override {
    return {{static_cast<ShapeElem>(steps_.size)}};
  }

 private:
  ArangeSteps steps_;
};

}  // namespace mlx::core
