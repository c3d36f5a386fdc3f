// backend/cpu/quant/floats-inl.h: 4-bit and 8-bit float codes as vectors. Compiled per target.
#if defined(MICA_BACKEND_CPU_QUANT_FLOATS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MICA_BACKEND_CPU_QUANT_FLOATS_INL_H_
#undef MICA_BACKEND_CPU_QUANT_FLOATS_INL_H_
#else
#define MICA_BACKEND_CPU_QUANT_FLOATS_INL_H_
#endif

#include "backend/cpu/quant/fp8.h"
#include "backend/cpu/quant/kernels.h"
#include "backend/cpu/quant/unpack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

/** The values of the codes at bits [shift, shift + kBits) of every lane, as float32. */
template <int kBits>
struct FloatCodes;

template <>
struct FloatCodes<4> {
#if HWY_TARGET <= HWY_AVX3
  VF table;
  HWY_INLINE FloatCodes() {
    alignas(64) static constexpr float kValues[16] = {0,     0.5f,  1,  1.5f,  2,  3,  4,  6,
                                                      -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};
    table = hn::Load(DF(), kValues);
  }
  template <int kShift>
  HWY_INLINE VF at(VU words) const {
    // The permutation reads 4 bits of an index: nothing has to be masked.
    const VU moved = kShift == 0 ? words : hn::ShiftRight<kShift>(words);
    return VF{_mm512_maskz_permutexvar_ps(0xffff, moved.raw, table.raw)};
  }
#else
  template <int kShift>
  HWY_INLINE VF at(VU words) const {
    const DU du;
    const DI di;
    const VU moved = kShift == 0 ? words : hn::ShiftRight<kShift>(words);
    const auto m = hn::BitCast(di, hn::And(moved, hn::Set(du, 7)));
    // Twice the value: 0 1 2 3 4 6 8 12 of 0 .. 7.
    const auto above4 = hn::Max(hn::Sub(m, hn::Set(di, 4)), hn::Zero(di));
    const auto above6 = hn::Max(hn::Sub(m, hn::Set(di, 6)), hn::Zero(di));
    const auto twice = hn::Add(hn::Add(m, above4), hn::Add(above6, above6));
    const VF value = hn::Mul(hn::ConvertTo(DF(), twice), hn::Set(DF(), 0.5f));
    const VU sign = hn::ShiftLeft<28>(hn::And(moved, hn::Set(du, 8)));
    return hn::BitCast(DF(), hn::Or(hn::BitCast(du, value), sign));
  }
#endif
};

template <>
struct FloatCodes<8> {
  template <int kShift>
  HWY_INLINE VF at(VU words) const {
    const DU du;
    const DF d;
    const VU moved = kShift == 0 ? words : hn::ShiftRight<kShift>(words);
    const VU magnitude = hn::And(moved, hn::Set(du, 0x7f));
    const VU bits = hn::Add(hn::ShiftLeft<20>(magnitude), hn::Set(du, 120u << 23));
    // Codes below 8 are multiples of 2^-9: as if their exponent were 1, less what that adds.
    const auto small = hn::Lt(magnitude, hn::Set(du, 8));
    const VU raised = hn::Add(bits, hn::IfThenElseZero(small, hn::Set(du, 1u << 23)));
    const VF value = hn::Sub(hn::BitCast(d, raised),
                             hn::IfThenElseZero(hn::RebindMask(d, small), hn::Set(d, 0.015625f)));
    const auto nan = hn::Eq(magnitude, hn::Set(du, 0x7f));
    const VU out = hn::IfThenElse(nan, hn::Set(du, 0x7fc00000u), hn::BitCast(du, value));
    const VU sign = hn::ShiftLeft<24>(hn::And(moved, hn::Set(du, 0x80)));
    return hn::BitCast(d, hn::Or(out, sign));
  }
};

HWY_INLINE VU words_from_bytes(const uint8_t* bytes) {
  const hn::Rebind<uint8_t, DF> d8;
  return hn::PromoteTo(DU(), hn::LoadU(d8, bytes));
}

/** One scale of a matrix in a mode of floats. */
HWY_INLINE float float_scale(QuantizationMode mode, uint8_t code) {
  return mode == QuantizationMode::Nvfp4 ? fp8_to_float(code) : exponent_to_float(code);
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
