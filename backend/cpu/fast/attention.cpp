// backend/cpu/fast/attention.cpp: softmax(q k^T) v in blocks of keys with a running maximum and
// sum.
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "backend/cpu/fast/attention_out.h"
#include "backend/cpu/fast/check.h"
#include "backend/cpu/fast/fast.h"
#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/fast/attention.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backend/cpu/fast/attention-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr size_t kKeys = 256;  // a block; its scores of one tile of rows stay in L1

HWY_INLINE void write_result(const Attention& a, const AttentionOut& to, size_t b, size_t head,
                             size_t query, const float* sums, float max, float total, float* row) {
  // total 0 is a row of -infinity: 0/0.
  const float inverse = 1.0f / total;
  for (size_t c = 0; c < a.value_dim; ++c) row[c] = sums[c] * inverse;
  write_row(
      a.dtype, to.out,
      int64_t(b) * to.strides[0] + int64_t(head) * to.strides[1] + int64_t(query) * to.strides[2],
      to.strides[3], row, a.value_dim);
  if (to.lse) to.lse[(b * a.heads + head) * a.queries + query] = max + std::log(total);
}

/** Rows [row0, row0 + rows) of the queries of one key head. */
void many_rows(const Attention& a, const AttentionOut& to, size_t b, size_t kv, size_t row0,
               size_t rows) {
  static thread_local Scratch scratch;
  const RowMap map{a.heads / a.kv_heads, kv};
  const size_t dim = a.head_dim;
  const size_t vdim = round_up(a.value_dim, kTileCols);
  const size_t wide = std::max(dim, vdim);
  float* q = scratch.floats(rows * dim + kTileRows * kKeys + rows * vdim + 2 * rows + kKeys * wide +
                            kKeys * dim + kKeys * vdim);
  float* scores = q + rows * dim;
  float* sums = scores + kTileRows * kKeys;
  float* max = sums + rows * vdim;
  float* total = max + rows;
  float* plain = total + rows;
  float* k_panels = plain + kKeys * wide;
  float* v_panels = k_panels + kKeys * dim;
  for (size_t r = 0; r < rows; ++r) {
    const size_t head = map.head(row0 + r);
    read_row(a.dtype, a.q, b, head, map.query(row0 + r), dim, dim, a.scale, q + r * dim);
    max[r] = a.sinks ? a.sinks[head] : -kInfinity;
    total[r] = a.sinks ? 1.0f : 0.0f;
  }
  std::fill(sums, sums + rows * vdim, 0.0f);
  const size_t end = keys_that_matter(a, map.query(row0), map.query(row0 + rows - 1));
  for (size_t key = 0; key < end; key += kKeys) {
    const size_t n = std::min(kKeys, end - key);
    for (size_t j = 0; j < n; ++j) {
      read_row(a.dtype, a.k, b, kv, key + j, dim, dim, 1.0f, plain + j * dim);
    }
    to_panels_transposed(plain, dim, n, dim, k_panels);
    for (size_t j = 0; j < n; ++j) {
      read_row(a.dtype, a.v, b, kv, key + j, a.value_dim, vdim, 1.0f, plain + j * vdim);
    }
    to_panels(plain, vdim, n, vdim, v_panels);
    for (size_t r0 = 0; r0 < rows; r0 += kTileRows) {
      const size_t count = std::min(kTileRows, rows - r0);
      const size_t seen =
          keys_seen(a, map.query(row0 + r0), map.query(row0 + r0 + count - 1), key, n);
      if (seen == 0) continue;
      const size_t padded = round_up(seen, kTileCols);
      tile_block(count, padded, dim, q + r0 * dim, dim, 1, k_panels, scores, kKeys, false);
      for (size_t i = 0; i < count; ++i) {
        const size_t r = r0 + i;
        float* s = scores + i * kKeys;
        const size_t live =
            mask_scores(a, b, map.head(row0 + r), map.query(row0 + r), key, seen, s);
        const float before = max[r];
        max[r] = std::max(before, max_of(s, live));
        const float from = max[r] == -kInfinity ? 0.0f : max[r];
        const float kept = exp_scalar(before - from);
        total[r] = total[r] * kept + exp_in_place(s, live, padded, from);
        if (kept != 1.0f) scale_in_place(sums + r * vdim, vdim, kept);
      }
      for (size_t c = 0; c < vdim; c += kTileCols) {
        tile(count, seen, scores, kKeys, 1, v_panels + c * n, sums + r0 * vdim + c, vdim, true);
      }
    }
  }
  for (size_t r = 0; r < rows; ++r) {
    write_result(a, to, b, map.head(row0 + r), map.query(row0 + r), sums + r * vdim, max[r],
                 total[r], plain);
  }
}

