// backend/cpu/quant/dot_words.cpp: x w^T for one or two rows of x and 8-bit codes, by products of
// 16-bit words, which AVX2 adds up in pairs: two thirds of the instructions that float32 products
// take there. (With 4-bit codes, whose halves of bytes must be parted first, it takes longer.) Only
// for AVX2, in its intrinsics.
//
// x is kept as two signed words a value, v = (h 2^15 + l) max|x| / kLargest: finer than a float32
// beside the largest. Codes times words are summed exactly in 32-bit integers (128 values of a
// group on 8 lanes: 16 codes of 255 times 2^15, below 2^31), and meet their group's scale then.
#include <algorithm>
#include <cstring>

#include "backend/cpu/ceil_div.h"
#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/quant/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/quant/dot_words.cpp"
#include <hwy/foreach_target.h>  // must come first
#include <hwy/highway.h>

#include "backend/cpu/fast/io-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_AVX2

constexpr size_t kValues = 32;             // a chunk of w, which groups are a multiple of
constexpr size_t kAheadBytes = 8192;       // of codes
constexpr float kLargest = 1073676288.0f;  // 2^30 - 2^16: h stays a word

/** A row of x as its words, the sums of its groups, and the value of one unit. */
struct Row {
  float unit;
  const float* sums;     // padded with zeros to whole vectors
  const int16_t* words;  // a chunk: 32 h, 32 l
};

inline size_t row_bytes(size_t k, size_t group) {
  return round_up(k / group, 16) * sizeof(float) + 2 * k * sizeof(int16_t);
}

/** False where x has an infinity or NaN, which no words stand for. `values` has k floats. */
bool make_row(const float* values, size_t k, size_t group, char* memory, Row& row) {
  // Bits of magnitudes order as the magnitudes do, and a NaN's are above all.
  uint32_t most = 0;
  for (size_t i = 0; i < k; ++i) {
    uint32_t v;
    std::memcpy(&v, values + i, sizeof(v));
    most = std::max(most, v & 0x7fffffff);
  }
  if (most >= 0x7f800000) return false;
  float largest;
  std::memcpy(&largest, &most, sizeof(most));
  // The inverse of the smallest magnitudes has no float32: those are left to others.
  const bool zero = largest == 0.0f;
  if (!zero && largest < 1e-28f) return false;
  row.unit = zero ? 0.0f : largest / kLargest;
  const float inverse = zero ? 0.0f : kLargest / largest;
  const size_t groups = k / group, padded = round_up(groups, 16);
  float* sums = reinterpret_cast<float*>(memory);
  for (size_t g = 0; g < groups; ++g) {
    float parts[8] = {};
    for (size_t i = 0; i < group; ++i) parts[i % 8] += values[g * group + i];
    sums[g] = ((parts[0] + parts[4]) + (parts[1] + parts[5])) +
              ((parts[2] + parts[6]) + (parts[3] + parts[7]));
  }
  std::fill(sums + groups, sums + padded, 0.0f);
  auto* words = reinterpret_cast<int16_t*>(sums + padded);
  row.sums = sums;
  row.words = words;
  for (size_t at = 0; at < k; at += kValues, words += 2 * kValues) {
    alignas(32) int32_t whole[kValues];
    const __m256 by = _mm256_set1_ps(inverse);
    for (size_t i = 0; i < kValues; i += 8) {
      const __m256 scaled = _mm256_mul_ps(_mm256_loadu_ps(values + at + i), by);
      const __m256 limit = _mm256_set1_ps(kLargest);
      const __m256 below =
          _mm256_min_ps(limit, _mm256_max_ps(_mm256_sub_ps(_mm256_setzero_ps(), limit), scaled));
      _mm256_store_si256(reinterpret_cast<__m256i*>(whole + i), _mm256_cvtps_epi32(below));
    }
    for (size_t i = 0; i < kValues; ++i) {
      const int32_t h = (whole[i] + (1 << 14)) >> 15;
      words[i] = int16_t(h);
      words[kValues + i] = int16_t(whole[i] - h * (1 << 15));
    }
  }
  return true;
}

