// backend/cpu/gemm/segments.cpp: the microkernel keeps a block of C in registers over all pieces.
#include "backend/cpu/gemm/segments.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/gemm/segments.cpp"
#include <hwy/foreach_target.h>  // must come first
#include <hwy/highway.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "backend/cpu/ceil_div.h"
#include "backend/cpu/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET <= HWY_AVX3
constexpr int kRows = 14;
#elif HWY_ARCH_ARM_A64
constexpr int kRows = 12;
#else
constexpr int kRows = 6;
#endif
// Where a register a row can be had, rows of a block may lie anywhere, and blocks run over lines.
constexpr bool kAnywhere = kRows <= 6;
constexpr int kLanes = HWY_MAX_BYTES / sizeof(float);
constexpr int kWidth = 2 * kLanes;  // columns of a panel
constexpr int kAhead = 8;           // steps of k that a panel of weights is asked for ahead

constexpr int64_t kPart = 256;        // steps of k of a panel that stay in the first cache
constexpr int64_t kNear = 96 * 1024;  // floats of B beside those of A in the second cache

/** Rows of a block: the first in A and in C, and where all lie from there. */
struct Rows {
  const float* a;
  float* c;
  int64_t at[kRows], c_at[kRows];
  int count;
};
struct Pieces {
  const int64_t* offsets;
  int64_t segments, length;
};

template <int R, int NV>
HWY_NOINLINE HWY_ATTR void block(const float* rows, const int64_t* row_at, const Pieces& pieces,
                                 const float* HWY_RESTRICT b, float* HWY_RESTRICT c,
                                 const int64_t* c_at, bool add) {
  const hn::ScalableTag<float> d;
  hn::Vec<decltype(d)> acc[R][NV];
  HWY_UNROLL(14) for (int r = 0; r < R; ++r) {
    HWY_UNROLL(2) for (int v = 0; v < NV; ++v) acc[r][v] = hn::Zero(d);
  }
  const int64_t row = R > 1 ? row_at[R > 1 ? 1 : 0] : 0;
  int64_t at[R];
  HWY_UNROLL(14) for (int r = 0; r < R; ++r) at[r] = kAnywhere ? row_at[r] : r * row;
  for (int64_t s = 0; s < pieces.segments; ++s) {
    const float* HWY_RESTRICT a = rows + pieces.offsets[s];
    HWY_UNROLL(1) for (int64_t k = pieces.length; k > 0; --k) {
      hn::Vec<decltype(d)> bv[NV];
      HWY_UNROLL(2) for (int v = 0; v < NV; ++v) bv[v] = hn::LoadU(d, b + v * kLanes);
      HWY_UNROLL(2)
      for (int v = 0; v < NV; v += std::max(1, 16 / kLanes))
        __builtin_prefetch(b + kAhead * kWidth + v * kLanes);
      HWY_UNROLL(14) for (int r = 0; r < R; ++r) {
        const auto av = hn::Set(d, a[at[r]]);
        HWY_UNROLL(2) for (int v = 0; v < NV; ++v) acc[r][v] = hn::MulAdd(av, bv[v], acc[r][v]);
      }
      ++a;
      b += kWidth;
    }
  }
  HWY_UNROLL(14) for (int r = 0; r < R; ++r) {
    HWY_UNROLL(2) for (int v = 0; v < NV; ++v) {
      float* out = c + c_at[r] + v * kLanes;
      if (add) acc[r][v] = hn::Add(acc[r][v], hn::LoadU(d, out));
      hn::StoreU(acc[r][v], d, out);
    }
  }
}

using Block = void (*)(const float*, const int64_t*, const Pieces&, const float*, float*,
                       const int64_t*, bool);
template <int NV, int... R>
constexpr std::array<Block, sizeof...(R)> blocks_of(std::integer_sequence<int, R...>) {
  return {block<R + 1, NV>...};
}
constexpr auto kWide = blocks_of<2>(std::make_integer_sequence<int, kRows>());
constexpr auto kHalf = blocks_of<1>(std::make_integer_sequence<int, kRows>());

template <class D>
HWY_INLINE hn::Vec<D> load(D d, const float* p) {
  return hn::LoadU(d, p);
}
#include "backend/cpu/turn-inl.h"

