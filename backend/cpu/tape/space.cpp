// backend/cpu/tape/space.cpp
#include "backend/cpu/tape/space.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "backend/cpu/tape/moves.h"

namespace mlx::core::cpu {

Space::Space(const Shape& full, const std::vector<TapeOperand>& operands,
             const std::vector<int>& itemsizes, size_t order_by) {
  SmallVector<int> order;
  for (size_t i = 0; i < full.size(); ++i) {
    size *= full[i];
    if (full[i] != 1) order.push_back(static_cast<int>(i));
  }
  const auto& key = operands[order_by].strides;
  bool sorted = true;
  for (size_t i = 1; i < order.size(); ++i)
    sorted &= std::abs(key[order[i - 1]]) >= std::abs(key[order[i]]);
  if (!sorted) {
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return std::abs(key[a]) > std::abs(key[b]); });
  }
  lanes.resize(operands.size());
  for (size_t k = 0; k < operands.size(); ++k) {
    lanes[k].base = static_cast<char*>(operands[k].data);
    lanes[k].itemsize = itemsizes[k];
  }
  for (int dim : order) {
    bool merge = !shape.empty();
    for (size_t k = 0; merge && k < operands.size(); ++k) {
      merge = lanes[k].strides.back() == operands[k].strides[dim] * itemsizes[k] * full[dim];
    }
    if (merge) {
      shape.back() *= full[dim];
    } else {
      shape.push_back(full[dim]);
    }
    for (size_t k = 0; k < operands.size(); ++k) {
      int64_t stride = operands[k].strides[dim] * itemsizes[k];
      if (merge) {
        lanes[k].strides.back() = stride;
      } else {
        lanes[k].strides.push_back(stride);
      }
    }
  }
  if (shape.empty()) {
    shape.push_back(1);
    for (auto& lane : lanes) lane.strides.push_back(0);
  }
  for (auto& lane : lanes) {
    lane.scalar = true;
    lane.linear = true;
    int64_t step = lane.itemsize;
    for (int i = static_cast<int>(shape.size()) - 1; i >= 0; --i) {
      lane.scalar &= lane.strides[i] == 0;
      lane.linear &= lane.strides[i] == step;
      step *= shape[i];
    }
    if (size == 1) lane.linear = true, lane.scalar = false;
    bool shared = shape.size() > 1 && lane.strides.back() == lane.itemsize;
    for (size_t i = 0; i + 1 < shape.size(); ++i) shared &= lane.strides[i] == 0;
    if (shared && shape.back() <= kMostPeriod) lane.period = shape.back();
  }
}

namespace {

/**
 * Elements [begin, begin + n) of the space as rows of one length: first what is left of a row, then
 * whole rows as far as they are one step apart, last the begin of a row.
 * Calls move(place, row_stride, rows, items, done): place is the lane's first item, done counts the
 * items before.
 */
template <class Move>
void by_rows(const Space& space, const Lane& lane, int64_t begin, int64_t n, Move&& move) {
  const int64_t inner = space.inner(), stride = lane.strides.back();
  auto [row, pos] = divide(begin, inner);
  int64_t done = 0;
  if (pos > 0 || n < inner) {
    done = std::min(n, inner - pos);
    move(lane.base + space.row_offset(lane, row++) + pos * stride, 0, 1, done, 0);
  }
  const int64_t apart = space.shape.size() > 1 ? lane.strides[lane.strides.size() - 2] : 0;
  const int64_t together = space.shape.size() > 1 ? space.shape[space.shape.size() - 2] : 1;
  while (n - done >= inner) {
    const int64_t rows =
        std::min(divide(n - done, inner).whole, together - divide(row, together).rest);
    move(lane.base + space.row_offset(lane, row), apart, rows, inner, done);
    row += rows;
    done += rows * inner;
  }
  if (done < n) move(lane.base + space.row_offset(lane, row), 0, 1, n - done, done);
}

}  // namespace

const char* fetch(const Space& space, const Lane& lane, int64_t begin, int64_t n, char* scratch) {
  if (lane.linear) return lane.base + begin * lane.itemsize;
  const int64_t inner = space.inner(), stride = lane.strides.back();
  const auto [row, pos] = divide(begin, inner);
  if (pos + n <= inner && stride == lane.itemsize)
    return lane.base + space.row_offset(lane, row) + pos * stride;
  const Moves& moves = moves_of(lane.itemsize);
  by_rows(space, lane, begin, n,
          [&](char* place, int64_t apart, int64_t rows, int64_t items, int64_t done) {
            moves.gather(scratch + done * lane.itemsize, place, apart, stride, rows, items);
          });
  return scratch;
}

void put(const Space& space, const Lane& lane, int64_t begin, int64_t n, const char* from) {
  if (lane.linear) {
    std::memcpy(lane.base + begin * lane.itemsize, from, n * lane.itemsize);
    return;
  }
  const Moves& moves = moves_of(lane.itemsize);
  by_rows(space, lane, begin, n,
          [&](char* place, int64_t apart, int64_t rows, int64_t items, int64_t done) {
            moves.scatter(place, apart, lane.strides.back(), from + done * lane.itemsize, rows,
                          items);
          });
}

}  // namespace mlx::core::cpu
