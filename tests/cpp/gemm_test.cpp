// tests/cpp/gemm_test.cpp: every path of the matrix product against sums in double precision.
#include "backend/cpu/gemm/gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <random>
#include <string>

#include "backend/cpu/gemm/problem.h"
#include "backend/cpu/parallel.h"
#include "mlx/types/complex.h"

namespace mlx::core::cpu {
namespace {

template <class T>
struct DtypeOf;
#define DTYPE_OF(T, dtype)               \
  template <>                            \
  struct DtypeOf<T> {                    \
    static Dtype get() { return dtype; } \
  };
DTYPE_OF(float, float32)
DTYPE_OF(double, float64)
DTYPE_OF(float16_t, float16)
DTYPE_OF(bfloat16_t, bfloat16)
DTYPE_OF(complex64_t, complex64)
DTYPE_OF(int8_t, int8)
DTYPE_OF(uint8_t, uint8)
DTYPE_OF(int16_t, int16)
DTYPE_OF(uint16_t, uint16)
DTYPE_OF(int32_t, int32)
DTYPE_OF(uint32_t, uint32)
DTYPE_OF(int64_t, int64)
DTYPE_OF(uint64_t, uint64)
#undef DTYPE_OF

template <class T>
constexpr double kEps = std::numeric_limits<T>::epsilon();
template <>
constexpr double kEps<float16_t> = 0x1p-10;
template <>
constexpr double kEps<bfloat16_t> = 0x1p-7;
template <>
constexpr double kEps<complex64_t> = 0x1p-23;

/** Half the smallest step of a type: what underflow may cost. */
template <class T>
constexpr double kTiny = std::is_same_v<T, float16_t> ? 0x1p-25 : 0x1p-130;

template <class T>
T random_value(std::mt19937& rng) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(rng());
  } else if constexpr (std::is_same_v<T, complex64_t>) {
    std::uniform_real_distribution<float> u(-1, 1);
    float re = u(rng), im = u(rng);
    return complex64_t(re, im);
  } else {
    return T(std::uniform_real_distribution<float>(-1, 1)(rng));
  }
}

/** How an operand lies in memory. */
enum class Layout { rows, columns, padded, every_other, reversed, broadcast_row, broadcast_column };
constexpr Layout kLayouts[] = {
    Layout::rows,     Layout::columns,       Layout::padded,          Layout::every_other,
    Layout::reversed, Layout::broadcast_row, Layout::broadcast_column};

template <class T>
struct Operand {
  std::vector<T> data;
  GemmMatrix matrix;

  Operand(int64_t batch, int64_t rows, int64_t cols, Layout layout, std::mt19937& rng,
          bool shared = false) {
    int64_t rs = cols, cs = 1, size = rows * cols, start = 0;
    switch (layout) {
      case Layout::rows:
        break;
      case Layout::columns:
        rs = 1, cs = rows;
        break;
      case Layout::padded:
        rs = cols + 3, size = rows * rs;
        break;
      case Layout::every_other:
        rs = 2 * cols + 1, cs = 2, size = rows * rs;
        break;
      case Layout::reversed:
        rs = -cols, cs = 1, start = (rows - 1) * cols;
        break;
      case Layout::broadcast_row:
        rs = 0, cs = 1, size = cols;
        break;
      case Layout::broadcast_column:
        rs = 1, cs = 0, size = rows;
        break;
    }
    data.resize(std::max<int64_t>(size, 0) * (shared ? 1 : batch) + 1);
    for (auto& x : data) x = random_value<T>(rng);
    matrix.data = data.data() + std::max<int64_t>(start, 0);
    matrix.row_stride = rs;
    matrix.col_stride = cs;
    matrix.batch_stride = shared ? 0 : size;
  }
  T at(int64_t b, int64_t r, int64_t c) const {
    int64_t offset = matrix.offsets ? matrix.offsets[b] : b * matrix.batch_stride;
    return static_cast<const T*>(
        matrix.data)[offset + r * matrix.row_stride + c * matrix.col_stride];
  }
};

