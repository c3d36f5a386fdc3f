// backend/cpu/linalg/factor.cpp: QRF, Cholesky, LUF.
#include "core/prim/linalg_factor.h"

#include <numeric>
#include <vector>

#include "backend/cpu/linalg/dense.h"

namespace mlx::core::cpu {

namespace {

/** A routine's answer to how much memory it wants. */
template <class T>
int work_size(T wanted) {
  return std::max(1, static_cast<int>(std::real(wanted)));
}

/**
 * Householder's reflections of a small matrix (m, n), stored by rows: a becomes R in and above its
 * diagonal, q (m, k) is Q. The diagonal of R is real, with LAPACK's signs.
 */
template <class T>
void small_qr(T* a, int m, int n, T* q) {
  int k = std::min(m, n);
  T v[kSmall][kSmall] = {}, tau[kSmall];
  for (int j = 0; j < k; ++j) {
    Real<T> below = 0;
    for (int i = j + 1; i < m; ++i) below += std::norm(a[i * n + j]);
    T alpha = a[j * n + j];
    v[j][j] = 1;
    tau[j] = 0;
    if (below == 0 && std::imag(alpha) == 0) continue;  // already a multiple of a unit vector
    Real<T> beta = -std::copysign(std::sqrt(std::norm(alpha) + below), std::real(alpha));
    tau[j] = (beta - alpha) / beta;
    for (int i = j + 1; i < m; ++i) v[j][i] = a[i * n + j] / (alpha - beta);
    a[j * n + j] = beta;
    for (int c = j + 1; c < n; ++c) {  // the adjoint of 1 - tau v v^H from the left
      T sum = 0;
      for (int i = j; i < m; ++i) sum += product(conj_of(v[j][i]), a[i * n + c]);
      sum = product(conj_of(tau[j]), sum);
      for (int i = j; i < m; ++i) a[i * n + c] -= product(v[j][i], sum);
    }
  }
  for (int i = 0; i < m; ++i) {
    for (int c = 0; c < k; ++c) q[i * k + c] = i == c ? T(1) : T(0);
  }
  for (int j = k - 1; j >= 0; --j) {
    for (int c = 0; c < k; ++c) {
      T sum = 0;
      for (int i = j; i < m; ++i) sum += product(conj_of(v[j][i]), q[i * k + c]);
      sum = product(tau[j], sum);
      for (int i = j; i < m; ++i) q[i * k + c] -= product(v[j][i], sum);
    }
  }
}

/** Squares of elements of this size neither overflow nor vanish. */
template <class T>
bool moderate(const T* a, int size) {
  Real<T> most = 0;
  for (int i = 0; i < size; ++i) most = std::max(most, size_of(a[i]));
  return most > Real<T>(1e-15) && most < Real<T>(1e15);
}

void run_qr(const QRF&, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array in = row_contiguous(inputs[0]);
  array &q_out = outputs[0], &r_out = outputs[1];
  allocate(q_out);
  allocate(r_out);
  if (in.size() == 0) {
    // (m, 0) and (0, n): nothing to fill either.
    return;
  }
  int m = rows(in), n = columns(in), k = std::min(m, n);
  dispatch_linalg(in.dtype(), [&](auto tag) {
    using T = decltype(tag);
    bool small = m <= kSmall && n <= kSmall;
    if (small) {
      // Batches of small matrices; LAPACK scales those that are not moderate.
      for (int64_t i = 0; small && i < matrices(in); ++i) {
        small = moderate(elements<T>(in) + i * m * n, m * n);
      }
    }
    if (small) {
      each_matrix(matrices(in), 4.0 * m * n * k, [&](int64_t begin, int64_t end) {
        T a[kSmall * kSmall];
        for (int64_t i = begin; i < end; ++i) {
          const T* from = elements<T>(in) + i * m * n;
          std::copy(from, from + m * n, a);
          small_qr(a, m, n, elements<T>(q_out) + i * m * k);
          T* r = elements<T>(r_out) + i * k * n;
          for (int row = 0; row < k; ++row) {
            for (int col = 0; col < n; ++col) {
              r[row * n + col] = col < row ? T(0) : a[row * n + col];
            }
          }
        }
      });
      return;
    }
    const auto& f = lapack<T>();
    each_matrix(matrices(in), 4.0 * m * n * k, [&](int64_t begin, int64_t end) {
      std::vector<T> a(size_t(m) * n), tau(k);
      T wanted[2] = {};
      int info = 0, query = -1;
      f.geqrf(&m, &n, a.data(), &m, tau.data(), &wanted[0], &query, &info);
      f.orgqr(&m, &k, &k, a.data(), &m, tau.data(), &wanted[1], &query, &info);
      int lwork = std::max(work_size(wanted[0]), work_size(wanted[1]));
      std::vector<T> work(lwork);
      for (int64_t i = begin; i < end; ++i) {
        transpose_into(elements<T>(in) + i * m * n, a.data(), m, n);
        f.geqrf(&m, &n, a.data(), &m, tau.data(), work.data(), &lwork, &info);
        T* r = elements<T>(r_out) + i * k * n;
        for (int row = 0; row < k; ++row) {
          for (int col = 0; col < n; ++col) {
            r[size_t(row) * n + col] = col < row ? T(0) : a[size_t(col) * m + row];
          }
        }
        f.orgqr(&m, &k, &k, a.data(), &m, tau.data(), work.data(), &lwork, &info);
        transpose_into(a.data(), elements<T>(q_out) + i * m * k, k, m);
      }
    });
  });
}

/** The lower triangle of a (n, n), stored by rows, becomes its factor. */
template <class T>
int small_cholesky(T* a, int n) {
  for (int j = 0; j < n; ++j) {
    T* aj = a + j * n;
    Real<T> d = std::real(aj[j]);
    for (int k = 0; k < j; ++k) d -= std::norm(aj[k]);
    if (!(d > 0)) return j + 1;
    d = std::sqrt(d);
    aj[j] = d;
    for (int i = j + 1; i < n; ++i) {
      T* ai = a + i * n;
      T x = ai[j];
      for (int k = 0; k < j; ++k) x -= product(ai[k], conj_of(aj[k]));
      ai[j] = x / d;
    }
  }
  return 0;
}

/** The other triangle becomes zero. */
template <class T>
void clear_triangle(T* a, int n, bool upper) {
  for (int i = 0; i < n; ++i) {
    T* row = a + size_t(i) * n;
    std::fill(upper ? row : row + i + 1, upper ? row + i : row + n, T(0));
  }
}

/** In place, stored by rows. */
template <class T>
int cholesky(T* a, int n, bool upper, std::vector<T>& scratch) {
  int info = 0;
  if (n <= kSmall) {
    // Of the upper triangle the adjoint is factored.
    scratch.resize(n * n);
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j <= i; ++j) {
        scratch[i * n + j] = upper ? conj_of(a[j * n + i]) : a[i * n + j];
      }
    }
    info = small_cholesky(scratch.data(), n);
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j <= i; ++j) {
        (upper ? a[j * n + i] : a[i * n + j]) =
            upper ? conj_of(scratch[i * n + j]) : scratch[i * n + j];
      }
    }
  } else {
    char uplo = upper ? 'L' : 'U';  // LAPACK sees the transposed matrix
    lapack<T>().potrf(&uplo, &n, a, &n, &info, 1);
  }
  clear_triangle(a, n, upper);
  return info;
}

