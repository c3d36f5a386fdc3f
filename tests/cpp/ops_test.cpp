// tests/cpp/ops_test.cpp: views, shapes and errors of the shape family, products, softmax.
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "mlx/einsum.h"
#include "mlx/ops.h"
#include "mlx/transforms.h"

using namespace mlx::core;

namespace {

std::vector<float> values(const array& a) {
  array c = contiguous(astype(a, float32));
  c.eval();
  return {c.data<float>(), c.data<float>() + c.size()};
}

array grid() { return reshape(arange(6.0), {2, 3}); }

bool shares_memory(array a, array b) {
  eval(a, b);
  return a.data_shared_ptr() == b.data_shared_ptr();
}

using V = std::vector<float>;

}  // namespace

TEST(Views, ShareTheMemoryOfTheirInput) {
  array a = grid();
  a.eval();
  EXPECT_TRUE(shares_memory(a, transpose(a)));
  EXPECT_TRUE(shares_memory(a, broadcast_to(a, {4, 2, 3})));
  EXPECT_TRUE(shares_memory(a, slice(a, {0, 2}, {2, -4}, {1, -1})));
  EXPECT_TRUE(shares_memory(a, reshape(a, {3, 2})));
  EXPECT_TRUE(shares_memory(a, expand_dims(transpose(a), 1)));
  EXPECT_TRUE(shares_memory(a, split(a, 3, 1)[2]));
  // A transposed matrix has no strides as one axis: a copy.
  EXPECT_FALSE(shares_memory(a, flatten(transpose(a))));
  EXPECT_EQ(values(flatten(transpose(a))), (V{0, 3, 1, 4, 2, 5}));
}

TEST(Views, NegativeStridesAndClampedBounds) {
  array a = grid();
  EXPECT_EQ(values(flip(a, 1)), (V{2, 1, 0, 5, 4, 3}));
  EXPECT_EQ(values(flip(a)), (V{5, 4, 3, 2, 1, 0}));
  EXPECT_EQ(values(slice(a, {-1, 0}, {100, 3})), (V{3, 4, 5}));
  EXPECT_EQ(slice(a, {5, 0}, {9, 3}).shape(), (Shape{0, 3}));
  EXPECT_EQ(values(slice(transpose(flip(a)), {0, 0}, {3, 2}, {2, 1})), (V{5, 2, 3, 0}));
}

TEST(Views, AsStridedStaysWithinTheArray) {
  array a = arange(4.0);
  EXPECT_EQ(values(as_strided(a, {3, 2}, {1, 1}, 0)), (V{0, 1, 1, 2, 2, 3}));
  EXPECT_EQ(values(as_strided(a, {4}, {-1}, 3)), (V{3, 2, 1, 0}));
  EXPECT_EQ(as_strided(a, {0, 9}, {1, 1}, 0).size(), 0u);
  EXPECT_THROW(as_strided(a, {3, 3}, {1, 1}, 0), std::invalid_argument);
  EXPECT_THROW(as_strided(a, {2}, {-1}, 0), std::invalid_argument);
  EXPECT_THROW(as_strided(a, {1}, {1}, 4), std::invalid_argument);
  EXPECT_THROW(as_strided(a, {2, 2}, {1}, 0), std::invalid_argument);
  auto f = [](const array& x) { return as_strided(x, {3, 2}, {1, 1}, 0); };
  EXPECT_EQ(values(vjp(f, a, ones({3, 2})).second), (V{1, 2, 2, 1}));
}

TEST(Shapes, ErrorsNameTheOpAndTheShapes) {
  array a = grid();
  try {
    reshape(a, {4, 2});
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_STREQ(e.what(), "[reshape] Cannot reshape array of size 6 into shape (4,2).");
  }
  EXPECT_THROW(reshape(a, {-1, -1}), std::invalid_argument);
  EXPECT_THROW(reshape(zeros({0, 3}), {0, -1}), std::invalid_argument);
  EXPECT_THROW(transpose(a, {0, 0}), std::invalid_argument);
  EXPECT_THROW(transpose(a, {0, 5}), std::out_of_range);
  EXPECT_THROW(squeeze(a, 0), std::invalid_argument);
  EXPECT_THROW(squeeze(a, 7), std::out_of_range);
  EXPECT_THROW(expand_dims(a, {0, 0}), std::invalid_argument);
  EXPECT_THROW(broadcast_to(a, {3}), std::invalid_argument);
  EXPECT_THROW(flatten(a, 2, 2), std::invalid_argument);
  EXPECT_THROW(concatenate({a, zeros({2, 4})}, 0), std::invalid_argument);
  EXPECT_THROW(split(a, 2, 1), std::invalid_argument);
  EXPECT_THROW(roll(a, Shape{}, std::vector<int>{0, 1}), std::invalid_argument);
  EXPECT_THROW(matmul(a, a), std::invalid_argument);
  EXPECT_THROW(arange(0.0, 1.0, 0.0), std::invalid_argument);
  EXPECT_THROW(arange(std::numeric_limits<double>::infinity()), std::invalid_argument);
}

