// backend/cpu/gemm/float32.cpp: matrix products summed in float32: float32, float16, bfloat16 and
// complex64.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/gemm/float32.cpp"
#include <hwy/foreach_target.h>  // must come first
#include <hwy/highway.h>

#include <array>
#include <utility>

#include "backend/cpu/gemm/problem.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::gemm_detail {
namespace HWY_NAMESPACE {

#include "backend/cpu/gemm/micro-inl.h"

/** Rounds to nearest even; Highway's own conversion for targets without F16C does not. */
HWY_ATTR inline void convert_row(const float* s, float16_t* out, int64_t n) {
  int64_t i = 0;
#if HWY_TARGET <= HWY_AVX2 || HWY_ARCH_ARM_A64
  const hn::ScalableTag<float> d;
  const hn::Rebind<hwy::float16_t, decltype(d)> d16;
  for (; i + kLanesOf<float> <= n; i += kLanesOf<float>)
    hn::StoreU(hn::DemoteTo(d16, hn::LoadU(d, s + i)), d16,
               reinterpret_cast<hwy::float16_t*>(out + i));
#endif
  for (; i < n; ++i) out[i] = float16_t(s[i]);
}

#include "backend/cpu/gemm/blocked-inl.h"
#include "backend/cpu/gemm/small-inl.h"
#include "backend/cpu/gemm/store-inl.h"
#include "backend/cpu/gemm/thin-inl.h"
#include "backend/cpu/gemm/units-inl.h"

/** A row of A becomes two, of its real and its imaginary parts; B and the sums stay as pairs. With
 *  P = Re(A) B and Q = Im(A) B, the product is (Re P - Im Q) + i (Im P + Re Q). */
struct ComplexUnit {
  struct In {
    float re, im;
  };
  using Pack = float;
  using Acc = float;
  static constexpr int kMR = kMaxRows / 2, kNR = kLanesOf<float>, kPlanes = 2, kGroup = 1;
  static constexpr int64_t kKC = 512;
  static constexpr int kStep = 1;
  static constexpr bool kDirect = false, kInPlace = false;
  static constexpr bool kAhead = true;

  template <int W>
  static void pack(const In* src, int64_t lane_stride, int64_t k_stride, int64_t lanes, int64_t k,
                   float* out) {
    pack_panel<double, double, W>(reinterpret_cast<const double*>(src), lane_stride, k_stride,
                                  lanes, k, reinterpret_cast<double*>(out));
  }
  static void kernel(int rows, int half, bool, int64_t k, const float* a, int64_t, int64_t,
                     const float* b, int64_t b_k, float* c, int64_t ldc, bool add) {
    kMicros<float, 1, kMR * 2>[half][2 * rows - 1](k, a, 0, 0, b, b_k, c, ldc, add);
  }
  static void store(const Problem& p, const float* sums, int64_t ld, int64_t i, int64_t j,
                    int64_t rows, int64_t cols) {
    const float alpha = static_cast<float>(p.alpha), beta = static_cast<float>(p.beta);
    for (int64_t r = 0; r < rows; ++r) {
      const float* s = sums + 2 * r * ld;
      const float* t = s + ld;
      In* c = static_cast<In*>(p.c) + (i + r) * p.ldc + j;
      const In* d = p.d ? static_cast<const In*>(p.d) + (i + r) * p.d_row + j * p.d_col : nullptr;
      for (int64_t x = 0; x < cols; ++x) {
        In v{alpha * (s[2 * x] - t[2 * x + 1]), alpha * (s[2 * x + 1] + t[2 * x])};
        if (d) v.re += beta * d[x * p.d_col].re, v.im += beta * d[x * p.d_col].im;
        c[x] = v;
      }
    }
  }
  static bool thin(const Problem&) { return false; }
};

void float32_impl(const Problem& p) { Blocked<RealUnit<float, float, float, true>>::run(p); }
void float16_impl(const Problem& p) {
  Blocked<RealUnit<float16_t, float, float16_t, true>>::run(p);
}
void bfloat16_impl(const Problem& p) {
  Blocked<RealUnit<bfloat16_t, float, bfloat16_t, true>>::run(p);
}
void complex64_impl(const Problem& p) { Blocked<ComplexUnit>::run(p); }

}  // namespace HWY_NAMESPACE
}  // namespace mlx::core::cpu::gemm_detail
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu::gemm_detail {

HWY_EXPORT(float32_impl);
HWY_EXPORT(float16_impl);
HWY_EXPORT(bfloat16_impl);
HWY_EXPORT(complex64_impl);

void run_float32(const Problem& p) { HWY_DYNAMIC_DISPATCH(float32_impl)(p); }
void run_float16(const Problem& p) { HWY_DYNAMIC_DISPATCH(float16_impl)(p); }
void run_bfloat16(const Problem& p) { HWY_DYNAMIC_DISPATCH(bfloat16_impl)(p); }
void run_complex64(const Problem& p) { HWY_DYNAMIC_DISPATCH(complex64_impl)(p); }

}  // namespace mlx::core::cpu::gemm_detail
#endif
