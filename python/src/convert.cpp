// python/src/convert.cpp: Python numbers, lists and arguments to C++, and values back to Python.
#include "convert.h"

#include <limits>

#include "mlx/dtype_utils.h"
#include "mlx/ops.h"
#include "mlx/transforms.h"

PyTypeObject* array_type = nullptr;

PyObject* wrap_array(mx::array a) {
  nb::object obj = nb::inst_alloc(nb::handle(reinterpret_cast<PyObject*>(array_type)));
  new (nb::inst_ptr<mx::array>(obj)) mx::array(std::move(a));
  nb::inst_mark_ready(obj);
  return obj.release().ptr();
}

std::string py_type_name(nb::handle obj) {
  PyTypeObject* type = Py_TYPE(obj.ptr());
  std::string module;
  if (PyObject* m = PyObject_GetAttrString(reinterpret_cast<PyObject*>(type), "__module__")) {
    if (PyUnicode_Check(m)) module = nb::cast<std::string>(nb::handle(m));
    Py_DECREF(m);
  } else {
    PyErr_Clear();
  }
  nb::str name(nb::handle(reinterpret_cast<PyObject*>(type)).attr("__name__"));
  return module.empty() || module == "builtins" ? name.c_str() : module + "." + name.c_str();
}

void throw_type_error(const std::string& message) { throw nb::type_error(message.c_str()); }

SharedObject share(nb::object obj) {
  return SharedObject(new nb::object(std::move(obj)), [](nb::object* p) {
    if (!Py_IsInitialized()) return;  // the interpreter is gone: nothing to give back
    nb::gil_scoped_acquire gil;
    delete p;
  });
}

void eval_array(mx::array& a) {
  if (a.is_available()) return;
  nb::gil_scoped_release release;
  a.eval();
}

// ---- numbers

namespace {

std::complex<float> complex_of(PyObject* obj) {
  return {static_cast<float>(PyComplex_RealAsDouble(obj)),
          static_cast<float>(PyComplex_ImagAsDouble(obj))};
}

bool is_list(PyObject* obj) { return PyList_Check(obj) || PyTuple_Check(obj); }
Py_ssize_t list_size(PyObject* list) {
  return PyList_Check(list) ? PyList_Size(list) : PyTuple_Size(list);
}
PyObject* list_item(PyObject* list, Py_ssize_t i) {
  return PyList_Check(list) ? PyList_GetItem(list, i) : PyTuple_GetItem(list, i);
}

// An int that fits neither int64 nor uint64 is an OverflowError, as Python raises.
mx::array from_int(PyObject* obj, std::optional<mx::Dtype> dtype) {
  int overflow = 0;
  int64_t v = PyLong_AsLongLongAndOverflow(obj, &overflow);
  if (v == -1 && !overflow && PyErr_Occurred()) throw nb::python_error();
  bool inexact = dtype && mx::issubdtype(*dtype, mx::inexact);
  if (overflow) {
    if (inexact) {
      double d = PyLong_AsDouble(obj);
      if (d == -1 && PyErr_Occurred()) throw nb::python_error();
      return mx::array(d, *dtype);
    }
    uint64_t u = PyLong_AsUnsignedLongLong(obj);
    if (u == static_cast<uint64_t>(-1) && PyErr_Occurred()) throw nb::python_error();
    return mx::array(u, mx::uint64);
  }
  constexpr int64_t lo = std::numeric_limits<int32_t>::min();
  constexpr int64_t hi = std::numeric_limits<int32_t>::max();
  if (!dtype || *dtype == mx::bool_) {
    return v >= lo && v <= hi ? mx::array(static_cast<int32_t>(v), mx::int32)
                              : mx::array(v, mx::int64);
  }
  if (inexact) return mx::array(v, *dtype);
  if (dtype->size() < 8) {
    mx::iinfo info(*dtype);
    if (v < info.min || v > static_cast<int64_t>(info.max)) {
      throw std::invalid_argument("Converting " + std::to_string(v) + " to " +
                                  mx::dtype_to_string(*dtype) + " would result in overflow.");
    }
  }
  return mx::array(v, *dtype);
}

bool is_mlx_array_provider(PyObject* obj) {
  static PyObject* name = PyUnicode_InternFromString("__mlx_array__");
  return PyObject_HasAttr(obj, name);
}

mx::array from_provider(nb::handle obj) {
  nb::object result = obj.attr("__mlx_array__")();
  if (mx::array* a = array_ptr(result)) return *a;
  throw_type_error("__mlx_array__ of " + py_type_name(obj) +
                   " must return an array, but returned " + py_type_name(result) + ".");
}

[[noreturn]] void throw_invalid_type(nb::handle obj) {
  throw std::invalid_argument("Invalid type " + py_type_name(obj) +
                              " received in array initialization.");
}

// numpy.generic, if NumPy has been imported by someone.
bool is_numpy_scalar(PyObject* obj) {
  static PyObject* generic = nullptr;
  if (!generic) {
    PyObject* modules = PyImport_GetModuleDict();
    PyObject* numpy = PyDict_GetItemString(modules, "numpy");
    if (!numpy) return false;
    generic = PyObject_GetAttrString(numpy, "generic");
    if (!generic) {
      PyErr_Clear();
      return false;
    }
  }
  return PyObject_TypeCheck(obj, reinterpret_cast<PyTypeObject*>(generic));
}

}  // namespace

