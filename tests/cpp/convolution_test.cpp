// tests/cpp/convolution_test.cpp: the C++ functions of convolution: values, derivatives, errors.
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "mlx/mlx.h"

namespace {

using namespace mlx::core;

std::vector<double> values(const array& x) {
  array a = contiguous(astype(x, float64));
  a.eval();
  return {a.data<double>(), a.data<double>() + a.size()};
}

array doubles(std::vector<double> v, Shape shape) { return array(v.begin(), shape, float64); }

/** Small integers, so that float32 sums are exact in any order. */
array integers(const Shape& shape, int period, Dtype dtype = float32) {
  int n = 1;
  for (auto d : shape) n *= d;
  array a = subtract(remainder(arange(0, n, 1), array(period)), array(period / 2));
  return astype(reshape(a, shape), dtype);
}

/** The definition of a two-dimensional convolution without groups. */
std::vector<double> written_out(const array& x, const array& w, int stride, int pad, int dilation) {
  const auto xs = values(x), ws = values(w);
  const int n = x.shape(0), h = x.shape(1), v = x.shape(2), c = x.shape(3);
  const int o = w.shape(0), kh = w.shape(1), kw = w.shape(2);
  const int rows = (h + 2 * pad - dilation * (kh - 1) - 1) / stride + 1;
  const int columns = (v + 2 * pad - dilation * (kw - 1) - 1) / stride + 1;
  std::vector<double> out;
  for (int b = 0; b < n; ++b)
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < columns; ++j)
        for (int q = 0; q < o; ++q) {
          double sum = 0;
          for (int s = 0; s < kh; ++s)
            for (int t = 0; t < kw; ++t) {
              const int y = i * stride + s * dilation - pad, z = j * stride + t * dilation - pad;
              if (y < 0 || y >= h || z < 0 || z >= v) continue;
              for (int k = 0; k < c; ++k) {
                sum += xs[((b * h + y) * v + z) * c + k] * ws[((q * kh + s) * kw + t) * c + k];
              }
            }
          out.push_back(sum);
        }
  return out;
}

TEST(Convolution, OneDimensionByHand) {
  array x = doubles({1, 2, 3, 4}, {1, 4, 1}), w = doubles({1, 10}, {1, 2, 1});
  EXPECT_EQ(values(conv1d(x, w)), (std::vector<double>{21, 32, 43}));
  EXPECT_EQ(values(conv1d(x, w, 2, 1)), (std::vector<double>{10, 32, 4}));
  EXPECT_EQ(values(conv_transpose1d(x, w, 2)), (std::vector<double>{1, 10, 2, 20, 3, 30, 4, 40}));
}

TEST(Convolution, TwoDimensionsAsWrittenOut) {
  for (Dtype dtype : {float32, float64, float16, bfloat16}) {
    for (int channels : {1, 3, 16, 17, 32}) {
      for (auto [stride, pad, dilation] :
           {std::tuple{1, 0, 1}, std::tuple{1, 1, 1}, std::tuple{2, 1, 1}, std::tuple{3, 2, 2}}) {
        array x = integers({2, 9, 11, channels}, 7, dtype);
        array w = integers({5, 3, 3, channels}, 5, dtype);
        array y = conv2d(x, w, {stride, stride}, {pad, pad}, {dilation, dilation});
        EXPECT_EQ(y.dtype(), dtype);
        // Sums are exact in float32, so half floats are rounded once.
        array expected = doubles(written_out(x, w, stride, pad, dilation), y.shape());
        EXPECT_EQ(values(y), values(astype(expected, dtype)))
            << channels << " channels, stride " << stride;
      }
    }
  }
}

TEST(Convolution, GroupsAreConvolutionsOfTheirOwn) {
  array x = integers({2, 8, 8, 6}, 7), w = integers({12, 3, 3, 2}, 5);
  auto xs = split(x, 3, -1), ws = split(w, 3, 0);
  std::vector<array> parts;
  for (int i = 0; i < 3; ++i) parts.push_back(conv2d(xs[i], ws[i], {2, 2}, {1, 1}));
  EXPECT_EQ(values(conv2d(x, w, {2, 2}, {1, 1}, {1, 1}, 3)), values(concatenate(parts, -1)));
}

TEST(Convolution, ThreeDimensionsAreSumsOfTwo) {
  array x = integers({1, 2, 6, 6, 4}, 7), w = integers({3, 2, 3, 3, 4}, 5);
  array expected = zeros({1, 4, 4, 3});
  for (int t = 0; t < 2; ++t) {
    expected = add(expected, conv2d(take(x, t, 1), take(w, t, 1)));
  }
  EXPECT_EQ(values(conv3d(x, w)), values(expected));
}

TEST(Convolution, GradientsAreAdjoint) {
  // <conv(x, w), v> is linear in x and in w, so both gradients give it back; integers: exactly.
  for (int stride : {1, 2, 3}) {
    for (int groups : {1, 2, 4}) {
      array x = integers({2, 9, 8, 4}, 7), w = integers({8, 3, 3, 4 / groups}, 5);
      auto f = [&](const std::vector<array>& in) {
        return std::vector<array>{conv2d(in[0], in[1], {stride, stride}, {1, 1}, {1, 1}, groups)};
      };
      array v = integers(f({x, w})[0].shape(), 3);
      auto [y, grads] = vjp(f, {x, w}, {v});
      const double product = values(sum(multiply(y[0], v)))[0];
      EXPECT_EQ(values(sum(multiply(grads[0], x)))[0], product);
      EXPECT_EQ(values(sum(multiply(grads[1], w)))[0], product);
    }
  }
}

TEST(Convolution, SizesThatDoNotFitAreErrors) {
  constexpr int huge = std::numeric_limits<int>::max();
  array x = ones({1, 5, 1}), w = ones({1, 3, 1});
  EXPECT_THROW(conv1d(x, w, 1, huge), std::invalid_argument);
  EXPECT_THROW(conv1d(x, w, 1, huge, huge), std::invalid_argument);
  EXPECT_THROW(conv_general(x, w, {1}, {0}, {0}, {1}, std::vector<int>{huge}),
               std::invalid_argument);
  EXPECT_THROW(conv_transpose1d(x, w, huge), std::invalid_argument);
  EXPECT_THROW(conv_transpose1d(x, w, 1, 0, huge), std::invalid_argument);
  EXPECT_THROW(conv_transpose1d(x, w, 1, -huge), std::invalid_argument);
}

}  // namespace
