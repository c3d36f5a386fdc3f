// backend/cpu/gemm/blocked-inl.h: the blocked matrix product, for any microkernel.
// Included inside a target's namespace, so it must not include anything itself.
//
// B is packed block by block (kKC x at most kNC) by the thread that uses it; A is packed once, as
// panels of a few rows, unless so few columns use it that reading it in place costs less. A chunk
// of work is a block of C. A unit U says how:
//   In, Pack, Acc       types in memory, in packed panels, and of the sums
//   kMR, kNR            rows and columns of C one microkernel call covers
//   kPlanes             accumulator rows per row of C, and columns per column (complex: 2)
//   kGroup              k steps held by one packed element (bfloat16 pairs: 2)
//   kKC                 k steps in a block, a multiple of kGroup
//   kStep               rows the microkernel comes in multiples of
//   kDirect             Acc is what C holds: tiles are written straight to C
//   kInPlace            In is what Pack holds: A and B may be read without packing
//   kAhead              the microkernel asks for its panels ahead of itself
//   pack<W>, kernel, store, thin

template <class U>
struct Blocked {
  using In = typename U::In;
  using Pack = typename U::Pack;
  using Acc = typename U::Acc;
  static constexpr int kF = U::kPlanes;
  static constexpr int kPA = U::kMR * kF;  // packed elements of a k group in a panel of A
  static constexpr int kPB = U::kNR * kF;
  static constexpr int64_t kNC = 256 / kF;
  static constexpr int64_t kRun = 16 * U::kGroup;  // steps of k that panels are packed in
  static constexpr int kChunks = 8;                // of C, a thread
  static constexpr int64_t kMostShared = 8 << 20;  // bytes of B packed at once

  struct Tiles {
    const Problem& p;
    const Pack* packed_a;  // panels of `panel` rows from row `base` on; null: A in place
    const Pack* packed_b;  // panels of kNR columns, all of k; null: blocks pack what they need
    int64_t panel, base;
    Acc* raw;  // where sums go instead of C, one row per accumulator row; or null
    int64_t raw_ld;
  };

  /** Whether B is read where it lies: so few rows use a panel that packing it costs more than it
   *  brings, unless B is far away, and short pieces of its rows would come slowly; or rows that
   *  overlap lie closer than packed ones. */
  static bool b_in_place(const Problem& p) {
    const int64_t bytes = p.k * p.b_row * int64_t(sizeof(In));
    if (!U::kInPlace || p.b_col != 1) return false;
    return p.b_row >= 0 && p.b_row < p.n ? bytes <= (1 << 20)
                                         : p.m <= 2 * U::kMR && bytes <= (8 << 20);
  }

  /** Whether A is read where it lies: all of it in the second cache, a panel in the first, where
   *  rows a power of two apart would fall on the same lines. */
  static bool a_lies_well(const Problem& p) {
    constexpr int64_t kIn = sizeof(In);
    return p.a_col == 1 && p.n <= 512 && p.m * p.a_row * kIn <= (384 << 10) &&
           U::kMR * p.k * kIn <= (20 << 10) && p.a_row * kIn % 2048 != 0;
  }

  /** Whether tiles go straight to C: as they are, or added to D, which C then holds before. */
  static bool to_c(const Problem& p) {
    return U::kDirect && p.alpha == 1 && (!p.d || (p.beta == 1 && p.d_col == 1));
  }

  /** Panels of columns [j0, j1) of B that are whole or half of one are read in place, if any. */
  static bool whole(int64_t cols) { return cols % (U::kNR / 2) == 0; }

  /** Packs n steps of k of `lanes` rows or columns, into panels of W places, `each` of them used,
   *  `apart` packed elements from one to the next. `in_place`: but those that are read there. */
  template <int W>
  static void pack_panels(const In* src, int64_t lane_stride, int64_t k_stride, int64_t lanes,
                          int64_t each, int64_t n, int64_t apart, bool in_place, Pack* to) {
    // Where lanes are contiguous, all panels a few steps at a time: long runs of memory.
    const int64_t at_once = lane_stride == 1 && lanes > each ? kRun : n;
    for (int64_t x = 0; x < n; x += at_once) {
      Pack* out = to + x / U::kGroup * W * kF;
      for (int64_t l = 0; l < lanes; l += each, out += apart) {
        const int64_t count = std::min(each, lanes - l);
        if (in_place && whole(count)) continue;
        U::template pack<W>(src + x * k_stride + l * lane_stride, lane_stride, k_stride, count,
                            std::min(at_once, n - x), out);
      }
    }
  }