/** Runs the product and compares every element, and what lies between C's rows. */
template <class T>
void check(GemmArgs g, const Operand<T>& a, const Operand<T>& b, const Operand<T>* d = nullptr,
           void (*run)(const gemm_detail::Problem&) = nullptr) {
  g.dtype = DtypeOf<T>::get();
  g.a = a.matrix;
  g.b = b.matrix;
  if (d) g.d = d->matrix;
  int64_t ldc = g.c_row_stride ? g.c_row_stride : g.n;
  std::vector<T> c(g.batch * g.m * ldc + 5, T(77));
  g.c = c.data();
  if (run) {
    gemm_detail::Problem p{g.m,
                           g.n,
                           g.k,
                           g.a.data,
                           g.a.row_stride,
                           g.a.col_stride,
                           g.b.data,
                           g.b.row_stride,
                           g.b.col_stride,
                           g.c,
                           ldc,
                           g.alpha,
                           g.beta,
                           g.beta != 0 ? g.d.data : nullptr,
                           g.d.row_stride,
                           g.d.col_stride};
    run(p);
  } else {
    gemm(g);
  }
  for (int64_t i = 0; i < g.batch; ++i)
    for (int64_t r = 0; r < g.m; ++r)
      for (int64_t s = 0; s < ldc; ++s) {
        const T got = c[(i * g.m + r) * ldc + s];
        auto where = [&] {
          return "batch " + std::to_string(i) + " row " + std::to_string(r) + " column " +
                 std::to_string(s) + " of " + std::to_string(g.m) + "x" + std::to_string(g.n) +
                 "x" + std::to_string(g.k);
        };
        if (s >= g.n) {
          ASSERT_EQ(std::memcmp(&got, std::vector<T>{T(77)}.data(), sizeof(T)), 0)
              << "wrote past a row: " << where();
          continue;
        }
        if constexpr (std::is_integral_v<T>) {
          uint64_t sum = 0;
          for (int64_t x = 0; x < g.k; ++x)
            sum += static_cast<uint64_t>(a.at(i, r, x)) * static_cast<uint64_t>(b.at(i, x, s));
          ASSERT_EQ(got, static_cast<T>(sum)) << where();
        } else {
          using Sum =
              std::conditional_t<std::is_same_v<T, complex64_t>, std::complex<double>, double>;
          auto wide = [](T v) {
            if constexpr (std::is_same_v<T, complex64_t>)
              return Sum(v.real(), v.imag());
            else
              return static_cast<Sum>(v);
          };
          Sum sum = 0;
          double size = 0;
          for (int64_t x = 0; x < g.k; ++x) {
            Sum term = wide(a.at(i, r, x)) * wide(b.at(i, x, s));
            sum += term;
            size += std::abs(term);
          }
          sum *= g.alpha;
          size *= std::abs(g.alpha);
          if (g.beta != 0) {
            sum += g.beta * wide(d->at(i, r, s));
            size += std::abs(g.beta * wide(d->at(i, r, s)));
          }
          // Rounding of the result, and of the sum, which half precision keeps in float.
          const double sum_eps = std::is_same_v<T, double> ? 0x1p-52 : 0x1p-23;
          const double limit =
              kEps<T> * std::abs(sum) + sum_eps * size * (4 + 4 * std::sqrt(g.k)) + kTiny<T>;
          ASSERT_LE(std::abs(wide(got) - sum), limit)
              << where() << " got " << wide(got) << " instead of " << sum;
        }
      }
}

template <class T>
class Gemm : public testing::Test {};
using Types = testing::Types<float, double, float16_t, bfloat16_t, complex64_t, int8_t, uint8_t,
                             int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>;
TYPED_TEST_SUITE(Gemm, Types);

