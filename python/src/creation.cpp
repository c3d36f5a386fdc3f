// python/src/creation.cpp: new arrays from parameters.
#include "bind.h"
#include "define.h"
#include "mlx/ops.h"

namespace {

bool is_float(nb::handle h) { return PyFloat_Check(h.ptr()); }

double number(nb::handle h, const char* op) {
  if (PyBool_Check(h.ptr()))
    throw std::invalid_argument("bool not supported for " + std::string(op) + ".");
  if (!is_float(h) && !PyIndex_Check(h.ptr())) {
    throw_type_error("[" + std::string(op) + "] a number is needed, but " + py_type_name(h) +
                     " was given.");
  }
  double v = PyFloat_AsDouble(h.ptr());
  if (v == -1 && PyErr_Occurred()) throw nb::python_error();
  return v;
}

// Ints give int32, or int64 where a bound needs it; floats give float32.
mx::array arange(nb::handle start, nb::handle stop, nb::handle step, std::optional<mx::Dtype> dtype,
                 mx::StreamOrDevice s) {
  double a = start.is_none() ? 0 : number(start, "arange");
  double b = number(stop, "arange");
  double d = step.is_none() ? 1 : number(step, "arange");
  if (!dtype) {
    bool real = is_float(stop) || (!start.is_none() && is_float(start)) ||
                (!step.is_none() && is_float(step));
    auto wide = [](double v) { return std::abs(v) > 2147483647.0; };
    dtype = real ? mx::float32 : wide(a) || wide(b) || wide(d) ? mx::int64 : mx::int32;
  }
  return mx::arange(a, b, d, *dtype, s);
}

}  // namespace

