// backend/cpu/tape/math-inl.h: vector functions of the VEC column. Compiled once per target.
#if defined(MICA_BACKEND_CPU_TAPE_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MICA_BACKEND_CPU_TAPE_MATH_INL_H_
#undef MICA_BACKEND_CPU_TAPE_MATH_INL_H_
#else
#define MICA_BACKEND_CPU_TAPE_MATH_INL_H_
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <cmath>

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace vm {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

template <class D>
HWY_INLINE hn::Vec<D> Const(D d, double v) {
  return hn::Set(d, static_cast<hn::TFromD<D>>(v));
}

/** f of each lane, for functions without a vector form. */
template <class D, class V, class F>
HWY_INLINE V Map(D d, V x, V y, const F& f) {
  using T = hn::TFromD<D>;
  alignas(64) T a[HWY_MAX_BYTES / sizeof(T)], b[HWY_MAX_BYTES / sizeof(T)];
  hn::Store(x, d, a);
  hn::Store(y, d, b);
  for (size_t i = 0; i < hn::Lanes(d); ++i) a[i] = f(a[i], b[i]);
  return hn::Load(d, a);
}

template <class D, class V>
HWY_INLINE V Poly(D d, V x, std::initializer_list<double> high_first) {
  auto it = high_first.begin();
  V p = Const(d, *it);
  for (++it; it != high_first.end(); ++it) p = hn::MulAdd(p, x, Const(d, *it));
  return p;
}

/**
 * e^x. x = n ln 2 + r with |r| <= ln 2 / 2; e^r by its Taylor polynomial (degree 7, or 13 in
 * double); 2^n in two factors, so that results near the largest number and subnormal ones come out
 * right.
 */
template <class D, class V>
HWY_INLINE V Exp(D d, V x) {
  using T = hn::TFromD<D>;
  constexpr bool single = sizeof(T) == 4;
  const hn::RebindToSigned<D> di;
  const V lo = Const(d, single ? -104.0 : -746.0), hi = Const(d, single ? 89.0 : 710.0);
  const V c = hn::Min(hn::Max(x, lo), hi);
  const V n = hn::Round(hn::Mul(c, Const(d, 1.4426950408889634074)));
  V r, p;
  if constexpr (single) {
    r = hn::NegMulAdd(n, Const(d, 0.693359375), c);
    r = hn::NegMulAdd(n, Const(d, -2.12194440054690583e-4), r);
    p = Const(d, 1.0 / 5040);
    for (double k : {1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0})
      p = hn::MulAdd(p, r, Const(d, k));
  } else {
    r = hn::NegMulAdd(n, Const(d, 0x1.62e42fefa39efp-1), c);
    r = hn::NegMulAdd(n, Const(d, 0x1.abc9e3b39803fp-56), r);
    p = Const(d, 1.0 / 6227020800.0);
    for (double k : {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
                     1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0}) {
      p = hn::MulAdd(p, r, Const(d, k));
    }
  }
  const auto ni = hn::ConvertTo(di, n);
  const auto half = hn::ShiftRight<1>(ni);
  constexpr int kBits = single ? 23 : 52;
  const auto bias = hn::Set(di, single ? 127 : 1023);
  const V s1 = hn::BitCast(d, hn::ShiftLeft<kBits>(hn::Add(half, bias)));
  const V s2 = hn::BitCast(d, hn::ShiftLeft<kBits>(hn::Add(hn::Sub(ni, half), bias)));
  p = hn::Mul(hn::Mul(p, s1), s2);
  return hn::IfThenElse(hn::Eq(x, x), p, x);
}

/** Rational approximation in float; from e^2x in double. */
template <class D, class V>
HWY_INLINE V Tanh(D d, V x) {
  using T = hn::TFromD<D>;
  if constexpr (sizeof(T) == 4) {
    const V lim = Const(d, 7.90531110763549805);
    const V c = hn::Min(hn::Max(x, hn::Neg(lim)), lim);
    const V s = hn::Mul(c, c);
    const V p = hn::Mul(c, Poly(d, s,
                                {-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11,
                                 5.12229709037114e-08, 1.48572235717979e-05, 6.37261928875436e-04,
                                 4.89352455891786e-03}));
    const V q = Poly(
        d, s,
        {1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03});
    const V t = hn::Div(p, q);
    // Tiny values are their own tanh, and NaN stays.
    const V small = hn::IfThenElse(hn::Lt(hn::Abs(x), Const(d, 4e-4)), x, t);
    return hn::IfThenElse(hn::Eq(x, x), small, x);
  } else {
    return Map(d, x, x, [](T v, T) { return std::tanh(v); });
  }
}

template <class D, class V>
HWY_INLINE V Sigmoid(D d, V x) {
  const V one = Const(d, 1);
  return hn::Div(one, hn::Add(one, vm::Exp(d, hn::Neg(x))));
}

template <class D, class V>
HWY_INLINE V Log(D d, V x) {
  const V y = hn::Log(d, x);
  // Highway's logarithm is for positive finite numbers.
  const V zero = hn::Zero(d);
  const V inf = Const(d, HUGE_VAL);
  V r = hn::IfThenElse(hn::Eq(x, zero), hn::Neg(inf), y);
  r = hn::IfThenElse(hn::Eq(x, inf), inf, r);
  return hn::IfThenElse(hn::Ge(x, zero), r, Const(d, NAN));
}

// Highway reduces angles with a few constants: right up to some thousands, then libm takes over.
template <class D, class V>
HWY_INLINE V Sin(D d, V x) {
  using T = hn::TFromD<D>;
  if constexpr (sizeof(T) == 8) return Map(d, x, x, [](T v, T) { return std::sin(v); });
  if (HWY_LIKELY(hn::AllTrue(d, hn::Lt(hn::Abs(x), Const(d, 5000))))) return hn::Sin(d, x);
  return Map(d, x, x, [](T v, T) { return std::sin(v); });
}
template <class D, class V>
HWY_INLINE V Cos(D d, V x) {
  using T = hn::TFromD<D>;
  if constexpr (sizeof(T) == 8) return Map(d, x, x, [](T v, T) { return std::cos(v); });
  if (HWY_LIKELY(hn::AllTrue(d, hn::Lt(hn::Abs(x), Const(d, 5000))))) return hn::Cos(d, x);
  return Map(d, x, x, [](T v, T) { return std::cos(v); });
}

template <class D, class V>
HWY_INLINE V Erf(D d, V x) {
  using T = hn::TFromD<D>;
  return Map(d, x, x, [](T v, T) { return std::erf(v); });
}

template <class D, class V>
HWY_INLINE V Sign(D d, V x) {
  const V zero = hn::Zero(d), one = Const(d, 1);
  const V s = hn::IfThenElseZero(hn::Gt(x, zero), one);
  return hn::IfThenElse(hn::Lt(x, zero), hn::Neg(one), s);
}

template <class D, class V>
HWY_INLINE V Maximum(D d, V x, V y) {
  (void)d;
  const V m = hn::Max(x, y);
  return hn::IfThenElse(hn::Eq(x, x), hn::IfThenElse(hn::Eq(y, y), m, y), x);
}
template <class D, class V>
HWY_INLINE V Minimum(D d, V x, V y) {
  (void)d;
  const V m = hn::Min(x, y);
  return hn::IfThenElse(hn::Eq(x, x), hn::IfThenElse(hn::Eq(y, y), m, y), x);
}

template <class D, class V>
HWY_INLINE V LogAddExp(D d, V x, V y) {
  using T = hn::TFromD<D>;
  return Map(d, x, y, [](T a, T b) {
    T hi = a > b ? a : b, lo = a > b ? b : a;
    if (a != a || b != b) return a + b;
    if (lo == hi || hi - hi != 0) return lo == hi ? hi + T(0.69314718055994531) : hi;
    return hi + std::log1p(std::exp(lo - hi));
  });
}

/** Small whole exponents, the common case, by multiplication; else libm. */
template <class D, class V>
HWY_INLINE V Pow(D d, V x, V y) {
  using T = hn::TFromD<D>;
  if (hn::AllTrue(d, hn::Eq(y, Const(d, 2)))) return hn::Mul(x, x);
  if (hn::AllTrue(d, hn::Eq(y, Const(d, 0.5)))) {
    if (hn::AllTrue(d, hn::Gt(x, hn::Zero(d)))) return hn::Sqrt(x);
  }
  if (hn::AllTrue(d, hn::Eq(y, Const(d, 1)))) return x;
  return Map(d, x, y, [](T a, T b) { return static_cast<T>(std::pow(a, b)); });
}

}  // namespace
}  // namespace vm
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
