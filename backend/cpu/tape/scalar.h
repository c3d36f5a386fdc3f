// backend/cpu/tape/scalar.h: what the SCALAR and COMPLEX columns of the elementwise table are
// written with. Integer arithmetic wraps; dividing by zero gives a number instead of a signal.
#pragma once

#include <cmath>
#include <complex>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "mlx/types/complex.h"

namespace mlx::core::cpu::scalar {

using cf = std::complex<float>;

template <class T>
using Unsigned = std::make_unsigned_t<std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>>;

template <class T>
inline T add(T x, T y) {
  if constexpr (std::is_same_v<T, bool>) {
    return x || y;
  } else {
    return static_cast<T>(static_cast<Unsigned<T>>(x) + static_cast<Unsigned<T>>(y));
  }
}
template <class T>
inline T sub(T x, T y) {
  if constexpr (std::is_same_v<T, bool>) {
    return x != y;
  } else {
    return static_cast<T>(static_cast<Unsigned<T>>(x) - static_cast<Unsigned<T>>(y));
  }
}
template <class T>
inline T mul(T x, T y) {
  if constexpr (std::is_same_v<T, bool>) {
    return x && y;
  } else {
    // In 64 bits: 16-bit factors would be promoted to signed int, which must not overflow.
    return static_cast<T>(static_cast<uint64_t>(x) * static_cast<uint64_t>(y));
  }
}
template <class T>
inline T abs(T x) {
  if constexpr (std::is_unsigned_v<T>) {
    return x;
  } else {
    return x < 0 ? sub(T(0), x) : x;
  }
}
template <class T>
inline T bit_not(T x) {
  if constexpr (std::is_same_v<T, bool>) {
    return !x;
  } else {
    return static_cast<T>(~x);
  }
}

/**
 * x / y without its fraction. Up to 32 bits it goes through floats, whose division is a vector's:
 * a quotient that is no integer is further from one than the float's rounding.
 */
template <class T>
inline T quotient(T x, T y) {
  if constexpr (sizeof(T) <= 4) {
    using F = std::conditional_t<sizeof(T) <= 2, float, double>;
    using I = std::conditional_t<std::is_same_v<T, uint32_t>, uint32_t, int32_t>;
    return static_cast<T>(static_cast<I>(static_cast<F>(x) / static_cast<F>(y)));
  } else {
    return static_cast<T>(x / y);
  }
}

/** Both of these are written without branches, for vectors. */
template <class T>
inline T floor_div(T x, T y) {
  if constexpr (std::is_same_v<T, bool>) {
    return x && y;
  } else if constexpr (std::is_unsigned_v<T>) {
    const T q = quotient<T>(x, y == 0 ? T(1) : y);
    return y == 0 ? T(0) : q;
  } else {
    const bool odd = (y == 0) | (y == -1);
    const T d = odd ? T(1) : y;
    const T q = quotient<T>(x, d), r = sub(x, mul(q, d));
    const T down = sub(q, static_cast<T>((r != 0) & ((r ^ d) < 0)));
    // The least value has no positive twin: it wraps.
    const T special = y == 0 ? T(0) : sub(T(0), x);
    return odd ? special : down;
  }
}
template <class T>
inline T int_remainder(T x, T y) {
  if constexpr (std::is_same_v<T, bool>) {
    return x && !y;
  } else {
    // x where y is 0, and 0 where y is -1, wrapped or not.
    return sub(x, mul(floor_div(x, y), y));
  }
}
template <class T>
inline T remainder(T x, T y) {
  T r = std::fmod(x, y);
  return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

template <class T>
inline T ipow(T x, T y) {
  if constexpr (std::is_same_v<T, bool>) {
    return x || !y;
  } else {
    if constexpr (std::is_signed_v<T>) {
      if (y < 0) return 0;
    }
    T result = 1;
    for (Unsigned<T> e = static_cast<Unsigned<T>>(y); e; e >>= 1) {
      if (e & 1) result = mul(result, x);
      x = mul(x, x);
    }
    return result;
  }
}

template <class T>
inline T shift_left(T x, T y) {
  unsigned by = static_cast<unsigned>(y) & (8 * sizeof(T) - 1);
  return static_cast<T>(static_cast<Unsigned<T>>(x) << by);
}
template <class T>
inline T shift_right(T x, T y) {
  unsigned by = static_cast<unsigned>(y) & (8 * sizeof(T) - 1);
  return static_cast<T>(x >> by);
}

template <class T>
inline bool is_inf(T x) {
  if constexpr (std::is_floating_point_v<T>) {
    return x == std::numeric_limits<T>::infinity() || x == -std::numeric_limits<T>::infinity();
  } else {
    return false;
  }
}
template <class T>
inline bool is_finite(T x) {
  if constexpr (std::is_floating_point_v<T>) {
    return x - x == 0;
  } else {
    return true;
  }
}

inline complex64_t csign(complex64_t x) {
  float m = std::abs(static_cast<cf>(x));
  return m == 0 ? complex64_t(0, 0) : complex64_t(static_cast<cf>(x) / m);
}
inline cf cfloor(cf x) { return {std::floor(x.real()), std::floor(x.imag())}; }
inline cf log1p(complex64_t z) {
  // |1 + z|^2 = 1 + (2 re + re^2 + im^2), whose logarithm is exact near zero.
  double re = z.real(), im = z.imag();
  return {static_cast<float>(0.5 * std::log1p(re * (2 + re) + im * im)),
          static_cast<float>(std::atan2(im, 1 + re))};
}
inline cf clogaddexp(complex64_t x, complex64_t y) {
  cf hi = x > y ? cf(x) : cf(y), lo = x > y ? cf(y) : cf(x);
  if (std::isinf(hi.real()) || std::isinf(lo.real())) return hi;
  return hi + log1p(complex64_t(std::exp(lo - hi)));
}
inline cf cpow(complex64_t x, complex64_t y) {
  if (y.real() == 0 && y.imag() == 0) return {1, 0};
  if (x.real() == 0 && x.imag() == 0) return {0, 0};
  return std::pow(static_cast<cf>(x), static_cast<cf>(y));
}

}  // namespace mlx::core::cpu::scalar
