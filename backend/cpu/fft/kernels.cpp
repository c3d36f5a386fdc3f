// backend/cpu/fft/kernels.cpp: butterflies over columns, and moves between layouts.
#include "backend/cpu/fft/kernels.h"

#include <algorithm>

#include "backend/cpu/fft/transform.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/fft/kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::fft::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

/** A vector of complex numbers. */
template <class V>
struct Cx {
  V re, im;
};
template <class V>
HWY_INLINE Cx<V> operator+(Cx<V> a, Cx<V> b) {
  return {hn::Add(a.re, b.re), hn::Add(a.im, b.im)};
}
template <class V>
HWY_INLINE Cx<V> operator-(Cx<V> a, Cx<V> b) {
  return {hn::Sub(a.re, b.re), hn::Sub(a.im, b.im)};
}
template <class V>
HWY_INLINE Cx<V> times(Cx<V> a, Cx<V> w) {
  return {hn::NegMulAdd(a.im, w.im, hn::Mul(a.re, w.re)),
          hn::MulAdd(a.im, w.re, hn::Mul(a.re, w.im))};
}
/** a - i b and a + i b. */
template <class V>
HWY_INLINE Cx<V> minus_i(Cx<V> a, Cx<V> b) {
  return {hn::Add(a.re, b.im), hn::Sub(a.im, b.re)};
}
template <class V>
HWY_INLINE Cx<V> plus_i(Cx<V> a, Cx<V> b) {
  return {hn::Sub(a.re, b.im), hn::Add(a.im, b.re)};
}
template <class V>
HWY_INLINE Cx<V> scaled(V s, Cx<V> a) {
  return {hn::Mul(s, a.re), hn::Mul(s, a.im)};
}
/** a + s b. */
template <class V>
HWY_INLINE Cx<V> add_scaled(Cx<V> a, V s, Cx<V> b) {
  return {hn::MulAdd(s, b.re, a.re), hn::MulAdd(s, b.im, a.im)};
}

/** The transform of kRadix values in place. */
template <size_t kRadix, class D, class V = hn::Vec<D>>
HWY_INLINE void butterfly(D d, Cx<V>* x) {
  if constexpr (kRadix == 2) {
    const auto a = x[0], b = x[1];
    x[0] = a + b, x[1] = a - b;
  } else if constexpr (kRadix == 3) {
    const auto sum = x[1] + x[2];
    const auto difference = scaled(hn::Set(d, 0.866025403784438646763723170752936), x[1] - x[2]);
    const auto middle = add_scaled(x[0], hn::Set(d, -0.5), sum);
    x[0] = x[0] + sum;
    x[1] = minus_i(middle, difference), x[2] = plus_i(middle, difference);
  } else if constexpr (kRadix == 4) {
    const auto a = x[0] + x[2], b = x[0] - x[2], c = x[1] + x[3], e = x[1] - x[3];
    x[0] = a + c, x[2] = a - c;
    x[1] = minus_i(b, e), x[3] = plus_i(b, e);
  } else {
    static_assert(kRadix == 5);
    using T = hn::TFromD<D>;
    const auto c1 = hn::Set(d, T(0.309016994374947424102293417182819));
    const auto c2 = hn::Set(d, T(-0.809016994374947424102293417182819));
    const auto s1 = hn::Set(d, T(0.951056516295153572116439333379382));
    const auto s2 = hn::Set(d, T(0.587785252292473129168705954639073));
    const auto a = x[1] + x[4], b = x[1] - x[4], c = x[2] + x[3], e = x[2] - x[3];
    const auto m1 = add_scaled(add_scaled(x[0], c1, a), c2, c);
    const auto m2 = add_scaled(add_scaled(x[0], c2, a), c1, c);
    const auto t1 = add_scaled(scaled(s1, b), s2, e);
    const auto t2 = add_scaled(scaled(s2, b), hn::Neg(s1), e);
    x[0] = x[0] + a + c;
    x[1] = minus_i(m1, t1), x[4] = plus_i(m1, t1);
    x[2] = minus_i(m2, t2), x[3] = plus_i(m2, t2);
  }
}