// ---- Few rows: keys and values are read once, as they lie
// -------------------------------------------

/** {sum of a, of b, of c, of d}. */
HWY_INLINE void four_sums(VF a, VF b, VF c, VF e, float* out) {
  const DF d;
  const hn::Repartition<double, DF> pairs;
  const VF ab = hn::Add(hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b));
  const VF ce = hn::Add(hn::InterleaveLower(d, c, e), hn::InterleaveUpper(d, c, e));
  const auto abp = hn::BitCast(pairs, ab);
  const auto cep = hn::BitCast(pairs, ce);
  const VF all = hn::Add(hn::BitCast(d, hn::InterleaveLower(pairs, abp, cep)),
                         hn::BitCast(d, hn::InterleaveUpper(pairs, abp, cep)));
  // Every 128-bit block holds its part of the four sums.
  constexpr size_t kBlocks = HWY_LANES(float) / 4;
  if constexpr (kBlocks == 1) {
    hn::StoreU(all, d, out);
  } else {
    const hn::Half<DF> half;
    const auto two = hn::Add(hn::LowerHalf(half, all), hn::UpperHalf(half, all));
    if constexpr (kBlocks == 2) {
      hn::StoreU(two, half, out);
    } else {
      const hn::Half<hn::Half<DF>> quarter;
      hn::StoreU(hn::Add(hn::LowerHalf(quarter, two), hn::UpperHalf(quarter, two)), quarter, out);
    }
  }
}

/** Asks for rows [from, to) of dim values, to the second-level cache at least. */
template <class T>
HWY_INLINE void ask_rows(const T* rows, int64_t step, size_t from, size_t to, size_t dim) {
  for (size_t j = from; j < to; ++j) {
    const T* row = rows + int64_t(j) * step;
    for (size_t c = 0; c < dim; c += 64 / sizeof(T)) __builtin_prefetch(row + c, 0, 2);
  }
}

/**
 * scores[r * scores_row + j] = q_r . k_j for R rows and n keys. Asks for the keys to come and for
 * the n values v, which are read next: not every machine guesses that.
 */
