// core/run.h: what running one task takes, for plans that are used once and for those kept.
#pragma once

#include <chrono>
#include <vector>

#include "core/tape.h"
#include "mlx/array.h"

namespace mlx::core {

/** Blocks until a is available; rethrows the error if it could not be computed. */
void wait_for(const array& a);

/**
 * Gives outs memory and runs the tape on device. donatable(k) tells whether nothing but this run
 * will look at operands[k] again, so that an output may take its memory. Does not set the status of
 * outs.
 */
template <class Donatable>
void run_tape(const Tape& tape, const Shape& shape, const std::vector<array>& operands,
              std::vector<array>& outs, Device device, Donatable donatable);

/** Has primitive compute outs on its device. May write over inputs that nobody else can see. */
void run_primitive(Primitive& primitive, const std::vector<array>& inputs,
                   std::vector<array>& outs);

/** Lets Ctrl-C stop an evaluation between tasks: tick() throws if it has been pressed. */
class Interrupts {
 public:
  /** A check that is off never throws: off the thread that called eval(). */
  explicit Interrupts(bool on);
  void tick();

 private:
  using Clock = std::chrono::steady_clock;
  bool on_;
  size_t ticks_ = 0;
  Clock::time_point last_;
};

// ---- implementation

namespace detail {
/** Strides the outputs of a tape take: those all its full-size inputs share if dense, else null. */
const array* layout_source(const Shape& shape, const std::vector<array>& operands);
/** Gives out memory that nothing else uses. */
void allocate_as(array& out, const Shape& shape, const Strides& layout);
bool may_take(const array& in, const array& out, const Shape& shape, const Strides& layout);
void launch_tape(const Tape& tape, const Shape& shape, const std::vector<array>& operands,
                 std::vector<array>& outs);
void allocate_result(array& out);
bool ran_on_gpu(const Tape& tape, const Shape& shape, const std::vector<array>& operands,
                std::vector<array>& outs, Device device);
}  // namespace detail

template <class Donatable>
void run_tape(const Tape& tape, const Shape& shape, const std::vector<array>& operands,
              std::vector<array>& outs, Device device, Donatable donatable) {
  if (device.type == Device::gpu && detail::ran_on_gpu(tape, shape, operands, outs, device)) return;
  const array* source = tape.reduce ? nullptr : detail::layout_source(shape, operands);
  const Strides layout = source ? source->strides() : row_major_strides(shape);
  uint32_t given = 0;  // operands whose memory is taken; Tape::kMaxInputs of them at most, and some
  for (size_t i = 0; i < outs.size(); ++i) {
    array& out = outs[i];
    if (i == tape.outputs.size()) {
      detail::allocate_result(out);
      continue;
    }
    bool donated = false;
    for (size_t k = 0; k < operands.size() && k < 32 && !donated; ++k) {
      if (given >> k & 1 || !detail::may_take(operands[k], out, shape, layout) || !donatable(k))
        continue;
      out.copy_shared_buffer(operands[k]);
      given |= 1u << k;
      donated = true;
    }
    if (!donated) detail::allocate_as(out, shape, layout);
  }
  detail::launch_tape(tape, shape, operands, outs);
}

}  // namespace mlx::core