/** One row of w against one of x; scales and biases as float32. */
template <size_t kChunks>
float dot_row(const uint8_t* w, const float* scales, const float* biases, size_t groups,
              const Row& x) {
  const int16_t* words = x.words;
  __m256 high_sum = _mm256_setzero_ps(), low_sum = _mm256_setzero_ps();
  for (size_t g = 0; g < groups; ++g) {
    __m256i h, l;
    for (size_t c = 0; c < kChunks; ++c) {
      const auto* from = reinterpret_cast<const __m128i*>(w);
      _mm_prefetch(reinterpret_cast<const char*>(w + kAheadBytes), _MM_HINT_T0);
      const __m256i first = _mm256_cvtepu8_epi16(_mm_loadu_si128(from));
      const __m256i second = _mm256_cvtepu8_epi16(_mm_loadu_si128(from + 1));
      const auto* v = reinterpret_cast<const __m256i*>(words);
      const __m256i high_part =
          _mm256_add_epi32(_mm256_madd_epi16(first, _mm256_loadu_si256(v)),
                           _mm256_madd_epi16(second, _mm256_loadu_si256(v + 1)));
      const __m256i low_part =
          _mm256_add_epi32(_mm256_madd_epi16(first, _mm256_loadu_si256(v + 2)),
                           _mm256_madd_epi16(second, _mm256_loadu_si256(v + 3)));
      h = c == 0 ? high_part : _mm256_add_epi32(h, high_part);
      l = c == 0 ? low_part : _mm256_add_epi32(l, low_part);
      w += kValues;
      words += 2 * kValues;
    }
    const __m256 scale = _mm256_broadcast_ss(scales + g);
    high_sum = _mm256_fmadd_ps(scale, _mm256_cvtepi32_ps(h), high_sum);
    low_sum = _mm256_fmadd_ps(scale, _mm256_cvtepi32_ps(l), low_sum);
  }
  __m256 offset = _mm256_setzero_ps();
  size_t g = 0;
  for (; g + 8 <= groups; g += 8) {
    offset = _mm256_fmadd_ps(_mm256_loadu_ps(biases + g), _mm256_loadu_ps(x.sums + g), offset);
  }
  float rest = 0;
  for (; g < groups; ++g) rest += biases[g] * x.sums[g];
  const __m256 all = _mm256_fmadd_ps(high_sum, _mm256_set1_ps(32768.0f), low_sum);
  const VF sums{_mm256_fmadd_ps(all, _mm256_set1_ps(x.unit), offset)};
  return hn::GetLane(hn::SumOfLanes(DF(), sums)) + rest;
}

/** Rows [begin, end) of w against the rows of x of one batch entry. */
void dot_slice(const QuantizedProduct& p, const QuantizedBatch& at, size_t begin, size_t end,
               const Row* x) {
  static thread_local Scratch scratch;
  const size_t rows = end - begin, groups = p.w.cols / size_t(p.w.group_size);
  float* scales = scratch.floats(2 * rows * groups + p.m * rows);
  float* biases = scales + rows * groups;
  float* out = biases + rows * groups;
  const size_t first = at.scales + begin * groups;
  const Dtype::Val dtype = p.w.scale_dtype;
  // The scales of the next slice, for this thread or another.
  const size_t scale_bytes = rows * groups * dtype_bytes(dtype);
  const auto* next_s =
      static_cast<const char*>(offset_by(p.w.scales, first + rows * groups, dtype));
  const auto* next_b =
      static_cast<const char*>(offset_by(p.w.biases, first + rows * groups, dtype));
  for (size_t i = 0; i < scale_bytes; i += 64) {
    _mm_prefetch(next_s + i, _MM_HINT_T1);
    _mm_prefetch(next_b + i, _MM_HINT_T1);
  }
  floats_from(dtype, offset_by(p.w.scales, first, dtype), scales, rows * groups);
  floats_from(dtype, offset_by(p.w.biases, first, dtype), biases, rows * groups);
  const size_t words = packed_words(p.w.cols, p.w.bits);
  const auto* w = reinterpret_cast<const uint8_t*>(p.w.packed + at.packed + begin * words);
  const auto dot = [&](auto* row) {
    for (size_t r = 0; r < rows; ++r) {
      for (size_t m = 0; m < p.m; ++m) {
        out[m * rows + r] = row(w + r * words * sizeof(uint32_t), scales + r * groups,
                                biases + r * groups, groups, x[m]);
      }
    }
  };
  dot(p.w.group_size == 32 ? &dot_row<1> : p.w.group_size == 64 ? &dot_row<2> : &dot_row<4>);
  for (size_t m = 0; m < p.m; ++m) {
    floats_to(p.out_dtype, out + m * rows,
              offset_by(p.out, at.out + m * p.out_row + begin, p.out_dtype), rows);
  }
}

bool dot_words(const QuantizedProduct& p) {
  if (p.w.bits != 8 || p.m > 2 || p.count > 64) return false;
  static thread_local Scratch scratch;
  const size_t k = p.w.cols, group = size_t(p.w.group_size);
  const size_t room = round_up(row_bytes(k, group), 64), rows_of_x = p.count * p.m;
  const size_t values = round_up(k * sizeof(float), 64);
  char* memory =
      static_cast<char*>(scratch.get(values + rows_of_x * (room + round_up(sizeof(Row), 64))));
  auto* row = reinterpret_cast<float*>(memory);
  auto* x = reinterpret_cast<Row*>(memory + values + rows_of_x * room);
  for (size_t i = 0; i < rows_of_x; ++i) {
    const size_t at = p.batch[i / p.m].x + i % p.m * p.x_row;
    floats_from(p.x_dtype, offset_by(p.x, at, p.x_dtype), row, k);
    if (!make_row(row, k, group, memory + values + i * room, x[i])) return false;
  }
  for_slices(p, [&](size_t e, size_t begin, size_t end) {
    dot_slice(p, p.batch[e], begin, end, x + e * p.m);
  });
  return true;
}

#else  // byte products, or registers enough for float32's

bool dot_words(const QuantizedProduct&) { return false; }

#endif

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
namespace {
HWY_EXPORT(dot_words);
}  // namespace

bool quantized_dot_words(const QuantizedProduct& p) { return HWY_DYNAMIC_DISPATCH(dot_words)(p); }

}  // namespace mlx::core::cpu
#endif
