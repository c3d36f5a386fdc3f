// python/src/elementwise.cpp: the functions of the elementwise table, and those like them.
#include "bind.h"
#include "define.h"
#include "mlx/ops.h"

namespace {

using Unary = mx::array (*)(const mx::array&, mx::StreamOrDevice);
using Binary = mx::array (*)(const mx::array&, const mx::array&, mx::StreamOrDevice);

/** How a binary function takes its operands. */
enum class Names { positional, free };  // f(a, b, /, *, stream), f(a, b, stream)

void unary(nb::module_& m, std::initializer_list<const char*> names, Unary op, const char* doc,
           bool method = false) {
  auto f = [op](nb::handle a, mx::StreamOrDevice s) {
    mx::array* x = array_ptr(a);
    return x ? op(*x, s) : op(to_array(a), s);
  };
  constexpr const char* sig = "(a: array, /, *, stream: StreamOrDevice = None) -> array";
  for (const char* name : names) {
    def_function(m, name, sig, doc, f, nb::arg(), STREAM_ONLY);
    if (method) {
      array_class().def(name, f, nb::sig(keep_text(method_signature(name, sig))),
                        keep_text(std::string("See :func:`") + name + "`."), STREAM_ONLY);
    }
  }
}

/** Predicates: stream may be given by position. */
void predicate(nb::module_& m, const char* name, Unary op, const char* doc) {
  def_function(
      m, name, "(a: array, stream: StreamOrDevice = None) -> array", doc,
      [op](nb::handle a, mx::StreamOrDevice s) { return op(to_array(a), s); }, "a"_a,
      "stream"_a.none() = nb::none());
}

void binary(nb::module_& m, std::initializer_list<const char*> names, Binary op, const char* doc,
            Names style = Names::free) {
  auto f = [op](nb::handle a, nb::handle b, mx::StreamOrDevice s) {
    mx::array* x = array_ptr(a);
    mx::array* y = array_ptr(b);
    if (x && y) return op(*x, *y, s);
    auto [p, q] = to_arrays(a, b);
    return op(p, q, s);
  };
  for (const char* name : names) {
    if (style == Names::free) {
      def_function(m, name,
                   "(a: scalar | array, b: scalar | array, stream: StreamOrDevice = None) -> array",
                   doc, f, nb::arg("a"), nb::arg("b"), "stream"_a.none() = nb::none());
    } else {
      def_function(
          m, name,
          "(a: scalar | array, b: scalar | array, /, *, stream: StreamOrDevice = None) -> array",
          doc, f, nb::arg(), nb::arg(), STREAM_ONLY);
    }
  }
}

}  // namespace

