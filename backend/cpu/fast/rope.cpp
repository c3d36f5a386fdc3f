// backend/cpu/fast/rope.cpp: rotary position embedding. Angles, sines and cosines are computed in
// float64, once a position: float32 angles would be off by 1e-4 at position 4096.
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "backend/cpu/fast/check.h"
#include "backend/cpu/fast/fast.h"
#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/fast/rope.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backend/cpu/fast/io-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

struct SineCosine {
  hn::Vec<DD> sine;
  hn::Vec<DD> cosine;
};

/** To 1e-15 for |x| up to 1e9, or 1e5 where the machine has no fused product. */
HWY_INLINE SineCosine sine_cosine(DD d, hn::Vec<DD> x) {
  // x = n pi/2 + r, |r| <= pi/4; pi/2 in three parts.
  const auto n = hn::Round(hn::Mul(x, hn::Set(d, 0x1.45f306dc9c883p-1)));
  auto r = hn::NegMulAdd(n, hn::Set(d, 0x1.921fb54440000p+0), x);
  r = hn::NegMulAdd(n, hn::Set(d, 0x1.68c234c000000p-39), r);
  r = hn::NegMulAdd(n, hn::Set(d, 0x1.3198a2e037073p-69), r);
  const auto r2 = hn::Mul(r, r);
  constexpr double kSine[] = {1.0 / 6227020800, -1.0 / 39916800, 1.0 / 362880,
                              -1.0 / 5040,      1.0 / 120,       -1.0 / 6};
  auto s = hn::Set(d, -1.0 / 1307674368000);
  for (const double c : kSine) s = hn::MulAdd(s, r2, hn::Set(d, c));
  s = hn::MulAdd(hn::Mul(s, r2), r, r);
  constexpr double kCosine[] = {
      -1.0 / 87178291200, 1.0 / 479001600, -1.0 / 3628800, 1.0 / 40320, -1.0 / 720, 1.0 / 24, -0.5};
  auto c = hn::Set(d, 1.0 / 20922789888000);
  for (const double k : kCosine) c = hn::MulAdd(c, r2, hn::Set(d, k));
  c = hn::MulAdd(c, r2, hn::Set(d, 1.0));
  // Quadrant n mod 4, in floating point: n - 4 floor(n / 4).
  const auto quadrant =
      hn::Sub(n, hn::Mul(hn::Set(d, 4.0), hn::Floor(hn::Mul(n, hn::Set(d, 0.25)))));
  const auto is = [&](double q) HWY_ATTR { return hn::Eq(quadrant, hn::Set(d, q)); };
  const auto swap = hn::Or(is(1), is(3));
  const auto sine = hn::IfThenElse(swap, c, s);
  const auto cosine = hn::IfThenElse(swap, s, c);
  const auto sine_minus = hn::Or(is(2), is(3));
  const auto cosine_minus = hn::Or(is(1), is(2));
  return {hn::IfThenElse(sine_minus, hn::Neg(sine), sine),
          hn::IfThenElse(cosine_minus, hn::Neg(cosine), cosine)};
}

/** cosines then sines of position * rates[i], `pairs` each. */
void turn_of_position(double position, const double* rates, size_t pairs, float* out) {
  const DD d;
  const size_t lanes = hn::Lanes(d);
  const auto p = hn::Set(d, position);
  for (size_t i = 0; i < pairs; i += lanes) {
    const size_t n = std::min(lanes, pairs - i);
    const auto turn = sine_cosine(d, hn::Mul(p, load_n(d, rates + i, n)));
    alignas(64) double sine[HWY_LANES(double)];
    alignas(64) double cosine[HWY_LANES(double)];
    hn::Store(turn.sine, d, sine);
    hn::Store(turn.cosine, d, cosine);
    for (size_t j = 0; j < n; ++j) {
      out[i + j] = float(cosine[j]);
      out[pairs + i + j] = float(sine[j]);
    }
  }
}

/** One row in float32, in place. */
HWY_INLINE void turn_row(float* x, const float* turn, size_t pairs, bool traditional,
                         bool inverse) {
  const float sign = inverse ? -1.0f : 1.0f;
  const float* cosine = turn;
  const float* sine = turn + pairs;
  if (traditional) {
    for (size_t i = 0; i < pairs; ++i) {
      const float a = x[2 * i];
      const float b = x[2 * i + 1];
      const float s = sign * sine[i];
      x[2 * i] = a * cosine[i] - b * s;
      x[2 * i + 1] = a * s + b * cosine[i];
    }
    return;
  }
  const DF d;
  const VF flip = hn::Set(d, sign);
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= pairs; i += lanes) {
    const VF a = hn::LoadU(d, x + i);
    const VF b = hn::LoadU(d, x + pairs + i);
    const VF c = hn::LoadU(d, cosine + i);
    const VF s = hn::Mul(flip, hn::LoadU(d, sine + i));
    hn::StoreU(hn::Sub(hn::Mul(a, c), hn::Mul(b, s)), d, x + i);
    hn::StoreU(hn::MulAdd(a, s, hn::Mul(b, c)), d, x + pairs + i);
  }
  for (; i < pairs; ++i) {
    const float a = x[i];
    const float b = x[pairs + i];
    const float s = sign * sine[i];
    x[i] = a * cosine[i] - b * s;
    x[pairs + i] = a * s + b * cosine[i];
  }
}