template <size_t R, class T>
HWY_INLINE void dot_keys(const float* q, size_t dim, const T* k, int64_t k_row, size_t n,
                         float* scores, size_t scores_row, const T* v, int64_t v_row,
                         size_t v_dim) {
  constexpr size_t kAhead = 16;  // keys
  const T* k_first = k;
  ask_rows(k, k_row, 0, HWY_MIN(kAhead, n), dim);
  const DF d;
  const size_t whole = dim / hn::Lanes(d) * hn::Lanes(d);
  size_t j = 0;
  for (; j + 4 <= n; j += 4, k += 4 * k_row) {
    ask_rows(k_first, k_row, HWY_MIN(j + kAhead, n), HWY_MIN(j + kAhead + 4, n), dim);
    ask_rows(v, v_row, j, j + 4, v_dim);
    VF acc[R][4];
    HWY_UNROLL(4)
    for (size_t r = 0; r < R; ++r) {
      HWY_UNROLL(4)
      for (size_t i = 0; i < 4; ++i) acc[r][i] = hn::Zero(d);
    }
    for (size_t c = 0; c < whole; c += hn::Lanes(d)) {
      VF key[4];
      HWY_UNROLL(4)
      for (size_t i = 0; i < 4; ++i) key[i] = load(d, k + int64_t(i) * k_row + c);
      HWY_UNROLL(4)
      for (size_t r = 0; r < R; ++r) {
        const VF x = hn::LoadU(d, q + r * dim + c);
        HWY_UNROLL(4)
        for (size_t i = 0; i < 4; ++i) acc[r][i] = hn::MulAdd(x, key[i], acc[r][i]);
      }
    }
    HWY_UNROLL(4)
    for (size_t r = 0; r < R; ++r) {
      float* s = scores + r * scores_row + j;
      four_sums(acc[r][0], acc[r][1], acc[r][2], acc[r][3], s);
      for (size_t c = whole; c < dim; ++c) {
        for (size_t i = 0; i < 4; ++i)
          s[i] += float(k[int64_t(i) * k_row + int64_t(c)]) * q[r * dim + c];
      }
    }
  }
  for (; j < n; ++j, k += k_row) {
    for (size_t r = 0; r < R; ++r) {
      VF acc = hn::Zero(d);
      for (size_t c = 0; c < whole; c += hn::Lanes(d)) {
        acc = hn::MulAdd(load(d, k + c), hn::LoadU(d, q + r * dim + c), acc);
      }
      float sum = hn::GetLane(hn::SumOfLanes(d, acc));
      for (size_t c = whole; c < dim; ++c) sum += float(k[c]) * q[r * dim + c];
      scores[r * scores_row + j] = sum;
    }
  }
}

/** sums[r, :] = sum_j p[r, j] v_j for R rows and n keys. */
template <size_t R, class T>
HWY_INLINE void add_values(const float* p, size_t p_row, const T* v, int64_t v_row, size_t n,
                           size_t dim, float* sums) {
  const DF d;
  const size_t whole = dim / hn::Lanes(d) * hn::Lanes(d);
  const auto vectors = [&](size_t c, auto count) HWY_ATTR {
    constexpr size_t kCount = count.value;
    VF acc[R][kCount + (R * kCount == 1)];  // (g++ 12 crashes on arrays of one vector)
    HWY_UNROLL(4)
    for (size_t r = 0; r < R; ++r) {
      HWY_UNROLL(2)
      for (size_t i = 0; i < kCount; ++i) acc[r][i] = hn::Zero(d);
    }
    for (size_t j = 0; j < n; ++j) {
      VF x[2];
      HWY_UNROLL(2)
      for (size_t i = 0; i < kCount; ++i)
        x[i] = load(d, v + int64_t(j) * v_row + c + i * hn::Lanes(d));
      HWY_UNROLL(4)
      for (size_t r = 0; r < R; ++r) {
        const VF weight = hn::Set(d, p[r * p_row + j]);
        HWY_UNROLL(2)
        for (size_t i = 0; i < kCount; ++i) acc[r][i] = hn::MulAdd(x[i], weight, acc[r][i]);
      }
    }
    HWY_UNROLL(4)
    for (size_t r = 0; r < R; ++r) {
      HWY_UNROLL(2)
      for (size_t i = 0; i < kCount; ++i) {
        hn::StoreU(acc[r][i], d, sums + r * dim + c + i * hn::Lanes(d));
      }
    }
  };
  size_t at = 0;
  for (; at + 2 * hn::Lanes(d) <= whole; at += 2 * hn::Lanes(d)) {
    vectors(at, std::integral_constant<size_t, 2>());
  }
  if (at < whole) vectors(at, std::integral_constant<size_t, 1>());
  for (size_t r = 0; r < R; ++r) {
    for (size_t c = whole; c < dim; ++c) {
      float sum = 0;
      for (size_t j = 0; j < n; ++j) sum += p[r * p_row + j] * float(v[int64_t(j) * v_row + c]);
      sums[r * dim + c] = sum;
    }
  }
}

