// backend/cpu/gemm/bf16_pairs.cpp: bfloat16 products by the dot products of pairs that some CPUs
// have (AVX512_BF16). Highway 1.0 has no target with them, so this unit is written in intrinsics.
#include <array>
#include <utility>

#include "backend/cpu/fast/targets.h"
#include "backend/cpu/gemm/problem.h"

#if defined(__x86_64__)
#include <immintrin.h>

// clang-format off
#if defined(__clang__)
#define GEMM_BEGIN_TARGET _Pragma("clang attribute push(__attribute__((target(\"avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,avx2,fma,bmi2\"))), apply_to = function)")
#define GEMM_END_TARGET _Pragma("clang attribute pop")
#else
#define GEMM_BEGIN_TARGET _Pragma("GCC push_options") _Pragma("GCC target \"avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,avx2,fma,bmi2\"")
#define GEMM_END_TARGET _Pragma("GCC pop_options")
// GCC's own headers start some reductions from a variable set to itself.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
// clang-format on

GEMM_BEGIN_TARGET
namespace mlx::core::cpu::gemm_detail {
namespace bf16_pairs {

#include "backend/cpu/gemm/blocked-inl.h"
#include "backend/cpu/gemm/store-inl.h"

constexpr int kRows = 14, kVec = 16;

inline __m512 dot_pairs(__m512 acc, __m512i a, __m512i b) {
  return _mm512_dpbf16_ps(acc, (__m512bh)a, (__m512bh)b);
}

/** R rows, NV vectors of columns, over k pairs; A packed in panels of kRows, B's rows b_k apart. */
template <int R, int NV>
__attribute__((noinline)) void micro(int64_t k, const uint32_t* __restrict a,
                                     const uint32_t* __restrict b, int64_t b_k, float* __restrict c,
                                     int64_t ldc, bool add) {
  __m512 acc[R][NV];
#pragma GCC unroll 14
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) acc[r][v] = _mm512_setzero_ps();
  }
#pragma GCC unroll 1
  for (; k > 0; --k, a += kRows, b += b_k) {
    __m512i bv[NV];
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) bv[v] = _mm512_loadu_si512(b + v * kVec);
#pragma GCC unroll 14
    for (int r = 0; r < R; ++r) {
      const __m512i av = _mm512_set1_epi32(static_cast<int>(a[r]));
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) acc[r][v] = dot_pairs(acc[r][v], av, bv[v]);
    }
  }
#pragma GCC unroll 14
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) {
      float* out = c + r * ldc + v * kVec;
      if (add) acc[r][v] = _mm512_add_ps(acc[r][v], _mm512_loadu_ps(out));
      _mm512_storeu_ps(out, acc[r][v]);
    }
  }
}

using Micro = void (*)(int64_t, const uint32_t*, const uint32_t*, int64_t, float*, int64_t, bool);
template <int... I>
constexpr auto make_micros(std::integer_sequence<int, I...>) {
  return std::array<std::array<Micro, sizeof...(I)>, 2>{
      {{micro<I + 1, 2>...}, {micro<I + 1, 1>...}}};
}
constexpr auto kMicros = make_micros(std::make_integer_sequence<int, kRows>());

/** The first n of 32 halves, n >= 0. */
inline __mmask32 first(int64_t n) { return n >= 32 ? 0xffffffffu : (1u << n) - 1u; }

