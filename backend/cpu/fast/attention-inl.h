// backend/cpu/fast/attention-inl.h: what attention and its gradient share: reading strided operands
// as float32, packing panels, masks. Compiled once per target.
#if defined(MICA_BACKEND_CPU_FAST_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MICA_BACKEND_CPU_FAST_ATTENTION_INL_H_
#undef MICA_BACKEND_CPU_FAST_ATTENTION_INL_H_
#else
#define MICA_BACKEND_CPU_FAST_ATTENTION_INL_H_
#endif

#include <limits>

#include "backend/cpu/fast/exp-inl.h"
#include "backend/cpu/fast/fast.h"
#include "backend/cpu/fast/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

#if HWY_MAX_BYTES > 16
HWY_INLINE hn::Vec<hn::FixedTag<float, 4>> load(hn::FixedTag<float, 4> d, const float* p) {
  return hn::LoadU(d, p);
}
#endif
#include "backend/cpu/turn-inl.h"

/** What a masked score is: finite, so that a row of them alone is uniform and not NaN. */
constexpr float kMasked = -std::numeric_limits<float>::max();

constexpr size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

/** Row `row` of one head of an operand as float32, times scale; [cols, padded) become 0. */
HWY_INLINE void read_row(Dtype::Val dtype, const AttentionOperand& from, size_t b, size_t h,
                         size_t row, size_t cols, size_t padded, float scale, float* out) {
  const DF d;
  const int64_t at =
      int64_t(b) * from.strides[0] + int64_t(h) * from.strides[1] + int64_t(row) * from.strides[2];
  const int64_t step = from.strides[3];
  with_float_type(dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    const T* p = static_cast<const T*>(from.data) + at;
    if (step == 1) {
      const VF s = hn::Set(d, scale);
      for_lanes(
          d, cols, [&](size_t i) HWY_ATTR { hn::StoreU(hn::Mul(load(d, p + i), s), d, out + i); },
          [&](size_t i, size_t rest) HWY_ATTR {
            for (size_t j = i; j < i + rest; ++j) out[j] = float(p[j]) * scale;
          });
    } else {
      for (size_t i = 0; i < cols; ++i) out[i] = float(p[int64_t(i) * step]) * scale;
    }
  });
  for (size_t i = cols; i < padded; ++i) out[i] = 0.0f;
}

/** Row `row` of a result, from float32. */
HWY_INLINE void write_row(Dtype::Val dtype, void* to, int64_t at, int64_t step, const float* in,
                          size_t cols) {
  with_float_type(dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    T* p = static_cast<T*>(to) + at;
    if (step == 1) {
      convert_row(in, p, cols);
    } else {
      for (size_t i = 0; i < cols; ++i) p[int64_t(i) * step] = T(in[i]);
    }
  });
}

/** rows x cols, row-major with `padded` columns, as panels [cols_padded /
 * kTileCols][rows][kTileCols]. */
HWY_INLINE void to_panels(const float* in, size_t in_row, size_t rows, size_t cols_padded,
                          float* out) {
  const DF d;
  constexpr size_t L = HWY_LANES(float);
  for (size_t j = 0; j < cols_padded; j += kTileCols) {
    float* panel = out + j * rows;
    for (size_t i = 0; i < rows; ++i) {
      hn::StoreU(hn::LoadU(d, in + i * in_row + j), d, panel + i * kTileCols);
      hn::StoreU(hn::LoadU(d, in + i * in_row + j + L), d, panel + i * kTileCols + L);
    }
  }
}

/** The transpose of that: rows become the columns of panels, [rows_padded /
 * kTileCols][cols][kTileCols]. */
HWY_INLINE void to_panels_transposed(const float* in, size_t in_row, size_t rows, size_t cols,
                                     float* out) {
  constexpr size_t L = HWY_LANES(float);
  size_t i = 0;
  for (; i + L <= rows; i += L) {
    float* to = out + i / kTileCols * kTileCols * cols + i % kTileCols;
    const float* from[L];
    for (size_t y = 0; y < L; ++y) from[y] = in + (i + y) * in_row;
    size_t c = 0;
    for (; c + 4 <= cols; c += 4)
      turn_block<float, int(kTileCols), int(L)>(from, int64_t(c), to + c * kTileCols);
    for (; c < cols; ++c) {
      for (size_t y = 0; y < L; ++y) to[c * kTileCols + y] = from[y][c];
    }
  }
  for (; i < round_up(rows, kTileCols); ++i) {
    float* to = out + i / kTileCols * kTileCols * cols + i % kTileCols;
    for (size_t c = 0; c < cols; ++c) to[c * kTileCols] = i < rows ? in[i * in_row + c] : 0.0f;
  }
}

/** Query rows of one key head, all heads of its group side by side: row r is query r / group. */
struct RowMap {
  size_t group;
  size_t kv_head;
  size_t query(size_t r) const { return r / group; }
  size_t head(size_t r) const { return kv_head * group + r % group; }
};

/** Keys that causal masking leaves visible to a query: the first so many; negative or 0 is none. */
HWY_INLINE int64_t visible_keys(const Attention& a, size_t query) {
  return a.causal ? int64_t(query) + 1 + int64_t(a.keys) - int64_t(a.queries) : int64_t(a.keys);
}

