// backend/cpu/tape/space.cpp
#include "backend/cpu/tape/space.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

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

template <class T>
void gather_as(char* out, const char* in, int64_t stride, int64_t n) {
  T* o = reinterpret_cast<T*>(out);
  for (int64_t i = 0; i < n; ++i) std::memcpy(o + i, in + i * stride, sizeof(T));
}
template <class T>
void scatter_as(char* out, const char* in, int64_t stride, int64_t n) {
  const T* x = reinterpret_cast<const T*>(in);
  for (int64_t i = 0; i < n; ++i) std::memcpy(out + i * stride, x + i, sizeof(T));
}
template <class T>
void splat_as(char* out, const char* item, int64_t n) {
  T value;
  std::memcpy(&value, item, sizeof(T));
  std::fill_n(reinterpret_cast<T*>(out), n, value);
}

void gather_run(char* out, const char* in, int itemsize, int64_t stride, int64_t n) {
  if (stride == itemsize) {
    std::memcpy(out, in, n * itemsize);
    return;
  }
  if (stride == 0) return splat(out, in, itemsize, n);
  switch (itemsize) {
    case 1:
      return gather_as<uint8_t>(out, in, stride, n);
    case 2:
      return gather_as<uint16_t>(out, in, stride, n);
    case 4:
      return gather_as<uint32_t>(out, in, stride, n);
    default:
      return gather_as<uint64_t>(out, in, stride, n);
  }
}

void scatter_run(char* out, const char* in, int itemsize, int64_t stride, int64_t n) {
  if (stride == itemsize) {
    std::memcpy(out, in, n * itemsize);
    return;
  }
  switch (itemsize) {
    case 1:
      return scatter_as<uint8_t>(out, in, stride, n);
    case 2:
      return scatter_as<uint16_t>(out, in, stride, n);
    case 4:
      return scatter_as<uint32_t>(out, in, stride, n);
    default:
      return scatter_as<uint64_t>(out, in, stride, n);
  }
}

}  // namespace

void splat(char* out, const char* item, int itemsize, int64_t n) {
  switch (itemsize) {
    case 1:
      return splat_as<uint8_t>(out, item, n);
    case 2:
      return splat_as<uint16_t>(out, item, n);
    case 4:
      return splat_as<uint32_t>(out, item, n);
    default:
      return splat_as<uint64_t>(out, item, n);
  }
}

const char* fetch(const Space& space, const Lane& lane, int64_t begin, int64_t n, char* scratch) {
  if (lane.linear) return lane.base + begin * lane.itemsize;
  int64_t inner = space.inner();
  int64_t row = begin / inner, pos = begin % inner;
  int64_t stride = lane.strides.back();
  if (pos + n <= inner) {
    const char* from = lane.base + space.row_offset(lane, row) + pos * stride;
    if (stride == lane.itemsize) return from;
    gather_run(scratch, from, lane.itemsize, stride, n);
    return scratch;
  }
  for (int64_t done = 0; done < n; pos = 0, ++row) {
    int64_t m = std::min(n - done, inner - pos);
    gather_run(scratch + done * lane.itemsize,
               lane.base + space.row_offset(lane, row) + pos * stride, lane.itemsize, stride, m);
    done += m;
  }
  return scratch;
}

void put(const Space& space, const Lane& lane, int64_t begin, int64_t n, const char* from) {
  if (lane.linear) {
    std::memcpy(lane.base + begin * lane.itemsize, from, n * lane.itemsize);
    return;
  }
  int64_t inner = space.inner();
  int64_t row = begin / inner, pos = begin % inner;
  int64_t stride = lane.strides.back();
  for (int64_t done = 0; done < n; pos = 0, ++row) {
    int64_t m = std::min(n - done, inner - pos);
    scatter_run(lane.base + space.row_offset(lane, row) + pos * stride, from + done * lane.itemsize,
                lane.itemsize, stride, m);
    done += m;
  }
}

}  // namespace mlx::core::cpu
