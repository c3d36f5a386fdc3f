// backend/cpu/fast/recurrent.cpp: the elementwise half of one step of a recurrence.
#include "backend/cpu/fast/recurrent.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/fast/recurrent.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backend/cpu/fast/io-inl.h"
#include "backend/cpu/tape/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

/** A vector's worth of values, or the `rest` that a row ends with. */
struct Piece {
  int64_t at;
  size_t rest;  // 0: a whole vector
  HWY_INLINE VF get(const float* row) const {
    const DF d;
    return HWY_LIKELY(rest == 0) ? hn::LoadU(d, row + at) : load_n(d, row + at, rest);
  }
  HWY_INLINE void put(VF v, float* row) const {
    const DF d;
    HWY_LIKELY(rest == 0) ? hn::StoreU(v, d, row + at) : store_n(v, d, row + at, rest);
  }
};

template <class F>
HWY_INLINE void pieces(int64_t size, const F& body) {
  const int64_t lanes = hn::Lanes(DF());
  for (int64_t i = 0; i < size; i += lanes) {
    body(Piece{i, size - i < lanes ? static_cast<size_t>(size - i) : 0});
  }
}

void step(const RecurrentStep& p) {
  const DF d;
  const int64_t n = p.size;
  const VF one = hn::Set(d, 1.0f);
  for (int64_t r = 0; r < p.rows; ++r) {
    const float *x = p.x + r * p.x_row, *q = p.product + r * p.product_row;
    float* state = p.state + r * p.state_row;
    if (p.kind == RecurrentKind::lstm) {
      const float* before = p.before + r * p.before_row;
      float* cell = p.cell + r * p.state_row;
      pieces(n, [&](Piece at) HWY_ATTR {
        const VF i = vm::Sigmoid(d, hn::Add(at.get(x), at.get(q)));
        const VF f = vm::Sigmoid(d, hn::Add(at.get(x + n), at.get(q + n)));
        const VF g = vm::Tanh(d, hn::Add(at.get(x + 2 * n), at.get(q + 2 * n)));
        const VF o = vm::Sigmoid(d, hn::Add(at.get(x + 3 * n), at.get(q + 3 * n)));
        const VF c = hn::MulAdd(f, at.get(before), hn::Mul(i, g));
        at.put(c, cell);
        at.put(hn::Mul(o, vm::Tanh(d, c)), state);
      });
    } else if (p.kind == RecurrentKind::gru) {
      const float* before = p.before + r * p.before_row;
      pieces(n, [&](Piece at) HWY_ATTR {
        const VF g = vm::Sigmoid(d, hn::Add(at.get(x), at.get(q)));
        const VF z = vm::Sigmoid(d, hn::Add(at.get(x + n), at.get(q + n)));
        const VF qn = hn::Add(at.get(q + 2 * n), at.get(p.bias));
        const VF s = vm::Tanh(d, hn::MulAdd(g, qn, at.get(x + 2 * n)));
        at.put(hn::MulAdd(hn::Sub(one, z), s, hn::Mul(z, at.get(before))), state);
      });
    } else {
      const bool relu = p.kind == RecurrentKind::relu;
      pieces(n, [&](Piece at) HWY_ATTR {
        const VF v = hn::Add(at.get(x), at.get(q));
        // A comparison, not Max: NaN stays.
        const VF y = relu ? hn::IfThenZeroElse(hn::Lt(v, hn::Zero(d)), v) : vm::Tanh(d, v);
        at.put(y, state);
      });
    }
  }
}