bool is_array_like(PyObject* obj) {
  if (array_ptr(obj) || PyFloat_Check(obj) || PyLong_Check(obj) || PyComplex_Check(obj))
    return true;
  if (PyUnicode_Check(obj) || PyBytes_Check(obj) || PyByteArray_Check(obj) || PyList_Check(obj) ||
      PyTuple_Check(obj) || PyDict_Check(obj) || obj == Py_None) {
    return false;
  }
  return is_foreign_array(obj) || is_mlx_array_provider(obj);
}

mx::array to_array(nb::handle h, std::optional<mx::Dtype> dtype) {
  PyObject* obj = h.ptr();
  if (mx::array* a = array_ptr(obj)) return *a;
  // Subclasses are numbers too: numpy.float64, members of IntEnum.
  if (PyFloat_Check(obj)) {
    bool keep = dtype && mx::issubdtype(*dtype, mx::inexact);
    return mx::array(PyFloat_AS_DOUBLE(obj), keep ? *dtype : mx::float32);
  }
  if (PyBool_Check(obj)) return mx::array(obj == Py_True, mx::bool_);
  if (PyLong_Check(obj)) return from_int(obj, dtype);
  if (PyComplex_Check(obj)) return mx::array(complex_of(obj));
  if (is_array_like(obj)) {
    if (is_mlx_array_provider(obj)) return from_provider(h);
    mx::array a = array_from_foreign(h, std::nullopt);
    return dtype && a.dtype() != *dtype ? mx::astype(a, *dtype) : a;
  }
  if (h.is_none()) throw_type_error("An array or a number is needed, but None was given.");
  throw_invalid_type(h);
}

std::optional<mx::array> to_optional_array(nb::handle obj, std::optional<mx::Dtype> dtype) {
  if (obj.is_none()) return std::nullopt;
  return to_array(obj, dtype);
}

std::pair<mx::array, mx::array> to_arrays(nb::handle a, nb::handle b) {
  mx::array* pa = array_ptr(a);
  if (mx::array* pb = array_ptr(b)) {
    if (pa) return {*pa, *pb};
    return {to_array(a, pb->dtype()), *pb};
  }
  mx::array first = to_array(a);
  return {first, to_array(b, first.dtype())};
}

// ---- nested lists

