// tests/cpp/fft_test.cpp: transforms and the gated delta rule on every instruction set of this
// machine, and on one and several threads.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <numbers>
#include <random>
#include <vector>

#include "backend/cpu/fast/fast.h"
#include "backend/cpu/fast/targets.h"
#include "backend/cpu/fft/transform.h"
#include "backend/cpu/parallel.h"
#include "mlx/distributed/ops.h"
#include "mlx/fft.h"
#include "mlx/ops.h"

namespace mlx::core::cpu {
namespace {

template <class F>
void on_every_target(const F& f) {
  for (const int64_t target : simd_targets()) {
    use_simd_target(target);
    SCOPED_TRACE(simd_target_name(target));
    f();
  }
  use_simd_target(0);
}

template <class T>
std::vector<std::complex<T>> draw(size_t n) {
  std::mt19937 gen(7);
  std::normal_distribution<T> normal;
  std::vector<std::complex<T>> x(n);
  for (auto& v : x) v = {normal(gen), normal(gen)};
  return x;
}

/** By definition, in double. */
template <class T>
std::vector<std::complex<double>> exact(const std::complex<T>* x, size_t n, size_t stride) {
  std::vector<std::complex<double>> roots(n), y(n);
  for (size_t k = 0; k < n; ++k) roots[k] = std::polar(1.0, -2 * std::numbers::pi * k / n);
  for (size_t k = 0; k < n; ++k) {
    for (size_t j = 0; j < n; ++j) y[k] += std::complex<double>(x[j * stride]) * roots[j * k % n];
  }
  return y;
}

template <class T>
void check(fft::Lines x) {
  const auto in = draw<T>(x.outer * x.n * x.inner);
  auto out = in, back = in;
  fft::complex_to_complex<T>(in.data(), out.data(), x, false, T(1));
  fft::complex_to_complex<T>(out.data(), back.data(), x, true, T(1) / T(x.n));
  const double bound =
      (std::is_same_v<T, float> ? 4e-7 : 1e-15) * std::sqrt(double(x.n)) * (3 + std::log2(x.n));
  for (size_t l = 0; l < x.outer * x.inner; l += 3) {
    const size_t at = l / x.inner * x.n * x.inner + l % x.inner;
    const auto want = exact(in.data() + at, x.n, x.inner);
    for (size_t k = 0; k < x.n; ++k) {
      ASSERT_LT(std::abs(std::complex<double>(out[at + k * x.inner]) - want[k]), bound)
          << x.outer << " " << x.n << " " << x.inner;
    }
  }
  for (size_t i = 0; i < in.size(); ++i) ASSERT_LT(std::abs(back[i] - in[i]), bound);
}

TEST(Fft, EveryTarget) {
  on_every_target([] {
    for (const size_t n : {1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 31, 60, 97, 101, 128, 144, 211, 343}) {
      check<float>({19, n, 1});
      check<double>({19, n, 1});
      check<float>({2, n, 17});
      check<double>({2, n, 3});
    }
    check<float>({1, 2500, 9});
    check<double>({1, 1013, 1});
  });
}

TEST(Fft, RealLinesOnEveryTarget) {
  on_every_target([] {
    for (const size_t n : {1, 2, 3, 4, 6, 10, 34, 66, 68, 98, 130, 256, 1000}) {
      const fft::Lines x{3, n, 1};
      const auto whole = draw<float>(3 * n);
      std::vector<float> in(3 * n), back(3 * n);
      std::vector<std::complex<float>> full(3 * n), half(3 * (n / 2 + 1));
      for (size_t i = 0; i < in.size(); ++i) full[i] = in[i] = whole[i].real();
      fft::complex_to_complex<float>(full.data(), full.data(), x, false, 1.0f);
      fft::real_to_complex<float>(in.data(), half.data(), x, 1.0f);
      fft::complex_to_real<float>(half.data(), back.data(), x, 1.0f / n);
      for (size_t l = 0; l < 3; ++l) {
        for (size_t k = 0; k <= n / 2; ++k) {
          ASSERT_LT(std::abs(half[l * (n / 2 + 1) + k] - full[l * n + k]), 1e-4) << n;
        }
        for (size_t i = 0; i < n; ++i) ASSERT_NEAR(back[l * n + i], in[l * n + i], 1e-5) << n;
      }
    }
  });
}

TEST(Fft, SameBitsOnAnyNumberOfThreads) {
  const int threads = num_threads();
  for (const fft::Lines x :
       {fft::Lines{40, 1000, 1}, {1, 1 << 17, 1}, {3, 100, 40}, {2, 1021, 5}}) {
    const auto in = draw<float>(x.outer * x.n * x.inner);
    auto one = in, many = in;
    set_num_threads(1);
    fft::complex_to_complex<float>(in.data(), one.data(), x, false, 1.0f);
    set_num_threads(4);
    fft::complex_to_complex<float>(in.data(), many.data(), x, false, 1.0f);
    EXPECT_EQ(one, many);
  }
  set_num_threads(threads);
}

TEST(Fft, PublicFunctions) {
  array x = array({1.0f, 2.0f, 3.0f, 4.0f});
  array back = mlx::core::fft::irfft(mlx::core::fft::rfft(x));
  EXPECT_TRUE(allclose(back, x).item<bool>());
  EXPECT_TRUE(array_equal(mlx::core::distributed::all_sum(x), x).item<bool>());
  EXPECT_THROW(mlx::core::fft::fft(x, 0, -1), std::invalid_argument);
  EXPECT_THROW(mlx::core::fft::fft(x, 3), std::out_of_range);
}

template <class T>
void check_gated_delta(size_t key_dim, size_t value_dim, T bound) {
  GatedDelta<T> a{};
  a.batch = 1, a.time = 4, a.key_heads = 1, a.heads = 2;
  a.key_dim = key_dim, a.value_dim = value_dim, a.gate_dim = 1;
  std::mt19937 gen(3);
  std::uniform_real_distribution<T> uniform(0, 1);
  auto some = [&](size_t n) {
    std::vector<T> v(n);
    for (T& x : v) x = uniform(gen);
    return v;
  };
  const auto q = some(4 * key_dim), k = some(4 * key_dim), v = some(8 * value_dim);
  const auto gate = some(8), beta = some(8);
  a.q = q.data(), a.k = k.data(), a.v = v.data(), a.gate = gate.data(), a.beta = beta.data();
  std::vector<T> out(8 * value_dim), last(2 * value_dim * key_dim);
  gated_delta(a, out.data(), last.data());
  for (size_t h = 0; h < 2; ++h) {
    for (size_t r = 0; r < value_dim; ++r) {
      std::vector<double> s(key_dim);
      for (size_t t = 0; t < 4; ++t) {
        double miss = v[(t * 2 + h) * value_dim + r], read = 0;
        for (size_t i = 0; i < key_dim; ++i) {
          s[i] *= gate[t * 2 + h];
          miss -= s[i] * k[t * key_dim + i];
        }
        for (size_t i = 0; i < key_dim; ++i) {
          s[i] += beta[t * 2 + h] * miss * k[t * key_dim + i];
          read += s[i] * q[t * key_dim + i];
        }
        const double scale = 1 + std::abs(read);
        ASSERT_NEAR(out[(t * 2 + h) * value_dim + r] / scale, read / scale, bound);
      }
    }
  }
}

TEST(GatedDelta, EveryTarget) {
  on_every_target([] {
    for (const size_t key_dim : {1, 3, 8, 16, 20}) {
      check_gated_delta<float>(key_dim, 19, 1e-3f);
      check_gated_delta<double>(key_dim, 19, 1e-11);
    }
  });
}

TEST(CrossEntropy, EveryTarget) {
  on_every_target([] {
    for (const size_t n : {1, 5, 16, 100}) {
      std::vector<float> logits(3 * n), loss(3), d(3, 1.0f), grad(3 * n);
      for (size_t i = 0; i < logits.size(); ++i) logits[i] = std::sin(float(i)) * 4;
      const std::vector<int64_t> targets{0, int64_t(n / 2), int64_t(n - 1)};
      cross_entropy(logits.data(), targets.data(), loss.data(), Dtype::Val::float32, 3, n);
      cross_entropy_vjp(logits.data(), targets.data(), d.data(), grad.data(), Dtype::Val::float32,
                        3, n);
      for (size_t r = 0; r < 3; ++r) {
        double sum = 0;
        for (size_t i = 0; i < n; ++i) sum += std::exp(double(logits[r * n + i]));
        ASSERT_NEAR(loss[r], std::log(sum) - logits[r * n + targets[r]], 1e-5);
        for (size_t i = 0; i < n; ++i) {
          const double want = std::exp(double(logits[r * n + i])) / sum;
          ASSERT_NEAR(grad[r * n + i], want - (int64_t(i) == targets[r]), 1e-6);
        }
      }
    }
  });
}

}  // namespace
}  // namespace mlx::core::cpu
