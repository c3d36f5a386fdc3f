// core/distributed/primitives.cpp: operations of a group of one.
#include "mlx/distributed/primitives.h"

#include <stdexcept>
#include <string>

namespace mlx::core::distributed {

void DistPrimitive::check_alone() const {
  if (int size = group_.size(); size != 1) {
    throw std::runtime_error(std::string("[") + name() + "] No way to reach the " +
                             std::to_string(size - 1) + " other processes of this group.");
  }
}

void DistPrimitive::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  check_alone();
  outputs[0].copy_shared_buffer(inputs[0]);
}

void DistPrimitive::eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  eval_cpu(inputs, outputs);
}

std::vector<array> DistPrimitive::jvp(const std::vector<array>&, const std::vector<array>& tangents,
                                      const std::vector<int>&) {
  check_alone();
  return tangents;
}

std::vector<array> DistPrimitive::vjp(const std::vector<array>&,
                                      const std::vector<array>& cotangents, const std::vector<int>&,
                                      const std::vector<array>&) {
  check_alone();
  return cotangents;
}

std::pair<std::vector<array>, std::vector<int>> DistPrimitive::vmap(
    const std::vector<array>& inputs, const std::vector<int>& axes) {
  check_alone();
  return {inputs, axes};
}

std::vector<Shape> DistPrimitive::output_shapes(const std::vector<array>& inputs) {
  check_alone();
  return {inputs.at(0).shape()};
}

bool AllReduce::is_equivalent(const Primitive& other) const {
  auto* o = dynamic_cast<const AllReduce*>(&other);
  return o && o->reduce_type_ == reduce_type_ && o->group().raw_group() == group().raw_group();
}

bool AllGather::is_equivalent(const Primitive& other) const {
  auto* o = dynamic_cast<const AllGather*>(&other);
  return o && o->group().raw_group() == group().raw_group();
}

bool ReduceScatter::is_equivalent(const Primitive& other) const {
  auto* o = dynamic_cast<const ReduceScatter*>(&other);
  return o && o->reduce_type_ == reduce_type_ && o->group().raw_group() == group().raw_group();
}

void Send::eval_cpu(const std::vector<array>&, std::vector<array>&) {
  throw std::runtime_error("[Send] No way to reach rank " + std::to_string(dst_) +
                           " of this group.");
}

void Recv::eval_cpu(const std::vector<array>&, std::vector<array>&) {
  throw std::runtime_error("[Recv] No way to reach rank " + std::to_string(src_) +
                           " of this group.");
}

}  // namespace mlx::core::distributed
