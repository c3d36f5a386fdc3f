// core/tape.h: a fused program of elementwise ops, casts and at most one reduction at its end.
// The evaluator builds tapes; a backend runs them over cache-sized blocks. A tape depends on ops
// and dtypes only: shapes and strides come with each run.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/elementwise.h"
#include "mlx/array.h"

namespace mlx::core {

enum class ReduceOp : uint8_t { And, Or, Sum, Prod, Min, Max };

/** Values are numbered: inputs first, then the result of each instruction in order. */
struct TapeInstr {
  EwOp op;        // a row of elementwise.def, or EwOp::Cast
  Dtype::Val in;  // dtype of the arguments (Select: of its second and third; the first is bool)
  Dtype::Val out;
  uint16_t args[3];  // value numbers; unused ones are 0
};

struct TapeReduce {
  ReduceOp op;
  uint16_t value;  // what is reduced
  Dtype::Val in;   // dtype of value
  Dtype::Val out;  // dtype of the result: in, or bool for And and Or, or a wider integer
};

struct Tape {
  static constexpr int kMaxInputs = 16;
  static constexpr int kMaxInstrs = 64;
  std::vector<Dtype::Val> inputs;
  std::vector<TapeInstr> instrs;
  std::vector<uint16_t> outputs;     // values to store, elementwise
  std::optional<TapeReduce> reduce;  // its result is the operand after those of outputs
};

/** Memory of an input or output of a run: element 0 and strides in elements over the run's shape.
 */
struct TapeOperand {
  void* data;
  Strides strides;  // 0 along broadcast axes; for the reduction's result: 0 along reduced axes
};

/**
 * Runs the tape over shape (any rank, any size, 0 included). operands are the inputs, then the
 * outputs, then the reduction's result if there is one. Outputs do not overlap each other; an
 * output may be the very memory of an input of the same itemsize and strides (then each element is
 * read before it is written). A reduction over no elements stores the identity; Min and Max of
 * nothing are refused before this. The result's bits do not depend on the number of threads.
 */
using RunTape = void (*)(const Tape& tape, const Shape& shape,
                         const std::vector<TapeOperand>& operands);

/** Registered by each backend for its device. */
void register_tape_runner(Device::DeviceType device, RunTape run);
RunTape tape_runner(Device::DeviceType device);

/** Memory of an argument of a single instruction: packed elements that are taken again and again,
 *  element i being that at i % period. */
struct PackedOperand {
  const void* data;
  int64_t period;
};

/** out[i] = instr.op(operands...[i]) for i < n, on this thread. instr.args don't matter. */
using RunPacked = void (*)(const TapeInstr& instr, int64_t n, const PackedOperand* operands,
                           void* out);
void register_packed_runner(RunPacked run);
RunPacked packed_runner();

}  // namespace mlx::core
