// backend/cpu/gemm/units-inl.h: what a blocked product of real numbers needs, on Highway.
// Included inside a target's namespace, so it must not include anything itself.

/** Elements In in memory, widened to T in packed panels and sums, and stored as Out. */
template <class In_, class T, class Out, bool kEveryRow>
struct RealUnit {
  using In = In_;
  using Pack = T;
  using Acc = T;
  static constexpr int kMR = kMaxRows, kNR = 2 * kLanesOf<T>, kPlanes = 1, kGroup = 1;
  static constexpr int64_t kKC = 4096 / sizeof(T);
  static constexpr int kStep = kEveryRow ? 1 : 2;
  static constexpr bool kDirect = sizeof(Out) == sizeof(T);
  static constexpr bool kAhead = true;
  static constexpr bool kInPlace = kEveryRow && std::is_same_v<In, T>;

  template <int W>
  static void pack(const In* src, int64_t lane_stride, int64_t k_stride, int64_t lanes, int64_t k,
                   T* out) {
    pack_panel<In, T, W>(src, lane_stride, k_stride, lanes, k, out);
  }
  static void kernel(int rows, int half, bool packed, int64_t k, const T* a, int64_t a_row,
                     int64_t a_k, const T* b, int64_t b_k, T* c, int64_t ldc, bool add) {
    const int i = (rows + kStep - 1) / kStep - 1;
    if constexpr (kInPlace) {
      if (!packed) return kMicros<T, 1, 0>[half][i](k, a, a_row, a_k, b, b_k, c, ldc, add);
    }
    kMicros<T, kStep, kMaxRows>[half][i](k, a, a_row, a_k, b, b_k, c, ldc, add);
  }
  static void store(const Problem& p, const T* sums, int64_t ld, int64_t i, int64_t j, int64_t rows,
                    int64_t cols) {
    store_tile<Out>(p, sums, ld, i, j, rows, cols);
  }
  static bool thin(const Problem& p) {
    if constexpr (kInPlace && kDirect) {
      if (run_small<RealUnit>(p)) return true;
    }
    return run_thin<RealUnit>(p);
  }
};
