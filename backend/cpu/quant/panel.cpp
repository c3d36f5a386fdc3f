// backend/cpu/quant/panel.cpp: x w^T and x w for many rows of x: panels of w are dequantised to
// packed float32 and multiplied by the register tile. quantized_matmul itself is at the end.
#include <algorithm>
#include <stdexcept>
#include <string>

#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/quant/kernels.h"
#include "mlx/dtype_utils.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/quant/panel.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backend/cpu/fast/io-inl.h"
#include "backend/cpu/fast/tile-inl.h"
#include "backend/cpu/quant/floats-inl.h"
#include "backend/cpu/quant/unpack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

constexpr size_t kLanes = HWY_LANES(float);
// Columns are taken 32 at a time: whole panels on every target, and a whole group of x w's rows.
constexpr size_t kCols = 32;

/** 32 codes (words of a group's part) of each lane's row: values e of them all, in order of e. */
template <int kBits, size_t... E, class F>
HWY_INLINE void columns_of_32(const CodesOf<kBits>& codes, const VU* words, const F& put,
                              std::index_sequence<E...>) {
  const auto one = [&](auto e) HWY_ATTR {
    constexpr int kBit = int(e.value) * kBits;
    constexpr int kWord = kBit / 32;
    constexpr int kShift = kBit % 32;
    if constexpr (kShift + kBits <= 32) {
      put(e.value, codes.template at<kShift>(words[kWord]));
    } else {
      const VU joined = hn::Or(hn::ShiftRight<kShift>(words[kWord]),
                               hn::ShiftLeft<32 - kShift>(words[kWord + 1]));
      put(e.value, codes.template at<0>(joined));
    }
  };
  (one(std::integral_constant<size_t, E>()), ...);
}

/**
 * Values k in [k0, k0 + depth) of rows [row, row + 32) of w, as panels [depth][kTileCols]: lanes
 * are rows of w. Rows beyond w are zeros.
 */
template <int kBits>
void panels_of_rows(const AffineMatrix& w, const uint32_t* packed, const void* scales,
                    const void* biases, size_t row, size_t k0, size_t depth, float* out) {
  const DF d;
  const size_t group = size_t(w.group_size);
  const size_t row_words = packed_words(w.cols, kBits);
  const size_t row_groups = w.cols / group;
  const CodesOf<kBits> codes;
  for (size_t lane0 = 0; lane0 < kCols; lane0 += kLanes) {
    const size_t rows = row + lane0 < w.rows ? std::min(kLanes, w.rows - row - lane0) : 0;
    float* panel = out + lane0 / kTileCols * depth * kTileCols + lane0 % kTileCols;
    alignas(64) uint32_t words[kBits * kLanes] = {};
    alignas(64) float scale_lanes[kLanes] = {};
    alignas(64) float bias_lanes[kLanes] = {};
    VF scale = hn::Zero(d);
    VF bias = hn::Zero(d);
    for (size_t k = k0; k < k0 + depth; k += 32) {
      for (size_t r = 0; r < rows; ++r) {
        const uint32_t* from = packed + (row + lane0 + r) * row_words + packed_words(k, kBits);
        for (size_t i = 0; i < kBits; ++i) words[i * kLanes + r] = from[i];
      }
      if (k % group == 0 || k == k0) {
        with_float_type(w.scale_dtype, [&](auto* type) {
          using T = std::remove_pointer_t<decltype(type)>;
          for (size_t r = 0; r < rows; ++r) {
            const size_t at = (row + lane0 + r) * row_groups + k / group;
            scale_lanes[r] = float(static_cast<const T*>(scales)[at]);
            bias_lanes[r] = float(static_cast<const T*>(biases)[at]);
          }
        });
        scale = hn::Load(d, scale_lanes);
        bias = hn::Load(d, bias_lanes);
      }
      VU vectors[kBits];
      for (size_t i = 0; i < kBits; ++i) vectors[i] = hn::Load(DU(), words + i * kLanes);
      float* to = panel + (k - k0) * kTileCols;
      columns_of_32<kBits>(
          codes, vectors,
          [&](size_t e, VF q)
              HWY_ATTR { hn::StoreU(hn::MulAdd(q, scale, bias), d, to + e * kTileCols); },
          std::make_index_sequence<32>());
    }
  }
}

