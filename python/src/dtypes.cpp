// python/src/dtypes.cpp: element types, their categories, numeric limits, and constants.
#include <nanobind/stl/variant.h>

#include <cmath>
#include <limits>
#include <sstream>

#include "bind.h"
#include "convert.h"
#include "define.h"

namespace {

using DtypeOrCategory = std::variant<mx::Dtype, mx::Dtype::Category>;

PyObject* dtype_objects[mx::kNumDtypes];

mx::Dtype dtype_by_name(const std::string& name) {
  for (int i = 0; i < mx::kNumDtypes; ++i) {
    mx::Dtype d = mx::dtype_of(static_cast<mx::Dtype::Val>(i));
    if (name == mx::dtype_to_string(d)) return d;
  }
  throw std::invalid_argument("[Dtype] There is no dtype named '" + name + "'.");
}

bool is_kind(mx::Dtype dtype, nb::handle kind) {
  mx::Dtype other = mx::bool_;
  if (nb::try_cast(kind, other)) return dtype == other;
  if (nb::isinstance<nb::tuple>(kind)) {
    for (nb::handle k : nb::borrow<nb::tuple>(kind)) {
      if (is_kind(dtype, k)) return true;
    }
    return false;
  }
  if (!nb::isinstance<nb::str>(kind)) {
    throw std::invalid_argument(
        "[isdtype] `kind` must be a dtype, a string, or a tuple of dtypes and strings.");
  }
  std::string_view k = nb::borrow<nb::str>(kind).c_str();
  if (k == "bool") return dtype == mx::bool_;
  if (k == "signed integer") return mx::issubdtype(dtype, mx::signedinteger);
  if (k == "unsigned integer") return mx::issubdtype(dtype, mx::unsignedinteger);
  if (k == "integral") return mx::issubdtype(dtype, mx::integer);
  if (k == "real floating") return mx::issubdtype(dtype, mx::floating);
  if (k == "complex floating") return mx::issubdtype(dtype, mx::complexfloating);
  if (k == "numeric") return mx::issubdtype(dtype, mx::number);
  throw std::invalid_argument("[isdtype] Unknown data type kind: '" + std::string(k) + "'.");
}

mx::Dtype dtype_of_arg(nb::handle h) {
  if (mx::array* a = array_ptr(h)) return a->dtype();
  mx::Dtype d = mx::bool_;
  if (!nb::try_cast(h, d))
    throw std::invalid_argument("[result_type] Inputs must be arrays or dtypes.");
  return d;
}

template <typename Info>
std::string info_repr(const char* name, const Info& i) {
  std::ostringstream os;
  os << name << "(min=" << i.min << ", max=" << i.max << ", dtype=" << i.dtype << ")";
  return os.str();
}

}  // namespace

nb::object dtype_object(mx::Dtype d) {
  return nb::borrow(dtype_objects[static_cast<int>(d.val())]);
}