  /** Rows [i0, i1), columns [j0, j1) of C over the whole of k. */
  static void run_tiles(const Tiles& t, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
    const Problem& p = t.p;
    const int64_t groups = ceil_div(p.k, U::kGroup), blocks = ceil_div(p.k, U::kKC);
    const int64_t block_groups = ceil_div(groups, blocks);
    const int64_t panels = ceil_div(j1 - j0, U::kNR), ld_sums = panels * kPB;
    const bool direct = to_c(p) && !t.raw;
    const bool keep_sums = !direct && blocks > 1 && !t.raw;
    const bool in_place = b_in_place(p);

    Scratch<Pack> packed_b(Slot::packed_b, t.packed_b ? 0 : block_groups * panels * kPB);
    Scratch<Acc> sums(Slot::tiles, keep_sums ? (i1 - i0 + U::kStep) * kF * ld_sums : 0);
    alignas(64) Acc tile[kPA * kPB];
    Acc* acc = t.raw ? t.raw + i0 * kF * t.raw_ld + j0 * kF : sums.get();
    const int64_t ld_acc = t.raw ? t.raw_ld : ld_sums;

    const In* a = static_cast<const In*>(p.a);
    const In* b = static_cast<const In*>(p.b);
    for (int64_t g0 = 0; g0 < groups; g0 += block_groups) {
      const int64_t g = std::min(block_groups, groups - g0);
      const int64_t k0 = g0 * U::kGroup, k = std::min(g * U::kGroup, p.k - k0);
      const bool last = g0 + g == groups;
      if (!t.packed_b) {
        pack_panels<U::kNR>(b + k0 * p.b_row + j0 * p.b_col, p.b_col, p.b_row, j1 - j0, U::kNR, k,
                            g * kPB, in_place, packed_b.get());
      }
      // A's part of this block is beyond the second cache, and the hardware does not see it coming.
      const bool far =
          !U::kAhead && t.packed_a && (i1 - i0) * g * kF * int64_t(sizeof(Pack)) > (2 << 20);
      auto tile_at = [&](int64_t i, int64_t q) {
        const int rows = static_cast<int>(std::min(t.panel, i1 - i));
        const Pack* ap;
        int64_t a_row = 0, a_k = 0;  // 0: a packed panel
        if (t.packed_a) {
          ap = t.packed_a + (i - t.base) / t.panel * groups * kPA + g0 * kPA;
        } else {
          ap = reinterpret_cast<const Pack*>(a + i * p.a_row + k0 * p.a_col);
          a_row = p.a_row, a_k = p.a_col;
        }
        const int64_t j = j0 + q * U::kNR;
        const int cols = static_cast<int>(std::min<int64_t>(U::kNR, j1 - j));
        const int half = cols <= U::kNR / 2;
        const bool full = cols == (half ? U::kNR / 2 : U::kNR);
        const Pack* bp = t.packed_b ? t.packed_b + (j / U::kNR * groups + g0) * kPB
                                    : packed_b.get() + q * g * kPB;
        int64_t b_k = kPB;
        if (in_place && full)
          bp = reinterpret_cast<const Pack*>(b + k0 * p.b_row + j), b_k = p.b_row;
        auto run = [&](Acc* out, int64_t ld, bool add) {
          if (far && i + t.panel < i1)
            ask_for_part(ap + groups * kPA, g * kPA * sizeof(Pack), q, panels);
          U::kernel(rows, half, t.packed_a != nullptr, g, ap, a_row, a_k, bp, b_k, out, ld, add);
        };
        Acc* c = nullptr;
        if constexpr (U::kDirect) c = static_cast<Acc*>(p.c) + i * p.ldc + j;
        if (direct && full && rows % U::kStep == 0) {
          if constexpr (U::kDirect) {
            if (p.d && g0 == 0) {
              const Acc* d = static_cast<const Acc*>(p.d) + i * p.d_row + j;
              for (int r = 0; r < rows; ++r)
                std::memcpy(c + r * p.ldc, d + r * p.d_row, cols * sizeof(Acc));
            }
          }
          run(c, p.ldc, g0 > 0 || p.d);
        } else if (acc) {
          Acc* out = acc + (i - i0) * kF * ld_acc + q * kPB;
          run(out, ld_acc, g0 > 0);
          if (last && !t.raw) U::store(p, out, ld_acc, i, j, rows, cols);
        } else {
          run(tile, kPB, false);
          if (g0 == 0) {
            U::store(p, tile, kPB, i, j, rows, cols);
          } else if constexpr (U::kDirect) {
            for (int r = 0; r < rows; ++r)
              for (int s = 0; s < cols; ++s) c[r * p.ldc + s] += tile[r * kPB + s];
          }
        }
      };
      // A panel of B stays in the nearest cache, if A's panels follow each other in the second.
      if (t.packed_a && (i1 - i0) * g * kF * int64_t(sizeof(Pack)) <= (320 << 10)) {
        for (int64_t q = 0; q < panels; ++q)
          for (int64_t i = i0; i < i1; i += t.panel) tile_at(i, q);
      } else {
        for (int64_t i = i0; i < i1; i += t.panel)
          for (int64_t q = 0; q < panels; ++q) tile_at(i, q);
      }
    }
  }

