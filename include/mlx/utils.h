// include/mlx/utils.h: small things that many programs need.
#pragma once

#include <iosfwd>
#include <limits>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>

#include "mlx/array.h"
#include "mlx/device.h"
#include "mlx/dtype.h"
#include "mlx/stream.h"

namespace mlx::core {

using StreamOrDevice =
    std::variant<std::monostate, Stream, ThreadLocalStream, Device, Device::DeviceType>;
Stream to_stream(StreamOrDevice s);
Stream to_stream(StreamOrDevice s, Device default_);

/** Makes s the default device and stream while it lives. */
struct StreamContext {
 public:
  StreamContext(StreamOrDevice s);
  ~StreamContext() noexcept(false);

 private:
  Device device_;
  Stream stream_;
};

struct PrintOptions {
  int precision = -1;  // digits after the point; six significant ones if negative
};

struct PrintFormatter {
  void print(std::ostream& os, bool val);
  void print(std::ostream& os, int64_t val);
  void print(std::ostream& os, uint64_t val);
  void print(std::ostream& os, double val);
  void print(std::ostream& os, complex64_t val);

  bool capitalize_bool = false;
  PrintOptions format_options;
};
void set_printoptions(PrintOptions options);
PrintFormatter& get_global_formatter();

struct finfo {
  explicit finfo(Dtype dtype);
  Dtype dtype;
  int bits;
  double min;
  double max;
  double eps;
  double smallest_normal;
};

struct iinfo {
  explicit iinfo(Dtype dtype);
  Dtype dtype;
  int64_t min;
  uint64_t max;
};

inline Dtype result_type(const array& a, const array& b) {
  return promote_types(a.dtype(), b.dtype());
}
inline Dtype result_type(const array& a, const array& b, const array& c) {
  return promote_types(result_type(a, b), c.dtype());
}
Dtype result_type(const std::vector<array>& arrays);

/** NumPy's broadcasting rule; throws std::invalid_argument naming both shapes. */
Shape broadcast_shapes(const Shape& s1, const Shape& s2);

/** A dimension as a shape element; throws std::overflow_error if it does not fit. */
template <typename T>
inline ShapeElem safe_cast(T dim, std::string_view op = "") {
  if (dim > static_cast<T>(std::numeric_limits<ShapeElem>::max()))
    throw std::overflow_error("[" + std::string(op) + "] dimension " + std::to_string(dim) +
                              " does not fit in 32 bits.");
  return static_cast<ShapeElem>(dim);
}

/** Axis in [0, ndim); throws std::invalid_argument starting with msg_prefix. */
int normalize_axis_index(int axis, int ndim, const std::string& msg_prefix = "");

/** "(2,3)" */
std::string to_string(const Shape& shape);

std::ostream& operator<<(std::ostream& os, const Device& d);
std::ostream& operator<<(std::ostream& os, const Stream& s);
std::ostream& operator<<(std::ostream& os, const Dtype& d);
std::ostream& operator<<(std::ostream& os, const Dtype::Kind& k);
std::ostream& operator<<(std::ostream& os, array a);
inline std::ostream& operator<<(std::ostream& os, const complex64_t& v) {
  return os << v.real() << (v.imag() >= 0 ? "+" : "") << v.imag() << "j";
}
inline std::ostream& operator<<(std::ostream& os, const float16_t& v) {
  return os << static_cast<float>(v);
}
inline std::ostream& operator<<(std::ostream& os, const bfloat16_t& v) {
  return os << static_cast<float>(v);
}
template <typename Vec, typename = std::enable_if_t<is_vector_v<Vec>>>
inline std::ostream& operator<<(std::ostream& os, const Vec& v) {
  os << "(";
  for (size_t i = 0; i < v.size(); ++i) os << (i ? "," : "") << v[i];
  return os << ")";
}

inline bool is_power_of_2(int n) { return n > 0 && (n & (n - 1)) == 0; }
inline int next_power_of_2(int n) {
  int p = 1;
  while (p < n) p *= 2;
  return p;
}

namespace env {
int get_var(const char* name, int default_value);
std::string get_var(const char* name, const char* default_value);
}  // namespace env

}  // namespace mlx::core
