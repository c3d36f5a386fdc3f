// backend/cpu/tape/reducers.cpp: the loops of reductions.
//
// Floating point accumulates in double (half floats in float32 first); a run of up to a tile adds
// up in float32 vectors before. Integers wrap. Min and Max pass NaN on.
#include <cmath>
#include <limits>

#include "backend/cpu/prefetch.h"
#include "backend/cpu/tape/reduce.h"
#include "mlx/dtype_utils.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/tape/reducers.cpp"
#include <hwy/foreach_target.h>

#include "backend/cpu/fast/io-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

using cd = std::complex<double>;

template <class T>
struct AccType {
  using type = T;
};
template <>
struct AccType<float> {
  using type = double;
};
template <>
struct AccType<float16_t> {
  using type = double;
};
template <>
struct AccType<bfloat16_t> {
  using type = double;
};
template <>
struct AccType<complex64_t> {
  using type = cd;
};

inline bool lex_less(cd a, cd b) {
  return a.real() < b.real() || (a.real() == b.real() && a.imag() < b.imag());
}
inline bool is_nan(cd a) { return a.real() != a.real() || a.imag() != a.imag(); }

struct SumOp {
  template <class A>
  static A identity() {
    return A(0);
  }
  template <class A>
  static HWY_INLINE A apply(A a, A b) {
    if constexpr (std::is_integral_v<A>) {
      return static_cast<A>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
    } else {
      return a + b;
    }
  }
  template <class D, class V>
  static HWY_INLINE V vec(D, V a, V b) {
    return hn::Add(a, b);
  }
};
struct ProdOp {
  template <class A>
  static A identity() {
    return A(1);
  }
  template <class A>
  static HWY_INLINE A apply(A a, A b) {
    if constexpr (std::is_integral_v<A>) {
      return static_cast<A>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
    } else {
      return a * b;
    }
  }
  template <class D, class V>
  static HWY_INLINE V vec(D, V a, V b) {
    return hn::Mul(a, b);
  }
};
template <bool kMax>
struct ExtremeOp {
  template <class A>
  static A identity() {
    if constexpr (std::is_same_v<A, cd>) {
      double far = kMax ? -HUGE_VAL : HUGE_VAL;
      return cd(far, far);
    } else if constexpr (std::is_floating_point_v<A>) {
      return kMax ? -std::numeric_limits<A>::infinity() : std::numeric_limits<A>::infinity();
    } else {
      return kMax ? std::numeric_limits<A>::min() : std::numeric_limits<A>::max();
    }
  }
  template <class A>
  static HWY_INLINE A apply(A a, A b) {
    if constexpr (std::is_same_v<A, cd>) {
      if (is_nan(a)) return a;
      if (is_nan(b)) return b;
      return lex_less(a, b) == kMax ? b : a;
    } else if constexpr (std::is_floating_point_v<A>) {
      // A NaN on either side wins.
      A m = (kMax ? a > b : a < b) ? a : b;
      return a != a ? a : m;
    } else {
      return (kMax ? a > b : a < b) ? a : b;
    }
  }
  template <class D, class V>
  static HWY_INLINE V vec(D, V a, V b) {
    V m = kMax ? hn::Max(a, b) : hn::Min(a, b);
    m = hn::IfThenElse(hn::Eq(b, b), m, b);
    return hn::IfThenElse(hn::Eq(a, a), m, a);
  }
};
struct AndOp {
  template <class A>
  static A identity() {
    return A(true);
  }
  template <class A>
  static HWY_INLINE A apply(A a, A b) {
    return a & b;
  }
};
struct OrOp {
  template <class A>
  static A identity() {
    return A(false);
  }
  template <class A>
  static HWY_INLINE A apply(A a, A b) {
    return a | b;
  }
};

template <class Op, class T>
struct Loops {
  using A = typename AccType<T>::type;
  using F = AccOf<T>;  // float or double, for real floats
  static constexpr bool kFloat = std::is_same_v<A, double>;

  static A widen(T x) {
    if constexpr (std::is_same_v<T, complex64_t>) {
      return cd(x.real(), x.imag());
    } else {
      return static_cast<A>(x);
    }
  }

  static void identity(void* acc, int64_t n) {
    std::fill_n(static_cast<A*>(acc), n, Op::template identity<A>());
  }

  /** v with the last n < L values. */
  template <class D, class V>
  static HWY_INLINE V with_rest(D d, V v, const T* x, int64_t n) {
    const auto some = hn::FirstN(d, static_cast<size_t>(n));
    const auto rest = hn::IfThenElse(some, load_n(d, x, static_cast<size_t>(n)),
                                     hn::Set(d, Op::template identity<F>()));
    return Op::vec(d, v, rest);
  }

