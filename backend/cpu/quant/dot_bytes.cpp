// backend/cpu/quant/dot_bytes.cpp: x w^T for one or two rows of x and 4-bit codes, by the dot
// products of bytes that some CPUs have (AVX512_VNNI): a third of the instructions that float32
// products take. Highway 1.0 has no way to them, so this unit is written in intrinsics.
//
// x is kept as three signed bytes a value, v = (b0 2^16 + b1 2^8 + b2) max|x| / 8355711: that is
// the precision of a float32 beside the largest. Codes times bytes are summed exactly in 32-bit
// integers (8 codes of 15 times 2^23: below 2^31), one sum a word, which then meets its scale.
#include <algorithm>
#include <cstring>

#include "backend/cpu/ceil_div.h"
#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/fast/targets.h"
#include "backend/cpu/quant/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

// clang-format off
#if defined(__clang__)
#define QUANT_BEGIN_TARGET _Pragma("clang attribute push(__attribute__((target(\"avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,avx2,fma,f16c,bmi2\"))), apply_to = function)")
#define QUANT_END_TARGET _Pragma("clang attribute pop")
#else
#define QUANT_BEGIN_TARGET _Pragma("GCC push_options") _Pragma("GCC target \"avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,avx2,fma,f16c,bmi2\"")
#define QUANT_END_TARGET _Pragma("GCC pop_options")
// GCC's own headers start some reductions from a variable set to itself.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
// clang-format on

