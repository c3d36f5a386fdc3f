// python/src/operators.cpp: a + b and its kin as type slots: no argument parsing on the way to the
// op.
#include "operators.h"

#include "core/tracing.h"
#include "mlx/ops.h"

void set_python_error() {
  try {
    throw;
  } catch (nb::python_error& e) {
    e.restore();
  } catch (const nb::builtin_exception& e) {
    PyObject* type = PyExc_RuntimeError;
    switch (e.type()) {
      case nb::exception_type::stop_iteration:
        type = PyExc_StopIteration;
        break;
      case nb::exception_type::index_error:
        type = PyExc_IndexError;
        break;
      case nb::exception_type::key_error:
        type = PyExc_KeyError;
        break;
      case nb::exception_type::value_error:
        type = PyExc_ValueError;
        break;
      case nb::exception_type::type_error:
        type = PyExc_TypeError;
        break;
      case nb::exception_type::buffer_error:
        type = PyExc_BufferError;
        break;
      case nb::exception_type::import_error:
        type = PyExc_ImportError;
        break;
      case nb::exception_type::attribute_error:
        type = PyExc_AttributeError;
        break;
      default:
        break;
    }
    PyErr_SetString(type, e.what());
  } catch (const std::bad_alloc& e) {
    PyErr_SetString(PyExc_MemoryError, e.what());
  } catch (const std::out_of_range& e) {
    PyErr_SetString(PyExc_IndexError, e.what());
  } catch (const std::overflow_error& e) {
    PyErr_SetString(PyExc_OverflowError, e.what());
  } catch (const std::domain_error& e) {
    PyErr_SetString(PyExc_ValueError, e.what());
  } catch (const std::length_error& e) {
    PyErr_SetString(PyExc_ValueError, e.what());
  } catch (const std::range_error& e) {
    PyErr_SetString(PyExc_ValueError, e.what());
  } catch (const std::invalid_argument& e) {
    PyErr_SetString(PyExc_ValueError, e.what());
  } catch (const std::exception& e) {
    PyErr_SetString(PyExc_RuntimeError, e.what());
  } catch (...) {
    PyErr_SetString(PyExc_RuntimeError, "unknown error");
  }
}

