// tests/cpp/index_test.cpp: gather, scatter, order, scans, random: values, errors, derivatives,
// batches.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "backend/cpu/parallel.h"
#include "mlx/mlx.h"
#include "mlx/random.h"

namespace {

using namespace mlx::core;

template <typename T>
std::vector<T> values(const array& x) {
  array a = contiguous(x);
  a.eval();
  return {a.data<T>(), a.data<T>() + a.size()};
}

array ints(std::vector<int> v) {
  return array(v.begin(), Shape{static_cast<int>(v.size())}, int32);
}
array doubles(std::vector<double> v, Shape shape) { return array(v.begin(), shape, float64); }

array sequence(const Shape& shape, Dtype dtype = float64) {
  int n = 1;
  for (auto d : shape) n *= d;
  return astype(reshape(arange(0, n, 1), shape), dtype);
}

/** Without ties, in no order. */
array scrambled(const Shape& shape) {
  return sin(add(multiply(sequence(shape), array(2.7, float64)), array(0.3, float64)));
}

bool close(const array& a, const array& b, double tolerance = 1e-6) {
  return a.shape() == b.shape() &&
         allclose(astype(a, float64), astype(b, float64), tolerance, tolerance, true).item<bool>();
}

using Fn = std::function<array(const array&)>;

/** jvp against differences, vjp against jvp. */
void check_derivatives(const char* name, const Fn& f, const array& x) {
  array v = add(cos(multiply(sequence(x.shape()), array(1.3, float64))), array(0.1, float64));
  auto fun = [&](const std::vector<array>& in) { return std::vector<array>{f(in[0])}; };
  auto [out, tangents] = jvp(fun, {x}, {v});
  double h = 1e-6;
  array step = multiply(v, array(h, float64));
  array difference = divide(subtract(f(add(x, step)), f(subtract(x, step))), array(2 * h, float64));
  EXPECT_TRUE(close(tangents[0], difference, 1e-6))
      << name << ": jvp " << tangents[0] << " differences " << difference;
  array c = sin(add(sequence(out[0].shape()), array(0.7, float64)));
  auto grads = vjp(fun, {x}, {c}).second;
  double forward = sum(multiply(c, tangents[0])).item<double>();
  double backward = sum(multiply(grads[0], v)).item<double>();
  EXPECT_NEAR(forward, backward, 1e-8 * (1 + std::abs(forward))) << name << ": vjp " << grads[0];
}

/** vmap over either axis against a loop. */
void check_batches(const char* name, const Fn& f, const array& x) {
  for (int axis : {0, static_cast<int>(x.ndim()) - 1}) {
    std::vector<array> each;
    for (int i = 0; i < x.shape(axis); ++i) each.push_back(f(take(x, i, axis)));
    array batched = vmap(f, axis, 0)(x);
    EXPECT_TRUE(close(batched, stack(each, 0))) << name << " over axis " << axis << ": " << batched;
  }
}

TEST(Gather, TakesAlongAnyAxisOfAnyLayout) {
  array a = sequence({3, 4}, int32);
  EXPECT_EQ(values<int>(take(a, ints({2, -3}), 0)), (std::vector<int>{8, 9, 10, 11, 0, 1, 2, 3}));
  EXPECT_EQ(values<int>(take(a, ints({1, -1}), 1)), (std::vector<int>{1, 3, 5, 7, 9, 11}));
  EXPECT_EQ(values<int>(take(transpose(a), ints({1}), 0)), (std::vector<int>{1, 5, 9}));
  EXPECT_EQ(values<int>(take(flip(a, 1), ints({0}), 1)), (std::vector<int>{3, 7, 11}));
  EXPECT_EQ(values<int>(take(a, ints({11, -12}))), (std::vector<int>{11, 0}));
  EXPECT_EQ(take(a, reshape(ints({0, 1, 2, 0}), {2, 2}), 1).shape(), (Shape{3, 2, 2}));
  EXPECT_EQ(take(a, zeros({0}, int32), 1).shape(), (Shape{3, 0}));
  EXPECT_EQ(values<int>(gather(a, {ints({0, 1}), ints({2, 1})}, {0, 1}, {2, 2})),
            (std::vector<int>{2, 3, 6, 7, 5, 6, 9, 10}));
}

TEST(Gather, EveryIndexDtypeIsChecked) {
  array a = sequence({5, 2}, float32);
  for (Dtype t : {uint8, uint16, uint32, uint64, int8, int16, int32, int64}) {
    EXPECT_EQ(values<float>(take(a, astype(ints({4}), t), 0)), (std::vector<float>{8, 9}));
    for (int axis : {0, 1}) {
      array out = take(a, astype(ints({1, 7}), t), axis);
      EXPECT_THROW(out.eval(), std::out_of_range);
    }
  }
  array below = take(a, ints({-6}), 0);
  EXPECT_THROW(below.eval(), std::out_of_range);
  EXPECT_THROW(take(a, array({1.0f}), 0), std::invalid_argument);
  EXPECT_THROW(take(a, array({true}), 0), std::invalid_argument);
  EXPECT_THROW(take(a, ints({0}), 2), std::out_of_range);
  EXPECT_THROW(take(zeros({0, 3}), ints({0}), 0), std::invalid_argument);
  EXPECT_THROW(take_along_axis(a, ints({0}), 0), std::invalid_argument);
}

TEST(Scatter, RepeatedPositionsAreCombinedInOrder) {
  array a = ints({1, 2, 3, 4});
  array at = ints({1, 1, -1});
  array u = reshape(ints({5, 7, 2}), {3, 1});
  EXPECT_EQ(values<int>(scatter(a, at, u, 0)), (std::vector<int>{1, 7, 3, 2}));
  EXPECT_EQ(values<int>(scatter_add(a, at, u, 0)), (std::vector<int>{1, 14, 3, 6}));
  EXPECT_EQ(values<int>(scatter_prod(a, at, u, 0)), (std::vector<int>{1, 70, 3, 8}));
  EXPECT_EQ(values<int>(scatter_max(a, at, u, 0)), (std::vector<int>{1, 7, 3, 4}));
  EXPECT_EQ(values<int>(scatter_min(a, at, u, 0)), (std::vector<int>{1, 2, 3, 2}));
  array out = scatter_add(a, ints({4}), reshape(ints({5}), {1, 1}), 0);
  EXPECT_THROW(out.eval(), std::out_of_range);
  EXPECT_THROW(scatter(a, at, ints({1, 2, 3}), 0), std::invalid_argument);
  EXPECT_EQ(values<int>(a), (std::vector<int>{1, 2, 3, 4}));
}

TEST(Scatter, RowsAndAxes) {
  array a = zeros({3, 4}, float32);
  array rows = reshape(sequence({2, 4}, float32), {2, 1, 4});
  EXPECT_EQ(values<float>(scatter_add(a, ints({2, 2}), rows, 0)),
            (std::vector<float>{0, 0, 0, 0, 0, 0, 0, 0, 4, 6, 8, 10}));
  array columns = ones({2, 3, 1}, float32);
  EXPECT_EQ(values<float>(scatter_add(a, ints({0, 3}), columns, 1)),
            (std::vector<float>{1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1}));
  array at = reshape(ints({1, -1, 0}), {3, 1});
  EXPECT_EQ(values<float>(put_along_axis(a, at, array(5.0f), 1)),
            (std::vector<float>{0, 5, 0, 0, 0, 0, 0, 5, 5, 0, 0, 0}));
  EXPECT_EQ(values<float>(put_along_axis(a, at, array({1.0f, 2.0f, 3.0f}), 1)),
            (std::vector<float>{0, 3, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0}));
  EXPECT_EQ(values<float>(scatter_add_axis(a, reshape(ints({1, 1}), {1, 2}), array(2.0f), 1)),
            (std::vector<float>{0, 4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0}));
}

TEST(Scatter, SmallTermsOfHalfFloatsCount) {
  array at = zeros({4096}, int32);
  for (Dtype t : {float16, bfloat16}) {
    array out = scatter_add(zeros({1}, t), at, ones({4096, 1}, t), 0);
    EXPECT_EQ(astype(out, float32).item<float>(), 4096);
  }
}

TEST(MaskedScatter, CountsTheMask) {
  array a = ints({1, 2, 3, 4});
  array mask = array({true, false, true, true});
  EXPECT_EQ(values<int>(masked_scatter(a, mask, ints({7, 8, 9, 10}))),
            (std::vector<int>{7, 2, 8, 9}));
  array out = masked_scatter(a, mask, ints({7, 8}));
  EXPECT_THROW(out.eval(), std::runtime_error);
  EXPECT_THROW(masked_scatter(a, array({true}), a), std::invalid_argument);
}

TEST(Sort, EveryDtypeLengthAndAxis) {
  for (int v = 0; v < kNumDtypes; ++v) {
    Dtype t = dtype_of(static_cast<Dtype::Val>(v));
    for (const Shape& shape :
         {Shape{1}, Shape{7}, Shape{300}, Shape{70000}, Shape{5, 6}, Shape{3, 300, 9}}) {
      array x = astype(multiply(scrambled(shape), array(90.0, float64)), t);
      for (int axis = 0; axis < static_cast<int>(shape.size()); ++axis) {
        array order = argsort(x, axis), sorted = sort(x, axis);
        EXPECT_TRUE(array_equal(take_along_axis(x, order, axis), sorted).item<bool>())
            << t << shape;
        // A row's positions are all there, and equal elements keep their order.
        array back = sort(order, axis);
        Shape along(shape.size(), 1);
        along[axis] = shape[axis];
        EXPECT_TRUE(all(equal(back, reshape(arange(0, shape[axis], 1), along))).item<bool>());
        if (shape[axis] < 2) continue;
        Shape lo(shape.size(), 0), hi = shape, lo1 = lo, hi1 = shape;
        hi[axis] -= 1;
        lo1[axis] = 1;
        array a = slice(sorted, lo, hi), b = slice(sorted, lo1, hi1);
        array pa = slice(order, lo, hi), pb = slice(order, lo1, hi1);
        array fine = logical_or(less(a, b), logical_and(equal(a, b), less(pa, pb)));
        EXPECT_TRUE(all(fine).item<bool>()) << t << shape << axis;
      }
    }
  }
}

TEST(Sort, NanIsLastAndPartitionSelects) {
  float nan = NAN, inf = INFINITY;
  for (Dtype t : {float32, float16, bfloat16, float64}) {
    array x = astype(array({3.0f, nan, -inf, 0.0f, inf, -1.0f}), t);
    EXPECT_EQ(values<uint32_t>(argsort(x, 0)), (std::vector<uint32_t>{2, 5, 3, 0, 4, 1}));
    EXPECT_TRUE(std::isnan(astype(take(sort(x, 0), 5), float32).item<float>()));
    EXPECT_EQ(argmax(x).item<int>(), 1);
    EXPECT_EQ(argmin(x).item<int>(), 1);
  }
  array x = scrambled({4, 1000});
  array sorted = sort(x, 1);
  for (int k : {0, 10, 999, -1, -500}) {
    array part = partition(x, k, 1);
    EXPECT_TRUE(array_equal(take(part, k, 1), take(sorted, k, 1)).item<bool>());
    EXPECT_TRUE(array_equal(sort(part, 1), sorted).item<bool>());
    EXPECT_TRUE(array_equal(take_along_axis(x, argpartition(x, k, 1), 1), part).item<bool>());
  }
  array top = topk(x, 3, 1);
  EXPECT_TRUE(array_equal(sort(top, 1), slice(sorted, {0, 997}, {4, 1000})).item<bool>());
  EXPECT_THROW(partition(x, 1000, 1), std::invalid_argument);
  EXPECT_THROW(topk(x, -1, 1), std::invalid_argument);
  EXPECT_THROW(sort(x, 2), std::out_of_range);
}

TEST(ArgReduce, FirstOfEqualsInEveryLayout) {
  for (int v = 0; v < kNumDtypes; ++v) {
    Dtype t = dtype_of(static_cast<Dtype::Val>(v));
    array x = astype(array({0, 1, 1, 0}), t);
    EXPECT_EQ(argmax(x).item<int>(), 1) << t;
    EXPECT_EQ(argmin(x).item<int>(), 0) << t;
  }
  array x = scrambled({7, 300000});
  for (int axis : {0, 1}) {
    array at = argmax(x, axis, true);
    EXPECT_TRUE(array_equal(take_along_axis(x, at, axis), max(x, axis, true)).item<bool>());
    EXPECT_TRUE(array_equal(argmin(x, axis), argmax(negative(x), axis)).item<bool>());
  }
  EXPECT_THROW(argmax(zeros({0, 3}), 0), std::invalid_argument);
}

TEST(Search, CountsAndUnique) {
  array s = ints({1, 3, 3, 5}), v = ints({3, 0, 9});
  EXPECT_EQ(values<uint32_t>(searchsorted(s, v)), (std::vector<uint32_t>{1, 0, 4}));
  EXPECT_EQ(values<uint32_t>(searchsorted(s, v, "right")), (std::vector<uint32_t>{3, 0, 4}));
  EXPECT_THROW(searchsorted(s, v, "middle"), std::invalid_argument);
  auto u = unique(ints({3, 1, 2, 1, 3}), 5, true, true, true);
  EXPECT_EQ(values<int>(u[0]), (std::vector<int>{1, 2, 3, 1, 1}));
  EXPECT_EQ(values<uint32_t>(u[1]), (std::vector<uint32_t>{1, 2, 0, 1, 1}));
  EXPECT_EQ(values<uint32_t>(u[2]), (std::vector<uint32_t>{2, 0, 1, 0, 2}));
  EXPECT_EQ(values<int>(u[3]), (std::vector<int>{2, 1, 2, 0, 0}));
  EXPECT_EQ(values<int>(unique(ints({3, 1, 2, 1, 3}), 2)[0]), (std::vector<int>{1, 2}));
}

TEST(Scan, DirectionsAndAxes) {
  array a = sequence({2, 3}, int32);
  EXPECT_EQ(values<int>(cumsum(a, 1)), (std::vector<int>{0, 1, 3, 3, 7, 12}));
  EXPECT_EQ(values<int>(cumsum(a, 0, true, false)), (std::vector<int>{3, 4, 5, 0, 0, 0}));
  EXPECT_EQ(values<int>(cumprod(a, 1, false, false)), (std::vector<int>{1, 0, 0, 1, 3, 12}));
  EXPECT_EQ(values<int>(cummax(ints({1, 3, 2}), 0, false, false)),
            (std::vector<int>{INT32_MIN, 1, 3}));
  EXPECT_EQ(values<int>(cummin(ints({1, 3, 2}), 0, true)), (std::vector<int>{1, 2, 2}));
  EXPECT_EQ(cumsum(array({true, true})).dtype(), int32);
  array x = scrambled({3, 5000});
  for (int axis : {0, 1}) {
    array other = transpose(cumsum(transpose(x), 1 - axis));
    EXPECT_TRUE(close(cumsum(x, axis), other, 1e-12));
    EXPECT_TRUE(close(logcumsumexp(x, axis), log(cumsum(exp(x), axis)), 1e-12));
    EXPECT_TRUE(close(cumsum(x, axis, true), flip(cumsum(flip(x, axis), axis), axis), 1e-12));
  }
  for (Dtype t : {float16, bfloat16}) {
    array out = cumsum(ones({2000}, t));
    EXPECT_EQ(astype(take(out, -1), float32).item<float>(), 2000);
  }
  EXPECT_EQ(take(cumsum(full({1 << 25}, 1.0f)), -1).item<float>(), float(1 << 25));
}

TEST(Index, SameBitsForAnyNumberOfThreads) {
  int threads = cpu::num_threads();
  auto run = [](int n) {
    cpu::set_num_threads(n);
    array k = random::key(3);
    array x = random::normal({300001}, k);
    array at = random::randint(0, 1000, {300001}, int32, k);
    std::vector<array> out{cumsum(x),
                           cumprod(add(x, array(1.0f))),
                           sort(x),
                           argsort(x),
                           scatter_add(zeros({1000}), at, reshape(x, {300001, 1}), 0),
                           take(x, at),
                           argmax(x),
                           random::bits({77777}, 2, k)};
    eval(out);
    return out;
  };
  auto one = run(1), three = run(3);
  cpu::set_num_threads(threads);
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_TRUE(array_equal(one[i], three[i], true).item<bool>()) << i;
  }
}

