// backend/cpu/fft/real.cpp: transforms of real lines and back.
//
// A line of even length 2 h is transformed as h complex numbers z[j] = x[2j] + i x[2j+1]. With
// E and O the transforms of the even and of the odd elements, Z = E + i O and X[k] = E[k] +
// w^k O[k], w = exp(-pi i / h); E and O follow from Z[k] and Z[h-k].
#include <algorithm>
#include <memory>

#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/fft/kernels.h"
#include "backend/cpu/fft/transform.h"
#include "backend/cpu/parallel.h"

namespace mlx::core::cpu::fft {

namespace {

/** Memory that is not set to 0 first. */
template <typename T>
std::unique_ptr<T[]> room(size_t n) {
  return std::unique_ptr<T[]>(new T[n]);
}

/** Calls body(first, count) for pieces of the lines: many at once where lines are short, one by
 * one (and sharing the line among threads) where they are long. */
template <typename F>
void for_pieces(size_t lines, size_t length, F&& body) {
  const size_t together = std::max<size_t>(1, ((size_t(1) << 15) / length + 15) / 16 * 16);
  if (length >= size_t(1) << 16) {
    for (size_t i = 0; i < lines; ++i) body(i, size_t(1));
  } else {
    parallel_range(int64_t(lines), int64_t(together),
                   [&](int64_t begin, int64_t end) { body(size_t(begin), size_t(end - begin)); });
  }
}

}  // namespace

template <typename T>
void real_to_complex(const T* in, std::complex<T>* out, Lines x, T scale) {
  const size_t half = x.n / 2 + 1;
  if (x.n % 2 == 0 && x.inner == 1) {
    const size_t h = x.n / 2;
    const auto plan = real_plan_for<T>(h);
    const auto* z = reinterpret_cast<const std::complex<T>*>(in);
    for_pieces(x.outer, h, [&](size_t first, size_t some) {
      static thread_local Scratch scratch;
      std::complex<T>* line = out + first * half;
      if (some == 1) {
        complex_to_complex<T>(z + first * h, line, {1, h, 1}, false, T(1));
        return kernels(T()).spectrum_of_halves(line, line, h, plan->half, scale);
      }
      auto* aside = static_cast<std::complex<T>*>(scratch.get(some * h * sizeof(std::complex<T>)));
      complex_to_complex<T>(z + first * h, aside, {some, h, 1}, false, T(1));
      for (size_t i = 0; i < some; ++i) {
        kernels(T()).spectrum_of_halves(aside + i * h, line + i * half, h, plan->half, scale);
      }
    });
    return;
  }
  // Odd lengths and other axes: as complex numbers.
  const size_t slab = x.n * x.inner, kept = half * x.inner;
  for_pieces(x.outer, slab, [&](size_t first, size_t some) {
    const auto aside = room<T>(2 * some * slab);
    auto* z = reinterpret_cast<std::complex<T>*>(aside.get());
    std::copy_n(in + first * slab, some * slab, z);
    complex_to_complex<T>(z, z, {some, x.n, x.inner}, false, scale);
    for (size_t i = 0; i < some; ++i) std::copy_n(z + i * slab, kept, out + (first + i) * kept);
  });
}

template <typename T>
void complex_to_real(const std::complex<T>* in, T* out, Lines x, T scale) {
  const size_t half = x.n / 2 + 1;
  if (x.n % 2 == 0 && x.inner == 1) {
    const size_t h = x.n / 2;
    const auto plan = real_plan_for<T>(h);
    auto* z = reinterpret_cast<std::complex<T>*>(out);
    for_pieces(x.outer, h, [&](size_t first, size_t some) {
      for (size_t i = first; i < first + some; ++i) {
        kernels(T()).halves_of_spectrum(in + i * half, z + i * h, h, plan->half);
      }
      complex_to_complex<T>(z + first * h, z + first * h, {some, h, 1}, true, scale);
    });
    return;
  }
  const size_t slab = x.n * x.inner, kept = half * x.inner;
  for_pieces(x.outer, slab, [&](size_t first, size_t some) {
    const auto aside = room<T>(2 * some * slab);
    auto* z = reinterpret_cast<std::complex<T>*>(aside.get());
    for (size_t i = 0; i < some; ++i) {
      const std::complex<T>* from = in + (first + i) * kept;
      std::complex<T>* to = z + i * slab;
      for (size_t k = 0; k < x.n; ++k) {
        const bool known = k < half, alone = k == 0 || 2 * k == x.n;
        const std::complex<T>* row = from + (known ? k : x.n - k) * x.inner;
        for (size_t c = 0; c < x.inner; ++c) {
          const T im = alone ? T(0) : known ? row[c].imag() : -row[c].imag();
          to[k * x.inner + c] = {row[c].real(), im};
        }
      }
    }
    complex_to_complex<T>(z, z, {some, x.n, x.inner}, true, scale);
    for (size_t j = 0; j < some * slab; ++j) out[first * slab + j] = z[j].real();
  });
}

#define MICA_FFT_INSTANTIATE(T)                                           \
  template void real_to_complex<T>(const T*, std::complex<T>*, Lines, T); \
  template void complex_to_real<T>(const std::complex<T>*, T*, Lines, T);
MICA_FFT_INSTANTIATE(float)
MICA_FFT_INSTANTIATE(double)
#undef MICA_FFT_INSTANTIATE

}  // namespace mlx::core::cpu::fft
