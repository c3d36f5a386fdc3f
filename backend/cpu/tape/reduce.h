// backend/cpu/tape/reduce.h: tapes that end in a reduction.
#pragma once

#include "backend/cpu/tape/program.h"

namespace mlx::core::cpu {

/** The last lane of space is the result: its strides are 0 along reduced dimensions. */
void run_reduce(const Tape& tape, const Space& space);

/** Reductions of contiguous runs, for one operation and dtype. An accumulator is up to 16 bytes. */
struct Reducer {
  int acc_bytes;
  void (*identity)(void* acc, int64_t n);
  /** *acc = op(*acc, x[0], ..., x[n-1]) */
  void (*run)(void* acc, const void* x, int64_t n);
  /** The same, asking for what follows x ahead of time. */
  void (*run_far)(void* acc, const void* x, int64_t n);
  /** acc[j] = op(acc[j], x[j]) */
  void (*fold)(void* acc, const void* x, int64_t n);
  /** acc[j] = op(acc[j], x[j], x[j + stride], ..., 8 rows), the rows as a tree first; stride in
   * bytes */
  void (*fold8)(void* acc, const void* x, int64_t stride, int64_t n);
  /** The same of up to 8 rows, one after the other. */
  void (*fold_few)(void* acc, const void* x, int64_t stride, int64_t n, int64_t rows);
  /** acc[r] = op of the row of w elements at x + r * w, for rows r < m */
  void (*rows)(void* acc, const void* x, int64_t m, int64_t w);
  /** acc[j] = op(acc[j], other[j]) */
  void (*combine)(void* acc, const void* other, int64_t n);
  /** out[j] at a stride in bytes, rounded once. */
  void (*finish)(char* out, int64_t stride, const void* acc, int64_t n);
};

Reducer find_reducer(ReduceOp op, Dtype::Val dtype);

}  // namespace mlx::core::cpu
