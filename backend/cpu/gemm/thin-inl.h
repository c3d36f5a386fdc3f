// backend/cpu/gemm/thin-inl.h: products with at most eight rows or columns. The other operand, the
// wide one, is read once, in the order it lies in memory, and never packed.
// Included inside a target's namespace, so it must not include anything itself.

/** Rows of the wide operand that one dot kernel reads side by side, for T thin rows. */
constexpr int dot_rows(int T) {
  if (kMaxRows == 14) return T <= 6 ? 4 : 3;
  return T <= 2 ? 4 : T == 3 ? 3 : T <= 5 ? 2 : 1;
}

template <class D>
HWY_INLINE hn::TFromD<D> sum_lanes(D d, hn::Vec<D> v) {
  using T = hn::TFromD<D>;
  if constexpr (hwy::IsFloat<T>()) {
    return hn::GetLane(hn::SumOfLanes(d, v));
  } else {  // Highway's sum goes through signed integers, which must not overflow.
    T lanes[kLanesOf<T>], sum = 0;
    hn::StoreU(v, d, lanes);
    for (T x : lanes) sum += x;
    return sum;
  }
}

/** out[t * ld_out + j] = thin row t . wide row j, over k. The thin rows end in zeros. */
template <class In, class T, int R, int NJ>
HWY_NOINLINE HWY_ATTR void dot_kernel(const T* HWY_RESTRICT thin, int64_t ld_thin,
                                      const In* HWY_RESTRICT wide, int64_t ld_wide, int64_t k,
                                      T* HWY_RESTRICT out, int64_t ld_out) {
  const hn::ScalableTag<T> d;
  constexpr int64_t N = kLanesOf<T>;
  hn::Vec<decltype(d)> acc[R][NJ];
  HWY_UNROLL(8) for (int r = 0; r < R; ++r) {
    HWY_UNROLL(4) for (int j = 0; j < NJ; ++j) acc[r][j] = hn::Zero(d);
  }
  int64_t x = 0;
  HWY_UNROLL(1) for (; x + N <= k; x += N) {
    hn::Vec<decltype(d)> w[NJ];
    HWY_UNROLL(4) for (int j = 0; j < NJ; ++j) w[j] = load(d, wide + j * ld_wide + x);
    HWY_UNROLL(8) for (int r = 0; r < R; ++r) {
      const auto a = hn::LoadU(d, thin + r * ld_thin + x);
      HWY_UNROLL(4) for (int j = 0; j < NJ; ++j) acc[r][j] = mul_add(a, w[j], acc[r][j]);
    }
  }
  if (x < k) {
    hn::Vec<decltype(d)> w[NJ];
    HWY_UNROLL(4) for (int j = 0; j < NJ; ++j) {
      In rest[N] = {};
      std::memcpy(rest, wide + j * ld_wide + x, (k - x) * sizeof(In));
      w[j] = load(d, rest);
    }
    HWY_UNROLL(8) for (int r = 0; r < R; ++r) {
      const auto a = hn::LoadU(d, thin + r * ld_thin + x);
      HWY_UNROLL(4) for (int j = 0; j < NJ; ++j) acc[r][j] = mul_add(a, w[j], acc[r][j]);
    }
  }
  HWY_UNROLL(8) for (int r = 0; r < R; ++r) {
    HWY_UNROLL(4)
    for (int j = 0; j < NJ; ++j) out[r * ld_out + j] = sum_lanes(d, acc[r][j]);
  }
}

template <class In, class T, int R>
HWY_ATTR void dot_block(const T* thin, int64_t ld_thin, const In* wide, int64_t ld_wide, int64_t k,
                        int64_t count, T* out, int64_t ld_out) {
  constexpr int NJ = dot_rows(R);
  int64_t j = 0;
  for (; j + NJ <= count; j += NJ)
    dot_kernel<In, T, R, NJ>(thin, ld_thin, wide + j * ld_wide, ld_wide, k, out + j, ld_out);
  for (; j < count; ++j)
    dot_kernel<In, T, R, 1>(thin, ld_thin, wide + j * ld_wide, ld_wide, k, out + j, ld_out);
}

/** out[t][j] += sum over k of thin[t][k] * wide[k][j], for NU rows of wide at a time. */
template <class In, class T, int R, int NU>
HWY_NOINLINE HWY_ATTR void axpy_kernel(const T* HWY_RESTRICT thin, int64_t ld_thin,
                                       const In* HWY_RESTRICT wide, int64_t ld_wide, int64_t count,
                                       T* HWY_RESTRICT out, int64_t ld_out) {
  const hn::ScalableTag<T> d;
  constexpr int64_t N = kLanesOf<T>;
  HWY_UNROLL(1) for (int64_t j = 0; j < count; j += N) {
    hn::Vec<decltype(d)> acc[R];
    HWY_UNROLL(8) for (int r = 0; r < R; ++r) acc[r] = hn::LoadU(d, out + r * ld_out + j);
    HWY_UNROLL(8) for (int u = 0; u < NU; ++u) {
      const auto w = load(d, wide + u * ld_wide + j);
      HWY_UNROLL(8)
      for (int r = 0; r < R; ++r) acc[r] = mul_add(hn::Set(d, thin[r * ld_thin + u]), w, acc[r]);
    }
    HWY_UNROLL(8) for (int r = 0; r < R; ++r) hn::StoreU(acc[r], d, out + r * ld_out + j);
  }
}

