// include/mlx/types/half_types.h: 16-bit floating point storage types. Arithmetic goes through
// float.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

namespace mlx::core {

namespace detail {

inline float half_bits_to_float(uint16_t h) {
  uint32_t sign = uint32_t(h & 0x8000u) << 16;
  uint32_t exponent = (h >> 10) & 0x1fu;
  uint32_t mantissa = h & 0x3ffu;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent == 0) {
    // Subnormal or zero: the value is mantissa * 2^-24, exact in float.
    float magnitude = float(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
  }
  return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}

inline uint16_t float_to_half_bits(float f) {
  uint32_t x = std::bit_cast<uint32_t>(f);
  uint16_t sign = uint16_t((x >> 16) & 0x8000u);
  x &= 0x7fffffffu;
  if (x > 0x7f800000u) return uint16_t(sign | 0x7e00u | ((x >> 13) & 0x3ffu));
  if (x >= 0x477ff000u) return uint16_t(sign | 0x7c00u);  // rounds to infinity
  if (x < 0x38800000u) {
    // Subnormal result: adding 0.5 places the rounding at bit 2^-24, to nearest even.
    float shifted = std::bit_cast<float>(x) + 0.5f;
    return uint16_t(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
  }
  x += 0xc8000fffu + ((x >> 13) & 1u);
  return uint16_t(sign | (x >> 13));
}

inline float bfloat_bits_to_float(uint16_t b) { return std::bit_cast<float>(uint32_t(b) << 16); }

inline uint16_t float_to_bfloat_bits(float f) {
  uint32_t x = std::bit_cast<uint32_t>(f);
  if ((x & 0x7fffffffu) > 0x7f800000u) return uint16_t((x >> 16) | 0x40u);  // keep NaN quiet
  return uint16_t((x + 0x7fffu + ((x >> 16) & 1u)) >> 16);
}

}  // namespace detail

struct _MLX_Float16 {
  uint16_t bits_ = 0;
  _MLX_Float16() = default;
  template <typename T, typename = std::enable_if_t<std::is_convertible_v<T, float>>>
  _MLX_Float16(const T& x) : bits_(detail::float_to_half_bits(static_cast<float>(x))) {}
  operator float() const { return detail::half_bits_to_float(bits_); }
};

struct _MLX_BFloat16 {
  uint16_t bits_ = 0;
  _MLX_BFloat16() = default;
  template <typename T, typename = std::enable_if_t<std::is_convertible_v<T, float>>>
  _MLX_BFloat16(const T& x) : bits_(detail::float_to_bfloat_bits(static_cast<float>(x))) {}
  operator float() const { return detail::bfloat_bits_to_float(bits_); }
};

typedef struct _MLX_Float16 float16_t;
typedef struct _MLX_BFloat16 bfloat16_t;

#define MLX_HALF_COMPOUND(T, op) \
  inline T& operator op##=(T& lhs, float rhs) { return lhs = T(float(lhs) op rhs); }
#define MLX_HALF_ARITHMETIC(op)                                                                \
  inline float16_t operator op(float16_t lhs, float16_t rhs) {                                 \
    return float16_t(float(lhs) op float(rhs));                                                \
  }                                                                                            \
  inline bfloat16_t operator op(bfloat16_t lhs, bfloat16_t rhs) {                              \
    return bfloat16_t(float(lhs) op float(rhs));                                               \
  }                                                                                            \
  inline float operator op(float16_t lhs, bfloat16_t rhs) { return float(lhs) op float(rhs); } \
  inline float operator op(bfloat16_t lhs, float16_t rhs) { return float(lhs) op float(rhs); } \
  MLX_HALF_COMPOUND(float16_t, op)                                                             \
  MLX_HALF_COMPOUND(bfloat16_t, op)
MLX_HALF_ARITHMETIC(+)
MLX_HALF_ARITHMETIC(-)
MLX_HALF_ARITHMETIC(*)
MLX_HALF_ARITHMETIC(/)
#undef MLX_HALF_ARITHMETIC
#undef MLX_HALF_COMPOUND

inline float16_t operator-(float16_t x) {
  x.bits_ ^= 0x8000u;
  return x;
}
inline bfloat16_t operator-(bfloat16_t x) {
  x.bits_ ^= 0x8000u;
  return x;
}

template <typename T>
constexpr bool is_signed_v =
    std::is_signed_v<T> || std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>;
template <typename T>
constexpr bool is_floating_point_v =
    std::is_floating_point_v<T> || std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>;

}  // namespace mlx::core