TEST(SliceUpdate, WritesWithStridesAndModes) {
  array a = grid(), two = array(2.0f);
  EXPECT_EQ(values(slice_update(a, array({7.0f, 8.0f}), {0, 0}, {1, 3}, {1, 2})),
            (V{7, 1, 8, 3, 4, 5}));
  EXPECT_EQ(values(slice_update_add(a, two, {0, 1}, {2, 3})), (V{0, 3, 4, 3, 6, 7}));
  EXPECT_EQ(values(slice_update_prod(a, two, {1, 0}, {2, 3})), (V{0, 1, 2, 6, 8, 10}));
  EXPECT_EQ(values(slice_update_max(a, two, {0, 0}, {2, 3})), (V{2, 2, 2, 3, 4, 5}));
  EXPECT_EQ(values(slice_update_min(a, two, {0, 0}, {2, 3})), (V{0, 1, 2, 2, 2, 2}));
  EXPECT_EQ(values(a), (V{0, 1, 2, 3, 4, 5}));  // the source is as it was
}

TEST(SliceUpdate, StartsGivenAsArrays) {
  array a = grid(), one = array({1}, int32);
  EXPECT_EQ(values(slice(a, one, {1}, {2, 2})), (V{1, 2, 4, 5}));
  EXPECT_EQ(values(slice_update(a, array({7.0f}, {1, 1}), one, {1})), (V{0, 7, 2, 3, 4, 5}));
  // Axes that the update lacks: one place where a start is given, all of the source elsewhere.
  EXPECT_EQ(values(slice_update(a, array(7.0f), one, {0})), (V{0, 1, 2, 7, 7, 7}));
  EXPECT_THROW(slice(a, array({0, 0}, int32), {0, 0}, {2, 2}), std::invalid_argument);
  EXPECT_THROW(slice(a, array({0.5f}), {0}, {2, 2}), std::invalid_argument);
  EXPECT_THROW(slice(a, one, {0}, {2, 4}), std::invalid_argument);
}

TEST(Products, VectorsBatchesAndNothing) {
  array a = grid(), v = arange(3.0);
  EXPECT_EQ(values(matmul(a, v)), (V{5, 14}));
  EXPECT_EQ(matmul(v, v).ndim(), 0u);
  EXPECT_EQ(values(matmul(zeros({2, 0}), zeros({0, 2}))), (V{0, 0, 0, 0}));
  EXPECT_EQ(matmul(zeros({5, 1, 2, 3}), zeros({4, 3, 6})).shape(), (Shape{5, 4, 2, 6}));
  EXPECT_EQ(values(matmul(astype(a, int32), astype(transpose(a), int32))), (V{5, 14, 14, 50}));
  EXPECT_EQ(values(addmm(array({1.0f, 2.0f}), a, transpose(a), 2.0f, 0.5f)),
            (V{10.5f, 29, 28.5f, 101}));
  EXPECT_EQ(values(einsum("ij,kj->ik", {a, a})), values(matmul(a, transpose(a))));
  EXPECT_THROW(einsum("ij,jk->ik", {a, a}), std::invalid_argument);
}

TEST(Softmax, EveryChoiceOfAxes) {
  array a = grid();
  EXPECT_EQ(values(softmax(a, std::vector<int>{})), V(6, 1.0f));
  EXPECT_EQ(values(softmax(array(3.0f))), V{1});
  EXPECT_EQ(values(softmax(zeros({2, 3}), 0)), V(6, 0.5f));
  EXPECT_NEAR(sum(softmax(a, std::vector<int>{0, 1})).item<float>(), 1, 1e-6);
  EXPECT_EQ(softmax(array({true, false})).dtype(), float32);
  EXPECT_EQ(softmax(array({1, 2}, uint8), 0, true).dtype(), float32);
  EXPECT_EQ(softmax(zeros({0, 3}), 1).shape(), (Shape{0, 3}));
  EXPECT_THROW(softmax(a, 5), std::out_of_range);
}

TEST(Derivatives, GradientsOfGradients) {
  // Reversed, padded and doubled: f = 2 sum x^2.
  auto f = [](const array& x) {
    array y = pad(slice(x, {2}, {-4}, {-1}), 1);
    return sum(multiply(concatenate({y, y}, 0), concatenate({y, y}, 0)));
  };
  auto g = grad(std::function<array(const array&)>(f));
  auto gg = grad(std::function<array(const array&)>([&](const array& x) { return sum(g(x)); }));
  EXPECT_EQ(values(g(arange(3.0))), (V{0, 4, 8}));
  EXPECT_EQ(values(gg(arange(3.0))), (V{4, 4, 4}));
}