/** in is [radix][rest][inner], out [rest][radix][inner]. */
template <size_t kRadix, class T>
void pass_of(const Pass<T>& pass, Block<T> in, Block<T> out, size_t inner) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const size_t lanes = hn::Lanes(d), m = pass.rest;
  for (size_t p = 0; p < m; ++p) {
    Cx<V> w[kRadix];
    for (size_t j = 1; j < kRadix; ++j) {
      const size_t at = p * (kRadix - 1) + j - 1;
      w[j] = {hn::Set(d, pass.twiddles.re[at]), hn::Set(d, pass.twiddles.im[at])};
    }
    for (size_t q = 0; q < inner; q += lanes) {
      Cx<V> x[kRadix];
      for (size_t j = 0; j < kRadix; ++j) {
        const size_t at = q + inner * (p + m * j);
        x[j] = {hn::LoadU(d, in.re + at), hn::LoadU(d, in.im + at)};
      }
      butterfly<kRadix>(d, x);
      for (size_t j = 0; j < kRadix; ++j) {
        const auto y = j == 0 || p == 0 ? x[j] : times(x[j], w[j]);
        const size_t at = q + inner * (kRadix * p + j);
        hn::StoreU(y.re, d, out.re + at);
        hn::StoreU(y.im, d, out.im + at);
      }
    }
  }
}

/** An odd radix: values j and radix - j together, by definition. */
template <class T>
void pass_of_any(const Pass<T>& pass, Block<T> in, Block<T> out, size_t inner) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  constexpr size_t kMost = 100;
  const size_t lanes = hn::Lanes(d), m = pass.rest, r = pass.radix, half = r / 2;
  for (size_t p = 0; p < m; ++p) {
    for (size_t q = 0; q < inner; q += lanes) {
      alignas(64) T sums[2][kMost / 2][64 / sizeof(T)], differences[2][kMost / 2][64 / sizeof(T)];
      const auto get = [&](size_t j) HWY_ATTR {
        const size_t at = q + inner * (p + m * j);
        return Cx<V>{hn::LoadU(d, in.re + at), hn::LoadU(d, in.im + at)};
      };
      const auto put = [&](size_t j, Cx<V> y) HWY_ATTR {
        if (j > 0 && p > 0) {
          const size_t at = p * (r - 1) + j - 1;
          y = times(y, Cx<V>{hn::Set(d, pass.twiddles.re[at]), hn::Set(d, pass.twiddles.im[at])});
        }
        const size_t at = q + inner * (r * p + j);
        hn::StoreU(y.re, d, out.re + at);
        hn::StoreU(y.im, d, out.im + at);
      };
      const Cx<V> first = get(0);
      Cx<V> total = first;
      for (size_t j = 1; j <= half; ++j) {
        const auto a = get(j), b = get(r - j);
        const auto sum = a + b, difference = a - b;
        total = total + sum;
        hn::Store(sum.re, d, sums[0][j - 1]);
        hn::Store(sum.im, d, sums[1][j - 1]);
        hn::Store(difference.re, d, differences[0][j - 1]);
        hn::Store(difference.im, d, differences[1][j - 1]);
      }
      put(0, total);
      for (size_t k = 1; k <= half; ++k) {
        Cx<V> even = first, odd{hn::Zero(d), hn::Zero(d)};
        for (size_t j = 1, turn = k; j <= half; ++j, turn += k) {
          if (turn >= r) turn -= r;
          const auto cosine = hn::Set(d, pass.roots.re[turn]);
          const auto sine = hn::Set(d, -pass.roots.im[turn]);
          even = add_scaled(even, cosine,
                            Cx<V>{hn::Load(d, sums[0][j - 1]), hn::Load(d, sums[1][j - 1])});
          odd = add_scaled(
              odd, sine,
              Cx<V>{hn::Load(d, differences[0][j - 1]), hn::Load(d, differences[1][j - 1])});
        }
        put(k, minus_i(even, odd));
        put(r - k, plus_i(even, odd));
      }
    }
  }
}