void bind_creation(nb::module_& m) {
  constexpr const char* arange_doc = R"(
Numbers from ``start`` (0) up to ``stop``, which is left out, by ``step`` (1).

Without ``dtype``: ``int32``, ``int64`` where the bounds need it, ``float32`` if any is a float.)";
  def_function(
      m, "arange",
      "(start: int | float, stop: None | int | float, step: None | int | float, dtype: Dtype | "
      "None = None, *, " STREAM_SIG,
      arange_doc,
      [](nb::handle start, nb::handle stop, nb::handle step, std::optional<mx::Dtype> dtype,
         mx::StreamOrDevice s) {
        return stop.is_none() ? arange(stop, start, step, dtype, s)
                              : arange(start, stop, step, dtype, s);
      },
      "start"_a, "stop"_a.none(), "step"_a.none() = nb::none(), "dtype"_a.none() = nb::none(),
      STREAM_ONLY);
  def_function(
      m, "arange",
      "(stop: int | float, step: None | int | float = None, dtype: Dtype | None = None, "
      "*, " STREAM_SIG,
      arange_doc,
      [](nb::handle stop, nb::handle step, std::optional<mx::Dtype> dtype, mx::StreamOrDevice s) {
        return arange(nb::none(), stop, step, dtype, s);
      },
      "stop"_a, "step"_a.none() = nb::none(), "dtype"_a.none() = nb::none(), STREAM_ONLY);
  def_function(
      m, "linspace",
      "(start: scalar, stop: scalar, num: int | None = 50, endpoint: bool = True, dtype: Dtype | "
      "None = float32, "
      "stream: StreamOrDevice = None) -> array",
      "``num`` values evenly apart from ``start`` to ``stop``, which is left out without "
      "``endpoint``.",
      [](nb::handle start, nb::handle stop, std::optional<int> num, bool endpoint,
         std::optional<mx::Dtype> dtype, mx::StreamOrDevice s) {
        return mx::linspace(number(start, "linspace"), number(stop, "linspace"), num.value_or(50),
                            endpoint, dtype.value_or(mx::float32), s);
      },
      "start"_a, "stop"_a, "num"_a.none() = 50, "endpoint"_a = true, "dtype"_a.none() = mx::float32,
      "stream"_a.none() = nb::none());

  def_function(
      m, "full",
      "(shape: int | Sequence[int], vals: scalar | array, dtype: Dtype | None = None, "
      "*, " STREAM_SIG,
      "An array of the given shape filled with ``vals``, which may be an array that broadcasts to "
      "it.",
      [](nb::handle shape, nb::handle vals, std::optional<mx::Dtype> dtype, mx::StreamOrDevice s) {
        mx::array v = make_array(vals);
        return mx::full(to_shape_or_int(shape, "full"), v, dtype.value_or(v.dtype()), s);
      },
      "shape"_a, "vals"_a, "dtype"_a.none() = nb::none(), STREAM_ONLY);
  def_function(
      m, "full_like", "(a: array, vals: scalar | array, dtype: Dtype | None = None, *, " STREAM_SIG,
      "``full`` with the shape, and the dtype unless given, of ``a``.",
      [](const mx::array& a, nb::handle vals, std::optional<mx::Dtype> dtype,
         mx::StreamOrDevice s) {
        return mx::full_like(a, make_array(vals), dtype.value_or(a.dtype()), s);
      },
      "a"_a, "vals"_a, "dtype"_a.none() = nb::none(), STREAM_ONLY);
  auto filled = [&](const char* name, auto fill, const char* doc) {
    def_function(
        m, name, "(shape: int | Sequence[int], dtype: Dtype | None = float32, *, " STREAM_SIG, doc,
        [fill, name](nb::handle shape, std::optional<mx::Dtype> dtype, mx::StreamOrDevice s) {
          return fill(to_shape_or_int(shape, name), dtype.value_or(mx::float32), s);
        },
        "shape"_a, "dtype"_a.none() = mx::float32, STREAM_ONLY);
  };
  auto zeros = [](const mx::Shape& shape, mx::Dtype d, mx::StreamOrDevice s) {
    return mx::zeros(shape, d, s);
  };
  filled("zeros", zeros, "An array of zeros.");
  filled(
      "ones",
      [](const mx::Shape& shape, mx::Dtype d, mx::StreamOrDevice s) {
        return mx::ones(shape, d, s);
      },
      "An array of ones.");
  // Lazy zeros take no memory, so nothing is gained by leaving memory uninitialised.
  filled("empty", zeros, "An array whose values do not matter: zeros.");
  auto alike = [&](const char* name, auto fill, const char* doc) {
    def_function(
        m, name, "(a: array, /, dtype: Dtype | None = None, *, " STREAM_SIG, doc,
        [fill](const mx::array& a, std::optional<mx::Dtype> dtype, mx::StreamOrDevice s) {
          return fill(a, dtype.value_or(a.dtype()), s);
        },
        nb::arg(), "dtype"_a.none() = nb::none(), STREAM_ONLY);
  };
  auto zeros_like = [](const mx::array& a, mx::Dtype d, mx::StreamOrDevice s) {
    return mx::zeros_like(a, d, s);
  };
  alike("zeros_like", zeros_like, "Zeros with the shape, and the dtype unless given, of ``a``.");
  alike(
      "ones_like",
      [](const mx::array& a, mx::Dtype d, mx::StreamOrDevice s) { return mx::ones_like(a, d, s); },
      "Ones with the shape, and the dtype unless given, of ``a``.");
  alike("empty_like", zeros_like,
        "``empty`` with the shape, and the dtype unless given, of ``a``.");

  def_function(
      m, "eye",
      "(n: int, m: int | None = None, k: int = 0, dtype: Dtype | None = float32, *, " STREAM_SIG,
      "An ``n`` by ``m`` matrix (``m = n`` by default) with ones on diagonal ``k``.",
      [](int n, std::optional<int> columns, int k, std::optional<mx::Dtype> dtype,
         mx::StreamOrDevice s) {
        return mx::eye(n, columns.value_or(n), k, dtype.value_or(mx::float32), s);
      },
      "n"_a, "m"_a.none() = nb::none(), "k"_a = 0, "dtype"_a.none() = mx::float32, STREAM_ONLY);
  def_function(
      m, "identity", "(n: int, dtype: Dtype | None = float32, *, " STREAM_SIG,
      "The ``n`` by ``n`` identity matrix.",
      [](int n, std::optional<mx::Dtype> dtype, mx::StreamOrDevice s) {
        return mx::identity(n, dtype.value_or(mx::float32), s);
      },
      "n"_a, "dtype"_a.none() = mx::float32, STREAM_ONLY);
  def_function(
      m, "tri",
      "(n: int, m: int | None = None, k: int = 0, dtype: Dtype | None = None, *, " STREAM_SIG,
      "A matrix with ones on and below diagonal ``k``.",
      [](int n, std::optional<int> columns, int k, std::optional<mx::Dtype> dtype,
         mx::StreamOrDevice s) {
        return mx::tri(n, columns.value_or(n), k, dtype.value_or(mx::float32), s);
      },
      "n"_a, "m"_a.none() = nb::none(), "k"_a = 0, "dtype"_a.none() = nb::none(), STREAM_ONLY);
  def_function(
      m, "tril", "(x: array, k: int = 0, *, " STREAM_SIG,
      "``x`` with zeros above diagonal ``k`` of its last two axes.",
      [](const mx::array& x, int k, mx::StreamOrDevice s) { return mx::tril(x, k, s); }, "x"_a,
      "k"_a = 0, STREAM_ONLY);
  def_function(
      m, "triu", "(x: array, k: int = 0, *, " STREAM_SIG,
      "``x`` with zeros below diagonal ``k`` of its last two axes.",
      [](const mx::array& x, int k, mx::StreamOrDevice s) { return mx::triu(x, k, s); }, "x"_a,
      "k"_a = 0, STREAM_ONLY);
  auto window = [&](const char* name, mx::array (*f)(int, mx::StreamOrDevice), const char* doc) {
    def_function(
        m, name, "(M: int, *, " STREAM_SIG, doc,
        [f](int n, mx::StreamOrDevice s) { return f(n, s); }, "M"_a, STREAM_ONLY);
  };
  window("hanning", &mx::hanning, "The Hann window of ``M`` points, ``float32``.");
  window("hamming", &mx::hamming, "The Hamming window of ``M`` points, ``float32``.");
  window("bartlett", &mx::bartlett, "The triangular window of ``M`` points, ``float32``.");
  window("blackman", &mx::blackman, "The Blackman window of ``M`` points, ``float32``.");
}