namespace {

using BinaryOp = mx::array (*)(const mx::array&, const mx::array&, mx::StreamOrDevice);
using UnaryOp = mx::array (*)(const mx::array&, mx::StreamOrDevice);

/** The name of an operation in errors; a structural type, so that it can be a template argument. */
template <size_t N>
struct Name {
  char text[N];
  constexpr Name(const char (&s)[N]) { std::copy_n(s, N, text); }
};

PyObject* not_implemented() {
  Py_INCREF(Py_NotImplemented);
  return Py_NotImplemented;
}

// Containers and texts are refused at once: left to Python, a list would be tried next, and some
// reflected operators of lists mean something else.
PyObject* refuse(PyObject* other, const char* name) {
  if (PyList_Check(other) || PyTuple_Check(other) || PyDict_Check(other) ||
      PyUnicode_Check(other) || PyBytes_Check(other)) {
    throw std::invalid_argument(std::string("Cannot perform ") + name +
                                " on an mlx.core.array and " + py_type_name(other));
  }
  return not_implemented();
}

// Exact types first: they are nearly all that is ever seen here.
inline bool is_number(PyObject* o) { return PyFloat_CheckExact(o) || PyLong_CheckExact(o); }

template <BinaryOp Op, Name name>
PyObject* binary(PyObject* a, PyObject* b) noexcept {
  return guarded([&]() -> PyObject* {
    mx::array* x = array_ptr(a);
    mx::array* y = array_ptr(b);
    if (x && y) return wrap_array(Op(*x, *y, {}));
    PyObject* other = x ? b : a;
    if (!is_number(other) && !is_array_like(other)) return refuse(other, name.text);
    if (x) return wrap_array(Op(*x, to_array(other, x->dtype()), {}));
    return wrap_array(Op(to_array(other, y->dtype()), *y, {}));
  });
}

// The array handle takes the new value: every Python name of the object sees it.
template <BinaryOp Op, Name name>
PyObject* in_place(PyObject* self, PyObject* other) noexcept {
  return guarded([&]() -> PyObject* {
    mx::array* x = array_ptr(self);
    mx::array* y = array_ptr(other);
    if (!y && !is_number(other) && !is_array_like(other)) return refuse(other, name.text);
    x->overwrite_descriptor(y ? Op(*x, *y, {}) : Op(*x, to_array(other, x->dtype()), {}));
    Py_INCREF(self);
    return self;
  });
}

PyObject* in_place_divide(PyObject* self, PyObject* other) noexcept {
  if (!mx::issubdtype(array_ptr(self)->dtype(), mx::inexact)) {
    PyErr_SetString(PyExc_ValueError, "In place division cannot cast to non-floating point type.");
    return nullptr;
  }
  return in_place<&mx::divide, "division">(self, other);
}

template <UnaryOp Op>
PyObject* unary(PyObject* a) noexcept {
  return guarded([&] { return wrap_array(Op(*array_ptr(a), {})); });
}

/** x ** 2 and x ** 3 as products: what power() gives, and far cheaper; null for other exponents. */
PyObject* small_power(PyObject* a, PyObject* b) {
  if (!PyLong_CheckExact(b) || !array_ptr(a)) return nullptr;
  long n = PyLong_AsLong(b);
  if (n == -1 && PyErr_Occurred()) PyErr_Clear();
  const mx::array& x = *array_ptr(a);
  if ((n != 2 && n != 3) || !mx::issubdtype(x.dtype(), mx::floating)) return nullptr;
  mx::array square = mx::square(x);
  return wrap_array(n == 2 ? square : mx::multiply(square, x));
}

PyObject* power(PyObject* a, PyObject* b, PyObject* mod) noexcept {
  if (mod != Py_None) return not_implemented();
  if (PyObject* product = guarded([&] { return small_power(a, b); })) return product;
  if (PyErr_Occurred()) return nullptr;
  return binary<&mx::power, "power">(a, b);
}
PyObject* in_place_power(PyObject* a, PyObject* b, PyObject*) noexcept {
  return in_place<&mx::power, "power">(a, b);
}

// A product of matrices takes no numbers.
PyObject* matmul(PyObject* a, PyObject* b) noexcept {
  return guarded([&]() -> PyObject* {
    if (is_number(a) || is_number(b) || !is_array_like(a) || !is_array_like(b))
      return not_implemented();
    auto [x, y] = to_arrays(a, b);
    return wrap_array(mx::matmul(x, y));
  });
}
PyObject* in_place_matmul(PyObject* a, PyObject* b) noexcept {
  return guarded([&]() -> PyObject* {
    if (is_number(b) || !is_array_like(b)) return not_implemented();
    array_ptr(a)->overwrite_descriptor(mx::matmul(*array_ptr(a), to_array(b)));
    Py_INCREF(a);
    return a;
  });
}

PyObject* divmod(PyObject* a, PyObject* b) noexcept {
  return guarded([&]() -> PyObject* {
    PyObject* other = array_ptr(a) ? b : a;
    if (!is_array_like(other)) return refuse(other, "divmod");
    auto [x, y] = to_arrays(a, b);
    auto out = mx::divmod(x, y);
    return PyTuple_Pack(2, nb::steal(wrap_array(out[0])).ptr(),
                        nb::steal(wrap_array(out[1])).ptr());
  });
}

PyObject* compare(PyObject* a, PyObject* b, int op) noexcept {
  static constexpr BinaryOp ops[] = {&mx::less,      &mx::less_equal, &mx::equal,
                                     &mx::not_equal, &mx::greater,    &mx::greater_equal};
  static constexpr const char* names[] = {"less than",    "less than or equal",
                                          "equal",        "not equal",
                                          "greater than", "greater than or equal"};
  return guarded([&]() -> PyObject* {
    mx::array* x = array_ptr(a);
    mx::array* y = array_ptr(b);
    if (x && y) return wrap_array(ops[op](*x, *y, {}));
    if (!is_number(b) && !is_array_like(b)) {
      // An array equals nothing that is not like an array.
      if (op == Py_EQ) Py_RETURN_FALSE;
      if (op == Py_NE) Py_RETURN_TRUE;
      return refuse(b, names[op]);
    }
    return wrap_array(ops[op](*x, to_array(b, x->dtype()), {}));
  });
}

int truth(PyObject* a) noexcept {
  return guarded_int([&] {
    mx::array x = *array_ptr(a);
    return PyObject_IsTrue(to_scalar(x).ptr());
  });
}
PyObject* as_int(PyObject* a) noexcept {
  return guarded([&] {
    mx::array x = *array_ptr(a);
    return PyNumber_Long(to_scalar(x).ptr());
  });
}
PyObject* as_float(PyObject* a) noexcept {
  return guarded([&] {
    mx::array x = *array_ptr(a);
    return PyNumber_Float(to_scalar(x).ptr());
  });
}
PyObject* as_index(PyObject* a) noexcept {
  return guarded([&]() -> PyObject* {
    mx::array x = *array_ptr(a);
    if (x.ndim() != 0 || !mx::issubdtype(x.dtype(), mx::integer)) {
      throw_type_error("Only 0-dimensional integer arrays can be converted to an index.");
    }
    return to_scalar(x).release().ptr();
  });
}

Py_ssize_t length(PyObject* a) noexcept {
  mx::note_shape_read();
  mx::array* x = array_ptr(a);
  if (x->ndim() == 0) {
    PyErr_SetString(PyExc_TypeError, "len() 0-dimensional array.");
    return -1;
  }
  return x->shape()[0];
}

// Without this, Python would compare rows one at a time.
int contains(PyObject* a, PyObject* value) noexcept {
  return guarded_int([&]() -> int {
    if (!is_array_like(value)) return 0;
    auto [x, y] = to_arrays(a, value);
    mx::array found = mx::any(mx::equal(x, y));
    return PyObject_IsTrue(to_scalar(found).ptr());
  });
}

Py_hash_t hash(PyObject* a) noexcept {
  return static_cast<Py_hash_t>(reinterpret_cast<uintptr_t>(a) >> 4);
}

template <typename F>
PyType_Slot slot(int id, F* f) {
  return {id, reinterpret_cast<void*>(f)};
}

}  // namespace