template <class T>
Block<T> passes(const Plan<T>& plan, Block<T> data, Block<T> work, size_t width) {
  size_t inner = width;
  for (const Pass<T>& pass : plan.passes) {
    if (pass.radix == 4) {
      pass_of<4>(pass, data, work, inner);
    } else if (pass.radix == 2) {
      pass_of<2>(pass, data, work, inner);
    } else if (pass.radix == 3) {
      pass_of<3>(pass, data, work, inner);
    } else if (pass.radix == 5) {
      pass_of<5>(pass, data, work, inner);
    } else {
      pass_of_any(pass, data, work, inner);
    }
    std::swap(data, work);
    inner *= pass.radix;
  }
  return data;
}

template <class T>
void split(const std::complex<T>* in, Block<T> out, size_t n) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  const T* p = reinterpret_cast<const T*>(in);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::Vec<decltype(d)> re, im;
    hn::LoadInterleaved2(d, p + 2 * i, re, im);
    hn::StoreU(re, d, out.re + i);
    hn::StoreU(im, d, out.im + i);
  }
  for (; i < n; ++i) out.re[i] = p[2 * i], out.im[i] = p[2 * i + 1];
}

template <class T>
void join(Block<T> in, std::complex<T>* out, size_t n, T scale) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  const auto s = hn::Set(d, scale);
  T* p = reinterpret_cast<T*>(out);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreInterleaved2(hn::Mul(s, hn::LoadU(d, in.re + i)), hn::Mul(s, hn::LoadU(d, in.im + i)),
                          d, p + 2 * i);
  }
  for (; i < n; ++i) p[2 * i] = scale * in.re[i], p[2 * i + 1] = scale * in.im[i];
}

// Squares of kSide by kSide are turned in registers of 16 bytes.
template <class T>
using Small = hn::FixedTag<T, 16 / sizeof(T)>;
template <class T>
constexpr size_t kSide = 16 / sizeof(T);

template <class T, class V>
HWY_INLINE void turn_square(V* x) {
  const Small<T> d;
  if constexpr (kSide<T> == 4) {
    const auto a = hn::InterleaveLower(d, x[0], x[2]), b = hn::InterleaveLower(d, x[1], x[3]);
    const auto c = hn::InterleaveUpper(d, x[0], x[2]), e = hn::InterleaveUpper(d, x[1], x[3]);
    x[0] = hn::InterleaveLower(d, a, b), x[1] = hn::InterleaveUpper(d, a, b);
    x[2] = hn::InterleaveLower(d, c, e), x[3] = hn::InterleaveUpper(d, c, e);
  } else {
    const auto a = hn::InterleaveLower(d, x[0], x[1]);
    x[1] = hn::InterleaveUpper(d, x[0], x[1]);
    x[0] = a;
  }
}

template <class T>
void turn(Block<T> in, size_t in_width, Block<T> out, size_t out_width, size_t rows, size_t columns,
          const T* twiddle_re, const T* twiddle_im) {
  const Small<T> d;
  using V = hn::Vec<Small<T>>;
  constexpr size_t kS = kSide<T>;
  const auto one = [&](size_t c, size_t k) {
    const T re = in.re[k * in_width + c], im = in.im[k * in_width + c];
    const T wr = twiddle_re[c * rows + k], wi = twiddle_im[c * rows + k];
    out.re[c * out_width + k] = re * wr - im * wi;
    out.im[c * out_width + k] = im * wr + re * wi;
  };
  const size_t whole_rows = rows / kS * kS, whole_columns = columns / kS * kS;
  for (size_t c = 0; c < whole_columns; c += kS) {
    for (size_t k = 0; k < whole_rows; k += kS) {
      V re[kS], im[kS];
      for (size_t i = 0; i < kS; ++i) {
        re[i] = hn::LoadU(d, in.re + (k + i) * in_width + c);
        im[i] = hn::LoadU(d, in.im + (k + i) * in_width + c);
      }
      turn_square<T>(re);
      turn_square<T>(im);
      for (size_t i = 0; i < kS; ++i) {
        const size_t at = (c + i) * rows + k;
        const auto y = times(Cx<V>{re[i], im[i]},
                             Cx<V>{hn::LoadU(d, twiddle_re + at), hn::LoadU(d, twiddle_im + at)});
        hn::StoreU(y.re, d, out.re + (c + i) * out_width + k);
        hn::StoreU(y.im, d, out.im + (c + i) * out_width + k);
      }
    }
    for (size_t k = whole_rows; k < rows; ++k) {
      for (size_t i = 0; i < kS; ++i) one(c + i, k);
    }
  }
  for (size_t c = whole_columns; c < columns; ++c) {
    for (size_t k = 0; k < rows; ++k) one(c, k);
  }
}

