// backend/cpu/fft/plan.h: what a transform of one length needs: its factors and roots of unity.
#pragma once

#include <complex>
#include <cstddef>
#include <memory>
#include <vector>

namespace mlx::core::cpu::fft {

/** Numbers of a transform lie apart: real parts in one array, imaginary parts in another. */
template <typename T>
struct Planar {
  std::vector<T> re, im;
};

/** One pass of a mixed radix transform: a length radix * rest becomes `radix` of length rest. */
template <typename T>
struct Pass {
  size_t radix;
  size_t rest;
  Planar<T> twiddles;  // rest * (radix - 1): w^(p j) with w = exp(-2 pi i / (radix * rest))
  Planar<T> roots;     // radices without a kernel of their own: exp(-2 pi i k / radix)
};

template <typename T>
struct Plan {
  size_t n;
  std::vector<Pass<T>> passes;  // empty where n has a large prime factor (and for n = 1)

  // Long transforms: n = rows * columns, both with passes, and exp(-2 pi i c k / n) at
  // [c * rows + k].
  size_t rows = 0, columns = 0;
  std::shared_ptr<const Plan> row_plan, column_plan;
  Planar<T> between;

  // Bluestein: a convolution of length `padded` with the chirp exp(-pi i k^2 / n).
  size_t padded = 0;
  std::shared_ptr<const Plan> padded_plan;
  Planar<T> chirp;           // n
  Planar<T> chirp_spectrum;  // padded: transform of the conjugate chirp, divided by padded

  Planar<T> half;  // plans for real input only: exp(-pi i k / n), k <= n / 2
};

/** The plan for n >= 1: made once, kept while it is among those used last. Any thread may call. */
template <typename T>
std::shared_ptr<const Plan<T>> plan_for(size_t n);

/** For real transforms of length 2 n: only `half` is filled. */
template <typename T>
std::shared_ptr<const Plan<T>> real_plan_for(size_t n);

}  // namespace mlx::core::cpu::fft
