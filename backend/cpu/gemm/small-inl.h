// backend/cpu/gemm/small-inl.h: products so small that all of B fits a few registers a row: no
// blocks, no threads, no working memory. Batches of such are common.
// Included inside a target's namespace, so it must not include anything itself.

constexpr int64_t kMostSmall = 64;  // k steps, and rows that one thread takes

/** The first n values of p, zeros after them; and the way back. Short rows, so no memcpy. */
template <class D, class T>
HWY_INLINE hn::Vec<D> load_first(D d, const T* p, int64_t n) {
#if HWY_TARGET <= HWY_AVX2
  if constexpr (sizeof(T) >= 4) return hn::MaskedLoad(hn::FirstN(d, size_t(n)), d, p);
#endif
  alignas(64) T lanes[kLanesOf<T>] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
  return hn::Load(d, lanes);
}
template <class D, class T>
HWY_INLINE void store_first(D d, hn::Vec<D> v, T* p, int64_t n) {
#if HWY_TARGET <= HWY_AVX2
  if constexpr (sizeof(T) >= 4) return hn::BlendedStore(v, hn::FirstN(d, size_t(n)), d, p);
#endif
  alignas(64) T lanes[kLanesOf<T>];
  hn::Store(v, d, lanes);
  for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
}

/** Rows [begin, end) of C. */
template <class U>
HWY_ATTR void run_small_rows(const Problem& p, int64_t begin, int64_t end) {
  using T = typename U::Acc;
  constexpr int64_t N = kLanesOf<T>;
  const hn::ScalableTag<T> d;
  const int half = p.n <= N;
  const int64_t width = half ? N : 2 * N, rest = p.n - (width - N);  // of the last vector
  alignas(64) T panel[kMostSmall * 2 * N];
  const T* b = static_cast<const T*>(p.b);
  int64_t b_k = p.b_row;
  if (p.b_col != 1 || p.n != width) {
    for (int64_t x = 0; x < p.k; ++x) {
      const T* row = b + x * p.b_row;
      T* to = panel + x * width;
      if (p.b_col == 1) {
        if (!half) hn::Store(hn::LoadU(d, row), d, to);
        hn::Store(load_first(d, row + width - N, rest), d, to + width - N);
      } else {
        for (int64_t j = 0; j < p.n; ++j) to[j] = row[j * p.b_col];
        for (int64_t j = p.n; j < width; ++j) to[j] = T(0);
      }
    }
    b = panel;
    b_k = width;
  }
  const bool direct = U::kDirect && p.plain();
  alignas(64) T tile[kMaxRows * 2 * N];
  for (int64_t i = begin; i < end; i += kMaxRows) {
    const int rows = static_cast<int>(std::min<int64_t>(kMaxRows, end - i));
    const T* a = static_cast<const T*>(p.a) + i * p.a_row;
    T* c = static_cast<T*>(p.c) + i * p.ldc;
    const bool whole = direct && p.n == width;
    kMicros<T, 1, 0>[half][rows - 1](p.k, a, p.a_row, p.a_col, b, b_k, whole ? c : tile,
                                     whole ? p.ldc : width, false);
    if (whole) continue;
    if (!direct) {
      U::store(p, tile, width, i, 0, rows, p.n);
      continue;
    }
    for (int r = 0; r < rows; ++r, c += p.ldc) {
      const T* sums = tile + r * width;
      if (!half) hn::StoreU(hn::Load(d, sums), d, c);
      store_first(d, hn::Load(d, sums + width - N), c + width - N, rest);
    }
  }
}

/** Serves the problem if B is small; many rows are shared. */
template <class U>
bool run_small(const Problem& p) {
  constexpr int64_t N = kLanesOf<typename U::Acc>;
  if (p.n > 2 * N || p.k > kMostSmall || p.k < 1) return false;
  if (p.m <= kMostSmall) {
    run_small_rows<U>(p, 0, p.m);
    return true;
  }
  // So many products a row pay for packed panels.
  if (p.n > N && p.k > kMostSmall / 2) return false;
  const int64_t grain = round_up(std::max<int64_t>(1, 400000 / (2 * p.n * p.k + 60)), kMaxRows);
  parallel_range(p.m, grain, [&](int64_t begin, int64_t end) { run_small_rows<U>(p, begin, end); });
  return true;
}
