// backend/cpu/linalg/lapack.h: LAPACK, opened when it is first needed.
//
// Tried in this order: the file named by MICA_LAPACK, the one a binding found (the PyPI package
// scipy-openblas32), the same package beside this library, the system's liblapack.so.3 and
// libopenblas.so.0. Matrices are stored by columns, as Fortran has them.
#pragma once

#include <complex>
#include <cstddef>
#include <vector>

namespace mlx::core::cpu {

template <class T>
struct RealOf {
  using type = T;
};
template <class T>
struct RealOf<std::complex<T>> {
  using type = T;
};
template <class T>
using Real = typename RealOf<T>::type;

/**
 * The routines for elements of T. Strings are one letter; Fortran wants their lengths at the end.
 * gesdd, heevd (syevd for real T) and geev have other arguments for real and complex T: see the
 * functions below.
 */
template <class T>
struct Lapack {
  void (*getrf)(const int* m, const int* n, T* a, const int* lda, int* pivots, int* info);
  void (*getrs)(const char* trans, const int* n, const int* nrhs, const T* a, const int* lda,
                const int* pivots, T* b, const int* ldb, int* info, size_t);
  void (*getri)(const int* n, T* a, const int* lda, const int* pivots, T* work, const int* lwork,
                int* info);
  void (*trtri)(const char* uplo, const char* diag, const int* n, T* a, const int* lda, int* info,
                size_t, size_t);
  void (*trsm)(const char* side, const char* uplo, const char* trans, const char* diag,
               const int* m, const int* n, const T* alpha, const T* a, const int* lda, T* b,
               const int* ldb, size_t, size_t, size_t, size_t);
  void (*potrf)(const char* uplo, const int* n, T* a, const int* lda, int* info, size_t);
  void (*geqrf)(const int* m, const int* n, T* a, const int* lda, T* tau, T* work, const int* lwork,
                int* info);
  void (*orgqr)(const int* m, const int* n, const int* k, T* a, const int* lda, const T* tau,
                T* work, const int* lwork, int* info);
  void* gesdd;
  void* heevd;
  void* geev;
};

/** Throws std::runtime_error that says how to get one if there is no library. */
template <class T>
const Lapack<T>& lapack();

/** Memory that the routines below use and may keep for the next matrix of the same size. */
template <class T>
struct Workspace {
  std::vector<T> work;
  std::vector<Real<T>> rwork;
  std::vector<int> iwork;
};

/**
 * a (m, n) = u diag(s) vt, whole u (m, m) and vt (n, n) if job is 'A', none if 'N'. Returns
 * LAPACK's info. Destroys a.
 */
template <class T>
int gesdd(char job, int m, int n, T* a, Real<T>* s, T* u, T* vt, Workspace<T>& space);

/** Eigenvalues ascending; job 'V': a becomes the eigenvectors. */
template <class T>
int heevd(char job, char uplo, int n, T* a, Real<T>* w, Workspace<T>& space);

/** Eigenvalues w and, unless v is null, right eigenvectors of length 1 in the columns of v. */
template <class T>
int geev(int n, T* a, std::complex<Real<T>>* w, std::complex<Real<T>>* v, Workspace<T>& space);

}  // namespace mlx::core::cpu
