// backend/cpu/fast/attention_vjp.cpp: the gradient of attention. Probabilities are recomputed block
// by block from the saved logarithms of their denominators, once for dq (blocks of queries own
// their rows) and once for dk and dv (blocks of keys own theirs): nothing is added up across
// threads.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "backend/cpu/fast/check.h"
#include "backend/cpu/fast/fast.h"
#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/fast/attention_vjp.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backend/cpu/fast/attention-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

constexpr size_t kKeys = 128;
constexpr size_t kRows = 84;
constexpr size_t kLine = kKeys + 16;  // between rows of scores, which are also read down columns

size_t row_index(const Attention& a, size_t b, size_t head, size_t query) {
  return (b * a.heads + head) * a.queries + query;
}

/** A piece of scratch memory, taken in turn. */
struct Pieces {
  float* at;
  float* take(size_t n) {
    float* piece = at;
    at += round_up(n, 16);
    return piece;
  }
};

/** Memory of one task: rows of queries against a block of keys. */
struct Work {
  size_t dim, vdim;            // padded to whole panels
  float *q, *g;                // [kRows][dim] times scale, [kRows][vdim]: queries and dout
  float *k, *v;                // [kKeys][dim], [kKeys][vdim]
  float *k_across, *v_across;  // transposed panels
  float *p, *ds;               // [kRows][kLine]: probabilities, gradient of scores
  float* panels;               // of q, g or k
  float* k_panels;             // of k, beside those of q and g
  float *sum, *sum2;           // results, up to kKeys x wider of dim and vdim

  Work(const Attention& a, Scratch& scratch)
      : dim(round_up(a.head_dim, kTileCols)), vdim(round_up(a.value_dim, kTileCols)) {
    const size_t wide = std::max(dim, vdim);
    Pieces pieces{scratch.floats((kRows + 3 * kKeys) * (dim + vdim) + 2 * kRows * kLine +
                                 kKeys * (wide + dim) + 12 * 16)};
    q = pieces.take(kRows * dim);
    g = pieces.take(kRows * vdim);
    k = pieces.take(kKeys * dim);
    v = pieces.take(kKeys * vdim);
    k_across = pieces.take(kKeys * dim);
    v_across = pieces.take(kKeys * vdim);
    p = pieces.take(kRows * kLine);
    ds = pieces.take(kRows * kLine);
    panels = pieces.take(kKeys * wide);
    k_panels = pieces.take(kKeys * dim);
    sum = pieces.take(kKeys * dim);
    sum2 = pieces.take(kKeys * vdim);
  }
};

void read_queries(const Attention& a, const AttentionOperand& dout, const RowMap& map, size_t b,
                  size_t row0, size_t rows, Work& w) {
  for (size_t r = 0; r < rows; ++r) {
    const size_t head = map.head(row0 + r);
    const size_t query = map.query(row0 + r);
    read_row(a.dtype, a.q, b, head, query, a.head_dim, w.dim, a.scale, w.q + r * w.dim);
    read_row(a.dtype, dout, b, head, query, a.value_dim, w.vdim, 1.0f, w.g + r * w.vdim);
  }
}

void read_keys(const Attention& a, size_t b, size_t kv, size_t key, size_t n, Work& w) {
  for (size_t j = 0; j < n; ++j) {
    read_row(a.dtype, a.k, b, kv, key + j, a.head_dim, w.dim, 1.0f, w.k + j * w.dim);
    read_row(a.dtype, a.v, b, kv, key + j, a.value_dim, w.vdim, 1.0f, w.v + j * w.vdim);
  }
  to_panels_transposed(w.k, w.dim, n, a.head_dim, w.k_across);
  to_panels_transposed(w.v, w.vdim, n, a.value_dim, w.v_across);
}

