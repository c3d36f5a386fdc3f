// backend/cpu/gemm/store-inl.h: sums to C: alpha, beta * D, conversion.
// Included inside a target's namespace, so it must not include anything itself.

inline void convert_row(const float* s, float* out, int64_t n) { std::memcpy(out, s, n * 4); }
inline void convert_row(const double* s, double* out, int64_t n) { std::memcpy(out, s, n * 8); }

inline void convert_row(const float* s, bfloat16_t* out, int64_t n) {
  const auto* from = reinterpret_cast<const uint32_t*>(s);
  auto* to = reinterpret_cast<uint16_t*>(out);
  for (int64_t i = 0; i < n; ++i) {
    uint32_t x;
    std::memcpy(&x, from + i, 4);
    uint32_t rounded = (x + 0x7fffu + ((x >> 16) & 1u)) >> 16;
    uint32_t quiet = (x >> 16) | 0x40u;
    to[i] = static_cast<uint16_t>((x & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
  }
}

/** Integers: sums wrap, so the sum's type may be wider or of the other sign. */
template <class Acc, class Out>
inline std::enable_if_t<std::is_integral_v<Out>> convert_row(const Acc* s, Out* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<Out>(s[i]);
}

template <class Out, class Acc>
inline void store_tile(const Problem& p, const Acc* sums, int64_t ld, int64_t i, int64_t j,
                       int64_t rows, int64_t cols) {
  constexpr int64_t kPiece = 64;
  // Scaled integers go through double, as alpha and beta need not be whole.
  using Real = std::conditional_t<std::is_integral_v<Out>, double, Acc>;
  const Real alpha = static_cast<Real>(p.alpha), beta = static_cast<Real>(p.beta);
  for (int64_t r = 0; r < rows; ++r) {
    const Acc* s = sums + r * ld;
    Out* c = static_cast<Out*>(p.c) + (i + r) * p.ldc + j;
    if (p.plain()) {
      convert_row(s, c, cols);
      continue;
    }
    for (int64_t x0 = 0; x0 < cols; x0 += kPiece) {
      const int64_t n = std::min(kPiece, cols - x0);
      Real row[kPiece];
      for (int64_t x = 0; x < n; ++x) {
        if constexpr (std::is_integral_v<Out>)
          row[x] = alpha * static_cast<Real>(static_cast<Out>(s[x0 + x]));
        else
          row[x] = alpha * s[x0 + x];
      }
      if (p.d) {
        const Out* d = static_cast<const Out*>(p.d) + (i + r) * p.d_row + (j + x0) * p.d_col;
        if (p.d_col == 1)
          for (int64_t x = 0; x < n; ++x) row[x] += beta * static_cast<Real>(d[x]);
        else
          for (int64_t x = 0; x < n; ++x) row[x] += beta * static_cast<Real>(d[x * p.d_col]);
      }
      if constexpr (std::is_integral_v<Out>) {
        for (int64_t x = 0; x < n; ++x) {
          // Through int64, so that what does not fit wraps instead of being undefined.
          if constexpr (std::is_same_v<Out, uint64_t>)
            c[x0 + x] = row[x] >= 0x1p63 ? static_cast<Out>(row[x])
                                         : static_cast<Out>(static_cast<int64_t>(row[x]));
          else
            c[x0 + x] = static_cast<Out>(static_cast<int64_t>(row[x]));
        }
      } else {
        convert_row(row, c + x0, n);
      }
    }
  }
}
