// backend/cpu/prefetch.h: asking for memory before it is read.
//
// Loops over large arrays are bound by how many cache lines are on their way at a time. Where the
// machine does not guess the next ones (virtual machines, loops with much work a line), asking 4 kB
// ahead brings up to twice the bandwidth; where it does, or the data is in cache, it costs little.
#pragma once

#include <cstddef>

namespace mlx::core::cpu {

constexpr size_t kPrefetchAhead = 4096;  // bytes
constexpr size_t kPrefetchFar = 8192;    // for loops that do nothing but read and add or compare

/** For a loop that reads `bytes` from here now: what it will read `ahead` bytes later. */
inline void prefetch_ahead(const void* here, size_t bytes, size_t ahead = kPrefetchAhead) {
  const char* from = static_cast<const char*>(here) + ahead;
  for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i, 0, 3);
}

}  // namespace mlx::core::cpu