/** p and ds of rows read by read_queries against keys read by read_keys. */
void recompute(const Attention& a, const RowMap& map, size_t b, size_t row0, size_t rows,
               size_t key, size_t n, const float* lse, const float* delta, Work& w) {
  const DF d;
  const size_t all = round_up(n, kTileCols);
  for (size_t r = 0; r < rows; r += kTileRows) {
    const size_t count = HWY_MIN(kTileRows, rows - r);
    const size_t seen = round_up(
        keys_seen(a, map.query(row0 + r), map.query(row0 + r + count - 1), key, n), kTileCols);
    tile_block(count, seen, a.head_dim, w.q + r * w.dim, w.dim, 1, w.k_across, w.p + r * kLine,
               kLine, false);
    tile_block(count, seen, a.value_dim, w.g + r * w.vdim, w.vdim, 1, w.v_across, w.ds + r * kLine,
               kLine, false);
  }
  for (size_t r = 0; r < rows; ++r) {
    const size_t head = map.head(row0 + r);
    const size_t query = map.query(row0 + r);
    const size_t at = row_index(a, b, head, query);
    float* p = w.p + r * kLine;
    float* ds = w.ds + r * kLine;
    const size_t live = mask_scores(a, b, head, query, key, n, p);
    // A query that saw nothing looked at all keys alike, whatever the scores.
    const bool blind = lse[at] < 0.999f * kMasked && lse[at] >= kMasked;
    if (blind) {
      std::fill(p, p + n, 1.0f / float(a.keys));
      std::fill(p + n, p + all, 0.0f);
      std::fill(ds, ds + all, 0.0f);
      continue;
    }
    exp_in_place(p, live, all, lse[at]);
    const VF shift = hn::Set(d, delta[at]);
    for (size_t j = 0; j < live; j += hn::Lanes(d)) {
      const VF x = hn::Sub(hn::LoadU(d, ds + j), shift);
      hn::StoreU(hn::Mul(hn::LoadU(d, p + j), x), d, ds + j);
    }
    std::fill(ds + live, ds + all, 0.0f);
  }
}

/** delta = sum over an output row of dout * out. */
void deltas(const Attention& a, const AttentionOperand& out, const AttentionOperand& dout,
            size_t begin, size_t end, float* delta) {
  static thread_local Scratch scratch;
  const DF d;
  float* x = scratch.floats(2 * a.value_dim);
  float* y = x + a.value_dim;
  for (size_t i = begin; i < end; ++i) {
    const size_t b = i / a.queries / a.heads;
    const size_t h = i / a.queries % a.heads;
    read_row(a.dtype, out, b, h, i % a.queries, a.value_dim, a.value_dim, 1.0f, x);
    read_row(a.dtype, dout, b, h, i % a.queries, a.value_dim, a.value_dim, 1.0f, y);
    delta[i] = sum_of_terms(d, x, a.value_dim, [&](size_t c, VF v) HWY_ATTR {
      const size_t left = a.value_dim - c;
      return hn::Mul(v, left >= hn::Lanes(d) ? hn::LoadU(d, y + c) : load_n(d, y + c, left));
    });
  }
}

/** sums [rows][dim] += ds k, from the panels of k. */
void add_query_grads(const Attention& a, const RowMap& map, size_t row0, size_t rows, size_t key,
                     size_t n, const Work& w, float* sums) {
  for (size_t r = 0; r < rows; r += kTileRows) {
    const size_t count = HWY_MIN(kTileRows, rows - r);
    const size_t seen = keys_seen(a, map.query(row0 + r), map.query(row0 + r + count - 1), key, n);
    for (size_t c = 0; c < w.dim; c += kTileCols) {
      tile(count, seen, w.ds + r * kLine, kLine, 1, w.k_panels + c * n, sums + r * w.dim + c, w.dim,
           true);
    }
  }
}

/** sums [n][cols] += x^T y: x are scores of rows against keys, y in panels of as many rows. */
void add_key_grads(const Attention& a, const RowMap& map, size_t row0, size_t rows, size_t key,
                   size_t n, const float* x, const float* y, size_t cols, float* sums) {
  for (size_t j = 0; j < n; j += kTileRows) {
    const size_t count = HWY_MIN(kTileRows, n - j);
    const size_t skip = rows_blind(a, map, row0, rows, key + j);
    for (size_t c = 0; c < cols; c += kTileCols) {
      tile(count, rows - skip, x + skip * kLine + j, 1, kLine, y + c * rows + skip * kTileCols,
           sums + j * cols + c, cols, true);
    }
  }
}

void write_query_grads(const Attention& a, const RowMap& map, size_t b, size_t row0, size_t rows,
                       float* sums, size_t dim, const AttentionGrads& to) {
  for (size_t r = 0; r < rows; ++r) {
    scale_in_place(sums + r * dim, a.head_dim, a.scale);
    const size_t at = row_index(a, b, map.head(row0 + r), map.query(row0 + r));
    write_row(a.dtype, to.dq, int64_t(at * a.head_dim), 1, sums + r * dim, a.head_dim);
  }
}

