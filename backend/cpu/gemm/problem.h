// backend/cpu/gemm/problem.h: one matrix product as the kernels see it, and their working memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "backend/cpu/ceil_div.h"
#include "backend/cpu/parallel.h"
#include "mlx/types/half_types.h"

namespace mlx::core::cpu::gemm_detail {

/** C = alpha * A B + beta * D. Strides count elements; d is null if beta is 0. */
struct Problem {
  int64_t m, n, k;
  const void* a;
  int64_t a_row, a_col;
  const void* b;
  int64_t b_row, b_col;
  void* c;
  int64_t ldc;
  double alpha, beta;
  const void* d;
  int64_t d_row, d_col;

  bool plain() const { return alpha == 1 && !d; }
};

constexpr int kMaxThin = 8;  // rows of an operand that is not worth packing the other for

/** The problem with its operands' roles changed: C's transpose. Only for a C of one column, whose
 *  elements are contiguous either way. */
inline Problem turned(const Problem& p) {
  Problem q = p;
  std::swap(q.m, q.n);
  q.a = p.b, q.a_row = p.b_col, q.a_col = p.b_row;
  q.b = p.a, q.b_row = p.a_col, q.b_col = p.a_row;
  q.d_row = p.d_col, q.d_col = p.d_row;
  q.ldc = p.m;
  return q;
}

void run_float32(const Problem& p);
void run_float16(const Problem& p);
void run_bfloat16(const Problem& p);
void run_complex64(const Problem& p);
void run_float64(const Problem& p);
void run_int8(const Problem& p);
void run_uint8(const Problem& p);
void run_int16(const Problem& p);
void run_uint16(const Problem& p);
void run_int32(const Problem& p);
void run_uint32(const Problem& p);
void run_int64(const Problem& p);
void run_uint64(const Problem& p);

/** Dot products of bfloat16 pairs in hardware; false if this CPU has none. */
bool run_bfloat16_pairs(const Problem& p);

enum class Slot { packed_a, packed_b, shared_b, tiles, thin, partial, count };

/** 64-byte aligned working memory of this thread; reused by the next Scratch of the same slot. */
void* take_scratch(Slot slot, size_t bytes);
void drop_scratch(Slot slot, void* memory);

template <class T>
class Scratch {
 public:
  Scratch(Slot slot, int64_t count)
      : slot_(slot),
        data_(count > 0 ? static_cast<T*>(take_scratch(slot, size_t(count) * sizeof(T)))
                        : nullptr) {}
  ~Scratch() {
    if (data_) drop_scratch(slot_, data_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* get() { return data_; }

 private:
  Slot slot_;
  T* data_;
};

}  // namespace mlx::core::cpu::gemm_detail
