// backend/cpu/linalg/dense.h: what the kernels of this folder share: dtypes, sharing out a batch,
// and the elimination of small matrices, for which calling a library costs more than the work.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "backend/cpu/linalg/lapack.h"
#include "backend/cpu/parallel.h"
#include "core/copy.h"

namespace mlx::core::cpu {

/** Matrices up to this size are eliminated here. */
constexpr int kSmall = 12;

/** Calls f with a value of the element type; the public functions let no other dtype through. */
template <class F>
void dispatch_linalg(Dtype t, F&& f) {
  if (t == float32) {
    f(float{});
  } else if (t == float64) {
    f(double{});
  } else {
    f(std::complex<float>{});
  }
}

/** The elements of an available array; std::complex<float> is the base of complex64_t. */
template <class T>
T* elements(array& a) {
  return reinterpret_cast<T*>(a.data<char>());
}
template <class T>
const T* elements(const array& a) {
  return reinterpret_cast<const T*>(a.data<char>());
}

inline int rows(const array& a) { return a.shape(-2); }
inline int columns(const array& a) { return a.shape(-1); }

/** How many matrices a holds. */
inline int64_t matrices(const array& a) {
  int64_t n = 1;
  for (int i = 0; i + 2 < static_cast<int>(a.ndim()); ++i) n *= a.shape(i);
  return n;
}

/** f(begin, end) over a batch, in pieces that are worth waking a thread for. */
template <class F>
void each_matrix(int64_t batch, double flops_each, F&& f) {
  constexpr double kWorthwhile = 50e3;
  parallel_range(batch, static_cast<int64_t>(kWorthwhile / std::max(flops_each, 1.0)),
                 std::forward<F>(f));
}

/** Gives out the memory of in if it may be written over, else a copy of it. */
inline void allocate_copy(const array& in, array& out) {
  if (in.flags().row_contiguous) {
    allocate_or_donate(in, out);
    if (out.data<char>() == in.data<char>()) return;
  } else {
    allocate(out);
  }
  copy_into(in, out);
}

[[noreturn]] inline void fail(const char* op, const std::string& what, int64_t index,
                              int64_t batch) {
  throw std::runtime_error(
      std::string("[linalg::") + op + "] " + what +
      (batch > 1 ? " (matrix " + std::to_string(index) + " of the batch)." : "."));
}

inline std::string singular_text(int pivot) {
  return "The matrix is singular: its pivot " + std::to_string(pivot) + " is zero";
}

// std::complex's product looks for infinities after each one; this is the plain formula.
inline float product(float a, float b) { return a * b; }
inline double product(double a, double b) { return a * b; }
inline std::complex<float> product(std::complex<float> a, std::complex<float> b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

inline float conj_of(float x) { return x; }
inline double conj_of(double x) { return x; }
inline std::complex<float> conj_of(std::complex<float> x) { return std::conj(x); }

inline float size_of(float x) { return std::abs(x); }
inline double size_of(double x) { return std::abs(x); }
inline float size_of(std::complex<float> x) { return std::abs(x.real()) + std::abs(x.imag()); }

/** y -= a x. */
template <class T>
void subtract_multiple(T* y, T a, const T* x, int n) {
  for (int j = 0; j < n; ++j) y[j] -= product(a, x[j]);
}

/**
 * Elimination with row exchanges of a (n, n), stored by rows: a becomes L (its diagonal is 1) below
 * and U on and above the diagonal. Row i was exchanged with row pivots[i]. Returns 0, or the number
 * (from 1) of the first pivot that is zero.
 */
template <class T>
int eliminate(T* a, int n, int* pivots) {
  int zero = 0;
  for (int k = 0; k < n; ++k) {
    int best = k;
    for (int i = k + 1; i < n; ++i) {
      if (size_of(a[i * n + k]) > size_of(a[best * n + k])) best = i;
    }
    pivots[k] = best;
    if (a[best * n + k] == T(0)) {
      if (!zero) zero = k + 1;
      continue;
    }
    if (best != k) std::swap_ranges(a + k * n, a + k * n + n, a + best * n);
    for (int i = k + 1; i < n; ++i) {
      T factor = a[i * n + k] / a[k * n + k];
      a[i * n + k] = factor;
      subtract_multiple(a + i * n + k + 1, factor, a + k * n + k + 1, n - k - 1);
    }
  }
  return zero;
}

/** b (n, m) becomes the solution x of L x = b or U x = b; a and b are stored by rows. */
template <class T>
void substitute(const T* a, int n, bool upper, bool unit, T* b, int m) {
  for (int step = 0; step < n; ++step) {
    int i = upper ? n - 1 - step : step;
    T* row = b + size_t(i) * m;
    for (int k = upper ? i + 1 : 0; k < (upper ? n : i); ++k) {
      subtract_multiple(row, a[i * n + k], b + size_t(k) * m, m);
    }
    if (!unit) {
      for (int j = 0; j < m; ++j) row[j] /= a[i * n + i];
    }
  }
}

/** b (n, m) becomes the solution of A x = b, where eliminate made a and pivots of A. */
template <class T>
void substitute_both(const T* a, const int* pivots, int n, T* b, int m) {
  for (int i = 0; i < n; ++i) {
    if (pivots[i] == i) continue;
    T* x = b + size_t(i) * m;
    std::swap_ranges(x, x + m, b + size_t(pivots[i]) * m);
  }
  substitute(a, n, false, true, b, m);
  substitute(a, n, true, false, b, m);
}

/** to (n, m) = from (m, n) transposed, in blocks that stay in cache. */
template <class T>
void transpose_into(const T* from, T* to, int m, int n) {
  constexpr int kBlock = 16;
  for (int i0 = 0; i0 < m; i0 += kBlock) {
    for (int j0 = 0; j0 < n; j0 += kBlock) {
      int i1 = std::min(m, i0 + kBlock), j1 = std::min(n, j0 + kBlock);
      for (int j = j0; j < j1; ++j) {
        for (int i = i0; i < i1; ++i) to[size_t(j) * m + i] = from[size_t(i) * n + j];
      }
    }
  }
}

template <class T>
bool all_finite(const T* a, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    if (!std::isfinite(std::real(a[i])) || !std::isfinite(std::imag(a[i]))) return false;
  }
  return true;
}

}  // namespace mlx::core::cpu
