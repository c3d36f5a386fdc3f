// backend/cpu/parallel.cpp: a fork-join pool whose chunks are claimed.
//
// One job at a time. Its chunks lie in a few ranges; a thread claims from its own, one after the
// other, so that it walks through memory, and then from those of others. A range's counter lives in
// a word with the job's epoch, so a worker that wakes late claims nothing of a job it has not read.
// The caller claims too and never waits for a thread that has not started: it waits only for chunks
// that somebody is working on. Workers spin a little after a job, then sleep on a futex.
#include "backend/cpu/parallel.h"

#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace mlx::core::cpu {

namespace {

constexpr int kSpins = 4000;  // about 40 us before a worker sleeps

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

thread_local bool inside = false;

class Pool {
 public:
  explicit Pool(int threads)
      : threads_(threads), ranges_(std::min(threads, kMaxRanges)), pid_(getpid()) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i % ranges_); });
  }

  ~Pool() {
    stop_.store(true);
    epoch_.fetch_add(1);
    epoch_.notify_all();
    for (auto& w : workers_) w.join();
  }

  int threads() const { return threads_; }
  bool mine() const { return pid_ == getpid(); }
  /** In a forked child: the threads are gone, so their handles must not be joined. */
  void abandon() {
    for (auto& w : workers_) w.detach();
  }

  /** False if another caller is using the pool. */
  bool try_run(int64_t chunks, detail::ChunkFn fn, void* body) {
    if (busy_.exchange(true, std::memory_order_acquire)) return false;
    inside = true;
    uint32_t epoch = epoch_.load(std::memory_order_relaxed) + 1;
    // Close the old job before its fields change; nothing is claimable meanwhile.
    for (int r = 0; r < ranges_; ++r) next_[r].word.store(uint64_t(epoch - 1) << 32 | 0xffffffffu);
    fn_.store(fn, std::memory_order_relaxed);
    body_.store(body, std::memory_order_relaxed);
    chunks_.store(static_cast<uint32_t>(chunks), std::memory_order_relaxed);
    done_.store(0, std::memory_order_relaxed);
    error_ = nullptr;
    for (int r = 0; r < ranges_; ++r) {
      next_[r].word.store(uint64_t(epoch) << 32 | first_of(r, static_cast<uint32_t>(chunks)),
                          std::memory_order_release);
    }
    epoch_.store(epoch, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) epoch_.notify_all();

    claim(epoch, 0);
    for (int spins = 0; done_.load(std::memory_order_acquire) < chunks; ++spins) {
      if (spins < 2000) {
        relax();
      } else {
        sched_yield();
      }
    }
    inside = false;
    auto error = std::move(error_);
    error_ = nullptr;
    busy_.store(false, std::memory_order_release);
    if (error) std::rethrow_exception(error);
    return true;
  }

 private:
  uint32_t first_of(int range, uint32_t chunks) const {
    return static_cast<uint32_t>(uint64_t(chunks) * range / ranges_);
  }

  /** Works on range `own`, then on the others. */
  void claim(uint32_t epoch, int own) {
    for (int i = 0; i < ranges_; ++i) {
      if (!claim_range(epoch, (own + i) % ranges_)) return;
    }
  }

  /** False if the job is over. */
  bool claim_range(uint32_t epoch, int range) {
    auto& next = next_[range].word;
    while (true) {
      uint64_t state = next.load(std::memory_order_acquire);
      if (static_cast<uint32_t>(state >> 32) != epoch) return false;
      auto fn = fn_.load(std::memory_order_relaxed);
      void* body = body_.load(std::memory_order_relaxed);
      uint32_t chunks = chunks_.load(std::memory_order_relaxed);
      uint32_t chunk = static_cast<uint32_t>(state);
      if (chunk >= first_of(range + 1, chunks)) return true;
      if (!next.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) continue;
      try {
        fn(body, chunk);
      } catch (...) {
        std::lock_guard lock(error_mutex_);
        if (!error_) error_ = std::current_exception();
      }
      done_.fetch_add(1, std::memory_order_release);
    }
  }

  void work(int own) {
    inside = true;
    uint32_t seen = 0;
    while (true) {
      uint32_t epoch = epoch_.load(std::memory_order_acquire);
      for (int spins = 0; epoch == seen; epoch = epoch_.load(std::memory_order_acquire)) {
        if (++spins < kSpins) {
          relax();
          continue;
        }
        sleepers_.fetch_add(1, std::memory_order_seq_cst);
        epoch_.wait(seen, std::memory_order_seq_cst);
        sleepers_.fetch_sub(1);
        spins = 0;
      }
      seen = epoch;
      if (stop_.load()) return;
      claim(epoch, own);
    }
  }

  static constexpr int kMaxRanges = 8;
  struct alignas(64) Next {
    std::atomic<uint64_t> word{0xffffffffu};  // epoch << 32 | next chunk of the range
  };

  const int threads_;
  const int ranges_;
  const pid_t pid_;
  std::vector<std::thread> workers_;
  std::atomic<bool> busy_{false};
  Next next_[kMaxRanges];
  alignas(64) std::atomic<int64_t> done_{0};
  alignas(64) std::atomic<uint32_t> epoch_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  std::atomic<detail::ChunkFn> fn_{nullptr};
  std::atomic<void*> body_{nullptr};
  std::atomic<uint32_t> chunks_{0};
  std::mutex error_mutex_;  // guards error_ while bodies run
  std::exception_ptr error_;
};

int default_threads() {
  if (const char* v = std::getenv("MLX_NUM_THREADS")) {
    int n = std::atoi(v);
    if (n >= 1) return std::min(n, 1024);
  }
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

std::mutex pool_mutex;  // guards making and replacing the pool
std::atomic<Pool*> current{nullptr};

// The pool lives until the process ends: its threads sleep, and exit does not wait for them.
Pool& pool() {
  Pool* p = current.load(std::memory_order_acquire);
  if (p && p->mine()) return *p;
  std::lock_guard lock(pool_mutex);
  p = current.load();
  if (!p || !p->mine()) {
    int threads = p ? p->threads() : default_threads();
    if (p) p->abandon();
    p = new Pool(threads);
    current.store(p, std::memory_order_release);
  }
  return *p;
}

}  // namespace

int num_threads() { return pool().threads(); }

void set_num_threads(int n) {
  Pool& old = pool();
  if (old.threads() == std::max(n, 1)) return;
  std::lock_guard lock(pool_mutex);
  current.store(new Pool(std::max(n, 1)));
  delete &old;
}

bool in_parallel() { return inside; }

namespace detail {

void run_chunks(int64_t chunks, ChunkFn fn, void* body) {
  if (!inside) {
    Pool& p = pool();
    // A job counts its chunks in 32 bits; nobody cuts work that fine, but be right.
    if (p.threads() > 1 && chunks < 0x7fffffff && p.try_run(chunks, fn, body)) return;
  }
  for (int64_t i = 0; i < chunks; ++i) fn(body, i);
}

}  // namespace detail

}  // namespace mlx::core::cpu