/** 16 rows of 16 pairs to 16 rows of one pair from each. */
inline void turn(__m512i* r) {
  __m512i t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

/** Lanes and the last pair are filled up with zeros, which masked loads give. */
template <int W>
__attribute__((noinline)) void pack_pairs(const uint16_t* __restrict src, int64_t lane_stride,
                                          int64_t k_stride, int64_t lanes, int64_t k,
                                          uint32_t* __restrict out) {
  const int64_t groups = (k + 1) / 2;
  if (k_stride == 1) {
    for (int64_t l = 0; l < W; l += 16) {
      // A panel narrower than a vector spills over its next row, written after it; so all but the
      // last row are stored whole.
      static_assert(W % 16 == 0 || W < 16);
      const __mmask16 kept = W % 16 == 0 ? 0xffff : (1 << W % 16) - 1;
      for (int64_t g = 0; g < groups; g += 16) {
        const __mmask32 there = first(k - 2 * g);
        __m512i r[16];
        for (int y = 0; y < 16; ++y)
          __builtin_prefetch(src + (l + (l + y < lanes ? y : 0)) * lane_stride + 2 * g + 128);
#pragma GCC unroll 16
        for (int y = 0; y < 16; ++y)
          r[y] = l + y < lanes
                     ? _mm512_maskz_loadu_epi16(there, src + (l + y) * lane_stride + 2 * g)
                     : _mm512_setzero_si512();
        turn(r);
        const int64_t count = groups - g;
        uint32_t* o = out + g * W + l;
        if (count > 16) {
#pragma GCC unroll 16
          for (int y = 0; y < 16; ++y) _mm512_storeu_si512(o + y * W, r[y]);
        } else {
          for (int y = 0; y < count - 1; ++y) _mm512_storeu_si512(o + y * W, r[y]);
          _mm512_mask_storeu_epi32(o + (count - 1) * W, kept, r[count - 1]);
        }
      }
    }
    return;
  }
  if (lane_stride == 1) {
    const __m512i low = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0);
    const __m512i high = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
    const __mmask32 there = first(lanes);
    for (int64_t g = 0; g < groups; ++g) {
      const uint16_t* s = src + 2 * g * k_stride;
      const __m512i x = _mm512_maskz_loadu_epi16(there, s);
      const __m512i y =
          2 * g + 1 < k ? _mm512_maskz_loadu_epi16(there, s + k_stride) : _mm512_setzero_si512();
      const __m512i lo = _mm512_unpacklo_epi16(x, y), hi = _mm512_unpackhi_epi16(x, y);
      uint32_t* o = out + g * W;
      if constexpr (W == 32) {
        _mm512_storeu_si512(o, _mm512_permutex2var_epi64(lo, low, hi));
        _mm512_storeu_si512(o + 16, _mm512_permutex2var_epi64(lo, high, hi));
      } else {
        static_assert(W <= 16);
        _mm512_mask_storeu_epi32(o, (1 << W) - 1, _mm512_permutex2var_epi64(lo, low, hi));
      }
    }
    return;
  }
  for (int64_t g = 0; g < groups; ++g)
    for (int64_t l = 0; l < W; ++l) {
      uint32_t pair = 0;
      if (l < lanes) {
        const uint16_t* s = src + l * lane_stride + 2 * g * k_stride;
        pair = s[0];
        if (2 * g + 1 < k) pair |= static_cast<uint32_t>(s[k_stride]) << 16;
      }
      out[g * W + l] = pair;
    }
}

/** out[t * ld_out + j] = thin row t . wide row j. */
template <int R, int NJ>
__attribute__((noinline)) void dot_kernel(const uint16_t* __restrict thin, int64_t ld_thin,
                                          const uint16_t* __restrict wide, int64_t ld_wide,
                                          int64_t k, float* __restrict out, int64_t ld_out) {
  __m512 acc[R][NJ];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < NJ; ++j) acc[r][j] = _mm512_setzero_ps();
  }
  int64_t x = 0;
#pragma GCC unroll 1
  for (; x + 32 <= k; x += 32) {
    __m512i w[NJ];
#pragma GCC unroll 4
    for (int j = 0; j < NJ; ++j) w[j] = _mm512_loadu_si512(wide + j * ld_wide + x);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const __m512i a = _mm512_loadu_si512(thin + r * ld_thin + x);
#pragma GCC unroll 4
      for (int j = 0; j < NJ; ++j) acc[r][j] = dot_pairs(acc[r][j], a, w[j]);
    }
  }
  if (x < k) {
#pragma GCC unroll 4
    for (int j = 0; j < NJ; ++j) {
      const __m512i w = _mm512_maskz_loadu_epi16(first(k - x), wide + j * ld_wide + x);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
        acc[r][j] = dot_pairs(acc[r][j], _mm512_loadu_si512(thin + r * ld_thin + x), w);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < NJ; ++j) out[r * ld_out + j] = _mm512_reduce_add_ps(acc[r][j]);
  }
}

template <int R>
void dot_block(const uint16_t* thin, int64_t ld_thin, const uint16_t* wide, int64_t ld_wide,
               int64_t k, int64_t count, float* out) {
  constexpr int NJ = R <= 5 ? 4 : 3;
  int64_t j = 0;
  for (; j + NJ <= count; j += NJ)
    dot_kernel<R, NJ>(thin, ld_thin, wide + j * ld_wide, ld_wide, k, out + j, count);
  for (; j < count; ++j)
    dot_kernel<R, 1>(thin, ld_thin, wide + j * ld_wide, ld_wide, k, out + j, count);
}

using Dot = void (*)(const uint16_t*, int64_t, const uint16_t*, int64_t, int64_t, int64_t, float*);
template <int... I>
constexpr std::array<Dot, sizeof...(I)> make_dots(std::integer_sequence<int, I...>) {
  return {dot_block<I + 1>...};
}
constexpr auto kDots = make_dots(std::make_integer_sequence<int, kMaxThin>());

struct Unit {
  using In = uint16_t;
  using Pack = uint32_t;
  using Acc = float;
  static constexpr int kMR = kRows, kNR = 2 * kVec, kPlanes = 1, kGroup = 2, kStep = 1;
  static constexpr int64_t kKC = 1024;
  static constexpr bool kDirect = false, kInPlace = false;
  static constexpr bool kAhead = false;

