// backend/cpu/quant/unpack-inl.h: affine codes out of 32-bit words, as vectors. Compiled per
// target.
#if defined(MICA_BACKEND_CPU_QUANT_UNPACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MICA_BACKEND_CPU_QUANT_UNPACK_INL_H_
#undef MICA_BACKEND_CPU_QUANT_UNPACK_INL_H_
#else
#define MICA_BACKEND_CPU_QUANT_UNPACK_INL_H_
#endif

#include "backend/cpu/fast/io-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

/**
 * The codes at bits [shift, shift + kBits) of every lane, as floats. Up to 4 bits AVX-512 looks
 * them up: a permutation of a 16-entry table reads the index's low 4 bits only, which spares mask
 * and conversion.
 */
template <int kBits>
struct CodesOf {
#if HWY_TARGET <= HWY_AVX3
  VF table;
  HWY_INLINE CodesOf() {
    constexpr int kMask = (1 << kBits) - 1;
    const DI di;
    table = hn::ConvertTo(DF(), hn::And(hn::Iota(di, 0), hn::Set(di, kMask)));
  }
#endif
  template <int kShift>
  HWY_INLINE VF at(VU words) const {
    const VU moved = kShift == 0 ? words : hn::ShiftRight<kShift>(words);
#if HWY_TARGET <= HWY_AVX3
    if constexpr (kBits <= 4) return VF{_mm512_maskz_permutexvar_ps(0xffff, moved.raw, table.raw)};
#endif
    const DU du;
    const VU code = kShift + kBits == 32 ? moved : hn::And(moved, hn::Set(du, (1u << kBits) - 1));
    return hn::ConvertTo(DF(), hn::BitCast(DI(), code));
  }
};

/** Eight codes at byte `at` of a group of group_bytes bytes, one a byte. */
template <int kBits>
HWY_INLINE uint64_t eight_codes(const uint8_t* group, size_t at, size_t group_bytes) {
  // Near the end the 8-byte read begins earlier, so that it stays inside the group.
  const size_t from = HWY_MIN(at, group_bytes - 8);
  uint64_t bits;
  std::memcpy(&bits, group + from, 8);
  bits >>= (at - from) * 8;
  constexpr uint64_t kMask = 0x0101010101010101ull * ((1u << kBits) - 1);
#if HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX2
  return _pdep_u64(bits, kMask);
#else
  uint64_t codes = 0;
  for (int i = 0; i < 8; ++i)
    codes |= (bits >> (i * kBits)) << (i * 8) & (0xffull << (i * 8)) & kMask;
  return codes;
#endif
}

/** The codes of a group of 32 * kBits bits in order, one a byte. */
template <int kBits>
HWY_INLINE void unpack_bytes(const uint32_t* words, uint8_t* codes) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(words);
  if constexpr (kBits == 8) {
    std::memcpy(codes, bytes, 32);
  } else if constexpr (kBits == 1) {
    for (int i = 0; i < 32; ++i) codes[i] = uint8_t(words[0] >> i & 1);
  } else {
    for (size_t i = 0; i < 4; ++i) {
      const uint64_t eight = eight_codes<kBits>(bytes, i * kBits, 4 * kBits);
      std::memcpy(codes + 8 * i, &eight, 8);
    }
  }
}

HWY_INLINE VF codes_from_bytes(const uint8_t* codes) {
  const hn::Rebind<uint8_t, DF> d8;
  return hn::ConvertTo(DF(), hn::PromoteTo(DI(), hn::LoadU(d8, codes)));
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
