// tests/cpp/compile_test.cpp: what a trace becomes, and compiled functions from C++.
#include <gtest/gtest.h>

#include "core/lru.h"
#include "core/tracing.h"
#include "core/transform/program.h"
#include "core/transform/traced.h"
#include "mlx/mlx.h"

namespace mlx::core {
namespace {

using Arrays = std::vector<array>;

Traced trace(const std::function<Arrays(const Arrays&)>& fun, const Arrays& inputs,
             TraceOptions options = {}) {
  auto placeholders = make_placeholders(inputs);
  Arrays outputs;
  {
    TracingScope scope;
    outputs = fun(placeholders);
  }
  return flatten_trace(placeholders, std::move(outputs), options);
}

TEST(Traced, MergesWhatIsDoneTwice) {
  array x = ones({3});
  auto fun = [](const Arrays& in) {
    return Arrays{exp(in[0]) + array(1.0f), multiply(exp(in[0]), exp(in[0])), exp(in[0]) + 1.0f};
  };
  EXPECT_EQ(trace(fun, {x}).nodes.size(), 3u);
  TraceOptions plain;
  plain.simplify = false;
  EXPECT_EQ(trace(fun, {x}, plain).nodes.size(), 7u);
  // Not where parameters differ.
  auto other = [](const Arrays& in) {
    return Arrays{sum(in[0], 0, true), sum(in[0], 1, true), max(in[0], 1, true)};
  };
  EXPECT_EQ(trace(other, {ones({2, 3})}).nodes.size(), 3u);
}

TEST(Traced, ComputesConstantsOnceAndDropsWhatLeadsNowhere) {
  auto fun = [](const Arrays& in) {
    array table = cos(reshape(arange(6.0, float32), {2, 3})) * array(2.0f);
    auto parts = split(sin(in[0]), 2, 0);
    (void)exp(in[0]);
    return Arrays{parts[1] + sum(table, 0)};
  };
  Traced t = trace(fun, {ones({4, 3})});
  EXPECT_EQ(t.constants.size(), 1u);
  EXPECT_TRUE(t.constants[0].is_available());
  EXPECT_EQ(t.nodes.size(), 3u);  // sin, split, add: the table's broadcast is a constant
}

TEST(Traced, ProgramRunsFusedSteps) {
  auto fun = [](const Arrays& in) {
    array y = exp(in[0]) * in[1] + array(1.0f);
    return Arrays{sum(y, 1), matmul(y, transpose(y))};
  };
  Arrays in{ones({4, 3}), ones({4, 3})};
  eval(in);
  Traced t = trace(fun, in);
  Program program(t);
  EXPECT_LE(program.n_steps(), 4u);  // one tape, the sum in it or after it, transpose, matmul
  Arrays outs{array({4}, float32, nullptr, {}), array({4, 4}, float32, nullptr, {})};
  bool spent = false;
  Arrays mine = in;
  program.run(mine, outs, spent);
  EXPECT_FALSE(spent);  // somebody else holds the inputs
  for (auto& o : outs) o.set_status(array::available);
  Arrays want = fun(in);
  EXPECT_TRUE(array_equal(outs[0], want[0]).item<bool>());
  EXPECT_TRUE(array_equal(outs[1], want[1]).item<bool>());
}

TEST(Traced, WritesOverInputsThatOnlyTheCallHolds) {
  StreamContext on_the_host(Device::cpu);  // devices have memory of their own
  auto fun = [](const Arrays& in) { return Arrays{exp(in[0]) * array(2.0f)}; };
  array x = zeros({1000});
  x = x + array(0.0f);
  eval(x);
  Program program(trace(fun, {x}));
  const float* memory = x.data<float>();
  Arrays mine;
  mine.push_back(std::move(x));
  Arrays outs{array({1000}, float32, nullptr, {})};
  bool spent = false;
  program.run(mine, outs, spent);
  EXPECT_TRUE(spent);
  EXPECT_EQ(outs[0].data<float>(), memory);
  EXPECT_EQ(outs[0].data<float>()[999], 2.0f);
}

TEST(Compile, CallsTheFunctionOncePerSignature) {
  int calls = 0;
  auto fun = compile([&](const Arrays& in) {
    ++calls;
    return Arrays{softmax(in[0], -1), in[0] * array(2.0f)};
  });
  for (int i = 0; i < 3; ++i) {
    array x = full({2, 5}, static_cast<float>(i));
    auto out = fun({x});
    EXPECT_NEAR(sum(out[0]).item<float>(), 2.0f, 1e-6);
    EXPECT_EQ(max(out[1]).item<float>(), 2.0f * i);
  }
  EXPECT_EQ(calls, 1);
  fun({ones({3, 5})});
  EXPECT_EQ(calls, 2);
}

Arrays square_fun(const Arrays& in) { return {square(in[0])}; }

TEST(Compile, TakesFunctionPointersAndLambdas) {
  EXPECT_EQ(compile(square_fun)({array(3.0f)})[0].item<float>(), 9.0f);
  auto lambda = compile([](const Arrays& in) { return Arrays{in[0] + in[1]}; }, true);
  EXPECT_EQ(lambda({array(3.0f), array(4.0f)})[0].item<float>(), 7.0f);
  Arrays (*null)(const Arrays&) = nullptr;
  EXPECT_THROW(compile(null), std::invalid_argument);
}

TEST(Compile, Modes) {
  auto fun = [](const Arrays& in) { return Arrays{sum(exp(in[0]) * exp(in[0]))}; };
  array x = ones({4});
  float want = fun({x})[0].item<float>();
  for (auto mode : {CompileMode::disabled, CompileMode::no_simplify, CompileMode::no_fuse,
                    CompileMode::enabled}) {
    set_compile_mode(mode);
    EXPECT_EQ(compile(fun)({x})[0].item<float>(), want);
  }
  enable_compile();
  EXPECT_EQ(compile_mode(), CompileMode::enabled);
}

TEST(Compile, Gradient) {
  auto f = compile([](const Arrays& in) { return Arrays{sum(square(in[0])) * in[1]}; });
  auto g = grad([&](const Arrays& in) { return f(in)[0]; }, {0, 1});
  auto out = compile(g)({array({1.0f, 2.0f}), array(3.0f)});
  EXPECT_EQ(out[0].data<float>(), out[0].data<float>());
  EXPECT_TRUE(array_equal(out[0], array({6.0f, 12.0f})).item<bool>());
  EXPECT_EQ(out[1].item<float>(), 5.0f);
}

TEST(Lru, ForgetsWhatWasNotUsed) {
  Lru<int, std::shared_ptr<int>> map(2);
  EXPECT_EQ(map.put(1, std::make_shared<int>(10)), nullptr);
  EXPECT_EQ(map.put(2, std::make_shared<int>(20)), nullptr);
  EXPECT_EQ(**map.find(1), 10);
  EXPECT_EQ(*map.put(3, std::make_shared<int>(30)), 20);
  EXPECT_EQ(map.find(2), nullptr);
  EXPECT_EQ(*map.put(1, std::make_shared<int>(11)), 10);
  EXPECT_EQ(map.size(), 2u);
}

}  // namespace
}  // namespace mlx::core
