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

#include "backend/cpu/tape/scalar.h"

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
    // The high part of ln 2 has 32 bits: its product with n is exact without a fused multiply too.
    r = hn::NegMulAdd(n, Const(d, 0x1.62e42feep-1), c);
    r = hn::NegMulAdd(n, Const(d, 0x1.a39ef35793c76p-33), r);
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

template <class D, class V>
HWY_INLINE V Sigmoid(D d, V x) {
  // From e^-|x|, which does not overflow: far negative values keep their digits.
  const V one = Const(d, 1);
  const V e = vm::Exp(d, hn::Neg(hn::Abs(x)));
  return hn::Div(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one), hn::Add(one, e));
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

// The value of a lane depends on that lane alone, so that bits do not depend on where an array is
// cut: exceptions are patched lane by lane.

/** f of the lanes in the mask, r in the others. */
template <class D, class V, class M, class F>
HWY_INLINE V Patch(D d, M mask, V r, V x, V y, const F& f) {
  if (HWY_LIKELY(hn::AllFalse(d, mask))) return r;
  using T = hn::TFromD<D>;
  alignas(64) T a[HWY_MAX_BYTES / sizeof(T)], b[HWY_MAX_BYTES / sizeof(T)];
  alignas(64) T o[HWY_MAX_BYTES / sizeof(T)], m[HWY_MAX_BYTES / sizeof(T)];
  hn::Store(x, d, a);
  hn::Store(y, d, b);
  hn::Store(r, d, o);
  hn::Store(hn::IfThenElseZero(mask, hn::Set(d, T(1))), d, m);
  for (size_t i = 0; i < hn::Lanes(d); ++i) {
    if (m[i] != 0) o[i] = f(a[i], b[i]);
  }
  return hn::Load(d, o);
}

// Highway reduces angles with a few constants: right up to some thousands, then libm takes over.
template <class D, class V>
HWY_INLINE V Sin(D d, V x) {
  using T = hn::TFromD<D>;
  if constexpr (sizeof(T) == 8) {
    const V a = hn::Abs(x);
    const V r = hn::IfThenElse(hn::Lt(a, Const(d, 1e-8)), x, hn::Sin(d, x));
    return Patch(d, hn::Not(hn::Lt(a, Const(d, 100))), r, x, x, [](T v, T) { return std::sin(v); });
  } else {
    const V a = hn::Abs(x);
    // Small angles are their own sine, -0 too.
    const V r = hn::IfThenElse(hn::Lt(a, Const(d, 2e-4)), x, hn::Sin(d, x));
    return Patch(d, hn::Not(hn::Lt(a, Const(d, 5000))), r, x, x,
                 [](T v, T) { return std::sin(v); });
  }
}
template <class D, class V>
HWY_INLINE V Cos(D d, V x) {
  using T = hn::TFromD<D>;
  if constexpr (sizeof(T) == 8) {
    return Patch(d, hn::Not(hn::Lt(hn::Abs(x), Const(d, 100))), hn::Cos(d, x), x, x,
                 [](T v, T) { return std::cos(v); });
  } else {
    return Patch(d, hn::Not(hn::Lt(hn::Abs(x), Const(d, 5000))), hn::Cos(d, x), x, x,
                 [](T v, T) { return std::cos(v); });
  }
}

/**
 * float: x + x Q(x^2) below one, 1 - e^-R(|x|) above, where R = -log erfc; polynomials fitted to
 * 1e-9 relative.
 */
template <class D, class V>
HWY_INLINE V Erf(D d, V x) {
  using T = hn::TFromD<D>;
  if constexpr (sizeof(T) == 8) {
    return Map(d, x, x, [](T v, T) { return std::erf(v); });
  } else {
    const V one = Const(d, 1), s = hn::Mul(x, x);
    const V near = hn::MulAdd(
        x,
        Poly(d, s,
             {7.853849820094183e-05, -0.0008010190213099122, 0.00518832728266716,
              -0.026853810995817184, 0.1128358542919159, -0.3761262595653534, 0.12837916612625122}),
        x);
    const V a = hn::Min(hn::Abs(x), Const(d, 4));
    const V tail = Poly(d, a,
                        {-2.1213330114733253e-07, 2.47549032792449e-05, -0.00046036182902753353,
                         0.004270649515092373, -0.025348952040076256, 0.10860663652420044,
                         0.6330657005310059, 1.1296494007110596, -0.00020206780754961073});
    const V far = hn::CopySign(hn::Sub(one, vm::Exp(d, hn::Neg(tail))), x);
    const V r = hn::IfThenElse(hn::Lt(hn::Abs(x), one), near, far);
    return hn::IfThenElse(hn::Eq(x, x), r, x);
  }
}