  /** Part q of n of what is read next comes to the second cache, while the kernel works. */
  static void ask_for_part(const Pack* next, int64_t bytes, int64_t q, int64_t n) {
    const char* p = reinterpret_cast<const char*>(next);
    for (int64_t x = bytes * q / n; x < bytes * (q + 1) / n; x += 64)
      __builtin_prefetch(p + x, 0, 2);
  }

  /** Rows of a panel: as equal as can be, so that no short panel is left at the end. */
  static int64_t panel_rows(int64_t m) {
    return round_up(ceil_div(m, ceil_div(m, U::kMR)), U::kStep);
  }

  static void run_rows(const Problem& p, int64_t i0, int64_t i1, Acc* raw, int64_t raw_ld) {
    const int64_t m = i1 - i0, groups = ceil_div(p.k, U::kGroup);
    const int64_t panel = panel_rows(m), row_panels = ceil_div(m, panel);
    const bool in_place = U::kInPlace && (m <= U::kMR || p.n <= 2 * U::kNR || a_lies_well(p));
    const double work = 2.0 * m * p.n * p.k;

    // Blocks of C: as wide as packing likes, then halved until there are enough to share.
    const bool direct = to_c(p) && !raw;
    const int threads = in_parallel() ? 1 : num_threads();
    // Threads are not equally fast where others use the machine: who is done early takes more.
    const double most = threads == 1 ? 1 : kChunks * threads;
    const int64_t want = static_cast<int64_t>(std::clamp(work / 1e6, 1.0, most));
    const int64_t col_panels = ceil_div(p.n, U::kNR);
    int64_t col_blocks = ceil_div(p.n, kNC);
    int64_t row_blocks = direct || p.k <= U::kKC ? 1 : ceil_div(m, 504);
    while (col_blocks * row_blocks < want && col_panels >= col_blocks * 4 * 2) col_blocks *= 2;
    while (col_blocks * row_blocks < want && row_panels >= row_blocks * 4 * 2) row_blocks *= 2;
    while (col_blocks * row_blocks < want && col_panels >= col_blocks * 2) col_blocks *= 2;
    while (col_blocks * row_blocks < want && row_panels >= row_blocks * 2) row_blocks *= 2;
    const int64_t cols = ceil_div(col_panels, col_blocks) * U::kNR;
    const int64_t rows = ceil_div(row_panels, row_blocks) * panel;
    col_blocks = ceil_div(p.n, cols), row_blocks = ceil_div(m, rows);

    // Blocks that share columns share what is packed of B, too.
    const int64_t b_size = row_blocks > 1 && !b_in_place(p) ? col_panels * groups * kPB : 0;
    const bool b_shared = b_size > 0 && b_size * int64_t(sizeof(Pack)) <= kMostShared;
    Scratch<Pack> packed_a(Slot::packed_a, in_place ? 0 : row_panels * groups * kPA);
    Scratch<Pack> packed_b(Slot::shared_b, b_shared ? b_size : 0);
    // Pieces of work: a few steps of k for all panels, where those are contiguous, or a panel.
    constexpr int64_t kSteps = 4 * kRun;
    const bool a_runs = p.a_row == 1 && p.a_col != 1, b_runs = p.b_col == 1;
    const int64_t runs = ceil_div(p.k, kSteps);
    const int64_t a_pieces = in_place ? 0 : a_runs ? runs : row_panels;
    const int64_t b_pieces = !b_shared ? 0 : b_runs ? runs : col_panels;
    auto pack_piece = [&]<int W>(std::integral_constant<int, W>, const void* src,
                                 int64_t lane_stride, int64_t k_stride, int64_t lanes, int64_t each,
                                 bool by_runs, int64_t piece, Pack* to) {
      const int64_t x = by_runs ? piece * kSteps : 0, l = by_runs ? 0 : piece * each;
      pack_panels<W>(static_cast<const In*>(src) + x * k_stride + l * lane_stride, lane_stride,
                     k_stride, by_runs ? lanes : std::min(each, lanes - l), each,
                     by_runs ? std::min(kSteps, p.k - x) : p.k, groups * W * kF, false,
                     to + (by_runs ? x / U::kGroup : piece * groups) * W * kF);
    };
    auto pack_pieces = [&](int64_t begin, int64_t end) {
      for (int64_t q = begin; q < end; ++q) {
        if (q < b_pieces) {
          pack_piece(std::integral_constant<int, U::kNR>(), p.b, p.b_col, p.b_row, p.n, U::kNR,
                     b_runs, q, packed_b.get());
        } else {
          pack_piece(std::integral_constant<int, U::kMR>(),
                     static_cast<const In*>(p.a) + i0 * p.a_row, p.a_row, p.a_col, m, panel, a_runs,
                     q - b_pieces, packed_a.get());
        }
      }
    };
    const int64_t pieces = a_pieces + b_pieces;
    const int64_t elements = (in_place ? 0 : row_panels * groups * kPA) + (b_shared ? b_size : 0);
    if (row_blocks * col_blocks == 1)
      pack_pieces(0, pieces);
    else
      parallel_range(pieces, pieces * 16384 / std::max<int64_t>(1, elements), pack_pieces);
    Tiles t{p,
            in_place ? nullptr : packed_a.get(),
            b_shared ? packed_b.get() : nullptr,
            panel,
            i0,
            raw,
            raw_ld};
    parallel_for(col_blocks * row_blocks, [&](int64_t chunk) {
      int64_t j = chunk / row_blocks * cols, i = i0 + chunk % row_blocks * rows;
      run_tiles(t, i, std::min(i1, i + rows), j, std::min(p.n, j + cols));
    });
  }

