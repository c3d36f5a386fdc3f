// core/print.cpp: arrays as text, in the style of NumPy.
#include <algorithm>
#include <cmath>
#include <iomanip>
#include <sstream>

#include "mlx/utils.h"

namespace mlx::core {

namespace {

constexpr int kEdgeItems = 3;    // kept at each end of a long axis
constexpr int kSummarizeAt = 6;  // longer axes are cut

// Six significant digits, or as many after the point as the print options say.
void print_float(std::ostream& os, double v, int precision) {
  if (std::isnan(v)) {
    os << "nan";
  } else if (std::isinf(v)) {
    os << (v > 0 ? "inf" : "-inf");
  } else {
    std::ostringstream text;
    if (precision < 0) {
      text << std::setprecision(6) << v;
    } else {
      text << std::fixed << std::setprecision(precision) << v;
    }
    os << text.str();
  }
}

void print_element(std::ostream& os, const array& a, const char* p) {
  auto& f = get_global_formatter();
  if (a.dtype() == bool_) return f.print(os, *reinterpret_cast<const bool*>(p));
  if (a.dtype() == complex64) return f.print(os, *reinterpret_cast<const complex64_t*>(p));
  if (issubdtype(a.dtype(), unsignedinteger))
    return f.print(os, detail::read_element<uint64_t>(p, a.dtype()));
  if (issubdtype(a.dtype(), integer))
    return f.print(os, detail::read_element<int64_t>(p, a.dtype()));
  f.print(os, detail::read_element<double>(p, a.dtype()));
}

void print_axis(std::ostream& os, const array& a, size_t dim, const char* p,
                const std::string& indent) {
  if (dim == a.ndim()) return print_element(os, a, p);
  os << "[";
  int n = a.shape(static_cast<int>(dim));
  bool last = dim + 1 == a.ndim();
  bool cut = n > kSummarizeAt;
  int64_t step = a.strides()[dim] * static_cast<int64_t>(a.itemsize());
  for (int i = 0; i < n; ++i) {
    if (cut && i == kEdgeItems) {
      i = n - kEdgeItems;
      os << (last ? "..., " : "...,\n" + indent + " ");
    }
    print_axis(os, a, dim + 1, p + i * step, indent + " ");
    if (i + 1 < n) os << (last ? ", " : ",\n" + indent + " ");
  }
  os << "]";
}

}  // namespace

void PrintFormatter::print(std::ostream& os, bool val) {
  os << (capitalize_bool ? (val ? "True" : "False") : (val ? "true" : "false"));
}
void PrintFormatter::print(std::ostream& os, int64_t val) { os << val; }
void PrintFormatter::print(std::ostream& os, uint64_t val) { os << val; }
void PrintFormatter::print(std::ostream& os, double val) {
  print_float(os, val, format_options.precision);
}
void PrintFormatter::print(std::ostream& os, complex64_t val) {
  print_float(os, val.real(), format_options.precision);
  if (val.imag() >= 0 || std::isnan(val.imag())) os << "+";
  print_float(os, val.imag(), format_options.precision);
  os << "j";
}

PrintFormatter& get_global_formatter() {
  static PrintFormatter formatter;
  return formatter;
}

void set_printoptions(PrintOptions options) { get_global_formatter().format_options = options; }

std::ostream& operator<<(std::ostream& os, const Device& d) {
  return os << "Device(" << (d.type == Device::cpu ? "cpu" : "gpu") << ", " << d.index << ")";
}
std::ostream& operator<<(std::ostream& os, const Stream& s) {
  return os << "Stream(" << s.device << ", " << s.index << ")";
}
std::ostream& operator<<(std::ostream& os, const Dtype& d) { return os << dtype_to_string(d); }
std::ostream& operator<<(std::ostream& os, const Dtype::Kind& k) {
  return os << "buifcV"[static_cast<int>(k)];
}

std::ostream& operator<<(std::ostream& os, array a) {
  a.eval();
  os << "array(";
  std::string indent(6, ' ');
  if (a.size() == 0 && a.shape(0) == 0) {
    os << "[]";
  } else {
    print_axis(os, a, 0, a.data<char>(), indent);
  }
  return os << ", dtype=" << a.dtype() << ")";
}

}  // namespace mlx::core