/** One past the last key that can matter to queries first..last. */
HWY_INLINE size_t keys_that_matter(const Attention& a, size_t first, size_t last) {
  if (visible_keys(a, first) <= 0) return a.keys;  // a query that sees nothing sees all alike
  return size_t(std::min(visible_keys(a, last), int64_t(a.keys)));
}

/** Of keys [key, key + n): the first so many matter to queries first..last, the others to none. */
HWY_INLINE size_t keys_seen(const Attention& a, size_t first, size_t last, size_t key, size_t n) {
  const size_t end = keys_that_matter(a, first, last);
  return end <= key ? 0 : HWY_MIN(n, end - key);
}

/** Of rows [row0, row0 + rows): as many at the begin see neither `key` nor any after it. */
HWY_INLINE size_t rows_blind(const Attention& a, const RowMap& map, size_t row0, size_t rows,
                             size_t key) {
  if (!a.causal || visible_keys(a, map.query(row0)) <= 0) return 0;
  const int64_t query = int64_t(key) + int64_t(a.queries) - int64_t(a.keys);  // the first to see it
  const int64_t row = query * int64_t(map.group) - int64_t(row0);
  return size_t(std::clamp<int64_t>(row, 0, int64_t(rows)));
}

/** Masks the scores of keys [key, key + n) of one row; those from the result on count for nothing
 *  and are left as they are. */
HWY_INLINE size_t mask_scores(const Attention& a, size_t b, size_t head, size_t query, size_t key,
                              size_t n, float* scores) {
  const int64_t visible = std::max<int64_t>(0, visible_keys(a, query) - int64_t(key));
  if (a.mask.data) {
    const int64_t step = a.mask.strides[3];
    const int64_t at = int64_t(b) * a.mask.strides[0] + int64_t(head) * a.mask.strides[1] +
                       int64_t(query) * a.mask.strides[2] + int64_t(key) * step;
    if (a.mask_dtype == Dtype::Val::bool_) {
      const auto* p = static_cast<const uint8_t*>(a.mask.data) + at;
      for (size_t j = 0; j < n; ++j) {
        if (!p[int64_t(j) * step]) scores[j] = kMasked;
      }
    } else {
      with_float_type(a.mask_dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        const T* p = static_cast<const T*>(a.mask.data) + at;
        const DF d;
        if (step == 1) {
          for_lanes(
              d, n,
              [&](size_t j) HWY_ATTR {
                hn::StoreU(hn::Add(hn::LoadU(d, scores + j), load(d, p + j)), d, scores + j);
              },
              [&](size_t j, size_t) {
                for (; j < n; ++j) scores[j] += float(p[j]);
              });
        } else {
          for (size_t j = 0; j < n; ++j) scores[j] += float(p[int64_t(j) * step]);
        }
      });
    }
  }
  // A query that sees no key at all looks at all of them alike.
  if (visible_keys(a, query) > 0) return HWY_MIN(n, size_t(visible));
  for (size_t j = size_t(visible); j < n; ++j) scores[j] = kMasked;
  return n;
}

HWY_INLINE float max_of(const float* p, size_t n) {
  const DF d;
  VF m = hn::Set(d, -std::numeric_limits<float>::infinity());
  float rest = -std::numeric_limits<float>::infinity();
  for_lanes(
      d, n, [&](size_t i) HWY_ATTR { m = hn::Max(hn::LoadU(d, p + i), m); },
      [&](size_t i, size_t) {
        for (; i < n; ++i) rest = p[i] > rest ? p[i] : rest;
      });
  return std::max(rest, hn::GetLane(hn::MaxOfLanes(d, m)));
}

/** p = exp(p - max) in place; [n, padded) become 0. Returns the sum. */
HWY_INLINE float exp_in_place(float* p, size_t n, size_t padded, float max) {
  const DF d;
  const VF m = hn::Set(d, max);
  const size_t whole = round_up(n, hn::Lanes(d));
  for (size_t i = n; i < whole; ++i) p[i] = -std::numeric_limits<float>::infinity();
  for (size_t i = whole; i < padded; i += hn::Lanes(d)) hn::StoreU(hn::Zero(d), d, p + i);
  VF sum = hn::Zero(d);
  for (size_t i = 0; i < whole; i += hn::Lanes(d)) {
    const VF e = exp_of(d, hn::Sub(hn::LoadU(d, p + i), m));
    hn::StoreU(e, d, p + i);
    sum = hn::Add(sum, e);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

HWY_INLINE float exp_scalar(float x) {
  const DF d;
  return hn::GetLane(exp_of(d, hn::Set(d, x)));
}

HWY_INLINE void scale_in_place(float* p, size_t n, float by) {
  const DF d;
  const VF s = hn::Set(d, by);
  for_lanes(
      d, n, [&](size_t i) HWY_ATTR { hn::StoreU(hn::Mul(hn::LoadU(d, p + i), s), d, p + i); },
      [&](size_t i, size_t) {
        for (; i < n; ++i) p[i] *= by;
      });
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
