// backend/cpu/hadamard.cpp: Hadamard. Rows are computed in float (double for float64).
#include "core/prim/hadamard.h"

#include <array>
#include <string_view>

#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/parallel.h"
#include "core/copy.h"
#include "mlx/dtype_utils.h"

namespace mlx::core::cpu {

namespace {

using Matrix = std::vector<int8_t>;  // m * m signs

/** Paley's second construction over the field of 5 elements. */
Matrix order_12() {
  constexpr int kCharacter[5] = {0, 1, -1, -1, 1};
  Matrix h(144);
  for (int i = 0; i < 12; ++i) {
    for (int j = 0; j < 12; ++j) {
      int a = i / 2, b = j / 2, both = i % 2 && j % 2;
      int sign = a == 0 || b == 0 ? 1 : kCharacter[(a - b + 5) % 5];
      h[i * 12 + j] = a == b ? (i % 2 || j % 2 ? -1 : 1) : both ? -sign : sign;
    }
  }
  return h;
}

/** Williamson's: four symmetric circulant blocks, given by their first rows. */
Matrix of_circulants(const std::array<std::string_view, 4>& first_rows) {
  constexpr int kBlock[4][4] = {{1, 2, 3, 4}, {-2, 1, -4, 3}, {-3, 4, 1, -2}, {-4, -3, 2, 1}};
  int b = static_cast<int>(first_rows[0].size()), m = 4 * b;
  Matrix h(m * m);
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < m; ++j) {
      int block = kBlock[i / b][j / b], which = std::abs(block) - 1;
      bool plus = first_rows[which][(j % b - i % b + b) % b] == '+';
      h[i * m + j] = plus == (block > 0) ? 1 : -1;
    }
  }
  return h;
}

const Matrix& matrix(int m) {
  static const Matrix h12 = order_12();
  static const Matrix h20 = of_circulants({"+----", "+----", "++--+", "+-++-"});
  static const Matrix h28 = of_circulants({"+------", "++----+", "+-+--+-", "+--++--"});
  return m == 12 ? h12 : m == 20 ? h20 : h28;
}

/** x[0..n) by the Hadamard matrix of size n, a power of two: two steps at a time. */
template <typename A>
void powers_of_two(A* x, size_t n) {
  size_t step = 1;
  for (; 4 * step <= n; step *= 4) {
    for (size_t i = 0; i < n; i += 4 * step) {
      A *a = x + i, *b = a + step, *c = b + step, *d = c + step;
      for (size_t j = 0; j < step; ++j) {
        A p = a[j] + b[j], q = a[j] - b[j], r = c[j] + d[j], s = c[j] - d[j];
        a[j] = p + r, b[j] = q + s, c[j] = p - r, d[j] = q - s;
      }
    }
  }
  if (step == n) return;
  for (size_t j = 0; j < step; ++j) {
    A a = x[j], b = x[j + step];
    x[j] = a + b, x[j + step] = a - b;
  }
}

/** Mixes the m pieces of x by the matrix; room holds kColumns * m values. */
template <typename A>
void mix(A* x, size_t m, size_t piece, const Matrix& h, bool transposed) {
  constexpr size_t kColumns = 64;
  A room[kColumns * 28];
  for (size_t first = 0; first < piece; first += kColumns) {
    size_t some = std::min(kColumns, piece - first);
    for (size_t i = 0; i < m; ++i) {
      A* sum = room + i * kColumns;
      std::fill_n(sum, some, A(0));
      for (size_t j = 0; j < m; ++j) {
        A sign = A(transposed ? h[j * m + i] : h[i * m + j]);
        const A* from = x + j * piece + first;
        for (size_t c = 0; c < some; ++c) sum[c] += sign * from[c];
      }
    }
    for (size_t i = 0; i < m; ++i) {
      std::copy_n(room + i * kColumns, some, x + i * piece + first);
    }
  }
}

void run(const Hadamard& p, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array& out = outputs[0];
  allocate_or_donate(inputs[0], out);  // before another handle of the input exists
  if (out.size() == 0) return;
  array x = row_contiguous(inputs[0]);
  size_t n = x.shape(-1), rows = x.size() / n;
  int m = hadamard_factor(static_cast<int>(n));
  dispatch_float_types(x.dtype(), "[hadamard_transform]", [&](auto t) {
    using T = MLX_GET_TYPE(t);
    using A = std::conditional_t<std::is_same_v<T, double>, double, float>;
    const T* from = x.data<T>();
    T* to = out.data<T>();
    A scale = A(p.scale());
    parallel_range(int64_t(rows), int64_t(std::max<size_t>(1, 8192 / n)),
                   [&](int64_t begin, int64_t end) {
                     static thread_local Scratch scratch;
                     A* row = static_cast<A*>(scratch.get(n * sizeof(A)));
                     for (size_t r = size_t(begin); r < size_t(end); ++r) {
                       for (size_t i = 0; i < n; ++i) row[i] = A(from[r * n + i]);
                       size_t piece = n / m;
                       for (int i = 0; i < m; ++i) powers_of_two(row + i * piece, piece);
                       if (m > 1) mix(row, m, piece, matrix(m), p.transposed());
                       for (size_t i = 0; i < n; ++i) to[r * n + i] = T(row[i] * scale);
                     }
                   });
  });
}

const RegisterKernel<Hadamard> kernel{Device::cpu, &run};

}  // namespace

}  // namespace mlx::core::cpu
