// python/src/foreign.cpp: NumPy arrays, buffers and DLPack tensors, in (copied) and out (shared).
#include <nanobind/ndarray.h>

#include <cstring>

#include "convert.h"
#include "mlx/ops.h"

namespace {

/** Foreign memory: strides in bytes. */
struct Source {
  const char* data = nullptr;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
  mx::Dtype dtype = mx::float32;
  enum Wide { no, real64, complex128 } wide = no;  // types that are narrowed while copied
  size_t itemsize = 4;
  bool swapped = false;  // bytes of an item are in the other order
};

template <typename F>
void walk(const Source& s, size_t dim, const char* p, F&& item) {
  if (dim == s.shape.size()) return item(p);
  for (int64_t i = 0; i < s.shape[dim]; ++i) walk(s, dim + 1, p + i * s.strides[dim], item);
}

bool is_row_major(const Source& s) {
  int64_t expected = static_cast<int64_t>(s.itemsize);
  for (size_t i = s.shape.size(); i-- > 0;) {
    if (s.shape[i] != 1 && s.strides[i] != expected) return false;
    expected *= s.shape[i];
  }
  return true;
}

// A component is an item, or each half of a complex item.
void swap_bytes(char* p, size_t n, size_t component) {
  for (size_t i = 0; i < n; i += component) std::reverse(p + i, p + i + component);
}

template <typename From, typename To>
void narrow(const Source& s, To* out, size_t n) {
  if (is_row_major(s) && !s.swapped) {
    for (size_t i = 0; i < n; ++i) {
      From v;
      std::memcpy(&v, s.data + i * sizeof(From), sizeof(From));
      out[i] = static_cast<To>(v);
    }
    return;
  }
  walk(s, 0, s.data, [&](const char* p) {
    From v;
    std::memcpy(&v, p, sizeof(From));
    if (s.swapped) swap_bytes(reinterpret_cast<char*>(&v), sizeof(From), 8);
    *out++ = static_cast<To>(v);
  });
}

mx::array copy_source(const Source& s, bool keep_float64) {
  mx::Shape shape;
  for (int64_t d : s.shape) shape.push_back(mx::safe_cast<int64_t>(d, "array"));
  mx::Dtype dtype = s.dtype;
  if (s.wide == Source::real64) dtype = keep_float64 ? mx::float64 : mx::float32;
  size_t n = mx::num_elements(shape);
  mx::array out(mx::allocator::malloc(n * dtype.size()), shape, dtype);
  if (n == 0) return out;
  char* dst = out.data<char>();
  if (s.wide == Source::real64 && !keep_float64) {
    narrow<double>(s, reinterpret_cast<float*>(dst), n);
  } else if (s.wide == Source::complex128) {
    narrow<std::complex<double>>(s, reinterpret_cast<std::complex<float>*>(dst), n);
  } else if (is_row_major(s)) {
    std::memcpy(dst, s.data, n * s.itemsize);
  } else {
    walk(s, 0, s.data, [&](const char* p) {
      std::memcpy(dst, p, s.itemsize);
      dst += s.itemsize;
    });
  }
  if (s.swapped && s.wide != Source::complex128 && (s.wide == Source::no || keep_float64)) {
    swap_bytes(out.data<char>(), n * s.itemsize, dtype == mx::complex64 ? 4 : s.itemsize);
  }
  return out;
}

bool set_int(Source& s, bool is_signed, size_t size) {
  switch (size) {
    case 1:
      s.dtype = is_signed ? mx::int8 : mx::uint8;
      return true;
    case 2:
      s.dtype = is_signed ? mx::int16 : mx::uint16;
      return true;
    case 4:
      s.dtype = is_signed ? mx::int32 : mx::uint32;
      return true;
    case 8:
      s.dtype = is_signed ? mx::int64 : mx::uint64;
      return true;
    default:
      return false;
  }
}

// The type from a format of the struct module, as PEP 3118 extends it.
bool set_format(Source& s, const char* format, size_t itemsize) {
  s.itemsize = itemsize;
  if (!format) format = "B";
  switch (*format) {
    case '>':
    case '!':
      s.swapped = itemsize > 1;
      [[fallthrough]];
    case '@':
    case '=':
    case '<':
      ++format;
      break;
    default:
      break;
  }
  std::string_view f = format;
  if (f == "Zf" || f == "F") {
    s.dtype = mx::complex64;
    return true;
  }
  if (f == "Zd" || f == "D") {
    s.wide = Source::complex128;
    s.dtype = mx::complex64;
    return true;
  }
  if (f == "bfloat16") {
    s.dtype = mx::bfloat16;
    return true;
  }
  if (f.size() != 1) return false;
  switch (f[0]) {
    case '?':
      s.dtype = mx::bool_;
      return true;
    case 'b':
    case 'h':
    case 'i':
    case 'l':
    case 'q':
    case 'n':
      return set_int(s, true, itemsize);
    case 'B':
    case 'c':
    case 'H':
    case 'I':
    case 'L':
    case 'Q':
    case 'N':
      return set_int(s, false, itemsize);
    case 'e':
      s.dtype = mx::float16;
      return true;
    case 'f':
      s.dtype = mx::float32;
      return true;
    case 'd':
      s.dtype = mx::float32;
      s.wide = Source::real64;
      return true;
    default:
      return false;
  }
}

bool has_attr(PyObject* obj, const char* name) {
  PyObject* found = PyObject_GetAttrString(obj, name);
  if (!found) {
    PyErr_Clear();
    return false;
  }
  Py_DECREF(found);
  return true;
}

std::string dtype_text(nb::handle obj) {
  nb::object text = nb::steal(PyObject_Str(nb::object(obj.attr("dtype")).ptr()));
  if (!text.is_valid()) throw nb::python_error();
  return nb::cast<std::string>(text);
}

[[noreturn]] void throw_foreign(nb::handle obj) {
  std::string dtype = has_attr(obj.ptr(), "dtype") ? " with dtype " + dtype_text(obj) : "";
  throw std::invalid_argument("[array] Cannot convert " + py_type_name(obj) + dtype +
                              " to an array: its elements are not numbers that an array can hold.");
}

std::optional<mx::array> from_buffer(nb::handle obj, bool keep_float64) {
  Py_buffer view;
  if (PyObject_GetBuffer(obj.ptr(), &view, PyBUF_FORMAT | PyBUF_STRIDES) != 0) {
    PyErr_Clear();
    return std::nullopt;
  }
  std::unique_ptr<Py_buffer, decltype(&PyBuffer_Release)> release(&view, &PyBuffer_Release);
  Source s;
  s.data = static_cast<const char*>(view.buf);
  s.shape.assign(view.shape, view.shape + view.ndim);
  s.strides.assign(view.strides, view.strides + view.ndim);
  if (!set_format(s, view.format, static_cast<size_t>(view.itemsize))) return std::nullopt;
  return copy_source(s, keep_float64);
}

mx::array from_dlpack(nb::handle obj, bool keep_float64) {
  nb::ndarray<nb::ro, nb::device::cpu> t;
  if (!nb::try_cast(obj, t)) throw_foreign(obj);
  Source s;
  s.data = static_cast<const char*>(t.data());
  s.itemsize = t.itemsize();
  for (size_t i = 0; i < t.ndim(); ++i) {
    s.shape.push_back(static_cast<int64_t>(t.shape(i)));
    s.strides.push_back(t.stride(i) * static_cast<int64_t>(s.itemsize));
  }
  bool known = true;
  switch (static_cast<nb::dlpack::dtype_code>(t.dtype().code)) {
    case nb::dlpack::dtype_code::Bool:
      s.dtype = mx::bool_;
      break;
    case nb::dlpack::dtype_code::Int:
      known = set_int(s, true, s.itemsize);
      break;
    case nb::dlpack::dtype_code::UInt:
      known = set_int(s, false, s.itemsize);
      break;
    case nb::dlpack::dtype_code::Bfloat:
      s.dtype = mx::bfloat16;
      break;
    case nb::dlpack::dtype_code::Float:
      if (s.itemsize == 8) s.wide = Source::real64;
      s.dtype = s.itemsize == 2 ? mx::float16 : mx::float32;
      known = s.itemsize == 2 || s.itemsize == 4 || s.itemsize == 8;
      break;
    case nb::dlpack::dtype_code::Complex:
      if (s.itemsize == 16) s.wide = Source::complex128;
      s.dtype = mx::complex64;
      break;
    default:
      known = false;
  }
  if (!known || t.dtype().lanes != 1) throw_foreign(obj);
  return copy_source(s, keep_float64);
}

}  // namespace