QUANT_BEGIN_TARGET
namespace mlx::core::cpu {
namespace bytes {

constexpr size_t kWords = 16;                // a vector's: a chunk of w
constexpr size_t kValues = 8 * kWords;       // their codes
constexpr size_t kGroups = 16;               // whose scales are one vector
constexpr size_t kChunkBytes = 3 * kValues;  // three planes, codes of even then of odd place each
constexpr size_t kAheadScales = 512;         // of each array, in values: beside 256, 1024, 2048
constexpr size_t kAheadWords = 1024;         // 4 kB: beside 2, 8, 16
constexpr float kLargest = 8355711.0f;       // 127 (2^16 + 2^8 + 1)

inline __mmask16 first(size_t n) { return n >= 16 ? __mmask16(0xffff) : __mmask16((1u << n) - 1); }

inline __m512 load16(const float* p, __mmask16 valid) { return _mm512_maskz_loadu_ps(valid, p); }
inline __m512 load16(const float16_t* p, __mmask16 valid) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(valid, p));
}
inline __m512 load16(const bfloat16_t* p, __mmask16 valid) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(valid, p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

/** Calls f with a null pointer of the type of `dtype`: float32, float16 or bfloat16. */
template <class F>
inline auto with_type(Dtype::Val dtype, const F& f) {
  switch (dtype) {
    case Dtype::Val::float16:
      return f(static_cast<const float16_t*>(nullptr));
    case Dtype::Val::bfloat16:
      return f(static_cast<const bfloat16_t*>(nullptr));
    default:
      return f(static_cast<const float*>(nullptr));
  }
}

/** A row of x as its bytes, the sums of its groups, and the value of one unit. */
struct Row {
  float unit;
  const float* sums;     // padded with zeros to whole vectors
  const int8_t* planes;  // kChunkBytes a chunk
};

inline size_t sums_of(size_t k, size_t group) { return round_up(k / group, kGroups); }
inline size_t row_bytes(size_t k, size_t group) {
  return sums_of(k, group) * sizeof(float) + round_up(k, kValues) / kValues * kChunkBytes;
}

/** False where x has an infinity or NaN, which no bytes stand for. `values` has room for k, padded
 * to whole chunks. */
template <class T>
bool make_row(const T* x, size_t k, size_t group, float* values, char* memory, Row& row) {
  __m512 most = _mm512_setzero_ps();
  const size_t padded = round_up(k, kValues);
  for (size_t i = 0; i < padded; i += 16) {
    const __m512 v = i < k ? load16(x + i, first(k - i)) : _mm512_setzero_ps();
    _mm512_storeu_ps(values + i, v);
    // Not a max of floats: that would lose a NaN. Bits of magnitudes order as the magnitudes do.
    most = _mm512_castsi512_ps(
        _mm512_max_epi32(_mm512_castps_si512(most), _mm512_castps_si512(_mm512_abs_ps(v))));
  }
  const int32_t bits = _mm512_reduce_max_epi32(_mm512_castps_si512(most));
  if (bits >= 0x7f800000) return false;
  float largest;
  std::memcpy(&largest, &bits, sizeof(bits));
  // The inverse of the smallest magnitudes has no float32: they count as zero beside nothing else.
  const bool zero = largest < 1e-30f;
  if (zero && largest != 0.0f) return false;
  row.unit = zero ? 0.0f : largest / kLargest;
  const __m512 inverse = _mm512_set1_ps(zero ? 0.0f : kLargest / largest);
  const __m512i limit = _mm512_set1_epi32(int32_t(kLargest));
  float* sums = reinterpret_cast<float*>(memory);
  const size_t groups = k / group;
  for (size_t g = 0; g < groups; ++g) {
    __m512 sum = _mm512_setzero_ps();
    for (size_t i = 0; i < group; i += 16) {
      sum = _mm512_add_ps(sum, _mm512_loadu_ps(values + g * group + i));
    }
    sums[g] = _mm512_reduce_add_ps(sum);
  }
  std::fill(sums + groups, sums + sums_of(k, group), 0.0f);
  int8_t* planes = reinterpret_cast<int8_t*>(sums + sums_of(k, group));
  row.sums = sums;
  row.planes = planes;
  const __m512i half = _mm512_set1_epi32(128);
  for (size_t at = 0; at < padded; at += kValues, planes += kChunkBytes) {
    alignas(64) int8_t straight[3][kValues];
    for (size_t i = 0; i < kValues; i += 16) {
      __m512i v = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(values + at + i), inverse));
      v = _mm512_min_epi32(v, limit);
      v = _mm512_max_epi32(v, _mm512_sub_epi32(_mm512_setzero_si512(), limit));
      _mm_store_si128(reinterpret_cast<__m128i*>(straight[2] + i), _mm512_cvtepi32_epi8(v));
      v = _mm512_srai_epi32(_mm512_add_epi32(v, half), 8);
      _mm_store_si128(reinterpret_cast<__m128i*>(straight[1] + i), _mm512_cvtepi32_epi8(v));
      v = _mm512_srai_epi32(_mm512_add_epi32(v, half), 8);
      _mm_store_si128(reinterpret_cast<__m128i*>(straight[0] + i), _mm512_cvtepi32_epi8(v));
    }
    for (size_t p = 0; p < 3; ++p) {
      for (size_t h = 0; h < 2; ++h) {
        const __m512i both = _mm512_load_si512(straight[p] + 64 * h);
        auto* to = reinterpret_cast<__m256i*>(planes + p * kValues + 32 * h);
        _mm256_storeu_si256(to, _mm512_cvtepi16_epi8(both));
        _mm256_storeu_si256(to + 2, _mm512_cvtepi16_epi8(_mm512_srli_epi16(both, 8)));
      }
    }
  }
  return true;
}

constexpr size_t kRows = 4;         // short rows of w that are taken together
constexpr size_t kShortWords = 96;  // longer ones would be as many streams of memory

/** to[i] = the sum of the i-th vector. */
inline void store_sums(__m512 a, __m512 b, __m512 c, __m512 d, float* to) {
  // Not a lambda: it would not have this unit's target.
#define MICA_HALVES(v) _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1))
  const __m256 ab = _mm256_hadd_ps(MICA_HALVES(a), MICA_HALVES(b));
  const __m256 cd = _mm256_hadd_ps(MICA_HALVES(c), MICA_HALVES(d));
#undef MICA_HALVES
  const __m256 all = _mm256_hadd_ps(ab, cd);
  _mm_storeu_ps(to, _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1)));
}

/**
 * n rows of w against one of x, to out. Short rows lie close enough to be one stream of memory when
 * taken together, and x is then loaded once for all; longer ones are taken one at a time, as memory
 * serves several streams at half the speed. Which rows are taken together changes no bit.
 */