/** dq and dmask of rows [row0, row0 + rows) of one key head. */
void query_grads(const Attention& a, const AttentionOperand& dout, const float* lse,
                 const float* delta, const AttentionGrads& to, size_t b, size_t kv, size_t row0,
                 size_t rows) {
  static thread_local Scratch scratch;
  const RowMap map{a.heads / a.kv_heads, kv};
  Work w(a, scratch);
  read_queries(a, dout, map, b, row0, rows, w);
  std::fill(w.sum, w.sum + rows * w.dim, 0.0f);
  // All keys where dmask is wanted: it is zero, not unset, where nothing is seen.
  const size_t end =
      to.dmask ? a.keys : keys_that_matter(a, map.query(row0), map.query(row0 + rows - 1));
  for (size_t key = 0; key < end; key += kKeys) {
    const size_t n = std::min(kKeys, end - key);
    read_keys(a, b, kv, key, n, w);
    recompute(a, map, b, row0, rows, key, n, lse, delta, w);
    if (to.dmask) {
      for (size_t r = 0; r < rows; ++r) {
        const size_t at = row_index(a, b, map.head(row0 + r), map.query(row0 + r));
        std::copy_n(w.ds + r * kLine, n, to.dmask + at * a.keys + key);
      }
    }
    if (to.dq) {
      to_panels(w.k, w.dim, n, w.dim, w.k_panels);
      add_query_grads(a, map, row0, rows, key, n, w, w.sum);
    }
  }
  if (to.dq) write_query_grads(a, map, b, row0, rows, w.sum, w.dim, to);
}

/** dk and dv of keys [key, key + n) of one key head, n <= kKeys. Where dq is given, what these keys
 *  give to it is added there: [rows][dim of Work]. */
void key_grads(const Attention& a, const AttentionOperand& dout, const float* lse,
               const float* delta, const AttentionGrads& to, size_t b, size_t kv, size_t key,
               size_t n, float* dq) {
  static thread_local Scratch scratch;
  const RowMap map{a.heads / a.kv_heads, kv};
  Work w(a, scratch);
  read_keys(a, b, kv, key, n, w);
  if (dq) to_panels(w.k, w.dim, n, w.dim, w.k_panels);
  std::fill(w.sum, w.sum + n * w.dim, 0.0f);
  std::fill(w.sum2, w.sum2 + n * w.vdim, 0.0f);
  const size_t all = map.group * a.queries;
  for (size_t row = 0; row < all; row += kRows) {
    const size_t rows = std::min(kRows, all - row);
    if (keys_that_matter(a, map.query(row), map.query(row + rows - 1)) <= key) continue;
    read_queries(a, dout, map, b, row, rows, w);
    recompute(a, map, b, row, rows, key, n, lse, delta, w);
    to_panels(w.q, w.dim, rows, w.dim, w.panels);
    add_key_grads(a, map, row, rows, key, n, w.ds, w.panels, w.dim, w.sum);
    to_panels(w.g, w.vdim, rows, w.vdim, w.panels);
    add_key_grads(a, map, row, rows, key, n, w.p, w.panels, w.vdim, w.sum2);
    if (dq) add_query_grads(a, map, row, rows, key, n, w, dq + row * w.dim);
  }
  for (size_t j = 0; j < n; ++j) {
    const size_t at = (b * a.kv_heads + kv) * a.keys + key + j;
    if (to.dk)
      write_row(a.dtype, to.dk, int64_t(at * a.head_dim), 1, w.sum + j * w.dim, a.head_dim);
    if (to.dv)
      write_row(a.dtype, to.dv, int64_t(at * a.value_dim), 1, w.sum2 + j * w.vdim, a.value_dim);
  }
}

