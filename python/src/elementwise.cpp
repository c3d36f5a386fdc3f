// python/src/elementwise.cpp: the functions of the elementwise table, and those like them.
#include <map>
#include <set>
#include <string_view>

#include "bind.h"
#include "define.h"
#include "mlx/ops.h"

namespace {

using Unary = mx::array (*)(const mx::array&, mx::StreamOrDevice);
using Binary = mx::array (*)(const mx::array&, const mx::array&, mx::StreamOrDevice);

/** How the parameters of a row are passed; the reference is not uniform. */
enum class Style { positional, free_stream, named };

Style style_of(std::string_view func, int arity) {
  static const std::set<std::string_view> free_stream = {"isnan",    "isinf",    "isfinite",
                                                         "isposinf", "isneginf", "bitwise_invert"};
  static const std::set<std::string_view> positional = {"maximum",    "minimum",    "power",
                                                        "logaddexp",  "arctan2",    "logical_and",
                                                        "logical_or", "logical_xor"};
  if (arity == 2) return positional.count(func) ? Style::positional : Style::free_stream;
  return func == "conjugate"       ? Style::named
         : free_stream.count(func) ? Style::free_stream
                                   : Style::positional;
}

/** The Python names of a row: its own, and those that the array API standard gives it. */
std::vector<const char*> names_of(const char* func) {
  static const std::multimap<std::string_view, const char*> more = {
      {"arcsin", "asin"},
      {"arccos", "acos"},
      {"arctan", "atan"},
      {"arcsinh", "asinh"},
      {"arccosh", "acosh"},
      {"arctanh", "atanh"},
      {"arctan2", "atan2"},
      {"power", "pow"},
      {"conjugate", "conj"},
      {"left_shift", "bitwise_left_shift"},
      {"right_shift", "bitwise_right_shift"}};
  std::vector<const char*> out{func};
  auto [from, to] = more.equal_range(func);
  for (auto it = from; it != to; ++it) out.push_back(it->second);
  return out;
}

/** Rows that are methods of array too. */
bool is_method(std::string_view name) {
  static const std::set<std::string_view> methods = {
      "abs",  "reciprocal", "square", "sqrt", "rsqrt", "exp", "log",
      "log2", "log10",      "log1p",  "sin",  "cos",   "conj"};
  return methods.count(name) > 0;
}

/** Rows that the reference says take Python numbers; all do. */
bool says_scalar(std::string_view name) {
  return name == "degrees" || name == "radians" || name == "bitwise_invert";
}

void row(nb::module_& m, const char* func, Unary op, const char* doc) {
  auto f = [op](nb::handle a, mx::StreamOrDevice s) {
    mx::array* x = array_ptr(a);
    return x ? op(*x, s) : op(to_array(a), s);
  };
  for (const char* name : names_of(func)) {
    switch (style_of(func, 1)) {
      case Style::positional:
        def_function(m, name,
                     says_scalar(name) ? "(a: scalar | array, /, *, " STREAM_SIG
                                       : "(a: array, /, *, " STREAM_SIG,
                     doc, f, nb::arg(), STREAM_ONLY);
        break;
      case Style::named:
        def_function(m, name, "(a: array, *, " STREAM_SIG, doc, f, "a"_a, STREAM_ONLY);
        break;
      case Style::free_stream:
        def_function(
            m, name,
            says_scalar(name) ? "(a: scalar | array, " STREAM_SIG : "(a: array, " STREAM_SIG, doc,
            f, "a"_a, "stream"_a.none() = nb::none());
        break;
    }
    if (is_method(name)) {
      array_class().def(name, f,
                        nb::sig(keep_text(std::string("def ") + name + "(self, *, " STREAM_SIG)),
                        keep_text(std::string("See :func:`") + name + "`."), STREAM_ONLY);
    }
  }
}

void row(nb::module_& m, const char* func, Binary op, const char* doc) {
  auto f = [op](nb::handle a, nb::handle b, mx::StreamOrDevice s) {
    mx::array* x = array_ptr(a);
    mx::array* y = array_ptr(b);
    if (x && y) return op(*x, *y, s);
    auto [p, q] = to_arrays(a, b);
    return op(p, q, s);
  };
  for (const char* name : names_of(func)) {
    if (style_of(func, 2) == Style::free_stream) {
      def_function(m, name, "(a: scalar | array, b: scalar | array, " STREAM_SIG, doc, f, "a"_a,
                   "b"_a, "stream"_a.none() = nb::none());
    } else {
      def_function(m, name, "(a: scalar | array, b: scalar | array, /, *, " STREAM_SIG, doc, f,
                   nb::arg(), nb::arg(), STREAM_ONLY);
    }
  }
}

/** Rows that are not functions of the API by themselves. */
void row(nb::module_&, const char*, std::nullptr_t, const char*) {}

namespace rows {
using namespace mlx::core;
[[maybe_unused]] constexpr std::nullptr_t rint = nullptr;
[[maybe_unused]] constexpr std::nullptr_t nan_equal = nullptr;
[[maybe_unused]] constexpr std::nullptr_t where = nullptr;  // takes three arrays: below
}  // namespace rows

}  // namespace

