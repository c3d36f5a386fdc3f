// tests/cpp/at_once_test.cpp: small graphs that are computed without a plan.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "mlx/mlx.h"

namespace mlx::core {
namespace {

std::vector<char> bytes_of(array a) {
  a = contiguous(a);
  eval(a);
  const char* data = a.data<char>();
  return {data, data + a.nbytes()};
}

/** The same graph through a plan: two results asked for at once are none of the small ones. */
std::vector<char> planned(const std::function<array()>& make) {
  array a = contiguous(make()), other = make() + array(1.0f);
  eval(a, other);
  return bytes_of(a);
}

TEST(AtOnce, SameBitsAsPlans) {
  const array x = random::normal({7, 33}), y = random::normal({7, 33}), row = random::normal({33}),
              column = random::normal({7, 1}), middle = random::normal({7, 1, 3}),
              cube = random::normal({7, 5, 3}), wide = astype(x, float16);
  eval(x, y, row, column, middle, cube, wide);
  const array s(0.37f);
  const std::vector<std::function<array()>> graphs = {
      [&] { return x + y; },
      [&] { return x * s; },
      [&] { return s - x; },
      [&] { return x + row; },
      [&] { return exp(x - column) / (row + s); },
      [&] { return cube * middle; },
      [&] { return where(x > y, x, row); },
      [&] { return where(x > y, s, y); },
      [&] { return astype(x * array(100.0f), int32); },
      [&] { return astype(wide * wide, float32) + x; },
      [&] { return sum(x, 1); },
      [&] { return sum(exp(x), 0); },
      [&] { return var(x, 1); },
      [&] { return transpose(x) + transpose(y); },
      [&] {
        return transpose(x) * slice(column, {0, 0}, {1, 1});
      },
      [&] { return reshape(transpose(x), {-1}) + s; },
      [&] {
        return slice(x, {0, 0}, {7, 33}, {2, 3}) + s;
      },
      [&] {
        return broadcast_to(row, {3, 33});
      },
      [&] { return sqrt(x); },
  };
  for (size_t i = 0; i < graphs.size(); ++i)
    EXPECT_EQ(bytes_of(graphs[i]()), planned(graphs[i])) << "graph " << i;
}

TEST(AtOnce, TurnedOperandsKeepTheirLayout) {
  array x = reshape(arange(0.0f, 24.0f), {2, 3, 4});
  array turned = transpose(x, {2, 0, 1});
  eval({x, turned});
  array y = turned * array(2.0f) + turned, mixed = turned + contiguous(turned);
  array flipped = slice(x, {1, 0, 0}, {-3, 3, 4}, {-1, 1, 1}), twice = flipped + flipped;
  eval(y);
  EXPECT_EQ(y.strides(), turned.strides());
  EXPECT_TRUE(array_equal(y, contiguous(turned) * array(3.0f)).item<bool>());
  EXPECT_TRUE(array_equal(mixed, contiguous(turned) * array(2.0f)).item<bool>());
  EXPECT_TRUE(array_equal(twice, contiguous(flipped) * array(2.0f)).item<bool>());
}

TEST(AtOnce, EmptyAndLargeResults) {
  const array none = zeros({0, 5}), row = ones({5});
  eval(none, row);
  array sum_of_none = none + row;
  eval(sum_of_none);
  EXPECT_EQ(sum_of_none.shape(), Shape({0, 5}));
  const array large = full({200, 100}, 2.0f);
  array twice = large + large;
  EXPECT_EQ(sum(twice).item<float>(), 80000.0f);
}

TEST(AtOnce, WhatIsHeldOnTheWayKeepsItsValueAndNotItsGraph) {
  array x = full({4}, 2.0f);
  eval(x);
  array y = x * x, z = sum(y + x);
  eval(z);
  EXPECT_EQ(z.item<float>(), 24.0f);
  array w = y + y + x;
  eval(w);
  EXPECT_TRUE(y.is_available());
  EXPECT_FALSE(y.has_primitive());
  EXPECT_TRUE(y.inputs().empty());
  EXPECT_FALSE(w.has_primitive());
  EXPECT_EQ(y.data<float>()[3], 4.0f);
  EXPECT_EQ(w.data<float>()[3], 10.0f);
}

TEST(AtOnce, LongChainsTakeAPlan) {
  array x = zeros({3});
  eval(x);
  array y = x;
  for (int i = 0; i < 500; ++i) y = y + array(1.0f);
  eval(y);
  EXPECT_EQ(y.data<float>()[2], 500.0f);
}

TEST(AtOnce, ThreadsThatAskForTheSame) {
  for (int round = 0; round < 200; ++round) {
    array x = full({64}, 3.0f);
    eval(x);
    array y = x * x, z = y + x;
    std::vector<std::thread> threads;
    std::vector<float> got(4);
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        array mine = t % 2 ? z : z - y;
        eval(mine);
        got[t] = mine.data<float>()[63];
      });
    }
    for (auto& t : threads) t.join();
    EXPECT_EQ(got, (std::vector<float>{3, 12, 3, 12}));
  }
}

TEST(AtOnce, PlaceholdersAreRefused) {
  array x = ones({2});
  eval(x);
  EXPECT_THROW(compile([](const std::vector<array>& a) {
                 array y = a[0] + a[0];
                 eval(y);
                 return std::vector<array>{y};
               })({x}),
               std::invalid_argument);
}

}  // namespace
}  // namespace mlx::core