template <size_t n, class T>
inline void dot_rows(const uint32_t* w, size_t words, const T* scales, const T* biases,
                     size_t groups, int words_shift, const Row& x, const uint32_t* last,
                     float* out) {
  const __m512i low = _mm512_set1_epi8(0x0f);
  const __m512i lane =
      _mm512_srl_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                       _mm_cvtsi32_si128(words_shift));
  const __m512i groups_a_chunk = _mm512_set1_epi32(int(kWords >> words_shift));
  __m512 acc[kRows] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                       _mm512_setzero_ps()};
  __m512 offset[kRows] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                          _mm512_setzero_ps()};
  const int8_t* planes = x.planes;
  size_t at = 0;
  for (size_t g = 0; g < groups; g += kGroups) {
    const __mmask16 valid = first(groups - g);
    const __m512 sums = _mm512_loadu_ps(x.sums + g);
    __m512 scale[n];
    for (size_t r = 0; r < n; ++r) {
      scale[r] = load16(scales + r * groups + g, valid);
      offset[r] = _mm512_fmadd_ps(load16(biases + r * groups + g, valid), sums, offset[r]);
    }
    __m512i spread = lane;
    const size_t end = std::min(words, at + (kGroups << words_shift));
    for (; at < end; at += kWords, planes += kChunkBytes) {
      const __mmask16 inside = first(words - at);
      __m512i even[n], odd[n], t[n];
      for (size_t r = 0; r < n; ++r) {
        const uint32_t* from = w + r * words + at;
        const __m512i codes = _mm512_maskz_loadu_epi32(inside, from);
        _mm_prefetch(reinterpret_cast<const char*>(std::min(from + kAheadWords, last)),
                     _MM_HINT_T0);
        even[r] = _mm512_and_si512(codes, low);
        odd[r] = _mm512_and_si512(_mm512_srli_epi32(codes, 4), low);
        t[r] = _mm512_setzero_si512();
      }
      for (size_t plane = 0; plane < 3; ++plane) {
        const __m512i x_even = _mm512_loadu_si512(planes + plane * kValues);
        const __m512i x_odd = _mm512_loadu_si512(planes + plane * kValues + 64);
        for (size_t r = 0; r < n; ++r) {
          if (plane > 0) t[r] = _mm512_slli_epi32(t[r], 8);
          t[r] = _mm512_dpbusd_epi32(t[r], even[r], x_even);
          t[r] = _mm512_dpbusd_epi32(t[r], odd[r], x_odd);
        }
      }
      for (size_t r = 0; r < n; ++r) {
        acc[r] = _mm512_fmadd_ps(_mm512_permutexvar_ps(spread, scale[r]), _mm512_cvtepi32_ps(t[r]),
                                 acc[r]);
      }
      spread = _mm512_add_epi32(spread, groups_a_chunk);
    }
  }
  const __m512 unit = _mm512_set1_ps(x.unit);
  for (size_t r = 0; r < n; ++r) acc[r] = _mm512_fmadd_ps(unit, acc[r], offset[r]);
  if constexpr (n == kRows) {
    store_sums(acc[0], acc[1], acc[2], acc[3], out);
  } else {
    float all[kRows];
    store_sums(acc[0], acc[1], acc[2], acc[3], all);
    out[0] = all[0];
  }
}

template <class T>
void store_row(const float* from, size_t n, T* to) {
  std::transform(from, from + n, to, [](float v) { return T(v); });
}
inline void store_row(const float* from, size_t n, float16_t* to) {
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 valid = first(n - i);
    _mm256_mask_storeu_epi16(to + i, valid,
                             _mm512_cvtps_ph(_mm512_maskz_loadu_ps(valid, from + i), 0));
  }
}