/** As dot_block; here row x of wide, ld_wide apart, holds one k step. count >= a vector. The whole
 *  operand has `before` more columns in front of this block. */
template <class In, class T, int R>
HWY_ATTR void axpy_block(const T* thin, int64_t ld_thin, const In* wide, int64_t ld_wide, int64_t k,
                         int64_t count, T* out, int64_t ld_out) {
  constexpr int64_t N = kLanesOf<T>;
  constexpr int NU = R == 1 ? 8 : R <= 4 ? 4 : 2;
  const int64_t whole = count / N * N;
  // The last columns, if no whole vector, are summed with some before them, and those dropped.
  T tail[R * N] = {};
  for (int r = 0; r < R; ++r) std::memset(out + r * ld_out, 0, count * sizeof(T));
  int64_t x = 0;
  for (; x + NU <= k; x += NU) {
    axpy_kernel<In, T, R, NU>(thin + x, ld_thin, wide + x * ld_wide, ld_wide, whole, out, ld_out);
    if (whole < count)
      axpy_kernel<In, T, R, NU>(thin + x, ld_thin, wide + x * ld_wide + count - N, ld_wide, N, tail,
                                N);
  }
  for (; x < k; ++x) {
    axpy_kernel<In, T, R, 1>(thin + x, ld_thin, wide + x * ld_wide, ld_wide, whole, out, ld_out);
    if (whole < count)
      axpy_kernel<In, T, R, 1>(thin + x, ld_thin, wide + x * ld_wide + count - N, ld_wide, N, tail,
                               N);
  }
  for (int r = 0; r < R; ++r)
    for (int64_t j = whole; j < count; ++j) out[r * ld_out + j] = tail[r * N + j - (count - N)];
}

/** out[t][j] = sum over k of thin[t][k] * wide[k][j] for one vector of columns, of which n count.
 */
template <class In, class T, int R>
HWY_NOINLINE HWY_ATTR void short_kernel(const T* HWY_RESTRICT thin, int64_t ld_thin,
                                        const In* HWY_RESTRICT wide, int64_t ld_wide, int64_t k,
                                        int64_t n, T* HWY_RESTRICT out, int64_t ld_out) {
  const hn::ScalableTag<T> d;
  constexpr int64_t N = kLanesOf<T>;
  constexpr int U = R == 1 ? 8 : R <= 4 ? 4 : 2;  // sums side by side: a chain would wait
  auto get = [&](const In* p) HWY_ATTR {
    if constexpr (std::is_same_v<In, T>) {
      return load_first(d, p, n);
    } else {
      In first[N] = {};
      std::memcpy(first, p, n * sizeof(In));
      return load(d, first);
    }
  };
  hn::Vec<decltype(d)> acc[R][U];
  HWY_UNROLL(8) for (int r = 0; r < R; ++r) {
    HWY_UNROLL(8) for (int u = 0; u < U; ++u) acc[r][u] = hn::Zero(d);
  }
  int64_t x = 0;
  HWY_UNROLL(1) for (; x + U <= k; x += U) {
    HWY_UNROLL(8) for (int u = 0; u < U; ++u) {
      const auto w = get(wide + (x + u) * ld_wide);
      HWY_UNROLL(8) for (int r = 0; r < R; ++r) {
        acc[r][u] = mul_add(hn::Set(d, thin[r * ld_thin + x + u]), w, acc[r][u]);
      }
    }
  }
  for (; x < k; ++x) {
    const auto w = get(wide + x * ld_wide);
    HWY_UNROLL(8) for (int r = 0; r < R; ++r) {
      acc[r][0] = mul_add(hn::Set(d, thin[r * ld_thin + x]), w, acc[r][0]);
    }
  }
  HWY_UNROLL(8) for (int r = 0; r < R; ++r) {
    for (int step = U / 2; step > 0; step /= 2) {
      for (int u = 0; u < step; ++u) acc[r][u] = hn::Add(acc[r][u], acc[r][u + step]);
    }
    store_first(d, acc[r][0], out + r * ld_out, n);
  }
}

template <class In, class T, int R>
HWY_ATTR void short_block(const T* thin, int64_t ld_thin, const In* wide, int64_t ld_wide,
                          int64_t k, int64_t count, T* out, int64_t ld_out) {
  constexpr int64_t N = kLanesOf<T>;
  for (int64_t j = 0; j < count; j += N)
    short_kernel<In, T, R>(thin, ld_thin, wide + j, ld_wide, k, std::min(N, count - j), out + j,
                           ld_out);
}