bool is_foreign_array(PyObject* obj) {
  if (PyObject_CheckBuffer(obj)) return true;
  if (PyLong_Check(obj) || PyFloat_Check(obj) || PyComplex_Check(obj)) return false;
  return has_attr(obj, "__dlpack__") || has_attr(obj, "__array__");
}

mx::array array_from_foreign(nb::handle obj, std::optional<mx::Dtype> dtype) {
  bool keep_float64 = dtype && *dtype == mx::float64;
  if (PyObject_CheckBuffer(obj.ptr())) {
    if (auto a = from_buffer(obj, keep_float64)) return *a;
  }
  // NumPy has no bfloat16 of its own: extension types that have show their bits.
  if (has_attr(obj.ptr(), "dtype") && has_attr(obj.ptr(), "view") &&
      has_attr(obj.ptr(), "tobytes") && dtype_text(obj) == "bfloat16") {
    mx::array bits = array_from_foreign(obj.attr("view")("uint16"), std::nullopt);
    return mx::view(bits, mx::bfloat16);
  }
  if (has_attr(obj.ptr(), "__dlpack__")) return from_dlpack(obj, keep_float64);
  if (has_attr(obj.ptr(), "__array__") && !PyObject_CheckBuffer(obj.ptr())) {
    nb::object converted = obj.attr("__array__")();
    if (PyObject_CheckBuffer(converted.ptr())) {
      if (auto a = from_buffer(converted, keep_float64)) return *a;
    }
  }
  throw_foreign(obj);
}