void bind_dtypes(nb::module_& m) {
  nb::class_<mx::Dtype>(m, "Dtype", R"(
The type of the elements of an array, such as ``mx.float32``.

Types compare equal to themselves only. ``size`` is the number of bytes of one element.)")
      .def_prop_ro(
          "size", [](const mx::Dtype& d) { return static_cast<int>(d.size()); },
          "Bytes of one element.")
      .def("__repr__",
           [](const mx::Dtype& d) { return std::string("mlx.core.") + mx::dtype_to_string(d); })
      .def(
          "__eq__",
          [](const mx::Dtype& d, nb::handle other) {
            return nb::isinstance<mx::Dtype>(other) && d == nb::cast<mx::Dtype>(other);
          },
          nb::arg().none())
      .def(
          "__ne__",
          [](const mx::Dtype& d, nb::handle other) {
            return !nb::isinstance<mx::Dtype>(other) || d != nb::cast<mx::Dtype>(other);
          },
          nb::arg().none())
      .def("__hash__", [](const mx::Dtype& d) { return static_cast<int64_t>(d.val()); })
      // For pickles, which store a dtype by name.
      .def(
          "__init__",
          [](mx::Dtype* self, const std::string& name) {
            new (self) mx::Dtype(dtype_by_name(name));
          },
          "name"_a)
      .def("__reduce__", [](const mx::Dtype& d) {
        return nb::make_tuple(nb::type<mx::Dtype>(), nb::make_tuple(mx::dtype_to_string(d)));
      });

  for (int i = 0; i < mx::kNumDtypes; ++i) {
    mx::Dtype d = mx::dtype_of(static_cast<mx::Dtype::Val>(i));
    m.attr(d == mx::bool_ ? "bool_" : mx::dtype_to_string(d)) = d;
    dtype_objects[i] =
        nb::object(m.attr(d == mx::bool_ ? "bool_" : mx::dtype_to_string(d))).release().ptr();
  }

  nb::enum_<mx::Dtype::Category>(m, "DtypeCategory",
                                 "Families of element types, for :func:`issubdtype`.")
      .value("complexfloating", mx::complexfloating)
      .value("floating", mx::floating)
      .value("inexact", mx::inexact)
      .value("signedinteger", mx::signedinteger)
      .value("unsignedinteger", mx::unsignedinteger)
      .value("integer", mx::integer)
      .value("number", mx::number)
      .value("generic", mx::generic)
      .export_values();

  m.def(
      "issubdtype",
      [](const DtypeOrCategory& a, const DtypeOrCategory& b) {
        return std::visit([](auto x, auto y) { return mx::issubdtype(x, y); }, a, b);
      },
      nb::arg(), nb::arg(),
      nb::sig("def issubdtype(arg1: Dtype | DtypeCategory, arg2: Dtype | DtypeCategory) -> bool"),
      R"(
Whether the first type or category belongs to the second.

A type belongs to itself only; a category contains its subcategories.

Example:
  >>> mx.issubdtype(mx.float16, mx.floating)
  True)");
  m.def("isdtype", &is_kind, "dtype"_a, "kind"_a,
        nb::sig("def isdtype(dtype: Dtype, kind: Dtype | str | tuple[Dtype | str, ...]) -> bool"),
        R"(
Whether ``dtype`` is of the given kind, by the names of the array API standard.

Kinds are ``"bool"``, ``"signed integer"``, ``"unsigned integer"``, ``"integral"``,
``"real floating"``, ``"complex floating"``, ``"numeric"``, a dtype, or a tuple of these.
Raises ``ValueError`` for an unknown kind.

Example:
  >>> mx.isdtype(mx.float32, "real floating")
  True)");
  m.def(
      "result_type",
      [](const nb::args& args) {
        if (args.size() == 0)
          throw std::invalid_argument("[result_type] At least one array or dtype is needed.");
        mx::Dtype d = dtype_of_arg(args[0]);
        for (size_t i = 1; i < args.size(); ++i) d = mx::promote_types(d, dtype_of_arg(args[i]));
        return d;
      },
      nb::sig("def result_type(*arrays_and_dtypes: array | Dtype) -> Dtype"),
      with_example(m, "result_type",
                   "The dtype that an operation on these arrays or dtypes has: the smallest that "
                   "holds all."));
  m.def(
      "can_cast",
      [](nb::handle from, const mx::Dtype& to) {
        mx::Dtype d = dtype_of_arg(from);
        return mx::promote_types(d, to) == to;
      },
      "from_"_a, "to"_a, nb::sig("def can_cast(from_: array | Dtype, to: Dtype) -> bool"),
      with_example(
          m, "can_cast",
          "Whether every value of the first dtype converts to ``to`` by the promotion rules."));

  nb::class_<mx::finfo>(m, "finfo",
                        "Limits of a floating point dtype (of the parts of a complex one).")
      .def(nb::init<mx::Dtype>())
      .def(
          "__init__", [](mx::finfo* self, const mx::array& a) { new (self) mx::finfo(a.dtype()); },
          nb::arg(), nb::sig("def __init__(self, arg: array, /) -> None"))
      .def_ro("min", &mx::finfo::min, "The smallest finite value.")
      .def_ro("max", &mx::finfo::max, "The largest finite value.")
      .def_ro("eps", &mx::finfo::eps, "The difference between 1 and the next larger value.")
      .def_ro("bits", &mx::finfo::bits, "Bits of one element.")
      .def_ro("smallest_normal", &mx::finfo::smallest_normal, "The smallest positive normal value.")
      .def_ro("dtype", &mx::finfo::dtype)
      .def("__repr__", [](const mx::finfo& f) { return info_repr("finfo", f); });
  nb::class_<mx::iinfo>(m, "iinfo", "Limits of an integer dtype.")
      .def(nb::init<mx::Dtype>())
      .def(
          "__init__", [](mx::iinfo* self, const mx::array& a) { new (self) mx::iinfo(a.dtype()); },
          nb::arg(), nb::sig("def __init__(self, arg: array, /) -> None"))
      .def_prop_ro(
          "bits", [](const mx::iinfo& i) { return 8 * static_cast<int>(i.dtype.size()); },
          "Bits of one element.")
      .def_ro("min", &mx::iinfo::min, "The smallest value.")
      .def_ro("max", &mx::iinfo::max, "The largest value.")
      .def_ro("dtype", &mx::iinfo::dtype)
      .def("__repr__", [](const mx::iinfo& f) { return info_repr("iinfo", f); });
}

void bind_constants(nb::module_& m) {
  m.attr("pi") = 3.141592653589793;
  m.attr("e") = 2.718281828459045;
  m.attr("euler_gamma") = 0.5772156649015329;
  m.attr("inf") = std::numeric_limits<double>::infinity();
  m.attr("nan") = std::nan("");
  m.attr("newaxis") = nb::none();
}
