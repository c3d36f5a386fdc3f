// backend/cpu/quant/affine.cpp: quantize and dequantize, group by group.
#include "backend/cpu/quant/quant.h"

#include <cmath>
#include <stdexcept>
#include <string>

#include "backend/cpu/parallel.h"
#include "mlx/dtype_utils.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/quant/affine.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backend/cpu/fast/io-inl.h"
#include "backend/cpu/quant/unpack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

/** Hides from the compiler where v came from, so that it can't fuse a product with the next sum. */
HWY_INLINE VF rounded_here(VF v) {
#if HWY_ARCH_X86
#if HWY_TARGET <= HWY_AVX3
  __asm__("" : "+v"(v.raw));
#else
  __asm__("" : "+x"(v.raw));
#endif
#elif HWY_ARCH_ARM_A64
  __asm__("" : "+w"(v.raw));
#endif
  return v;
}

struct ScaleBias {
  float scale;
  float bias;
};

template <int kBits>
ScaleBias choose_scale(const float* w, size_t n) {
  const DF d;
  VF low = hn::Load(d, w);
  VF high = low;
  for (size_t i = hn::Lanes(d); i < n; i += hn::Lanes(d)) {
    low = hn::Min(low, hn::Load(d, w + i));
    high = hn::Max(high, hn::Load(d, w + i));
  }
  const float min = hn::GetLane(hn::MinOfLanes(d, low));
  const float max = hn::GetLane(hn::MaxOfLanes(d, high));
  constexpr float kSmallest = 1e-7f;  // keeps the division below finite for a constant group
  if (kBits == 1) return {std::max(max - min, kSmallest), min};
  constexpr float kLevels = float((1 << kBits) - 1);
  float scale = std::max((max - min) / kLevels, kSmallest);
  // Count from the end of larger magnitude, and bend the scale so that 0 is one of the levels.
  const bool from_min = std::fabs(min) > std::fabs(max);
  if (!from_min) scale = -scale;
  const float edge = from_min ? min : max;
  const float zero_level = std::nearbyint(edge / scale);
  if (zero_level == 0.0f) return {scale, 0.0f};
  return {edge / zero_level, edge};
}

template <int kBits>
HWY_INLINE void pack_eight(const uint8_t* codes, uint8_t* out) {
  uint64_t bytes;
  std::memcpy(&bytes, codes, 8);
#if HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX2
  const uint64_t bits = _pext_u64(bytes, 0x0101010101010101ull * ((1u << kBits) - 1));
#else
  uint64_t bits = 0;
  for (int i = 0; i < 8; ++i) bits |= (bytes >> (8 * i) & 0xff) << (i * kBits);
#endif
  std::memcpy(out, &bits, kBits);
}

template <class T, int kBits>
void quantize_groups(const T* w, size_t begin, size_t end, size_t group, uint32_t* packed,
                     T* scales, T* biases) {
  const DF d;
  const VF top = hn::Set(d, float((1 << kBits) - 1));
  alignas(64) float values[128];
  alignas(64) int32_t codes[128];
  alignas(64) uint8_t bytes[128];
  for (size_t g = begin; g < end; ++g) {
    convert_row(w + g * group, values, group);
    const ScaleBias sb = choose_scale<kBits>(values, group);
    scales[g] = T(sb.scale);
    biases[g] = T(sb.bias);
    const VF scale = hn::Set(d, sb.scale);
    const VF bias = hn::Set(d, sb.bias);
    for (size_t i = 0; i < group; i += hn::Lanes(d)) {
      const VF level = hn::Round(hn::Div(hn::Sub(hn::Load(d, values + i), bias), scale));
      // Max first: it answers 0 for NaN.
      const VF code = hn::Min(hn::Max(level, hn::Zero(d)), top);
      hn::Store(hn::ConvertTo(DI(), code), DI(), codes + i);
    }
    for (size_t i = 0; i < group; ++i) bytes[i] = uint8_t(codes[i]);
    auto* out = reinterpret_cast<uint8_t*>(packed + packed_words(g * group, kBits));
    for (size_t i = 0; i < group / 8; ++i) pack_eight<kBits>(bytes + 8 * i, out + i * kBits);
  }
}

