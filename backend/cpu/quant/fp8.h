// backend/cpu/quant/fp8.h: single 8-bit and 4-bit floats, by the definition.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace mlx::core::cpu {

/** E4M3 nearest to x, ties to even; larger magnitudes, infinities and NaN become 448 with x's sign.
 */
inline uint8_t fp8_from_float(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t sign = bits >> 24 & 0x80;
  const uint32_t magnitude = bits & 0x7fffffff;
  // Below 2^-6 the steps are all 2^-9: the sum with 2^14 rounds to them.
  const uint32_t small =
      std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 16384.0f) - 0x46800000u;
  const uint32_t rounded = (magnitude + 0x7ffff + (magnitude >> 20 & 1)) >> 20;
  const uint32_t code = magnitude < 0x3c800000u ? small : rounded - 0x3c0;
  const uint32_t top = magnitude >= 0x43e00000u ? 0x7e : code;  // from 448 on
  return uint8_t(sign | top);
}

inline float fp8_to_float(uint8_t code) {
  const uint32_t c = code & 0x7f;
  float value = c < 8 ? float(c) * 0.001953125f : std::bit_cast<float>((c << 20) + (120u << 23));
  if (c == 0x7f) value = std::bit_cast<float>(0x7fc00000u);
  return code & 0x80 ? -value : value;
}

/** E2M1 nearest to x, the smaller magnitude of two as near. What is not finite becomes 0. */
inline uint8_t fp4_from_float(float x) {
  const float a = std::fabs(x);
  const int code =
      (a > 0.25f) + (a > 0.75f) + (a > 1.25f) + (a > 1.75f) + (a > 2.5f) + (a > 3.5f) + (a > 5.0f);
  const int sign = (x < 0.0f) & (code != 0);
  return a <= 3.402823466e38f ? uint8_t(code | sign << 3) : 0;
}

/** Twice the values of the 4-bit codes. */
constexpr int8_t kTwiceFp4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/** 2^(e-127), exactly, as an exponent of a group. */
inline float exponent_to_float(uint8_t e) {
  return e == 0 ? std::bit_cast<float>(0x00400000u) : std::bit_cast<float>(uint32_t(e) << 23);
}

/** The exponent of the smallest power of two not below x; of 0: 1's. */
inline uint8_t exponent_above(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (x == 0.0f) return 127;
  if (bits >= 0x7f800000u) return 0;  // a group with infinities or NaN means nothing
  const uint32_t e = (bits >> 23) + ((bits & 0x7fffff) != 0);
  return uint8_t(e > 254 ? 254 : e);
}

}  // namespace mlx::core::cpu