template <class F>
HWY_INLINE void by_fours(size_t rows, const F& f) {
  size_t r = 0;
  for (; r + 4 <= rows; r += 4) f(r, std::integral_constant<size_t, 4>());
  switch (rows - r) {
    case 1:
      return f(r, std::integral_constant<size_t, 1>());
    case 2:
      return f(r, std::integral_constant<size_t, 2>());
    case 3:
      return f(r, std::integral_constant<size_t, 3>());
    default:
      return;
  }
}

constexpr size_t kRun = 256;  // keys of one task

/**
 * All rows of one key head against keys [key, key + n). Leaves in part, row by row: the maximum,
 * the sum of exp, and value_dim sums. Unit steps inside rows of k and v.
 */
void few_rows(const Attention& a, size_t b, size_t kv, size_t key, size_t n, float* part) {
  static thread_local Scratch scratch;
  const RowMap map{a.heads / a.kv_heads, kv};
  const size_t rows = map.group * a.queries;
  const size_t dim = a.head_dim;
  float* q = scratch.floats(rows * dim + rows * kRun + rows * a.value_dim);
  float* scores = q + rows * dim;
  float* sums = scores + rows * kRun;
  for (size_t r = 0; r < rows; ++r) {
    read_row(a.dtype, a.q, b, map.head(r), map.query(r), dim, dim, a.scale, q + r * dim);
  }
  const auto at = [&](const AttentionOperand& o) {
    return int64_t(b) * o.strides[0] + int64_t(kv) * o.strides[1] + int64_t(key) * o.strides[2];
  };
  const size_t row_floats = 2 + a.value_dim;
  with_float_type(a.dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    const T* k = static_cast<const T*>(a.k.data) + at(a.k);
    const T* v = static_cast<const T*>(a.v.data) + at(a.v);
    by_fours(rows, [&](size_t r, auto count) {
      dot_keys<count.value>(q + r * dim, dim, k, a.k.strides[2], n, scores + r * kRun, kRun, v,
                            a.v.strides[2], r == 0 ? a.value_dim : 0);
    });
    for (size_t r = 0; r < rows; ++r) {
      float* s = scores + r * kRun;
      const size_t live = mask_scores(a, b, map.head(r), map.query(r), key, n, s);
      const float max = max_of(s, live);
      part[r * row_floats] = max;
      part[r * row_floats + 1] =
          exp_in_place(s, live, round_up(n, HWY_LANES(float)), max == -kInfinity ? 0.0f : max);
    }
    by_fours(rows, [&](size_t r, auto count) {
      add_values<count.value>(scores + r * kRun, kRun, v, a.v.strides[2], n, a.value_dim,
                              sums + r * a.value_dim);
    });
  });
  for (size_t r = 0; r < rows; ++r) {
    std::copy_n(sums + r * a.value_dim, a.value_dim, part + r * row_floats + 2);
  }
}

