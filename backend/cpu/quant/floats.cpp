// backend/cpu/quant/floats.cpp: quantising to 4-bit and 8-bit floats and back, and 8-bit floats
// alone.
#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "backend/cpu/parallel.h"
#include "backend/cpu/quant/fp8.h"
#include "backend/cpu/quant/quant.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kGrainValues = 16384;

template <class F>
void with_type(Dtype::Val dtype, const F& f) {
  if (dtype == Dtype::Val::float32) {
    f(static_cast<float*>(nullptr));
  } else if (dtype == Dtype::Val::float16) {
    f(static_cast<float16_t*>(nullptr));
  } else if (dtype == Dtype::Val::bfloat16) {
    f(static_cast<bfloat16_t*>(nullptr));
  } else {
    throw std::invalid_argument("[quantize] float32, float16 and bfloat16 only.");
  }
}

void pack_fp4(const uint8_t* codes, size_t n, uint32_t* out) {
  auto* bytes = reinterpret_cast<uint8_t*>(out);
  for (size_t i = 0; i < n / 2; ++i) bytes[i] = uint8_t(codes[2 * i] | codes[2 * i + 1] << 4);
}

template <QuantizationMode kMode, class T>
void quantize_groups(const T* w, size_t begin, size_t end, float multiplier, uint32_t* packed,
                     uint8_t* scales) {
  constexpr bool kNv = kMode == QuantizationMode::Nvfp4;
  constexpr bool kEight = kMode == QuantizationMode::Mxfp8;
  constexpr size_t kGroup = kNv ? 16 : 32;
  constexpr float kTop = kEight ? 448.0f : 6.0f;
  float values[kGroup];
  uint8_t codes[kGroup];
  for (size_t g = begin; g < end; ++g) {
    for (size_t i = 0; i < kGroup; ++i) values[i] = float(w[g * kGroup + i]);
    float most = 0;
    bool finite = true;
    for (size_t i = 0; i < kGroup; ++i) {
      most = std::max(most, std::fabs(values[i]));
      finite &= values[i] - values[i] == 0;
    }
    // The steps that round to T are those at which Apple's build does.
    const float ratio = float(T((finite ? most : NAN) / kTop));
    float scale;
    if constexpr (kNv) {
      scales[g] = fp8_from_float(multiplier == 0 ? ratio : ratio * multiplier) & 0x7f;
      scale = fp8_to_float(scales[g]);
    } else {
      scales[g] = exponent_above(ratio);
      scale = exponent_to_float(scales[g]);
    }
    if (kNv && multiplier != 0) {
      for (size_t i = 0; i < kGroup; ++i) values[i] = float(T(values[i] / scale)) * multiplier;
    } else {
      for (size_t i = 0; i < kGroup; ++i) values[i] /= scale;
    }
    if constexpr (kEight) {
      for (size_t i = 0; i < kGroup; ++i) codes[i] = fp8_from_float(values[i]);
      std::memcpy(packed + g * 8, codes, 32);
    } else {
      for (size_t i = 0; i < kGroup; ++i) codes[i] = fp4_from_float(values[i]);
      pack_fp4(codes, kGroup, packed + g * (kGroup / 8));
    }
  }
}

template <QuantizationMode kMode, class T>
void dequantize_groups(const uint32_t* packed, const uint8_t* scales, size_t begin, size_t end,
                       float factor, T* out) {
  constexpr bool kNv = kMode == QuantizationMode::Nvfp4;
  constexpr size_t kGroup = kNv ? 16 : 32;
  for (size_t g = begin; g < end; ++g) {
    float scale = kNv ? fp8_to_float(scales[g]) : exponent_to_float(scales[g]);
    if (factor != 0) scale *= factor;
    if constexpr (kMode == QuantizationMode::Mxfp8) {
      const auto* codes = reinterpret_cast<const uint8_t*>(packed + g * 8);
      for (size_t i = 0; i < 32; ++i) out[g * 32 + i] = T(fp8_to_float(codes[i]) * scale);
    } else {
      const auto* codes = reinterpret_cast<const uint8_t*>(packed + g * (kGroup / 8));
      for (size_t i = 0; i < kGroup / 2; ++i) {
        // Negative zeros stay what they are.
        const auto value = [](int c) { return float(kTwiceFp4[c]) * (c == 8 ? -0.5f : 0.5f); };
        out[g * kGroup + 2 * i] = T(value(codes[i] & 15) * scale);
        out[g * kGroup + 2 * i + 1] = T(value(codes[i] >> 4) * scale);
      }
    }
  }
}

template <class F>
void with_mode(QuantizationMode mode, const F& f) {
  if (mode == QuantizationMode::Mxfp4) {
    f(std::integral_constant<QuantizationMode, QuantizationMode::Mxfp4>());
  } else if (mode == QuantizationMode::Mxfp8) {
    f(std::integral_constant<QuantizationMode, QuantizationMode::Mxfp8>());
  } else {
    f(std::integral_constant<QuantizationMode, QuantizationMode::Nvfp4>());
  }
}

constexpr float kLargest = 6.0f * 448.0f;

}  // namespace

void float_quantize(QuantizationMode mode, const void* w, Dtype::Val dtype, size_t groups,
                    float global_scale, uint32_t* packed, uint8_t* scales) {
  const float multiplier = global_scale == 0 ? 0 : kLargest / global_scale;
  with_type(dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    with_mode(mode, [&](auto m) {
      parallel_range(int64_t(groups), kGrainValues / 32, [&](int64_t begin, int64_t end) {
        quantize_groups<m.value>(static_cast<const T*>(w), size_t(begin), size_t(end), multiplier,
                                 packed, scales);
      });
    });
  });
}

void float_dequantize(QuantizationMode mode, const uint32_t* packed, const uint8_t* scales,
                      size_t groups, float global_scale, Dtype::Val dtype, void* out) {
  const float factor = global_scale == 0 ? 0 : global_scale / kLargest;
  with_type(dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    with_mode(mode, [&](auto m) {
      parallel_range(int64_t(groups), kGrainValues / 32, [&](int64_t begin, int64_t end) {
        dequantize_groups<m.value>(packed, scales, size_t(begin), size_t(end), factor,
                                   static_cast<T*>(out));
      });
    });
  });
}

void to_fp8(const void* in, Dtype::Val dtype, size_t n, uint8_t* out) {
  with_type(dtype, [&](auto* type) {
    const auto* from = static_cast<const std::remove_pointer_t<decltype(type)>*>(in);
    parallel_range(int64_t(n), kGrainValues, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) out[i] = fp8_from_float(float(from[i]));
    });
  });
}

void from_fp8(const uint8_t* in, size_t n, Dtype::Val dtype, void* out) {
  with_type(dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    auto* to = static_cast<T*>(out);
    parallel_range(int64_t(n), kGrainValues, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] = T(fp8_to_float(in[i]));
    });
  });
}

}  // namespace mlx::core::cpu
