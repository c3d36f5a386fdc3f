// backend/cpu/tape/complex.cpp: the elementwise table over complex64.
#include <type_traits>

#include "backend/cpu/tape/kernels.h"
#include "backend/cpu/tape/scalar.h"

namespace mlx::core::cpu {

namespace {

using scalar::cf;

#define COMPLEX(...)                                       \
  static constexpr bool kComplex = true;                   \
  static inline auto apply(complex64_t x, complex64_t y) { \
    (void)x, (void)y;                                      \
    return __VA_ARGS__;                                    \
  }
#define NONE static constexpr bool kComplex = false;
#define EW(Name, func, arity, takes, gives, VEC_, SCALAR_, COMPLEX_, ...) \
  struct Name##Complex {                                                  \
    COMPLEX_                                                              \
  };
#include "mlx/elementwise.def"
#undef EW
#undef COMPLEX
#undef NONE

template <class Op, int arity, class R>
void map(void* out, const void* a, const void* b, const void*, size_t n, unsigned) {
  auto* o = static_cast<R*>(out);
  const auto* x = static_cast<const complex64_t*>(a);
  const auto* y = static_cast<const complex64_t*>(arity > 1 ? b : a);
  for (size_t i = 0; i < n; ++i) o[i] = R(Op::apply(x[i], y[i]));
}

template <class Op, EwGives gives, int arity>
constexpr Kernel pick() {
  if constexpr (!Op::kComplex) {
    return nullptr;
  } else {
    using R = std::conditional_t<gives == EwGives::Bool, bool,
                                 std::conditional_t<gives == EwGives::Part, float, complex64_t>>;
    return &map<Op, arity, R>;
  }
}

}  // namespace

const Kernel* complex_kernels() {
  static constexpr Kernel kTable[] = {
#define EW(Name, func, arity, takes, gives, ...) pick<Name##Complex, EwGives::gives, arity>(),
#include "mlx/elementwise.def"
#undef EW
  };
  return kTable;
}

}  // namespace mlx::core::cpu
