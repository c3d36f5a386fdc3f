// include/mlx/dtype_utils.h: the only switches on dtype. dispatch_*(dtype, tag, f) calls
// f(type_identity<T>{}) for the C++ type T that stores dtype, or throws naming tag and dtype.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "mlx/dtype.h"

namespace mlx::core {

template <typename T>
struct type_identity {
  using type = T;
};

#define MLX_GET_TYPE(x) typename decltype(x)::type

[[noreturn]] inline void throw_dtype(std::string_view tag, Dtype dt, const char* wanted) {
  throw std::invalid_argument(std::string(tag) + " Only " + wanted + " types are supported, got " +
                              dtype_to_string(dt) + ".");
}

#define MLX_DTYPE_CASE(name, T) \
  case Dtype::Val::name:        \
    f(type_identity<T>{});      \
    return;
#define MLX_INT_CASES              \
  MLX_DTYPE_CASE(uint8, uint8_t)   \
  MLX_DTYPE_CASE(uint16, uint16_t) \
  MLX_DTYPE_CASE(uint32, uint32_t) \
  MLX_DTYPE_CASE(uint64, uint64_t) \
  MLX_DTYPE_CASE(int8, int8_t)     \
  MLX_DTYPE_CASE(int16, int16_t)   \
  MLX_DTYPE_CASE(int32, int32_t)   \
  MLX_DTYPE_CASE(int64, int64_t)
#define MLX_FLOAT_CASES                \
  MLX_DTYPE_CASE(float16, float16_t)   \
  MLX_DTYPE_CASE(bfloat16, bfloat16_t) \
  MLX_DTYPE_CASE(float32, float)       \
  MLX_DTYPE_CASE(float64, double)

template <typename F>
void dispatch_all_types(Dtype dt, F&& f) {
  switch (dt.val()) {
    MLX_DTYPE_CASE(bool_, bool)
    MLX_INT_CASES
    MLX_FLOAT_CASES
    MLX_DTYPE_CASE(complex64, complex64_t)
  }
}

template <typename F>
void dispatch_int_types(Dtype dt, std::string_view tag, F&& f) {
  switch (dt.val()) {
    MLX_INT_CASES
    default:
      throw_dtype(tag, dt, "integer");
  }
}

template <typename F>
void dispatch_float_types(Dtype dt, std::string_view tag, F&& f) {
  switch (dt.val()) {
    MLX_FLOAT_CASES
    default:
      throw_dtype(tag, dt, "real floating point");
  }
}

template <typename F>
void dispatch_inexact_types(Dtype dt, std::string_view tag, F&& f) {
  switch (dt.val()) {
    MLX_FLOAT_CASES
    MLX_DTYPE_CASE(complex64, complex64_t)
    default:
      throw_dtype(tag, dt, "inexact (float or complex)");
  }
}

template <typename F>
void dispatch_int_float_types(Dtype dt, std::string_view tag, F&& f) {
  switch (dt.val()) {
    MLX_INT_CASES
    MLX_FLOAT_CASES
    default:
      throw_dtype(tag, dt, "integer and floating point");
  }
}

template <typename F>
void dispatch_real_types(Dtype dt, std::string_view tag, F&& f) {
  switch (dt.val()) {
    MLX_DTYPE_CASE(bool_, bool)
    MLX_INT_CASES
    MLX_FLOAT_CASES
    default:
      throw_dtype(tag, dt, "real");
  }
}

#undef MLX_DTYPE_CASE
#undef MLX_INT_CASES
#undef MLX_FLOAT_CASES

}  // namespace mlx::core