/** Rows [begin, end) of w against the rows of x of one batch entry. */
template <class T>
void dot_slice(const QuantizedProduct& p, const T*, const QuantizedBatch& at, size_t begin,
               size_t end, const Row* x) {
  static thread_local Scratch scratch;
  const size_t rows = end - begin;
  const size_t groups = p.w.cols / size_t(p.w.group_size);
  const size_t words = packed_words(p.w.cols, 4);
  const T* scales = static_cast<const T*>(p.w.scales) + at.scales + begin * groups;
  const T* biases = static_cast<const T*>(p.w.biases) + at.scales + begin * groups;
  const uint32_t* w = p.w.packed + at.packed + begin * words;
  // A slice begins cold: ask for its first words at once, and for the rest ahead of time. Nothing
  // is asked for behind its end, which another thread may have begun. All scales at once would
  // stand in the way of the words: that took a third longer.
  const uint32_t* last = w + rows * words - 1;
  for (size_t i = 0; i < std::min(kAheadWords, rows * words); i += 16)
    _mm_prefetch(reinterpret_cast<const char*>(w + i), _MM_HINT_T0);
  constexpr size_t kLine = 64 / sizeof(T);
  size_t asked = 0;  // of the scales
  const auto ask = [&](size_t until) {
    for (until = std::min(until, rows * groups); asked < until; asked += kLine) {
      _mm_prefetch(reinterpret_cast<const char*>(scales + asked), _MM_HINT_T0);
      _mm_prefetch(reinterpret_cast<const char*>(biases + asked), _MM_HINT_T0);
    }
  };
  int words_shift = 0;
  while (8 << words_shift < p.w.group_size) ++words_shift;
  float* out = scratch.floats(p.m * rows);
  const auto dot = [&](auto n, size_t r) {
    ask(r * groups + kAheadScales);
    for (size_t m = 0; m < p.m; ++m) {
      dot_rows<n()>(w + r * words, words, scales + r * groups, biases + r * groups, groups,
                    words_shift, x[m], last, out + m * rows + r);
    }
  };
  size_t r = 0;
  if (words <= kShortWords) {
    for (; r + kRows <= rows; r += kRows) dot(std::integral_constant<size_t, kRows>(), r);
  }
  for (; r < rows; ++r) dot(std::integral_constant<size_t, 1>(), r);
  with_type(p.out_dtype, [&](auto* type) {
    using Out = std::remove_const_t<std::remove_pointer_t<decltype(type)>>;
    for (size_t m = 0; m < p.m; ++m) {
      store_row(out + m * rows, rows, static_cast<Out*>(p.out) + at.out + m * p.out_row + begin);
    }
  });
}

bool run(const QuantizedProduct& p) {
  static thread_local Scratch scratch;
  const size_t k = p.w.cols;
  const size_t group = size_t(p.w.group_size);
  const size_t room = round_up(row_bytes(k, group), 64);
  const size_t values = round_up(k, kValues) * sizeof(float);
  const size_t rows_of_x = p.count * p.m;
  char* memory =
      static_cast<char*>(scratch.get(values + rows_of_x * (room + round_up(sizeof(Row), 64))));
  Row* x = reinterpret_cast<Row*>(memory + values + rows_of_x * room);
  for (size_t i = 0; i < rows_of_x; ++i) {
    const size_t at = p.batch[i / p.m].x + i % p.m * p.x_row;
    const bool made = with_type(p.x_dtype, [&](auto* type) {
      return make_row(static_cast<decltype(type)>(p.x) + at, k, group,
                      reinterpret_cast<float*>(memory), memory + values + i * room, x[i]);
    });
    if (!made) return false;
  }
  for_slices(p, [&](size_t e, size_t begin, size_t end) {
    with_type(p.w.scale_dtype,
              [&](auto* type) { dot_slice(p, type, p.batch[e], begin, end, x + e * p.m); });
  });
  return true;
}

}  // namespace bytes
}  // namespace mlx::core::cpu
QUANT_END_TARGET

namespace mlx::core::cpu {

bool quantized_dot_bytes(const QuantizedProduct& p) {
  static const bool have = simd_allows_avx512() && __builtin_cpu_supports("avx512vnni") &&
                           __builtin_cpu_supports("avx512bw") &&
                           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  return have && p.w.bits == 4 && p.m <= 2 && p.count <= 64 && bytes::run(p);
}

}  // namespace mlx::core::cpu

#else  // no such instructions

namespace mlx::core::cpu {
bool quantized_dot_bytes(const QuantizedProduct&) { return false; }
}  // namespace mlx::core::cpu

#endif
