// backend/cpu/sort_keys.h: elements as unsigned integers of the same order, and sorting those.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "backend/cpu/parallel.h"
#include "mlx/array.h"

namespace mlx::core::cpu {

template <size_t kBytes>
using UintOf = std::conditional_t<
    kBytes == 1, uint8_t,
    std::conditional_t<kBytes == 2, uint16_t, std::conditional_t<kBytes == 4, uint32_t, uint64_t>>>;

template <typename T>
using KeyOf = UintOf<sizeof(T)>;

/** Floats: NaN becomes the greatest key; -0 is just below 0, or equal to it if merge_zeros. */
template <typename T, bool merge_zeros = false>
KeyOf<T> encode(T value) {
  using K = KeyOf<T>;
  constexpr int kShift = 8 * sizeof(K) - 1;
  constexpr K kSign = K(K(1) << kShift);
  if constexpr (is_complex<T>) {
    if (mlx::core::isnan(value)) return ~K(0);
    return (K(encode<float, true>(value.real())) << 32) | encode<float, true>(value.imag());
  } else if constexpr (is_floating_point_v<T>) {
    K bits = std::bit_cast<K>(value);
    K magnitude = bits & K(~kSign);
    constexpr K kInf = std::is_same_v<T, float>       ? K(0x7f800000u)
                       : std::is_same_v<T, double>    ? K(0x7ff0000000000000ull)
                       : std::is_same_v<T, float16_t> ? K(0x7c00u)
                                                      : K(0x7f80u);
    // All bits of negative numbers are turned, of others the sign; no branch.
    K key = K(bits ^ K(K(-K(bits >> kShift)) | kSign));
    if constexpr (merge_zeros) key = magnitude == 0 ? kSign : key;
    return magnitude > kInf ? K(~K(0)) : key;
  } else if constexpr (std::is_signed_v<T>) {
    return K(K(value) ^ kSign);
  } else {
    return K(value);
  }
}

template <typename T>
T decode(KeyOf<T> key) {
  using K = KeyOf<T>;
  constexpr int kShift = 8 * sizeof(K) - 1;
  constexpr K kSign = K(K(1) << kShift);
  if constexpr (is_complex<T>) {
    return T{};  // complex numbers are moved by position
  } else if constexpr (is_floating_point_v<T>) {
    return std::bit_cast<T>(K(key ^ K(K(K(key >> kShift) - 1) | kSign)));
  } else if constexpr (std::is_signed_v<T>) {
    return T(K(key ^ kSign));
  } else {
    return T(key);
  }
}

/** A key and where it came from; keys up to 32 bits share a word with the position. */
struct WideKey {
  uint64_t key;
  uint32_t position;
  bool operator<(const WideKey& o) const {
    return key < o.key || (key == o.key && position < o.position);
  }
};
template <typename K>
using Keyed = std::conditional_t<sizeof(K) == 8, WideKey, uint64_t>;

template <typename K>
Keyed<K> keyed(K key, uint32_t position) {
  if constexpr (sizeof(K) == 8) {
    return {key, position};
  } else {
    return uint64_t(key) << 32 | position;
  }
}
inline uint32_t position_of(uint64_t e) { return uint32_t(e); }
inline uint32_t position_of(const WideKey& e) { return e.position; }

/**
 * Sorts n elements by bits [shift, shift + bits) of key(element), least significant digits first;
 * stable. tmp has room for n. With chunks > 1 each pass is split over the thread pool; the result
 * does not depend on that.
 */
template <typename E, typename Key>
void radix_sort(E* data, E* tmp, size_t n, int bits, int chunks, Key key) {
  // Short rows: fewer buckets to clear and to add up.
  const int most = n < 4096 ? 8 : 11, passes = (bits + most - 1) / most;
  const int digit = (bits + passes - 1) / passes;
  const size_t buckets = size_t(1) << digit, piece = (n + chunks - 1) / chunks;
  auto bucket = [&](const E& e, int pass) {
    return size_t(key(e) >> (pass * digit)) & (buckets - 1);
  };
  // One thread counts for all passes at once: what moves doesn't change how often a digit occurs.
  thread_local std::vector<uint32_t> kept;
  std::vector<uint32_t> shared(chunks > 1 ? buckets * chunks : 0);
  if (chunks == 1) {
    kept.assign(buckets * passes, 0);
    for (size_t i = 0; i < n; ++i) {
      for (int pass = 0; pass < passes; ++pass) ++kept[pass * buckets + bucket(data[i], pass)];
    }
  }
  E *from = data, *to = tmp;
  for (int pass = 0; pass < passes; ++pass) {
    uint32_t* counts = chunks == 1 ? kept.data() + pass * buckets : shared.data();
    if (chunks > 1) {
      std::fill(shared.begin(), shared.end(), 0);
      parallel_for(chunks, [&](int64_t c) {
        uint32_t* count = counts + c * buckets;
        for (size_t i = c * piece, end = std::min(n, i + piece); i < end; ++i)
          ++count[bucket(from[i], pass)];
      });
    } else if (counts[bucket(from[0], pass)] == n) {
      continue;
    }
    uint32_t sum = 0;
    bool trivial = false;
    for (size_t b = 0; b < buckets; ++b) {
      uint32_t before = sum;
      for (int c = 0; c < chunks; ++c) {
        uint32_t here = counts[c * buckets + b];
        counts[c * buckets + b] = sum;
        sum += here;
      }
      trivial |= sum - before == n;  // all in one bucket: nothing moves
    }
    if (trivial) continue;
    parallel_for(chunks, [&](int64_t c) {
      uint32_t* place = counts + c * buckets;
      for (size_t i = c * piece, end = std::min(n, i + piece); i < end; ++i) {
        to[place[bucket(from[i], pass)]++] = from[i];
      }
    });
    std::swap(from, to);
  }
  if (from != data) std::copy(from, from + n, data);
}

}  // namespace mlx::core::cpu
