// core/prim/fp8.cpp
#include "core/prim/fp8.h"

#include "mlx/ops.h"

namespace mlx::core {

std::vector<array> ConvertFP8::vjp(const std::vector<array>& primals, const std::vector<array>&,
                                   const std::vector<int>& argnums, const std::vector<array>&) {
  return std::vector<array>(argnums.size(), zeros_like(primals[0], stream()));
}

std::vector<array> ConvertFP8::jvp(const std::vector<array>& primals, const std::vector<array>&,
                                   const std::vector<int>&) {
  return {zeros(primals[0].shape(), dtype_, stream())};
}

std::pair<std::vector<array>, std::vector<int>> ConvertFP8::vmap(const std::vector<array>& inputs,
                                                                 const std::vector<int>& axes) {
  return {{array(inputs[0].shape(), dtype_, std::make_shared<ConvertFP8>(stream(), to_, dtype_),
                 inputs)},
          axes};
}

array to_fp8(array x, StreamOrDevice s) {
  if (!issubdtype(x.dtype(), floating)) {
    throw std::invalid_argument(
        std::string("[to_fp8] Only real floating types are supported but x.dtype() == ") +
        dtype_to_string(x.dtype()) + ".");
  }
  Stream stream = to_stream(s);
  if (x.dtype() == float64) x = astype(x, float32, stream);
  return array(x.shape(), uint8, std::make_shared<ConvertFP8>(stream, true, uint8), {x});
}

array from_fp8(array x, Dtype dtype, StreamOrDevice s) {
  if (x.dtype() != uint8) {
    throw std::invalid_argument(
        std::string("[from_fp8] Input must have type uint8 but x.dtype() == ") +
        dtype_to_string(x.dtype()) + ".");
  }
  if (!issubdtype(dtype, floating)) {
    throw std::invalid_argument(
        std::string("[from_fp8] Only real floating types are supported but dtype == ") +
        dtype_to_string(dtype) + ".");
  }
  Stream stream = to_stream(s);
  Dtype t = dtype == float64 ? Dtype(float32) : dtype;
  return astype(array(x.shape(), t, std::make_shared<ConvertFP8>(stream, false, t), {x}), dtype,
                stream);
}

}  // namespace mlx::core