void run_cholesky(const Cholesky& p, const std::vector<array>& inputs,
                  std::vector<array>& outputs) {
  array& out = outputs[0];
  allocate_copy(inputs[0], out);
  if (out.size() == 0) return;
  int n = rows(out);
  int64_t batch = matrices(out);
  dispatch_linalg(out.dtype(), [&](auto tag) {
    using T = decltype(tag);
    if (n > kSmall) lapack<T>();
    each_matrix(batch, n * n * n / 3.0, [&](int64_t begin, int64_t end) {
      std::vector<T> scratch;
      for (int64_t i = begin; i < end; ++i) {
        int info = cholesky(elements<T>(out) + i * n * n, n, p.state(), scratch);
        if (info) {
          fail("cholesky",
               "The matrix is not positive definite: its leading minor of order " +
                   std::to_string(info) + " is not positive",
               i, batch);
        }
      }
    });
  });
}

void run_lu(const LUF&, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array &lu_out = outputs[0], &pivots_out = outputs[1], &order_out = outputs[2];
  allocate_copy(inputs[0], lu_out);
  allocate(pivots_out);
  allocate(order_out);
  int m = rows(lu_out), n = columns(lu_out), k = std::min(m, n);
  dispatch_linalg(lu_out.dtype(), [&](auto tag) {
    using T = decltype(tag);
    bool small = m == n && n <= kSmall;
    if (!small && k > 0) lapack<T>();
    each_matrix(matrices(lu_out), 1.0 * m * n * k, [&](int64_t begin, int64_t end) {
      std::vector<T> columns_first(small ? 0 : size_t(m) * n);
      std::vector<int> exchanged(k);
      for (int64_t i = begin; i < end; ++i) {
        T* a = elements<T>(lu_out) + i * m * n;
        if (small) {
          eliminate(a, n, exchanged.data());
        } else if (k > 0) {
          int info = 0;  // a zero pivot is no error: the factors exist
          transpose_into(a, columns_first.data(), m, n);
          lapack<T>().getrf(&m, &n, columns_first.data(), &m, exchanged.data(), &info);
          transpose_into(columns_first.data(), a, n, m);
          for (int& e : exchanged) --e;
        }
        uint32_t* pivots = pivots_out.data<uint32_t>() + i * k;
        uint32_t* order = order_out.data<uint32_t>() + i * m;
        std::iota(order, order + m, 0u);
        for (int j = 0; j < k; ++j) {
          pivots[j] = exchanged[j];
          std::swap(order[j], order[exchanged[j]]);
        }
      }
    });
  });
}

const RegisterKernel<QRF> qr_kernel{Device::cpu, &run_qr};
const RegisterKernel<Cholesky> cholesky_kernel{Device::cpu, &run_cholesky};
const RegisterKernel<LUF> lu_kernel{Device::cpu, &run_lu};

}  // namespace

}  // namespace mlx::core::cpu
