// include/mlx/types/complex.h: complex numbers with the conversions and ordering that arrays need.
#pragma once

#include <cmath>
#include <complex>
#include <cstdint>
#include <type_traits>

#include "mlx/types/half_types.h"

namespace mlx::core {

struct complex64_t;
struct complex128_t;

template <typename T>
inline constexpr bool can_convert_to_complex128 =
    !std::is_same_v<T, complex128_t> && std::is_convertible_v<T, double>;

struct complex128_t : public std::complex<double> {
  complex128_t() : std::complex<double>() {}
  complex128_t(double v, double u) : std::complex<double>(v, u) {}
  complex128_t(std::complex<double> v) : std::complex<double>(v) {}
  template <typename T, typename = typename std::enable_if<can_convert_to_complex128<T>>::type>
  complex128_t(T x) : std::complex<double>(x) {}
  operator float() const { return static_cast<float>(real()); }
};

template <typename T>
inline constexpr bool can_convert_to_complex64 =
    !std::is_same_v<T, complex64_t> && std::is_convertible_v<T, float>;

struct complex64_t : public std::complex<float> {
  complex64_t() : std::complex<float>() {}
  complex64_t(float v, float u) : std::complex<float>(v, u) {}
  complex64_t(std::complex<float> v) : std::complex<float>(v) {}
  template <typename T, typename = typename std::enable_if<can_convert_to_complex64<T>>::type>
  complex64_t(T x) : std::complex<float>(static_cast<float>(x)) {}
  operator float() const { return real(); }
  explicit operator bool() const { return real() != 0 || imag() != 0; }
};

// Ordering is lexicographic, real part first, as NumPy sorts.
inline bool operator>=(const complex64_t& a, const complex64_t& b) {
  return a.real() > b.real() || (a.real() == b.real() && a.imag() >= b.imag());
}
inline bool operator>(const complex64_t& a, const complex64_t& b) {
  return a.real() > b.real() || (a.real() == b.real() && a.imag() > b.imag());
}
inline bool operator<=(const complex64_t& a, const complex64_t& b) { return b >= a; }
inline bool operator<(const complex64_t& a, const complex64_t& b) { return b > a; }

inline complex64_t operator-(const complex64_t& v) { return {-v.real(), -v.imag()}; }
inline complex64_t operator+(const complex64_t& x, const complex64_t& y) {
  return {x.real() + y.real(), x.imag() + y.imag()};
}
inline complex64_t operator-(const complex64_t& x, const complex64_t& y) {
  return {x.real() - y.real(), x.imag() - y.imag()};
}
inline complex64_t operator*(const complex64_t& x, const complex64_t& y) {
  return static_cast<const std::complex<float>&>(x) * static_cast<const std::complex<float>&>(y);
}
inline complex64_t operator/(const complex64_t& x, const complex64_t& y) {
  return static_cast<const std::complex<float>&>(x) / static_cast<const std::complex<float>&>(y);
}
/** Componentwise, with the sign of the divisor, as NumPy's of real numbers. */
inline complex64_t operator%(complex64_t a, complex64_t b) {
  auto part = [](float x, float y) { return x - y * std::floor(x / y); };
  return {part(a.real(), b.real()), part(a.imag(), b.imag())};
}
// A number and a complex64_t: spelled out, for a complex64_t is a float to the compiler as well.
#define MLX_COMPLEX_WITH(T, op)                               \
  inline complex64_t operator op(const complex64_t& x, T y) { \
    return x op complex64_t(static_cast<float>(y));           \
  }                                                           \
  inline complex64_t operator op(T x, const complex64_t& y) { \
    return complex64_t(static_cast<float>(x)) op y;           \
  }
#define MLX_COMPLEX_ARITHMETIC(op)                                                     \
  inline complex64_t operator op(const complex64_t& x, const std::complex<float>& y) { \
    return x op complex64_t(y);                                                        \
  }                                                                                    \
  inline complex64_t operator op(const std::complex<float>& x, const complex64_t& y) { \
    return complex64_t(x) op y;                                                        \
  }                                                                                    \
  MLX_COMPLEX_WITH(bool, op)                                                           \
  MLX_COMPLEX_WITH(uint32_t, op)                                                       \
  MLX_COMPLEX_WITH(uint64_t, op)                                                       \
  MLX_COMPLEX_WITH(int32_t, op)                                                        \
  MLX_COMPLEX_WITH(int64_t, op)                                                        \
  MLX_COMPLEX_WITH(float16_t, op)                                                      \
  MLX_COMPLEX_WITH(bfloat16_t, op)                                                     \
  MLX_COMPLEX_WITH(float, op)
MLX_COMPLEX_ARITHMETIC(+)
MLX_COMPLEX_ARITHMETIC(-)
MLX_COMPLEX_ARITHMETIC(*)
MLX_COMPLEX_ARITHMETIC(/)
#undef MLX_COMPLEX_ARITHMETIC
#undef MLX_COMPLEX_WITH
inline bool operator==(const complex64_t& x, const complex64_t& y) {
  return x.real() == y.real() && x.imag() == y.imag();
}
inline bool operator!=(const complex64_t& x, const complex64_t& y) { return !(x == y); }

template <typename, typename = void>
constexpr bool is_complex = false;
template <typename T>
constexpr bool is_complex<T, std::void_t<decltype(std::declval<T>().real())>> = true;

template <typename T>
inline bool isnan(T v) {
  if constexpr (is_complex<T>) {
    return std::isnan(v.real()) || std::isnan(v.imag());
  } else if constexpr (std::is_integral_v<T>) {
    return false;
  } else {
    return std::isnan(static_cast<std::conditional_t<std::is_same_v<T, double>, double, float>>(v));
  }
}

}  // namespace mlx::core