/** Highway's up to where e^x outweighs the one. */
template <class D, class V>
HWY_INLINE V Expm1(D d, V x) {
  constexpr bool single = sizeof(hn::TFromD<D>) == 4;
  const V top = Const(d, single ? 80 : 700);
  const V r = hn::IfThenElse(hn::Gt(x, top), vm::Exp(d, x),
                             hn::Expm1(d, hn::Max(hn::Min(x, top), Const(d, -100))));
  const V small = hn::IfThenElse(hn::Lt(hn::Abs(x), Const(d, single ? 1e-8 : 1e-17)), x, r);
  return hn::IfThenElse(hn::Eq(x, x), small, x);
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
    const V a = hn::Min(hn::Abs(x), Const(d, 22));
    const V u = vm::Expm1(d, hn::Add(a, a));
    const V r = hn::CopySign(hn::Div(u, hn::Add(u, Const(d, 2))), x);
    const V y = hn::IfThenElse(hn::Lt(a, Const(d, 1e-8)), x, r);
    return hn::IfThenElse(hn::Eq(x, x), y, x);
  }
}

/** log(u) and what rounding took from u = 1 + x. */
template <class D, class V>
HWY_INLINE V Log1p(D d, V x) {
  const V one = Const(d, 1);
  const V u = hn::Add(one, x);
  const V lost = hn::Sub(x, hn::Sub(u, one));
  const V r = hn::Add(vm::Log(d, u), hn::Div(lost, u));
  // Where the correction is not a number the logarithm is right, and tiny values stay, -0 too.
  const V whole = hn::IfThenElse(hn::Gt(u, hn::Zero(d)), r, vm::Log(d, u));
  const V finite = hn::IfThenElse(hn::Lt(x, Const(d, HUGE_VAL)), whole, vm::Log(d, u));
  const double tiny = sizeof(hn::TFromD<D>) == 4 ? 1e-8 : 1e-17;
  return hn::IfThenElse(hn::Lt(hn::Abs(x), Const(d, tiny)), x, finite);
}

// ---- functions whose float32 form is computed in double, where errors vanish in the last
// rounding; their float64 form is the same function. f(w, x...) works on vectors of double.

template <class D, class V, class F>
HWY_INLINE V InDouble(D d, V x, const F& f) {
  if constexpr (sizeof(hn::TFromD<D>) == 8) {
    return f(d, x);
  } else {
    const hn::Half<D> h;
    const hn::RepartitionToWide<D> w;
    return hn::Combine(d, hn::DemoteTo(h, f(w, hn::PromoteTo(w, hn::UpperHalf(h, x)))),
                       hn::DemoteTo(h, f(w, hn::PromoteTo(w, hn::LowerHalf(h, x)))));
  }
}
template <class D, class V, class F>
HWY_INLINE V InDouble(D d, V x, V y, const F& f) {
  if constexpr (sizeof(hn::TFromD<D>) == 8) {
    return f(d, x, y);
  } else {
    const hn::Half<D> h;
    const hn::RepartitionToWide<D> w;
    const auto part = [&](auto a, auto b) {
      return hn::DemoteTo(h, f(w, hn::PromoteTo(w, a), hn::PromoteTo(w, b)));
    };
    return hn::Combine(d, part(hn::UpperHalf(h, x), hn::UpperHalf(h, y)),
                       part(hn::LowerHalf(h, x), hn::LowerHalf(h, y)));
  }
}

/** r, but x itself where |x| is so small that f(x) = x to the last digit: -0 stays, too. */
template <class D, class V>
HWY_INLINE V SmallIsItself(D d, V x, V r) {
  const double tiny = sizeof(hn::TFromD<D>) == 4 ? 1e-4 : 1e-8;
  return hn::IfThenElse(hn::Lt(hn::Abs(x), Const(d, tiny)), x, r);
}