TYPED_TEST(Gemm, Sizes) {
  using T = TypeParam;
  std::mt19937 rng(1);
  // Around the microkernel's rows and columns, the thin kernels' limits and the k blocks.
  const int64_t shapes[][3] = {
      {1, 1, 1},     {1, 1, 100},   {2, 3, 4},       {5, 1, 70},      {1, 5, 70},
      {3, 40, 5},    {8, 8, 65},    {9, 9, 9},       {13, 31, 17},    {14, 32, 64},
      {15, 33, 65},  {16, 16, 16},  {29, 65, 33},    {7, 129, 131},   {129, 7, 131},
      {1, 257, 300}, {257, 1, 300}, {64, 48, 513},   {30, 70, 1025},  {100, 3, 40},
      {2, 1500, 20}, {4, 37, 4500}, {1, 33, 9000},   {300, 40, 20},   {20, 300, 10},
      {70, 530, 30}, {520, 17, 20}, {150, 70, 1100}, {300, 100, 200}, {90, 300, 130}};
  for (auto& [m, n, k] : shapes) {
    GemmArgs g;
    g.m = m, g.n = n, g.k = k;
    for (int t = 0; t < 4; ++t) {
      Operand<T> a(1, m, k, t & 1 ? Layout::columns : Layout::rows, rng);
      Operand<T> b(1, k, n, t & 2 ? Layout::columns : Layout::rows, rng);
      check<T>(g, a, b);
    }
  }
}

TYPED_TEST(Gemm, EverySmallSize) {
  using T = TypeParam;
  std::mt19937 rng(2);
  for (int64_t m = 1; m <= 17; m += 2)
    for (int64_t n = 1; n <= 35; n += 3)
      for (int64_t k : {1, 2, 5, 16}) {
        GemmArgs g;
        g.m = m, g.n = n, g.k = k;
        check<T>(g, Operand<T>(1, m, k, Layout::rows, rng), Operand<T>(1, k, n, Layout::rows, rng));
      }
}

TYPED_TEST(Gemm, Strides) {
  using T = TypeParam;
  std::mt19937 rng(3);
  const int64_t shapes[][3] = {{4, 5, 6}, {1, 40, 70}, {40, 1, 70}, {19, 45, 37}, {33, 6, 600}};
  for (auto& [m, n, k] : shapes)
    for (Layout la : kLayouts)
      for (Layout lb : kLayouts) {
        GemmArgs g;
        g.m = m, g.n = n, g.k = k;
        g.c_row_stride = n + 2;
        check<T>(g, Operand<T>(1, m, k, la, rng), Operand<T>(1, k, n, lb, rng));
      }
}

TYPED_TEST(Gemm, RowsThatOverlap) {
  using T = TypeParam;
  std::mt19937 rng(8);
  const int64_t shapes[][3] = {{5, 40, 70}, {64, 96, 1100}, {30, 50, 90}, {33, 70, 20}};
  for (auto& [m, n, k] : shapes)
    for (int64_t apart : {0, 7, 32}) {
      GemmArgs g;
      g.m = m, g.n = n, g.k = k;
      Operand<T> b(1, k, n, Layout::rows, rng);
      b.matrix.row_stride = apart;
      check<T>(g, Operand<T>(1, m, k, Layout::columns, rng), b);
      if constexpr (!std::is_integral_v<T>) {
        Operand<T> d(1, m, n, Layout::rows, rng);
        g.beta = 1;
        check<T>(g, Operand<T>(1, m, k, Layout::rows, rng), b, &d);
      }
    }
}