  /** The lanes of v as a tree, in double. */
  template <class D, class V>
  static HWY_INLINE A across(D d, V v) {
    if constexpr (sizeof(F) == 4) {
      const hn::Half<D> h;
      const hn::RepartitionToWide<D> w;
      return halves(w, Op::vec(w, hn::PromoteTo(w, hn::LowerHalf(h, v)),
                               hn::PromoteTo(w, hn::UpperHalf(h, v))));
    } else {
      return halves(d, v);
    }
  }
  template <class D, class V>
  static HWY_INLINE A halves([[maybe_unused]] D d, V v) {
    if constexpr (hn::MaxLanes(D()) == 1) {
      return hn::GetLane(v);
    } else {
      const hn::Half<D> h;
      return halves(h, Op::vec(h, hn::LowerHalf(h, v), hn::UpperHalf(h, v)));
    }
  }

  template <bool kFar>
  static void run(void* acc, const void* in, int64_t n) {
    A& a = *static_cast<A*>(acc);
    const T* x = static_cast<const T*>(in);
    if constexpr (kFloat) {
      const hn::ScalableTag<F> d;
      const int64_t L = static_cast<int64_t>(hn::Lanes(d));
      int64_t i = 0;
      if (n >= 4 * L) {
        auto v0 = load(d, x), v1 = load(d, x + L), v2 = load(d, x + 2 * L), v3 = load(d, x + 3 * L);
        for (i = 4 * L; i + 4 * L <= n; i += 4 * L) {
          // Zen 3, which has no AVX-512, sees a single stream coming by itself: asking costs 10%.
          if constexpr (kFar && HWY_TARGET <= HWY_AVX3)
            prefetch_ahead(x + i, 4 * L * sizeof(T), kPrefetchFar);
          v0 = Op::vec(d, v0, load(d, x + i));
          v1 = Op::vec(d, v1, load(d, x + i + L));
          v2 = Op::vec(d, v2, load(d, x + i + 2 * L));
          v3 = Op::vec(d, v3, load(d, x + i + 3 * L));
        }
        for (; i + L <= n; i += L) v0 = Op::vec(d, v0, load(d, x + i));
        if (i < n) v1 = with_rest(d, v1, x + i, n - i);
        v0 = Op::vec(d, Op::vec(d, v0, v1), Op::vec(d, v2, v3));
        a = Op::apply(a, across(d, v0));
      } else if (n >= 4) {
        auto v = hn::Set(d, Op::template identity<F>());
        for (; i + L <= n; i += L) v = Op::vec(d, v, load(d, x + i));
        if (i < n) v = with_rest(d, v, x + i, n - i);
        a = Op::apply(a, across(d, v));
      } else {
        for (; i < n; ++i) a = Op::apply(a, static_cast<A>(static_cast<F>(x[i])));
      }
    } else {
      A r = a;
      for (int64_t i = 0; i < n; ++i) r = Op::apply(r, widen(x[i]));
      a = r;
    }
  }

  static void fold(void* acc, const void* in, int64_t n) {
    A* a = static_cast<A*>(acc);
    const T* x = static_cast<const T*>(in);
    if constexpr (sizeof(T) == 2 && kFloat) {
      float wide[256];
      for (int64_t i = 0; i < n; i += 256) {
        int64_t m = std::min<int64_t>(256, n - i);
        convert_row(x + i, wide, m);
        for (int64_t j = 0; j < m; ++j) a[i + j] = Op::apply(a[i + j], static_cast<A>(wide[j]));
      }
    } else {
      for (int64_t i = 0; i < n; ++i) a[i] = Op::apply(a[i], widen(x[i]));
    }
  }

  static constexpr int64_t kFoldBlock = 128;  // elements; whole vectors

  static void fold_few(void* acc, const void* in, int64_t stride, int64_t n, int64_t rows) {
    const char* base = static_cast<const char*>(in);
    if constexpr (kFloat) {
      A* a = static_cast<A*>(acc);
      const hn::ScalableTag<F> d;
      const int64_t L = static_cast<int64_t>(hn::Lanes(d));
      alignas(64) F few[kFoldBlock];
      for (int64_t i = 0; i < n; i += kFoldBlock) {
        const int64_t m = std::min(kFoldBlock, n - i);
        const auto row = [&](int64_t k) {
          return reinterpret_cast<const T*>(base + k * stride) + i;
        };
        int64_t j = 0;
        for (; j + L <= m; j += L) {
          auto v = load(d, row(0) + j);
          for (int64_t k = 1; k < rows; ++k) v = Op::vec(d, v, load(d, row(k) + j));
          hn::StoreU(v, d, few + j);
        }
        if (j < m) {
          const auto rest = static_cast<size_t>(m - j);
          auto v = load_n(d, row(0) + j, rest);
          for (int64_t k = 1; k < rows; ++k) v = Op::vec(d, v, load_n(d, row(k) + j, rest));
          hn::StoreU(v, d, few + j);
        }
        for (j = 0; j < m; ++j) a[i + j] = Op::apply(a[i + j], static_cast<A>(few[j]));
      }
    } else {
      for (int64_t k = 0; k < rows; ++k) fold(acc, base + k * stride, n);
    }
  }