template <class T, int kBits>
void dequantize_groups(const uint32_t* packed, const T* scales, const T* biases, size_t begin,
                       size_t end, size_t group, T* out) {
  const DF d;
  alignas(64) uint8_t codes[32];
  for (size_t g = begin; g < end; ++g) {
    const VF scale = hn::Set(d, float(scales[g]));
    const VF bias = hn::Set(d, float(biases[g]));
    for (size_t part = 0; part < group; part += 32) {
      const size_t at = g * group + part;
      unpack_bytes<kBits>(packed + packed_words(at, kBits), codes);
      for (size_t i = 0; i < 32; i += hn::Lanes(d)) {
        const VF product = rounded_here(hn::Mul(codes_from_bytes(codes + i), scale));
        store(hn::Add(round_to<T>(d, product), bias), d, out + at + i);
      }
    }
  }
}

template <class T>
void quantize_as(const void* w, size_t begin, size_t end, int group, int bits, uint32_t* packed,
                 void* scales, void* biases) {
  const auto run = [&](auto kBits) {
    quantize_groups<T, kBits.value>(static_cast<const T*>(w), begin, end, size_t(group), packed,
                                    static_cast<T*>(scales), static_cast<T*>(biases));
  };
  switch (bits) {
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

template <class T>
void dequantize_as(const uint32_t* packed, const void* scales, const void* biases, size_t begin,
                   size_t end, int group, int bits, void* out) {
  const auto run = [&](auto kBits) {
    dequantize_groups<T, kBits.value>(packed, static_cast<const T*>(scales),
                                      static_cast<const T*>(biases), begin, end, size_t(group),
                                      static_cast<T*>(out));
  };
  switch (bits) {
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

void quantize_any(Dtype::Val dtype, const void* w, size_t begin, size_t end, int group, int bits,
                  uint32_t* packed, void* scales, void* biases) {
  if (dtype == Dtype::Val::float32) {
    quantize_as<float>(w, begin, end, group, bits, packed, scales, biases);
  } else if (dtype == Dtype::Val::float16) {
    quantize_as<float16_t>(w, begin, end, group, bits, packed, scales, biases);
  } else {
    quantize_as<bfloat16_t>(w, begin, end, group, bits, packed, scales, biases);
  }
}

void dequantize_any(Dtype::Val dtype, const uint32_t* packed, const void* scales,
                    const void* biases, size_t begin, size_t end, int group, int bits, void* out) {
  if (dtype == Dtype::Val::float32) {
    dequantize_as<float>(packed, scales, biases, begin, end, group, bits, out);
  } else if (dtype == Dtype::Val::float16) {
    dequantize_as<float16_t>(packed, scales, biases, begin, end, group, bits, out);
  } else {
    dequantize_as<bfloat16_t>(packed, scales, biases, begin, end, group, bits, out);
  }
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
namespace {

HWY_EXPORT(quantize_any);
HWY_EXPORT(dequantize_any);

constexpr int64_t kGrainValues = 16384;  // about 10 us of work

void check(const char* op, Dtype::Val dtype, int bits, int group_size) {
  if (!affine_supported(bits, group_size)) {
    throw std::invalid_argument(std::string("[") + op +
                                "] unsupported affine quantisation: " + std::to_string(bits) +
                                " bits in groups of " + std::to_string(group_size) + ".");
  }
  if (dtype != Dtype::Val::float32 && dtype != Dtype::Val::float16 &&
      dtype != Dtype::Val::bfloat16) {
    throw std::invalid_argument(std::string("[") + op + "] unsupported dtype " +
                                dtype_to_string(dtype_of(dtype)) + ".");
  }
}

}  // namespace

bool affine_supported(int bits, int group_size) {
  return bits >= 1 && bits <= 8 && bits != 7 &&
         (group_size == 32 || group_size == 64 || group_size == 128);
}

void affine_quantize(const void* w, Dtype::Val dtype, size_t groups, int group_size, int bits,
                     uint32_t* packed, void* scales, void* biases) {
  check("quantize", dtype, bits, group_size);
  parallel_range(int64_t(groups), kGrainValues / group_size, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(quantize_any)
    (dtype, w, size_t(begin), size_t(end), group_size, bits, packed, scales, biases);
  });
}

void affine_dequantize(const uint32_t* packed, const void* scales, const void* biases,
                       Dtype::Val dtype, size_t groups, int group_size, int bits, void* out) {
  check("dequantize", dtype, bits, group_size);
  parallel_range(int64_t(groups), kGrainValues / group_size, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(dequantize_any)
    (dtype, packed, scales, biases, size_t(begin), size_t(end), group_size, bits, out);
  });
}

}  // namespace mlx::core::cpu
#endif
