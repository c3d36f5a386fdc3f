// core/utils.cpp: shapes, limits of dtypes, and environment variables.
#include "mlx/utils.h"

#include <cfloat>
#include <cstdlib>
#include <sstream>

#include "mlx/version.h"

namespace mlx::core {

const char* version() { return "0.32.4"; }

Dtype result_type(const std::vector<array>& arrays) {
  Dtype t = arrays.empty() ? bool_ : arrays[0].dtype();
  for (const auto& a : arrays) t = promote_types(t, a.dtype());
  return t;
}

std::string to_string(const Shape& shape) {
  std::ostringstream os;
  os << shape;
  return os.str();
}

Shape broadcast_shapes(const Shape& s1, const Shape& s2) {
  const Shape& big = s1.size() >= s2.size() ? s1 : s2;
  const Shape& small = s1.size() >= s2.size() ? s2 : s1;
  Shape out = big;
  size_t shift = big.size() - small.size();
  for (size_t i = 0; i < small.size(); ++i) {
    auto a = big[i + shift], b = small[i];
    if (a == b || b == 1) continue;
    if (a != 1) {
      throw std::invalid_argument("[broadcast_shapes] Shapes " + to_string(s1) + " and " +
                                  to_string(s2) + " cannot be broadcast.");
    }
    out[i + shift] = b;
  }
  return out;
}

int normalize_axis_index(int axis, int ndim, const std::string& msg_prefix) {
  if (axis < -ndim || axis >= ndim) {
    throw std::out_of_range(msg_prefix + "Invalid axis " + std::to_string(axis) +
                            " for array with " + std::to_string(ndim) + " dimensions.");
  }
  return axis < 0 ? axis + ndim : axis;
}

finfo::finfo(Dtype d) : dtype(d) {
  switch (d.val()) {
    case Dtype::Val::float16:
      bits = 16, max = 65504.0, eps = 0x1p-10, smallest_normal = 0x1p-14;
      break;
    case Dtype::Val::bfloat16:
      bits = 16, max = 0x1.fep127, eps = 0x1p-7, smallest_normal = 0x1p-126;
      break;
    case Dtype::Val::float32:
    case Dtype::Val::complex64:
      bits = 32, max = FLT_MAX, eps = FLT_EPSILON, smallest_normal = FLT_MIN;
      dtype = float32;
      break;
    case Dtype::Val::float64:
      bits = 64, max = DBL_MAX, eps = DBL_EPSILON, smallest_normal = DBL_MIN;
      break;
    default:
      throw std::invalid_argument(std::string("[finfo] dtype ") + dtype_to_string(d) +
                                  " is not inexact.");
  }
  min = -max;
}

iinfo::iinfo(Dtype d) : dtype(d) {
  if (!issubdtype(d, integer))
    throw std::invalid_argument(std::string("[iinfo] dtype ") + dtype_to_string(d) +
                                " is not integral.");
  int bits = 8 * d.size();
  if (issubdtype(d, signedinteger)) {
    max = ~uint64_t(0) >> (65 - bits);
    min = -static_cast<int64_t>(max) - 1;
  } else {
    max = ~uint64_t(0) >> (64 - bits);
    min = 0;
  }
}

namespace env {
int get_var(const char* name, int default_value) {
  const char* v = std::getenv(name);
  return v && *v ? std::atoi(v) : default_value;
}
std::string get_var(const char* name, const char* default_value) {
  const char* v = std::getenv(name);
  return v ? v : default_value;
}
}  // namespace env

}  // namespace mlx::core
