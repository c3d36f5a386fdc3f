// backend/cpu/fft/plan.cpp: factors, roots of unity, and the cache of plans.
#include "backend/cpu/fft/plan.h"

#include <algorithm>
#include <cmath>
#include <list>
#include <mutex>
#include <numbers>
#include <type_traits>

#include "backend/cpu/fft/transform.h"
#include "backend/cpu/parallel.h"

namespace mlx::core::cpu::fft {

namespace {

constexpr size_t kLargestRadix = 100;  // larger primes cost less as a convolution
constexpr size_t kShortest = 128;      // shorter lengths are not split into rows and columns
constexpr size_t kLongestPasses = 1 << 19;
constexpr size_t kLongestDouble = 1 << 18;
constexpr size_t kMostPlans = 64;
constexpr size_t kCacheBytes = 64 << 20;  // of roots of unity

/** The precision in which roots of unity are multiplied: more than that of T. */
template <typename T>
using Wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

/** exp(-2 pi i k / n) for many k < n: the product of a coarse and a fine step. */
template <typename T>
class Roots {
 public:
  using R = Wide<T>;
  explicit Roots(size_t n) : n_(n) {
    while ((size_t(1) << (2 * shift_)) < n) ++shift_;
    size_t step = size_t(1) << shift_;
    for (size_t k = 0; k < step; ++k) fine_.push_back(root(k, n));
    for (size_t k = 0; k < n; k += step) coarse_.push_back(root(k, n));
  }
  /** Root k, for k < n, as element `at` of a table. */
  void store(size_t k, Planar<T>& table, size_t at) const {
    // Exactly, where it is 1, -i, -1 or i.
    if (4 * k == n_ || 2 * k == n_ || 4 * k == 3 * n_) {
      table.re[at] = 2 * k == n_ ? T(-1) : T(0);
      table.im[at] = 2 * k == n_ ? T(0) : 4 * k == n_ ? T(-1) : T(1);
      return;
    }
    const std::complex<R>&a = coarse_[k >> shift_], &b = fine_[k & ((size_t(1) << shift_) - 1)];
    table.re[at] = T(a.real() * b.real() - a.imag() * b.imag());
    table.im[at] = T(a.real() * b.imag() + a.imag() * b.real());
  }

 private:
  static std::complex<R> root(size_t k, size_t n) {
    long double angle = 2 * std::numbers::pi_v<long double> * (long double)(k) / n;
    return {R(std::cos(angle)), R(-std::sin(angle))};
  }

  size_t n_;
  int shift_ = 0;
  std::vector<std::complex<R>> coarse_, fine_;
};

template <typename T>
void resize(Planar<T>& table, size_t n) {
  table.re.resize(n);
  table.im.resize(n);
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
  const Roots<T> roots(length);
  for (size_t radix : factor(plan.n)) {
    Pass<T> pass{radix, length / radix, {}, {}};
    resize(pass.twiddles, pass.rest * (radix - 1));
    for (size_t p = 0; p < pass.rest; ++p) {
      for (size_t j = 1; j < radix; ++j) {
        roots.store(p * j * (plan.n / length), pass.twiddles, p * (radix - 1) + j - 1);
      }
    }
    if (radix > 5) {
      resize(pass.roots, radix);
      for (size_t k = 0; k < radix; ++k) roots.store(k * (plan.n / radix), pass.roots, k);
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
  resize(plan.between, n);
  const Roots<T> roots(n);
  parallel_range(int64_t(plan.columns), int64_t(std::max<size_t>(1, 16384 / plan.rows)),
                 [&](int64_t begin, int64_t end) {
                   for (size_t c = size_t(begin); c < size_t(end); ++c) {
                     for (size_t k = 0, turn = 0; k < plan.rows; ++k) {
                       roots.store(turn, plan.between, c * plan.rows + k);
                       turn += c;
                       if (turn >= n) turn -= n;
                     }
                   }
                 });
}

/** The transform of the conjugate chirp, computed in precision D. */
template <typename D, typename T>
void add_spectrum(Plan<T>& plan) {
  size_t n = plan.n, m = plan.padded;
  const D scale = D(1) / D(m);
  std::vector<std::complex<D>> conjugate(m);
  for (size_t k = 0; k < n; ++k) {
    conjugate[k] = {scale * plan.chirp.re[k], -scale * plan.chirp.im[k]};
    if (k > 0) conjugate[m - k] = conjugate[k];
  }
  line(*plan_for<D>(m), conjugate.data(), conjugate.data(), false, D(1));
  resize(plan.chirp_spectrum, m);
  for (size_t k = 0; k < m; ++k) {
    plan.chirp_spectrum.re[k] = T(conjugate[k].real());
    plan.chirp_spectrum.im[k] = T(conjugate[k].imag());
  }
}

template <typename T>
void add_bluestein(Plan<T>& plan) {
  size_t n = plan.n;
  plan.padded = good_length(2 * n - 1);
  plan.padded_plan = plan_for<T>(plan.padded);
  resize(plan.chirp, n);
  const Roots<T> roots(2 * n);
  for (size_t k = 0; k < n; ++k) roots.store(k * k % (2 * n), plan.chirp, k);  // n < 2^31
  // Its error would be in all results, so in double; that would take long for long lines.
  if (n < kLongestDouble) {
    add_spectrum<double>(plan);
  } else {
    add_spectrum<T>(plan);
  }
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
  const Roots<T> roots(2 * n);
  resize(plan->half, n / 2 + 1);
  for (size_t k = 0; k <= n / 2; ++k) roots.store(k, plan->half, k);
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