TEST(Index, Derivatives) {
  array x = scrambled({4, 5}), v = scrambled({9});
  array at = ints({1, -1, 1, 0});
  array u = add(reshape(scrambled({20}), {4, 1, 5}), array(2.0, float64));
  check_derivatives(
      "take", [&](const array& a) { return square(take(a, at, 0)); }, x);
  check_derivatives(
      "take axis", [&](const array& a) { return square(take(a, at, 1)); }, x);
  check_derivatives(
      "along", [&](const array& a) { return square(take_along_axis(a, argsort(x, 1), 1)); }, x);
  check_derivatives(
      "put",
      [&](const array& a) {
        return square(put_along_axis(a, reshape(ints({0, 1, 2, 3}), {4, 1}),
                                     slice(square(a), {0, 0}, {4, 1}), 1));
      },
      x);
  check_derivatives(
      "add axis",
      [&](const array& a) {
        return square(scatter_add_axis(a, reshape(ints({0, 0, 2, 3}), {4, 1}),
                                       slice(square(a), {0, 0}, {4, 1}), 1));
      },
      x);
  using Write = array (*)(const array&, const array&, const array&, int, StreamOrDevice);
  array once = ints({3, 1, 0, 2});
  for (Write write : {static_cast<Write>(scatter), static_cast<Write>(scatter_add),
                      static_cast<Write>(scatter_prod), static_cast<Write>(scatter_max),
                      static_cast<Write>(scatter_min)}) {
    check_derivatives(
        "scatter src", [&](const array& a) { return square(write(a, once, u, 0, {})); }, x);
    check_derivatives(
        "scatter updates",
        [&](const array& a) {
          return square(
              write(x, once, multiply(reshape(a, {4, 1, 5}), array(1.5, float64)), 0, {}));
        },
        x);
  }
  array zeros_in = doubles({2, 0, 3, 0, 1, 4}, {6, 1});
  check_derivatives(
      "products with zeros",
      [&](const array& a) {
        return scatter_prod(doubles({2, 3, 0}, {3}), ints({0, 0, 1, 2, 2, 1}), a, 0);
      },
      zeros_in);
  array mask = greater(x, array(0.0, float64));
  check_derivatives(
      "masked",
      [&](const array& a) { return square(masked_scatter(a, mask, flatten(multiply(a, a)))); }, x);
  check_derivatives(
      "sort", [&](const array& a) { return square(sort(a, 0)); }, x);
  check_derivatives(
      "partition", [&](const array& a) { return square(partition(a, 3, 0)); }, v);
  check_derivatives(
      "topk", [&](const array& a) { return square(topk(a, 3, 0)); }, v);
  for (bool reverse : {false, true}) {
    for (bool inclusive : {false, true}) {
      check_derivatives(
          "cumsum", [&](const array& a) { return square(cumsum(a, 1, reverse, inclusive)); }, x);
      check_derivatives(
          "cumprod", [&](const array& a) { return square(cumprod(a, 1, reverse, inclusive)); }, x);
      check_derivatives(
          "logcumsumexp",
          [&](const array& a) { return exp(logcumsumexp(a, 1, reverse, inclusive)); }, x);
      if (!inclusive) continue;
      check_derivatives(
          "cummax", [&](const array& a) { return square(cummax(a, 1, reverse, inclusive)); }, x);
      check_derivatives(
          "cummin", [&](const array& a) { return square(cummin(a, 0, reverse, inclusive)); }, x);
    }
  }
  check_derivatives(
      "cumprod with zeros", [&](const array& a) { return cumprod(a, 0); },
      doubles({2, 0, 3, 0, 5}, {5}));
  // Second derivatives.
  auto slope = [](const Fn& f) {
    return [f](const array& a) { return grad([&](const array& b) { return sum(f(b)); })(a); };
  };
  check_derivatives("cumsum twice", slope([](const array& a) { return square(cumsum(a, 0)); }), v);
  check_derivatives("cumprod twice", slope([](const array& a) { return square(cumprod(a, 0)); }),
                    v);
  check_derivatives("logcumsumexp twice",
                    slope([](const array& a) { return square(logcumsumexp(a, 0)); }), v);
  check_derivatives("sort twice", slope([](const array& a) { return exp(sort(a, 0)); }), v);
  check_derivatives("take twice", slope([&](const array& a) { return exp(take(a, at, 0)); }), x);
  auto indices_have_none = [&] {
    return vjp([&](const array& i) { return take(x, i, 0); }, at, zeros({4, 5}, float64));
  };
  EXPECT_THROW(indices_have_none(), std::invalid_argument);
}