  static void fold8(void* acc, const void* in, int64_t stride, int64_t n) {
    const char* base = static_cast<const char*>(in);
    if constexpr (kFloat) {
      A* a = static_cast<A*>(acc);
      const hn::ScalableTag<F> d;
      const int64_t L = static_cast<int64_t>(hn::Lanes(d));
      alignas(64) F eight[kFoldBlock];
      for (int64_t i = 0; i < n; i += kFoldBlock) {
        const int64_t m = std::min(kFoldBlock, n - i);
        const auto row = [&](int k) { return reinterpret_cast<const T*>(base + k * stride) + i; };
        int64_t j = 0;
        for (; j + L <= m; j += L) {
          const auto at = [&](int k) { return load(d, row(k) + j); };
          hn::StoreU(Op::vec(d, Op::vec(d, Op::vec(d, at(0), at(1)), Op::vec(d, at(2), at(3))),
                             Op::vec(d, Op::vec(d, at(4), at(5)), Op::vec(d, at(6), at(7)))),
                     d, eight + j);
        }
        for (; j < m; ++j) {
          const auto at = [&](int k) { return static_cast<F>(row(k)[j]); };
          const auto two = [&](F x, F y) { return Op::template apply<F>(x, y); };
          eight[j] = two(two(two(at(0), at(1)), two(at(2), at(3))),
                         two(two(at(4), at(5)), two(at(6), at(7))));
        }
        for (j = 0; j < m; ++j) a[i + j] = Op::apply(a[i + j], static_cast<A>(eight[j]));
      }
    } else {
      A* HWY_RESTRICT a = static_cast<A*>(acc);
      const auto row = [&](int k) { return reinterpret_cast<const T*>(base + k * stride); };
      for (int64_t i = 0; i < n; ++i) {
        A r = a[i];
        HWY_UNROLL(8) for (int k = 0; k < 8; ++k) r = Op::apply(r, widen(row(k)[i]));
        a[i] = r;
      }
    }
  }

  static void rows(void* acc, const void* in, int64_t m, int64_t w) {
    A* a = static_cast<A*>(acc);
    const T* x = static_cast<const T*>(in);
    if (w >= (kFloat ? 8 : 32)) {
      for (int64_t r = 0; r < m; ++r) {
        a[r] = Op::template identity<A>();
        run<false>(a + r, x + r * w, w);
      }
      return;
    }
    for (int64_t r = 0; r < m; ++r, x += w) {
      A total = Op::template identity<A>();
      for (int64_t i = 0; i < w; ++i) {
        if constexpr (kFloat) {
          total = Op::apply(total, static_cast<A>(static_cast<F>(x[i])));
        } else {
          total = Op::apply(total, widen(x[i]));
        }
      }
      a[r] = total;
    }
  }

  static void combine(void* acc, const void* other, int64_t n) {
    A* a = static_cast<A*>(acc);
    const A* b = static_cast<const A*>(other);
    for (int64_t i = 0; i < n; ++i) a[i] = Op::apply(a[i], b[i]);
  }

  static void finish(char* out, int64_t stride, const void* acc, int64_t n) {
    const A* a = static_cast<const A*>(acc);
    if constexpr (!std::is_same_v<T, complex64_t>) {
      if (stride == sizeof(T)) {  // in vectors
        T* o = reinterpret_cast<T*>(out);
        for (int64_t i = 0; i < n; ++i) o[i] = static_cast<T>(a[i]);
        return;
      }
    }
    for (int64_t i = 0; i < n; ++i) {
      T* o = reinterpret_cast<T*>(out + i * stride);
      if constexpr (std::is_same_v<T, complex64_t>) {
        *o = complex64_t(static_cast<float>(a[i].real()), static_cast<float>(a[i].imag()));
      } else {
        *o = static_cast<T>(a[i]);
      }
    }
  }

  static Reducer reducer() {
    return {static_cast<int>(sizeof(A)),
            &identity,
            &run<false>,
            &run<true>,
            &fold,
            &fold8,
            &fold_few,
            &rows,
            &combine,
            &finish};
  }
};

Reducer find(ReduceOp op, Dtype::Val dtype) {
  Reducer r{};
  if (op == ReduceOp::And) return Loops<AndOp, bool>::reducer();
  if (op == ReduceOp::Or) return Loops<OrOp, bool>::reducer();
  dispatch_all_types(dtype_of(dtype), [&](auto type) {
    using T = MLX_GET_TYPE(type);
    // Sums of bool are made of integers before they come here.
    using N = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;
    switch (op) {
      case ReduceOp::Sum:
        r = Loops<SumOp, N>::reducer();
        break;
      case ReduceOp::Prod:
        r = Loops<ProdOp, N>::reducer();
        break;
      case ReduceOp::Min:
        r = Loops<ExtremeOp<false>, N>::reducer();
        break;
      default:
        r = Loops<ExtremeOp<true>, N>::reducer();
        break;
    }
  });
  return r;
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(find);
Reducer find_reducer(ReduceOp op, Dtype::Val dtype) {
  return HWY_DYNAMIC_DISPATCH(find)(op, dtype);
}
}  // namespace mlx::core::cpu
#endif
