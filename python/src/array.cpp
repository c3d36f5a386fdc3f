// python/src/array.cpp: the class array, its iterator and its printing.
#include <nanobind/nanobind.h>

#include <sstream>

#include "bind.h"
#include "core/tracing.h"
#include "define.h"
#include "mlx/ops.h"
#include "operators.h"

namespace {

/** Walks the first axis; rows are made when they are asked for. */
struct ArrayIterator {
  mx::array a;
  int next = 0;
};

struct ArrayLike {
  nb::object object;
};

std::string repr(const mx::array& a) {
  mx::array x = a;
  eval_array(x);
  std::ostringstream os;
  os << x;
  return os.str();
}

/** `with mx.printoptions(precision=2):` */
struct PrintOptionsContext {
  mx::PrintOptions wanted;
  mx::PrintOptions before;
};

mx::PrintOptions current_options() { return mx::get_global_formatter().format_options; }

const char* const kArrayDoc = R"(
An n-dimensional array whose value is computed when it is needed.

``val`` is a number, a (nested) list or tuple of numbers or arrays, a NumPy array, a buffer, or any
object with ``__dlpack__``, ``__array__`` or ``__mlx_array__``. Without ``dtype``, Python floats
become ``float32``, ints ``int32`` (``int64`` where they need it), complex numbers ``complex64``;
NumPy's ``float64`` becomes ``float32`` and its other types stay.

Example:
  >>> mx.array([[1, 2], [3, 4]], dtype=mx.float16).sum(axis=0)
  array([4, 6], dtype=float16))";

}  // namespace