TEST(Index, Batches) {
  array x = scrambled({4, 5, 6});
  array at = ints({1, -1, 1, 0});
  array u = scrambled({4, 1});
  check_batches(
      "take 0", [&](const array& a) { return take(a, at, 0); }, x);
  check_batches(
      "take 1", [&](const array& a) { return take(a, at, 1); }, x);
  check_batches(
      "along", [&](const array& a) { return take_along_axis(a, argsort(a, 1), 1); }, x);
  check_batches(
      "take by batch",
      [&](const array& a) {
        return take(
            a, astype(floor(multiply(abs(slice(a, {0, 0}, {2, 2})), array(3.9, float64))), int32),
            1);
      },
      x);
  check_batches(
      "indices only",
      [&](const array& a) {
        return take(scrambled({7, 3}), astype(floor(multiply(abs(a), array(6.9, float64))), int32),
                    0);
      },
      x);
  check_batches(
      "scatter",
      [&](const array& a) {
        return scatter_add(a, at, reshape(slice(a, {0, 0}, {4, 1}), {4, 1, 1}), 0);
      },
      scrambled({4, 5, 4}));
  check_batches(
      "scatter by batch",
      [&](const array& a) {
        array i =
            astype(floor(multiply(abs(slice(flatten(a), {0}, {4})), array(2.9, float64))), int32);
        return scatter_max(zeros({3}, float64), i, u, 0);
      },
      x);
  check_batches(
      "put",
      [&](const array& a) { return put_along_axis(a, argsort(a, 1), array(1.0, float64), 1); }, x);
  check_batches(
      "masked",
      [&](const array& a) {
        return masked_scatter(a, greater(a, array(0.2, float64)), flatten(square(a)));
      },
      x);
  check_batches(
      "sort", [&](const array& a) { return sort(a, 0); }, x);
  check_batches(
      "argsort", [&](const array& a) { return argsort(a, 1); }, x);
  check_batches(
      "partition", [&](const array& a) { return take(partition(a, 2, 1), 2, 1); }, x);
  check_batches(
      "argmax", [&](const array& a) { return argmax(a, 1, true); }, x);
  check_batches(
      "cumsum", [&](const array& a) { return cumsum(a, 1, true, false); }, x);
  check_batches(
      "search", [&](const array& a) { return searchsorted(sort(flatten(a)), scrambled({3})); }, x);
  check_batches(
      "search values", [&](const array& a) { return searchsorted(sort(scrambled({30})), a); }, x);
  check_batches(
      "unique",
      [&](const array& a) {
        return unique(floor(multiply(a, array(3.0, float64))), 5, false, true, false)[1];
      },
      x);
  array keys = random::split(random::key(1), 3);
  array all_at_once = vmap([](const array& k) { return random::uniform({5}, float32, k); })(keys);
  for (int i = 0; i < 3; ++i) {
    array one = random::uniform({5}, float32, take(keys, i, 0));
    EXPECT_TRUE(array_equal(take(all_at_once, i, 0), one).item<bool>());
  }
}