/** All of one key head: probabilities are computed once for dq, dk and dv. */
void head_grads(const Attention& a, const AttentionOperand& dout, const float* lse,
                const float* delta, const AttentionGrads& to, size_t b, size_t kv) {
  static thread_local Scratch scratch;
  const RowMap map{a.heads / a.kv_heads, kv};
  const size_t rows = map.group * a.queries, dim = round_up(a.head_dim, kTileCols);
  float* dq = scratch.floats(rows * dim);
  std::fill(dq, dq + rows * dim, 0.0f);
  for (size_t key = 0; key < a.keys; key += kKeys)
    key_grads(a, dout, lse, delta, to, b, kv, key, std::min(kKeys, a.keys - key), dq);
  write_query_grads(a, map, b, 0, rows, dq, dim, to);
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
namespace {

HWY_EXPORT(deltas);
HWY_EXPORT(query_grads);
HWY_EXPORT(key_grads);
HWY_EXPORT(head_grads);

constexpr size_t kBand = 84;         // kRows
constexpr size_t kKeysOfTask = 128;  // kKeys

/** A sink takes the share exp(sink - lse) of a query's softmax and gives nothing for it. */
void sink_grads(const Attention& a, const float* lse, const float* delta, float* dsinks) {
  for (size_t h = 0; h < a.heads; ++h) {
    double sum = 0;
    for (size_t b = 0; a.sinks && b < a.batch; ++b) {
      for (size_t i = 0; i < a.queries; ++i) {
        const size_t at = (b * a.heads + h) * a.queries + i;
        sum -= std::exp(double(a.sinks[h]) - double(lse[at])) * double(delta[at]);
      }
    }
    dsinks[h] = float(sum);
  }
}

}  // namespace

void attention_vjp(const Attention& a, const AttentionOperand& out, const float* lse,
                   const AttentionOperand& dout, const AttentionGrads& grads) {
  check_float("scaled_dot_product_attention", a.dtype, false);
  const size_t size = a.dtype == Dtype::Val::float32 ? 4 : 2;
  const auto zero = [&](void* p, size_t bytes) {
    if (p) std::fill_n(static_cast<char*>(p), bytes, char(0));
  };
  if (a.batch * a.heads * a.queries * a.keys == 0) {
    zero(grads.dq, a.batch * a.heads * a.queries * a.head_dim * size);
    zero(grads.dk, a.batch * a.kv_heads * a.keys * a.head_dim * size);
    zero(grads.dv, a.batch * a.kv_heads * a.keys * a.value_dim * size);
    zero(grads.dsinks, a.heads * sizeof(float));
    return;
  }
  const size_t rows = a.heads / a.kv_heads * a.queries;
  const size_t heads = a.batch * a.kv_heads;
  Scratch scratch;
  float* delta = scratch.floats(a.batch * a.heads * a.queries);
  parallel_range(int64_t(a.batch * a.heads * a.queries), 64, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(deltas)(a, out, dout, size_t(begin), size_t(end), delta);
  });
  // Heads whole, where there are enough to share; both ways sum in the same order.
  const bool whole_heads =
      grads.dq && (grads.dk || grads.dv) && !grads.dmask && heads >= size_t(2 * num_threads());
  if (whole_heads) {
    parallel_for(int64_t(heads), [&](int64_t h) {
      HWY_DYNAMIC_DISPATCH(head_grads)
      (a, dout, lse, delta, grads, size_t(h) / a.kv_heads, size_t(h) % a.kv_heads);
    });
  }
  if (!whole_heads && (grads.dq || grads.dmask)) {
    const size_t bands = (rows + kBand - 1) / kBand;
    parallel_for(int64_t(heads * bands), [&](int64_t t) {
      const size_t h = size_t(t) / bands;
      const size_t row = (bands - 1 - size_t(t) % bands) * kBand;  // long causal rows first
      HWY_DYNAMIC_DISPATCH(query_grads)
      (a, dout, lse, delta, grads, h / a.kv_heads, h % a.kv_heads, row,
       std::min(kBand, rows - row));
    });
  }
  if (!whole_heads && (grads.dk || grads.dv)) {
    const size_t blocks = (a.keys + kKeysOfTask - 1) / kKeysOfTask;
    parallel_for(int64_t(heads * blocks), [&](int64_t t) {
      const size_t h = size_t(t) / blocks;
      const size_t key = size_t(t) % blocks * kKeysOfTask;
      HWY_DYNAMIC_DISPATCH(key_grads)
      (a, dout, lse, delta, grads, h / a.kv_heads, h % a.kv_heads, key,
       std::min(kKeysOfTask, a.keys - key), nullptr);
    });
  }
  if (grads.dsinks) sink_grads(a, lse, delta, grads.dsinks);
}

}  // namespace mlx::core::cpu
#endif
