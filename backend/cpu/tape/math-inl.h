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

#include "backend/cpu/fast/exp-inl.h"
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

/** x between two bounds; NaN stays, because Min and Max give their second argument then. */
template <class D, class V>
HWY_INLINE V Clamp(D d, V x, double lo, double hi) {
  return hn::Max(Const(d, lo), hn::Min(Const(d, hi), x));
}

template <class D, class V>
HWY_INLINE V Sigmoid(D d, V x) {
  // From e^-|x|, which does not overflow: far negative values keep their digits.
  const V one = Const(d, 1);
  const V e = exp_of(d, hn::Neg(hn::Abs(x)));
  return hn::Div(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one), hn::Add(one, e));
}

/** y, a logarithm of x made for positive finite numbers, and what others give. */
template <class D, class V>
HWY_INLINE V LogEdges(D d, V x, V y) {
  const V zero = hn::Zero(d);
  const V inf = Const(d, HUGE_VAL);
  V r = hn::IfThenElse(hn::Eq(x, zero), hn::Neg(inf), y);
  r = hn::IfThenElse(hn::Eq(x, inf), inf, r);
  return hn::IfThenElse(hn::Ge(x, zero), r, Const(d, NAN));
}
template <class D, class V>
HWY_INLINE V Log(D d, V x) {
  return LogEdges(d, x, hn::Log(d, x));
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

/** Highway's up to where e^x outweighs the one. */
template <class D, class V>
HWY_INLINE V Expm1(D d, V x) {
  constexpr bool single = sizeof(hn::TFromD<D>) == 4;
  const V top = Const(d, single ? 80 : 700);
  const V r = hn::IfThenElse(hn::Gt(x, top), exp_of(d, x),
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

/** k < 2^52 as a vector of double w: without an instruction that not every target has. */
template <class W, class K>
HWY_INLINE hn::Vec<W> SmallWhole(W w, K k) {
  const hn::RebindToUnsigned<W> wu;
  const auto magic = hn::Set(wu, 0x4330000000000000u);  // 2^52
  return hn::Sub(hn::BitCast(w, hn::Or(k, magic)), Const(w, 4503599627370496.0));
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

/** Of a vector of double between zero and one, to 1e-10: for results in float32. */
template <class W, class V>
HWY_INLINE V ArcTanShort(W w, V t) {
  return hn::Mul(t, Poly(w, hn::Mul(t, t),
                         {-0.0006633954571104787, 0.00473248419342192, -0.015828322749149415,
                          0.033826218952786875, -0.05395668057137172, 0.07228278345377252,
                          -0.08974171958363882, 0.11091922963683302, -0.14283813255743194,
                          0.19999901102171555, -0.3333333129088999, 0.9999999999293037}));
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
    const auto ratio = hn::Div(hn::Min(ay, ax), hn::Max(ay, ax));
    auto t = ratio;
    if constexpr (sizeof(T) == 4) {
      t = ArcTanShort(w, ratio);
    } else {
      t = ArcTanPositive(w, ratio);
    }
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

/**
 * (e^v + sign e^-v) / 2 of double v >= 0. v = n ln 2 + r, and from e^r = even + odd also e^-r =
 * even - odd: one polynomial serves both, and near zero nothing cancels. T: what the result is for.
 */
template <int sign, class T, class W, class V>
HWY_INLINE V HalfSum(W w, V v) {
  const V c = hn::Min(Const(w, 710.6), v);  // e^710.6 / 2 is infinite
  const V n = hn::Round(hn::Mul(c, Const(w, 1.4426950408889634074)));
  const V r = less_ln2(w, c, n), s = hn::Mul(r, r);
  V even, odd;
  if constexpr (sizeof(T) == 4) {
    even =
        Poly(w, s,
             {0.0013948621513722001, 0.041666217670680745, 0.5000000107962946, 0.9999999999594448});
    odd = Poly(
        w, s,
        {0.00019907617264692965, 0.008333283466687807, 0.16666666786568177, 0.999999999995496});
  } else {
    even = Poly(w, s,
                {2.0925065807406806e-09, 2.7557239353868e-07, 2.480158736705537e-05,
                 0.0013888888888861344, 0.04166666666666672, 0.5, 1.0});
    odd = Poly(w, s,
               {1.6091245683609562e-10, 2.5052055147537356e-08, 2.755731926762317e-06,
                0.0001984126984125148, 0.008333333333333337, 0.16666666666666666, 1.0});
  }
  odd = hn::Mul(odd, r);
  // A quarter of the powers: n is 1025 at most.
  const V one = Const(w, 1), two = Const(w, 2);
  const V up = scale_by(w, one, hn::Sub(n, two)), down = scale_by(w, one, hn::Sub(hn::Neg(n), two));
  const V sum = hn::Add(up, down), difference = hn::Sub(up, down);
  const V quarter = sign > 0 ? hn::MulAdd(even, sum, hn::Mul(odd, difference))
                             : hn::MulAdd(even, difference, hn::Mul(odd, sum));
  return hn::Add(quarter, quarter);
}

template <class D, class V>
HWY_INLINE V Cosh(D d, V x) {
  return InDouble(d, hn::Abs(x),
                  [](auto w, auto v) HWY_ATTR { return HalfSum<1, hn::TFromD<D>>(w, v); });
}
template <class D, class V>
HWY_INLINE V Sinh(D d, V x) {
  const V r = InDouble(d, hn::Abs(x),
                       [](auto w, auto v) HWY_ATTR { return HalfSum<-1, hn::TFromD<D>>(w, v); });
  return SmallIsItself(d, x, hn::CopySign(r, x));
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
      // (1 + v) / (1 - v) = 2^k (1 + s) / (1 - s): a series in s, which is 0.2 at most.
      const hn::RebindToUnsigned<decltype(w)> wu;
      const auto a = hn::Add(one, v), b = hn::Sub(one, v);
      const auto ratio = hn::Sub(hn::BitCast(wu, a), hn::BitCast(wu, b));
      const auto k = hn::ShiftRight<52>(hn::Add(ratio, hn::Set(wu, uint64_t{1} << 51)));
      const auto near = hn::BitCast(w, hn::Add(hn::BitCast(wu, b), hn::ShiftLeft<52>(k)));
      const auto s = hn::Div(hn::Sub(a, near), hn::Add(a, near)), z = hn::Mul(s, s);
      const auto series = Poly(w, z, {1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7, 1.0 / 5, 1.0 / 3, 1.0});
      return hn::MulAdd(SmallWhole(w, k), Const(w, 0.34657359027997264), hn::Mul(s, series));
    }
    const auto q = hn::Div(hn::Add(v, v), hn::Sub(one, v));
    return hn::Mul(Const(w, 0.5), vm::Log1p(w, q));
  });
  const V inf = hn::IfThenElse(hn::Eq(a, Const(d, 1)), Const(d, HUGE_VAL), r);
  const V y = hn::IfThenElse(hn::Le(a, Const(d, 1)), hn::CopySign(inf, x), Const(d, NAN));
  return SmallIsItself(d, x, y);
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
  const V r = hn::Add(hi, vm::Log1p(d, exp_of(d, hn::Sub(lo, hi))));
  // An infinity is the result itself: the difference of two is not a number.
  const V sum = hn::Add(x, y);
  const V whole = hn::IfThenElse(hn::Eq(hn::Abs(hi), Const(d, HUGE_VAL)), hi, r);
  return hn::IfThenElse(hn::And(hn::Eq(x, x), hn::Eq(y, y)), whole, sum);
}

}  // namespace
}  // namespace vm
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
