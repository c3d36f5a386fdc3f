// backend/cpu/recurrent.cpp: recurrences over whole sequences. A thread takes a few sequences
// through all of their steps, so threads don't meet between steps; a small batch is one such group,
// and its matrix products are shared instead.
#include "core/prim/recurrent.h"

#include <algorithm>

#include "backend/cpu/fast/recurrent.h"
#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/gemm/gemm.h"
#include "backend/cpu/parallel.h"
#include "core/copy.h"

namespace mlx::core::cpu {

namespace {

using Arrays = std::vector<array>;
using Kind = RecurrentKind;

/** Few enough rows for the matrix product to read w where it lies. */
constexpr int64_t kGroup = 16;

/** body(first row, rows) for groups of nearly equal size. */
template <class F>
void over_groups(int64_t rows, const F& body) {
  if (rows == 0) return;
  const int64_t groups = (rows + kGroup - 1) / kGroup;
  parallel_range(rows, (rows + groups - 1) / groups,
                 [&](int64_t begin, int64_t end) { body(begin, end - begin); });
}

/** Between the rows of a copy of w: rows a page apart would fall on the same lines of the cache. */
int64_t padded(int64_t columns) { return columns + 16; }

/** c (rows x n, contiguous) = a (rows x k) b (k x n, its rows padded) */
void product(int64_t rows, int64_t n, int64_t k, const float* a, int64_t a_row, const float* b,
             float* c) {
  GemmArgs g;
  g.m = rows, g.n = n, g.k = k;
  g.a = {a, a_row, 1, 0, nullptr};
  g.b = {b, padded(n), 1, 0, nullptr};
  g.c = c;
  gemm(g);
}

/** w (rows x columns) turned, so that its rows are what the product reads in one go. */
void turn(const float* w, int64_t rows, int64_t columns, float* out) {
  constexpr int64_t kTile = 16;
  parallel_range((rows + kTile - 1) / kTile, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i0 = begin * kTile; i0 < std::min(rows, end * kTile); i0 += kTile)
      for (int64_t j = 0; j < columns; ++j)
        for (int64_t i = i0; i < std::min(rows, i0 + kTile); ++i)
          out[j * padded(rows) + i] = w[i * columns + j];
  });
}

void run_forward(const Recurrent& p, const Arrays& inputs, Arrays& outputs) {
  for (array& o : outputs) allocate(o);
  if (outputs[0].size() == 0) return;
  const array x = row_contiguous(inputs[0]), w = row_contiguous(inputs[1]);
  const array h0 = row_contiguous(inputs[2]);
  const array extra = inputs.size() > 3 ? row_contiguous(inputs[3]) : h0;
  const int64_t n = x.shape(0), length = x.shape(1), gates = x.shape(2), size = w.shape(1);
  const bool lstm = p.kind() == Kind::lstm;
  static thread_local Scratch turned_scratch;
  float* turned = turned_scratch.floats(size * padded(gates));
  turn(w.data<float>(), gates, size, turned);
  over_groups(n, [&](int64_t r0, int64_t rows) {
    static thread_local Scratch scratch;
    float* q = scratch.floats(rows * gates);
    float* states = outputs[0].data<float>() + r0 * length * size;
    float* cells = lstm ? outputs[1].data<float>() + r0 * length * size : nullptr;
    for (int64_t t = 0; t < length; ++t) {
      const float* before = t > 0 ? states + (t - 1) * size : h0.data<float>() + r0 * size;
      const int64_t before_row = t > 0 ? length * size : size;
      product(rows, gates, size, before, before_row, turned, q);
      RecurrentStep s{};
      s.kind = p.kind(), s.rows = rows, s.size = size;
      s.x = x.data<float>() + (r0 * length + t) * gates, s.x_row = length * gates;
      s.product = q, s.product_row = gates;
      s.before = before, s.before_row = before_row;
      if (lstm) s.before = t > 0 ? cells + (t - 1) * size : extra.data<float>() + r0 * size;
      s.bias = extra.data<float>();
      s.state = states + t * size, s.cell = lstm ? cells + t * size : nullptr;
      s.state_row = length * size;
      recurrent_step(s);
    }
  });
}

void run_backward(const RecurrentVJP& p, const Arrays& inputs, Arrays& outputs) {
  for (array& o : outputs) allocate(o);
  if (outputs[0].size() == 0) return;
  Arrays in;
  for (const array& a : inputs) in.push_back(row_contiguous(a));
  auto data = [&](size_t i) { return in[i].data<float>(); };
  const bool lstm = p.kind() == Kind::lstm, gru = p.kind() == Kind::gru;
  const int64_t n = in[1].shape(0), length = in[1].shape(1);
  const int64_t gates = in[0].shape(0), size = in[0].shape(1);
  static thread_local Scratch weight_scratch;
  float* weight = weight_scratch.floats(gates * padded(size));
  parallel_range(gates, 256, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      std::copy(data(0) + i * size, data(0) + (i + 1) * size, weight + i * padded(size));
  });
  over_groups(n, [&](int64_t r0, int64_t rows) {
    static thread_local Scratch scratch;
    float* carry = scratch.floats(2 * rows * size);
    float* around = carry + rows * size;
    std::fill(carry, carry + 2 * rows * size, 0.0f);
    for (int64_t t = length - 1; t >= 0; --t) {
      const int64_t at = r0 * length + t;
      RecurrentStepVJP s{};
      s.kind = p.kind(), s.rows = rows, s.size = size;
      s.gates_row = length * gates, s.state_row = length * size;
      s.carry = carry, s.around = around;
      s.dx = outputs[0].data<float>() + at * gates;
      s.before_row = t > 0 ? length * size : size;
      auto before = [&](size_t first, size_t all) {
        return t > 0 ? data(all) + (at - 1) * size : data(first) + r0 * size;
      };
      if (lstm) {
        s.x = data(1) + at * gates, s.cell = data(3) + at * size, s.before = before(2, 3);
        s.d_state = data(4) + at * size, s.d_cell = data(5) + at * size;
      } else if (gru) {
        s.x = data(1) + at * gates, s.q = data(2) + at * gates, s.before = before(3, 4);
        s.d_state = data(5) + at * size;
        s.dq = outputs[1].data<float>() + at * gates;
      } else {
        s.state = data(1) + at * size, s.d_state = data(2) + at * size;
      }
      recurrent_step_vjp(s);
      product(rows, size, gates, gru ? s.dq : s.dx, length * gates, weight, carry);
    }
    float* d_state = outputs[gru ? 2 : 1].data<float>() + r0 * size;
    std::copy(carry, carry + rows * size, d_state);
    if (gru) {
      for (int64_t i = 0; i < rows * size; ++i) d_state[i] += around[i];
    } else if (lstm) {
      std::copy(around, around + rows * size, outputs[2].data<float>() + r0 * size);
    }
  });
}

const RegisterKernel<Recurrent> forward{Device::cpu, &run_forward};
const RegisterKernel<RecurrentVJP> backward{Device::cpu, &run_backward};

}  // namespace

}  // namespace mlx::core::cpu