// ---- out: the buffer protocol

namespace {

const char* buffer_format(mx::Dtype dtype) {
  static constexpr const char* formats[mx::kNumDtypes] = {
      "?", "B", "H", "I", "Q", "b", "h", "i", "q", "e", "f", "d", "bfloat16", "Zf"};
  return formats[static_cast<int>(dtype.val())];
}

/** Keeps the memory, and the numbers a view points to. */
struct ViewState {
  mx::array a;
  std::vector<Py_ssize_t> shape;
  std::vector<Py_ssize_t> strides;
};

}  // namespace

int array_getbuffer(PyObject* self, Py_buffer* view, int flags) {
  view->obj = nullptr;
  try {
    auto state = std::make_unique<ViewState>(ViewState{*array_ptr(self), {}, {}});
    mx::array& a = state->a;
    eval_array(a);
    bool wants_strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES;
    if (!wants_strides && !a.flags().row_contiguous) {
      a = mx::contiguous(a);
      eval_array(a);
    }
    for (size_t i = 0; i < a.ndim(); ++i) {
      state->shape.push_back(a.shape()[i]);
      state->strides.push_back(a.strides()[i] * static_cast<Py_ssize_t>(a.itemsize()));
    }
    view->buf = a.data<void>();
    view->len = static_cast<Py_ssize_t>(a.nbytes());
    view->itemsize = static_cast<Py_ssize_t>(a.itemsize());
    view->readonly = 0;
    view->ndim = static_cast<int>(a.ndim());
    view->format = (flags & PyBUF_FORMAT) ? const_cast<char*>(buffer_format(a.dtype())) : nullptr;
    view->shape = (flags & PyBUF_ND) ? state->shape.data() : nullptr;
    view->strides = wants_strides ? state->strides.data() : nullptr;
    view->suboffsets = nullptr;
    view->internal = state.release();
    Py_INCREF(self);
    view->obj = self;
    return 0;
  } catch (nb::python_error& e) {
    e.restore();
  } catch (const std::exception& e) {
    PyErr_SetString(PyExc_BufferError, e.what());
  }
  return -1;
}

void array_releasebuffer(PyObject*, Py_buffer* view) {
  delete static_cast<ViewState*>(view->internal);
  view->internal = nullptr;
}