template <class D, class V>
HWY_INLINE V ArcSin(D d, V x) {
  const V r = InDouble(d, x, [](auto w, auto v) HWY_ATTR { return hn::Asin(w, v); });
  const V y = hn::IfThenElse(hn::Le(hn::Abs(x), Const(d, 1)), r, Const(d, NAN));
  return SmallIsItself(d, x, y);
}
template <class D, class V>
HWY_INLINE V ArcCos(D d, V x) {
  const V r = InDouble(d, x, [](auto w, auto v) HWY_ATTR { return hn::Acos(w, v); });
  return hn::IfThenElse(hn::Le(hn::Abs(x), Const(d, 1)), r, Const(d, NAN));
}

/** Of a vector of double that is not negative: infinities give pi / 2. */
template <class W, class V>
HWY_INLINE V ArcTanPositive(W w, V x) {
  return hn::Atan(w, x);
}
template <class D, class V>
HWY_INLINE V ArcTan(D d, V x) {
  const V a = hn::Min(hn::Abs(x), Const(d, 1e30));
  const V r = InDouble(d, a, [](auto w, auto v) HWY_ATTR { return ArcTanPositive(w, v); });
  const V y = hn::IfThenElse(hn::Eq(x, x), hn::CopySign(r, x), x);
  return SmallIsItself(d, x, y);
}

/** The angle of (y, x): from the smaller over the larger, then by octants; libm where it is
 * special.
 */
template <class D, class V>
HWY_INLINE V ArcTan2(D d, V y, V x) {
  using T = hn::TFromD<D>;
  const V r = InDouble(d, y, x, [](auto w, auto b, auto a) HWY_ATTR {
    const auto ay = hn::Abs(b), ax = hn::Abs(a);
    const auto steep = hn::Gt(ay, ax);
    const auto t = ArcTanPositive(w, hn::Div(hn::Min(ay, ax), hn::Max(ay, ax)));
    auto angle = hn::IfThenElse(steep, hn::Sub(Const(w, 1.5707963267948966), t), t);
    angle =
        hn::IfThenElse(hn::Lt(a, hn::Zero(w)), hn::Sub(Const(w, 3.141592653589793), angle), angle);
    return hn::CopySign(angle, b);
  });
  // Zeros, infinities, NaN, and quotients that may be subnormal.
  const double low = sizeof(T) == 4 ? 1e-30 : 1e-150, high = sizeof(T) == 4 ? 1e30 : 1e150;
  const auto plain = [&](V v) HWY_ATTR {
    return hn::And(hn::Gt(hn::Abs(v), Const(d, low)), hn::Lt(hn::Abs(v), Const(d, high)));
  };
  return Patch(d, hn::Not(hn::And(plain(x), plain(y))), r, y, x,
               [](T b, T a) { return std::atan2(b, a); });
}

template <class D, class V>
HWY_INLINE V Tan(D d, V x) {
  using T = hn::TFromD<D>;
  const V r =
      InDouble(d, x, [](auto w, auto v) HWY_ATTR { return hn::Div(hn::Sin(w, v), hn::Cos(w, v)); });
  const V y = SmallIsItself(d, x, r);
  const double most = sizeof(T) == 4 ? 5000 : 100;
  return Patch(d, hn::Not(hn::Lt(hn::Abs(x), Const(d, most))), y, x, x,
               [](T v, T) { return std::tan(v); });
}

/** e^v / 2 of double v >= 0: without overflow before the result has one; v - 1 is exact. */
template <class W, class V>
HWY_INLINE V HalfExp(W w, V v) {
  const V one = Const(w, 1);
  const auto large = hn::Gt(v, one);
  const V e = vm::Exp(w, hn::IfThenElse(large, hn::Sub(v, one), v));
  return hn::Mul(e, hn::IfThenElse(large, Const(w, 1.3591409142295225), Const(w, 0.5)));
}