/** Values of columns [col, col + 32) of rows [k0, k0 + depth) of w, as panels. */
template <int kBits>
void panels_of_columns(const AffineMatrix& w, const uint32_t* packed, const void* scales,
                       const void* biases, size_t col, size_t k0, size_t depth, float* out) {
  const DF d;
  const size_t row_words = packed_words(w.cols, kBits);
  const size_t row_groups = w.cols / size_t(w.group_size);
  const size_t g = col / size_t(w.group_size);
  alignas(64) uint8_t codes[32];
  with_float_type(w.scale_dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    for (size_t k = 0; k < depth; ++k) {
      const size_t at = (k0 + k) * row_groups + g;
      const VF scale = hn::Set(d, float(static_cast<const T*>(scales)[at]));
      const VF bias = hn::Set(d, float(static_cast<const T*>(biases)[at]));
      unpack_bytes<kBits>(packed + (k0 + k) * row_words + packed_words(col, kBits), codes);
      for (size_t i = 0; i < kCols; i += kLanes) {
        float* to = out + (i / kTileCols * depth + k) * kTileCols + i % kTileCols;
        hn::StoreU(hn::MulAdd(codes_from_bytes(codes + i), scale, bias), d, to);
      }
    }
  });
}

/** panels_of_rows for the modes of floats. */
template <int kBits>
void float_panels_of_rows(const AffineMatrix& w, const uint32_t* packed, const uint8_t* scales,
                          size_t row, size_t k0, size_t depth, float* out) {
  const DF d;
  const size_t group = size_t(w.group_size);
  const size_t row_words = w.cols * kBits / 32;
  const size_t row_groups = w.cols / group;
  constexpr size_t kPer = 32 / kBits;
  const FloatCodes<kBits> codes;
  for (size_t lane0 = 0; lane0 < kCols; lane0 += kLanes) {
    const size_t rows = row + lane0 < w.rows ? std::min(kLanes, w.rows - row - lane0) : 0;
    float* panel = out + lane0 / kTileCols * depth * kTileCols + lane0 % kTileCols;
    alignas(64) uint32_t words[kBits * kLanes] = {};
    alignas(64) float scale_lanes[2 * kLanes] = {};
    for (size_t k = k0; k < k0 + depth; k += 32) {
      // Rows of nvfp4 may end in half a unit of 32.
      const size_t values = std::min<size_t>(32, k0 + depth - k);
      for (size_t r = 0; r < rows; ++r) {
        const uint32_t* from = packed + (row + lane0 + r) * row_words + packed_words(k, kBits);
        for (size_t i = 0; i < values / kPer; ++i) words[i * kLanes + r] = from[i];
        const uint8_t* s = scales + (row + lane0 + r) * row_groups + k / group;
        for (size_t i = 0; i < values / group; ++i)
          scale_lanes[i * kLanes + r] = float_scale(w.mode, s[i]);
      }
      float* to = panel + (k - k0) * kTileCols;
      for (size_t i = 0; i < values / kPer; ++i) {
        const VU word = hn::Load(DU(), words + i * kLanes);
        const VF scale = hn::Load(d, scale_lanes + i * kPer / group * kLanes);
        const auto put = [&](auto j) HWY_ATTR {
          hn::StoreU(hn::Mul(codes.template at<int(j.value) * kBits>(word), scale), d,
                     to + (i * kPer + j.value) * kTileCols);
        };
        [&]<size_t... J>(std::index_sequence<J...>) HWY_ATTR {
          (put(std::integral_constant<size_t, J>()), ...);
        }
        (std::make_index_sequence<kPer>());
      }
    }
  }
}

/** panels_of_columns for the modes of floats. */
template <int kBits>
void float_panels_of_columns(const AffineMatrix& w, const uint32_t* packed, const uint8_t* scales,
                             size_t col, size_t k0, size_t depth, float* out) {
  const DF d;
  const size_t group = size_t(w.group_size);
  const size_t row_words = w.cols * kBits / 32;
  const FloatCodes<kBits> values;
  const size_t present = std::min<size_t>(32, w.cols - col);
  alignas(64) uint8_t codes[32];
  for (size_t k = 0; k < depth; ++k) {
    const uint8_t* s = scales + (k0 + k) * (w.cols / group);
    uint32_t words[kBits] = {};
    std::memcpy(words, packed + (k0 + k) * row_words + packed_words(col, kBits),
                present * kBits / 8);
    unpack_bytes<kBits>(words, codes);
    for (size_t i = 0; i < kCols; i += kLanes) {
      const VF scale = hn::Set(d, i < present ? float_scale(w.mode, s[(col + i) / group]) : 0.0f);
      float* to = out + (i / kTileCols * depth + k) * kTileCols + i % kTileCols;
      hn::StoreU(hn::Mul(values.template at<0>(words_from_bytes(codes + i)), scale), d, to);
    }
  }
}

