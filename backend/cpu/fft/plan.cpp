// backend/cpu/fft/plan.cpp: factors, roots of unity, and the cache of plans.
#include "backend/cpu/fft/plan.h"

#include <algorithm>
#include <cmath>
#include <list>
#include <mutex>
#include <numbers>

#include "backend/cpu/fft/transform.h"

namespace mlx::core::cpu::fft {

namespace {

constexpr size_t kLargestRadix = 100;  // larger primes cost less as a convolution
constexpr size_t kShortest = 128;      // shorter lengths are not split into rows and columns
constexpr size_t kLongestPasses = 1 << 19;
constexpr size_t kMostPlans = 64;
constexpr size_t kCacheBytes = 64 << 20;  // of roots of unity

using Complex = std::complex<long double>;

/** exp(-2 pi i k / n). */
Complex root(size_t k, size_t n) {
  long double angle = 2 * std::numbers::pi_v<long double> * (long double)(k % n) / n;
  return {std::cos(angle), -std::sin(angle)};
}

/** The same for many k: the product of a coarse and a fine step, 64 bits precise. */
class Roots {
 public:
  explicit Roots(size_t n) : n_(n) {
    while ((size_t(1) << (2 * shift_)) < n) ++shift_;
    size_t step = size_t(1) << shift_;
    for (size_t k = 0; k < step; ++k) fine_.push_back(root(k, n));
    for (size_t k = 0; k < n; k += step) coarse_.push_back(root(k, n));
  }
  Complex operator()(size_t k) const {
    k %= n_;
    size_t low = k & ((size_t(1) << shift_) - 1);
    const Complex &a = coarse_[k >> shift_], &b = fine_[low];
    return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
  }

 private:
  size_t n_;
  int shift_ = 0;
  std::vector<Complex> coarse_, fine_;
};

template <typename T>
void append(Planar<T>& to, const Complex& v) {
  to.re.push_back(T(v.real()));
  to.im.push_back(T(v.imag()));
}

/** Radices whose product is n, or none if a prime factor is too large. */
std::vector<size_t> factor(size_t n) {
  std::vector<size_t> radices;
  auto take = [&](size_t r) {
    while (n % r == 0) radices.push_back(r), n /= r;
  };
  take(4);
  take(2);
  for (size_t r = 3; r <= kLargestRadix && n > 1; r += 2) take(r);
  if (n > 1) radices.clear();
  return radices;
}

bool has_passes(size_t n) { return n == 1 || !factor(n).empty(); }

/** The smallest length >= n made of 2, 3 and 5 that passes are quick for. */
size_t good_length(size_t n) {
  size_t best = 1;
  while (best < n) best *= 2;
  for (size_t odd : {3, 5, 9, 15}) {
    size_t m = odd * 8;
    while (m < n) m *= 2;
    best = std::min(best, m);
  }
  return best;
}

template <typename T>
void add_passes(Plan<T>& plan) {
  size_t length = plan.n;
  const Roots roots(length);
  for (size_t radix : factor(plan.n)) {
    Pass<T> pass{radix, length / radix, {}, {}};
    for (size_t p = 0; p < pass.rest; ++p) {
      for (size_t j = 1; j < radix; ++j) append(pass.twiddles, roots(p * j * (plan.n / length)));
    }
    if (radix > 5) {
      for (size_t k = 0; k < radix; ++k) append(pass.roots, root(k, radix));
    }
    length = pass.rest;
    plan.passes.push_back(std::move(pass));
  }
}

/** Splits n as evenly as it can be, a multiple of 16 preferred for both. */
template <typename T>
void add_split(Plan<T>& plan) {
  size_t n = plan.n, best = 0;
  double best_cost = 0;
  auto waste = [](size_t k) { return double((k + kWidth<T> - 1) / kWidth<T> * kWidth<T>) / k; };
  for (size_t r = 8; r * r <= n; ++r) {
    if (n % r != 0) continue;
    for (size_t rows : {r, n / r}) {
      size_t columns = n / rows;
      double uneven = std::max(rows, columns) / std::sqrt(double(n));
      double cost = waste(rows) + waste(columns) + 0.2 * uneven;
      if (best == 0 || cost < best_cost) best = rows, best_cost = cost;
    }
  }
  if (best == 0) return;
  plan.rows = best;
  plan.columns = n / best;
  plan.row_plan = plan_for<T>(plan.rows);
  plan.column_plan = plan_for<T>(plan.columns);
  plan.between.re.reserve(n);
  plan.between.im.reserve(n);
  const Roots roots(n);
  for (size_t c = 0; c < plan.columns; ++c) {
    for (size_t k = 0; k < plan.rows; ++k) append(plan.between, roots(c * k));
  }
}

template <typename T>
void add_bluestein(Plan<T>& plan) {
  size_t n = plan.n, m = good_length(2 * n - 1);
  plan.padded = m;
  plan.padded_plan = plan_for<T>(m);
  std::vector<std::complex<double>> conjugate(m);  // in double: its error would be in all results
  const Roots roots(2 * n);
  for (size_t k = 0; k < n; ++k) {
    Complex c = roots(k * k);  // lengths are below 2^31
    append(plan.chirp, c);
    conjugate[k] = {double(c.real() / m), double(-c.imag() / m)};
    if (k > 0) conjugate[m - k] = conjugate[k];
  }
  line(*plan_for<double>(m), conjugate.data(), conjugate.data(), false, 1.0);
  for (const auto& v : conjugate) append(plan.chirp_spectrum, Complex(v));
}

template <typename T>
std::shared_ptr<const Plan<T>> make_plan(size_t n) {
  auto plan = std::make_shared<Plan<T>>();
  plan->n = n;
  if (!has_passes(n)) {
    add_bluestein(*plan);
  } else {
    add_passes(*plan);
    if (n >= kShortest) add_split(*plan);
    // A long transform goes by its split: the passes of the whole are not needed.
    if (plan->rows > 0 && n > kLongestPasses) plan->passes.clear();
  }
  return plan;
}

template <typename T>
std::shared_ptr<const Plan<T>> make_real_plan(size_t n) {
  auto plan = std::make_shared<Plan<T>>();
  plan->n = n;
  const Roots roots(2 * n);
  for (size_t k = 0; k <= n / 2; ++k) append(plan->half, roots(k));
  return plan;
}

/** Plans by length, those used last first. */
template <typename T>
class Cache {
 public:
  using Ptr = std::shared_ptr<const Plan<T>>;