template <class In, class T>
using ThinBlock = void (*)(const T*, int64_t, const In*, int64_t, int64_t, int64_t, T*, int64_t);
template <class In, class T, int... I>
constexpr auto make_thin(std::integer_sequence<int, I...>) {
  return std::array<std::array<ThinBlock<In, T>, sizeof...(I)>, 3>{
      {{dot_block<In, T, I + 1>...},
       {axpy_block<In, T, I + 1>...},
       {short_block<In, T, I + 1>...}}};
}
template <class In, class T>
inline constexpr auto kThin = make_thin<In, T>(std::make_integer_sequence<int, kMaxThin>());

/** Serves the problem if it is thin and one operand can be read as it lies. */
template <class U>
bool run_thin(const Problem& p) {
  using In = typename U::In;
  using T = typename U::Acc;
  constexpr int64_t N = kLanesOf<T>;
  if (std::min(p.m, p.n) > kMaxThin || p.k < 4) return false;
  if (p.n == 1 && p.ldc == 1 && p.m > 1) return run_thin<U>(turned(p));

  // Either A is thin and B wide, or the other way round.
  enum { none, by_dot, by_axpy, by_short };
  auto way = [&](int64_t thin, int64_t wide, int64_t lane_stride, int64_t k_stride) {
    if (thin > kMaxThin) return none;
    if (k_stride == 1 && p.k >= 2 * N) return by_dot;
    if (lane_stride != 1) return none;
    return wide >= 2 * N ? by_axpy : by_short;
  };
  bool swapped = false;
  auto how = way(p.m, p.n, p.b_col, p.b_row);
  if (auto other = way(p.n, p.m, p.a_row, p.a_col);
      other != none && (how == none || (p.n < p.m && p.m > 1))) {
    how = other;
    swapped = true;
  }
  if (how == none) return false;
  const bool dot = how == by_dot;
  const int64_t rows = swapped ? p.n : p.m, width = swapped ? p.m : p.n;
  const int64_t lane_stride = swapped ? p.a_row : p.b_col;
  const int64_t k_stride = swapped ? p.a_col : p.b_row;
  const In* wide = static_cast<const In*>(swapped ? p.a : p.b);
  const In* thin_in = static_cast<const In*>(swapped ? p.b : p.a);
  const int64_t t_row = swapped ? p.b_col : p.a_row, t_k = swapped ? p.b_row : p.a_col;

  // The thin operand as rows of sums' type, ended by zeros; in place where it is that already.
  Scratch<T> copy(Slot::thin, rows * round_up(p.k, N));
  int64_t ld_thin = round_up(p.k, N);
  for (int64_t r = 0; r < rows; ++r) {
    T* o = copy.get() + r * ld_thin;
    const In* s = thin_in + r * t_row;
    for (int64_t x = 0; x < p.k; ++x) o[x] = static_cast<T>(s[x * t_k]);
    for (int64_t x = p.k; x < ld_thin; ++x) o[x] = T(0);
  }
  const T* thin = copy.get();

  // Blocks of the wide operand, about 64 thousand elements each; long sums in pieces.
  int64_t block = dot ? std::max<int64_t>(12, 65536 / p.k / 12 * 12) : 1024;
  block = std::min(block, width);
  const int64_t blocks = ceil_div(width, block);
  int64_t pieces = ceil_div(p.k, dot ? 32768 : 4096);
  if (!dot && blocks < 8) pieces = std::max(pieces, std::min(16 / blocks, p.k * block / 131072));
  const int64_t piece = round_up(ceil_div(p.k, pieces), N);
  pieces = ceil_div(p.k, piece);

  auto finish = [&](const T* sums, int64_t ld, int64_t j, int64_t count) {
    if (!swapped) return U::store(p, sums, ld, 0, j, rows, count);
    for (int64_t x = 0; x < count; ++x) {
      T column[kMaxThin];
      for (int64_t r = 0; r < rows; ++r) column[r] = sums[r * ld + x];
      U::store(p, column, kMaxThin, j + x, 0, 1, rows);
    }
  };
  const auto kernel = kThin<In, T>[how - by_dot][rows - 1];
  const int64_t ld_wide = dot ? lane_stride : k_stride;
  Scratch<T> partial(Slot::partial, pieces > 1 ? pieces * rows * width : 0);
  parallel_for(blocks * pieces, [&](int64_t chunk) {
    const int64_t j = chunk / pieces * block, s = chunk % pieces;
    const int64_t count = std::min(block, width - j), k0 = s * piece;
    const int64_t k = std::min(piece, p.k - k0);
    const In* w = wide + j * lane_stride + k0 * k_stride;
    if (pieces > 1) {
      kernel(thin + k0, ld_thin, w, ld_wide, k, count, partial.get() + s * rows * width + j, width);
    } else {
      Scratch<T> sums(Slot::tiles, rows * count);
      kernel(thin, ld_thin, w, ld_wide, k, count, sums.get(), count);
      finish(sums.get(), count, j, count);
    }
  });
  if (pieces > 1) {
    T* sum = partial.get();
    for (int64_t s = 1; s < pieces; ++s)
      for (int64_t x = 0; x < rows * width; ++x) sum[x] += sum[s * rows * width + x];
    finish(sum, width, 0, width);
  }
  return true;
}