/** Rows [begin, end) counted over batch, heads, length. turns: a row of 2 * pairs a position. */
void turn_rows(const Rope& r, const float* turns, size_t begin, size_t end) {
  static thread_local Scratch scratch;
  const size_t pairs = r.dims / 2;
  float* row = scratch.floats(r.head_dim);
  with_float_type(r.dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    for (size_t i = begin; i < end; ++i) {
      const size_t t = i % r.length;
      const size_t h = i / r.length % r.heads;
      const size_t b = i / r.length / r.heads;
      const auto at = [&](const int64_t(&s)[4]) {
        return int64_t(b) * s[0] + int64_t(h) * s[1] + int64_t(t) * s[2];
      };
      const T* in = static_cast<const T*>(r.in) + at(r.in_strides);
      T* out = static_cast<T*>(r.out) + at(r.out_strides);
      const int64_t in_step = r.in_strides[3];
      const int64_t out_step = r.out_strides[3];
      if (in_step == 1) {
        convert_row(in, row, r.head_dim);
      } else {
        for (size_t c = 0; c < r.head_dim; ++c) row[c] = float(in[int64_t(c) * in_step]);
      }
      turn_row(row, turns + (r.offset_step * b * r.length + t) * 2 * pairs, pairs, r.traditional,
               r.inverse);
      if (out_step == 1) {
        convert_row(row, out, r.head_dim);
      } else {
        for (size_t c = 0; c < r.head_dim; ++c) out[int64_t(c) * out_step] = T(row[c]);
      }
    }
  });
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
namespace {

HWY_EXPORT(turn_of_position);
HWY_EXPORT(turn_rows);

/** What pair i turns by a position, in radians. */
const std::vector<double>& rates_of(const Rope& r) {
  static thread_local std::vector<double> rates;
  static thread_local double base = 0;
  const size_t pairs = r.dims / 2;
  if (r.freqs) {
    base = 0;
    rates.resize(pairs);
    for (size_t i = 0; i < pairs; ++i) rates[i] = 1.0 / double(r.freqs[i]);
  } else if (base != r.base ||
             rates.size() != pairs) {  // a model asks for the same ones every time
    base = r.base;
    rates.resize(pairs);
    for (size_t i = 0; i < pairs; ++i) rates[i] = std::pow(r.base, -double(i) / double(pairs));
  }
  return rates;
}

}  // namespace

void rope(const Rope& r) {
  check_float("rope", r.dtype, false);
  if (r.dims % 2 != 0 || r.dims > r.head_dim) {
    throw std::invalid_argument("[rope] dims must be even and at most the last axis, but is " +
                                std::to_string(r.dims) + " for an axis of " +
                                std::to_string(r.head_dim) + ".");
  }
  const size_t rows = r.batch * r.heads * r.length;
  if (rows == 0 || r.head_dim == 0) return;
  const size_t pairs = r.dims / 2;
  const std::vector<double>& rates = rates_of(r);
  const double* rate = rates.data();  // the pool's threads have their own `rates`
  const size_t positions = r.length * (r.offset_step ? r.batch : 1);
  static thread_local Scratch scratch;
  float* turns = scratch.floats(positions * 2 * pairs + 1);
  parallel_range(int64_t(positions), 64, [&](int64_t begin, int64_t end) {
    for (size_t i = size_t(begin); i < size_t(end); ++i) {
      const double position =
          double(r.offsets[i / r.length * r.offset_step] + int64_t(i % r.length)) * double(r.scale);
      HWY_DYNAMIC_DISPATCH(turn_of_position)(position, rate, pairs, turns + i * 2 * pairs);
    }
  });
  parallel_range(int64_t(rows), int64_t(std::max<size_t>(1, 16384 / r.head_dim)),
                 [&](int64_t begin, int64_t end) {
                   HWY_DYNAMIC_DISPATCH(turn_rows)(r, turns, size_t(begin), size_t(end));
                 });
}

}  // namespace mlx::core::cpu
#endif