void float_panels(const QuantizedProduct& p, const uint32_t* packed, const uint8_t* scales,
                  size_t n0, size_t k0, size_t depth, float* out) {
  if (p.w.bits == 4) {
    p.transpose ? float_panels_of_rows<4>(p.w, packed, scales, n0, k0, depth, out)
                : float_panels_of_columns<4>(p.w, packed, scales, n0, k0, depth, out);
  } else {
    p.transpose ? float_panels_of_rows<8>(p.w, packed, scales, n0, k0, depth, out)
                : float_panels_of_columns<8>(p.w, packed, scales, n0, k0, depth, out);
  }
}

void panels(const QuantizedProduct& p, size_t entry, size_t n0, size_t k0, size_t depth,
            float* out) {
  const QuantizedBatch& at = p.batch[entry];
  const uint32_t* packed = p.w.packed + at.packed;
  const void* scales = offset_by(p.w.scales, at.scales, p.w.scale_dtype);
  if (p.w.mode != QuantizationMode::Affine) {
    return float_panels(p, packed, static_cast<const uint8_t*>(scales), n0, k0, depth, out);
  }
  const void* biases = offset_by(p.w.biases, at.scales, p.w.scale_dtype);
  const auto run = [&](auto b) {
    constexpr int kBits = b.value;
    if (p.transpose) {
      panels_of_rows<kBits>(p.w, packed, scales, biases, n0, k0, depth, out);
    } else {
      panels_of_columns<kBits>(p.w, packed, scales, biases, n0, k0, depth, out);
    }
  };
  switch (p.w.bits) {
    case 1:
      return run(std::integral_constant<int, 1>());
    case 2:
      return run(std::integral_constant<int, 2>());
    case 3:
      return run(std::integral_constant<int, 3>());
    case 4:
      return run(std::integral_constant<int, 4>());
    case 5:
      return run(std::integral_constant<int, 5>());
    case 6:
      return run(std::integral_constant<int, 6>());
    default:
      return run(std::integral_constant<int, 8>());
  }
}

size_t tile_rows_of_target() { return kTileRows; }

/** Rows [i, i + rows) of x, rows <= kTileRows, as [K][kTileRows]. */
void pack_x(const QuantizedProduct& p, size_t entry, size_t i, size_t rows, size_t k, float* out) {
  static thread_local Scratch scratch;
  float* row = scratch.floats(k);
  for (size_t r = 0; r < rows; ++r) {
    floats_from(p.x_dtype, offset_by(p.x, p.batch[entry].x + (i + r) * p.x_row, p.x_dtype), row, k);
    for (size_t c = 0; c < k; ++c) out[c * kTileRows + r] = row[c];
  }
}

// Depth of a panel: 512 values of 32 columns are 64 kB, read from L2 beside the rows of x.
constexpr size_t kDepth = 512;