template <class T>
void lines_to_columns(const std::complex<T>* in, size_t stride, size_t n, Block<T> out) {
  const Small<T> d;
  using V = hn::Vec<Small<T>>;
  constexpr size_t kS = kSide<T>, kW = kWidth<T>;
  const T* p = reinterpret_cast<const T*>(in);
  const size_t whole = n / kS * kS;
  for (size_t l = 0; l < kW; l += kS) {
    for (size_t k = 0; k < whole; k += kS) {
      V re[kS], im[kS];
      for (size_t i = 0; i < kS; ++i) {
        hn::LoadInterleaved2(d, p + 2 * ((l + i) * stride + k), re[i], im[i]);
      }
      turn_square<T>(re);
      turn_square<T>(im);
      for (size_t i = 0; i < kS; ++i) {
        hn::StoreU(re[i], d, out.re + (k + i) * kW + l);
        hn::StoreU(im[i], d, out.im + (k + i) * kW + l);
      }
    }
    for (size_t k = whole; k < n; ++k) {
      for (size_t i = l; i < l + kS; ++i) {
        out.re[k * kW + i] = p[2 * (i * stride + k)];
        out.im[k * kW + i] = p[2 * (i * stride + k) + 1];
      }
    }
  }
}

template <class T>
void columns_to_lines(Block<T> in, size_t n, std::complex<T>* out, size_t stride, T scale) {
  const Small<T> d;
  using V = hn::Vec<Small<T>>;
  constexpr size_t kS = kSide<T>, kW = kWidth<T>;
  T* p = reinterpret_cast<T*>(out);
  const auto s = hn::Set(d, scale);
  const size_t whole = n / kS * kS;
  for (size_t l = 0; l < kW; l += kS) {
    for (size_t k = 0; k < whole; k += kS) {
      V re[kS], im[kS];
      for (size_t i = 0; i < kS; ++i) {
        re[i] = hn::Mul(s, hn::LoadU(d, in.re + (k + i) * kW + l));
        im[i] = hn::Mul(s, hn::LoadU(d, in.im + (k + i) * kW + l));
      }
      turn_square<T>(re);
      turn_square<T>(im);
      for (size_t i = 0; i < kS; ++i) {
        hn::StoreInterleaved2(re[i], im[i], d, p + 2 * ((l + i) * stride + k));
      }
    }
    for (size_t k = whole; k < n; ++k) {
      for (size_t i = l; i < l + kS; ++i) {
        p[2 * (i * stride + k)] = scale * in.re[k * kW + i];
        p[2 * (i * stride + k) + 1] = scale * in.im[k * kW + i];
      }
    }
  }
}

/** n complex numbers from p on, one vector of them; and those before p + Lanes, backwards. */
template <class D, class T>
HWY_INLINE Cx<hn::Vec<D>> load_complex(D d, const std::complex<T>* p) {
  Cx<hn::Vec<D>> v;
  hn::LoadInterleaved2(d, reinterpret_cast<const T*>(p), v.re, v.im);
  return v;
}
template <class D, class V>
HWY_INLINE Cx<V> reversed(D d, Cx<V> v) {
  return {hn::Reverse(d, v.re), hn::Reverse(d, v.im)};
}
template <class D, class T, class V>
HWY_INLINE void store_complex(D d, Cx<V> v, std::complex<T>* p) {
  hn::StoreInterleaved2(v.re, v.im, d, reinterpret_cast<T*>(p));
}
template <class V>
HWY_INLINE Cx<V> conjugate(Cx<V> v) {
  return {v.re, hn::Neg(v.im)};
}