void bind_elementwise(nb::module_& m) {
  unary(m, {"abs"}, &mx::abs, "The absolute value; of a complex number, its modulus.", true);
  unary(m, {"positive"}, &mx::positive, "The array itself.");
  unary(m, {"negative"}, &mx::negative, "``-a``. Raises ``ValueError`` for booleans.");
  unary(m, {"sign"}, &mx::sign, "-1, 0 or 1 by the sign; of a complex number, its direction.");
  unary(m, {"logical_not"}, &mx::logical_not, "True where an element is zero.");
  unary(m, {"reciprocal"}, &mx::reciprocal, "``1 / a``.", true);
  unary(m, {"floor"}, &mx::floor, "The largest integer that is not larger, in the dtype of ``a``.");
  unary(m, {"ceil"}, &mx::ceil, "The smallest integer that is not smaller, in the dtype of ``a``.");
  unary(m, {"trunc"}, &mx::trunc, "The integer part, in the dtype of ``a``.");
  unary(m, {"square"}, &mx::square, "``a * a``.", true);
  unary(m, {"sqrt"}, &mx::sqrt, "The square root; ``nan`` for negative numbers.", true);
  unary(m, {"rsqrt"}, &mx::rsqrt, "One over the square root.", true);
  unary(m, {"exp"}, &mx::exp, "``e`` to the power of each element.", true);
  unary(m, {"expm1"}, &mx::expm1, "``exp(a) - 1``, accurate for small ``a``.");
  unary(m, {"log"}, &mx::log, "The natural logarithm.", true);
  unary(m, {"log2"}, &mx::log2, "The logarithm to base 2.", true);
  unary(m, {"log10"}, &mx::log10, "The logarithm to base 10.", true);
  unary(m, {"log1p"}, &mx::log1p, "``log(1 + a)``, accurate for small ``a``.", true);
  unary(m, {"sin"}, &mx::sin, "The sine of an angle in radians.", true);
  unary(m, {"cos"}, &mx::cos, "The cosine of an angle in radians.", true);
  unary(m, {"tan"}, &mx::tan, "The tangent of an angle in radians.");
  unary(m, {"arcsin", "asin"}, &mx::arcsin, "The angle whose sine is each element.");
  unary(m, {"arccos", "acos"}, &mx::arccos, "The angle whose cosine is each element.");
  unary(m, {"arctan", "atan"}, &mx::arctan, "The angle whose tangent is each element.");
  unary(m, {"sinh"}, &mx::sinh, "The hyperbolic sine.");
  unary(m, {"cosh"}, &mx::cosh, "The hyperbolic cosine.");
  unary(m, {"tanh"}, &mx::tanh, "The hyperbolic tangent.");
  unary(m, {"arcsinh", "asinh"}, &mx::arcsinh, "The inverse of ``sinh``.");
  unary(m, {"arccosh", "acosh"}, &mx::arccosh, "The inverse of ``cosh``.");
  unary(m, {"arctanh", "atanh"}, &mx::arctanh, "The inverse of ``tanh``.");
  unary(m, {"degrees"}, &mx::degrees, "Radians as degrees.");
  unary(m, {"radians"}, &mx::radians, "Degrees as radians.");
  unary(m, {"sigmoid"}, &mx::sigmoid, "``1 / (1 + exp(-a))``.");
  unary(m, {"erf"}, &mx::erf, "The error function.");
  unary(m, {"erfinv"}, &mx::erfinv, "The inverse of ``erf``.");
  unary(m, {"real"}, &mx::real, "The real part.");
  unary(m, {"imag"}, &mx::imag, "The imaginary part.");

  predicate(m, "isnan", &mx::isnan, "Where elements are not a number.");
  predicate(m, "isinf", &mx::isinf, "Where elements are infinite.");
  predicate(m, "isfinite", &mx::isfinite, "Where elements are neither infinite nor not a number.");
  predicate(m, "isposinf", &mx::isposinf, "Where elements are positive infinity.");
  predicate(m, "isneginf", &mx::isneginf, "Where elements are negative infinity.");
  predicate(m, "bitwise_invert", &mx::bitwise_invert,
            "Each bit flipped. Raises ``ValueError`` for floats.");
  constexpr const char* conj_sig = "(a: array, *, stream: StreamOrDevice = None) -> array";
  auto conjugate = [](nb::handle a, mx::StreamOrDevice s) { return mx::conjugate(to_array(a), s); };
  for (const char* name : {"conj", "conjugate"}) {
    def_function(m, name, conj_sig, "The complex conjugate.", conjugate, "a"_a, STREAM_ONLY);
  }
  array_class().def("conj", conjugate, nb::sig(keep_text(method_signature("conj", conj_sig))),
                    "See :func:`conj`.", STREAM_ONLY);

  binary(m, {"add"}, &mx::add, "``a + b``, with broadcasting.");
  binary(m, {"subtract"}, &mx::subtract, "``a - b``, with broadcasting.");
  binary(m, {"multiply"}, &mx::multiply, "``a * b``, with broadcasting.");
  binary(m, {"divide"}, &mx::divide,
         "``a / b``, with broadcasting; integers are divided as ``float32``.");
  binary(m, {"floor_divide"}, &mx::floor_divide,
         "The quotient, rounded down for floats, towards zero for integers.");
  binary(m, {"remainder"}, &mx::remainder, "The remainder of ``a / b`` with the sign of ``b``.");
  binary(m, {"equal"}, &mx::equal, "Where ``a == b``.");
  binary(m, {"not_equal"}, &mx::not_equal, "Where ``a != b``.");
  binary(m, {"greater"}, &mx::greater, "Where ``a > b``.");
  binary(m, {"greater_equal"}, &mx::greater_equal, "Where ``a >= b``.");
  binary(m, {"less"}, &mx::less, "Where ``a < b``.");
  binary(m, {"less_equal"}, &mx::less_equal, "Where ``a <= b``.");
  binary(m, {"bitwise_and"}, &mx::bitwise_and,
         "Bits that are set in both. Raises ``ValueError`` for floats.");
  binary(m, {"bitwise_or"}, &mx::bitwise_or,
         "Bits that are set in either. Raises ``ValueError`` for floats.");
  binary(m, {"bitwise_xor"}, &mx::bitwise_xor,
         "Bits that are set in one only. Raises ``ValueError`` for floats.");
  binary(m, {"left_shift", "bitwise_left_shift"}, &mx::left_shift,
         "``a << b``. Raises ``ValueError`` for floats.");
  binary(m, {"right_shift", "bitwise_right_shift"}, &mx::right_shift,
         "``a >> b``. Raises ``ValueError`` for floats.");
  binary(m, {"maximum"}, &mx::maximum, "The larger of two elements; ``nan`` if either is.",
         Names::positional);
  binary(m, {"minimum"}, &mx::minimum, "The smaller of two elements; ``nan`` if either is.",
         Names::positional);
  binary(m, {"power", "pow"}, &mx::power, "``a`` to the power of ``b``.", Names::positional);
  binary(m, {"logaddexp"}, &mx::logaddexp, "``log(exp(a) + exp(b))`` without overflow.",
         Names::positional);
  binary(m, {"arctan2", "atan2"}, &mx::arctan2, "The angle of the point ``(b, a)``.",
         Names::positional);
  binary(m, {"logical_and"}, &mx::logical_and, "Where both are not zero.", Names::positional);
  binary(m, {"logical_or"}, &mx::logical_or, "Where either is not zero.", Names::positional);
  binary(m, {"logical_xor"}, &mx::logical_xor, "Where exactly one is not zero.", Names::positional);

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
