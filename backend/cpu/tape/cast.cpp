// backend/cpu/tape/cast.cpp: conversions between all dtypes, and Select, which only moves bytes.
//
// Floats to integers truncate. What does not fit follows x86: through int32 for targets of up to 32
// bits signed (out of range: INT32_MIN, then wrapped), through int64 for wider ones.
#include "backend/cpu/tape/kernels.h"
#include "backend/cpu/tape/scalar.h"
#include "mlx/dtype_utils.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/tape/cast.cpp"
#include <hwy/foreach_target.h>

#include "backend/cpu/fast/io-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace {

template <class I, class F>
HWY_INLINE I truncate(F x) {
  // The bounds are powers of two, exact in every float type.
  constexpr F lo = static_cast<F>(std::numeric_limits<I>::min());
  return x >= lo && x < -lo ? static_cast<I>(x) : std::numeric_limits<I>::min();
}

template <class From, class To>
HWY_INLINE To convert(From x) {
  if constexpr (std::is_same_v<From, complex64_t>) {
    if constexpr (std::is_same_v<To, bool>) {
      return x.real() != 0 || x.imag() != 0;
    } else {
      return convert<float, To>(x.real());
    }
  } else if constexpr (std::is_same_v<To, complex64_t>) {
    return complex64_t(static_cast<float>(x), 0);
  } else if constexpr (std::is_same_v<To, bool>) {
    return x != From(0);
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    if constexpr (std::is_same_v<To, uint64_t>) {
      return x >= From(9223372036854775808.0) && x < From(18446744073709551616.0)
                 ? static_cast<uint64_t>(x - From(9223372036854775808.0)) + (uint64_t(1) << 63)
                 : static_cast<uint64_t>(truncate<int64_t>(x));
    } else if constexpr (sizeof(To) == 8 || std::is_same_v<To, uint32_t>) {
      return static_cast<To>(truncate<int64_t>(x));
    } else {
      return static_cast<To>(truncate<int32_t>(x));
    }
  } else {
    return static_cast<To>(x);
  }
}

template <class T>
constexpr bool kHalf = std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>;

template <class From, class To>
void cast(void* out, const void* in, const void*, const void*, size_t n, unsigned) {
  const auto* x = static_cast<const From*>(in);
  auto* o = static_cast<To*>(out);
  if constexpr (kHalf<From> && (kHalf<To> || std::is_same_v<To, float>)) {
    convert_row(x, o, n);
  } else if constexpr (kHalf<To> && std::is_same_v<From, float>) {
    convert_row(x, o, n);
  } else if constexpr (kHalf<From> || kHalf<To>) {
    // Half floats go through float32 a block at a time.
    constexpr size_t kBlock = 256;
    float wide[kBlock];
    for (size_t i = 0; i < n; i += kBlock) {
      const size_t m = HWY_MIN(kBlock, n - i);
      if constexpr (kHalf<From>) {
        convert_row(x + i, wide, m);
        for (size_t j = 0; j < m; ++j) o[i + j] = convert<float, To>(wide[j]);
      } else {
        for (size_t j = 0; j < m; ++j) wide[j] = convert<From, float>(x[i + j]);
        convert_row(wide, o + i, m);
      }
    }
  } else {
    for (size_t i = 0; i < n; ++i) o[i] = convert<From, To>(x[i]);
  }
}

Kernel find(Dtype::Val from, Dtype::Val to) {
  Kernel k = nullptr;
  dispatch_all_types(dtype_of(from), [&](auto f) {
    using From = MLX_GET_TYPE(f);
    dispatch_all_types(dtype_of(to), [&](auto t) { k = &cast<From, MLX_GET_TYPE(t)>; });
  });
  return k;
}

template <class T>
void select(void* out, const void* condition, const void* yes, const void* no, size_t n, unsigned) {
  const auto* c = static_cast<const uint8_t*>(condition);
  const auto* y = static_cast<const T*>(yes);
  const auto* z = static_cast<const T*>(no);
  auto* o = static_cast<T*>(out);
  for (size_t i = 0; i < n; ++i) o[i] = c[i] ? y[i] : z[i];
}

Kernel find_select(size_t itemsize) {
  switch (itemsize) {
    case 1:
      return &select<uint8_t>;
    case 2:
      return &select<uint16_t>;
    case 4:
      return &select<uint32_t>;
    default:
      return &select<uint64_t>;
  }
}

}  // namespace
}  // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(find);
HWY_EXPORT(find_select);
Kernel cast_kernel(Dtype::Val from, Dtype::Val to) { return HWY_DYNAMIC_DISPATCH(find)(from, to); }
Kernel select_kernel(size_t itemsize) { return HWY_DYNAMIC_DISPATCH(find_select)(itemsize); }

Kernel find_kernel(const TapeInstr& instr) {
  Kernel k = nullptr;
  if (instr.op == EwOp::Cast) {
    k = cast_kernel(instr.in, instr.out);
  } else if (instr.op == EwOp::Select) {
    k = select_kernel(dtype_of(instr.in).size());
  } else {
    static const Kernel* const kFloats[] = {float16_kernels(), float32_kernels(), float64_kernels(),
                                            bfloat16_kernels(), complex_kernels()};
    const Kernel* table =
        instr.in < Dtype::Val::float16
            ? integer_kernels(instr.in)
            : kFloats[static_cast<int>(instr.in) - static_cast<int>(Dtype::Val::float16)];
    k = table[static_cast<int>(instr.op)];
  }
  if (!k) {
    throw std::invalid_argument(std::string("[") + info(instr.op).function +
                                "] Not supported for " + dtype_to_string(dtype_of(instr.in)) + ".");
  }
  return k;
}

bool takes_single(const TapeInstr& instr) {
  const bool row = instr.op != EwOp::Cast && instr.op != EwOp::Select;
  return row && info(instr.op).arity == 2 && info(instr.op).gives != EwGives::Bool &&
         instr.in >= Dtype::Val::float16 && instr.in != Dtype::Val::complex64;
}

}  // namespace mlx::core::cpu
#endif