  template <int W>
  static void pack(const uint16_t* src, int64_t lane_stride, int64_t k_stride, int64_t lanes,
                   int64_t k, uint32_t* out) {
    pack_pairs<W>(src, lane_stride, k_stride, lanes, k, out);
  }
  static void kernel(int rows, int half, bool, int64_t k, const uint32_t* a, int64_t, int64_t,
                     const uint32_t* b, int64_t b_k, float* c, int64_t ldc, bool add) {
    kMicros[half][rows - 1](k, a, b, b_k, c, ldc, add);
  }
  static void store(const Problem& p, const float* sums, int64_t ld, int64_t i, int64_t j,
                    int64_t rows, int64_t cols) {
    if (!p.plain() || cols > 32) return store_tile<bfloat16_t>(p, sums, ld, i, j, rows, cols);
    uint16_t* c = static_cast<uint16_t*>(p.c) + i * p.ldc + j;
    const __mmask32 all = first(cols);
    for (int64_t r = 0; r < rows; ++r) {
      const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(all), sums + r * ld);
      const __m512 high =
          _mm512_maskz_loadu_ps(static_cast<__mmask16>(all >> 16), sums + r * ld + 16);
      _mm512_mask_storeu_epi16(c + r * p.ldc, all, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
  }
  static bool thin(const Problem&) { return false; }  // run() has looked already
};

/** At most eight rows (or columns, if swapped) against rows that are contiguous in k. */
void run_dot(const Problem& p, bool swapped) {
  const int64_t rows = swapped ? p.n : p.m, width = swapped ? p.m : p.n;
  const int64_t ld_wide = swapped ? p.a_row : p.b_col;
  const auto* wide = static_cast<const uint16_t*>(swapped ? p.a : p.b);
  const auto* thin_in = static_cast<const uint16_t*>(swapped ? p.b : p.a);
  const int64_t t_row = swapped ? p.b_col : p.a_row, t_k = swapped ? p.b_row : p.a_col;
  const int64_t ld_thin = round_up(p.k, 32);
  Scratch<uint16_t> thin(Slot::thin, rows * ld_thin);
  for (int64_t r = 0; r < rows; ++r) {
    uint16_t* o = thin.get() + r * ld_thin;
    const uint16_t* s = thin_in + r * t_row;
    if (t_k == 1)
      std::memcpy(o, s, p.k * 2);
    else
      for (int64_t x = 0; x < p.k; ++x) o[x] = s[x * t_k];
    std::memset(o + p.k, 0, (ld_thin - p.k) * 2);
  }
  const int64_t block = std::max<int64_t>(12, 131072 / p.k / 12 * 12);
  parallel_range(width, block, [&](int64_t begin, int64_t end) {
    const int64_t count = end - begin;
    Scratch<float> sums(Slot::tiles, rows * count);
    const float* s = sums.get();
    kDots[rows - 1](thin.get(), ld_thin, wide + begin * ld_wide, ld_wide, p.k, count, sums.get());
    if (!swapped) return store_tile<bfloat16_t>(p, s, count, 0, begin, rows, count);
    for (int64_t x = 0; x < count; ++x) {
      float column[kMaxThin];
      for (int64_t r = 0; r < rows; ++r) column[r] = s[r * count + x];
      store_tile<bfloat16_t>(p, column, kMaxThin, begin + x, 0, 1, rows);
    }
  });
}

bool run(const Problem& p) {
  if (std::min(p.m, p.n) > kMaxThin || p.k < 32) {
    Blocked<Unit>::run(p);
    return true;
  }
  if (p.n == 1 && p.ldc == 1 && p.m > 1) return run(turned(p));
  const bool by_b = p.m <= kMaxThin && p.b_row == 1, by_a = p.n <= kMaxThin && p.a_col == 1;
  // What is neither contiguous in k nor short enough for one block: the widened kernels.
  if ((!by_a && !by_b) || p.k > 65536) return false;
  run_dot(p, by_a && (!by_b || p.n < p.m));
  return true;
}

}  // namespace bf16_pairs
}  // namespace mlx::core::cpu::gemm_detail
GEMM_END_TARGET

namespace mlx::core::cpu::gemm_detail {

bool run_bfloat16_pairs(const Problem& p) {
  // Intel's processors take as long for a product of pairs as for four of float32: half the speed
  // of widening (77 against 158 GFLOP/s a thread). AMD's take as long as for one.
  static const bool have = __builtin_cpu_is("amd") && simd_allows_avx512() &&
                           __builtin_cpu_supports("avx512bf16") &&
                           __builtin_cpu_supports("avx512bw") &&
                           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  return have && bf16_pairs::run(p);
}

}  // namespace mlx::core::cpu::gemm_detail

#else  // no such instructions

namespace mlx::core::cpu::gemm_detail {
bool run_bfloat16_pairs(const Problem&) { return false; }
}  // namespace mlx::core::cpu::gemm_detail

#endif
