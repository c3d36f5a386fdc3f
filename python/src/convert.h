// python/src/convert.h: between Python objects and C++ values. Included by every binding file.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mlx/array.h"
#include "mlx/utils.h"

namespace nb = nanobind;
namespace mx = mlx::core;
using namespace nb::literals;

#ifdef Py_LIMITED_API
// The stable ABI has these as functions only.
#define PyFloat_AS_DOUBLE PyFloat_AsDouble
#define PyTuple_GET_SIZE PyTuple_Size
#define PyTuple_GET_ITEM PyTuple_GetItem
#endif

/** The Python type `mlx.core.array`, set when the class is bound. */
extern PyTypeObject* array_type;

/** The C++ array in obj, or null if obj is no array. */
inline mx::array* array_ptr(PyObject* obj) {
  PyTypeObject* type = Py_TYPE(obj);
  if (type != array_type && !PyType_IsSubtype(type, array_type)) return nullptr;
  return nb::inst_ptr<mx::array>(nb::handle(obj));
}
inline mx::array* array_ptr(nb::handle obj) { return array_ptr(obj.ptr()); }

/** A new Python array; a new reference. Cheaper than nb::cast: no lookup of the type. */
PyObject* wrap_array(mx::array a);

/** True for what to_array takes: arrays, Python numbers, NumPy and DLPack arrays, `__mlx_array__`.
 */
bool is_array_like(PyObject* obj);

/**
 * obj as an array. With dtype, a Python number takes it where no information is lost by kind (an
 * int becomes a float16, a float does not become an int), and a foreign array is converted to it.
 */
mx::array to_array(nb::handle obj, std::optional<mx::Dtype> dtype = std::nullopt);
std::optional<mx::array> to_optional_array(nb::handle obj,
                                           std::optional<mx::Dtype> dtype = std::nullopt);

/** Both operands of a binary op; a Python number adapts to the other's dtype. */
std::pair<mx::array, mx::array> to_arrays(nb::handle a, nb::handle b);

/** The array constructor: also takes nested lists, bytes and buffers; dtype is exact. */
mx::array make_array(nb::handle obj, std::optional<mx::Dtype> dtype = std::nullopt);

/** A copy of a NumPy array, buffer or DLPack tensor; float64 becomes float32 unless asked for. */
mx::array array_from_foreign(nb::handle obj, std::optional<mx::Dtype> dtype);
/** True if array_from_foreign takes obj. */
bool is_foreign_array(PyObject* obj);

/** Nested lists of Python numbers; a number for a scalar. Evaluates. */
nb::object to_list(mx::array& a);
/** The Python number in an array of one element. Evaluates. */
nb::object to_scalar(mx::array& a);

/** Waits for the value with the GIL released. */
void eval_array(mx::array& a);

/** An int or a sequence of ints. op names the function in errors. */
mx::Shape to_shape(nb::handle obj, const char* op);
mx::Shape to_shape_or_int(nb::handle obj, const char* op);
std::vector<int> to_ints(nb::handle obj, const char* op);
int to_int(nb::handle obj, const char* op);

/** An axis argument: None, an int or a sequence of ints. */
struct Axes {
  bool all;  // None was given
  std::vector<int> list;
};
Axes to_axes(nb::handle obj, const char* op);

std::vector<mx::array> to_array_list(nb::handle obj, const char* op);

nb::tuple shape_tuple(const mx::Shape& shape);

/** The one Python object of a dtype, such as mx.float32. */
nb::object dtype_object(mx::Dtype d);

/** The name of obj's type as errors show it. */
std::string py_type_name(nb::handle obj);
[[noreturn]] void throw_type_error(const std::string& message);

/** A Python object that C++ closures may hold and drop on any thread. */
using SharedObject = std::shared_ptr<nb::object>;
SharedObject share(nb::object obj);

/** Buffer protocol and DLPack of the array class. */
int array_getbuffer(PyObject* self, Py_buffer* view, int flags);
void array_releasebuffer(PyObject* self, Py_buffer* view);
nb::object array_to_dlpack(nb::handle self, nb::handle max_version, nb::handle copy);
nb::object array_to_numpy(nb::handle self, nb::handle dtype, nb::handle copy);

namespace nanobind::detail {

// None is by far the most common value: no alternatives are tried for it.
template <>
struct type_caster<::mlx::core::StreamOrDevice> {
  NB_TYPE_CASTER(::mlx::core::StreamOrDevice, const_name("StreamOrDevice"))

  bool from_python(handle src, uint32_t, cleanup_list*) noexcept {
    if (src.is_none()) return true;
    return load(src);
  }
  bool load(handle src) noexcept;
  static handle from_cpp(const ::mlx::core::StreamOrDevice&, rv_policy, cleanup_list*) noexcept {
    return none().release();
  }
};

}  // namespace nanobind::detail
