// backend/cpu/gemm/micro-inl.h: packing and the microkernel, on Highway vectors.
// Included inside a target's namespace, so it includes only what is made for that.

namespace hn = hwy::HWY_NAMESPACE;

// Rows of a microkernel: with two vectors a row, what the registers hold.
#if HWY_TARGET <= HWY_AVX3
constexpr int kMaxRows = 14;
#elif HWY_ARCH_ARM_A64
constexpr int kMaxRows = 12;
#else
constexpr int kMaxRows = 6;
#endif

template <class T>
constexpr int kLanesOf = HWY_MAX_BYTES / sizeof(T);

/** acc + a * b; integers wrap. */
template <class V>
HWY_INLINE V mul_add(V a, V b, V acc) {
  if constexpr (hwy::IsFloat<hn::TFromV<V>>())
    return hn::MulAdd(a, b, acc);
  else
    return hn::Add(acc, hn::Mul(a, b));
}

/** R rows, NV vectors of columns, over k steps. A's element (r, k) is a[r * a_row + k * a_k], or,
 *  packed, a[k * kStride + r]; B's row k starts at b + k * b_k. */
template <class T, int R, int NV, int kStride>
HWY_NOINLINE HWY_ATTR void micro(int64_t k, const T* HWY_RESTRICT a, int64_t a_row, int64_t a_k,
                                 const T* HWY_RESTRICT b, int64_t b_k, T* HWY_RESTRICT c,
                                 int64_t ldc, bool add) {
  const hn::ScalableTag<T> d;
  constexpr int N = kLanesOf<T>;
  // Long sums of float32 lose less in pieces.
  constexpr int64_t kPiece = std::is_same_v<T, float> ? 256 : int64_t(1) << 40;
  const int64_t pieces = std::max<int64_t>(1, (k + kPiece / 2) / kPiece);
  const int64_t length = k / pieces;
  alignas(64) T sums[R * NV * N];
  if constexpr (kStride > 0) {
    a_row = 1;
    a_k = kStride;
  }
  HWY_UNROLL(14) for (int r = 0; r < R; ++r) {
    HWY_UNROLL(2) for (int v = 0; v < NV; ++v) __builtin_prefetch(c + r * ldc + v * N, 1);
  }
  HWY_UNROLL(1) for (int64_t piece = 0; piece < pieces; ++piece) {
    hn::Vec<decltype(d)> acc[R][NV];
    HWY_UNROLL(14) for (int r = 0; r < R; ++r) {
      HWY_UNROLL(2) for (int v = 0; v < NV; ++v) acc[r][v] = hn::Zero(d);
    }
    int64_t steps = piece > 0 ? length : k - (pieces - 1) * length;
    HWY_UNROLL(1) for (; steps > 0; --steps) {
      hn::Vec<decltype(d)> bv[NV];
      HWY_UNROLL(2) for (int v = 0; v < NV; ++v) bv[v] = hn::LoadU(d, b + v * N);
      if constexpr (R > kMaxRows / 2) {
        // B's panel does not fit the nearest cache beside A's, which came from beyond the second.
        HWY_UNROLL(2) for (int v = 0; v < NV; v += std::max<int>(1, 64 / (N * sizeof(T)))) {
          __builtin_prefetch(b + 8 * b_k + v * N);
        }
        if constexpr (kStride > 0) __builtin_prefetch(a + 24 * kStride);
      }
      HWY_UNROLL(14) for (int r = 0; r < R; ++r) {
        const auto av = hn::Set(d, a[r * a_row]);
        HWY_UNROLL(2) for (int v = 0; v < NV; ++v) acc[r][v] = mul_add(av, bv[v], acc[r][v]);
      }
      a += a_k;
      b += b_k;
    }
    const bool last = piece + 1 == pieces;
    T* to = last ? c : sums;
    const int64_t to_row = last ? ldc : NV * N;
    if (piece > 0) {
      HWY_UNROLL(14) for (int r = 0; r < R; ++r) {
        HWY_UNROLL(2) for (int v = 0; v < NV; ++v) {
          acc[r][v] = hn::Add(acc[r][v], hn::Load(d, sums + (r * NV + v) * N));
        }
      }
    }
    const bool more = last && add;
    HWY_UNROLL(14) for (int r = 0; r < R; ++r) {
      HWY_UNROLL(2) for (int v = 0; v < NV; ++v) {
        T* out = to + r * to_row + v * N;
        if (more) acc[r][v] = hn::Add(acc[r][v], hn::LoadU(d, out));
        hn::StoreU(acc[r][v], d, out);
      }
    }
  }
}

template <class T>
using Micro = void (*)(int64_t, const T*, int64_t, int64_t, const T*, int64_t, T*, int64_t, bool);

/** Microkernels of kStep, 2 kStep, ... rows; [0]: two vectors wide, [1]: one. */
template <class T, int kStep, int kStride, int... I>
constexpr auto make_micros(std::integer_sequence<int, I...>) {
  return std::array<std::array<Micro<T>, sizeof...(I)>, 2>{
      {{micro<T, (I + 1) * kStep, 2, kStride>...}, {micro<T, (I + 1) * kStep, 1, kStride>...}}};
}
template <class T, int kStep, int kStride>
inline constexpr auto kMicros =
    make_micros<T, kStep, kStride>(std::make_integer_sequence<int, kMaxRows / kStep>());

