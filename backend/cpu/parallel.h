// backend/cpu/parallel.h: the one thread pool. Work is cut into chunks that threads claim one by
// one; the cut never depends on the number of threads, so neither do results.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

namespace mlx::core::cpu {

/** Threads that share work, the caller included: MLX_NUM_THREADS, else the CPUs of this process. */
int num_threads();

/** For tests: n >= 1. Waits for work in progress. */
void set_num_threads(int n);

/** True on a thread that is inside a parallel_for body; a nested parallel_for runs serially. */
bool in_parallel();

namespace detail {
using ChunkFn = void (*)(void* body, int64_t chunk);
void run_chunks(int64_t chunks, ChunkFn fn, void* body);
}  // namespace detail

/**
 * Calls body(chunk) for every chunk in [0, chunks), on several threads, in no fixed order; returns
 * when all are done. The first exception of a body is rethrown here, after the others have ended.
 * Any thread may call it; callers that meet do their work on their own.
 */
template <class F>
void parallel_for(int64_t chunks, F&& body) {
  using Body = std::remove_reference_t<F>;
  if (chunks <= 0) return;
  if (chunks == 1) {
    body(int64_t(0));
    return;
  }
  detail::run_chunks(
      chunks, [](void* b, int64_t chunk) { (*static_cast<Body*>(b))(chunk); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

/** Calls body(begin, end) over pieces of [0, n) of grain elements each (the last may be shorter).
 */
template <class F>
void parallel_range(int64_t n, int64_t grain, F&& body) {
  if (n <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  parallel_for((n + grain - 1) / grain,
               [&](int64_t chunk) { body(chunk * grain, std::min(n, (chunk + 1) * grain)); });
}

}  // namespace mlx::core::cpu