namespace {

struct ListScan {
  mx::Shape shape;
  size_t count = 0;
  bool has_array = false;
  bool has_bool = false, has_int = false, has_float = false, has_complex = false;
  bool has_long = false, has_ulong = false;  // an int beyond int32, beyond int64
};

enum class Leaf { none, boolean, integer, real, complex_number };

Leaf leaf_kind(PyObject* obj) {
  if (PyFloat_Check(obj)) return Leaf::real;
  if (PyBool_Check(obj)) return Leaf::boolean;
  if (PyLong_Check(obj)) return Leaf::integer;
  if (PyComplex_Check(obj)) return Leaf::complex_number;
  return Leaf::none;
}

void scan(PyObject* obj, size_t depth, ListScan& s) {
  if (is_list(obj)) {
    Py_ssize_t n = list_size(obj);
    if (depth == s.shape.size()) {
      if (s.count > 0) throw std::invalid_argument("Initialization encountered extra dimension.");
      s.shape.push_back(mx::safe_cast<int64_t>(n, "array"));
    } else if (s.shape[depth] != n) {
      throw std::invalid_argument("Initialization encountered non-uniform length.");
    }
    for (Py_ssize_t i = 0; i < n && !s.has_array; ++i) scan(list_item(obj, i), depth + 1, s);
    return;
  }
  switch (leaf_kind(obj)) {
    case Leaf::boolean:
      s.has_bool = true;
      break;
    case Leaf::real:
      s.has_float = true;
      break;
    case Leaf::complex_number:
      s.has_complex = true;
      break;
    case Leaf::integer: {
      s.has_int = true;
      int overflow = 0;
      int64_t v = PyLong_AsLongLongAndOverflow(obj, &overflow);
      if (overflow > 0) s.has_ulong = true;
      if (overflow || v != static_cast<int32_t>(v)) s.has_long = true;
      break;
    }
    case Leaf::none:
      if (!is_array_like(obj)) throw_invalid_type(obj);
      s.has_array = true;
      return;
  }
  if (depth != s.shape.size()) {
    throw std::invalid_argument("Initialization encountered non-uniform length.");
  }
  ++s.count;
}

template <typename F>
void for_each_leaf(PyObject* obj, F&& f) {
  if (!is_list(obj)) return f(obj);
  Py_ssize_t n = list_size(obj);
  for (Py_ssize_t i = 0; i < n; ++i) for_each_leaf(list_item(obj, i), f);
}

// A list that holds arrays is stacked, so that gradients reach them.
mx::array stack_list(nb::handle obj, std::optional<mx::Dtype> dtype) {
  if (!is_list(obj.ptr())) {
    if (is_numpy_scalar(obj.ptr())) return array_from_foreign(obj, dtype);
    return to_array(obj, dtype);
  }
  std::vector<mx::array> parts;
  Py_ssize_t n = list_size(obj.ptr());
  for (Py_ssize_t i = 0; i < n; ++i) {
    parts.push_back(stack_list(list_item(obj.ptr(), i), dtype));
    if (parts.back().shape() != parts.front().shape()) {
      throw std::invalid_argument("Initialization encountered non-uniform length.");
    }
  }
  if (parts.empty()) return mx::array({}, mx::float32);
  return mx::stack(parts, 0);
}

mx::array from_list(nb::handle obj, std::optional<mx::Dtype> dtype) {
  ListScan s;
  scan(obj.ptr(), 0, s);
  if (s.has_array) {
    mx::array a = stack_list(obj, std::nullopt);
    return dtype && a.dtype() != *dtype ? mx::astype(a, *dtype) : a;
  }
  if (s.has_complex) {
    std::vector<std::complex<float>> v;
    v.reserve(s.count);
    for_each_leaf(obj.ptr(), [&](PyObject* o) { v.push_back(complex_of(o)); });
    if (PyErr_Occurred()) throw nb::python_error();
    return mx::array(v.begin(), s.shape, dtype.value_or(mx::complex64));
  }
  if (s.has_float || s.count == 0) {
    std::vector<double> v;
    v.reserve(s.count);
    for_each_leaf(obj.ptr(), [&](PyObject* o) { v.push_back(PyFloat_AsDouble(o)); });
    if (PyErr_Occurred()) throw nb::python_error();
    return mx::array(v.begin(), s.shape, dtype.value_or(mx::float32));
  }
  if (s.has_ulong) {
    std::vector<uint64_t> v;
    for_each_leaf(obj.ptr(), [&](PyObject* o) { v.push_back(PyLong_AsUnsignedLongLong(o)); });
    if (PyErr_Occurred()) throw nb::python_error();
    return mx::array(v.begin(), s.shape, dtype.value_or(mx::uint64));
  }
  std::vector<int64_t> v;
  v.reserve(s.count);
  for_each_leaf(obj.ptr(), [&](PyObject* o) { v.push_back(PyLong_AsLongLong(o)); });
  if (PyErr_Occurred()) throw nb::python_error();
  mx::Dtype natural = s.has_long ? mx::int64 : s.has_int ? mx::int32 : mx::bool_;
  return mx::array(v.begin(), s.shape, dtype.value_or(natural));
}

}  // namespace

