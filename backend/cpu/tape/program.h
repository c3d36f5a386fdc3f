// backend/cpu/tape/program.h: a tape made ready for a run: loops picked, scratch assigned.
#pragma once

#include <vector>

#include "backend/cpu/tape/kernels.h"
#include "backend/cpu/tape/space.h"

namespace mlx::core::cpu {

constexpr int64_t kFarBytes = int64_t{16} << 20;  // all operands: beyond the last cache

/** Working memory of one thread: grows, is kept, holds nothing between tiles. */
char* thread_scratch(size_t bytes);

class Program {
 public:
  static constexpr int64_t kTile = 512;  // of float32: 2 KiB stay in L1 beside their peers

  Program(const Tape& tape, const Space& space);

  int64_t tile() const { return tile_; }
  /** Whether nothing is copied within a row, kept between steps, or asked for ahead: then a tile
   * may be longer. */
  bool in_place() const { return slots_ == row_slots_ && period_bytes_ == 0 && !far_; }

  /** Per thread and run: scratch with the scalar operands spread out, enough for tiles up to n. */
  struct Context {
    char* memory;
    char* periods = nullptr;
    std::vector<const char*> values;  // where each value's tile lies
    // Of an input that is one item a row: the row whose copies are in its slot, and how many.
    struct Held {
      int64_t row = -1, n = 0;
    };
    std::vector<Held> held;
  };
  Context context(int64_t n) const;

  /** Computes elements [begin, begin + n), stores the outputs; returns the tile of the value that
   * is reduced (null if none). n <= tile(). */
  const char* run(Context& context, int64_t begin, int64_t n) const;

 private:
  const char* input(Context& c, size_t in, int64_t begin, int64_t n) const;
  void find_singles();

  struct Step {
    Kernel kernel;
    uint16_t args[3];
    uint16_t result;
    int slot;    // scratch slot of the result
    int output;  // stored in place as this output, or -1
    // Arguments that are one item: always, and also where a tile lies within a row.
    uint8_t single = 0, single_in_row = 0;
  };
  struct Store {
    uint16_t value;
    int output;
  };

  const Tape& tape_;
  const Space& space_;
  int64_t tile_;
  size_t slot_bytes_;
  bool far_ = false;  // operands come from memory
  bool any_single_ = false;
  size_t period_bytes_ = 0;    // copies of shared rows, after the slots
  int slots_, row_slots_ = 0;  // all; and those that a tile within a row does not fill
  std::vector<Step> steps_;
  std::vector<Store> stores_;       // outputs that a step could not write in place
  SmallVector<bool, 8> single_;     // inputs whose one item is enough, where they are that
  SmallVector<int, 8> input_slot_;  // scratch of each input that is not read in place, or -1
};

}  // namespace mlx::core::cpu
