// backend/cpu/tape/moves.cpp
#include "backend/cpu/tape/moves.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/tape/moves.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

/** Short rows of items that lie together: vectors, the last of which may overlap the one before.
 *  (Masked stores take some processors as long as a dozen others.) */
template <class T>
HWY_INLINE void copy_short(T* HWY_RESTRICT out, const T* HWY_RESTRICT in, size_t n) {
  const auto cover = [&](auto d) {
    const size_t L = hn::Lanes(d);
    if (n < L) return false;
    const auto last = hn::LoadU(d, in + n - L);
    for (size_t i = 0; i + L < n; i += L) hn::StoreU(hn::LoadU(d, in + i), d, out + i);
    hn::StoreU(last, d, out + n - L);
    return true;
  };
  if (cover(hn::ScalableTag<T>())) return;
#if HWY_TARGET <= HWY_AVX2
  if (cover(hn::CappedTag<T, 16 / sizeof(T)>())) return;
#endif
  if constexpr (sizeof(T) <= 4) {
    if (cover(hn::CappedTag<T, 8 / sizeof(T)>())) return;
  }
  for (size_t i = 0; i < n; ++i) out[i] = in[i];
}

/**
 * Rows of a few items some steps apart, a vector each: as much as all of them span is read, and the
 * items picked. What is written beyond the end of a row is the next one's; so the last rows, which
 * would write or read beyond all of them, are left. Returns how many rows it did.
 */
template <class T>
HWY_INLINE int64_t gather_short(T* HWY_RESTRICT out, const char* in, int64_t row_stride,
                                int64_t step, int64_t rows, int64_t n) {
  if constexpr (sizeof(T) >= 4) {
    const hn::ScalableTag<T> d;
    const hn::RebindToSigned<decltype(d)> di;
    const int64_t L = static_cast<int64_t>(hn::Lanes(d)), span = (n - 1) * std::abs(step) + 1;
    const int64_t apart = row_stride / static_cast<int64_t>(sizeof(T));
    if (span > L || n < 2 || std::abs(apart) < span) return 0;
    alignas(64) hn::TFromD<decltype(di)> from[HWY_MAX_BYTES / sizeof(T)] = {};
    for (int64_t i = 0; i < n; ++i)
      from[i] = static_cast<hn::TFromD<decltype(di)>>(step > 0 ? i * step : (n - 1 - i) * -step);
    const auto pick = hn::IndicesFromVec(d, hn::Load(di, from));
    const int64_t over = std::max((L + n - 1) / n, (L - span) / std::abs(apart) + 1);
    const T* x = reinterpret_cast<const T*>(in) + (step > 0 ? 0 : (n - 1) * step);
    // Rows that go backwards read beyond their end into those before.
    int64_t r = 0;
    const int64_t begin = apart < 0 ? over : 0;
    for (; r < std::min(begin, rows); ++r)
      for (int64_t i = 0; i < n; ++i) out[r * n + i] = x[r * apart + from[i]];
    for (; r < rows - over; ++r)
      hn::StoreU(hn::TableLookupLanes(hn::LoadU(d, x + r * apart), pick), d, out + r * n);
    return r;
  }
  return 0;
}

/** A constant step lets the compiler use shuffles. */
template <int64_t kStep, class T>
HWY_INLINE void gather_step(T* HWY_RESTRICT out, const T* HWY_RESTRICT in, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = in[i * kStep];
}
template <int64_t kStep, class T>
HWY_INLINE void scatter_step(T* HWY_RESTRICT out, const T* HWY_RESTRICT in, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i * kStep] = in[i];
}

constexpr int64_t kShort = 128;  // bytes; longer rows are memcpy's

// Arrays are aligned to their items, whatever their strides: strides count items.
template <class T>
void gather(char* out, const char* in, int64_t row_stride, int64_t stride, int64_t rows,
            int64_t n) {
  constexpr int64_t kItem = sizeof(T);
  T* o = reinterpret_cast<T*>(out);
  const int64_t step = stride / kItem;
  int64_t r = 0;
  if (step != 0 && step != 1 && rows > 1) {
    r = gather_short(o, in, row_stride, step, rows, n);
    o += r * n, in += r * row_stride;
  }
  for (; r < rows; ++r, o += n, in += row_stride) {
    const T* x = reinterpret_cast<const T*>(in);
    if (step == 1) {
      if (n * kItem <= kShort) {
        copy_short(o, x, static_cast<size_t>(n));
      } else {
        std::memcpy(o, x, n * kItem);
      }
    } else if (step == 0) {
      const T value = *x;
      for (int64_t i = 0; i < n; ++i) o[i] = value;
    } else if (step == -1) {
      gather_step<-1>(o, x, n);
    } else if (step == 2) {
      gather_step<2>(o, x, n);
    } else {
      for (int64_t i = 0; i < n; ++i) o[i] = x[i * step];
    }
  }
}

template <class T>
void scatter(char* out, int64_t row_stride, int64_t stride, const char* in, int64_t rows,
             int64_t n) {
  constexpr int64_t kItem = sizeof(T);
  const T* x = reinterpret_cast<const T*>(in);
  const int64_t step = stride / kItem;
  for (int64_t r = 0; r < rows; ++r, x += n, out += row_stride) {
    T* o = reinterpret_cast<T*>(out);
    if (step == 1) {
      if (n * kItem <= kShort) {
        copy_short(o, x, static_cast<size_t>(n));
      } else {
        std::memcpy(o, x, n * kItem);
      }
    } else if (step == -1) {
      scatter_step<-1>(o, x, n);
    } else {
      for (int64_t i = 0; i < n; ++i) o[i * step] = x[i];
    }
  }
}

template <class T>
void splat(char* out, const char* item, int64_t n) {
  T* o = reinterpret_cast<T*>(out);
  const T value = *reinterpret_cast<const T*>(item);
  for (int64_t i = 0; i < n; ++i) o[i] = value;
}

template <class T>
Moves moves() {
  return {&gather<T>, &scatter<T>, &splat<T>};
}

Moves moves_for(int itemsize) {
  switch (itemsize) {
    case 1:
      return moves<uint8_t>();
    case 2:
      return moves<uint16_t>();
    case 4:
      return moves<uint32_t>();
    default:
      return moves<uint64_t>();
  }
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
namespace {
HWY_EXPORT(moves_for);
}  // namespace

const Moves& moves_of(int itemsize) {
  static const Moves all[] = {
      HWY_DYNAMIC_DISPATCH(moves_for)(1),
      HWY_DYNAMIC_DISPATCH(moves_for)(2),
      HWY_DYNAMIC_DISPATCH(moves_for)(4),
      HWY_DYNAMIC_DISPATCH(moves_for)(8),
  };
  return all[itemsize == 1 ? 0 : itemsize == 2 ? 1 : itemsize == 4 ? 2 : 3];
}

void repeat(char* out, const char* in, int64_t period, int64_t n, int itemsize) {
  if (period == 1) return moves_of(itemsize).splat(out, in, n);
  int64_t done = std::min(period, n);
  if (done <= 0) return;
  std::memcpy(out, in, done * itemsize);
  // What is there already is copied: ever longer runs.
  for (; done < n; done *= 2)
    std::memcpy(out + done * itemsize, out, std::min(done, n - done) * itemsize);
}

}  // namespace mlx::core::cpu
#endif