mx::array make_array(nb::handle h, std::optional<mx::Dtype> dtype) {
  PyObject* obj = h.ptr();
  if (mx::array* a = array_ptr(obj)) {
    if (dtype && a->dtype() != *dtype) return mx::astype(*a, *dtype);
    return *a;
  }
  if (is_list(obj)) return from_list(h, dtype);
  if (PyFloat_Check(obj)) return mx::array(PyFloat_AS_DOUBLE(obj), dtype.value_or(mx::float32));
  if (PyBool_Check(obj)) return mx::array(obj == Py_True, dtype.value_or(mx::bool_));
  if (PyLong_Check(obj)) {
    mx::array a =
        from_int(obj, dtype && mx::issubdtype(*dtype, mx::inexact) ? dtype : std::nullopt);
    if (!dtype || a.dtype() == *dtype) return a;
    // As C does: the low bits.
    return a.dtype() == mx::uint64 ? mx::array(a.item<uint64_t>(), *dtype)
                                   : mx::array(a.item<int64_t>(), *dtype);
  }
  if (PyComplex_Check(obj)) {
    return mx::array(complex_of(obj), dtype.value_or(mx::complex64));
  }
  if (is_mlx_array_provider(obj)) return make_array(nb::steal(wrap_array(from_provider(h))), dtype);
  if (is_foreign_array(obj)) {
    mx::array a = array_from_foreign(h, dtype);
    return dtype && a.dtype() != *dtype ? mx::astype(a, *dtype) : a;
  }
  if (h.is_none())
    throw_type_error("array(): a number, a list or an array is needed, but None was given.");
  throw_invalid_type(h);
}

// ---- values to Python

namespace {

template <typename T>
PyObject* element(const T& v) {
  if constexpr (std::is_same_v<T, bool>) {
    return PyBool_FromLong(v);
  } else if constexpr (std::is_same_v<T, mx::complex64_t>) {
    return PyComplex_FromDoubles(v.real(), v.imag());
  } else if constexpr (mx::is_floating_point_v<T>) {
    return PyFloat_FromDouble(static_cast<double>(v));
  } else if constexpr (std::is_signed_v<T>) {
    return PyLong_FromLongLong(v);
  } else {
    return PyLong_FromUnsignedLongLong(v);
  }
}

template <typename T>
nb::object list_of(const mx::array& a, const T* p, size_t dim) {
  if (dim == a.ndim()) return nb::steal(element(*p));
  Py_ssize_t n = a.shape()[dim];
  nb::object list = nb::steal(PyList_New(n));
  if (!list.is_valid()) throw nb::python_error();
  int64_t step = a.strides()[dim];
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyList_SetItem(list.ptr(), i, list_of(a, p + i * step, dim + 1).release().ptr());
  }
  return list;
}

}  // namespace

nb::object to_list(mx::array& a) {
  eval_array(a);
  nb::object result;
  mx::dispatch_all_types(a.dtype(), [&](auto tag) {
    using T = MLX_GET_TYPE(tag);
    result = list_of(a, a.data<T>(), 0);
  });
  return result;
}

nb::object to_scalar(mx::array& a) {
  if (a.size() != 1) {
    throw std::invalid_argument(
        "[convert] Only length-1 arrays can be converted to Python scalars.");
  }
  eval_array(a);
  nb::object result;
  mx::dispatch_all_types(a.dtype(), [&](auto tag) {
    using T = MLX_GET_TYPE(tag);
    result = nb::steal(element(*a.data<T>()));
  });
  return result;
}

// ---- arguments

