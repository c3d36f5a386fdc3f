// tests/cpp/gpu_test.cpp: devices with memory of their own. Run with MLX_EMULATE_GPU=2; without
// any GPU there is nothing to test.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <thread>

#include "core/gpu.h"
#include "core/memory/residency.h"
#include "mlx/mlx.h"

namespace mlx::core {
namespace {

using Arrays = std::vector<array>;

class EmulatedGpu : public testing::Test {
 protected:
  void SetUp() override {
    if (device_count(Device::gpu) == 0) GTEST_SKIP() << "set MLX_EMULATE_GPU=2";
  }
  static Residency::Moves since(Residency::Moves before) {
    auto now = Residency::moves();
    return {now.to_device - before.to_device, now.to_host - before.to_host};
  }
  const Device gpu0{Device::gpu, 0};
};

array values(Shape shape, uint64_t seed = 1) {
  array x = random::normal(shape, float32, random::key(seed), Device::cpu);
  eval(x);
  return x;
}
bool same(const array& a, const array& b) { return array_equal(a, b, Device::cpu).item<bool>(); }
const unsigned char* raw(const array& a) {
  return static_cast<const unsigned char*>(a.data_shared_ptr()->buffer().ptr());
}

TEST_F(EmulatedGpu, IsTheDefaultDeviceAndDescribesItself) {
  EXPECT_EQ(default_device().type, Device::gpu);
  EXPECT_TRUE(is_available(gpu0));
  EXPECT_FALSE(is_available(Device(Device::gpu, device_count(Device::gpu))));
  EXPECT_EQ(std::get<std::string>(device_info(gpu0).at("architecture")), "emulated");
  EXPECT_THROW(new_stream(Device(Device::gpu, 99)), std::invalid_argument);
}

TEST_F(EmulatedGpu, BytesMoveOnceEachWayAndOnlyWhenNeeded) {
  array x = values({64, 64});
  auto before = Residency::moves();
  array y = exp(x, gpu0);
  array z = multiply(y, x, gpu0);
  eval(y, z);
  auto moved = since(before);
  EXPECT_EQ(moved.to_device, 1u);  // x, once for both
  EXPECT_EQ(moved.to_host, 0u);

  before = Residency::moves();
  array w = matmul(transpose(y, gpu0), z, gpu0);  // a view moves nothing
  eval(w);
  moved = since(before);
  EXPECT_EQ(moved.to_device + moved.to_host, 0u);

  before = Residency::moves();
  (void)std::as_const(w).data<float>();
  (void)std::as_const(w).data<float>();
  EXPECT_EQ(since(before).to_host, 1u);

  before = Residency::moves();
  eval(add(w, w, gpu0));  // what was read is still valid there
  moved = since(before);
  EXPECT_EQ(moved.to_device + moved.to_host, 0u);

  before = Residency::moves();
  eval(add(y, y, Device::cpu), add(y, z, Device::cpu));
  moved = since(before);
  EXPECT_EQ(moved.to_host, 2u);  // y and z
  EXPECT_EQ(moved.to_device, 0u);
}

TEST_F(EmulatedGpu, TheHostSeesPoisonWhereItIsNotValid) {
  array y = exp(values({100}), gpu0);
  eval(y);
  for (size_t i = 0; i < y.nbytes(); ++i) ASSERT_EQ(raw(y)[i], 0xCB);
  const float* p = std::as_const(y).data<float>();
  EXPECT_EQ(p[0], std::exp(values({100}).data<float>()[0]));
}

TEST_F(EmulatedGpu, WritingOnTheHostReachesTheDevice) {
  array x = zeros({8}, float32, Device::cpu) + array(1.0f);
  eval(x);
  eval(exp(x, gpu0));  // a copy is there now
  x.data<float>()[3] = 5;
  auto before = Residency::moves();
  EXPECT_EQ(take(add(x, x, gpu0), array(3), Device::cpu).item<float>(), 10.0f);
  EXPECT_EQ(since(before).to_device, 1u);
}

TEST_F(EmulatedGpu, MemoryThatIsReusedByTheHostIsNotTheDevicesAnyMore) {
  array x = add(values({1000}), array(0.0f), gpu0);
  array want = add(exp(values({1000}), Device::cpu), array(1.0f), Device::cpu);
  eval(x, exp(x, gpu0));
  // The only handle goes in: the result takes its memory.
  array y = add(exp(std::move(x), Device::cpu), array(1.0f), Device::cpu);
  eval(y);
  EXPECT_TRUE(same(multiply(y, array(1.0f), gpu0), want));
}

TEST_F(EmulatedGpu, WhatItLacksRunsOnTheHost) {
  array x = values({33, 7});
  EXPECT_TRUE(same(sort(x, 0, gpu0), sort(x, 0, Device::cpu)));
  EXPECT_TRUE(same(cumsum(x, 1, false, true, gpu0), cumsum(x, 1, false, true, Device::cpu)));
  EXPECT_TRUE(same(real(fft::fft(x, -1, fft::FFTNorm::Backward, gpu0), Device::cpu),
                   real(fft::fft(x, -1, fft::FFTNorm::Backward, Device::cpu), Device::cpu)));
}

TEST_F(EmulatedGpu, AnErrorOnTheQueueComesBackAndPoisonsNothing) {
  array x = values({4, 4});
  array bad = take(exp(x, gpu0), array({9}), 0, gpu0);
  array rest = add(bad, array(1.0f), gpu0);
  for (int round = 0; round < 2; ++round) {
    EXPECT_THROW(eval(rest), std::out_of_range);
    EXPECT_EQ(rest.status(), array::unscheduled);
    EXPECT_EQ(bad.status(), array::unscheduled);
  }
  async_eval(rest);
  EXPECT_THROW(rest.wait(), std::out_of_range);
  EXPECT_TRUE(same(exp(x, gpu0), exp(x, Device::cpu)));
  synchronize();
}

// A graph of steps over matrices; each step runs on one of the streams.
array graph(unsigned seed, const std::vector<Stream>& streams) {
  std::minstd_rand random(seed);
  Arrays made{values({6, 6}, 1), values({6, 6}, 2), values({6, 1}, 3)};
  for (int step = 0; step < 40; ++step) {
    unsigned stream_number = random();
    Stream s = streams[stream_number % streams.size()];
    const array& a = made[random() % made.size()];
    const array& b = made[random() % made.size()];
    switch (random() % 8) {
      case 0:
        made.push_back(tanh(add(a, b, s), s));
        break;
      case 1:
        made.push_back(multiply(a, tanh(b, s), s));
        break;
      case 2:
        made.push_back(tanh(matmul(transpose(a, s), a, s), s));
        break;
      case 3:
        made.push_back(softmax(a, -1, true, s));
        break;
      case 4:
        made.push_back(sort(a, 0, s));
        break;
      case 5:
        made.push_back(divide(sum(a, 0, true, s), array(6.0f), s));
        break;
      case 6:
        made.push_back(slice(a, {0, 0}, {a.shape(0), 1}, s));
        break;
      default:
        made.push_back(
            concatenate({take(a, array({0, 1, 2}), 0, s), take(a, array({0}), 0, s)}, 0, s));
        made.back() = take(made.back(), array({0, 1, 2, 3, 0, 1}), 0, s);
    }
    // Products and sums of broadcasts only fit shapes (6, n): keep to these.
    const array& last = made.back();
    if (last.shape(0) != 6)
      made.back() = broadcast_to(slice(last, {0, 0}, {1, last.shape(1)}, s), {6, last.shape(1)}, s);
    if (last.shape(1) != 6 && last.shape(1) != 1) made.pop_back();
  }
  array total = zeros({6, 6});
  for (const auto& m : made) total = add(total, m, streams[0]);
  return total;
}

TEST_F(EmulatedGpu, StreamsAndDevicesMixInOneGraph) {
  std::vector<Stream> cpu{default_stream(Device::cpu)};
  std::vector<Stream> mixed{default_stream(Device::cpu), default_stream(gpu0), new_stream(gpu0),
                            new_stream(Device::cpu)};
  if (device_count(Device::gpu) > 1) mixed.push_back(new_stream(Device(Device::gpu, 1)));
  for (unsigned seed = 1; seed <= 60; ++seed) {
    array want = graph(seed, cpu), got = graph(seed, mixed);
    if (seed % 2) {
      eval(got);
    } else {
      async_eval(got);
    }
    eval(want);
    EXPECT_TRUE(allclose(got, want, 1e-5, 1e-5, false, Device::cpu).item<bool>()) << seed;
  }
}

TEST_F(EmulatedGpu, ThreadsShareQueues) {
  std::vector<Stream> mixed{default_stream(Device::cpu), default_stream(gpu0), new_stream(gpu0)};
  std::vector<Stream> cpu{default_stream(Device::cpu)};
  array shared = exp(values({6, 6}), gpu0);  // evaluated by whoever comes first
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (unsigned seed = 100 * t + 1; seed < 100 * t + 15; ++seed) {
        array got = add(graph(seed, mixed), shared, mixed[seed % 3]);
        async_eval(got);
        array want = add(graph(seed, cpu), shared, Device::cpu);
        wrong += !allclose(got, want, 1e-5, 1e-5, false, Device::cpu).item<bool>();
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(wrong.load(), 0);
}

TEST_F(EmulatedGpu, TwoDevicesHaveTheirOwnMemory) {
  if (device_count(Device::gpu) < 2) GTEST_SKIP() << "set MLX_EMULATE_GPU=2";
  const Device gpu1(Device::gpu, 1);
  array x = values({16});
  array y = exp(x, gpu0);
  eval(y);
  auto before = Residency::moves();
  array z = log(y, gpu1);
  eval(z);
  auto moved = since(before);
  EXPECT_EQ(moved.to_host, 1u);  // by way of the host
  EXPECT_EQ(moved.to_device, 1u);
  before = Residency::moves();
  eval(add(z, y, gpu1), exp(y, gpu0));
  moved = since(before);
  EXPECT_EQ(moved.to_device + moved.to_host, 0u);
  EXPECT_TRUE(allclose(z, x, 1e-5, 1e-6, false, Device::cpu).item<bool>());
}

TEST_F(EmulatedGpu, CompiledFunctionsAndGradientsRunThere) {
  auto loss = [](const Arrays& in) { return sum(square(tanh(matmul(in[0], in[1])))); };
  array x = values({8, 8}), w = values({8, 8}, 2);
  auto grad_of = [&](Device d) {
    StreamContext context(d);
    auto f = compile([&](const Arrays& in) {
      return Arrays{grad([&](const Arrays& a) { return loss(a); }, 1)(in)[0]};
    });
    array g = f({x, w})[0];
    eval(g);
    return g;
  };
  EXPECT_TRUE(
      allclose(grad_of(gpu0), grad_of(Device::cpu), 1e-5, 1e-6, false, Device::cpu).item<bool>());
}

}  // namespace
}  // namespace mlx::core