  /** Long sums over few rows and columns: pieces of k in parallel, added in order. */
  static bool run_split_k(const Problem& p) {
    const int64_t blocks = ceil_div(p.m, 4 * U::kMR) * ceil_div(p.n, 2 * U::kNR);
    if (blocks >= 8 || p.k < 4096 || 2.0 * p.m * p.n * p.k < 1e6) return false;
    const int64_t pieces = std::min<int64_t>(16, p.k / 1024);
    const int64_t length = round_up(ceil_div(p.k, pieces), U::kGroup);
    const int64_t ld = ceil_div(p.n, U::kNR) * kPB, size = (p.m + U::kStep) * kF * ld;
    Scratch<Acc> partial(Slot::partial, pieces * size);
    Acc* sum = partial.get();
    parallel_for(pieces, [&](int64_t s) {
      Problem piece = p;
      const int64_t k0 = s * length;
      piece.k = std::min(length, p.k - k0);
      piece.a = static_cast<const In*>(p.a) + k0 * p.a_col;
      piece.b = static_cast<const In*>(p.b) + k0 * p.b_row;
      run_rows(piece, 0, p.m, sum + s * size, ld);
    });
    for (int64_t s = 1; s < pieces; ++s)
      for (int64_t x = 0; x < p.m * kF * ld; ++x) sum[x] += sum[s * size + x];
    U::store(p, sum, ld, 0, 0, p.m, p.n);
    return true;
  }

  static void run(const Problem& p) {
    if (p.m <= 0 || p.n <= 0) return;
    if (p.k <= 0) {
      const Acc zeros[64 * kF * kF] = {};
      for (int64_t i = 0; i < p.m; ++i)
        for (int64_t j = 0; j < p.n; j += 64)
          U::store(p, zeros, 0, i, j, 1, std::min<int64_t>(64, p.n - j));
      return;
    }
    if (U::thin(p) || run_split_k(p)) return;
    // At most 32 MiB of packed A at a time.
    const int64_t row_bytes = ceil_div(p.k, U::kGroup) * kF * int64_t(sizeof(Pack));
    const int64_t rows =
        round_up(std::max<int64_t>(32 * U::kMR, (int64_t(32) << 20) / row_bytes), U::kMR);
    for (int64_t i = 0; i < p.m; i += rows) run_rows(p, i, std::min(p.m, i + rows), nullptr, 0);
  }
};