void bind_elementwise(nb::module_& m) {
#define EW(Name, func, arity, takes, gives, VEC, SCALAR, COMPLEX, JVP, VJP, CUDA, ulp, doc) \
  row(m, #func, rows::func, doc);
#include "mlx/elementwise.def"
#undef EW
  row(m, "positive", mx::positive, "The array itself.");

  def_function(
      m, "divmod", "(a: scalar | array, b: scalar | array, stream: StreamOrDevice = None) -> array",
      "The results of :func:`floor_divide` and :func:`remainder`, as a list.",
      [](nb::handle a, nb::handle b, mx::StreamOrDevice s) {
        auto [x, y] = to_arrays(a, b);
        return mx::divmod(x, y, s);
      },
      "a"_a, "b"_a, "stream"_a.none() = nb::none());
  def_function(
      m, "where",
      "(condition: scalar | array, x: scalar | array, y: scalar | array, /, *, stream: "
      "StreamOrDevice = None) -> array",
      "Elements of ``x`` where ``condition`` holds and of ``y`` elsewhere, with broadcasting.",
      [](nb::handle c, nb::handle x, nb::handle y, mx::StreamOrDevice s) {
        auto [p, q] = to_arrays(x, y);
        return mx::where(to_array(c), p, q, s);
      },
      nb::arg(), nb::arg(), nb::arg(), STREAM_ONLY);
  def_function(
      m, "clip",
      "(a: array, /, a_min: scalar | array | None, a_max: scalar | array | None, *, stream: "
      "StreamOrDevice = None) -> array",
      "Elements limited to ``[a_min, a_max]``; ``None`` is no limit. Raises ``ValueError`` without "
      "any.",
      [](nb::handle h, nb::handle lo, nb::handle hi, mx::StreamOrDevice s) {
        mx::array a = to_array(h);
        return mx::clip(a, to_optional_array(lo, a.dtype()), to_optional_array(hi, a.dtype()), s);
      },
      nb::arg(), nb::arg("a_min").none(), nb::arg("a_max").none(), STREAM_ONLY);
  constexpr const char* round_sig =
      "(a: array, /, decimals: int = 0, stream: StreamOrDevice = None) -> array";
  auto round = [](nb::handle a, int decimals, mx::StreamOrDevice s) {
    return mx::round(to_array(a), decimals, s);
  };
  def_function(m, "round", round_sig, "Elements rounded to ``decimals`` digits, halves to even.",
               round, nb::arg(), "decimals"_a = 0, "stream"_a.none() = nb::none());
  array_class().def(
      "round", round,
      nb::sig("def round(self, decimals: int = 0, *, stream: StreamOrDevice = None) -> array"),
      "See :func:`round`.", "decimals"_a = 0, STREAM_ONLY);
  def_function(
      m, "nan_to_num",
      "(a: scalar | array, nan: float = 0, posinf: float | None = None, neginf: float | None = "
      "None, *, stream: StreamOrDevice = None) -> array",
      "``nan`` replaced by a number, and infinities by the largest finite ones unless given.",
      [](nb::handle a, float nan, std::optional<float> posinf, std::optional<float> neginf,
         mx::StreamOrDevice s) { return mx::nan_to_num(to_array(a), nan, posinf, neginf, s); },
      "a"_a, "nan"_a = 0.0f, "posinf"_a.none() = nb::none(), "neginf"_a.none() = nb::none(),
      STREAM_ONLY);
  def_function(
      m, "stop_gradient", "(a: array, /, *, stream: StreamOrDevice = None) -> array",
      "The array as a constant for differentiation.",
      [](const mx::array& a, mx::StreamOrDevice s) { return mx::stop_gradient(a, s); }, nb::arg(),
      STREAM_ONLY);
}
