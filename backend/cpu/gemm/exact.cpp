// backend/cpu/gemm/exact.cpp: matrix products of float64 and of integers. Integers of up to 32 bits
// are summed in 32 bits: sums wrap, so neither width nor sign changes the bits that are kept.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/gemm/exact.cpp"
#include <hwy/foreach_target.h>  // must come first
#include <hwy/highway.h>

#include <array>
#include <utility>

#include "backend/cpu/gemm/problem.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::gemm_detail {
namespace HWY_NAMESPACE {

#include "backend/cpu/gemm/blocked-inl.h"
#include "backend/cpu/gemm/micro-inl.h"
#include "backend/cpu/gemm/small-inl.h"
#include "backend/cpu/gemm/store-inl.h"
#include "backend/cpu/gemm/thin-inl.h"
#include "backend/cpu/gemm/units-inl.h"

void float64_impl(const Problem& p) { Blocked<RealUnit<double, double, double, false>>::run(p); }

// Read and summed as unsigned, which may wrap; only scaling (alpha, beta) knows the sign.
template <class Unsigned, class Sum>
void integer_impl(const Problem& p, bool is_signed) {
  if (is_signed && !p.plain())
    Blocked<RealUnit<Unsigned, Sum, std::make_signed_t<Unsigned>, false>>::run(p);
  else
    Blocked<RealUnit<Unsigned, Sum, Unsigned, false>>::run(p);
}
void int8_impl(const Problem& p, bool s) { integer_impl<uint8_t, uint32_t>(p, s); }
void int16_impl(const Problem& p, bool s) { integer_impl<uint16_t, uint32_t>(p, s); }
void int32_impl(const Problem& p, bool s) { integer_impl<uint32_t, uint32_t>(p, s); }
void int64_impl(const Problem& p, bool s) { integer_impl<uint64_t, uint64_t>(p, s); }

}  // namespace HWY_NAMESPACE
}  // namespace mlx::core::cpu::gemm_detail
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu::gemm_detail {

HWY_EXPORT(float64_impl);
HWY_EXPORT(int8_impl);
HWY_EXPORT(int16_impl);
HWY_EXPORT(int32_impl);
HWY_EXPORT(int64_impl);

void run_float64(const Problem& p) { HWY_DYNAMIC_DISPATCH(float64_impl)(p); }
void run_int8(const Problem& p) { HWY_DYNAMIC_DISPATCH(int8_impl)(p, true); }
void run_uint8(const Problem& p) { HWY_DYNAMIC_DISPATCH(int8_impl)(p, false); }
void run_int16(const Problem& p) { HWY_DYNAMIC_DISPATCH(int16_impl)(p, true); }
void run_uint16(const Problem& p) { HWY_DYNAMIC_DISPATCH(int16_impl)(p, false); }
void run_int32(const Problem& p) { HWY_DYNAMIC_DISPATCH(int32_impl)(p, true); }
void run_uint32(const Problem& p) { HWY_DYNAMIC_DISPATCH(int32_impl)(p, false); }
void run_int64(const Problem& p) { HWY_DYNAMIC_DISPATCH(int64_impl)(p, true); }
void run_uint64(const Problem& p) { HWY_DYNAMIC_DISPATCH(int64_impl)(p, false); }

}  // namespace mlx::core::cpu::gemm_detail
#endif