void step_vjp(const RecurrentStepVJP& p) {
  const DF d;
  const int64_t n = p.size;
  const VF one = hn::Set(d, 1.0f);
  const auto slope = [&](VF y) HWY_ATTR { return hn::Mul(y, hn::Sub(one, y)); };
  const auto slope_tanh = [&](VF y) HWY_ATTR { return hn::NegMulAdd(y, y, one); };
  for (int64_t r = 0; r < p.rows; ++r) {
    const float *d_state = p.d_state + r * p.state_row, *carry = p.carry + r * n;
    float* dx = p.dx + r * p.gates_row;
    if (p.kind == RecurrentKind::lstm) {
      const float *x = p.x + r * p.gates_row, *cell = p.cell + r * p.state_row;
      const float *before = p.before + r * p.before_row, *d_cell = p.d_cell + r * p.state_row;
      float* around = p.around + r * n;
      pieces(n, [&](Piece at) HWY_ATTR {
        const VF i = vm::Sigmoid(d, at.get(x)), f = vm::Sigmoid(d, at.get(x + n));
        const VF g = vm::Tanh(d, at.get(x + 2 * n)), o = vm::Sigmoid(d, at.get(x + 3 * n));
        const VF tc = vm::Tanh(d, at.get(cell));
        const VF dh = hn::Add(at.get(d_state), at.get(carry));
        const VF dc =
            hn::MulAdd(hn::Mul(dh, o), slope_tanh(tc), hn::Add(at.get(d_cell), at.get(around)));
        at.put(hn::Mul(hn::Mul(dc, g), slope(i)), dx);
        at.put(hn::Mul(hn::Mul(dc, at.get(before)), slope(f)), dx + n);
        at.put(hn::Mul(hn::Mul(dc, i), slope_tanh(g)), dx + 2 * n);
        at.put(hn::Mul(hn::Mul(dh, tc), slope(o)), dx + 3 * n);
        at.put(hn::Mul(dc, f), around);
      });
    } else if (p.kind == RecurrentKind::gru) {
      const float *x = p.x + r * p.gates_row, *q = p.q + r * p.gates_row;
      const float* before = p.before + r * p.before_row;
      float *dq = p.dq + r * p.gates_row, *around = p.around + r * n;
      pieces(n, [&](Piece at) HWY_ATTR {
        const VF g = vm::Sigmoid(d, hn::Add(at.get(x), at.get(q)));
        const VF z = vm::Sigmoid(d, hn::Add(at.get(x + n), at.get(q + n)));
        const VF qn = at.get(q + 2 * n);
        const VF s = vm::Tanh(d, hn::MulAdd(g, qn, at.get(x + 2 * n)));
        const VF dh = hn::Add(hn::Add(at.get(d_state), at.get(carry)), at.get(around));
        const VF ds = hn::Mul(hn::Mul(dh, hn::Sub(one, z)), slope_tanh(s));
        const VF dz = hn::Mul(hn::Mul(dh, hn::Sub(at.get(before), s)), slope(z));
        const VF dg = hn::Mul(hn::Mul(ds, qn), slope(g));
        at.put(dg, dx);
        at.put(dg, dq);
        at.put(dz, dx + n);
        at.put(dz, dq + n);
        at.put(ds, dx + 2 * n);
        at.put(hn::Mul(ds, g), dq + 2 * n);
        at.put(hn::Mul(dh, z), around);
      });
    } else {
      const float* state = p.state + r * p.state_row;
      const bool relu = p.kind == RecurrentKind::relu;
      pieces(n, [&](Piece at) HWY_ATTR {
        const VF dh = hn::Add(at.get(d_state), at.get(carry)), y = at.get(state);
        at.put(relu ? hn::IfThenElseZero(hn::Gt(y, hn::Zero(d)), dh) : hn::Mul(dh, slope_tanh(y)),
               dx);
      });
    }
  }
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

HWY_EXPORT(step);
HWY_EXPORT(step_vjp);

void recurrent_step(const RecurrentStep& p) { HWY_DYNAMIC_DISPATCH(step)(p); }
void recurrent_step_vjp(const RecurrentStepVJP& p) { HWY_DYNAMIC_DISPATCH(step_vjp)(p); }

}  // namespace mlx::core::cpu
#endif