/** Columns as wide as a vector, or fewer: steps [t, last) of k. */
HWY_ATTR void pack_block(const float* w, int64_t ldw, int64_t t, int64_t last, int64_t cols,
                         float* panel) {
  const float* columns[kLanes];
  for (int j = 0; j < kLanes; ++j) columns[j] = w + (j < cols ? j : 0) * ldw;
  if (cols == kLanes) {
    for (; t + 4 <= last; t += 4) turn_block<float, kWidth, kLanes>(columns, t, panel + t * kWidth);
  }
  for (; t < last; ++t)
    for (int64_t j = 0; j < cols; ++j) panel[t * kWidth + j] = columns[j][t];
}

int64_t packed_size(int64_t k, int64_t n) { return ceil_div(n, kWidth) * kWidth * k; }

void pack(const float* w, int64_t ldw, const int64_t* offsets, int64_t pieces, int64_t length,
          int64_t n, float* packed) {
  constexpr int64_t kBlock = 64;  // steps of k: what is written stays in the first cache
  const int64_t k = pieces * length, panels = ceil_div(n, kWidth);
  parallel_range(panels, std::max<int64_t>(1, 65536 / (k * kWidth)), [&](int64_t from, int64_t to) {
    for (int64_t q = from; q < to; ++q) {
      const int64_t cols = std::min<int64_t>(kWidth, n - q * kWidth);
      float* panel = packed + q * k * kWidth;
      if (cols < kWidth) std::fill(panel, panel + k * kWidth, 0.0f);
      for (int64_t p = 0; p < pieces; ++p) {
        for (int64_t t = 0; t < length; t += kBlock) {
          const int64_t last = std::min(length, t + kBlock);
          for (int64_t j = 0; j < cols; j += kLanes)
            pack_block(w + (q * kWidth + j) * ldw + offsets[p], ldw, t, last,
                       std::min<int64_t>(kLanes, cols - j), panel + p * length * kWidth + j);
        }
      }
    }
  });
}

void multiply(const SegmentedRows& a, const float* packed, int64_t n, float* c, int64_t ldc,
              int64_t c_line) {
  const int64_t k = a.segments * a.length;
  // Blocks as equal as can be: short ones keep fewer sums at once than hide the time of one.
  const int64_t runs = kAnywhere ? 1 : a.lines, run = kAnywhere ? a.lines * a.m : a.m;
  const int64_t blocks = ceil_div(run, kRows), short_rows = run / blocks;
  const int64_t longer = run - blocks * short_rows;  // blocks with one row more
  alignas(64) float tile[kRows * kWidth];
  int64_t tile_at[kRows];
  for (int r = 0; r < kRows; ++r) tile_at[r] = r * kWidth;
  // The rows of a block, the panel at column j, and of the sums those that `part` covers: from
  // step `first` of k on, `shift` floats into each piece.
  const auto one = [&](const Rows& rows, const Pieces& part, int64_t shift, int64_t first,
                       int64_t j) {
    const float* panel = packed + j * k + first * kWidth;
    const int64_t cols = std::min<int64_t>(kWidth, n - j);
    const Block kernel = (cols <= kLanes ? kHalf : kWide)[rows.count - 1];
    float* out = rows.c + j;
    if (cols == kWidth || cols == kLanes)
      return kernel(rows.a + shift, rows.at, part, panel, out, rows.c_at, first > 0);
    kernel(rows.a + shift, rows.at, part, panel, tile, tile_at, false);
    for (int x = 0; x < rows.count; ++x) {
      float* to = out + rows.c_at[x];
      for (int64_t y = 0; y < cols; ++y) to[y] = (first > 0 ? to[y] : 0.0f) + tile[x * kWidth + y];
    }
  };
  static thread_local std::vector<Rows> all;
  all.clear();
  for (int64_t block = 0, line = 0, i = 0; block < runs * blocks; ++block) {
    const float* from = a.data + line * a.line_stride + i * a.row_stride;
    float* to = c + line * c_line + i * ldc;
    Rows rows{from, to, {}, {}, static_cast<int>(short_rows + (block % blocks < longer))};
    for (int r = 0; r < rows.count; ++r) {
      rows.at[r] = a.data + line * a.line_stride + i * a.row_stride - from;
      rows.c_at[r] = c + line * c_line + i * ldc - to;
      if (++i == a.m) i = 0, ++line;
    }
    all.push_back(rows);
  }
  // All of B is near: what a block of rows reads stays in the first cache.
  if (n * k <= kNear) {
    const Pieces whole{a.offsets, a.segments, a.length};
    for (const Rows& rows : all)
      for (int64_t j = 0; j < n; j += kWidth) one(rows, whole, 0, 0, j);
    return;
  }
  // Otherwise a part of a panel of B stays there for all rows: a few pieces, or a part of one.
  const int64_t pieces = std::max<int64_t>(1, kPart / a.length);
  const int64_t cuts = std::max<int64_t>(1, a.length / kPart);
  for (int64_t j = 0; j < n; j += kWidth) {
    for (int64_t s = 0; s < a.segments; s += pieces) {
      for (int64_t cut = 0; cut < cuts; ++cut) {
        const int64_t t = a.length * cut / cuts;
        const Pieces part{a.offsets + s, std::min(pieces, a.segments - s),
                          a.length * (cut + 1) / cuts - t};
        for (const Rows& rows : all) one(rows, part, t, s * a.length + t, j);
      }
    }
  }
}