TEST(Random, KnownBits) {
  array k = random::key(7);
  EXPECT_EQ(values<uint32_t>(random::key(0x123456789abcdef0)),
            (std::vector<uint32_t>{0x12345678, 0x9abcdef0}));
  EXPECT_EQ(values<uint32_t>(random::bits({2}, 4, k)),
            (std::vector<uint32_t>{0x0ba028bf, 0xf22056bf}));
  EXPECT_EQ(values<uint32_t>(random::bits({4}, 4, k)),
            (std::vector<uint32_t>{0x399897a9, 0x3af75d5d, 0x741fbe03, 0x3f1826cb}));
  EXPECT_EQ(values<uint32_t>(random::bits({1}, 4, k)), (std::vector<uint32_t>{0xd817648b}));
  EXPECT_EQ(values<uint32_t>(random::bits({3}, 4, k))[1], 0x6d18d948u);
  EXPECT_EQ(values<uint16_t>(random::bits({4}, 2, k))[1], 0x0ba0);
  EXPECT_EQ(random::bits({3}, 1, k).dtype(), uint8);
  EXPECT_THROW(random::bits({2}, 3, k), std::invalid_argument);
  EXPECT_THROW(random::bits({-1}, 4, k), std::invalid_argument);
  EXPECT_THROW(random::uniform({2}, float32, ints({1, 2})), std::invalid_argument);
  EXPECT_THROW(random::uniform({2}, int32, k), std::invalid_argument);
}

