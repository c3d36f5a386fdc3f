// core/prim/slice.h: parts of an array, read and written.
#pragma once

#include <optional>
#include <vector>

#include "core/prim/prim.h"
#include "core/tape.h"

namespace mlx::core {

/** Elements start, start + stride, ... of each axis, up to stop; strides may be negative. */
class Slice final : public ViewPrim<Slice> {
 public:
  Slice(Stream s, Shape start, Shape stop, Shape strides)
      : ViewPrim(s),
        start_(std::move(start)),
        stop_(std::move(stop)),
        strides_(std::move(strides)) {}
  static constexpr const char* kName = "Slice";
  auto fields() const { return std::tie(start_, stop_, strides_); }
  bool fits(const std::vector<array>& inputs) const override;
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
  Shape start_, stop_, strides_;
};

enum class UpdateMode : uint8_t { Set, Add, Prod, Max, Min };

/** Inputs source and update: the source with a part replaced by, or combined with, the update. */
class SliceUpdate final : public Prim<SliceUpdate> {
 public:
  enum ReduceType { Max, Min, Sum, Prod, None };
  SliceUpdate(Stream s, UpdateMode mode, Shape start, Shape stop, Shape strides)
      : Prim(s),
        mode_(mode),
        start_(std::move(start)),
        stop_(std::move(stop)),
        strides_(std::move(strides)) {}
  SliceUpdate(Stream s, ReduceType type, Shape start, Shape stop, Shape strides)
      : SliceUpdate(s, mode_of(type), std::move(start), std::move(stop), std::move(strides)) {}
  static constexpr const char* kName = "SliceUpdate";
  auto fields() const { return std::tie(mode_, start_, stop_, strides_); }
  std::tuple<ReduceType, Shape, Shape, Shape> state() const {
    return {type_of(mode_), start_, stop_, strides_};
  }
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
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }

 private:
  static UpdateMode mode_of(ReduceType type) {
    constexpr UpdateMode modes[] = {UpdateMode::Max, UpdateMode::Min, UpdateMode::Add,
                                    UpdateMode::Prod, UpdateMode::Set};
    return modes[type];
  }
  static ReduceType type_of(UpdateMode mode) {
    constexpr ReduceType types[] = {None, Sum, Prod, Max, Min};
    return types[static_cast<int>(mode)];
  }

  UpdateMode mode_;
  Shape start_, stop_, strides_;
};

/** Inputs a and a vector of starts, one for each of axes: a part of fixed size. */
class DynamicSlice final : public Prim<DynamicSlice> {
 public:
  DynamicSlice(Stream s, std::vector<int> axes, Shape size)
      : Prim(s), axes_(std::move(axes)), size_(std::move(size)) {}
  static constexpr const char* kName = "DynamicSlice";
  auto fields() const { return std::tie(axes_, size_); }
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
  std::vector<Shape> output_shapes(const std::vector<array>&) override { return {size_}; }

 private:
  std::vector<int> axes_;
  Shape size_;
};

/** Inputs source, update, starts: the source with a part replaced. */
class DynamicSliceUpdate final : public Prim<DynamicSliceUpdate> {
 public:
  DynamicSliceUpdate(Stream s, std::vector<int> axes) : Prim(s), axes_(std::move(axes)) {}
  static constexpr const char* kName = "DynamicSliceUpdate";
  auto fields() const { return std::tie(axes_); }
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
    return {inputs[0].shape()};
  }

 private:
  std::vector<int> axes_;
};

}  // namespace mlx::core
