// include/mlx/distributed/primitives.h: what processes do together, as operations of the graph.
// In a group of one the results are the inputs; nothing reaches other processes yet.
#pragma once

#include <utility>
#include <vector>

#include "mlx/distributed/distributed.h"
#include "mlx/primitive.h"

namespace mlx::core::distributed {

class DistPrimitive : public Primitive {
 public:
  DistPrimitive(Stream stream, Group group) : Primitive(stream), group_(std::move(group)) {}
  const Group& group() const { return group_; }

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
  void eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 protected:
  /** Throws unless this process is alone. */
  void check_alone() const;

 private:
  Group group_;
};

class AllReduce final : public DistPrimitive {
 public:
  enum ReduceType { And, Or, Sum, Prod, Min, Max };
  AllReduce(Stream stream, Group group, ReduceType reduce_type)
      : DistPrimitive(stream, std::move(group)), reduce_type_(reduce_type) {}
  const char* name() const override { return "AllReduce"; }
  bool is_equivalent(const Primitive& other) const override;

 private:
  ReduceType reduce_type_;
};

class AllGather final : public DistPrimitive {
 public:
  using DistPrimitive::DistPrimitive;
  const char* name() const override { return "AllGather"; }
  bool is_equivalent(const Primitive& other) const override;
};

class Send final : public DistPrimitive {
 public:
  Send(Stream stream, Group group, int dst) : DistPrimitive(stream, std::move(group)), dst_(dst) {}
  const char* name() const override { return "Send"; }
  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;

 private:
  int dst_;
};

class Recv final : public DistPrimitive {
 public:
  Recv(Stream stream, Group group, int src) : DistPrimitive(stream, std::move(group)), src_(src) {}
  const char* name() const override { return "Recv"; }
  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;

 private:
  int src_;
};

class ReduceScatter final : public DistPrimitive {
 public:
  enum ReduceType { Sum, Min, Max };
  ReduceScatter(Stream stream, Group group, ReduceType reduce_type)
      : DistPrimitive(stream, std::move(group)), reduce_type_(reduce_type) {}
  const char* name() const override { return "ReduceScatter"; }
  bool is_equivalent(const Primitive& other) const override;

 private:
  ReduceType reduce_type_;
};

}  // namespace mlx::core::distributed
