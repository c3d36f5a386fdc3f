// backend/cpu/fft/kernels.h: the loops of a transform that are written in vectors.
#pragma once

#include <complex>
#include <cstddef>

#include "backend/cpu/fft/plan.h"

namespace mlx::core::cpu::fft {

/** A block of columns: real and imaginary parts. */
template <typename T>
struct Block {
  T *re, *im;
};

template <typename T>
struct Kernels {
  /** Transforms the columns of data, [plan.n][width], by the plan's passes; work is as large.
   * Returns the one of both that holds the result. */
  Block<T> (*passes)(const Plan<T>& plan, Block<T> data, Block<T> work, size_t width);
  /** Parts of n complex numbers, and back, times scale. */
  void (*split)(const std::complex<T>* in, Block<T> out, size_t n);
  void (*join)(Block<T> in, std::complex<T>* out, size_t n, T scale);
  /** out[c][k] = in[k][c] * twiddles[c][k] for c < columns, k < rows; widths are row lengths. */
  void (*turn)(Block<T> in, size_t in_width, Block<T> out, size_t out_width, size_t rows,
               size_t columns, const T* twiddle_re, const T* twiddle_im);
  /** kWidth lines of n complex numbers, `stride` apart, as columns [n][kWidth]; and back. */
  void (*lines_to_columns)(const std::complex<T>* in, size_t stride, size_t n, Block<T> out);
  void (*columns_to_lines)(Block<T> in, size_t n, std::complex<T>* out, size_t stride, T scale);
  /** Z, h numbers, becomes X, h + 1 numbers, times scale (see real.cpp); z and x may be the same.
   */
  void (*spectrum_of_halves)(const std::complex<T>* z, std::complex<T>* x, size_t h,
                             const Planar<T>& w, T scale);
  /** The inverse: 2 Z from X. The imaginary parts of X[0] and X[h] count as 0. */
  void (*halves_of_spectrum)(const std::complex<T>* x, std::complex<T>* z, size_t h,
                             const Planar<T>& w);
};

const Kernels<float>& kernels(float);
const Kernels<double>& kernels(double);

}  // namespace mlx::core::cpu::fft
