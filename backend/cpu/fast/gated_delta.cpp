// backend/cpu/fast/gated_delta.cpp: the gated delta rule and its gradient. Rows of the state do not
// know of each other: forwards, some rows go through all times together while they are in cache;
// backwards, the states of one row at all times are kept.
#include <algorithm>
#include <cstring>

#include "backend/cpu/fast/fast.h"
#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/fast/gated_delta.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backend/cpu/fast/io-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

constexpr size_t kTogether = 4;  // rows whose sums run side by side

template <class T>
size_t padded(size_t n) {
  constexpr size_t kLanes = 64 / sizeof(T);
  return (n + kLanes - 1) / kLanes * kLanes;
}

/** n values, or a copy in room with zeros up to a whole vector. */
template <class T>
const T* whole(const T* p, size_t n, T* room) {
  const size_t wide = padded<T>(n);
  if (wide == n) return p;
  std::copy_n(p, n, room);
  std::fill(room + n, room + wide, T(0));
  return room;
}

/** One time for R rows of the state: s [R][wide]. */
template <size_t R, class T>
HWY_INLINE void step(T* s, size_t wide, const T* gate, bool one_gate, const T* k, const T* q,
                     T beta, const T* v, T* out) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const size_t lanes = hn::Lanes(d);
  V sum[R];
  for (size_t r = 0; r < R; ++r) sum[r] = hn::Zero(d);
  const auto g1 = hn::Set(d, gate[0]);
  for (size_t i = 0; i < wide; i += lanes) {
    const auto g = one_gate ? g1 : hn::LoadU(d, gate + i);
    const auto kv = hn::LoadU(d, k + i);
    for (size_t r = 0; r < R; ++r) {
      const auto x = hn::Mul(hn::LoadU(d, s + r * wide + i), g);
      hn::StoreU(x, d, s + r * wide + i);
      sum[r] = hn::MulAdd(x, kv, sum[r]);
    }
  }
  V delta[R];
  for (size_t r = 0; r < R; ++r) {
    delta[r] = hn::Set(d, beta * (v[r] - hn::GetLane(hn::SumOfLanes(d, sum[r]))));
    sum[r] = hn::Zero(d);
  }
  for (size_t i = 0; i < wide; i += lanes) {
    const auto kv = hn::LoadU(d, k + i), qv = hn::LoadU(d, q + i);
    for (size_t r = 0; r < R; ++r) {
      const auto x = hn::MulAdd(delta[r], kv, hn::LoadU(d, s + r * wide + i));
      hn::StoreU(x, d, s + r * wide + i);
      sum[r] = hn::MulAdd(x, qv, sum[r]);
    }
  }
  for (size_t r = 0; r < R; ++r) out[r] = hn::GetLane(hn::SumOfLanes(d, sum[r]));
}

/** Rows [first, first + rows) of the state of head h of batch entry b. */
template <class T>
void rows_forward(const GatedDelta<T>& a, size_t b, size_t h, size_t first, size_t rows, T* out,
                  T* last) {
  static thread_local Scratch scratch;
  const size_t wide = padded<T>(a.key_dim);
  T* s = static_cast<T*>(scratch.get((rows + 3) * wide * sizeof(T)));
  T* room = s + rows * wide;
  std::fill(s, room, T(0));
  const size_t state_at = (b * a.heads + h) * a.value_dim + first;
  for (size_t r = 0; r < rows && a.state; ++r) {
    std::copy_n(a.state + (state_at + r) * a.key_dim, a.key_dim, s + r * wide);
  }
  const size_t key_head = h / (a.heads / a.key_heads);
  const bool one_gate = a.gate_dim == 1;
  for (size_t t = 0; t < a.time; ++t) {
    const size_t bt = b * a.time + t, at = bt * a.heads + h;
    T* o = out + at * a.value_dim + first;
    if (a.mask && !a.mask[bt]) {
      std::fill_n(o, rows, T(0));
      continue;
    }
    const size_t keys = (bt * a.key_heads + key_head) * a.key_dim;
    const T* k = whole(a.k + keys, a.key_dim, room);
    const T* q = whole(a.q + keys, a.key_dim, room + wide);
    const T* gate = a.gate + at * a.gate_dim;
    if (!one_gate) gate = whole(gate, a.key_dim, room + 2 * wide);
    const T* v = a.v + at * a.value_dim + first;
    size_t r = 0;
    for (; r + kTogether <= rows; r += kTogether) {
      step<kTogether>(s + r * wide, wide, gate, one_gate, k, q, a.beta[at], v + r, o + r);
    }
    for (; r < rows; ++r) {
      step<1>(s + r * wide, wide, gate, one_gate, k, q, a.beta[at], v + r, o + r);
    }
  }
  for (size_t r = 0; r < rows; ++r) {
    std::copy_n(s + r * wide, a.key_dim, last + (state_at + r) * a.key_dim);
  }
}

