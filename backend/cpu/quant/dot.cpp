// backend/cpu/quant/dot.cpp: x w^T for a few rows of x: every weight is read once and unpacked in
// registers. With sum_k (s q + b) x = s sum(q x) + b sum(x), scales touch one vector a chunk.
#include <algorithm>
#include <utility>
#include <vector>

#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/quant/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/quant/dot.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backend/cpu/fast/io-inl.h"
#include "backend/cpu/quant/unpack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

constexpr size_t kLanes = HWY_LANES(float);

// Rows taken side by side hide from the hardware that memory is read in one stream: words are
// prefetched this far ahead (8 kB: measured beside 2, 4 and 16).
constexpr size_t kAhead = 2048;

constexpr size_t kSlicesAhead = 1;

// x is kept in the order in which codes come out of the words. A chunk is one vector of words: lane
// i holds the codes of values i*P .. i*P+P-1 (P = 32/bits), and shifting all lanes by j codes gives
// value i*P+j. So chunk c of row m is P vectors, then the vector of the lanes' sums of x.
// That is for 4 bits, and for 8 with AVX-512. The others, of which some cross words, come out as
// bytes, 32 at a time, which a group is a multiple of: then a chunk is 32 values in order, then one
// vector whose first lane is their sum.
template <int kBits>
constexpr bool kInLanes = kBits == 4 || (kBits == 8 && HWY_TARGET <= HWY_AVX3);
template <int kBits>
constexpr size_t kChunk = kInLanes<kBits> ? kLanes*(32 / kBits) : 32;
template <int kBits>
constexpr size_t kChunkFloats = kChunk<kBits> + kLanes;

template <int kBits>
void order_x(const float* x, size_t k, float* out) {
  constexpr size_t kC = kChunk<kBits>;
  for (size_t at = 0; at < k; at += kC, out += kChunkFloats<kBits>) {
    const size_t n = std::min(kC, k - at);
    float* sums = out + kC;
    std::fill(out, out + kChunkFloats<kBits>, 0.0f);
    if constexpr (kInLanes<kBits>) {
      constexpr size_t kPer = 32 / kBits;
      if (n == kC) {
        const DF d;
        const auto lanes = hn::Mul(hn::Iota(DI(), 0), hn::Set(DI(), int(kPer)));
        VF sum = hn::Zero(d);
        for (size_t j = 0; j < kPer; ++j) {
          const VF v = hn::GatherIndex(d, x + at + j, lanes);
          hn::StoreU(v, d, out + j * kLanes);
          sum = hn::Add(sum, v);
        }
        hn::StoreU(sum, d, sums);
        continue;
      }
      for (size_t i = 0; i < n; i += kPer) {
        for (size_t j = 0; j < kPer; ++j) {
          out[j * kLanes + i / kPer] = x[at + i + j];
          sums[i / kPer] += x[at + i + j];
        }
      }
    } else {
      for (size_t i = 0; i < n; ++i) {
        out[i] = x[at + i];
        sums[0] += x[at + i];
      }
    }
  }
}

/** Rows begin anywhere: loads often cross cache lines, and g++ would load again for every shift. */
HWY_INLINE VU in_register(VU v) {
#if HWY_ARCH_X86
#if HWY_TARGET <= HWY_AVX3
  __asm__("" : "+v"(v.raw));
#else
  __asm__("" : "+x"(v.raw));
#endif
#endif
  return v;
}

HWY_INLINE VU first_words(const uint32_t* p, size_t n) {
#if HWY_TARGET <= HWY_AVX3
  return VU{_mm512_maskz_loadu_epi32(__mmask16((1u << n) - 1), p)};
#else
  alignas(64) uint32_t lanes[kLanes] = {};
  std::memcpy(lanes, p, n * sizeof(uint32_t));
  return hn::Load(DU(), lanes);
#endif
}

