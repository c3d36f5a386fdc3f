// backend/cpu/linalg/determinant.cpp: Determinant, LogDeterminant, Cofactors.
#include <limits>
#include <vector>

#include "backend/cpu/linalg/dense.h"
#include "core/prim/linalg_solve.h"

namespace mlx::core::cpu {

namespace {

template <class T>
struct Elimination {
  std::vector<T> a;
  std::vector<int> pivots;
  bool odd;  // an odd number of exchanges

  /** The determinant doesn't care that LAPACK sees the transposed matrix. */
  void factor(const T* from, int n) {
    a.assign(from, from + size_t(n) * n);
    pivots.resize(n);
    odd = false;
    if (n <= kSmall) {
      eliminate(a.data(), n, pivots.data());
      for (int i = 0; i < n; ++i) odd ^= pivots[i] != i;
    } else {
      int info = 0;
      lapack<T>().getrf(&n, &n, a.data(), &n, pivots.data(), &info);
      for (int i = 0; i < n; ++i) odd ^= pivots[i] != i + 1;
    }
  }

  T determinant(int n) const {
    T d = odd ? T(-1) : T(1);
    for (int i = 0; i < n; ++i) d = product(d, a[size_t(i) * n + i]);
    return d;
  }
};

template <class F>
void over_batch(const array& in, F&& f) {
  array a = row_contiguous(in);
  int n = rows(a);
  dispatch_linalg(a.dtype(), [&](auto tag) {
    using T = decltype(tag);
    if (n > kSmall) lapack<T>();
    each_matrix(matrices(a), 0.7 * n * n * n,
                [&](int64_t begin, int64_t end) { f(elements<T>(a), n, begin, end); });
  });
}

void run_determinant(const Determinant&, const std::vector<array>& inputs,
                     std::vector<array>& outputs) {
  array& out = outputs[0];
  allocate(out);
  over_batch(inputs[0], [&]<class T>(const T* a, int n, int64_t begin, int64_t end) {
    Elimination<T> e;
    for (int64_t i = begin; i < end; ++i) {
      e.factor(a + i * n * n, n);
      elements<T>(out)[i] = e.determinant(n);
    }
  });
}

void run_log_determinant(const LogDeterminant&, const std::vector<array>& inputs,
                         std::vector<array>& outputs) {
  array &sign_out = outputs[0], &log_out = outputs[1];
  allocate(sign_out);
  allocate(log_out);
  over_batch(inputs[0], [&]<class T>(const T* a, int n, int64_t begin, int64_t end) {
    Elimination<T> e;
    for (int64_t i = begin; i < end; ++i) {
      e.factor(a + i * n * n, n);
      T sign = e.odd ? T(-1) : T(1);
      Real<T> log = 0;
      for (int k = 0; k < n; ++k) {
        T pivot = e.a[size_t(k) * n + k];
        Real<T> size = std::abs(pivot);
        log += std::log(size);
        sign = product(sign, size == 0 ? T(0) : pivot / size);
      }
      elements<T>(sign_out)[i] = sign;
      elements<Real<T>>(log_out)[i] = log;
    }
  });
}

/** Cofactors of a regular matrix; false if a is close to a singular one. */
template <class T>
bool by_elimination(const T* a, int n, T* out, Elimination<T>& e, std::vector<T>& inverse) {
  e.factor(a, n);
  Real<T> least = std::numeric_limits<Real<T>>::infinity(), most = 0;
  for (int i = 0; i < n; ++i) {
    Real<T> pivot = size_of(e.a[size_t(i) * n + i]);
    least = std::min(least, pivot), most = std::max(most, pivot);
  }
  // Here half of the digits of the inverse are lost.
  if (!(least > most * std::sqrt(std::numeric_limits<Real<T>>::epsilon()))) return false;
  T d = e.determinant(n);
  inverse.assign(size_t(n) * n, T(0));
  if (n <= kSmall) {
    for (int i = 0; i < n; ++i) inverse[i * n + i] = 1;
    substitute_both(e.a.data(), e.pivots.data(), n, inverse.data(), n);
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < n; ++j) out[i * n + j] = product(d, inverse[j * n + i]);
    }
    return true;
  }
  int info = 0, lwork = 64 * n;
  std::vector<T> work(lwork);
  lapack<T>().getri(&n, e.a.data(), &n, e.pivots.data(), work.data(), &lwork, &info);
  transpose_into(e.a.data(), out, n, n);
  for (size_t i = 0; i < size_t(n) * n; ++i) out[i] = product(d, out[i]);
  return true;
}

/** Any matrix: a = U S V^H has the cofactors det(U) det(V^H) conj(U) S' V^T, where S' holds the
 * products of all singular values but one. False if a holds NaN. */
template <class T>
bool by_singular_values(const T* a, int n, T* out, Elimination<T>& e, Workspace<T>& space) {
  size_t size = size_t(n) * n;
  std::vector<T> copy(a, a + size), u(size), vt(size);
  std::vector<Real<T>> s(n), others(n, 1);
  // LAPACK decomposes the transposed matrix V* S U^T: read by rows, u is then V^H and vt is U.
  if (gesdd('A', n, n, copy.data(), s.data(), u.data(), vt.data(), space)) return false;
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) {
      if (j != i) others[i] *= s[j];
    }
  }
  e.factor(u.data(), n);
  T d = e.determinant(n);
  e.factor(vt.data(), n);
  d = product(d, e.determinant(n));
  for (int i = 0; i < n; ++i) {
    T* row = out + size_t(i) * n;
    std::fill(row, row + n, T(0));
    for (int k = 0; k < n; ++k) {
      T by = product(d, conj_of(vt[size_t(i) * n + k])) * others[k];
      for (int j = 0; j < n; ++j) row[j] += product(by, conj_of(u[size_t(k) * n + j]));
    }
  }
  return true;
}

void run_cofactors(const Cofactors&, const std::vector<array>& inputs,
                   std::vector<array>& outputs) {
  array& out = outputs[0];
  allocate(out);
  if (out.size() == 0) return;
  over_batch(inputs[0], [&]<class T>(const T* a, int n, int64_t begin, int64_t end) {
    Elimination<T> e;
    std::vector<T> inverse;
    Workspace<T> space;
    for (int64_t i = begin; i < end; ++i) {
      const T* x = a + i * n * n;
      T* c = elements<T>(out) + i * n * n;
      if (n == 1) {
        c[0] = 1;
      } else if (n == 2) {
        c[0] = x[3], c[1] = -x[2], c[2] = -x[1], c[3] = x[0];
      } else if (!by_elimination(x, n, c, e, inverse) && !by_singular_values(x, n, c, e, space)) {
        std::fill(c, c + size_t(n) * n, T(std::numeric_limits<Real<T>>::quiet_NaN()));
      }
    }
  });
}

const RegisterKernel<Determinant> determinant_kernel{Device::cpu, &run_determinant};
const RegisterKernel<LogDeterminant> log_determinant_kernel{Device::cpu, &run_log_determinant};
const RegisterKernel<Cofactors> cofactors_kernel{Device::cpu, &run_cofactors};

}  // namespace

}  // namespace mlx::core::cpu