int to_int(nb::handle obj, const char* op) {
  nb::object index = nb::steal(PyNumber_Index(obj.ptr()));
  if (!index.is_valid()) {
    PyErr_Clear();
    throw_type_error("[" + std::string(op) + "] an int is needed, but " + py_type_name(obj) +
                     " was given.");
  }
  int overflow = 0;
  int64_t v = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
  if (overflow || v != static_cast<int32_t>(v)) {
    PyErr_Format(PyExc_OverflowError,
                 "[%s] Integer value %R is outside the supported range [-2147483648, 2147483647].",
                 op, index.ptr());
    throw nb::python_error();
  }
  return static_cast<int>(v);
}

namespace {

template <typename Vec>
Vec int_sequence(nb::handle obj, const char* op) {
  PyObject* o = obj.ptr();
  Vec out;
  if (is_list(o)) {
    Py_ssize_t n = list_size(o);
    for (Py_ssize_t i = 0; i < n; ++i) out.push_back(to_int(list_item(o, i), op));
    return out;
  }
  if (PyUnicode_Check(o) || PyBytes_Check(o) || !PyObject_HasAttrString(o, "__iter__")) {
    throw_type_error("[" + std::string(op) + "] a sequence of ints is needed, but " +
                     py_type_name(obj) + " was given.");
  }
  for (nb::handle item : nb::iter(obj)) out.push_back(to_int(item, op));
  return out;
}

}  // namespace

mx::Shape to_shape(nb::handle obj, const char* op) { return int_sequence<mx::Shape>(obj, op); }
mx::Shape to_shape_or_int(nb::handle obj, const char* op) {
  return PyLong_Check(obj.ptr()) ? mx::Shape{to_int(obj, op)} : to_shape(obj, op);
}

std::vector<int> to_ints(nb::handle obj, const char* op) {
  if (PyLong_Check(obj.ptr())) return {to_int(obj, op)};
  return int_sequence<std::vector<int>>(obj, op);
}

Axes to_axes(nb::handle obj, const char* op) {
  if (obj.is_none()) return {true, {}};
  return {false, to_ints(obj, op)};
}

std::vector<mx::array> to_array_list(nb::handle obj, const char* op) {
  std::vector<mx::array> out;
  if (mx::array* a = array_ptr(obj)) {
    if (a->ndim() == 0) throw_type_error("[" + std::string(op) + "] a list of arrays is needed.");
    for (int i = 0; i < a->shape(0); ++i) out.push_back(mx::take(*a, i, 0));
    return out;
  }
  if (PyUnicode_Check(obj.ptr()) || !PyObject_HasAttrString(obj.ptr(), "__iter__")) {
    throw_type_error("[" + std::string(op) + "] a list of arrays is needed, but " +
                     py_type_name(obj) + " was given.");
  }
  for (nb::handle item : nb::iter(obj)) {
    mx::array* a = array_ptr(item);
    if (!a) {
      throw_type_error("[" + std::string(op) + "] a list of arrays is needed, but it holds a " +
                       py_type_name(item) + ".");
    }
    out.push_back(*a);
  }
  return out;
}

nb::tuple shape_tuple(const mx::Shape& shape) {
  PyObject* t = PyTuple_New(static_cast<Py_ssize_t>(shape.size()));
  for (size_t i = 0; i < shape.size(); ++i) {
    PyTuple_SetItem(t, static_cast<Py_ssize_t>(i), PyLong_FromLong(shape[i]));
  }
  return nb::steal<nb::tuple>(t);
}

bool nb::detail::type_caster<mx::StreamOrDevice>::load(nb::handle src) noexcept {
  if (nb::isinstance<mx::Device>(src)) {
    value = *nb::inst_ptr<mx::Device>(src);
  } else if (nb::isinstance<mx::Stream>(src)) {
    value = *nb::inst_ptr<mx::Stream>(src);
  } else if (nb::isinstance<mx::ThreadLocalStream>(src)) {
    value = *nb::inst_ptr<mx::ThreadLocalStream>(src);
  } else {
    mx::Device::DeviceType type;
    if (!nb::try_cast(src, type)) return false;
    value = type;
  }
  return true;
}
