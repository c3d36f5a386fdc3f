// core/prim/cast.h: conversion between dtypes.
#pragma once

#include "core/prim/prim.h"

namespace mlx::core {

/** Values converted to another dtype. Floats to integers truncate; complex to real drops imag. */
class AsType final : public Prim<AsType> {
 public:
  AsType(Stream s, Dtype dtype) : Prim(s), dtype_(dtype) {}
  static constexpr const char* kName = "AsType";
  auto fields() const { return std::tie(dtype_); }
  Dtype state() const { return dtype_; }
  bool only_computes() const override { return true; }
  bool is_cast() const override { return true; }

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
  void eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
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
  Dtype dtype_;
};

/** The same bytes read as another dtype; the last axis shrinks or grows with the item size. */
class View final : public ViewPrim<View> {
 public:
  View(Stream s, Dtype dtype) : ViewPrim(s), dtype_(dtype) {}
  static constexpr const char* kName = "View";
  auto fields() const { return std::tie(dtype_); }

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
  Dtype dtype_;
};

}  // namespace mlx::core
