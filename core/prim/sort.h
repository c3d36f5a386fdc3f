// core/prim/sort.h: primitives that order elements along an axis, and look them up in that order.
//
// NaN comes after everything else. Complex numbers are ordered by real part, then imaginary part;
// one with a NaN part counts as NaN. Positions are uint32.
#pragma once

#include <tuple>
#include <vector>

#include "core/prim/prim.h"

namespace mlx::core {

/** What the primitives of this file share: one input, one output, one axis of it. */
template <class Derived>
class AxisPrim : public Prim<Derived> {
 public:
  AxisPrim(Stream stream, int axis) : Prim<Derived>(stream), axis_(axis) {}
  int axis() const { return axis_; }
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }

 protected:
  int axis_;
};

class Sort final : public AxisPrim<Sort> {
 public:
  using AxisPrim::AxisPrim;
  static constexpr const char* kName = "Sort";
  auto fields() const { return std::tie(axis_); }

  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>&,
                                                       const std::vector<int>&) override;
};

/** Stable: equal elements keep their order. */
class ArgSort final : public AxisPrim<ArgSort> {
 public:
  using AxisPrim::AxisPrim;
  static constexpr const char* kName = "ArgSort";
  auto fields() const { return std::tie(axis_); }
  bool stops_gradient() const override { return true; }

  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>&,
                                                       const std::vector<int>&) override;
};

/** The kth element is where sorting would put it; smaller ones are before it, in any order. */
class Partition final : public AxisPrim<Partition> {
 public:
  static constexpr const char* kName = "Partition";
  static constexpr bool kFromShapes = true;
  Partition(Stream stream, int kth, int axis) : AxisPrim(stream, axis), kth_(kth) {}
  auto fields() const { return std::tie(kth_, axis_); }
  int kth() const { return kth_; }

  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>&,
                                                       const std::vector<int>&) override;

 private:
  int kth_;
};

/** Where Partition takes its elements from, in the same order. */
class ArgPartition final : public AxisPrim<ArgPartition> {
 public:
  static constexpr const char* kName = "ArgPartition";
  static constexpr bool kFromShapes = true;
  ArgPartition(Stream stream, int kth, int axis) : AxisPrim(stream, axis), kth_(kth) {}
  auto fields() const { return std::tie(kth_, axis_); }
  bool stops_gradient() const override { return true; }
  int kth() const { return kth_; }

  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>&,
                                                       const std::vector<int>&) override;

 private:
  int kth_;
};

/** The first position of the least or greatest element; the first NaN if there is one. The axis
 * stays, with size 1. */
class ArgReduce final : public AxisPrim<ArgReduce> {
 public:
  enum ReduceType { ArgMin, ArgMax };
  static constexpr const char* kName = "ArgReduce";
  ArgReduce(Stream stream, ReduceType reduce_type, int axis)
      : AxisPrim(stream, axis), reduce_type_(reduce_type) {}
  auto fields() const { return std::tie(reduce_type_, axis_); }
  bool stops_gradient() const override { return true; }
  ReduceType reduce_type() const { return reduce_type_; }

  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>&,
                                                       const std::vector<int>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  ReduceType reduce_type_;
};

/**
 * Inputs: sequences of shape (batch..., n), sorted, and values of shape (batch..., any...). For
 * each value the number of elements of its sequence that are less (or, if right, not greater).
 */
class SearchSorted final : public Prim<SearchSorted> {
 public:
  static constexpr const char* kName = "SearchSorted";
  SearchSorted(Stream stream, bool right) : Prim(stream), right_(right) {}
  auto fields() const { return std::tie(right_); }
  bool stops_gradient() const override { return true; }
  bool right() const { return right_; }

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
  bool right_;
};

}  // namespace mlx::core
