// backend/cpu/fast/tile-inl.h: the float32 microkernel under quantised products and attention:
// a few rows of A, read in place with any strides, times a packed panel of kTileCols columns of B.
#if defined(MICA_BACKEND_CPU_FAST_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MICA_BACKEND_CPU_FAST_TILE_INL_H_
#undef MICA_BACKEND_CPU_FAST_TILE_INL_H_
#else
#define MICA_BACKEND_CPU_FAST_TILE_INL_H_
#endif

#include "backend/cpu/fast/io-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

// Two vectors of columns, and as many rows as leave registers for them: 14x32, 6x16, 6x8.
constexpr size_t kTileCols = 2 * HWY_LANES(float);
#if HWY_TARGET <= HWY_AVX3
constexpr size_t kTileRows = 14;
#else
constexpr size_t kTileRows = 6;
#endif

/**
 * c[r, j] = sum_k a[r*a_row + k*a_col] * b[k*kTileCols + j], plus what c held if add. c is float32
 * with kTileCols columns stored (or cols of them, through StoreCols).
 */
template <size_t R>
HWY_INLINE void tile_rows(size_t depth, const float* HWY_RESTRICT a, size_t a_row, size_t a_col,
                          const float* HWY_RESTRICT b, float* HWY_RESTRICT c, size_t c_row,
                          bool add) {
  const DF d;
  constexpr size_t L = HWY_LANES(float);
  VF x[R][2];
  HWY_UNROLL(16)
  for (size_t r = 0; r < R; ++r) {
    x[r][0] = x[r][1] = hn::Zero(d);
    __builtin_prefetch(c + r * c_row);
    __builtin_prefetch(c + r * c_row + L);
  }
#pragma GCC unroll 1
  for (size_t k = 0; k < depth; ++k) {
    const VF b0 = hn::LoadU(d, b);
    const VF b1 = hn::LoadU(d, b + L);
    if constexpr (R > kTileRows / 2) {  // panels of a block lie in the second cache
      __builtin_prefetch(b + 8 * kTileCols);
      if constexpr (L == 16) __builtin_prefetch(b + 8 * kTileCols + L);
    }
    HWY_UNROLL(16)
    for (size_t r = 0; r < R; ++r) {
      const VF v = hn::Set(d, a[r * a_row]);
      x[r][0] = hn::MulAdd(v, b0, x[r][0]);
      x[r][1] = hn::MulAdd(v, b1, x[r][1]);
    }
    a += a_col;
    b += kTileCols;
  }
  HWY_UNROLL(16)
  for (size_t r = 0; r < R; ++r) {
    float* row = c + r * c_row;
    if (add) {
      x[r][0] = hn::Add(x[r][0], hn::LoadU(d, row));
      x[r][1] = hn::Add(x[r][1], hn::LoadU(d, row + L));
    }
    hn::StoreU(x[r][0], d, row);
    hn::StoreU(x[r][1], d, row + L);
  }
}

/** Any number of rows up to kTileRows. */
HWY_NOINLINE void tile(size_t rows, size_t depth, const float* a, size_t a_row, size_t a_col,
                       const float* b, float* c, size_t c_row, bool add) {
  switch (rows) {
#define MICA_TILE(R) \
  case R:            \
    return tile_rows<R>(depth, a, a_row, a_col, b, c, c_row, add)
    MICA_TILE(1);
    MICA_TILE(2);
    MICA_TILE(3);
    MICA_TILE(4);
    MICA_TILE(5);
    MICA_TILE(6);
#if HWY_TARGET <= HWY_AVX3
    MICA_TILE(7);
    MICA_TILE(8);
    MICA_TILE(9);
    MICA_TILE(10);
    MICA_TILE(11);
    MICA_TILE(12);
    MICA_TILE(13);
    MICA_TILE(14);
#endif
#undef MICA_TILE
    default:
      return;
  }
}

/** c[rows, cols] of a whole block; b is cols / kTileCols panels of depth x kTileCols, one after
 * another. */
HWY_INLINE void tile_block(size_t rows, size_t cols, size_t depth, const float* a, size_t a_row,
                           size_t a_col, const float* b, float* c, size_t c_row, bool add) {
  for (size_t i = 0; i < rows; i += kTileRows) {
    const size_t r = HWY_MIN(kTileRows, rows - i);
    for (size_t j = 0; j < cols; j += kTileCols) {
      tile(r, depth, a + i * a_row, a_row, a_col, b + j * depth, c + i * c_row + j, c_row, add);
    }
  }
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