  Ptr get(size_t n, Ptr (*make)(size_t)) {
    {
      std::lock_guard lock(mutex_);
      if (Ptr plan = find(n)) return plan;
    }
    Ptr plan = make(n);  // unlocked: it asks for others
    std::lock_guard lock(mutex_);
    if (Ptr other = find(n)) return other;
    recent_.emplace_front(n, plan);
    size_t bytes = 0, kept = 0;
    for (auto it = recent_.begin(); it != recent_.end(); ++it, ++kept) {
      bytes += it->first * 6 * sizeof(T);
      if (kept > 0 && (bytes > kCacheBytes || kept == kMostPlans)) {
        recent_.erase(it, recent_.end());
        break;
      }
    }
    return plan;
  }

 private:
  Ptr find(size_t n) {
    for (auto it = recent_.begin(); it != recent_.end(); ++it) {
      if (it->first != n) continue;
      recent_.splice(recent_.begin(), recent_, it);
      return it->second;
    }
    return nullptr;
  }

  std::mutex mutex_;
  std::list<std::pair<size_t, Ptr>> recent_;
};

}  // namespace

template <typename T>
std::shared_ptr<const Plan<T>> plan_for(size_t n) {
  static auto& cache = *new Cache<T>;  // never freed: threads may outlive statics
  return cache.get(n, &make_plan<T>);
}

template <typename T>
std::shared_ptr<const Plan<T>> real_plan_for(size_t n) {
  static auto& cache = *new Cache<T>;
  return cache.get(n, &make_real_plan<T>);
}

template std::shared_ptr<const Plan<float>> plan_for<float>(size_t);
template std::shared_ptr<const Plan<double>> plan_for<double>(size_t);
template std::shared_ptr<const Plan<float>> real_plan_for<float>(size_t);
template std::shared_ptr<const Plan<double>> real_plan_for<double>(size_t);

}  // namespace mlx::core::cpu::fft