TEST(Random, Moments) {
  array k = random::key(11);
  Shape n{400000};
  for (Dtype t : {float32, float16, bfloat16, float64}) {
    array u = astype(random::uniform(array(-1.0f), array(3.0f), n, t, k), float64);
    EXPECT_NEAR(mean(u).item<double>(), 1, 0.02) << t;
    EXPECT_LT(max(astype(random::uniform(n, t, k), float64)).item<double>(), 1) << t;
    array z = astype(random::normal(n, t, k), float64);
    EXPECT_NEAR(mean(z).item<double>(), 0, 0.01) << t;
    EXPECT_NEAR(mean(square(z)).item<double>(), 1, 0.02) << t;
  }
  array r = random::randint(-3, 4, n, int32, k);
  EXPECT_EQ(min(r).item<int>(), -3);
  EXPECT_EQ(max(r).item<int>(), 3);
  EXPECT_NEAR(mean(astype(random::bernoulli(0.3f, n, k), float32)).item<float>(), 0.3, 0.01);
  EXPECT_TRUE(all(random::bernoulli(1.0f, n, k)).item<bool>());
  array t = random::truncated_normal(array(-1.0f), array(2.0f), n, float32, k);
  EXPECT_GE(min(t).item<float>(), -1);
  EXPECT_LE(max(t).item<float>(), 2);
  EXPECT_NEAR(mean(random::laplace(n, 1.0f, 2.0f, k)).item<float>(), 1, 0.03);
  EXPECT_NEAR(mean(random::gumbel(n, float32, k)).item<float>(), 0.5772, 0.01);
  array picks = random::categorical(log(array({0.1f, 0.2f, 0.7f})), -1, 100000, k);
  EXPECT_NEAR(mean(astype(equal(picks, array(2u)), float32)).item<float>(), 0.7, 0.01);
  array p = random::permutation(1000, k);
  EXPECT_TRUE(array_equal(sort(p, 0), astype(arange(0, 1000, 1), uint32)).item<bool>());
}

TEST(Random, CovarianceOfVectors) {
  array k = random::key(7), mean_of = zeros({2});
  array z = random::normal({3, 2}, k);
  EXPECT_TRUE(close(random::multivariate_normal(mean_of, eye(2), {3}, float32, k), z));
  array cov = reshape(array({2.0f, 0.5f, 0.5f, 1.0f}), {2, 2});
  array x = random::multivariate_normal(mean_of, cov, {200000}, float32, k);
  array c = divide(matmul(transpose(x), x), array(200000.0f));
  EXPECT_TRUE(close(c, cov, 0.02)) << c;
  EXPECT_EQ(random::multivariate_normal(zeros({5, 2}), cov, {}, float32, k).shape(), (Shape{5, 2}));
  EXPECT_THROW(random::multivariate_normal(mean_of, eye(3), {}, float32, k), std::invalid_argument);
}

TEST(Random, SequenceOfKeys) {
  random::KeySequence a(5), b(5);
  EXPECT_TRUE(array_equal(a.next(), b.next()).item<bool>());
  EXPECT_FALSE(array_equal(a.next(), random::key(5)).item<bool>());
  b.set_state(a.state());
  EXPECT_TRUE(array_equal(a.next(), b.next()).item<bool>());
}

}  // namespace