nb::object array_to_numpy(nb::handle self, nb::handle dtype, nb::handle copy) {
  if (array_ptr(self)->dtype() == mx::bfloat16) {
    throw_type_error("bfloat16 arrays cannot be converted to NumPy: use astype(mx.float32) first.");
  }
  nb::object numpy = nb::module_::import_("numpy");
  nb::object out = numpy.attr("asarray")(nb::steal(PyMemoryView_FromObject(self.ptr())));
  if (!dtype.is_none()) {
    nb::object wanted = numpy.attr("dtype")(dtype);
    if (!wanted.equal(out.attr("dtype"))) {
      if (copy.is(Py_False)) {
        throw std::invalid_argument(
            "[array.__array__] Another dtype needs a copy, but copy=False was given.");
      }
      return out.attr("astype")(wanted);
    }
  }
  return copy.is(Py_True) ? nb::object(out.attr("copy")()) : out;
}

// ---- out: DLPack, the C structures of its specification

namespace {

struct DLDevice {
  int32_t type;
  int32_t id;
};
struct DLDataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t* shape;
  int64_t* strides;
  uint64_t byte_offset;
};
struct DLManagedTensor {
  DLTensor tensor;
  void* context;
  void (*deleter)(DLManagedTensor*);
};
struct DLManagedTensorVersioned {
  uint32_t major, minor;
  void* context;
  void (*deleter)(DLManagedTensorVersioned*);
  uint64_t flags;
  DLTensor tensor;
};

template <typename Managed>
struct Export {
  Managed managed;
  mx::array a;
  std::vector<int64_t> shape, strides;
};

DLDataType dlpack_type(mx::Dtype dtype) {
  uint8_t code = 2;
  switch (mx::kindof(dtype)) {
    case mx::Dtype::Kind::b:
      code = 6;
      break;
    case mx::Dtype::Kind::u:
      code = 1;
      break;
    case mx::Dtype::Kind::i:
      code = 0;
      break;
    case mx::Dtype::Kind::f:
      code = 2;
      break;
    case mx::Dtype::Kind::c:
      code = 5;
      break;
    case mx::Dtype::Kind::V:
      code = 4;
      break;
  }
  return {code, static_cast<uint8_t>(dtype.size() * 8), 1};
}

template <typename Managed>
nb::object export_capsule(mx::array a, const char* name) {
  auto* e = new Export<Managed>{Managed{}, std::move(a), {}, {}};
  e->shape.assign(e->a.shape().begin(), e->a.shape().end());
  e->strides.assign(e->a.strides().begin(), e->a.strides().end());
  Managed& m = e->managed;
  m.tensor = {e->a.template data<void>(),
              {1, 0},
              static_cast<int32_t>(e->a.ndim()),
              dlpack_type(e->a.dtype()),
              e->shape.data(),
              e->strides.data(),
              0};
  m.context = e;
  m.deleter = [](Managed* self) { delete static_cast<Export<Managed>*>(self->context); };
  if constexpr (std::is_same_v<Managed, DLManagedTensorVersioned>) {
    m.major = 1;
    m.minor = 0;
  }
  // A consumer renames the capsule; one that still has its name was never consumed.
  PyObject* capsule = PyCapsule_New(&m, name, [](PyObject* c) {
    constexpr const char* unused =
        std::is_same_v<Managed, DLManagedTensorVersioned> ? "dltensor_versioned" : "dltensor";
    if (!PyCapsule_IsValid(c, unused)) return;
    auto* m = static_cast<Managed*>(PyCapsule_GetPointer(c, unused));
    m->deleter(m);
  });
  if (!capsule) throw nb::python_error();
  return nb::steal(capsule);
}

}  // namespace

nb::object array_to_dlpack(nb::handle self, nb::handle max_version, nb::handle copy) {
  mx::array a = *array_ptr(self);
  if (copy.is(Py_True)) a = mx::copy(a);
  eval_array(a);
  bool versioned = !max_version.is_none() && nb::cast<int>(max_version[0]) >= 1;
  return versioned ? export_capsule<DLManagedTensorVersioned>(a, "dltensor_versioned")
                   : export_capsule<DLManagedTensor>(a, "dltensor");
}
