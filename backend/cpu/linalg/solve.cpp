// backend/cpu/linalg/solve.cpp: Inverse, LinearSolve.
//
// Rows here are columns to LAPACK: it sees the transposed matrix, whose inverse is the transposed
// inverse, so that no matrix is turned round on the way.
#include "core/prim/linalg_solve.h"

#include <vector>

#include "backend/cpu/linalg/dense.h"

namespace mlx::core::cpu {

namespace {

/** Memory of one thread for matrices of one size. */
template <class T>
struct Scratch {
  std::vector<T> a, work;
  std::vector<int> pivots;
};

template <class T>
int invert(T* a, int n, Scratch<T>& scratch) {
  int info = 0;
  scratch.pivots.resize(n);
  if (n <= kSmall) {
    scratch.a.assign(a, a + n * n);
    info = eliminate(scratch.a.data(), n, scratch.pivots.data());
    if (info) return info;
    std::fill(a, a + n * n, T(0));
    for (int i = 0; i < n; ++i) a[i * n + i] = 1;
    substitute_both(scratch.a.data(), scratch.pivots.data(), n, a, n);
    return 0;
  }
  const auto& f = lapack<T>();
  f.getrf(&n, &n, a, &n, scratch.pivots.data(), &info);
  if (info) return info;
  int lwork = 64 * n;
  scratch.work.resize(lwork);
  f.getri(&n, a, &n, scratch.pivots.data(), scratch.work.data(), &lwork, &info);
  return info;
}

template <class T>
int invert_triangle(T* a, int n, bool upper, Scratch<T>& scratch) {
  for (int i = 0; i < n; ++i) {
    T* row = a + size_t(i) * n;
    if (row[i] == T(0)) return i + 1;
    // The other triangle is not ours to read.
    std::fill(upper ? row : row + i + 1, upper ? row + i : row + n, T(0));
  }
  if (n <= kSmall) {
    scratch.a.assign(a, a + n * n);
    std::fill(a, a + n * n, T(0));
    for (int i = 0; i < n; ++i) a[i * n + i] = 1;
    substitute(scratch.a.data(), n, upper, false, a, n);
    return 0;
  }
  char uplo = upper ? 'L' : 'U', diag = 'N';
  int info = 0;
  lapack<T>().trtri(&uplo, &diag, &n, a, &n, &info, 1, 1);
  return info;
}

void run_inverse(const Inverse& p, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array& out = outputs[0];
  allocate_copy(inputs[0], out);
  if (out.size() == 0) return;
  auto [tri, upper] = p.state();
  int n = rows(out);
  int64_t batch = matrices(out);
  dispatch_linalg(out.dtype(), [&, tri = tri, upper = upper](auto tag) {
    using T = decltype(tag);
    if (n > kSmall) lapack<T>();  // opened here rather than by all threads
    each_matrix(batch, 2.0 * n * n * n, [&](int64_t begin, int64_t end) {
      Scratch<T> scratch;
      for (int64_t i = begin; i < end; ++i) {
        T* a = elements<T>(out) + i * n * n;
        int info = tri ? invert_triangle(a, n, upper, scratch) : invert(a, n, scratch);
        if (info) fail(tri ? "tri_inv" : "inv", singular_text(info), i, batch);
      }
    });
  });
}

/** b (n, m) becomes the solution; returns the number of a zero pivot. */
template <class T>
int solve_general(const T* a, int n, T* b, int m, Scratch<T>& scratch) {
  size_t size = size_t(n) * n;
  scratch.a.assign(a, a + size);
  scratch.pivots.resize(n);
  int info = 0;
  if (n <= kSmall) {
    info = eliminate(scratch.a.data(), n, scratch.pivots.data());
    if (!info) substitute_both(scratch.a.data(), scratch.pivots.data(), n, b, m);
    return info;
  }
  const auto& f = lapack<T>();
  f.getrf(&n, &n, scratch.a.data(), &n, scratch.pivots.data(), &info);
  if (info) return info;
  const char trans = 'T';
  if (m == 1) {
    f.getrs(&trans, &n, &m, scratch.a.data(), &n, scratch.pivots.data(), b, &n, &info, 1);
    return info;
  }
  scratch.work.resize(size_t(n) * m);
  transpose_into(b, scratch.work.data(), n, m);
  f.getrs(&trans, &n, &m, scratch.a.data(), &n, scratch.pivots.data(), scratch.work.data(), &n,
          &info, 1);
  transpose_into(scratch.work.data(), b, m, n);
  return info;
}

template <class T>
int solve_triangle(const T* a, int n, bool upper, T* b, int m) {
  for (int i = 0; i < n; ++i) {
    if (a[size_t(i) * n + i] == T(0)) return i + 1;
  }
  if (n <= kSmall) {
    substitute(a, n, upper, false, b, m);
    return 0;
  }
  // X^T A^T = B^T, all of which LAPACK sees in place.
  const char side = 'R', uplo = upper ? 'L' : 'U', trans = 'N', diag = 'N';
  const T one = 1;
  lapack<T>().trsm(&side, &uplo, &trans, &diag, &m, &n, &one, a, &n, b, &m, 1, 1, 1, 1);
  return 0;
}

void run_solve(const LinearSolve& p, const std::vector<array>& inputs,
               std::vector<array>& outputs) {
  array& out = outputs[0];
  allocate_copy(inputs[1], out);
  array a = row_contiguous(inputs[0]);
  if (a.size() == 0) return;
  int n = rows(a), m = columns(out);
  int64_t batch = matrices(a);
  Shaped shaped = p.shaped();
  double flops = shaped == Shaped::general ? 0.7 * n * n * n + 2.0 * n * n * m : 1.0 * n * n * m;
  dispatch_linalg(a.dtype(), [&](auto tag) {
    using T = decltype(tag);
    if (n > kSmall) lapack<T>();
    if (m == 0) return;
    each_matrix(batch, flops, [&](int64_t begin, int64_t end) {
      Scratch<T> scratch;
      for (int64_t i = begin; i < end; ++i) {
        const T* ai = elements<T>(a) + i * n * n;
        T* b = elements<T>(out) + i * n * m;
        int info = shaped == Shaped::general ? solve_general(ai, n, b, m, scratch)
                                             : solve_triangle(ai, n, shaped == Shaped::upper, b, m);
        if (info) {
          fail(shaped == Shaped::general ? "solve" : "solve_triangular", singular_text(info), i,
               batch);
        }
      }
    });
  });
}

const RegisterKernel<Inverse> inverse_kernel{Device::cpu, &run_inverse};
const RegisterKernel<LinearSolve> solve_kernel{Device::cpu, &run_solve};

}  // namespace

}  // namespace mlx::core::cpu
