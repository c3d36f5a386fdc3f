// backend/cpu/walk.h: row-major walks over strided operands, and reading index arrays.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "mlx/array.h"
#include "mlx/dtype_utils.h"

namespace mlx::core::cpu {

/** Visits the positions of a shape in row-major order, with the offset of each of N operands. */
template <int N>
class Walk {
 public:
  Walk(const ShapeElem* shape, size_t ndim, const std::array<const int64_t*, N>& strides) {
    for (size_t d = 0; d < ndim; ++d) {
      size_ *= shape[d];
      if (shape[d] == 1) continue;
      Dim dim{shape[d], 0, {}};
      for (int k = 0; k < N; ++k) dim.stride[k] = strides[k][d];
      bool joins = !dims_.empty();
      for (int k = 0; k < N && joins; ++k)
        joins = dims_.back().stride[k] == dim.stride[k] * dim.size;
      if (joins)
        dim.size *= dims_.back().size, dims_.back() = dim;
      else
        dims_.push_back(dim);
    }
  }

  size_t size() const { return size_; }
  int64_t offset(int k) const { return offset_[k]; }
  /** Innermost dimension: its length and stride of operand k (1 and 0 for a single position). */
  int64_t inner_size() const { return dims_.empty() ? 1 : dims_.back().size; }
  int64_t inner_stride(int k) const { return dims_.empty() ? 0 : dims_.back().stride[k]; }
  /** Elements from the position to the end of its innermost row. */
  int64_t inner_left() const { return dims_.empty() ? 1 : dims_.back().size - dims_.back().pos; }
  /** True if all strides of operand k are 0. */
  bool constant(int k) const {
    for (const Dim& d : dims_) {
      if (d.stride[k] != 0) return false;
    }
    return true;
  }

  void seek(int64_t linear) {
    offset_.fill(0);
    for (size_t d = dims_.size(); d-- > 0;) {
      dims_[d].pos = linear % dims_[d].size;
      linear /= dims_[d].size;
      for (int k = 0; k < N; ++k) offset_[k] += dims_[d].pos * dims_[d].stride[k];
    }
  }
  /** Moves on by n positions, which do not lead beyond the innermost row's end. */
  void advance(int64_t n) {
    for (size_t d = dims_.size(); d-- > 0;) {
      Dim& dim = dims_[d];
      dim.pos += n;
      for (int k = 0; k < N; ++k) offset_[k] += n * dim.stride[k];
      if (dim.pos < dim.size) return;
      for (int k = 0; k < N; ++k) offset_[k] -= dim.size * dim.stride[k];
      dim.pos = 0;
      n = 1;
    }
  }
  void next() { advance(1); }

 private:
  struct Dim {
    int64_t size;
    int64_t pos;
    std::array<int64_t, N> stride;
  };
  std::vector<Dim> dims_;
  std::array<int64_t, N> offset_{};
  size_t size_ = 1;
};

/** Remembers one index out of range, from any thread, to be raised when the threads are done. */
class BadIndex {
 public:
  void report(int64_t value, int64_t size, int axis) {
    std::lock_guard lock(mutex_);
    if (seen_) return;
    seen_ = true;
    value_ = value, size_ = size, axis_ = axis;
  }
  void raise(const char* op) const {
    if (!seen_) return;
    throw std::out_of_range(std::string("[") + op + "] Index " + std::to_string(value_) +
                            " is out of range for axis " + std::to_string(axis_) + " with size " +
                            std::to_string(size_) + ".");
  }

 private:
  std::mutex mutex_;
  bool seen_ = false;
  int64_t value_ = 0, size_ = 0;
  int axis_ = 0;
};

/** An axis that indices address: its size, the largest index allowed, its stride in src. */
struct IndexedAxis {
  int axis;
  int64_t size;
  int64_t last;
  int64_t stride;
};

/** offsets[i] += stride * (the i-th index, wrapped if negative); a bad index is reported and counts
 * as 0. */
template <typename T>
void add_offsets(const void* indices, int64_t index_stride, size_t n, const IndexedAxis& axis,
                 int64_t* offsets, BadIndex& bad) {
  const T* p = static_cast<const T*>(indices);
  auto raw = [&](size_t i) {
    return static_cast<int64_t>(p[static_cast<int64_t>(i) * index_stride]);
  };
  auto wrapped = [&](int64_t v) { return std::is_signed_v<T> && v < 0 ? v + axis.size : v; };
  auto outside = [&](int64_t v) {
    return static_cast<uint64_t>(v) > static_cast<uint64_t>(axis.last);
  };
  bool any = false;
  for (size_t i = 0; i < n; ++i) {
    const int64_t v = wrapped(raw(i));
    any |= outside(v);
    offsets[i] += (outside(v) ? 0 : v) * axis.stride;
  }
  if (!any) [[likely]]
    return;
  for (size_t i = 0; i < n; ++i)
    if (outside(wrapped(raw(i)))) bad.report(raw(i), axis.size, axis.axis);
}
using AddOffsets = void (*)(const void*, int64_t, size_t, const IndexedAxis&, int64_t*, BadIndex&);

inline AddOffsets add_offsets_for(Dtype dtype) {
  AddOffsets f = nullptr;
  dispatch_int_types(dtype, "[index]", [&](auto t) { f = &add_offsets<MLX_GET_TYPE(t)>; });
  return f;
}

/** Calls f with a null pointer of an unsigned type of this size: what copying elements needs. */
template <typename F>
void dispatch_itemsize(size_t itemsize, F&& f) {
  switch (itemsize) {
    case 1:
      return f(static_cast<uint8_t*>(nullptr));
    case 2:
      return f(static_cast<uint16_t*>(nullptr));
    case 4:
      return f(static_cast<uint32_t*>(nullptr));
    default:
      return f(static_cast<uint64_t*>(nullptr));
  }
}

/** a < b; complex numbers by real part, then imaginary part. */
template <typename T>
bool less_than(T a, T b) {
  if constexpr (std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>) {
    return float(a) < float(b);
  } else {
    return a < b;
  }
}

template <typename T>
bool is_nan(T v) {
  if constexpr (is_complex<T> || is_floating_point_v<T>) return mlx::core::isnan(v);
  return false;
}

}  // namespace mlx::core::cpu