void bind_array(nb::module_& m) {
  auto cls = nb::class_<mx::array>(m, "array", nb::type_slots(operator_slots().data()),
                                   nb::pooled(256), kArrayDoc);
  array_type = reinterpret_cast<PyTypeObject*>(cls.ptr());

  cls.def(
      "__init__",
      [](mx::array* self, nb::handle val, std::optional<mx::Dtype> dtype) {
        new (self) mx::array(make_array(val, dtype));
      },
      "val"_a, "dtype"_a = nb::none(),
      nb::sig("def __init__(self: array, val: scalar | list | tuple | DLPackCompatible | array, "
              "dtype: Dtype | None = None)"));
  cls.def_prop_ro(
         "shape",
         [](const mx::array& a) {
           mx::note_shape_read();
           return shape_tuple(a.shape());
         },
         nb::sig("def shape(self) -> tuple[int, ...]"), "The dimensions, as a tuple.")
      .def_prop_ro("ndim", &mx::array::ndim, "The number of dimensions.")
      .def_prop_ro(
          "size",
          [](const mx::array& a) {
            mx::note_shape_read();
            return a.size();
          },
          "The number of elements.")
      .def_prop_ro("itemsize", &mx::array::itemsize, "Bytes of one element.")
      .def_prop_ro(
          "nbytes",
          [](const mx::array& a) {
            mx::note_shape_read();
            return a.nbytes();
          },
          "Bytes of all elements.")
      .def_prop_ro(
          "dtype", [](const mx::array& a) { return dtype_object(a.dtype()); },
          nb::sig("def dtype(self) -> Dtype"), "The type of the elements.")
      .def_prop_ro(
          "T", [](const mx::array& a) { return mx::transpose(a); }, nb::sig("def T(self) -> array"),
          "The array with its axes reversed.")
      .def_prop_ro(
          "mT", [](const mx::array& a) { return mx::matrix_transpose(a); },
          nb::sig("def mT(self) -> array"), "The array with its last two axes swapped.")
      .def_prop_ro(
          "real", [](const mx::array& a) { return mx::real(a); },
          nb::sig("def real(self) -> array"), "The real part.")
      .def_prop_ro(
          "imag", [](const mx::array& a) { return mx::imag(a); },
          nb::sig("def imag(self) -> array"), "The imaginary part.");

  cls.def(
         "item",
         [](const mx::array& a) {
           mx::array x = a;
           return to_scalar(x);
         },
         nb::sig("def item(self) -> scalar"),
         "The value of an array of one element as a Python number. Raises ``ValueError`` for "
         "others.")
      .def(
          "tolist",
          [](const mx::array& a) {
            mx::array x = a;
            return to_list(x);
          },
          nb::sig("def tolist(self) -> list_or_scalar"),
          "The values as nested lists of Python numbers (a number for an array of no dimensions).")
      .def("__repr__", &repr)
      .def("__str__", &repr)
      .def(
          "__complex__",
          [](const mx::array& a) {
            mx::array x = a;
            nb::object v = to_scalar(x);
            PyObject* type = reinterpret_cast<PyObject*>(&PyComplex_Type);
            return nb::steal(PyObject_CallFunctionObjArgs(type, v.ptr(), nullptr));
          },
          nb::sig("def __complex__(self) -> complex"))
      .def(
          "__format__",
          [](const mx::array& a, nb::handle spec) {
            if (a.ndim() == 0) {
              mx::array x = a;
              return nb::steal(PyObject_Format(to_scalar(x).ptr(), spec.ptr()));
            }
            if (PyObject_IsTrue(spec.ptr())) {
              throw_type_error("unsupported format string passed to mx.array.__format__");
            }
            return nb::object(nb::cast(repr(a)));
          },
          nb::sig("def __format__(self, arg: object, /) -> str"))
      .def("__bytes__",
           [](const mx::array& a) {
             mx::array x = mx::contiguous(a);
             eval_array(x);
             return nb::bytes(x.data<char>(), x.nbytes());
           })
      .def("__iter__",
           [](const mx::array& a) {
             if (a.ndim() == 0) throw_type_error("iter() 0-dimensional array.");
             return ArrayIterator{a, 0};
           })
      .def("__copy__", [](const mx::array& a) { return mx::array(a); })
      .def(
          "__deepcopy__", [](const mx::array& a, nb::dict) { return mx::copy(a); }, "memo"_a,
          nb::sig("def __deepcopy__(self, memo: dict) -> array"));

  // The bytes travel as a NumPy array; bfloat16, which NumPy does not have, as its bits.
  cls.def(
         "__getstate__",
         [](nb::handle self) {
           mx::array a = *array_ptr(self);
           if (a.dtype() == mx::bfloat16) a = mx::view(a, mx::uint16);
           nb::object numpy = array_to_numpy(nb::steal(wrap_array(a)), nb::none(), nb::none());
           return nb::make_tuple(numpy, static_cast<int>(array_ptr(self)->dtype().val()));
         },
         nb::sig("def __getstate__(self) -> tuple"))
      .def(
          "__setstate__",
          [](mx::array& self, nb::tuple state) {
            auto dtype = mx::dtype_of(static_cast<mx::Dtype::Val>(nb::cast<int>(state[1])));
            bool wide = dtype == mx::float64;
            mx::array a = array_from_foreign(state[0], wide ? std::optional(dtype) : std::nullopt);
            new (&self) mx::array(dtype == mx::bfloat16 ? mx::view(a, dtype) : a);
          },
          nb::sig("def __setstate__(self, arg: tuple, /) -> None"))
      .def("__array__", &array_to_numpy, "dtype"_a.none() = nb::none(),
           "copy"_a.none() = nb::none(),
           nb::sig("def __array__(self, dtype: object | None = None, copy: object | None = None) "
                   "-> numpy.typing.NDArray"),
           "The array as a NumPy array, sharing memory where ``dtype`` and ``copy`` allow it.")
      .def(
          "__dlpack__",
          [](nb::handle self, nb::handle, nb::handle max_version, nb::handle dl_device,
             nb::handle copy) {
            if (!dl_device.is_none() && nb::cast<int>(dl_device[0]) != 1) {
              throw std::invalid_argument(
                  "[array.__dlpack__] Only the CPU (device type 1) is supported.");
            }
            return array_to_dlpack(self, max_version, copy);
          },
          nb::kw_only(), "stream"_a.none() = nb::none(), "max_version"_a.none() = nb::none(),
          "dl_device"_a.none() = nb::none(), "copy"_a.none() = nb::none(),
          nb::sig(
              "def __dlpack__(self, *, stream: object | None = None, max_version: object | None = "
              "None, "
              "dl_device: tuple[int, int] | None = None, copy: bool | None = None) -> typing.Any"),
          "A DLPack capsule that shares the memory of the evaluated array.")
      .def(
          "__dlpack_device__", [](const mx::array&) { return nb::make_tuple(1, 0); },
          nb::sig("def __dlpack_device__(self) -> tuple"))
      .def(
          "__array_namespace__",
          [](const mx::array&, std::optional<std::string> version) {
            for (const char* known : {"2021.12", "2022.12", "2023.12", "2024.12"}) {
              if (!version || *version == known) return nb::module_::import_("mlx.core");
            }
            throw std::invalid_argument("[__array_namespace__] Version '" + *version +
                                        "' of the array API standard is not known; the latest "
                                        "known is '2024.12'.");
          },
          "api_version"_a.none() = nb::none(),
          nb::sig(
              "def __array_namespace__(self, api_version: str | None = None) -> types.ModuleType"),
          "The module with the functions of the array API standard. Raises ``ValueError`` for "
          "versions after 2024.12.");
  // Python 2's names, which the reference has.
  cls.attr("__div__") = cls.attr("__truediv__");
  cls.attr("__rdiv__") = cls.attr("__rtruediv__");

  nb::class_<ArrayIterator>(m, "ArrayIterator", "Iterates over the first axis of an array.")
      .def(
          "__iter__", [](ArrayIterator& it) -> ArrayIterator& { return it; },
          nb::rv_policy::reference_internal, nb::sig("def __iter__(self) -> ArrayIterator"))
      .def(
          "__next__",
          [](ArrayIterator& it) {
            mx::note_shape_read();
            if (it.next >= it.a.shape(0)) throw nb::stop_iteration();
            return mx::take(it.a, it.next++, 0);
          },
          nb::sig("def __next__(self) -> array"));

  nb::class_<mx::PrintOptions>(m, "PrintOptions", "How arrays are printed.")
      .def(
          "__init__",
          [](mx::PrintOptions* p, int precision) { new (p) mx::PrintOptions{precision}; },
          "precision"_a = -1)
      .def_rw("precision", &mx::PrintOptions::precision,
              "Digits after the point; -1 for six significant digits.");
  mx::set_printoptions({-1});
  mx::get_global_formatter().capitalize_bool = true;
  m.def(
      "set_printoptions", [](int precision) { mx::set_printoptions({precision}); },
      "precision"_a = -1, nb::sig("def set_printoptions(precision: int = -1) -> None"),
      "Sets how many digits after the point are printed; -1 prints six significant digits.");
  m.def("get_printoptions", &current_options, "The options that are in force.");
  nb::class_<PrintOptionsContext>(m, "_PrintOptionsContext", "See :func:`printoptions`.")
      .def(
          "__enter__",
          [](PrintOptionsContext& c) -> PrintOptionsContext& {
            c.before = current_options();
            mx::set_printoptions(c.wanted);
            return c;
          },
          nb::rv_policy::reference_internal, nb::sig("def __enter__(self) -> _PrintOptionsContext"))
      .def(
          "__exit__", [](PrintOptionsContext& c, nb::args) { mx::set_printoptions(c.before); },
          nb::sig("def __exit__(self, *args) -> None"));
  m.def(
      "printoptions",
      [](int precision) {
        return PrintOptionsContext{{precision}, {}};
      },
      "precision"_a = -1, nb::sig("def printoptions(precision: int = -1) -> _PrintOptionsContext"),
      "A context in which arrays are printed with other options.");

  nb::class_<ArrayLike>(m, "ArrayLike",
                        "Anything with a method ``__mlx_array__`` that returns an array.")
      .def("__init__",
           [](ArrayLike* self, nb::object arg) { new (self) ArrayLike{std::move(arg)}; })
      .def("__mlx_array__", [](const ArrayLike& x) { return to_array(x.object); });

  // ---- constructors that are functions
  constexpr const char* foreign =
      "Foreign memory is always copied: an array must not change behind the graph's back. Raises "
      "``ValueError`` for ``copy=False`` on it.";
  auto as_array = [](nb::handle a, std::optional<mx::Dtype> dtype, std::optional<bool> copy) {
    if (copy == false && !array_ptr(a)) {
      throw std::invalid_argument("[asarray] Cannot import " + py_type_name(a) +
                                  " without a copy.");
    }
    mx::array out = make_array(a, dtype);
    return copy == true && array_ptr(a) ? mx::copy(out) : out;
  };
  def_function(m, "asarray",
               "(a: scalar | array | Sequence | DLPackCompatible, dtype: Dtype | None = None, *, "
               "copy: bool | None = None) -> array",
               foreign, as_array, "a"_a, "dtype"_a = nb::none(), nb::kw_only(),
               "copy"_a = nb::none());
  def_function(
      m, "from_dlpack", "(x: DLPackCompatible, /, *, copy: bool | None = None) -> array", foreign,
      [as_array](nb::handle x, std::optional<bool> copy) {
        if (!array_ptr(x) && !PyObject_HasAttrString(x.ptr(), "__dlpack__")) {
          throw_type_error("[from_dlpack] " + py_type_name(x) + " has no method __dlpack__.");
        }
        return as_array(x, std::nullopt, copy);
      },
      nb::arg(), nb::kw_only(), "copy"_a = nb::none());
}