// ---- loads with conversion: a vector of D's lanes from memory of another type ----
template <class D>
HWY_INLINE hn::Vec<D> load(D d, const hn::TFromD<D>* p) {
  return hn::LoadU(d, p);
}
template <class D>
HWY_INLINE hn::Vec<D> load(D d, const bfloat16_t* p) {
  const hn::RebindToUnsigned<D> du;
  const hn::Rebind<uint16_t, D> d16;
  auto bits = hn::LoadU(d16, reinterpret_cast<const uint16_t*>(p));
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(du, bits)));
}
template <class D>
HWY_INLINE hn::Vec<D> load(D d, const float16_t* p) {
  const hn::Rebind<hwy::float16_t, D> d16;
  return hn::PromoteTo(d, hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(p)));
}
template <
    class D, class In,
    std::enable_if_t<std::is_integral_v<In> && (sizeof(In) < sizeof(hn::TFromD<D>))>* = nullptr>
HWY_INLINE hn::Vec<D> load(D d, const In* p) {
  return hn::PromoteTo(d, hn::LoadU(hn::Rebind<In, D>(), p));
}

#include "backend/cpu/turn-inl.h"

/** Packs `lanes` (at most W) sequences of k elements as out[k][W], short lanes filled with 0.
 *  Element (l, k) is src[l * lane_stride + k * k_stride]. */
template <class In, class T, int W>
HWY_NOINLINE HWY_ATTR void pack_panel(const In* HWY_RESTRICT src, int64_t lane_stride,
                                      int64_t k_stride, int64_t lanes, int64_t k,
                                      T* HWY_RESTRICT out) {
  constexpr int kBlock = 16 / sizeof(T);  // lanes of a 128-bit vector
  if (lane_stride != 1 && k_stride == 1) {
    // As many rows as a vector has lanes are turned in registers. Fewer rows spill over what is
    // written later: the short lanes and the next row of the panel. So the last lanes go first.
    // A few k at a time, so that what is written stays in the nearest cache.
    constexpr int N = kLanesOf<T>;
    constexpr int64_t kAtOnce = 64;
    for (int64_t x0 = 0; x0 < k; x0 += kAtOnce) {
      const int64_t x1 = std::min(k, x0 + kAtOnce);
      for (int64_t l = (lanes - 1) / N * N; l >= 0; l -= N) {
        const int64_t left = std::min<int64_t>(N, lanes - l);
        const int64_t end = left == N && l + N <= W ? x1 : std::min(x1, k - 1);
        const In* s[N];
        for (int y = 0; y < N; ++y) {
          s[y] = src + (l + (y < left ? y : 0)) * lane_stride;
          // The next stretch of the row: too short a run for the hardware to see it coming.
          for (int64_t x = x1; x < x1 + kAtOnce; x += 64 / sizeof(In)) __builtin_prefetch(s[y] + x);
        }
        int64_t x = x0;
        for (; x + kBlock <= end; x += kBlock) turn_block<T, W, N>(s, x, out + x * W + l);
        for (; x < x1; ++x)
          for (int64_t y = 0; y < left; ++y) out[x * W + l + y] = static_cast<T>(s[y][x]);
      }
    }
  } else if (lane_stride == 1) {
    constexpr int kN = W > kBlock ? kLanesOf<T> : kBlock;
    const hn::FixedTag<T, kN> d;
    // Vectors may read and write over the end of a row, into the next one, if there is one.
    const int64_t over = lanes == W && k_stride >= W && W + k_stride >= round_up(W, kN) ? k - 1 : 0;
    for (int64_t x = 0; x < k; ++x) {
      const In* s = src + x * k_stride;
      T* o = out + x * W;
      // Rows that are packed next, too far apart for the hardware to see them coming.
      for (int64_t y = 0; y < W; y += 64 / sizeof(In)) __builtin_prefetch(s + 16 * k_stride + y);
      if (x < over) {
        HWY_UNROLL(8) for (int l = 0; l < W; l += kN) hn::StoreU(load(d, s + l), d, o + l);
        continue;
      }
      int64_t l = 0;
      if (lanes == W) {
        HWY_UNROLL(8) for (; l + kN <= W; l += kN) hn::StoreU(load(d, s + l), d, o + l);
      }
      for (; l + kN <= lanes; l += kN) hn::StoreU(load(d, s + l), d, o + l);
      for (; l < lanes; ++l) o[l] = static_cast<T>(s[l]);
    }
  } else {
    for (int64_t x = 0; x < k; ++x)
      for (int64_t l = 0; l < lanes; ++l)
        out[x * W + l] = static_cast<T>(src[l * lane_stride + x * k_stride]);
  }
  if (lanes < W) {
    for (int64_t x = 0; x < k; ++x)
      for (int64_t l = lanes; l < W; ++l) out[x * W + l] = T(0);
  }
}
