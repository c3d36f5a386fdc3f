// backend/cpu/tape/engine.cpp: runs tapes over blocks that stay in cache, split over the pool.
#include <algorithm>
#include <cstring>
#include <optional>

#include "backend/cpu/ceil_div.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/tape/moves.h"
#include "backend/cpu/tape/program.h"
#include "backend/cpu/tape/reduce.h"
#include "backend/cpu/tape/transpose.h"
#include "mlx/allocator.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kChunk = 32 * 1024;  // elements that one thread takes at a time

/** Fewer where each takes long: what has an error is a polynomial, not an instruction. */
int64_t chunk_of(const Tape& tape) {
  int64_t cost = 2;  // of memory
  for (const auto& instr : tape.instrs)
    cost += instr.op != EwOp::Cast && info(instr.op).ulp >= 1 ? 8 : 1;
  return std::clamp<int64_t>(96 * 1024 / cost / 2048 * 2048, 8 * 1024, kChunk);
}

void run_map(const Program& program, const Space& space, int64_t chunk) {
  bool linear = true;
  for (const auto& lane : space.lanes) linear &= lane.linear || lane.scalar || lane.period > 0;
  // Long rows are cut at their ends, into pieces as equal as can be, so that tiles can be read in
  // place; short ones are packed, a few whole ones where more would not fit.
  int64_t row = space.size, tile = program.tile();
  const int64_t inner = space.inner();
  const bool by_row = !linear && inner >= tile / 2;
  if (program.in_place() && (linear || by_row)) tile *= 8;
  if (by_row) {
    row = inner;
    const int64_t pieces = (inner + tile - 1) / tile;
    tile = std::min(tile, ((inner + pieces - 1) / pieces + 15) / 16 * 16);
  } else if (!linear && inner >= tile / 4) {
    row = tile = tile / inner * inner;
  }
  auto work = [&](int64_t begin, int64_t end) {
    auto context = program.context(end - begin);
    for (int64_t i = begin; i < end;) {
      int64_t n = std::min({tile, end - i, row - divide(i, row).rest});
      program.run(context, i, n);
      i += n;
    }
  };
  if (space.size <= chunk) return work(0, space.size);
  // Chunks as equal as can be, and a few of them by twos: a short one leaves somebody waiting.
  const int64_t chunks = round_up(ceil_div(space.size, chunk), 2);
  parallel_range(space.size, round_up(ceil_div(space.size, chunks), 512), work);
}

/** A copy: packed on one side or the other, it needs no tile in between. */
bool try_move(const Space& space) {
  const Lane& in = space.lanes[0];
  const Lane& out = space.lanes[1];
  if (in.scalar || in.linear == out.linear || in.itemsize != out.itemsize) return false;
  auto work = [&](int64_t begin, int64_t end) {
    if (in.linear) return put(space, out, begin, end - begin, in.base + begin * in.itemsize);
    char* to = out.base + begin * out.itemsize;
    const char* from = fetch(space, in, begin, end - begin, to);
    if (from != to) std::memcpy(to, from, (end - begin) * in.itemsize);
  };
  if (space.size <= kChunk) {
    work(0, space.size);
  } else {
    parallel_range(space.size, kChunk, work);
  }
  return true;
}

/**
 * An operand that lies across the others would be gathered element by element, a cache line each.
 * Such ones are transposed in blocks first, into memory that lives as long as the run.
 */
class Straightened {
 public:
  /** key is the layout of the run; others are brought to it. */
  Straightened(const Shape& shape, const Strides& key, const std::vector<TapeOperand>& given,
               size_t n_inputs, const std::vector<int>& itemsizes)
      : operands_(given) {
    int64_t size = 1, span = 1;
    bool dense = true;
    for (size_t i = 0; i < shape.size(); ++i) {
      size *= shape[i];
      span += key[i] * (shape[i] - 1);
      dense &= key[i] > 0 || shape[i] == 1;
    }
    if (size < kChunk || !dense || span != size) return;
    for (size_t k = 0; k < n_inputs; ++k) {
      const Strides& strides = given[k].strides;
      bool whole = true;  // no broadcasts, which would only grow
      for (size_t i = 0; i < shape.size(); ++i) whole &= strides[i] != 0 || shape[i] == 1;
      if (!whole || strides == key) continue;
      allocator::Data memory = allocator::malloc(size * itemsizes[k]);  // cached between runs
      TapeOperand straight{memory.buffer().ptr(), key};
      Space space(shape, {given[k], straight}, {itemsizes[k], itemsizes[k]}, 1);
      if (!try_transpose(space)) continue;
      operands_[k] = straight;
      memory_.push_back(std::move(memory));
    }
  }
  const std::vector<TapeOperand>& operands() const { return operands_; }

 private:
  std::vector<TapeOperand> operands_;
  std::vector<allocator::Data> memory_;
};

void run_tape(const Tape& tape, const Shape& shape, const std::vector<TapeOperand>& given) {
  std::vector<int> itemsizes;
  itemsizes.reserve(given.size());
  size_t n_inputs = tape.inputs.size();
  for (auto d : tape.inputs) itemsizes.push_back(dtype_of(d).size());
  for (auto v : tape.outputs) {
    itemsizes.push_back(
        dtype_of(v < n_inputs ? tape.inputs[v] : tape.instrs[v - n_inputs].out).size());
  }
  if (tape.reduce) itemsizes.push_back(dtype_of(tape.reduce->out).size());

  const Strides& key = given[tape.outputs.empty() ? 0 : n_inputs].strides;
  bool mixed = false;
  for (size_t k = 0; k < n_inputs; ++k) mixed |= given[k].strides != key;
  std::optional<Straightened> straightened;
  if (mixed && !tape.instrs.empty()) straightened.emplace(shape, key, given, n_inputs, itemsizes);
  const auto& operands = straightened ? straightened->operands() : given;

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
  const bool copy = tape.instrs.empty() && tape.outputs.size() == 1;
  if (copy && (try_transpose(space) || try_move(space))) return;
  Program program(tape, space);
  run_map(program, space, chunk_of(tape));
}

void run_packed(const TapeInstr& instr, int64_t n, const PackedOperand* operands, void* out) {
  const int arity = info(instr.op).arity;
  const bool takes = takes_single(instr);
  unsigned single = 0;
  const void* args[3] = {};
  const size_t slot = (static_cast<size_t>(std::max<int64_t>(n, kSingle)) * 8 + 63) / 64 * 64;
  for (int k = 0; k < arity; ++k) {
    args[k] = operands[k].data;
    int64_t period = operands[k].period;
    if (period >= n) continue;
    int64_t count = n;
    if (period == 1 && takes) single |= 1u << k, count = kSingle;
    char* copies = thread_scratch(3 * slot) + k * slot;
    const int itemsize =
        instr.op == EwOp::Select && k == 0 ? 1 : static_cast<int>(dtype_of(instr.in).size());
    repeat(copies, static_cast<const char*>(args[k]), period, count, itemsize);
    args[k] = copies;
  }
  find_kernel(instr)(out, args[0], args[1], args[2], static_cast<size_t>(n), single);
}

const bool registered = [] {
  register_tape_runner(Device::cpu, &run_tape);
  register_packed_runner(&run_packed);
  return true;
}();

}  // namespace

}  // namespace mlx::core::cpu
