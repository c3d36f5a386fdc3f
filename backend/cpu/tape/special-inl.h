// backend/cpu/tape/special-inl.h: the error function and its inverse. Compiled once per target.
#if defined(MICA_BACKEND_CPU_TAPE_SPECIAL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MICA_BACKEND_CPU_TAPE_SPECIAL_INL_H_
#undef MICA_BACKEND_CPU_TAPE_SPECIAL_INL_H_
#else
#define MICA_BACKEND_CPU_TAPE_SPECIAL_INL_H_
#endif

#include "backend/cpu/tape/math-inl.h"
#include "backend/cpu/tape/power-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace vm {
namespace {

/** erf of |x| <= 1 in double; the polynomial was fitted to 4e-17. */
template <class W, class V>
HWY_INLINE V ErfNear(W w, V x) {
  return hn::MulAdd(x,
                    Poly(w, hn::Mul(x, x),
                         {-7.795898827002142e-10, 1.3720064546777686e-08, -1.6208483801871705e-07,
                          1.6447424703317362e-06, -1.492473690741966e-05, 0.00012055294904839707,
                          -0.0008548325975389692, 0.0052239776071164225, -0.02686617064323777,
                          0.11283791670945006, -0.37612638903183543, 0.12837916709551256}),
                    x);
}

/** e^(y^2) erfc(y) for y between 0.45 and 6.5 in double, fitted to 8e-17. */
template <class W, class V>
HWY_INLINE V ScaledErfc(W w, V y) {
  const V three = Const(w, 3);
  return Poly(w, hn::Div(hn::Sub(y, three), hn::Add(y, three)),
              {-5.551402154198624e-08, -2.9123334336251596e-07, -2.909903670102788e-07,
               1.2780550978952407e-06, 2.1304942124591282e-06, -7.980826554760044e-06,
               -1.2863230031372414e-05, 6.405639153181207e-05, 4.525559065841883e-05,
               -0.0005970618975556332, 0.0007077464236788236, 0.004269136329152163,
               -0.02439249931829204, 0.07166583719808745, -0.15011593650078112, 0.24560380171232973,
               -0.3262335600430372, 0.17900115118138996});
}

/**
 * float: x + x Q(x^2) below one, 1 - e^-R(|x|) above, where R = -log erfc; polynomials fitted to
 * 1e-9 relative. double: the functions above.
 */
template <class D, class V>
HWY_INLINE V Erf(D d, V x) {
  const V one = Const(d, 1);
  if constexpr (sizeof(hn::TFromD<D>) == 8) {
    const V a = hn::Min(Const(d, 6.5), hn::Abs(x));
    const V tail = hn::Mul(exp_of(d, hn::Neg(hn::Mul(a, a))), ScaledErfc(d, a));
    return hn::IfThenElse(hn::Lt(a, one), ErfNear(d, x), hn::CopySign(hn::Sub(one, tail), x));
  } else {
    const V s = hn::Mul(x, x);
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
    const V far = hn::CopySign(hn::Sub(one, exp_of(d, hn::Neg(tail))), x);
    const V r = hn::IfThenElse(hn::Lt(hn::Abs(x), one), near, far);
    return hn::IfThenElse(hn::Eq(x, x), r, x);
  }
}

/**
 * float: N. Juffa's polynomials in log(1 - x^2), each step with one rounding: in double the product
 * of two floats is exact. These are the bits behind Apple's random.normal (same seed, same values),
 * so the logarithm is libm's.
 */
template <class D, class V>
HWY_INLINE V ErfInvFloat(D d, V x) {
  const hn::Half<D> h;
  const hn::RepartitionToWide<D> w;
  using Wide = hn::Vec<decltype(w)>;
  const auto rest = [&](auto v) HWY_ATTR {  // 1 - x^2
    const Wide wide = hn::PromoteTo(w, v);
    return hn::DemoteTo(h, hn::NegMulAdd(wide, wide, Const(w, 1)));
  };
  const V inside = hn::Combine(d, rest(hn::UpperHalf(h, x)), rest(hn::LowerHalf(h, x)));
  const V t = Map(d, inside, inside, [](float v, float) { return std::log(v); });
  const auto steps = [&](auto part, std::initializer_list<double> high_first) HWY_ATTR {
    const Wide wide = hn::PromoteTo(w, part);
    auto it = high_first.begin();
    auto p = hn::Set(h, static_cast<float>(*it));
    for (++it; it != high_first.end(); ++it) {
      const Wide c = Const(w, static_cast<float>(*it));
      p = hn::DemoteTo(h, hn::MulAdd(hn::PromoteTo(w, p), wide, c));
    }
    return p;
  };
  const auto both = [&](std::initializer_list<double> high_first) HWY_ATTR {
    return hn::Combine(d, steps(hn::UpperHalf(h, t), high_first),
                       steps(hn::LowerHalf(h, t), high_first));
  };
  V p = both({5.43877832e-9, 1.43285448e-7, 1.22774793e-6, 1.12963626e-7, -5.61530760e-5,
              -1.47697632e-4, 2.31468678e-3, 1.15392581e-2, -2.32015476e-1, 8.86226892e-1});
  const auto far = hn::Gt(hn::Abs(t), Const(d, 6.125));
  if (!hn::AllFalse(d, far)) {
    p = hn::IfThenElse(
        far,
        both({3.03697567e-10, 2.93243101e-8, 1.22150334e-6, 2.84108955e-5, 3.93552968e-4,
              3.02698812e-3, 4.83185798e-3, -2.64646143e-1, 8.40016484e-1}),
        p);
  }
  const V a = hn::Abs(x), one = Const(d, 1);
  const V edge = hn::IfThenElse(hn::Eq(a, one), hn::CopySign(Const(d, HUGE_VAL), x), Const(d, NAN));
  return hn::IfThenElse(hn::Lt(a, one), hn::Mul(x, p), edge);
}

/**
 * double: polynomials in w = -log(1 - x^2), or its root far out, good to 3e-6, and one step of
 * fourth order: with u = (erf(y) - x) / erf'(y), y - u + y u^2 - (4 y^2 + 1) u^3 / 3.
 */
template <class D, class V>
HWY_INLINE V ErfInvDouble(D d, V x) {
  const V one = Const(d, 1), a = hn::Abs(x);
  const V rest = hn::Sub(one, a);
  V m;
  const V k = SplitExponent(d, hn::Mul(rest, hn::Add(one, a)), m);
  const V log = hn::NegMulAdd(k, Const(d, 0.6931471805599453), hn::Neg(LogShort(d, m)));
  const V centre =
      Poly(d, log,
           {-3.208667241308545e-06, 4.751408013595254e-05, -7.55640958523037e-05,
            -0.0024769039722498257, 0.01168967943210035, 0.23196646153406858, 0.886229367023061});
  const V tail =
      Poly(d, hn::Sqrt(log),
           {1.714119277454864e-05, -0.0005126515611991744, 0.006450471472475445,
            -0.04395385699473862, 0.17171533780179984, 0.6451044189578181, 0.128393366226147});
  const V y = hn::IfThenElse(hn::Lt(log, Const(d, 5)), hn::Mul(a, centre), tail);
  // erfc keeps its digits where erf is near one.
  const V grown = exp_of(d, hn::Mul(y, y));
  const V near = hn::Mul(hn::Sub(ErfNear(d, y), a), grown);
  const V far = hn::MulSub(rest, grown, ScaledErfc(d, hn::Max(y, Const(d, 0.45))));
  const V u =
      hn::Mul(hn::IfThenElse(hn::Lt(a, Const(d, 0.5)), near, far), Const(d, 0.886226925452758));
  const V third = hn::Mul(hn::MulAdd(hn::Mul(y, y), Const(d, 4), one), Const(d, 1.0 / 3));
  const V factor = hn::NegMulAdd(u, hn::NegMulAdd(u, third, y), one);
  const V r = hn::CopySign(hn::NegMulAdd(u, factor, y), x);
  const V edge = hn::IfThenElse(hn::Eq(a, one), hn::CopySign(Const(d, HUGE_VAL), x), Const(d, NAN));
  return hn::IfThenElse(hn::Lt(a, one), r, edge);
}

template <class D, class V>
HWY_INLINE V ErfInv(D d, V x) {
  if constexpr (sizeof(hn::TFromD<D>) == 8) {
    return ErfInvDouble(d, x);
  } else {
    return ErfInvFloat(d, x);
  }
}

}  // namespace
}  // namespace vm
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