/**
 * Calls pair(d, a, b, w) for all a = in[k], b = in[h-k], w[k], 1 <= k <= h/2, which gives out[k]
 * and the conjugate of out[h-k] in place of a and b. in and out may be the same.
 */
template <class T, class F>
HWY_INLINE void for_pairs(const std::complex<T>* in, std::complex<T>* out, size_t h,
                          const Planar<T>& w, const F& pair) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  size_t k = 1;
  for (; 2 * (k + lanes - 1) < h; k += lanes) {
    const size_t mirror = h - k - lanes + 1;
    auto a = load_complex(d, in + k), b = reversed(d, load_complex(d, in + mirror));
    pair(d, a, b,
         Cx<hn::Vec<decltype(d)>>{hn::LoadU(d, w.re.data() + k), hn::LoadU(d, w.im.data() + k)});
    store_complex(d, a, out + k);
    store_complex(d, reversed(d, conjugate(b)), out + mirror);
  }
  const hn::CappedTag<T, 1> one;
  for (; k <= h / 2; ++k) {
    using V1 = hn::Vec<decltype(one)>;
    const auto get = [&](const std::complex<T>& v) HWY_ATTR {
      return Cx<V1>{hn::Set(one, v.real()), hn::Set(one, v.imag())};
    };
    auto a = get(in[k]), b = get(in[h - k]);
    pair(one, a, b, Cx<V1>{hn::Set(one, w.re[k]), hn::Set(one, w.im[k])});
    out[k] = {hn::GetLane(a.re), hn::GetLane(a.im)};
    out[h - k] = {hn::GetLane(b.re), -hn::GetLane(b.im)};
  }
}

template <class T>
void spectrum_of_halves(const std::complex<T>* z, std::complex<T>* x, size_t h, const Planar<T>& w,
                        T scale) {
  const std::complex<T> first = z[0];
  for_pairs(z, x, h, w, [&](auto d, auto& a, auto& b, auto root) HWY_ATTR {
    const auto half = hn::Set(d, scale / 2);
    const auto mirrored = conjugate(b);
    const auto even = scaled(half, a + mirrored), difference = scaled(half, a - mirrored);
    // -i times the difference is the transform of the odd elements.
    const decltype(even) odd{difference.im, hn::Neg(difference.re)};
    const auto turned = times(odd, root);
    a = even + turned, b = even - turned;
  });
  x[0] = {scale * (first.real() + first.imag()), T(0)};
  x[h] = {scale * (first.real() - first.imag()), T(0)};
}

template <class T>
void halves_of_spectrum(const std::complex<T>* x, std::complex<T>* z, size_t h,
                        const Planar<T>& w) {
  const std::complex<T> first = x[0], last = x[h];
  for_pairs(x, z, h, w, [&](auto, auto& a, auto& b, auto root) HWY_ATTR {
    const auto mirrored = conjugate(b);
    const auto even = a + mirrored;
    const auto odd = times(a - mirrored, conjugate(root));
    a = plus_i(even, odd), b = minus_i(even, odd);
  });
  z[0] = {first.real() + last.real(), first.real() - last.real()};
}

template <class T>
const Kernels<T>& table() {
  static constexpr Kernels<T> kTable{&passes<T>,
                                     &split<T>,
                                     &join<T>,
                                     &turn<T>,
                                     &lines_to_columns<T>,
                                     &columns_to_lines<T>,
                                     &spectrum_of_halves<T>,
                                     &halves_of_spectrum<T>};
  return kTable;
}

const Kernels<float>& table_float() { return table<float>(); }
const Kernels<double>& table_double() { return table<double>(); }

}  // namespace
}  // namespace mlx::core::cpu::fft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu::fft {

HWY_EXPORT(table_float);
HWY_EXPORT(table_double);

const Kernels<float>& kernels(float) { return HWY_DYNAMIC_DISPATCH(table_float)(); }
const Kernels<double>& kernels(double) { return HWY_DYNAMIC_DISPATCH(table_double)(); }

}  // namespace mlx::core::cpu::fft
#endif