template <class D, class V>
HWY_INLINE V Cosh(D d, V x) {
  return InDouble(d, hn::Abs(x), [](auto w, auto v) HWY_ATTR {
    const auto half = HalfExp(w, v);
    return hn::Add(half, hn::Div(Const(w, 0.25), half));
  });
}
template <class D, class V>
HWY_INLINE V Sinh(D d, V x) {
  using T = hn::TFromD<D>;
  const V r = InDouble(d, hn::Abs(x), [](auto w, auto v) HWY_ATTR {
    // For float32 what is lost near zero does not count.
    const auto half = HalfExp(w, v);
    if constexpr (sizeof(T) == 4) return hn::Sub(half, hn::Div(Const(w, 0.25), half));
    // (e^v - 1 + (e^v - 1) / e^v) / 2 keeps its digits.
    const auto u = vm::Expm1(w, hn::Min(v, Const(w, 30)));
    const auto near = hn::Mul(Const(w, 0.5), hn::Add(u, hn::Div(u, hn::Add(u, Const(w, 1)))));
    return hn::IfThenElse(hn::Gt(v, Const(w, 22)), half, near);
  });
  const V y = hn::IfThenElse(hn::Eq(x, x), hn::CopySign(r, x), x);
  return SmallIsItself(d, x, y);
}
template <class D, class V>
HWY_INLINE V ArcSinh(D d, V x) {
  const V r = InDouble(d, hn::Abs(x), [](auto w, auto v) HWY_ATTR {
    // log1p(v + v^2 / (1 + sqrt(1 + v^2))); far out log(2 v).
    const auto one = Const(w, 1), s = hn::Mul(v, v);
    const auto near = vm::Log1p(w, hn::Add(v, hn::Div(s, hn::Add(one, hn::Sqrt(hn::Add(one, s))))));
    const auto far = hn::Add(vm::Log(w, v), Const(w, 0.6931471805599453));
    return hn::IfThenElse(hn::Gt(v, Const(w, 1e9)), far, near);
  });
  const V y = hn::IfThenElse(hn::Eq(x, x), hn::CopySign(r, x), x);
  return SmallIsItself(d, x, y);
}
template <class D, class V>
HWY_INLINE V ArcCosh(D d, V x) {
  const V r = InDouble(d, x, [](auto w, auto v) HWY_ATTR {
    const auto u = hn::Sub(v, Const(w, 1));
    const auto near = vm::Log1p(w, hn::Add(u, hn::Sqrt(hn::MulAdd(u, u, hn::Add(u, u)))));
    const auto far = hn::Add(vm::Log(w, v), Const(w, 0.6931471805599453));
    return hn::IfThenElse(hn::Gt(v, Const(w, 1e9)), far, near);
  });
  return hn::IfThenElse(hn::Ge(x, Const(d, 1)), r, Const(d, NAN));
}
template <class D, class V>
HWY_INLINE V ArcTanh(D d, V x) {
  using T = hn::TFromD<D>;
  const V a = hn::Abs(x);
  const V r = InDouble(d, a, [](auto w, auto v) HWY_ATTR {
    const auto one = Const(w, 1);
    if constexpr (sizeof(T) == 4) {
      const auto q = hn::Div(hn::Add(one, v), hn::Sub(one, v));
      return hn::Mul(Const(w, 0.5), vm::Log(w, q));
    }
    const auto q = hn::Div(hn::Add(v, v), hn::Sub(one, v));
    return hn::Mul(Const(w, 0.5), vm::Log1p(w, q));
  });
  const V inf = hn::IfThenElse(hn::Eq(a, Const(d, 1)), Const(d, HUGE_VAL), r);
  const V y = hn::IfThenElse(hn::Le(a, Const(d, 1)), hn::CopySign(inf, x), Const(d, NAN));
  return SmallIsItself(d, x, y);
}

/** Logarithms to other bases: exact for powers of two, and in float32 for powers of ten. */
template <class D, class V>
HWY_INLINE V Log2(D d, V x) {
  if constexpr (sizeof(hn::TFromD<D>) == 8) {
    return Map(d, x, x, [](double v, double) { return std::log2(v); });
  } else {
    return InDouble(d, x, [](auto w, auto v) HWY_ATTR {
      return hn::Mul(vm::Log(w, v), Const(w, 1.4426950408889634));
    });
  }
}
template <class D, class V>
HWY_INLINE V Log10(D d, V x) {
  return InDouble(d, x, [](auto w, auto v) HWY_ATTR {
    return hn::Mul(vm::Log(w, v), Const(w, 0.4342944819032518));
  });
}

/** x - y floor(x / y), exactly.
 */
