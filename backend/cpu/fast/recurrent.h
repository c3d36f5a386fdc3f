// backend/cpu/fast/recurrent.h: the elementwise half of one step of a recurrence, float32. The rows
// of every operand are contiguous and `..._row` apart.
#pragma once

#include <cstdint>

#include "core/prim/recurrent.h"

namespace mlx::core::cpu {

/** Strides count values. The product of the state with w is in `product`, G size values a row. */
struct RecurrentStep {
  RecurrentKind kind;
  int64_t rows, size;
  const float *x, *product, *before, *bias;  // before: state (gru) or cell (lstm) it starts from
  int64_t x_row, product_row, before_row;
  float *state, *cell;
  int64_t state_row;
};
void recurrent_step(const RecurrentStep& p);

/**
 * Cotangents of one step. carry: what later steps give the state, replaced for gru and lstm by what
 * reaches the step before past the product with w (gru: the state, lstm: in cell_carry, the cell).
 */
struct RecurrentStepVJP {
  RecurrentKind kind;
  int64_t rows, size;
  const float *x, *q;                     // gates: x (lstm), x and q (gru)
  const float *state, *before, *cell;     // state: tanh, relu
  const float *d_state, *d_cell, *carry;  // carry: of w's product, from the step after
  float *dx, *dq, *around;                // around: gru's state, lstm's cell; read, then written
  int64_t gates_row, state_row, before_row;
};
void recurrent_step_vjp(const RecurrentStepVJP& p);

}  // namespace mlx::core::cpu