template <class T>
HWY_INLINE T dot(const T* a, const T* b, size_t wide) {
  const hn::ScalableTag<T> d;
  auto sum = hn::Zero(d);
  for (size_t i = 0; i < wide; i += hn::Lanes(d)) {
    sum = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

/** y += c x. */
template <class T>
HWY_INLINE void add_scaled(T c, const T* x, T* y, size_t wide) {
  const hn::ScalableTag<T> d;
  const auto cv = hn::Set(d, c);
  for (size_t i = 0; i < wide; i += hn::Lanes(d)) {
    hn::StoreU(hn::MulAdd(cv, hn::LoadU(d, x + i), hn::LoadU(d, y + i)), d, y + i);
  }
}

/** out = a * gate (one value, or one for each component). */
template <class T>
HWY_INLINE void gated(const T* a, const T* gate, bool one_gate, T* out, size_t wide) {
  const hn::ScalableTag<T> d;
  for (size_t i = 0; i < wide; i += hn::Lanes(d)) {
    const auto g = one_gate ? hn::Set(d, gate[0]) : hn::LoadU(d, gate + i);
    hn::StoreU(hn::Mul(hn::LoadU(d, a + i), g), d, out + i);
  }
}

/** The gradients of the heads that share a key head of a batch entry. */
template <class T>
void heads_backward(const GatedDelta<T>& a, const GatedDeltaGrads<T>& g, size_t b,
                    size_t key_head) {
  const size_t wide = padded<T>(a.key_dim), time = a.time, ratio = a.heads / a.key_heads;
  const bool one_gate = a.gate_dim == 1;
  const size_t gates = one_gate ? 1 : wide;
  Scratch scratch;
  T* dq = static_cast<T*>(
      scratch.get((5 * time * wide + time * gates + 4 * time + 4 * wide) * sizeof(T)));
  T *dk = dq + time * wide, *q = dk + time * wide, *k = q + time * wide;
  T* before = k + time * wide;  // the state at each time before its step
  T *dgate = before + time * wide, *dbeta = dgate + time * gates;
  T *delta = dbeta + time, *miss = delta + time;
  T *s = miss + 2 * time, *ds = s + wide, *moved = ds + wide, *room = moved + wide;
  std::fill(dq, q, T(0));
  for (size_t t = 0; t < time; ++t) {
    const size_t at = ((b * time + t) * a.key_heads + key_head) * a.key_dim;
    std::fill(q + t * wide, q + (t + 1) * wide, T(0));
    std::fill(k + t * wide, k + (t + 1) * wide, T(0));
    std::copy_n(a.q + at, a.key_dim, q + t * wide);
    std::copy_n(a.k + at, a.key_dim, k + t * wide);
  }
  for (size_t h = key_head * ratio; h < (key_head + 1) * ratio; ++h) {
    std::fill(dgate, dgate + time * gates + time, T(0));
    const auto gate_at = [&](size_t t) {
      const T* p = a.gate + ((b * time + t) * a.heads + h) * a.gate_dim;
      return one_gate ? p : whole(p, a.key_dim, room);
    };
    for (size_t row = 0; row < a.value_dim; ++row) {
      const size_t state_at = ((b * a.heads + h) * a.value_dim + row) * a.key_dim;
      std::fill(s, s + 2 * wide, T(0));
      if (a.state) std::copy_n(a.state + state_at, a.key_dim, s);
      if (g.dlast_state) std::copy_n(g.dlast_state + state_at, a.key_dim, ds);
      for (size_t t = 0; t < time; ++t) {
        const size_t bt = b * time + t, at = bt * a.heads + h;
        std::copy_n(s, wide, before + t * wide);
        if (a.mask && !a.mask[bt]) continue;
        gated(s, gate_at(t), one_gate, s, wide);
        miss[t] = a.v[at * a.value_dim + row] - dot(s, k + t * wide, wide);
        delta[t] = a.beta[at] * miss[t];
        add_scaled(delta[t], k + t * wide, s, wide);
      }
      for (size_t t = time; t-- > 0;) {
        const size_t bt = b * time + t, at = bt * a.heads + h;
        T& dv = g.dv[at * a.value_dim + row];
        dv = T(0);
        if (a.mask && !a.mask[bt]) continue;
        const T *kt = k + t * wide, *gate = gate_at(t), *old = before + t * wide;
        gated(old, gate, one_gate, moved, wide);  // the state after the gate
        if (g.dout) {
          const T dout = g.dout[at * a.value_dim + row];
          add_scaled(dout, moved, dq + t * wide, wide);
          add_scaled(dout * delta[t], kt, dq + t * wide, wide);
          add_scaled(dout, q + t * wide, ds, wide);
        }
        const T ddelta = dot(ds, kt, wide);
        dv = a.beta[at] * ddelta;
        dbeta[t] += miss[t] * ddelta;
        add_scaled(delta[t], ds, dk + t * wide, wide);
        add_scaled(-dv, moved, dk + t * wide, wide);
        add_scaled(-dv, kt, ds, wide);
        if (one_gate) {
          dgate[t] += dot(ds, old, wide);
        } else {
          gated(ds, old, false, moved, wide);
          add_scaled(T(1), moved, dgate + t * wide, wide);
        }
        gated(ds, gate, one_gate, ds, wide);
      }
      if (g.dstate) std::copy_n(ds, a.key_dim, g.dstate + state_at);
    }
    for (size_t t = 0; t < time; ++t) {
      const size_t at = (b * time + t) * a.heads + h;
      g.dbeta[at] = dbeta[t];
      std::copy_n(dgate + t * gates, a.gate_dim, g.dgate + at * a.gate_dim);
    }
  }
  for (size_t t = 0; t < time; ++t) {
    const size_t at = ((b * time + t) * a.key_heads + key_head) * a.key_dim;
    std::copy_n(dq + t * wide, a.key_dim, g.dq + at);
    std::copy_n(dk + t * wide, a.key_dim, g.dk + at);
  }
}

void forward_float(const GatedDelta<float>& a, size_t b, size_t h, size_t first, size_t rows,
                   float* out, float* last) {
  rows_forward(a, b, h, first, rows, out, last);
}
void forward_double(const GatedDelta<double>& a, size_t b, size_t h, size_t first, size_t rows,
                    double* out, double* last) {
  rows_forward(a, b, h, first, rows, out, last);
}
void backward_float(const GatedDelta<float>& a, const GatedDeltaGrads<float>& g, size_t b,
                    size_t h) {
  heads_backward(a, g, b, h);
}
void backward_double(const GatedDelta<double>& a, const GatedDeltaGrads<double>& g, size_t b,
                     size_t h) {
  heads_backward(a, g, b, h);
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

namespace {
HWY_EXPORT(forward_float);
HWY_EXPORT(forward_double);
HWY_EXPORT(backward_float);
HWY_EXPORT(backward_double);
constexpr size_t kBlock = 16;  // rows of a task
}  // namespace

template <class T>
void gated_delta(const GatedDelta<T>& a, T* out, T* last_state) {
  const size_t blocks = (a.value_dim + kBlock - 1) / kBlock, heads = a.batch * a.heads;
  const size_t work = kBlock * a.key_dim * (a.time + 1);
  parallel_range(int64_t(heads * blocks), int64_t(std::max<size_t>(1, 16384 / work)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t task = begin; task < end; ++task) {
                     const size_t bh = size_t(task) / blocks;
                     const size_t first = size_t(task) % blocks * kBlock;
                     const size_t rows = std::min(kBlock, a.value_dim - first);
                     if constexpr (std::is_same_v<T, float>) {
                       HWY_DYNAMIC_DISPATCH(forward_float)
                       (a, bh / a.heads, bh % a.heads, first, rows, out, last_state);
                     } else {
                       HWY_DYNAMIC_DISPATCH(forward_double)
                       (a, bh / a.heads, bh % a.heads, first, rows, out, last_state);
                     }
                   }
                 });
}

template <class T>
void gated_delta_vjp(const GatedDelta<T>& a, const GatedDeltaGrads<T>& g) {
  parallel_for(int64_t(a.batch * a.key_heads), [&](int64_t task) {
    const size_t b = size_t(task) / a.key_heads, h = size_t(task) % a.key_heads;
    if constexpr (std::is_same_v<T, float>) {
      HWY_DYNAMIC_DISPATCH(backward_float)(a, g, b, h);
    } else {
      HWY_DYNAMIC_DISPATCH(backward_double)(a, g, b, h);
    }
  });
}

template void gated_delta<float>(const GatedDelta<float>&, float*, float*);
template void gated_delta<double>(const GatedDelta<double>&, double*, double*);
template void gated_delta_vjp<float>(const GatedDelta<float>&, const GatedDeltaGrads<float>&);
template void gated_delta_vjp<double>(const GatedDelta<double>&, const GatedDeltaGrads<double>&);

}  // namespace mlx::core::cpu
#endif
