// backend/cpu/fft/transform.h: discrete Fourier transforms of arrays in memory.
//
// Everything is done on columns: a block [n][width] with the real and the imaginary parts apart,
// whose columns are transformed side by side, a vector of columns at a time. Columns are
//   - neighbours of other axes, where the axis is not the last one;
//   - up to kWidth lines, turned by 90 degrees while they are read, where lines are short;
//   - the columns of a long line written as a matrix: transform its columns, multiply with roots
//     of unity, turn it, transform its columns again. Blocks of columns stay in cache and are
//     shared among threads.
// Lengths with a prime factor above 100 become a convolution of a good length (Bluestein).
#pragma once

#include <complex>
#include <cstddef>

#include "backend/cpu/fft/plan.h"

namespace mlx::core::cpu::fft {

/** Columns of a block are a multiple of this: the widest vector. */
template <typename T>
inline constexpr size_t kWidth = 64 / sizeof(T);

/** One line. in and out may be the same. Sums are times scale; inverse is not divided by n. */
template <typename T>
void line(const Plan<T>& plan, const std::complex<T>* in, std::complex<T>* out, bool inverse,
          T scale);

/** Row-major [outer][n][inner], transformed along n. */
struct Lines {
  size_t outer, n, inner;
};

/** in and out may be the same. */
template <typename T>
void complex_to_complex(const std::complex<T>* in, std::complex<T>* out, Lines lines, bool inverse,
                        T scale);
/** out has n / 2 + 1 elements along n. */
template <typename T>
void real_to_complex(const T* in, std::complex<T>* out, Lines lines, T scale);
/** The inverse; in has n / 2 + 1 elements along n, those that a Hermitian line is known by. */
template <typename T>
void complex_to_real(const std::complex<T>* in, T* out, Lines lines, T scale);

}  // namespace mlx::core::cpu::fft
