// backend/cpu/fast/exp-inl.h: exp of vectors. Error at most 1.1 ULP in float (measured over its
// range) and 1 ULP in double (sampled); infinities, NaN and subnormal results are right. Compiled
// once per target.
#if defined(MICA_BACKEND_CPU_FAST_EXP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MICA_BACKEND_CPU_FAST_EXP_INL_H_
#undef MICA_BACKEND_CPU_FAST_EXP_INL_H_
#else
#define MICA_BACKEND_CPU_FAST_EXP_INL_H_
#endif

#include "backend/cpu/fast/io-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

HWY_INLINE VF exp_of(DF d, VF x) {
  // Beyond these the result is 0 or infinity anyway. The bound is the first operand: NaN stays.
  x = hn::Max(hn::Set(d, -110.0f), hn::Min(hn::Set(d, 110.0f), x));
  const VF n = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504f)));
  VF r = hn::NegMulAdd(n, hn::Set(d, 0x1.62e400p-1f), x);  // ln 2 in two parts
  r = hn::NegMulAdd(n, hn::Set(d, 0x1.7f7d1cp-20f), r);
  // (exp(r) - 1 - r) / r^2 on |r| <= ln(2)/2, a Chebyshev fit.
  VF p = hn::Set(d, 0x1.6d4328p-10f);
  p = hn::MulAdd(p, r, hn::Set(d, 0x1.120b74p-7f));
  p = hn::MulAdd(p, r, hn::Set(d, 0x1.5554eap-5f));
  p = hn::MulAdd(p, r, hn::Set(d, 0x1.5554dcp-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.5f));
  p = hn::Add(hn::MulAdd(hn::Mul(r, r), p, r), hn::Set(d, 1.0f));
#if HWY_TARGET <= HWY_AVX3
  return VF{_mm512_maskz_scalef_ps(0xffff, p.raw, n.raw)};
#else
  // 2^n in two factors, so that subnormal results and infinity come out.
  const DI di;
  const auto i = hn::ConvertTo(di, n);
  const auto half = hn::ShiftRight<1>(i);
  const auto bias = hn::Set(di, 127);
  const VF a = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, bias)));
  const VF b = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(i, half), bias)));
  return hn::Mul(hn::Mul(p, a), b);
#endif
}

HWY_INLINE hn::Vec<DD> exp_of(DD d, hn::Vec<DD> x) {
  x = hn::Max(hn::Set(d, -760.0), hn::Min(hn::Set(d, 720.0), x));
  const auto n = hn::Round(hn::Mul(x, hn::Set(d, 0x1.71547652b82fep+0)));
  auto r = hn::NegMulAdd(n, hn::Set(d, 0x1.62e42fee00000p-1), x);
  r = hn::NegMulAdd(n, hn::Set(d, 0x1.a39ef35793c76p-33), r);
  auto p = hn::Set(d, 1.0 / 6227020800.0);  // Taylor to r^13: enough for |r| <= ln(2)/2
  constexpr double kInverseFactorials[] = {
      1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
      1.0 / 720,       1.0 / 120,      1.0 / 24,      1.0 / 6,      0.5};
  for (const double c : kInverseFactorials) p = hn::MulAdd(p, r, hn::Set(d, c));
  p = hn::Add(hn::MulAdd(hn::Mul(r, r), p, r), hn::Set(d, 1.0));
  // n is an integer in [-1097, 1039]: adding 2^52 * 1.5 leaves it in the low bits of the sum.
  const hn::RebindToSigned<DD> di;
  const auto magic = hn::Set(d, 0x1.8p52);
  const auto i = hn::Sub(hn::BitCast(di, hn::Add(n, magic)), hn::BitCast(di, magic));
  const auto half = hn::Sub(hn::BitCast(di, hn::Add(hn::Floor(hn::Mul(n, hn::Set(d, 0.5))), magic)),
                            hn::BitCast(di, magic));
  const auto bias = hn::Set(di, 1023);
  const auto a = hn::BitCast(d, hn::ShiftLeft<52>(hn::Add(half, bias)));
  const auto b = hn::BitCast(d, hn::ShiftLeft<52>(hn::Add(hn::Sub(i, half), bias)));
  return hn::Mul(hn::Mul(p, a), b);
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