/** Joins the parts of one key head in order. */
void join_parts(const Attention& a, const AttentionOut& to, size_t b, size_t kv, const float* parts,
                size_t count) {
  static thread_local Scratch scratch;
  const RowMap map{a.heads / a.kv_heads, kv};
  const size_t rows = map.group * a.queries;
  const size_t row_floats = 2 + a.value_dim;
  float* sums = scratch.floats(2 * a.value_dim);
  for (size_t r = 0; r < rows; ++r) {
    const size_t head = map.head(r);
    float max = a.sinks ? a.sinks[head] : -kInfinity;
    for (size_t i = 0; i < count; ++i) max = std::max(max, parts[(i * rows + r) * row_floats]);
    const float from = max == -kInfinity ? 0.0f : max;
    float total = a.sinks ? exp_scalar(a.sinks[head] - from) : 0.0f;
    std::fill(sums, sums + a.value_dim, 0.0f);
    for (size_t i = 0; i < count; ++i) {
      const float* part = parts + (i * rows + r) * row_floats;
      const float weight = exp_scalar(part[0] - from);
      total += weight * part[1];
      for (size_t c = 0; c < a.value_dim; ++c) sums[c] += weight * part[2 + c];
    }
    write_result(a, to, b, head, map.query(r), sums, max, total, sums + a.value_dim);
  }
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
namespace {

HWY_EXPORT(many_rows);
HWY_EXPORT(few_rows);
HWY_EXPORT(join_parts);

constexpr size_t kFewRows = 16;
constexpr size_t kKeysOfTask = 256;

void attention_of_few(const Attention& a, const AttentionOut& to) {
  const size_t heads = a.batch * a.kv_heads;
  const size_t rows = a.heads / a.kv_heads * a.queries;
  const size_t runs = (a.keys + kKeysOfTask - 1) / kKeysOfTask;
  static thread_local Scratch scratch;
  const size_t part = rows * (2 + a.value_dim);
  float* parts = scratch.floats(heads * runs * part);
  parallel_for(int64_t(heads * runs), [&](int64_t t) {
    const size_t h = size_t(t) / runs;
    const size_t key = size_t(t) % runs * kKeysOfTask;
    HWY_DYNAMIC_DISPATCH(few_rows)
    (a, h / a.kv_heads, h % a.kv_heads, key, std::min(kKeysOfTask, a.keys - key),
     parts + size_t(t) * part);
  });
  for (size_t h = 0; h < heads; ++h) {
    HWY_DYNAMIC_DISPATCH(join_parts)
    (a, to, h / a.kv_heads, h % a.kv_heads, parts + h * runs * part, runs);
  }
}

}  // namespace

void attention(const Attention& a, void* out, const int64_t (&out_strides)[4], float* lse) {
  check_float("scaled_dot_product_attention", a.dtype, false);
  if (a.mask.data && a.mask_dtype != Dtype::Val::bool_) {
    check_float("scaled_dot_product_attention", a.mask_dtype, false);
  }
  if (a.kv_heads == 0 || a.heads % a.kv_heads != 0) {
    if (a.heads == 0) return;
    throw std::invalid_argument(
        "[scaled_dot_product_attention] the number of query heads must be a multiple of the number "
        "of "
        "key heads.");
  }
  const AttentionOut to{out, out_strides, lse};
  const size_t rows = a.heads / a.kv_heads * a.queries;
  if (a.batch * rows == 0) return;
  // (no keys: no runs, so that the sums of few rows are 0; 0/0 is mended below)
  const bool unit = a.k.strides[3] == 1 && a.v.strides[3] == 1;
  if (a.keys == 0) {
    const size_t size = a.dtype == Dtype::Val::float32 ? 4 : 2;
    for (size_t i = 0; i < a.batch * a.heads * a.queries; ++i) {
      const int64_t at = int64_t(i / a.queries / a.heads) * out_strides[0] +
                         int64_t(i / a.queries % a.heads) * out_strides[1] +
                         int64_t(i % a.queries) * out_strides[2];
      for (size_t c = 0; c < a.value_dim; ++c) {
        char* value = static_cast<char*>(out) + (at + int64_t(c) * out_strides[3]) * int64_t(size);
        std::fill(value, value + size, char(0));
      }
      if (lse) {
        lse[i] =
            a.sinks ? a.sinks[i / a.queries % a.heads] : -std::numeric_limits<float>::infinity();
      }
    }
    return;
  }
  if (rows <= kFewRows && unit) return attention_of_few(a, to);
  const size_t heads = a.batch * a.kv_heads;
  // Multiples of every target's tile rows; a result doesn't depend on which.
  const size_t band = heads * rows >= 16 * 252 ? 252 : heads * rows >= 16 * 84 ? 84 : 42;
  const size_t bands = (rows + band - 1) / band;
  parallel_for(int64_t(heads * bands), [&](int64_t t) {
    const size_t h = size_t(t) / bands;
    // Long rows first: with causal masks the last band has the most work.
    const size_t row = (bands - 1 - size_t(t) % bands) * band;
    HWY_DYNAMIC_DISPATCH(many_rows)
    (a, to, h / a.kv_heads, h % a.kv_heads, row, std::min(band, rows - row));
  });
}

}  // namespace mlx::core::cpu
#endif
