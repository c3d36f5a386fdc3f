// core/prim/elementwise.h: the primitive of every row of the elementwise table.
#pragma once

#include "core/elementwise.h"
#include "core/prim/prim.h"
#include "mlx/utils.h"

namespace mlx::core {

/**
 * Inputs share a dtype (of Select: the second and third; the first is bool), and each has either
 * the output's shape or no dimensions at all. Rows that MLX has a class for are of a class derived
 * from this one, which adds nothing but its name: see core/prim/elementwise_rows.h.
 */
class Elementwise : public UnaryPrimitive, public Fielded {
 public:
  Elementwise(Stream s, EwOp op) : UnaryPrimitive(s), op_(op) {}
  EwOp op() const { return op_; }
  const Elementwise* as_elementwise() const final { return this; }
  bool only_computes() const final { return true; }

  /** One shared primitive for each op and stream. */
  static std::shared_ptr<Primitive> get(EwOp op, Stream s);

  const char* name() const override { return info(op_).name; }
  // Stored by the row's name: its number changes with the table.
  const char* field_name() const override { return "Elementwise"; }
  void write_fields(FieldLeaves& leaves) const override { leaves.emplace_back(info(op_).name); }
  bool has_shape_fields() const override { return false; }
  bool is_equivalent(const Primitive& other) const override;
  using UnaryPrimitive::eval_cpu;
  using UnaryPrimitive::eval_gpu;
  void eval_cpu(const std::vector<array>& inputs, array& out) override;
  void eval_gpu(const std::vector<array>& inputs, array& out) override;
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  EwOp op_;
};

/** Whether tapes are made of such: an operation or a cast, element by element. */
inline bool is_map(const Primitive& p) { return p.as_elementwise() || p.is_cast(); }

/** A node for op over arguments of any dtypes and shapes: converts, broadcasts, checks. */
array elementwise(EwOp op, const std::vector<array>& args, StreamOrDevice s);

/**
 * Brings batched arguments of an elementwise-like op in line: the batch axis comes first in each,
 * and dimensions of size 1 follow it where an argument has fewer. Returns the axis, or -1.
 */
int align_batch(std::vector<array>& inputs, const std::vector<int>& axes, Stream s);

}  // namespace mlx::core