TYPED_TEST(Gemm, Batches) {
  using T = TypeParam;
  std::mt19937 rng(4);
  const int64_t shapes[][3] = {{1, 1, 1}, {1, 20, 40}, {16, 16, 16}, {5, 33, 18}, {70, 64, 48}};
  for (auto& [m, n, k] : shapes)
    for (int64_t batch : {1, 2, 9})
      for (int shared = 0; shared < 4; ++shared) {
        GemmArgs g;
        g.batch = batch;
        g.m = m, g.n = n, g.k = k;
        check<T>(g, Operand<T>(batch, m, k, Layout::rows, rng, shared & 1),
                 Operand<T>(batch, k, n, Layout::columns, rng, shared & 2));
      }
  // Matrices in any order, one of them twice.
  GemmArgs g;
  g.batch = 3;
  g.m = 6, g.n = 34, g.k = 20;
  Operand<T> a(3, 6, 20, Layout::rows, rng), b(3, 20, 34, Layout::rows, rng);
  const int64_t offsets[] = {2 * 20 * 34, 0, 2 * 20 * 34};
  b.matrix.offsets = offsets;
  check<T>(g, a, b);
  // Evenly spaced, not from the start, backwards; and the same matrix for all.
  const int64_t backwards[] = {2 * 20 * 34, 20 * 34, 0}, same[] = {7, 7, 7};
  b.matrix.offsets = backwards;
  check<T>(g, a, b);
  b.matrix.offsets = same;
  check<T>(g, a, b);
}

TYPED_TEST(Gemm, AlphaBeta) {
  using T = TypeParam;
  if constexpr (!std::is_integral_v<T>) {
    std::mt19937 rng(5);
    const int64_t shapes[][3] = {{3, 4, 5},     {1, 50, 80},    {50, 1, 80}, {20, 70, 30},
                                 {6, 40, 2100}, {40, 33, 1100}, {3, 4, 0},   {5, 4, 10000}};
    for (auto& [m, n, k] : shapes)
      for (Layout ld : kLayouts) {
        GemmArgs g;
        g.m = m, g.n = n, g.k = k;
        g.alpha = 0.75, g.beta = -1.5;
        Operand<T> d(1, m, n, ld, rng);
        check<T>(g, Operand<T>(1, m, k, Layout::rows, rng),
                 Operand<T>(1, k, n, Layout::columns, rng), &d);
        check<T>(g, Operand<T>(1, m, k, Layout::rows, rng), Operand<T>(1, k, n, Layout::rows, rng),
                 &d);
      }
    // A batch with a bias of its own each, and one for all.
    for (bool shared : {false, true}) {
      GemmArgs g;
      g.batch = 4;
      g.m = 5, g.n = 40, g.k = 33;
      g.beta = 2;
      Operand<T> d(4, 5, 40, Layout::broadcast_row, rng, shared);
      check<T>(g, Operand<T>(4, 5, 33, Layout::rows, rng),
               Operand<T>(4, 33, 40, Layout::columns, rng, true), &d);
    }
  }
}

TYPED_TEST(Gemm, Empty) {
  using T = TypeParam;
  std::mt19937 rng(6);
  for (auto [m, n, k] : {std::array<int64_t, 3>{0, 4, 5}, {4, 0, 5}, {4, 5, 0}, {70, 90, 0}}) {
    GemmArgs g;
    g.m = m, g.n = n, g.k = k;
    g.batch = 2;
    check<T>(g, Operand<T>(2, m, k, Layout::rows, rng), Operand<T>(2, k, n, Layout::rows, rng));
    g.batch = 0;
    check<T>(g, Operand<T>(1, m, k, Layout::rows, rng), Operand<T>(1, k, n, Layout::rows, rng));
  }
}

TYPED_TEST(Gemm, SameBitsForEveryThreadCount) {
  using T = TypeParam;
  std::mt19937 rng(7);
  const int64_t shapes[][4] = {{1, 200, 190, 180}, {1, 1, 3000, 700},  {1, 3, 3000, 700},
                               {1, 900, 3, 600},   {1, 20, 30, 30000}, {1, 1, 64, 20000},
                               {40, 16, 16, 16},   {3, 150, 150, 150}};
  const int before = num_threads();
  for (auto& [batch, m, n, k] : shapes)
    for (Layout lb : {Layout::rows, Layout::columns}) {
      Operand<T> a(batch, m, k, Layout::rows, rng), b(batch, k, n, lb, rng);
      GemmArgs g;
      g.dtype = DtypeOf<T>::get();
      g.batch = batch;
      g.m = m, g.n = n, g.k = k;
      g.a = a.matrix, g.b = b.matrix;
      std::vector<T> one(batch * m * n), many(one.size());
      set_num_threads(1);
      g.c = one.data();
      gemm(g);
      for (int threads : {2, 3}) {
        set_num_threads(threads);
        g.c = many.data();
        gemm(g);
        ASSERT_EQ(std::memcmp(one.data(), many.data(), one.size() * sizeof(T)), 0)
            << m << "x" << n << "x" << k;
      }
    }
  set_num_threads(before);
}

