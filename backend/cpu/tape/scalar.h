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

template <class T>
inline T floor_div(T x, T y) {
  if constexpr (std::is_same_v<T, bool>) {
    return x && y;
  } else if constexpr (std::is_unsigned_v<T>) {
    return y == 0 ? T(0) : static_cast<T>(x / y);
  } else {
    if (y == 0) return 0;
    if (y == -1) return sub(T(0), x);  // the least value has no positive twin: wraps
    T q = static_cast<T>(x / y);
    return static_cast<T>(q - (x % y != 0 && (x < 0) != (y < 0)));
  }
}
template <class T>
inline T int_remainder(T x, T y) {
  if constexpr (std::is_same_v<T, bool>) {
    return x && !y;
  } else if constexpr (std::is_unsigned_v<T>) {
    return y == 0 ? x : static_cast<T>(x % y);
  } else {
    if (y == 0) return x;
    if (y == -1) return 0;
    T r = static_cast<T>(x % y);
    return r != 0 && (r < 0) != (y < 0) ? static_cast<T>(r + y) : r;
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

/**
 * float: N. Juffa's polynomials in log(1 - x^2), each step with one rounding (the product of two
 * floats is exact in double). These are the bits behind Apple's random.normal: same seed, same
 * values.
 */
inline float erfinv_float(float x) {
  if (!(std::abs(x) < 1)) {
    return std::abs(x) == 1 ? std::copysign(std::numeric_limits<float>::infinity(), x)
                            : std::numeric_limits<float>::quiet_NaN();
  }
  float t = std::log(static_cast<float>(1.0 - double(x) * x));
  float p;
  auto step = [&](double c) { p = static_cast<float>(double(p) * t + double(float(c))); };
  if (std::abs(t) > 6.125f) {
    p = 3.03697567e-10f;
    for (double c : {2.93243101e-8, 1.22150334e-6, 2.84108955e-5, 3.93552968e-4, 3.02698812e-3,
                     4.83185798e-3, -2.64646143e-1, 8.40016484e-1}) {
      step(c);
    }
  } else {
    p = 5.43877832e-9f;
    for (double c : {1.43285448e-7, 1.22774793e-6, 1.12963626e-7, -5.61530760e-5, -1.47697632e-4,
                     2.31468678e-3, 1.15392581e-2, -2.32015476e-1, 8.86226892e-1}) {
      step(c);
    }
  }
  return x * p;
}

/** double: Giles's approximation (GPU Computing Gems, 2011) and Newton steps. */
template <class T>
inline T erfinv(T v) {
  if constexpr (sizeof(T) < 8) return static_cast<T>(erfinv_float(static_cast<float>(v)));
  double x = v;
  if (!(std::abs(x) < 1)) {
    return std::abs(x) == 1 ? static_cast<T>(x * std::numeric_limits<double>::infinity())
                            : std::numeric_limits<T>::quiet_NaN();
  }
  double w = -std::log((1 - x) * (1 + x)), p;
  if (w < 5) {
    w -= 2.5;
    p = 2.81022636e-08;
    for (double c : {3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
                     -0.00417768164, 0.246640727, 1.50140941}) {
      p = c + p * w;
    }
  } else {
    w = std::sqrt(w) - 3;
    p = -0.000200214257;
    for (double c : {0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613,
                     0.00943887047, 1.00167406, 2.83297682}) {
      p = c + p * w;
    }
  }
  double y = p * x;
  for (int i = 0; i < 2 && y != 0; ++i) {
    // erfc keeps its digits where erf is near one.
    double e = std::abs(x) < 0.5 ? std::erf(y) - x
                                 : (x < 0 ? -1 : 1) * ((1 - std::abs(x)) - std::erfc(std::abs(y)));
    double step = e / (1.1283791670955126 * std::exp(-y * y));
    if (std::isfinite(step)) y -= step;
  }
  return static_cast<T>(y);
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