template <int kBits, size_t M, size_t R, size_t... J>
HWY_INLINE void whole_chunk(const CodesOf<kBits>& codes, const VU* words, const VF* scale,
                            const VF* bias, const float* x, size_t x_stride, VF (&acc)[R][M],
                            std::index_sequence<J...>) {
  const DF d;
  // One chain of eight fused products a row would wait for itself: few rows have a second sum, of
  // odd codes.
  constexpr size_t kSums = R * M < 6 ? 2 : 1;
  VF t[kSums][R][M];
  const auto step = [&](auto j) HWY_ATTR {
    constexpr size_t kSum = j.value % kSums;
    VF xj[M];
    HWY_UNROLL(4)
    for (size_t m = 0; m < M; ++m) xj[m] = hn::LoadU(d, x + m * x_stride + j.value * kLanes);
    HWY_UNROLL(4)
    for (size_t r = 0; r < R; ++r) {
      const VF q = codes.template at<int(j.value) * kBits>(words[r]);
      HWY_UNROLL(4)
      for (size_t m = 0; m < M; ++m) {
        if constexpr (j.value < kSums) {
          t[kSum][r][m] = hn::Mul(q, xj[m]);
        } else {
          t[kSum][r][m] = hn::MulAdd(q, xj[m], t[kSum][r][m]);
        }
      }
    }
  };
  (step(std::integral_constant<size_t, J>()), ...);
  HWY_UNROLL(4)
  for (size_t m = 0; m < M; ++m) {
    const VF sum = hn::LoadU(d, x + m * x_stride + sizeof...(J) * kLanes);
    HWY_UNROLL(4)
    for (size_t r = 0; r < R; ++r) {
      acc[r][m] =
          hn::MulAdd(scale[r], kSums == 1 ? t[0][r][m] : hn::Add(t[0][r][m], t[kSums - 1][r][m]),
                     hn::MulAdd(bias[r], sum, acc[r][m]));
    }
  }
}

/** R rows of w against M rows of x; scales and biases as float32 with `groups` a row. */
template <int kBits, size_t M, size_t R, class Spread>
HWY_INLINE void whole_rows(const CodesOf<kBits>& codes, const Spread& spread, const uint32_t* w,
                           size_t row_words, const float* scales, const float* biases,
                           size_t groups, int words_shift, const float* x, size_t x_stride,
                           float* out, size_t out_stride) {
  const DF d;
  constexpr auto kSteps = std::make_index_sequence<32 / kBits>();
  // A chunk spans at most 4 groups, so 16 bytes hold its scales (and seldom cross a cache line).
  const auto of_lanes = [&](const float* p)
                            HWY_ATTR { return hn::TableLookupLanes(hn::LoadU(d, p), spread); };
  VF acc[R][M];
  HWY_UNROLL(4)
  for (size_t r = 0; r < R; ++r) {
    HWY_UNROLL(4)
    for (size_t m = 0; m < M; ++m) acc[r][m] = hn::Zero(d);
  }
  // Arrays of one vector crash g++ 12 (scalar replacement), so a single row has room for two.
  constexpr size_t kRoom = R == 1 ? 2 : R;
  VU words[kRoom];
  VF scale[kRoom];
  VF bias[kRoom];
  size_t at = 0;
  for (; at + kLanes <= row_words; at += kLanes, x += kChunkFloats<kBits>) {
    const size_t g = at >> words_shift;
    HWY_UNROLL(4)
    for (size_t r = 0; r < R; ++r) {
      words[r] = in_register(hn::LoadU(DU(), w + r * row_words + at));
      __builtin_prefetch(w + r * row_words + at + kAhead);
      scale[r] = of_lanes(scales + r * groups + g);
      bias[r] = of_lanes(biases + r * groups + g);
    }
    whole_chunk<kBits, M, R>(codes, words, scale, bias, x, x_stride, acc, kSteps);
  }
  if (at < row_words) {
    const size_t g = at >> words_shift;
    const auto valid = hn::FirstN(d, row_words - at);
    for (size_t r = 0; r < R; ++r) {
      words[r] = first_words(w + r * row_words + at, row_words - at);
      scale[r] = hn::IfThenElseZero(valid, of_lanes(scales + r * groups + g));
      bias[r] = hn::IfThenElseZero(valid, of_lanes(biases + r * groups + g));
    }
    whole_chunk<kBits, M, R>(codes, words, scale, bias, x, x_stride, acc, kSteps);
  }
  for (size_t r = 0; r < R; ++r) {
    for (size_t m = 0; m < M; ++m) {
      out[m * out_stride + r] = hn::GetLane(hn::SumOfLanes(d, acc[r][m]));
    }
  }
}

/** The codes of 32 values as bytes: where they lie, or in `room`. */
template <int kBits>
HWY_INLINE const uint8_t* code_bytes(const uint32_t* w, uint8_t* room) {
  if constexpr (kBits == 8) {
    return reinterpret_cast<const uint8_t*>(w);
  } else {
    unpack_bytes<kBits>(w, room);
    return room;
  }
}

