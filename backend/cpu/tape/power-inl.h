// backend/cpu/tape/power-inl.h: logarithms to other bases, powers and remainders. Compiled once per
// target.
#if defined(MICA_BACKEND_CPU_TAPE_POWER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MICA_BACKEND_CPU_TAPE_POWER_INL_H_
#undef MICA_BACKEND_CPU_TAPE_POWER_INL_H_
#else
#define MICA_BACKEND_CPU_TAPE_POWER_INL_H_
#endif

#include "backend/cpu/tape/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace vm {
namespace {

/** A normal positive x = 2^k m in double, with m between sqrt(1/2) and sqrt(2). */
template <class W, class V>
HWY_INLINE V SplitExponent(W w, V x, V& m) {
  const hn::RebindToUnsigned<W> wu;
  const auto bits = hn::BitCast(wu, x);
  // What sqrt(1/2) lacks to one carries into the exponent.
  const auto lifted = hn::Add(bits, hn::Set(wu, 0x3ff0000000000000u - 0x3fe6a09e667f3bcdu));
  const auto biased = hn::ShiftRight<52>(lifted);
  m = hn::BitCast(w,
                  hn::Sub(bits, hn::ShiftLeft<52>(hn::Sub(biased, hn::Set(wu, uint64_t{1023})))));
  return hn::Sub(SmallWhole(w, biased), Const(w, 1023));
}

/** log m for m as above, to 2e-12 relative: for results in float32. */
template <class W, class V>
HWY_INLINE V LogShort(W w, V m) {
  const V one = Const(w, 1);
  const V s = hn::Div(hn::Sub(m, one), hn::Add(m, one));
  return hn::Mul(
      s, Poly(w, hn::Mul(s, s), {2.0 / 13, 2.0 / 11, 2.0 / 9, 2.0 / 7, 2.0 / 5, 2.0 / 3, 2.0}));
}

/** e^x to 3e-10 relative where that is a normal float32; far beyond, what float32 cannot hold. */
template <class W, class V>
HWY_INLINE V ExpShort(W w, V x) {
  const hn::RebindToUnsigned<W> wu;
  const V c = Clamp(w, x, -150, 150);
  // Adding 3 * 2^51 rounds to a whole number and leaves it in the low bits.
  const V magic = Const(w, 6755399441055744.0);
  const V shifted = hn::MulAdd(c, Const(w, 1.4426950408889634), magic);
  const V n = hn::Sub(shifted, magic);
  const V r = hn::NegMulAdd(n, Const(w, 0.6931471805599453), c);
  const V p =
      Poly(w, r, {1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0});
  return hn::BitCast(w, hn::Add(hn::BitCast(wu, p), hn::ShiftLeft<52>(hn::BitCast(wu, shifted))));
}

/** Logarithms to other bases: exact for powers of two, and in float32 for powers of ten. */
template <class D, class V>
HWY_INLINE V Log2(D d, V x) {
  if constexpr (sizeof(hn::TFromD<D>) == 8) {
    // Subnormal numbers are lifted to normal ones first.
    const auto tiny = hn::Lt(x, Const(d, 0x1p-1022));
    V m;
    const V k = SplitExponent(d, hn::IfThenElse(tiny, hn::Mul(x, Const(d, 0x1p54)), x), m);
    const V whole = hn::IfThenElse(tiny, hn::Sub(k, Const(d, 54)), k);
    const V log = hn::Log(d, m);
    // The factor in two parts: near one the product is the result.
    const V part = hn::MulAdd(log, Const(d, 2.0355273740931033e-17),
                              hn::Mul(log, Const(d, 1.4426950408889634)));
    return LogEdges(d, x, hn::Add(whole, part));
  } else {
    return LogEdges(d, x, InDouble(d, x, [](auto w, auto v) HWY_ATTR {
                      auto m = v;
                      const auto k = SplitExponent(w, v, m);
                      return hn::MulAdd(LogShort(w, m), Const(w, 1.4426950408889634), k);
                    }));
  }
}
template <class D, class V>
HWY_INLINE V Log10(D d, V x) {
  if constexpr (sizeof(hn::TFromD<D>) == 8) {
    return hn::Mul(vm::Log(d, x), Const(d, 0.4342944819032518));
  } else {
    return LogEdges(d, x, InDouble(d, x, [](auto w, auto v) HWY_ATTR {
                      auto m = v;
                      const auto k = SplitExponent(w, v, m);
                      return hn::MulAdd(k, Const(w, 0.3010299956639812),
                                        hn::Mul(LogShort(w, m), Const(w, 0.4342944819032518)));
                    }));
  }
}

/** x - y floor(x / y), exactly. */
template <class D, class V>
HWY_INLINE V Remainder(D d, V x, V y) {
  using T = hn::TFromD<D>;
  const auto lane_by_lane = [](T a, T b) { return scalar::remainder(a, b); };
  // In double the product with the quotient must not be rounded.
  if constexpr (sizeof(T) == 8 && !HWY_NATIVE_FMA) return Map(d, x, y, lane_by_lane);
  const V r = InDouble(d, x, y, [](auto w, auto a, auto b) HWY_ATTR {
    const auto q = hn::Floor(hn::Div(a, b));
    const auto rest = hn::NegMulAdd(q, b, a);
    // A quotient that was rounded up to the next whole number leaves the other sign; a product of
    // doubles might underflow, that of two floats does not.
    const auto zero = hn::Zero(w);
    auto wrong = hn::Lt(hn::Mul(rest, b), zero);
    if constexpr (sizeof(T) == 8) {
      wrong = hn::Or(hn::And(hn::Lt(rest, zero), hn::Gt(b, zero)),
                     hn::And(hn::Gt(rest, zero), hn::Lt(b, zero)));
    }
    return hn::IfThenElse(wrong, hn::Add(rest, b), rest);
  });
  const V ratio = hn::Abs(hn::Div(x, y));
  const double most = sizeof(T) == 4 ? 1e8 : 1e15, far = sizeof(T) == 4 ? 1e30 : 1e300;
  auto plain = hn::And(hn::Lt(ratio, Const(d, most)), hn::Lt(hn::Abs(y), Const(d, far)));
  if constexpr (sizeof(T) == 8) {
    // A quotient that underflows has lost its sign.
    plain = hn::And(plain, hn::Or(hn::Gt(ratio, Const(d, 1e-300)), hn::Eq(x, hn::Zero(d))));
  }
  // Nothing left has the sign of x.
  const V zero = hn::Zero(d);
  const V signed_r = hn::IfThenElse(hn::Eq(r, zero), hn::CopySign(zero, x), r);
  return Patch(d, hn::Not(plain), signed_r, x, y, lane_by_lane);
}

#if HWY_NATIVE_FMA
/**
 * x^y of normal positive x and finite y in double: y log x with some 65 bits, in pairs of numbers
 * (high and low). With m = (1 + s) / (1 - s), log m = 2 (s + s^3 (1/3 + s^2 Q(s^2))).
 */
template <class W, class V>
HWY_INLINE V PowDouble(W w, V x, V y) {
  const V one = Const(w, 1);
  V m;
  const V k = SplitExponent(w, x, m);
  // s = (m - 1) / (m + 1)
  const V top = hn::Sub(m, one), bottom = hn::Add(m, one);
  const V bottom_low = hn::Sub(m, hn::Sub(bottom, one));
  const V inverse = hn::Div(one, bottom);
  const V s = hn::Mul(top, inverse);
  const V left = hn::NegMulAdd(s, bottom_low, hn::NegMulAdd(s, bottom, top));
  const V s_low = hn::Mul(left, inverse);
  const V z = hn::Mul(s, s);
  const V z_low = hn::MulAdd(hn::Add(s, s), s_low, hn::MulSub(s, s, z));
  // p = 1/3 + z Q(z)
  const V q =
      Poly(w, z,
           {0.05861801832832608, 0.05853097842580613, 0.06667403106154503, 0.07692297467296616,
            0.09090909167827108, 0.11111111110827367, 0.14285714285714685, 0.2});
  const V third = Const(w, 1.0 / 3), zq = hn::Mul(z, q);
  const V p = hn::Add(third, zq);
  const V p_low = hn::Add(hn::Sub(zq, hn::Sub(p, third)), Const(w, 0x1.5555555555555p-56));
  // u = s z p
  const V t = hn::Mul(z, p);
  const V t_low = hn::MulAdd(z, p_low, hn::MulAdd(z_low, p, hn::MulSub(z, p, t)));
  const V u = hn::Mul(s, t);
  const V u_low = hn::MulAdd(s, t_low, hn::MulAdd(s_low, t, hn::MulSub(s, t, u)));
  // log x = k ln 2 + 2 (s + u); the high part of ln 2 has 41 bits, its product with k is exact
  const V two = Const(w, 2);
  const V whole = hn::Mul(k, Const(w, 0x1.62e42fefa3p-1)), s2 = hn::Mul(two, s);
  const V h = hn::Add(whole, s2), h_low = hn::Sub(s2, hn::Sub(h, whole));
  const V u2 = hn::Mul(two, u);
  const V g = hn::Add(h, u2), g_low = hn::Sub(u2, hn::Sub(g, h));
  V low = hn::MulAdd(two, hn::Add(s_low, u_low), hn::Add(h_low, g_low));
  low = hn::MulAdd(k, Const(w, 0x1.3de6af278ece6p-42), low);
  const V log = hn::Add(g, low), log_low = hn::Sub(low, hn::Sub(log, g));
  const V e = hn::Mul(y, log);
  const V e_low = hn::MulAdd(y, log_low, hn::MulSub(y, log, e));
  const auto within = hn::Lt(hn::Abs(e), Const(w, 800));
  return exp_of(w, e, hn::IfThenElseZero(within, e_low));
}
#endif

/** x^y of positive normal x and finite y. */
template <class D, class V>
HWY_INLINE V PowPositive(D d, V x, V y) {
  using T = hn::TFromD<D>;
  if constexpr (sizeof(T) == 8) {
#if HWY_NATIVE_FMA
    return PowDouble(d, x, y);
#else
    return Map(d, x, y, [](T a, T b) { return std::pow(a, b); });
#endif
  } else {
    return InDouble(d, x, y, [](auto w, auto a, auto b) HWY_ATTR {
      auto m = a;
      const auto k = SplitExponent(w, a, m);
      const auto log = hn::MulAdd(k, Const(w, 0.6931471805599453), LogShort(w, m));
      return ExpShort(w, hn::Mul(b, log));
    });
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
  const V r = PowPositive(d, a, y);
  // Negative bases: whole exponents only, odd ones keep the sign.
  const V half = hn::Mul(y, Const(d, 0.5));
  const auto whole = hn::Eq(hn::Floor(y), y);
  const auto even = hn::Eq(hn::Floor(half), half);
  const V of_negative = hn::IfThenElse(whole, hn::IfThenElse(even, r, hn::Neg(r)), Const(d, NAN));
  const V signed_r = hn::IfThenElse(hn::Lt(x, zero), of_negative, r);
  // Subnormal float32 numbers are normal where they are computed; those of float64 are not.
  const auto normal =
      sizeof(T) == 4 ? hn::Gt(a, zero) : hn::Ge(a, Const(d, sizeof(T) == 4 ? 0 : 0x1p-1022));
  const auto plain = hn::And(hn::And(normal, hn::Lt(a, inf)), hn::Lt(hn::Abs(y), inf));
  const V patched = Patch(d, hn::Not(hn::Or(plain, square)), signed_r, x, y,
                          [](T b, T e) { return static_cast<T>(std::pow(b, e)); });
  return hn::IfThenElse(square, squared, patched);
}

}  // namespace
}  // namespace vm
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
