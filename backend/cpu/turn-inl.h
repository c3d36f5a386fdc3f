// backend/cpu/turn-inl.h: blocks of matrices turned in registers.
// Included inside a target's namespace, which has hn and load(d, p), so it must not include
// anything itself.

/** 128-bit pieces of rows 0, step, 2 step, ... side by side: N lanes. */
template <class T, int N, class In>
HWY_INLINE hn::Vec<hn::FixedTag<T, N>> gather_blocks(const In* const* rows, int step, int64_t x) {
  const hn::FixedTag<T, N> d;
  if constexpr (N * sizeof(T) <= 16) {
    return load(d, rows[0] + x);
  } else {
    constexpr int kRows = N * sizeof(T) / 32;  // of each half
    return hn::Combine(d, gather_blocks<T, N / 2>(rows + kRows * step, step, x),
                       gather_blocks<T, N / 2>(rows, step, x));
  }
}

/** out[i * W + y] = rows[y][x + i] for the N rows and as many i as 128 bits hold. */
template <class T, int W, int N, class In>
HWY_INLINE void turn_block(const In* const* rows, int64_t x, T* HWY_RESTRICT out) {
  constexpr int kBlock = 16 / sizeof(T);
  const hn::FixedTag<T, N> d;
  const auto r0 = gather_blocks<T, N>(rows, kBlock, x),
             r1 = gather_blocks<T, N>(rows + 1, kBlock, x);
  if constexpr (kBlock == 4) {
    const auto r2 = gather_blocks<T, N>(rows + 2, kBlock, x);
    const auto r3 = gather_blocks<T, N>(rows + 3, kBlock, x);
    const auto t0 = hn::InterleaveLower(d, r0, r2), t1 = hn::InterleaveLower(d, r1, r3);
    const auto t2 = hn::InterleaveUpper(d, r0, r2), t3 = hn::InterleaveUpper(d, r1, r3);
    hn::StoreU(hn::InterleaveLower(d, t0, t1), d, out);
    hn::StoreU(hn::InterleaveUpper(d, t0, t1), d, out + W);
    hn::StoreU(hn::InterleaveLower(d, t2, t3), d, out + 2 * W);
    hn::StoreU(hn::InterleaveUpper(d, t2, t3), d, out + 3 * W);
  } else {
    hn::StoreU(hn::InterleaveLower(d, r0, r1), d, out);
    hn::StoreU(hn::InterleaveUpper(d, r0, r1), d, out + W);
  }
}