/** One row of w by bytes, against M rows of x. */
template <int kBits, size_t M>
HWY_INLINE void ordered_row(const uint32_t* w, size_t k, const float* scales, const float* biases,
                            int group_shift, const float* x, size_t x_stride, float* out,
                            size_t out_stride) {
  const DF d;
  // Arrays of one vector crash g++ 12 (scalar replacement), so a single row has room for two.
  constexpr size_t kRoom = M == 1 ? 2 : M;
  VF acc[kRoom];
  float offset[M] = {};
  for (size_t m = 0; m < M; ++m) acc[m] = hn::Zero(d);
  alignas(64) uint8_t room[32];
  for (size_t chunk = 0; chunk < k / 32; ++chunk, w += kBits, x += kChunkFloats<kBits>) {
    const uint8_t* codes = code_bytes<kBits>(w, room);
    __builtin_prefetch(w + kAhead);
    // Two chains: one would keep the next chunks waiting for room to begin in.
    VF t[2][kRoom];
    HWY_UNROLL(8)
    for (size_t i = 0; i < 32; i += kLanes) {
      const VF q = codes_from_bytes(codes + i);
      const size_t chain = i / kLanes % 2;
      HWY_UNROLL(4)
      for (size_t m = 0; m < M; ++m) {
        const VF xi = hn::LoadU(d, x + m * x_stride + i);
        t[chain][m] = i < 2 * kLanes ? hn::Mul(q, xi) : hn::MulAdd(q, xi, t[chain][m]);
      }
    }
    const size_t g = chunk >> group_shift;
    const VF scale = hn::Set(d, scales[g]);
    for (size_t m = 0; m < M; ++m) {
      acc[m] = hn::MulAdd(scale, hn::Add(t[0][m], t[1][m]), acc[m]);
      offset[m] += biases[g] * x[m * x_stride + 32];
    }
  }
  for (size_t m = 0; m < M; ++m) {
    out[m * out_stride] = hn::GetLane(hn::SumOfLanes(d, acc[m])) + offset[m];
  }
}

template <int kBits, size_t M>
void dot_rows(const uint32_t* w, size_t rows, size_t k, const float* scales, const float* biases,
              int group, const float* x, size_t x_stride, float* out, size_t out_stride) {
  const size_t words = packed_words(k, kBits);
  const size_t groups = k / size_t(group);
  size_t r = 0;
  if constexpr (kInLanes<kBits>) {
    constexpr size_t R = M == 1 && HWY_TARGET <= HWY_AVX3 ? 4 : 2;  // what the registers hold
    const CodesOf<kBits> codes;
    // Words of a group are a power of two; lane i of a chunk belongs to its group i >> words_shift.
    int words_shift = 0;
    while (32 << words_shift < group * kBits) ++words_shift;
    const DI di;
    const auto lane_group = [&]() HWY_ATTR {
      alignas(64) int32_t lanes[kLanes];
      for (size_t i = 0; i < kLanes; ++i) lanes[i] = int32_t(i >> words_shift);
      return hn::Load(di, lanes);
    }();
    const auto spread = hn::IndicesFromVec(DF(), lane_group);
    for (; r + R <= rows; r += R) {
      whole_rows<kBits, M, R>(codes, spread, w + r * words, words, scales + r * groups,
                              biases + r * groups, groups, words_shift, x, x_stride, out + r,
                              out_stride);
    }
    for (; r < rows; ++r) {
      whole_rows<kBits, M, 1>(codes, spread, w + r * words, words, scales + r * groups,
                              biases + r * groups, groups, words_shift, x, x_stride, out + r,
                              out_stride);
    }
  } else {
    int group_shift = 0;
    while (32 << group_shift < group) ++group_shift;
    for (; r < rows; ++r) {
      ordered_row<kBits, M>(w + r * words, k, scales + r * groups, biases + r * groups, group_shift,
                            x, x_stride, out + r, out_stride);
    }
  }
}

template <class F>
HWY_INLINE void with_bits(int bits, const F& f) {
  switch (bits) {
    case 1:
      return f(std::integral_constant<int, 1>());
    case 2:
      return f(std::integral_constant<int, 2>());
    case 3:
      return f(std::integral_constant<int, 3>());
    case 4:
      return f(std::integral_constant<int, 4>());
    case 5:
      return f(std::integral_constant<int, 5>());
    case 6:
      return f(std::integral_constant<int, 6>());
    default:
      return f(std::integral_constant<int, 8>());
  }
}

size_t ordered_floats(size_t k, int bits) {
  size_t floats = 0;
  with_bits(bits, [&](auto b) {
    floats = (k + kChunk<b.value> - 1) / kChunk<b.value> * kChunkFloats<b.value>;
  });
  return floats;
}

