// backend/cpu/random_bits.cpp: Threefry-2x32, several counters a vector, chunks over the pool.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/random_bits.cpp"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"

#include <cstring>
#include <vector>

#include "backend/cpu/parallel.h"
#include "core/copy.h"
#include "core/prim/random_bits.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<uint32_t>;
using V = hn::Vec<D>;

template <int left>
HWY_INLINE void round(V& a, V& b) {
  a = hn::Add(a, b);
  b = hn::Xor(hn::RotateRight<32 - left>(b), a);
}

/** Four rounds, then key words. */
template <int r0, int r1, int r2, int r3>
HWY_INLINE void rounds(V& a, V& b, V ka, V kb) {
  round<r0>(a, b);
  round<r1>(a, b);
  round<r2>(a, b);
  round<r3>(a, b);
  a = hn::Add(a, ka);
  b = hn::Add(b, kb);
}

/** first[i] and second[i] for counters (i, shift + i), i in [begin, end); second may be null. */
void threefry(uint32_t k0, uint32_t k1, uint32_t shift, size_t begin, size_t end, uint32_t* first,
              uint32_t* second) {
  const D d;
  const uint32_t k2 = k0 ^ k1 ^ 0x1BD11BDAu;
  auto set = [&](uint32_t v) HWY_ATTR { return hn::Set(d, v); };
  const V a1 = set(k1), a2 = set(k2), a0 = set(k0);
  const V b1 = set(k2 + 1), b2 = set(k0 + 2), b3 = set(k1 + 3), b4 = set(k2 + 4), b5 = set(k0 + 5);
  const size_t lanes = hn::Lanes(d);
  uint32_t rest_a[HWY_MAX_BYTES / 4], rest_b[HWY_MAX_BYTES / 4];
  for (size_t i = begin; i < end; i += lanes) {
    V a = hn::Add(hn::Iota(d, uint32_t(i)), set(k0));
    V b = hn::Add(hn::Iota(d, uint32_t(i) + shift), set(k1));
    rounds<13, 15, 26, 6>(a, b, a1, b1);
    rounds<17, 29, 16, 24>(a, b, a2, b2);
    rounds<13, 15, 26, 6>(a, b, a0, b3);
    rounds<17, 29, 16, 24>(a, b, a1, b4);
    rounds<13, 15, 26, 6>(a, b, a2, b5);
    if (i + lanes <= end) {
      hn::StoreU(a, d, first + i);
      if (second) hn::StoreU(b, d, second + i);
    } else {
      hn::StoreU(a, d, rest_a);
      hn::StoreU(b, d, rest_b);
      std::memcpy(first + i, rest_a, (end - i) * 4);
      if (second) std::memcpy(second + i, rest_b, (end - i) * 4);
    }
  }
}

}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

HWY_EXPORT(threefry);

namespace {

void fill_words(uint32_t k0, uint32_t k1, uint32_t* words, size_t n) {
  size_t half = n / 2, odd = n % 2;
  auto shift = static_cast<uint32_t>(half + odd);
  parallel_range(half, 1 << 14, [&](size_t begin, size_t end) {
    HWY_DYNAMIC_DISPATCH(threefry)(k0, k1, shift, begin, end, words, words + half + odd);
  });
  if (odd) {
    // The counter (half, 0).
    HWY_DYNAMIC_DISPATCH(threefry)(k0, k1, 0u - uint32_t(half), half, half + 1, words, nullptr);
  }
}

void random_bits(const RandomBits&, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array keys = row_contiguous(inputs[0]);
  array& out = outputs[0];
  allocate(out);
  if (out.size() == 0) return;
  size_t count = keys.size() / 2;
  size_t bytes = out.nbytes() / count;
  const uint32_t* key = keys.data<uint32_t>();
  auto one = [&](size_t i) {
    char* to = out.data<char>() + i * bytes;
    if (bytes % 4 == 0) {
      fill_words(key[2 * i], key[2 * i + 1], reinterpret_cast<uint32_t*>(to), bytes / 4);
    } else {
      std::vector<uint32_t> words((bytes + 3) / 4);
      fill_words(key[2 * i], key[2 * i + 1], words.data(), words.size());
      std::memcpy(to, words.data(), bytes);
    }
  };
  parallel_range(count, std::max<size_t>(1, (1 << 16) / bytes), [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) one(i);
  });
}

const RegisterKernel<RandomBits> random_bits_kernel{Device::cpu, &random_bits};

}  // namespace

}  // namespace mlx::core::cpu
#endif  // HWY_ONCE
