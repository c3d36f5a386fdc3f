// include/mlx/primitive.h: an operation of the graph. Subclass Primitive for an op of your own.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mlx/array.h"
#include "mlx/device.h"
#include "mlx/quantization.h"
#include "mlx/stream.h"

namespace mlx::core {

class Elementwise;

/**
 * An operation: how its outputs are computed on each device, and how it is differentiated and
 * batched. Parameters are fields of the subclass; inputs and outputs belong to the array nodes.
 */
class Primitive {
 public:
  explicit Primitive(Stream stream) : stream_(stream) {}

  const Device& device() { return stream_.device; }
  const Stream& stream() { return stream_; }

  /**
   * Computes outputs from inputs, which are available. Called in an order that respects the graph,
   * possibly on another thread than the one that made the node. Must give each output its memory
   * with set_data or copy_shared_buffer; may write over an input whose is_donatable() holds.
   */
  virtual void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) = 0;
  virtual void eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) = 0;

  /** Tangents of the outputs from tangents of the inputs at positions argnums. */
  virtual std::vector<array> jvp(const std::vector<array>& primals,
                                 const std::vector<array>& tangents,
                                 const std::vector<int>& argnums);
  /** Cotangents of the inputs at positions argnums from cotangents of all outputs. */
  virtual std::vector<array> vjp(const std::vector<array>& primals,
                                 const std::vector<array>& cotangents,
                                 const std::vector<int>& argnums,
                                 const std::vector<array>& outputs);
  /** The op over inputs that have an extra axis where axes[i] >= 0, and the extra axes of outputs.
   */
  virtual std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                               const std::vector<int>& axes);
  virtual const char* name() const = 0;
  /** True if other computes the same from the same inputs; compile merges such nodes. */
  virtual bool is_equivalent(const Primitive& other) const { return this == &other; }
  /** Shapes of the outputs for inputs of other shapes than those it was made with. */
  virtual std::vector<Shape> output_shapes(const std::vector<array>& inputs);

  /** True if derivatives do not look behind this op (its result counts as a constant). */
  virtual bool stops_gradient() const { return false; }
  /** This, if it is a row of the elementwise table: those are fused. */
  virtual const Elementwise* as_elementwise() const { return nullptr; }
  /** True if eval_cpu does nothing but compute: it asks for no other array and calls no one else's
   *  code. */
  virtual bool only_computes() const { return false; }
  /** True if it only converts elements to another dtype. */
  virtual bool is_cast() const { return false; }

  virtual ~Primitive() = default;
  Primitive(const Primitive& other) = delete;
  Primitive(Primitive&& other) = delete;
  Primitive& operator=(const Primitive& other) = delete;
  Primitive& operator=(Primitive&& other) = delete;

 private:
  Stream stream_;
};

/** A primitive with one output. */
class UnaryPrimitive : public Primitive {
 public:
  explicit UnaryPrimitive(Stream stream) : Primitive(stream) {}

  virtual void eval_cpu(const std::vector<array>& inputs, array& output) = 0;
  virtual void eval_gpu(const std::vector<array>& inputs, array& output) = 0;

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    eval_cpu(inputs, outputs[0]);
  }
  void eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    eval_gpu(inputs, outputs[0]);
  }
};

}  // namespace mlx::core