TEST(GemmHalf, WidenedPathServesEveryCpu) {
  // On a CPU with bfloat16 dot products gemm() does not take this path.
  std::mt19937 rng(8);
  for (auto [m, n, k] : {std::array<int64_t, 3>{1, 100, 200}, {40, 50, 60}, {15, 33, 1030}})
    for (Layout lb : {Layout::rows, Layout::columns}) {
      GemmArgs g;
      g.m = m, g.n = n, g.k = k;
      check<bfloat16_t>(g, Operand<bfloat16_t>(1, m, k, Layout::rows, rng),
                        Operand<bfloat16_t>(1, k, n, lb, rng), nullptr, gemm_detail::run_bfloat16);
    }
}

TEST(GemmHalf, RoundsOnceAndKeepsSpecialValues) {
  const float inf = std::numeric_limits<float>::infinity();
  // 300 ones: a bfloat16 sum would stick at 256; and 2^17 in float16 is infinite.
  for (int64_t n : {1, 40}) {
    GemmArgs g;
    g.m = 1, g.n = n, g.k = 300;
    std::vector<bfloat16_t> a(300, bfloat16_t(1.0f)), b(300 * n, bfloat16_t(1.0f)), c(n);
    g.dtype = bfloat16;
    g.a = {a.data(), 300, 1}, g.b = {b.data(), n, 1}, g.c = c.data();
    gemm(g);
    for (auto x : c) EXPECT_EQ(float(x), 300.0f);
    std::vector<float16_t> x(300, float16_t(300.0f)), y(300 * n, float16_t(2.0f)), z(n);
    g.dtype = float16;
    g.a.data = x.data(), g.b.data = y.data(), g.c = z.data();
    gemm(g);
    for (auto v : z) EXPECT_EQ(float(v), inf);
    a[0] = bfloat16_t(std::nanf(""));
    g.dtype = bfloat16;
    g.a.data = a.data(), g.b.data = b.data(), g.c = c.data();
    gemm(g);
    for (auto v : c) EXPECT_TRUE(std::isnan(float(v)));
  }
}

TEST(GemmIntegers, ScaleWithSign) {
  std::vector<int8_t> a{-3, 2}, b{4, 5}, d{-7};
  int8_t c = 0;
  GemmArgs g;
  g.dtype = int8;
  g.m = g.n = 1, g.k = 2;
  g.a = {a.data(), 2, 1}, g.b = {b.data(), 1, 1}, g.c = &c;
  g.alpha = 2, g.beta = 3, g.d = {d.data(), 1, 1};
  gemm(g);
  EXPECT_EQ(c, 2 * (-12 + 10) + 3 * -7);
}

TEST(GemmErrors, BoolIsRefused) {
  GemmArgs g;
  g.dtype = bool_;
  EXPECT_THROW(gemm(g), std::invalid_argument);
}

TEST(GemmBatches, OffsetsOfAShape) {
  EXPECT_EQ(batch_offsets({2, 3}, {10, 1}), (std::vector<int64_t>{0, 1, 2, 10, 11, 12}));
  EXPECT_EQ(batch_offsets({2, 2}, {0, 5}), (std::vector<int64_t>{0, 5, 0, 5}));
  EXPECT_EQ(batch_offsets({}, {}), (std::vector<int64_t>{0}));
  EXPECT_TRUE(batch_offsets({0, 3}, {3, 1}).empty());
}

}  // namespace
}  // namespace mlx::core::cpu
