// backend/cpu/tape/space.h: the iteration space of a tape run, and how operands lie in it.
#pragma once

#include <cstdint>
#include <vector>

#include "core/tape.h"

namespace mlx::core::cpu {

/** Shared rows up to this length are laid out as copies; longer ones are read in place, row by row.
 */
constexpr int64_t kMostPeriod = 768;

/** a / b and a % b of numbers that are not negative. Division of 64 bits takes some processors
 * three times as long as that of 32, and a tile needs several. */
struct Quotient {
  int64_t whole, rest;
};
inline Quotient divide(int64_t a, int64_t b) {
  const bool narrow = (static_cast<uint64_t>(a) | static_cast<uint64_t>(b)) >> 32 == 0;
  const int64_t q = narrow ? static_cast<uint32_t>(a) / static_cast<uint32_t>(b) : a / b;
  return {q, a - q * b};
}

/** Strides are in bytes, one for each dimension of the space. */
struct Lane {
  char* base;
  int itemsize;
  SmallVector<int64_t> strides;
  bool linear;  // element i of the space (row-major) lies at base + i * itemsize
  bool scalar;  // the same element everywhere
  // A row that every row of the space shares: its length, else 0. Tiles of it are windows into a
  // few copies, one after the other.
  int64_t period = 0;
};

/**
 * Dimensions of size 1 are gone, neighbours that every operand walks as one are merged, and the
 * order follows the memory of the operand that matters most. A space always has an inner dimension.
 */
struct Space {
  SmallVector<int64_t> shape;
  int64_t size = 1;
  std::vector<Lane> lanes;  // in the order of the run's operands

  int64_t inner() const { return shape.back(); }
  int64_t rows() const { return inner() == 0 ? 0 : size / inner(); }

  Space(const Shape& shape, const std::vector<TapeOperand>& operands,
        const std::vector<int>& itemsizes, size_t order_by);

  /** Bytes from base to the first element of a row (a row-major index over all but the inner). */
  int64_t row_offset(const Lane& lane, int64_t row) const {
    int64_t offset = 0;
    for (int i = static_cast<int>(shape.size()) - 2; i > 0; --i) {
      const Quotient at = divide(row, shape[i]);
      offset += at.rest * lane.strides[i];
      row = at.whole;
    }
    return shape.size() > 1 ? offset + row * lane.strides[0] : offset;
  }
};

/** Elements [begin, begin + n) of the space along lane, in place if they lie together, else in
 * scratch. */
const char* fetch(const Space& space, const Lane& lane, int64_t begin, int64_t n, char* scratch);
/** The reverse: n contiguous elements to their places. */
void put(const Space& space, const Lane& lane, int64_t begin, int64_t n, const char* from);

}  // namespace mlx::core::cpu
