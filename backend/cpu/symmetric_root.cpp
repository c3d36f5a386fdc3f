// backend/cpu/symmetric_root.cpp: SymmetricRoot by Jacobi rotations in double, which need no
// library and find small eigenvalues to full relative accuracy.
#include "core/prim/symmetric_root.h"

#include <cmath>
#include <vector>

#include "backend/cpu/parallel.h"
#include "core/copy.h"

namespace mlx::core::cpu {

namespace {

/** Turns a into a diagonal by rotations of rows and columns, collected in the columns of v. */
void diagonalise(std::vector<double>& a, std::vector<double>& v, size_t n) {
  constexpr int kMaxSweeps = 50;
  for (size_t i = 0; i < n; ++i) v[i * n + i] = 1;
  for (int sweep = 0; sweep < kMaxSweeps; ++sweep) {
    double off = 0, total = 0;
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) {
        total += a[i * n + j] * a[i * n + j];
        if (i != j) off += a[i * n + j] * a[i * n + j];
      }
    }
    if (!(off > 1e-30 * total)) return;  // done, or NaN
    for (size_t p = 0; p < n; ++p) {
      for (size_t q = p + 1; q < n; ++q) {
        double apq = a[p * n + q];
        if (apq == 0) continue;
        double theta = (a[q * n + q] - a[p * n + p]) / (2 * apq);
        double t = std::copysign(1.0, theta) / (std::abs(theta) + std::sqrt(theta * theta + 1));
        double c = 1 / std::sqrt(t * t + 1), s = t * c;
        for (size_t k = 0; k < n; ++k) {
          double x = a[k * n + p], y = a[k * n + q];
          a[k * n + p] = c * x - s * y;
          a[k * n + q] = s * x + c * y;
        }
        for (size_t k = 0; k < n; ++k) {
          double x = a[p * n + k], y = a[q * n + k];
          a[p * n + k] = c * x - s * y;
          a[q * n + k] = s * x + c * y;
        }
        for (size_t k = 0; k < n; ++k) {
          double x = v[k * n + p], y = v[k * n + q];
          v[k * n + p] = c * x - s * y;
          v[k * n + q] = s * x + c * y;
        }
      }
    }
  }
}

void symmetric_root(const SymmetricRoot&, const std::vector<array>& inputs,
                    std::vector<array>& outputs) {
  array in = row_contiguous(inputs[0]);
  array& out = outputs[0];
  allocate(out);
  if (out.size() == 0) return;
  size_t n = in.shape(-1);
  parallel_range(in.size() / (n * n), 1, [&](size_t begin, size_t end) {
    std::vector<double> a(n * n), v(n * n);
    for (size_t m = begin; m < end; ++m) {
      const float* from = in.data<float>() + m * n * n;
      float* to = out.data<float>() + m * n * n;
      for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < n; ++j) {
          a[i * n + j] = 0.5 * (double(from[i * n + j]) + double(from[j * n + i]));
          v[i * n + j] = 0;
        }
      }
      diagonalise(a, v, n);
      for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < n; ++j) {
          double sum = 0;
          for (size_t k = 0; k < n; ++k) {
            double value = a[k * n + k];
            sum += v[i * n + k] * std::copysign(std::sqrt(std::abs(value)), value) * v[j * n + k];
          }
          to[i * n + j] = static_cast<float>(sum);
        }
      }
    }
  });
}

const RegisterKernel<SymmetricRoot> symmetric_root_kernel{Device::cpu, &symmetric_root};

}  // namespace

}  // namespace mlx::core::cpu
