// backend/cpu/quant/floats_dot.cpp: x w^T for a few rows of x and w in a mode of floats: every
// weight is read once and looked up in registers.
#include <algorithm>
#include <utility>

#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/quant/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/quant/floats_dot.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backend/cpu/fast/io-inl.h"
#include "backend/cpu/quant/floats-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

constexpr size_t kLanes = HWY_LANES(float);
constexpr size_t kAheadBytes = 8192;

/** Pairs of 4-bit codes share a byte: of 32 values of x, those of the low halves come first. */
void split_pairs(const float* x, size_t k, float* out) {
  for (size_t at = 0; at < k; at += 32) {
    for (size_t i = 0; i < 16; ++i) {
      out[at + i] = x[at + 2 * i];
      out[at + 16 + i] = x[at + 2 * i + 1];
    }
  }
}

/** R rows of w against M rows of x; `scales` has k / group floats a row. k is a multiple of 32, but
 * for nvfp4 of 16: then the last 16 values of x are zeros, and a spare scale is read. */
template <int kBits, bool kNv, size_t M, size_t R>
HWY_INLINE void dot_rows(const uint8_t* w, size_t row_bytes, size_t k, const float* scales,
                         size_t row_scales, const float* x, size_t x_stride, float* out,
                         size_t out_stride) {
  const DF d;
  const FloatCodes<kBits> codes;
  // Arrays of one vector crash g++ 12 (scalar replacement), so a single row has room for two.
  constexpr size_t kRoom = R * M == 1 ? 2 : R;
  VF acc[kRoom][M];
  for (size_t r = 0; r < R; ++r) {
    for (size_t m = 0; m < M; ++m) acc[r][m] = hn::Zero(d);
  }
  constexpr size_t kBytes = kBits * 4;  // of 32 values
  const auto low = hn::FirstN(d, 8);
  const auto step = [&](const uint8_t* const* from, size_t at) HWY_ATTR {
    const size_t unit = at / 32;
    HWY_UNROLL(4)
    for (size_t i = 0; i < 16; i += kLanes) {
      HWY_UNROLL(4)
      for (size_t r = 0; r < R; ++r) {
        VF first, second;
        if constexpr (kBits == 4) {
          const VU bytes = words_from_bytes(from[r] + i);
          first = codes.template at<0>(bytes);
          second = codes.template at<4>(bytes);
        } else {
          first = codes.template at<0>(words_from_bytes(from[r] + i));
          second = codes.template at<0>(words_from_bytes(from[r] + 16 + i));
        }
        VF scale;
        if constexpr (kNv) {
          const float* s = scales + r * row_scales + 2 * unit;
          scale = kLanes == 16 ? hn::IfThenElse(low, hn::Set(d, s[0]), hn::Set(d, s[1]))
                               : hn::Set(d, s[i / 8]);
        } else {
          scale = hn::Set(d, scales[r * row_scales + unit]);
        }
        HWY_UNROLL(4)
        for (size_t m = 0; m < M; ++m) {
          const float* xs = x + m * x_stride + at + i;
          const VF t = hn::MulAdd(second, hn::LoadU(d, xs + 16), hn::Mul(first, hn::LoadU(d, xs)));
          acc[r][m] = hn::MulAdd(scale, t, acc[r][m]);
        }
      }
    }
  };
  const uint8_t* from[kRoom];
  size_t at = 0;
  for (; at + 32 <= k; at += 32) {
    for (size_t r = 0; r < R; ++r) {
      from[r] = w + r * row_bytes + at / 32 * kBytes;
      __builtin_prefetch(from[r] + kAheadBytes);
    }
    step(from, at);
  }
  if constexpr (kNv) {
    if (at < k) {  // half a unit
      uint8_t rest[kRoom][16] = {};
      for (size_t r = 0; r < R; ++r) {
        std::memcpy(rest[r], w + r * row_bytes + at / 32 * kBytes, 8);
        from[r] = rest[r];
      }
      step(from, at);
    }
  }
  for (size_t r = 0; r < R; ++r) {
    for (size_t m = 0; m < M; ++m)
      out[m * out_stride + r] = hn::GetLane(hn::SumOfLanes(d, acc[r][m]));
  }
}

size_t x_floats(size_t k) { return (k + 31) / 32 * 32; }

