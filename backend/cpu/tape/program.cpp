// backend/cpu/tape/program.cpp
#include "backend/cpu/tape/program.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "backend/cpu/prefetch.h"
#include "backend/cpu/tape/moves.h"

namespace mlx::core::cpu {

char* thread_scratch(size_t bytes) {
  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  thread_local std::unique_ptr<char, Free> memory;
  thread_local size_t size = 0;
  if (bytes > size) {
    size_t rounded = (bytes + 4095) / 4096 * 4096;
    memory.reset(static_cast<char*>(std::aligned_alloc(64, rounded)));
    size = memory ? rounded : 0;
    if (!memory) throw std::bad_alloc();
  }
  return memory.get();
}

Program::Program(const Tape& tape, const Space& space) : tape_(tape), space_(space) {
  using Numbers = SmallVector<int, 24>;
  size_t n_inputs = tape.inputs.size();
  size_t n_values = n_inputs + tape.instrs.size();
  Numbers itemsize(n_values), last_use(n_values, -1);
  int widest = 1;
  for (size_t v = 0; v < n_values; ++v) {
    itemsize[v] = dtype_of(v < n_inputs ? tape.inputs[v] : tape.instrs[v - n_inputs].out).size();
    widest = std::max(widest, itemsize[v]);
  }
  tile_ = kTile * 4 / widest;
  slot_bytes_ = static_cast<size_t>(tile_) * widest;

  const int end = static_cast<int>(tape.instrs.size());
  for (int i = 0; i < end; ++i) {
    for (int k = 0; k < info(tape.instrs[i].op).arity; ++k) last_use[tape.instrs[i].args[k]] = i;
  }
  // What leaves the tape is needed until its end.
  Numbers direct(n_values, -1);
  auto may_write_now = [&](size_t value, const Lane& out) {
    // In place only where no later step reads an input from the same memory.
    if (!out.linear) return false;
    for (size_t in = 0; in < n_inputs; ++in) {
      if (space.lanes[in].base == out.base && last_use[in] > static_cast<int>(value - n_inputs))
        return false;
    }
    return true;
  };
  for (size_t k = 0; k < tape.outputs.size(); ++k) {
    size_t v = tape.outputs[k];
    const Lane& lane = space.lanes[n_inputs + k];
    bool also_input_later = false;  // an input that is itself an output is copied at the end
    for (auto o : tape.outputs)
      also_input_later |= o < n_inputs && space.lanes[o].base == lane.base;
    if (v >= n_inputs && direct[v] < 0 && !also_input_later && may_write_now(v, lane)) {
      direct[v] = static_cast<int>(k);
    } else {
      stores_.push_back({static_cast<uint16_t>(v), static_cast<int>(k)});
      last_use[v] = end;
    }
  }
  if (tape.reduce) last_use[tape.reduce->value] = end;

  int64_t bytes = 0;
  for (const Lane& lane : space.lanes) bytes += lane.linear ? space.size * lane.itemsize : 0;
  far_ = bytes >= kFarBytes;

  slots_ = 0;
  input_slot_.resize(n_inputs, -1);
  for (size_t in = 0; in < n_inputs; ++in) {
    const Lane& lane = space.lanes[in];
    if (lane.period > 0) {
      input_slot_[in] = static_cast<int>(period_bytes_ / 64);  // where its copies are
      period_bytes_ += (static_cast<size_t>(tile_ + lane.period) * lane.itemsize + 63) / 64 * 64;
    } else if (!lane.linear) {
      input_slot_[in] = slots_++;
    }
  }
  Numbers free_slots, slot(n_values, -1);
  steps_.reserve(tape.instrs.size());
  for (int i = 0; i < end; ++i) {
    const auto& instr = tape.instrs[i];
    size_t v = n_inputs + i;
    Step step{find_kernel(instr),
              {instr.args[0], instr.args[1], instr.args[2]},
              static_cast<uint16_t>(v),
              -1,
              direct[v]};
    if (step.output < 0) {
      if (free_slots.empty()) {
        slot[v] = slots_++;
      } else {
        slot[v] = free_slots.back();
        free_slots.pop_back();
      }
      step.slot = slot[v];
    }
    steps_.push_back(step);
    for (int k = 0; k < info(instr.op).arity; ++k) {
      int a = instr.args[k];
      if (last_use[a] == i && slot[a] >= 0) {
        free_slots.push_back(slot[a]);
        slot[a] = -1;
      }
    }
    if (last_use[v] < 0 && slot[v] >= 0) free_slots.push_back(slot[v]);
  }
  find_singles();
}

void Program::find_singles() {
  const size_t n_inputs = input_slot_.size();
  single_.resize(n_inputs, false);
  bool any = false;
  for (size_t in = 0; in < n_inputs; ++in) {
    const Lane& lane = space_.lanes[in];
    // (what is one item by itself is linear, and read in place)
    single_[in] = input_slot_[in] >= 0 && lane.period == 0 && lane.strides.back() == 0;
    any |= single_[in];
    row_slots_ += input_slot_[in] >= 0 && lane.period == 0 && lane.strides.back() == lane.itemsize;
  }
  if (!any) return;
  any_single_ = true;
  // A step that needs all items, or a store, spoils it.
  for (size_t i = 0; i < steps_.size(); ++i) {
    const TapeInstr& instr = tape_.instrs[i];
    if (takes_single(instr)) continue;
    for (int k = 0; k < info(instr.op).arity; ++k)
      if (instr.args[k] < n_inputs) single_[instr.args[k]] = false;
  }
  for (const Store& s : stores_)
    if (s.value < n_inputs) single_[s.value] = false;
  if (tape_.reduce && tape_.reduce->value < n_inputs) single_[tape_.reduce->value] = false;
  for (size_t in = 0; in < n_inputs; ++in) row_slots_ += single_[in];
  for (size_t i = 0; i < steps_.size(); ++i) {
    for (int k = 0; k < info(tape_.instrs[i].op).arity; ++k) {
      const uint16_t in = steps_[i].args[k];
      if (in >= n_inputs || !single_[in]) continue;
      steps_[i].single_in_row |= 1 << k;
      if (space_.lanes[in].scalar) steps_[i].single |= 1 << k;
    }
  }
}

Program::Context Program::context(int64_t n) const {
  Context c;
  const size_t slots = slot_bytes_ * std::max(slots_, 1);
  c.memory = thread_scratch(slots + period_bytes_);
  c.periods = c.memory + slots;
  c.values.resize(tape_.inputs.size() + tape_.instrs.size());
  for (size_t in = 0; in < input_slot_.size(); ++in) {
    const Lane& lane = space_.lanes[in];
    if (lane.period > 0) {
      char* where = c.periods + input_slot_[in] * 64;
      const int64_t need = std::min(n, tile_) + lane.period;
      repeat(where, lane.base, lane.period, need, lane.itemsize);
      continue;
    }
    if (!lane.scalar) continue;
    char* where = c.memory + input_slot_[in] * slot_bytes_;
    moves_of(lane.itemsize).splat(where, lane.base, single_[in] ? kSingle : std::min(n, tile_));
    c.values[in] = where;
  }
  return c;
}

const char* Program::input(Context& c, size_t in, int64_t begin, int64_t n) const {
  const Lane& lane = space_.lanes[in];
  if (lane.linear) return lane.base + begin * lane.itemsize;
  if (lane.period > 0)
    return c.periods + input_slot_[in] * 64 + divide(begin, lane.period).rest * lane.itemsize;
  char* slot = c.memory + input_slot_[in] * slot_bytes_;
  const int64_t inner = space_.inner();
  const auto [row, pos] = divide(begin, inner);
  if (lane.strides.back() == 0 && pos + n <= inner) {
    if (c.held.empty()) c.held.resize(input_slot_.size());
    Context::Held& held = c.held[in];
    const int64_t need = single_[in] ? kSingle : n;
    if (held.row != row || held.n < need) {
      moves_of(lane.itemsize).splat(slot, lane.base + space_.row_offset(lane, row), need);
      held = {row, need};
    }
    return slot;
  }
  if (!c.held.empty()) c.held[in] = {};
  return fetch(space_, lane, begin, n, slot);
}

const char* Program::run(Context& c, int64_t begin, int64_t n) const {
  size_t n_inputs = input_slot_.size();
  if (far_) {
    for (size_t in = 0; in < n_inputs; ++in) {
      const Lane& lane = space_.lanes[in];
      if (lane.linear) prefetch_ahead(lane.base + begin * lane.itemsize, n * lane.itemsize);
    }
  }
  for (size_t in = 0; in < n_inputs; ++in) {
    const Lane& lane = space_.lanes[in];
    if (!lane.scalar) c.values[in] = input(c, in, begin, n);
  }
  const bool in_row = any_single_ && divide(begin, space_.inner()).rest + n <= space_.inner();
  for (const Step& s : steps_) {
    char* out;
    if (s.output >= 0) {
      const Lane& lane = space_.lanes[n_inputs + s.output];
      out = lane.base + begin * lane.itemsize;
    } else {
      out = c.memory + s.slot * slot_bytes_;
    }
    s.kernel(out, c.values[s.args[0]], c.values[s.args[1]], c.values[s.args[2]],
             static_cast<size_t>(n), in_row ? s.single_in_row : s.single);
    c.values[s.result] = out;
  }
  for (const Store& s : stores_)
    put(space_, space_.lanes[n_inputs + s.output], begin, n, c.values[s.value]);
  return tape_.reduce ? c.values[tape_.reduce->value] : nullptr;
}

}  // namespace mlx::core::cpu