/** P positions from i on, a vector of channels at a time. */
template <int P>
HWY_INLINE void channels_of(const SegmentedRows& a, const float* rows, const float* w,
                            int64_t channels, float* c, int64_t ldc) {
  const hn::ScalableTag<float> d;
  int64_t at = 0;
  for (; at + kLanes <= channels; at += kLanes) {
    hn::Vec<decltype(d)> acc[P + (P == 1)];  // (g++ 12 crashes on arrays of one vector)
    HWY_UNROLL(6) for (int r = 0; r < P; ++r) acc[r] = hn::Zero(d);
    for (int64_t s = 0; s < a.segments; ++s) {
      const auto weight = hn::LoadU(d, w + s * channels + at);
      const float* x = rows + a.offsets[s] + at;
      HWY_UNROLL(6) for (int r = 0; r < P; ++r) {
        acc[r] = hn::MulAdd(hn::LoadU(d, x + r * a.row_stride), weight, acc[r]);
      }
    }
    HWY_UNROLL(6) for (int r = 0; r < P; ++r) hn::StoreU(acc[r], d, c + r * ldc + at);
  }
  for (; at < channels; ++at) {
    for (int r = 0; r < P; ++r) {
      float sum = 0;
      for (int64_t s = 0; s < a.segments; ++s)
        sum += rows[a.offsets[s] + at + r * a.row_stride] * w[s * channels + at];
      c[r * ldc + at] = sum;
    }
  }
}

void channels(const SegmentedRows& a, const float* w, int64_t n, float* c, int64_t ldc,
              int64_t c_line) {
  constexpr int kPositions = 6;
  for (int64_t line = 0; line < a.lines; ++line) {
    const float* rows = a.data + line * a.line_stride;
    float* out = c + line * c_line;
    int64_t i = 0;
    for (; i + kPositions <= a.m; i += kPositions)
      channels_of<kPositions>(a, rows + i * a.row_stride, w, n, out + i * ldc, ldc);
    for (; i < a.m; ++i) channels_of<1>(a, rows + i * a.row_stride, w, n, out + i * ldc, ldc);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

HWY_EXPORT(packed_size);
HWY_EXPORT(pack);
HWY_EXPORT(multiply);
HWY_EXPORT(channels);

int64_t packed_floats(int64_t k, int64_t n) { return HWY_DYNAMIC_DISPATCH(packed_size)(k, n); }
void pack_right(const float* w, int64_t ldw, const int64_t* offsets, int64_t pieces, int64_t length,
                int64_t n, float* packed) {
  HWY_DYNAMIC_DISPATCH(pack)(w, ldw, offsets, pieces, length, n, packed);
}
void multiply_segments(const SegmentedRows& a, const float* packed, int64_t n, float* c,
                       int64_t c_row_stride, int64_t c_line_stride) {
  HWY_DYNAMIC_DISPATCH(multiply)(a, packed, n, c, c_row_stride, c_line_stride);
}

void multiply_channels(const SegmentedRows& a, const float* w, int64_t n, float* c,
                       int64_t c_row_stride, int64_t c_line_stride) {
  HWY_DYNAMIC_DISPATCH(channels)(a, w, n, c, c_row_stride, c_line_stride);
}

}  // namespace mlx::core::cpu
#endif