/** x of one batch entry, m rows of ordered_floats each. */
void order_rows(const QuantizedProduct& p, size_t entry, float* out) {
  static thread_local Scratch scratch;
  const size_t k = p.w.cols;
  float* row = scratch.floats(k);
  const size_t stride = ordered_floats(k, p.w.bits);
  for (size_t m = 0; m < p.m; ++m) {
    floats_from(p.x_dtype, offset_by(p.x, p.batch[entry].x + m * p.x_row, p.x_dtype), row, k);
    with_bits(p.w.bits, [&](auto b) { order_x<b.value>(row, k, out + m * stride); });
  }
}

/** Rows [begin, end) of w of one batch entry. */
void dot_slice(const QuantizedProduct& p, size_t entry, size_t begin, size_t end, const float* x) {
  static thread_local Scratch scratch;
  const QuantizedBatch& at = p.batch[entry];
  const size_t k = p.w.cols;
  const size_t groups = k / size_t(p.w.group_size);
  const size_t rows = end - begin;
  // Scales are read a vector at a time, from the last group on too: hence the space between.
  float* scales = scratch.floats(2 * (rows * groups + kLanes) + p.m * rows);
  float* biases = scales + rows * groups + kLanes;
  float* out = biases + rows * groups + kLanes;
  const size_t first = at.scales + begin * groups;
  // The scales of the slices to come, for this thread or another.
  const size_t scale_bytes = rows * groups * dtype_bytes(p.w.scale_dtype);
  const char* ahead_s = static_cast<const char*>(offset_by(p.w.scales, first, p.w.scale_dtype));
  const char* ahead_b = static_cast<const char*>(offset_by(p.w.biases, first, p.w.scale_dtype));
  for (size_t i = 0; i < scale_bytes; i += 64) {
    __builtin_prefetch(ahead_s + kSlicesAhead * scale_bytes + i, 0, 2);
    __builtin_prefetch(ahead_b + kSlicesAhead * scale_bytes + i, 0, 2);
  }
  floats_from(p.w.scale_dtype, offset_by(p.w.scales, first, p.w.scale_dtype), scales,
              rows * groups);
  floats_from(p.w.scale_dtype, offset_by(p.w.biases, first, p.w.scale_dtype), biases,
              rows * groups);
  std::fill(scales + rows * groups, biases, 0.0f);
  std::fill(biases + rows * groups, out, 0.0f);
  const uint32_t* w = p.w.packed + at.packed + begin * packed_words(k, p.w.bits);
  const size_t stride = ordered_floats(k, p.w.bits);
  with_bits(p.w.bits, [&](auto b) {
    constexpr int kBits = b.value;
    for (size_t m = 0; m < p.m; m += kPass) {
      const auto run = [&](auto rows_of_x) {
        dot_rows<kBits, rows_of_x.value>(w, rows, k, scales, biases, p.w.group_size, x + m * stride,
                                         stride, out + m * rows, rows);
      };
      switch (std::min(kPass, p.m - m)) {
        case 1:
          run(std::integral_constant<size_t, 1>());
          break;
        case 2:
          run(std::integral_constant<size_t, 2>());
          break;
        case 3:
          run(std::integral_constant<size_t, 3>());
          break;
        default:
          run(std::integral_constant<size_t, 4>());
          break;
      }
    }
  });
  for (size_t m = 0; m < p.m; ++m) {
    floats_to(p.out_dtype, out + m * rows,
              offset_by(p.out, at.out + m * p.out_row + begin, p.out_dtype), rows);
  }
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
namespace {

HWY_EXPORT(ordered_floats);
HWY_EXPORT(order_rows);
HWY_EXPORT(dot_slice);

}  // namespace

void quantized_dot(const QuantizedProduct& p) {
  if (quantized_dot_bytes(p) || quantized_dot_words(p)) return;
  const size_t k = p.w.cols;
  const size_t entry_floats = HWY_DYNAMIC_DISPATCH(ordered_floats)(k, p.w.bits) * p.m;
  static thread_local Scratch ordered;
  float* x = ordered.floats(entry_floats * p.count);
  parallel_range(int64_t(p.count), 16, [&](int64_t begin, int64_t end) {
    for (size_t e = size_t(begin); e < size_t(end); ++e) {
      HWY_DYNAMIC_DISPATCH(order_rows)(p, e, x + e * entry_floats);
    }
  });
  for_slices(p, [&](size_t e, size_t begin, size_t end) {
    HWY_DYNAMIC_DISPATCH(dot_slice)(p, e, begin, end, x + e * entry_floats);
  });
}

}  // namespace mlx::core::cpu
#endif
