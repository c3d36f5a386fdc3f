// backend/cpu/tape/float-inl.h: the rows of the elementwise table over one real float dtype. The
// including unit defines MICA_T, its storage type, and MICA_TABLE, the name of its accessor.
#include "backend/cpu/fast/io-inl.h"
#include "backend/cpu/tape/kernels.h"
#include "backend/cpu/tape/math-inl.h"
#include "backend/cpu/tape/power-inl.h"
#include "backend/cpu/tape/scalar.h"
#include "backend/cpu/tape/special-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

using Stored = MICA_T;
using T = AccOf<Stored>;  // what values are computed in
using D = hn::ScalableTag<T>;
using V = hn::Vec<D>;

#define VEC(...)                           \
  static constexpr bool kVector = true;    \
  static HWY_INLINE V vec(D d, V x, V y) { \
    (void)d, (void)x, (void)y;             \
    return __VA_ARGS__;                    \
  }
#define LANES(...)                                \
  static constexpr bool kVector = true;           \
  static HWY_INLINE V vec(D d, V vx, V vy) {      \
    return vm::Map(d, vx, vy, [](T x, T y) -> T { \
      (void)y;                                    \
      return __VA_ARGS__;                         \
    });                                           \
  }
#define NONE static constexpr bool kVector = false;
#define EW(Name, func, arity, takes, gives, VEC_, ...) \
  struct Name##Vec {                                   \
    VEC_                                               \
  };
#include "mlx/elementwise.def"
#undef EW
#undef VEC
#undef LANES
#undef NONE

#define SCALAR(...)                        \
  static constexpr bool kScalar = true;    \
  static HWY_INLINE bool test(T x, T y) {  \
    (void)x, (void)y;                      \
    return static_cast<bool>(__VA_ARGS__); \
  }
#define NONE static constexpr bool kScalar = false;
// Only rows that give bool are read as tests.
#define TEST_Same(...)
#define TEST_Part(...)
#define TEST_Bool(...) __VA_ARGS__
#define EW(Name, func, arity, takes, gives, VEC_, SCALAR_, ...) \
  struct Name##Test {                                           \
    TEST_##gives(SCALAR_)                                       \
  };
#include "mlx/elementwise.def"
#undef EW
#undef SCALAR
#undef NONE

template <class Op, int arity>
void map(void* out, const void* a, const void* b, const void*, size_t n, unsigned single) {
  const D d;
  const size_t L = hn::Lanes(d);
  static_assert(2 * hn::MaxLanes(D()) <= kSingle);
  auto* o = static_cast<Stored*>(out);
  const auto* x = static_cast<const Stored*>(a);
  const auto* y = static_cast<const Stored*>(arity > 1 ? b : a);
  const size_t step_x = single & 1 ? 0 : L, step_y = single & 2 ? 0 : L;
  for (; n >= 2 * L; n -= 2 * L, o += 2 * L, x += 2 * step_x, y += 2 * step_y) {
    const V x0 = load(d, x), x1 = load(d, x + L);
    V y0 = x0, y1 = x1;
    if constexpr (arity > 1) y0 = load(d, y), y1 = load(d, y + L);
    const V r0 = Op::vec(d, x0, y0), r1 = Op::vec(d, x1, y1);
    store(r0, d, o);
    store(r1, d, o + L);
  }
  if (n >= L) {
    const V x0 = load(d, x);
    store(Op::vec(d, x0, arity > 1 ? load(d, y) : x0), d, o);
    n -= L, o += L, x += step_x, y += step_y;
  }
  if (n > 0) {
    const V x0 = load_n(d, x, n);
    store_n(Op::vec(d, x0, arity > 1 ? load_n(d, y, n) : x0), d, o, n);
  }
}

template <class Op, int arity>
void test(void* out, const void* a, const void* b, const void*, size_t n, unsigned) {
  auto* o = static_cast<bool*>(out);
  const auto* x = static_cast<const Stored*>(a);
  const auto* y = static_cast<const Stored*>(arity > 1 ? b : a);
  if constexpr (sizeof(Stored) == sizeof(T)) {
    for (size_t i = 0; i < n; ++i) o[i] = Op::test(x[i], y[i]);
  } else {
    // Half floats are widened a block at a time.
    constexpr size_t kBlock = 256;
    T wide_x[kBlock], wide_y[kBlock];
    for (size_t i = 0; i < n; i += kBlock) {
      const size_t m = HWY_MIN(kBlock, n - i);
      convert_row(x + i, wide_x, m);
      convert_row(y + i, wide_y, m);
      for (size_t j = 0; j < m; ++j) o[i + j] = Op::test(wide_x[j], wide_y[j]);
    }
  }
}

template <class Vec, class Test, EwGives gives, int arity>
constexpr Kernel pick() {
  if constexpr (gives == EwGives::Bool) {
    if constexpr (requires { Test::test(T(0), T(0)); }) {
      return &test<Test, arity>;
    } else {
      return nullptr;
    }
  } else if constexpr (Vec::kVector) {
    return &map<Vec, arity>;
  } else {
    return nullptr;
  }
}

const Kernel* table() {
  static constexpr Kernel kTable[] = {
#define EW(Name, func, arity, takes, gives, ...) \
  pick<Name##Vec, Name##Test, EwGives::gives, arity>(),
#include "mlx/elementwise.def"
#undef EW
  };
  return kTable;
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(table);
const Kernel* MICA_TABLE() { return HWY_DYNAMIC_DISPATCH(table)(); }
}  // namespace mlx::core::cpu
#endif