const std::vector<PyType_Slot>& operator_slots() {
  static const std::vector<PyType_Slot> slots = {
      slot(Py_nb_add, &binary<&mx::add, "addition">),
      slot(Py_nb_subtract, &binary<&mx::subtract, "subtraction">),
      slot(Py_nb_multiply, &binary<&mx::multiply, "multiplication">),
      slot(Py_nb_true_divide, &binary<&mx::divide, "division">),
      slot(Py_nb_floor_divide, &binary<&mx::floor_divide, "floor division">),
      slot(Py_nb_remainder, &binary<&mx::remainder, "modulus">),
      slot(Py_nb_and, &binary<&mx::bitwise_and, "bitwise and">),
      slot(Py_nb_or, &binary<&mx::bitwise_or, "bitwise or">),
      slot(Py_nb_xor, &binary<&mx::bitwise_xor, "bitwise xor">),
      slot(Py_nb_lshift, &binary<&mx::left_shift, "left shift">),
      slot(Py_nb_rshift, &binary<&mx::right_shift, "right shift">),
      slot(Py_nb_inplace_add, &in_place<&mx::add, "addition">),
      slot(Py_nb_inplace_subtract, &in_place<&mx::subtract, "subtraction">),
      slot(Py_nb_inplace_multiply, &in_place<&mx::multiply, "multiplication">),
      slot(Py_nb_inplace_true_divide, &in_place_divide),
      slot(Py_nb_inplace_floor_divide, &in_place<&mx::floor_divide, "floor division">),
      slot(Py_nb_inplace_remainder, &in_place<&mx::remainder, "modulus">),
      slot(Py_nb_inplace_and, &in_place<&mx::bitwise_and, "bitwise and">),
      slot(Py_nb_inplace_or, &in_place<&mx::bitwise_or, "bitwise or">),
      slot(Py_nb_inplace_xor, &in_place<&mx::bitwise_xor, "bitwise xor">),
      slot(Py_nb_inplace_lshift, &in_place<&mx::left_shift, "left shift">),
      slot(Py_nb_inplace_rshift, &in_place<&mx::right_shift, "right shift">),
      slot(Py_nb_power, &power),
      slot(Py_nb_inplace_power, &in_place_power),
      slot(Py_nb_matrix_multiply, &matmul),
      slot(Py_nb_inplace_matrix_multiply, &in_place_matmul),
      slot(Py_nb_divmod, &divmod),
      slot(Py_nb_negative, &unary<&mx::negative>),
      slot(Py_nb_positive, &unary<&mx::positive>),
      slot(Py_nb_absolute, &unary<&mx::abs>),
      slot(Py_nb_invert, &unary<&mx::bitwise_invert>),
      slot(Py_nb_bool, &truth),
      slot(Py_nb_int, &as_int),
      slot(Py_nb_float, &as_float),
      slot(Py_nb_index, &as_index),
      slot(Py_tp_richcompare, &compare),
      slot(Py_tp_hash, &hash),
      slot(Py_sq_contains, &contains),
      slot(Py_mp_length, &length),
      slot(Py_mp_subscript, &array_subscript),
      slot(Py_mp_ass_subscript, &array_assign_subscript),
      slot(Py_bf_getbuffer, &array_getbuffer),
      slot(Py_bf_releasebuffer, &array_releasebuffer),
      {0, nullptr},
  };
  return slots;
}
