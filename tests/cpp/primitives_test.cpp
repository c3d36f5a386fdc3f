// The classes of mlx/primitives.h: a node made by hand has the value of the function, and what the
// functions make says which class and parameters it has.
#include "mlx/primitives.h"

#include <gtest/gtest.h>

#include <cmath>
#include <typeinfo>

#include "mlx/distributed/primitives.h"
#include "mlx/fast_primitives.h"
#include "mlx/mlx.h"

namespace mlx::core {
namespace {

Stream cpu() { return default_stream(Device::cpu); }

template <class P, class... Args>
array made(const array& like, const std::vector<array>& inputs, Args... args) {
  return array(like.shape(), like.dtype(), std::make_shared<P>(cpu(), args...), inputs);
}

void expect_same(const array& by_hand, const array& by_function) {
  const Primitive &mine = by_hand.primitive(), &theirs = by_function.primitive();
  EXPECT_TRUE(typeid(mine) == typeid(theirs)) << mine.name() << " is no " << theirs.name();
  EXPECT_TRUE(array_equal(by_hand, by_function, true).item<bool>()) << mine.name();
}

TEST(Primitives, ElementwiseRowsHaveClasses) {
  array x({0.25f, 0.5f, 0.75f}), y({1.0f, 2.0f, 0.5f}), i({1, 6, 3}), j({3, 2, 1});
#define MLX_ONE(Name, func) expect_same(made<Name>(x, {x}), func(x))
  MLX_ONE(Abs, abs);
  MLX_ONE(ArcCos, arccos);
  MLX_ONE(ErfInv, erfinv);
  MLX_ONE(Exp, exp);
  MLX_ONE(Floor, floor);
  MLX_ONE(Negative, negative);
  MLX_ONE(Round, round);
  MLX_ONE(Sigmoid, sigmoid);
  MLX_ONE(Sqrt, sqrt);
  MLX_ONE(Tanh, tanh);
#undef MLX_ONE
  expect_same(made<Sqrt>(x, {x}, true), rsqrt(x));
  expect_same(made<Log>(x, {x}, Log::e), log(x));
  expect_same(made<Log>(x, {x}, Log::two), log2(x));
  expect_same(made<Log>(x, {x}, Log::ten), log10(x));
  expect_same(made<Add>(x, {x, y}), x + y);
  expect_same(made<Power>(x, {x, y}), power(x, y));
  expect_same(made<Select>(x, {x > y, x, y}), where(x > y, x, y));
  array truth = equal(x, y);
  expect_same(made<Less>(truth, {x, y}), x < y);
  expect_same(made<Equal>(truth, {x, y}), x == y);
  array nans({NAN, 1.0f, 2.0f});
  EXPECT_TRUE(all(made<Equal>(truth, {nans, nans}, true)).item<bool>());
  array (*const bits[])(const array&, const array&, StreamOrDevice) = {
      bitwise_and, bitwise_or, bitwise_xor, left_shift, right_shift};
  for (int op = 0; op < 5; ++op) {
    array both = bits[op](i, j, {});
    EXPECT_EQ(dynamic_cast<BitwiseBinary&>(both.primitive()).state(), op);
    expect_same(made<BitwiseBinary>(i, {i, j}, static_cast<BitwiseBinary::Op>(op)), both);
  }
}

TEST(Primitives, OfShapes) {
  array x = reshape(arange(24, float32), {2, 3, 4});
  expect_same(made<Transpose>(zeros({4, 2, 3}), {x}, std::vector<int>{2, 0, 1}),
              transpose(x, {2, 0, 1}));
  expect_same(made<Reshape>(zeros({6, 4}), {x}, Shape{6, 4}), reshape(x, {6, 4}));
  expect_same(made<Slice>(zeros({1, 3, 2}), {x}, Shape{1, 0, 0}, Shape{2, 3, 4}, Shape{1, 1, 2}),
              slice(x, {1, 0, 0}, {2, 3, 4}, {1, 1, 2}));
  expect_same(made<Concatenate>(zeros({4, 3, 4}), {x, x}, 0), concatenate({x, x}, 0));
  expect_same(made<AsType>(astype(x, int32), {x}, int32), astype(x, int32));
  expect_same(made<Arange>(zeros({3}), {}, 1.0, 2.5, 0.5), arange(1.0, 2.5, 0.5));
  EXPECT_EQ(dynamic_cast<Arange&>(arange(1.0, 2.5, 0.5).primitive()).state(),
            std::make_tuple(1.0, 2.5, 0.5));
  array update = ones({1, 3, 4});
  Shape start{1, 0, 0}, stop{2, 3, 4}, step{1, 1, 1};
  using Type = SliceUpdate::ReduceType;
  auto updated = [&](Type type) {
    return made<SliceUpdate>(x, {x, update}, type, start, stop, step);
  };
  expect_same(updated(SliceUpdate::None), slice_update(x, update, start, stop, step));
  expect_same(updated(SliceUpdate::Sum), slice_update_add(x, update, start, stop, step));
  expect_same(updated(SliceUpdate::Prod), slice_update_prod(x, update, start, stop, step));
  expect_same(updated(SliceUpdate::Max), slice_update_max(x, update, start, stop, step));
  expect_same(updated(SliceUpdate::Min), slice_update_min(x, update, start, stop, step));
  for (Type t : {SliceUpdate::Max, SliceUpdate::Min, SliceUpdate::Sum, SliceUpdate::Prod,
                 SliceUpdate::None}) {
    EXPECT_EQ(std::get<0>(SliceUpdate(cpu(), t, start, stop, step).state()), t);
  }
}

TEST(Primitives, OfValues) {
  array x({3.0f, 1.0f, 2.0f, 6.0f, 5.0f, 4.0f}, {2, 3}), w = ones({3, 2});
  expect_same(made<Softmax>(x, {x}, false), softmax(x, -1));
  expect_same(made<Sort>(x, {x}, 1), sort(x, 1));
  expect_same(made<ArgSort>(argsort(x, 1), {x}, 1), argsort(x, 1));
  expect_same(made<Scan>(x, {x}, Scan::Sum, 1, false, true), cumsum(x, 1));
  expect_same(made<Matmul>(zeros({2, 2}), {x, w}), matmul(x, w));
  array total = made<Reduce>(zeros({2, 1}), {x}, Reduce::Max, std::vector<int>{1});
  expect_same(total, max(x, 1, true));
  auto state = dynamic_cast<Reduce&>(max(x, 1, true).primitive()).state();
  EXPECT_EQ(state.first, Reduce::Max);
  EXPECT_EQ(state.second, std::vector<int>{1});

  array image = random::normal({1, 5, 5, 2}, random::key(1));
  array kernel = random::normal({4, 3, 3, 2}, random::key(2));
  std::vector<int> one{1, 1}, zero{0, 0};
  expect_same(made<Convolution>(zeros({1, 5, 5, 4}), {image, kernel}, one, one, one, one, one),
              conv2d(image, kernel, {1, 1}, {1, 1}));
  array weight = random::normal({32, 64}, random::key(3)), in = ones({2, 64});
  auto packed = quantize(weight, 32, 4);
  expect_same(made<QuantizedMatmul>(zeros({2, 32}), {in, packed[0], packed[1], packed[2]}, 32, 4,
                                    QuantizationMode::Affine, true),
              quantized_matmul(in, packed[0], packed[1], packed[2], true, 32, 4));
  expect_same(made<Hadamard>(in, {in}, 0.125f), hadamard_transform(in, 0.125f));
}

TEST(Primitives, LayersIgnoreTheCompositionTheyAreGiven) {
  array x = random::normal({2, 8}, random::key(4)), w = ones({8}), b = zeros({8});
  auto unused = [](std::vector<array> in) { return in; };
  using Fn = std::function<std::vector<array>(std::vector<array>)>;
  expect_same(made<fast::RMSNorm>(x, {x, w}, Fn(unused), 1e-5f), fast::rms_norm(x, w, 1e-5f));
  expect_same(made<fast::LayerNorm>(x, {x, w, b}, Fn(unused), 1e-5f),
              fast::layer_norm(x, w, b, 1e-5f));
}

TEST(Primitives, ChainsOfThemAreFusedAndDifferentiated) {
  array x({0.5f, 1.0f});
  auto f = [](const array& v) { return sum(made<Multiply>(v, {made<Exp>(v, {v}), v})); };
  array gradient = grad(std::function<array(const array&)>(f))(x);
  EXPECT_TRUE(allclose(gradient, exp(x) * (1.0f + x)).item<bool>());
  auto compiled = compile([](const std::vector<array>& in) {
    return std::vector<array>{made<Sin>(in[0], {made<Exp>(in[0], {in[0]})})};
  });
  EXPECT_TRUE(allclose(compiled({x})[0], sin(exp(x))).item<bool>());
}

TEST(Primitives, SiblingsCanBeJoinedByHand) {
  auto split = std::make_shared<Split>(cpu(), Shape{1}, 0);
  array x = arange(3);
  array first({1}, int32, split, {x}), second({2}, int32, split, {x});
  first.set_siblings({second}, 0);
  second.set_siblings({first}, 1);
  EXPECT_EQ(second.sibling_position(), 1);
  EXPECT_EQ(first.outputs().size(), 2u);
  EXPECT_TRUE(array_equal(second, array({1, 2})).item<bool>());
  EXPECT_TRUE(array_equal(first, array({0})).item<bool>());
  EXPECT_THROW(first.set_siblings({second}, 2), std::invalid_argument);
}

TEST(Primitives, OfAGroupOfOne) {
  array x = arange(3, float32);
  auto group = distributed::init();
  array sum = made<distributed::AllReduce>(x, {x}, group, distributed::AllReduce::Sum);
  EXPECT_TRUE(array_equal(sum, x).item<bool>());
  EXPECT_THROW(made<distributed::Send>(x, {x}, group, 1).eval(), std::runtime_error);
}

}  // namespace
}  // namespace mlx::core