template <class D, class V>
HWY_INLINE V Remainder(D d, V x, V y) {
  using T = hn::TFromD<D>;
  if constexpr (sizeof(T) == 8) {
    return Map(d, x, y, [](T a, T b) { return scalar::remainder(a, b); });
  } else {
    const V r = InDouble(d, x, y, [](auto w, auto a, auto b) HWY_ATTR {
      const auto q = hn::Floor(hn::Div(a, b));
      auto rest = hn::NegMulAdd(q, b, a);
      const auto zero = hn::Zero(w);
      // A quotient that was rounded up to the next whole number.
      const auto wrong = hn::Lt(hn::Mul(rest, b), zero);
      rest = hn::IfThenElse(wrong, hn::Add(rest, b), rest);
      return rest;
    });
    const V ratio = hn::Abs(hn::Div(x, y));
    const auto plain = hn::And(hn::Lt(ratio, Const(d, 1e8)), hn::Lt(hn::Abs(y), Const(d, 1e30)));
    // Nothing left has the sign of x.
    const V zero = hn::Zero(d);
    const V signed_r = hn::IfThenElse(hn::Eq(r, zero), hn::CopySign(zero, x), r);
    return Patch(d, hn::Not(plain), signed_r, x, y,
                 [](T a, T b) { return scalar::remainder(a, b); });
  }
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
  const V hi = hn::Max(x, y), lo = hn::Min(x, y);
  const V r = hn::Add(hi, vm::Log1p(d, vm::Exp(d, hn::Sub(lo, hi))));
  // An infinity is the result itself: the difference of two is not a number.
  const V sum = hn::Add(x, y);
  const V whole = hn::IfThenElse(hn::Eq(hn::Abs(hi), Const(d, HUGE_VAL)), hi, r);
  return hn::IfThenElse(hn::And(hn::Eq(x, x), hn::Eq(y, y)), whole, sum);
}

/** x^y of positive finite x and finite y. */
template <class D, class V>
HWY_INLINE V PowPositive(D d, V x, V y) {
  using T = hn::TFromD<D>;
  if constexpr (sizeof(T) == 8) {
    return Map(d, x, y, [](T a, T b) { return std::pow(a, b); });
  } else {
    // In double, whose errors vanish in the last rounding.
    const hn::Half<D> h;
    const hn::RepartitionToWide<D> w;
    const auto part = [&](auto a, auto b) {
      const auto p = hn::Mul(hn::PromoteTo(w, b), hn::Log(w, hn::PromoteTo(w, a)));
      return hn::DemoteTo(h, vm::Exp(w, p));
    };
    return hn::Combine(d, part(hn::UpperHalf(h, x), hn::UpperHalf(h, y)),
                       part(hn::LowerHalf(h, x), hn::LowerHalf(h, y)));
  }
}

/** Squares exactly; libm where an argument is special. */
template <class D, class V>
HWY_INLINE V Pow(D d, V x, V y) {
  using T = hn::TFromD<D>;
  const V inf = Const(d, HUGE_VAL), zero = hn::Zero(d);
  const auto square = hn::Eq(y, Const(d, 2));
  const V squared = hn::Mul(x, x);
  if (hn::AllTrue(d, square)) return squared;
  const V a = hn::Abs(x);
  V r;
  if constexpr (sizeof(T) == 8) {
    r = PowPositive(d, x, y);
  } else {
    r = PowPositive(d, a, y);
    // Negative bases: whole exponents only, odd ones keep the sign.
    const V half = hn::Mul(y, Const(d, 0.5));
    const auto whole = hn::Eq(hn::Floor(y), y);
    const auto even = hn::Eq(hn::Floor(half), half);
    const V signed_r = hn::IfThenElse(whole, hn::IfThenElse(even, r, hn::Neg(r)), Const(d, NAN));
    r = hn::IfThenElse(hn::Lt(x, zero), signed_r, r);
    const auto plain = hn::And(hn::And(hn::Gt(a, zero), hn::Lt(a, inf)), hn::Lt(hn::Abs(y), inf));
    r = Patch(d, hn::Not(hn::Or(plain, square)), r, x, y,
              [](T b, T e) { return static_cast<T>(std::pow(b, e)); });
  }
  return hn::IfThenElse(square, squared, r);
}

}  // namespace
}  // namespace vm
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
