// tests/cpp/parallel_test.cpp: the thread pool.
#include "backend/cpu/parallel.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace mlx::core::cpu {
namespace {

class Parallel : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    before_ = num_threads();
    set_num_threads(GetParam());
  }
  void TearDown() override { set_num_threads(before_); }
  int before_ = 1;
};
INSTANTIATE_TEST_SUITE_P(Threads, Parallel, testing::Values(1, 2, 5));

TEST_P(Parallel, EveryChunkOnce) {
  EXPECT_EQ(num_threads(), GetParam());
  for (int64_t chunks : {0, 1, 2, 3, 100, 10000}) {
    std::vector<std::atomic<int>> seen(chunks);
    parallel_for(chunks, [&](int64_t i) { ++seen[i]; });
    for (auto& s : seen) ASSERT_EQ(s, 1);
  }
}

TEST_P(Parallel, ManyJobsInARow) {
  std::atomic<int64_t> sum{0};
  for (int job = 0; job < 20000; ++job) parallel_for(3, [&](int64_t i) { sum += i; });
  EXPECT_EQ(sum, 60000);
}

TEST_P(Parallel, RangesCoverAndDoNotDependOnThreads) {
  std::vector<std::atomic<int>> seen(1003);
  parallel_range(1003, 10, [&](int64_t begin, int64_t end) {
    EXPECT_EQ(begin % 10, 0);
    EXPECT_EQ(end, std::min<int64_t>(begin + 10, 1003));
    for (int64_t i = begin; i < end; ++i) ++seen[i];
  });
  for (auto& s : seen) ASSERT_EQ(s, 1);
  parallel_range(0, 10, [](int64_t, int64_t) { FAIL(); });
  parallel_range(5, 0, [](int64_t begin, int64_t end) { EXPECT_EQ(end, begin + 1); });
}

TEST_P(Parallel, NestedCallsRunInPlace) {
  std::atomic<int> count{0};
  EXPECT_FALSE(in_parallel());
  parallel_for(8, [&](int64_t) {
    auto id = std::this_thread::get_id();
    parallel_for(8, [&](int64_t) {
      if (GetParam() > 1) {
        EXPECT_TRUE(in_parallel());
        EXPECT_EQ(std::this_thread::get_id(), id);
      }
      ++count;
    });
  });
  EXPECT_EQ(count, 64);
  EXPECT_FALSE(in_parallel());
}

TEST_P(Parallel, ExceptionsReachTheCaller) {
  for (int round = 0; round < 50; ++round) {
    EXPECT_THROW(parallel_for(20,
                              [&](int64_t i) {
                                if (i % 7 == 3) throw std::runtime_error("chunk");
                              }),
                 std::runtime_error);
    std::atomic<int> count{0};
    parallel_for(20, [&](int64_t) { ++count; });
    EXPECT_EQ(count, 20);
    EXPECT_FALSE(in_parallel());
  }
}

TEST_P(Parallel, SeveralCallers) {
  std::vector<std::thread> callers;
  std::atomic<int64_t> sum{0};
  for (int t = 0; t < 4; ++t)
    callers.emplace_back([&] {
      for (int job = 0; job < 500; ++job) parallel_for(10, [&](int64_t i) { sum += i; });
    });
  for (auto& c : callers) c.join();
  EXPECT_EQ(sum, 4 * 500 * 45);
}

TEST_P(Parallel, WorksAfterFork) {
  parallel_for(10, [](int64_t) {});
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(20);  // a hang is a failure, not a hang of the tests
    std::atomic<int64_t> sum{0};
    for (int job = 0; job < 100; ++job) parallel_for(100, [&](int64_t i) { sum += i; });
    _exit(sum == 100 * 4950 && num_threads() == GetParam() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
}

}  // namespace
}  // namespace mlx::core::cpu
