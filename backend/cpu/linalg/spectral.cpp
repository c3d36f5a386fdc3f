// backend/cpu/linalg/spectral.cpp: SVD, Eigh, Eig, PseudoInverse.
#include "core/prim/linalg_spectral.h"

#include <limits>
#include <vector>

#include "backend/cpu/linalg/dense.h"

namespace mlx::core::cpu {

namespace {

constexpr const char* kNoConvergence =
    "The iteration did not converge; does the matrix hold NaN or infinity?";

template <class T>
void unit_matrix(T* a, int n) {
  std::fill(a, a + size_t(n) * n, T(0));
  for (int i = 0; i < n; ++i) a[size_t(i) * n + i] = 1;
}

/**
 * a (m, n), stored by rows, as u diag(s) vt. LAPACK sees the transposed matrix V* S U^T and writes
 * by columns, so that its left vectors, read by rows, are V^H, and its right ones U.
 */
template <class T>
int decompose(bool vectors, int m, int n, const T* a, Real<T>* s, T* u, T* vt, std::vector<T>& copy,
              Workspace<T>& space) {
  size_t size = size_t(m) * n;
  if (!all_finite(a, size)) return -1;
  copy.assign(a, a + size);
  return gesdd(vectors ? 'A' : 'N', n, m, copy.data(), s, vt, u, space);
}

void run_svd(const SVD& p, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array in = row_contiguous(inputs[0]);
  for (array& out : outputs) allocate(out);
  bool vectors = p.state();
  int m = rows(in), n = columns(in), k = std::min(m, n);
  int64_t batch = matrices(in);
  dispatch_linalg(in.dtype(), [&](auto tag) {
    using T = decltype(tag);
    Real<T>* s = elements<Real<T>>(outputs[vectors ? 1 : 0]);
    T* u = vectors ? elements<T>(outputs[0]) : nullptr;
    T* vt = vectors ? elements<T>(outputs[2]) : nullptr;
    if (k > 0) lapack<T>();
    each_matrix(batch, 20.0 * m * n * std::max(k, 1), [&](int64_t begin, int64_t end) {
      std::vector<T> copy;
      Workspace<T> space;
      for (int64_t i = begin; i < end; ++i) {
        T* ui = vectors ? u + i * m * m : nullptr;
        T* vi = vectors ? vt + i * n * n : nullptr;
        if (k == 0) {
          if (vectors) unit_matrix(ui, m), unit_matrix(vi, n);
          continue;
        }
        int info =
            decompose(vectors, m, n, elements<T>(in) + i * m * n, s + i * k, ui, vi, copy, space);
        if (info) fail("svd", kNoConvergence, i, batch);
      }
    });
  });
}

void run_eigh(const Eigh& p, const std::vector<array>& inputs, std::vector<array>& outputs) {
  auto [uplo, vectors] = p.state();
  array in = row_contiguous(inputs[0]);
  for (array& out : outputs) allocate(out);
  if (in.size() == 0) return;
  int n = rows(in);
  int64_t batch = matrices(in);
  // LAPACK sees the transposed matrix: the other triangle, and conjugated vectors.
  char triangle = uplo == "L" ? 'U' : 'L', job = vectors ? 'V' : 'N';
  dispatch_linalg(in.dtype(), [&, lower = uplo == "L", vectors = vectors](auto tag) {
    using T = decltype(tag);
    lapack<T>();
    each_matrix(batch, 10.0 * n * n * n, [&](int64_t begin, int64_t end) {
      std::vector<T> a;
      Workspace<T> space;
      size_t size = size_t(n) * n;
      for (int64_t i = begin; i < end; ++i) {
        const T* from = elements<T>(in) + i * size;
        Real<T>* w = elements<Real<T>>(outputs[0]) + i * n;
        T* v = vectors ? elements<T>(outputs[1]) + i * size : nullptr;
        a.assign(from, from + size);
        for (int r = 0; r < n; ++r) {  // the other triangle may hold anything
          for (int c = r + 1; c < n; ++c) {
            (lower ? a[size_t(r) * n + c] : a[size_t(c) * n + r]) = T(0);
          }
        }
        if (!all_finite(a.data(), size)) {
          Real<T> nan = std::numeric_limits<Real<T>>::quiet_NaN();
          std::fill(w, w + n, nan);
          if (v) std::fill(v, v + size, T(nan));
          continue;
        }
        if (heevd(job, triangle, n, a.data(), w, space)) fail("eigh", kNoConvergence, i, batch);
        if (!v) continue;
        transpose_into(a.data(), v, n, n);
        for (size_t j = 0; j < size; ++j) v[j] = conj_of(v[j]);
      }
    });
  });
}

void run_eig(const Eig& p, const std::vector<array>& inputs, std::vector<array>& outputs) {
  bool vectors = p.state();
  array in = row_contiguous(inputs[0]);
  for (array& out : outputs) allocate(out);
  if (in.size() == 0) return;
  int n = rows(in);
  int64_t batch = matrices(in);
  dispatch_linalg(in.dtype(), [&](auto tag) {
    using T = decltype(tag);
    using C = std::complex<Real<T>>;
    lapack<T>();
    each_matrix(batch, 25.0 * n * n * n, [&](int64_t begin, int64_t end) {
      size_t size = size_t(n) * n;
      std::vector<T> a(size);
      std::vector<C> w(n), v(vectors ? size : 0);
      Workspace<T> space;
      for (int64_t i = begin; i < end; ++i) {
        const T* from = elements<T>(in) + i * size;
        if (!all_finite(from, size)) fail("eig", kNoConvergence, i, batch);
        transpose_into(from, a.data(), n, n);
        if (geev(n, a.data(), w.data(), vectors ? v.data() : nullptr, space)) {
          fail("eig", kNoConvergence, i, batch);
        }
        auto* wo = elements<std::complex<float>>(outputs[0]) + i * n;
        for (int j = 0; j < n; ++j) wo[j] = std::complex<float>(w[j]);
        if (!vectors) continue;
        auto* vo = elements<std::complex<float>>(outputs[1]) + i * size;
        for (int r = 0; r < n; ++r) {
          for (int c = 0; c < n; ++c) {
            vo[size_t(r) * n + c] = std::complex<float>(v[size_t(c) * n + r]);
          }
        }
      }
    });
  });
}

/** out (n, m) = V S^+ U^H, singular values that are nothing but rounding left out. */
template <class T>
void assemble(int m, int n, const Real<T>* s, const T* u, const T* vt, T* out) {
  int k = std::min(m, n);
  Real<T> least = s[0] * 10 * std::max(m, n) * std::numeric_limits<Real<T>>::epsilon();
  std::fill(out, out + size_t(m) * n, T(0));
  for (int j = 0; j < k && s[j] > least; ++j) {
    for (int r = 0; r < n; ++r) {
      T by = conj_of(vt[size_t(j) * n + r]) / s[j];
      T* row = out + size_t(r) * m;
      for (int c = 0; c < m; ++c) row[c] += product(by, conj_of(u[size_t(c) * m + j]));
    }
  }
}

void run_pinv(const PseudoInverse&, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array in = row_contiguous(inputs[0]);
  array& out = outputs[0];
  allocate(out);
  if (in.size() == 0) return;
  int m = rows(in), n = columns(in);
  int64_t batch = matrices(in);
  dispatch_linalg(in.dtype(), [&](auto tag) {
    using T = decltype(tag);
    lapack<T>();
    each_matrix(batch, 20.0 * m * n * std::min(m, n), [&](int64_t begin, int64_t end) {
      std::vector<T> copy, u(size_t(m) * m), vt(size_t(n) * n);
      std::vector<Real<T>> s(std::min(m, n));
      Workspace<T> space;
      for (int64_t i = begin; i < end; ++i) {
        int info = decompose(true, m, n, elements<T>(in) + i * m * n, s.data(), u.data(), vt.data(),
                             copy, space);
        if (info) fail("pinv", kNoConvergence, i, batch);
        assemble(m, n, s.data(), u.data(), vt.data(), elements<T>(out) + i * m * n);
      }
    });
  });
}

const RegisterKernel<SVD> svd_kernel{Device::cpu, &run_svd};
const RegisterKernel<Eigh> eigh_kernel{Device::cpu, &run_eigh};
const RegisterKernel<Eig> eig_kernel{Device::cpu, &run_eig};
const RegisterKernel<PseudoInverse> pinv_kernel{Device::cpu, &run_pinv};

}  // namespace

}  // namespace mlx::core::cpu