void order_float_rows(const QuantizedProduct& p, size_t entry, float* out) {
  static thread_local Scratch scratch;
  const size_t k = p.w.cols, stride = x_floats(k);
  float* row = scratch.floats(stride);
  for (size_t m = 0; m < p.m; ++m) {
    float* to = p.w.bits == 4 ? row : out + m * stride;
    floats_from(p.x_dtype, offset_by(p.x, p.batch[entry].x + m * p.x_row, p.x_dtype), to, k);
    std::fill(to + k, to + stride, 0.0f);
    if (p.w.bits == 4) split_pairs(row, stride, out + m * stride);
  }
}

template <int kBits, bool kNv, size_t M>
void slice_of_rows(const uint8_t* w, size_t rows, size_t k, const float* scales, size_t row_scales,
                   const float* x, size_t x_stride, float* out, size_t out_stride) {
  constexpr size_t R = M <= 2 ? 4 : 2;
  const size_t row_bytes = k * kBits / 8;
  size_t r = 0;
  for (; r + R <= rows; r += R) {
    dot_rows<kBits, kNv, M, R>(w + r * row_bytes, row_bytes, k, scales + r * row_scales, row_scales,
                               x, x_stride, out + r, out_stride);
  }
  for (; r < rows; ++r) {
    dot_rows<kBits, kNv, M, 1>(w + r * row_bytes, row_bytes, k, scales + r * row_scales, row_scales,
                               x, x_stride, out + r, out_stride);
  }
}

/** Rows [begin, end) of w of one batch entry. */
void float_dot_slice(const QuantizedProduct& p, size_t entry, size_t begin, size_t end,
                     const float* x) {
  static thread_local Scratch scratch;
  const QuantizedBatch& at = p.batch[entry];
  const size_t k = p.w.cols, groups = k / size_t(p.w.group_size), rows = end - begin;
  float* scales = scratch.floats(rows * groups + 1 + p.m * rows);
  float* out = scales + rows * groups + 1;
  const uint8_t* codes = static_cast<const uint8_t*>(p.w.scales) + at.scales + begin * groups;
  for (size_t i = 0; i < rows * groups; ++i) scales[i] = float_scale(p.w.mode, codes[i]);
  scales[rows * groups] = 0;
  const size_t row_bytes = k * size_t(p.w.bits) / 8;
  const uint8_t* w = reinterpret_cast<const uint8_t*>(p.w.packed + at.packed) + begin * row_bytes;
  const size_t stride = x_floats(k);
  for (size_t m = 0; m < p.m; m += kPass) {
    const auto run = [&](auto count) {
      constexpr size_t M = count.value;
      const float* xs = x + m * stride;
      float* to = out + m * rows;
      if (p.w.mode == QuantizationMode::Mxfp8) {
        slice_of_rows<8, false, M>(w, rows, k, scales, groups, xs, stride, to, rows);
      } else if (p.w.mode == QuantizationMode::Nvfp4) {
        slice_of_rows<4, true, M>(w, rows, k, scales, groups, xs, stride, to, rows);
      } else {
        slice_of_rows<4, false, M>(w, rows, k, scales, groups, xs, stride, to, rows);
      }
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

HWY_EXPORT(order_float_rows);
HWY_EXPORT(float_dot_slice);

constexpr size_t kSliceBytes = 16384;
constexpr size_t kMostSliceBytes = 65536;

}  // namespace

void quantized_dot_floats(const QuantizedProduct& p) {
  const size_t k = p.w.cols;
  const size_t n = p.w.rows;
  const size_t entry_floats = (k + 31) / 32 * 32 * p.m;
  static thread_local Scratch ordered;
  float* x = ordered.floats(entry_floats * p.count);
  parallel_range(int64_t(p.count), 16, [&](int64_t begin, int64_t end) {
    for (size_t e = size_t(begin); e < size_t(end); ++e) {
      HWY_DYNAMIC_DISPATCH(order_float_rows)(p, e, x + e * entry_floats);
    }
  });
  const size_t row_bytes = k * size_t(p.w.bits) / 8;
  const size_t bytes = std::clamp(n * row_bytes / 8, kSliceBytes, kMostSliceBytes);
  const size_t slice = std::max<size_t>(4, bytes / row_bytes / 4 * 4);
  const size_t slices = (n + slice - 1) / slice;
  parallel_range(int64_t(slices * p.count), 1, [&](int64_t begin, int64_t end) {
    for (size_t i = size_t(begin); i < size_t(end); ++i) {
      const size_t e = i / slices;
      const size_t row = i % slices * slice;
      HWY_DYNAMIC_DISPATCH(float_dot_slice)
      (p, e, row, std::min(n, row + slice), x + e * entry_floats);
    }
  });
}

}  // namespace mlx::core::cpu
#endif
