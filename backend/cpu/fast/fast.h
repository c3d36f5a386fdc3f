// backend/cpu/fast/fast.h: raw kernels of normalisation, softmax, rotary embedding and attention.
//
// Contracts of every function here: the caller allocates all inputs and outputs; nothing has to be
// aligned beyond its element type; dtypes are float32, float16 or bfloat16, and float64 where it is
// said; float16, bfloat16 and float32 accumulate in float32, float64 in float64. Work is split over
// the CPU pool by the function itself and the bits of the result don't depend on the number of
// threads. Sizes may be 0. Another dtype throws std::invalid_argument.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mlx/dtype.h"

namespace mlx::core::cpu {

// ---- Normalisation (also float64)
// ----------------------------------------------------------------- x, out and gradients are [rows,
// n] without gaps, weight and bias [n], all of dtype. weight and bias may be null (1 and 0). out
// may be x. The normalised value is rounded to dtype before weight multiplies it.

/** out = x / sqrt(mean(x^2) + eps) * weight, along a row. */
void rms_norm(const void* x, const void* weight, void* out, Dtype::Val dtype, size_t rows, size_t n,
              float eps);
/** Gradients from dout; dx (may be dout) and dweight may be null: not wanted. */
void rms_norm_vjp(const void* x, const void* weight, const void* dout, Dtype::Val dtype,
                  size_t rows, size_t n, float eps, void* dx, void* dweight);

/** out = (x - mean) / sqrt(variance + eps) * weight + bias, along a row. */
void layer_norm(const void* x, const void* weight, const void* bias, void* out, Dtype::Val dtype,
                size_t rows, size_t n, float eps);
/** As rms_norm_vjp; dbias may be null too. */
void layer_norm_vjp(const void* x, const void* weight, const void* dout, Dtype::Val dtype,
                    size_t rows, size_t n, float eps, void* dx, void* dweight, void* dbias);

// ---- Softmax (also float64)
// ----------------------------------------------------------------------- in is [outer, n, inner]
// without gaps and the axis is n: inner = 1 is the last axis.

/** out may be in. A row that holds NaN or +infinity, or only -infinity, is NaN. */
void softmax(const void* in, void* out, Dtype::Val dtype, size_t outer, size_t n, size_t inner);
/** out is [outer, inner] of dtype: log(sum(exp(in))); n = 0 or only -infinity gives -infinity. */
void logsumexp(const void* in, void* out, Dtype::Val dtype, size_t outer, size_t n, size_t inner);

/** loss[r] = log(sum(exp(row r))) - row r [target r], targets in [0, n). Losses and their
 * cotangents are float, for float64 logits double. */
void cross_entropy(const void* logits, const int64_t* targets, void* loss, Dtype::Val dtype,
                   size_t rows, size_t n);
void cross_entropy_vjp(const void* logits, const int64_t* targets, const void* dloss, void* dlogits,
                       Dtype::Val dtype, size_t rows, size_t n);

// ---- Gated delta rule
// ------------------------------------------------------------------------------------

/**
 * For each of batch * heads: a state of value_dim rows of key_dim numbers, and at each time
 *   state *= gate; state += beta (v - state k) k^T; out = state q
 * Arrays are without gaps: q, k [batch, time, key_heads, key_dim], v and out [batch, time, heads,
 * value_dim], gate [batch, time, heads, gate_dim], beta [batch, time, heads], states [batch, heads,
 * value_dim, key_dim]. A step whose mask [batch, time] is false gives 0 and keeps the state.
 */
template <class T>
struct GatedDelta {
  size_t batch, time, key_heads, heads, key_dim, value_dim;
  size_t gate_dim;  // 1 or key_dim
  const T *q, *k, *v, *gate, *beta;
  const T* state;    // the first one; null: zeros
  const bool* mask;  // null: all true
};
template <class T>
void gated_delta(const GatedDelta<T>& args, T* out, T* last_state);

/** Cotangents of out and last_state (either may be null), and of the inputs; dstate may be null. */
template <class T>
struct GatedDeltaGrads {
  const T *dout, *dlast_state;
  T *dq, *dk, *dv, *dgate, *dbeta, *dstate;
};
template <class T>
void gated_delta_vjp(const GatedDelta<T>& args, const GatedDeltaGrads<T>& grads);

// ---- Rotary embedding
// -----------------------------------------------------------------------------

struct Rope {
  Dtype::Val dtype;
  size_t batch, heads, length, head_dim;
  const void* in;
  int64_t in_strides[4];  // in elements; over batch, heads, length, head_dim
  void* out;              // may be in, with the same strides
  int64_t out_strides[4];
  size_t dims;             // even; the rest of head_dim is copied
  bool traditional;        // pairs (2i, 2i+1), else (i, i + dims/2)
  double base;             // where freqs is null: pair i turns by base^(-2i/dims) a position
  const float* freqs;      // dims/2 values, or null: pair i turns by 1/freqs[i] a position
  float scale;             // of positions
  const int64_t* offsets;  // position of the first row
  size_t offset_step;      // 0: one offset for all; 1: one for each batch entry
  bool inverse;            // turns back: the gradient
};
void rope(const Rope& args);

// ---- Attention
// --------------------------------------------------------------------------------------

/** A [batch, heads, rows, columns] array anywhere in memory; strides in elements, 0 for broadcast.
 */
struct AttentionOperand {
  const void* data;
  int64_t strides[4];
};

struct Attention {
  Dtype::Val dtype;  // of q, k, v and out
  size_t batch, heads, kv_heads, queries, keys, head_dim, value_dim;
  AttentionOperand q;  // [batch, heads, queries, head_dim]; heads is a multiple of kv_heads
  AttentionOperand k;  // [batch, kv_heads, keys, head_dim]
  AttentionOperand v;  // [batch, kv_heads, keys, value_dim]
  float scale;
  /** Key j is visible to query i where j <= i + keys - queries. */
  bool causal;
  /** data null: none. bool_: true is visible; else added to scores (float32, float16, bfloat16). */
  AttentionOperand mask;
  Dtype::Val mask_dtype;
  /** An extra logit a head that takes its share of the softmax and gives nothing; null: none. */
  const float* sinks;
};

/**
 * out = softmax(scale q k^T + mask) v. Memory doesn't grow with queries * keys. A query for which
 * nothing is visible (by causal or a boolean mask) sees all keys alike; one whose additive mask is
 * -infinity everywhere gives NaN; keys = 0 gives zeros. lse, if not null, is [batch, heads,
 * queries] without gaps and receives log(sum(exp(scores))), sinks included: attention_vjp wants it.
 */
void attention(const Attention& args, void* out, const int64_t (&out_strides)[4], float* lse);

/** Gradients wanted of attention; each may be null. dq, dk, dv are of dtype and without gaps. */
struct AttentionGrads {
  void* dq;       // [batch, heads, queries, head_dim]
  void* dk;       // [batch, kv_heads, keys, head_dim]
  void* dv;       // [batch, kv_heads, keys, value_dim]
  float* dsinks;  // [heads]
  float* dmask;   // [batch, heads, queries, keys]: of the additive mask before it was broadcast
};

/** out and dout are [batch, heads, queries, value_dim]. Recomputes the scores from lse. */
void attention_vjp(const Attention& args, const AttentionOperand& out, const float* lse,
                   const AttentionOperand& dout, const AttentionGrads& grads);

}  // namespace mlx::core::cpu
