// backend/cpu/tape/integer.cpp: the elementwise table over bool and the integer dtypes. Plain
// loops: the compiler vectorises them for each target.
#include "backend/cpu/tape/kernels.h"
#include "backend/cpu/tape/scalar.h"
#include "mlx/dtype_utils.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/tape/integer.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

#define SCALAR(...)                        \
  static constexpr bool kScalar = true;    \
  template <class T>                       \
  static HWY_INLINE auto apply(T x, T y) { \
    (void)x, (void)y;                      \
    return __VA_ARGS__;                    \
  }
#define NONE static constexpr bool kScalar = false;
#define EW(Name, func, arity, takes, gives, VEC_, SCALAR_, ...) \
  struct Name##Int {                                            \
    SCALAR_                                                     \
  };
#include "mlx/elementwise.def"
#undef EW
#undef SCALAR
#undef NONE

template <class Op, int arity, class T, class R>
void map(void* out, const void* a, const void* b, const void*, size_t n, unsigned) {
  auto* o = static_cast<R*>(out);
  const auto* x = static_cast<const T*>(a);
  const auto* y = static_cast<const T*>(arity > 1 ? b : a);
  for (size_t i = 0; i < n; ++i) o[i] = static_cast<R>(Op::template apply<T>(x[i], y[i]));
}

// Which dtypes a row can meet: bool is never an argument of rows that shift bits or negate.
constexpr bool takes_type(EwTakes takes, bool is_bool) {
  switch (takes) {
    case EwTakes::Inexact:
    case EwTakes::RealFloat:
      return false;
    case EwTakes::NoBool:
    case EwTakes::Bits:
      return !is_bool;
    case EwTakes::Logical:
      return is_bool;
    default:
      return true;
  }
}

template <class Op, EwTakes takes, EwGives gives, int arity, class T>
constexpr Kernel pick() {
  if constexpr (!Op::kScalar || !takes_type(takes, std::is_same_v<T, bool>)) {
    return nullptr;
  } else {
    return &map<Op, arity, T, std::conditional_t<gives == EwGives::Bool, bool, T>>;
  }
}

template <class T>
struct Table {
  static constexpr Kernel kRows[] = {
#define EW(Name, func, arity, takes, gives, ...) \
  pick<Name##Int, EwTakes::takes, EwGives::gives, arity, T>(),
#include "mlx/elementwise.def"
#undef EW
  };
};

const Kernel* table(Dtype::Val dtype) {
  const Kernel* rows = nullptr;
  dispatch_real_types(dtype_of(dtype), "[tape]", [&](auto type) {
    using T = MLX_GET_TYPE(type);
    if constexpr (std::is_integral_v<T>) rows = Table<T>::kRows;
  });
  return rows;
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(table);
const Kernel* integer_kernels(Dtype::Val dtype) { return HWY_DYNAMIC_DISPATCH(table)(dtype); }
}  // namespace mlx::core::cpu
#endif
