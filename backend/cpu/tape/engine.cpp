// backend/cpu/tape/engine.cpp: runs tapes over blocks that stay in cache, split over the pool.
#include <algorithm>

#include "backend/cpu/parallel.h"
#include "backend/cpu/tape/program.h"
#include "backend/cpu/tape/reduce.h"
#include "backend/cpu/tape/transpose.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kChunk = 32 * 1024;  // elements that one thread takes at a time

void run_map(const Program& program, const Space& space) {
  bool linear = true;
  for (const auto& lane : space.lanes) linear &= lane.linear || lane.scalar;
  // Long rows are cut at their ends, so that tiles can be read in place; short ones are packed.
  int64_t row = !linear && space.inner() >= 128 ? space.inner() : space.size;
  auto work = [&](int64_t begin, int64_t end) {
    auto context = program.context(end - begin);
    for (int64_t i = begin; i < end;) {
      int64_t n = std::min({program.tile(), end - i, row - i % row});
      program.run(context, i, n);
      i += n;
    }
  };
  if (space.size <= kChunk) return work(0, space.size);
  parallel_range(space.size, kChunk, work);
}

void run_tape(const Tape& tape, const Shape& shape, const std::vector<TapeOperand>& operands) {
  std::vector<int> itemsizes;
  itemsizes.reserve(operands.size());
  size_t n_inputs = tape.inputs.size();
  for (auto d : tape.inputs) itemsizes.push_back(dtype_of(d).size());
  for (auto v : tape.outputs) {
    itemsizes.push_back(
        dtype_of(v < n_inputs ? tape.inputs[v] : tape.instrs[v - n_inputs].out).size());
  }
  if (tape.reduce) itemsizes.push_back(dtype_of(tape.reduce->out).size());

  // Memory order follows the first output, or what is reduced.
  size_t order_by = n_inputs;
  if (tape.outputs.empty()) {
    order_by = 0;
    auto walked = [&](size_t k) {
      return std::any_of(operands[k].strides.begin(), operands[k].strides.end(),
                         [](int64_t s) { return s != 0; });
    };
    while (order_by + 1 < n_inputs && !walked(order_by)) ++order_by;
  }
  Space space(shape, operands, itemsizes, order_by);
  if (tape.reduce) return run_reduce(tape, space);
  if (space.size == 0) return;
  if (tape.instrs.empty() && tape.outputs.size() == 1 && try_transpose(space)) return;
  Program program(tape, space);
  run_map(program, space);
}

const bool registered = [] {
  register_tape_runner(Device::cpu, &run_tape);
  return true;
}();

}  // namespace

}  // namespace mlx::core::cpu