/** out[i0 .. i0+rows, n0 .. n0+32*blocks): x is packed by pack_x, from row i0, K values deep. */
void panel_product(const QuantizedProduct& p, size_t entry, size_t i0, size_t rows, size_t n0,
                   size_t blocks, size_t n, size_t k, const float* x) {
  static thread_local Scratch scratch;
  const size_t cols = std::min(blocks * kCols, n - n0);
  // Other dtypes than float32 and ragged edges are accumulated aside.
  const bool direct = p.out_dtype == Dtype::Val::float32 && cols == blocks * kCols;
  const size_t parts = (k + kDepth - 1) / kDepth;
  const size_t depth_most = ((k + parts - 1) / parts + 31) / 32 * 32;
  const size_t panel_floats = blocks * kCols * depth_most;
  const size_t wide = blocks * kCols;
  float* panel = scratch.floats(panel_floats + (direct ? 0 : rows * wide));
  const size_t out_at = p.batch[entry].out + i0 * p.out_row + n0;
  float* c =
      direct ? static_cast<float*>(offset_by(p.out, out_at, p.out_dtype)) : panel + panel_floats;
  const size_t c_row = direct ? p.out_row : wide;
  for (size_t k0 = 0; k0 < k; k0 += depth_most) {
    const size_t depth = std::min(depth_most, k - k0);
    for (size_t b = 0; b < blocks; ++b) {
      panels(p, entry, n0 + b * kCols, k0, depth, panel + b * kCols * depth);
    }
    for (size_t i = 0; i < rows; i += kTileRows) {
      const float* a = x + i * k + k0 * kTileRows;
      const size_t r = std::min(kTileRows, rows - i);
      for (size_t j = 0; j < wide; j += kTileCols) {
        tile(r, depth, a, 1, kTileRows, panel + j * depth, c + i * c_row + j, c_row, k0 > 0);
      }
    }
  }
  if (!direct) {
    for (size_t i = 0; i < rows; ++i) {
      floats_to(p.out_dtype, c + i * c_row, offset_by(p.out, out_at + i * p.out_row, p.out_dtype),
                cols);
    }
  }
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
namespace {

HWY_EXPORT(tile_rows_of_target);
HWY_EXPORT(pack_x);
HWY_EXPORT(panel_product);

constexpr size_t kRowsAtOnce = 504;  // a multiple of the tile rows of every target

bool float_up_to_32(Dtype::Val dtype) {
  return dtype == Dtype::Val::float32 || dtype == Dtype::Val::float16 ||
         dtype == Dtype::Val::bfloat16;
}

void check(Dtype::Val dtype, const char* what) {
  if (float_up_to_32(dtype)) return;
  throw std::invalid_argument(std::string("[quantized_matmul] unsupported dtype of ") + what +
                              ": " + dtype_to_string(dtype_of(dtype)) + ".");
}

}  // namespace

void quantized_gemm(const QuantizedProduct& p) {
  const size_t n = p.transpose ? p.w.rows : p.w.cols;
  const size_t k = p.transpose ? p.w.cols : p.w.rows;
  const size_t tile_rows = HWY_DYNAMIC_DISPATCH(tile_rows_of_target)();
  const size_t row_tiles = (p.m + tile_rows - 1) / tile_rows;
  const size_t x_floats = row_tiles * tile_rows * k;
  static thread_local Scratch packed;
  float* x = packed.floats(x_floats * p.count);
  parallel_range(row_tiles * p.count, std::max<size_t>(1, 16384 / (tile_rows * k + 1)),
                 [&](int64_t begin, int64_t end) {
                   for (size_t t = size_t(begin); t < size_t(end); ++t) {
                     const size_t e = t / row_tiles;
                     const size_t i = t % row_tiles * tile_rows;
                     HWY_DYNAMIC_DISPATCH(pack_x)
                     (p, e, i, std::min(tile_rows, p.m - i), k, x + e * x_floats + i * k);
                   }
                 });
  const size_t blocks = (n + 31) / 32;
  const size_t at_once = blocks >= 64 ? 4 : blocks >= 32 ? 2 : 1;
  const size_t stripes = (blocks + at_once - 1) / at_once;
  const size_t bands = (p.m + kRowsAtOnce - 1) / kRowsAtOnce;
  parallel_range(stripes * bands * p.count, 1, [&](int64_t begin, int64_t end) {
    for (size_t t = size_t(begin); t < size_t(end); ++t) {
      const size_t e = t / (stripes * bands);
      const size_t i = t / stripes % bands * kRowsAtOnce;
      const size_t b = t % stripes * at_once;
      HWY_DYNAMIC_DISPATCH(panel_product)
      (p, e, i, std::min(kRowsAtOnce, p.m - i), b * 32, std::min(at_once, blocks - b), n, k,
       x + e * x_floats + i * k);
    }
  });
}

void quantized_matmul(const void* x, Dtype::Val x_dtype, size_t x_row, size_t m,
                      const AffineMatrix& w, bool transpose, void* out, Dtype::Val out_dtype,
                      size_t out_row, const QuantizedBatch* batch, size_t count) {
  const bool affine = w.mode == QuantizationMode::Affine;
  if ((affine && !affine_supported(w.bits, w.group_size)) || w.cols % size_t(w.group_size) != 0) {
    throw std::invalid_argument(
        "[quantized_matmul] unsupported quantisation: " + std::to_string(w.bits) +
        " bits in groups of " + std::to_string(w.group_size) + ", " + std::to_string(w.cols) +
        " values a row.");
  }
  check(x_dtype, "x");
  if (affine) check(w.scale_dtype, "scales");
  check(out_dtype, "the result");
  static constexpr QuantizedBatch kWhole{0, 0, 0, 0};
  const QuantizedProduct p{
      x, x_dtype, x_row, m, w, transpose, out, out_dtype, out_row, batch ? batch : &kWhole, count};
  const size_t n = transpose ? w.rows : w.cols;
  const size_t k = transpose ? w.cols : w.rows;
  if (m == 0 || n == 0 || count == 0) return;
  if (k == 0) {
    // Zero bits are 0 in every dtype.
    for (size_t e = 0; e < count; ++e) {
      for (size_t i = 0; i < m; ++i) {
        auto* row = static_cast<char*>(offset_by(out, p.batch[e].out + i * out_row, out_dtype));
        std::fill(row, row + n * dtype_bytes(out_dtype), char(0));
      }
    }
    return;
  }
  if (transpose && m <= kMaxDotRows) {
    affine ? quantized_dot(p) : quantized_dot_floats(p);
  } else {
    quantized_gemm(p);
  }
}

}  // namespace mlx::core::cpu
#endif
