// python/src/export.cpp: functions in files.
#include "mlx/export.h"

#include <fstream>
#include <sstream>

#include "bind.h"
#include "gc_function.h"
#include "mlx/graph_utils.h"
#include "trees.h"

namespace {

struct Inputs {
  mx::Args args;
  mx::Kwargs kwargs;
};

/** Arrays as positional and keyword arguments, or as one tuple or list and / or one dict of them.
 */
Inputs inputs_of(const nb::args& args, const nb::kwargs& kwargs, const char* op) {
  auto wrong = [&]() {
    throw std::invalid_argument(std::string("[") + op +
                                "] Inputs can either be a variable number of positional and "
                                "keyword arrays or a single tuple and/or dictionary of arrays.");
  };
  Inputs in;
  auto add_all = [&](nb::handle items) {
    for (nb::handle item : items) {
      mx::array* a = array_ptr(item);
      if (!a) wrong();
      in.args.push_back(*a);
    }
  };
  auto add_named = [&](nb::handle items) {
    for (auto [k, v] : nb::borrow<nb::dict>(items)) {
      mx::array* a = array_ptr(v);
      if (!a || !PyUnicode_Check(k.ptr())) wrong();
      in.kwargs.emplace(nb::borrow<nb::str>(k).c_str(), *a);
    }
  };
  size_t n = args.size();
  bool listed = n >= 1 && (PyTuple_Check(args[0].ptr()) || PyList_Check(args[0].ptr()));
  bool named = n >= 1 && PyDict_Check(args[n - 1].ptr());
  if (n <= 2 && n == size_t(listed) + size_t(named) && kwargs.size() == 0 && n > 0) {
    if (listed) add_all(args[0]);
    if (named) add_named(args[n - 1]);
  } else {
    add_all(args);
    add_named(kwargs);
  }
  return in;
}

/** fun over arrays; its result is an array or a tuple or list of arrays. */
std::function<std::vector<mx::array>(const mx::Args&, const mx::Kwargs&)> wrapped(nb::object fun) {
  // The last user of the function may be a thread without the interpreter's lock.
  auto held = std::shared_ptr<nb::object>(new nb::object(std::move(fun)), [](nb::object* o) {
    nb::gil_scoped_acquire lock;
    delete o;
  });
  return [held](const mx::Args& args, const mx::Kwargs& kwargs) {
    nb::list positional;
    for (const auto& a : args) positional.append(nb::steal(wrap_array(a)));
    nb::dict named;
    for (const auto& [name, a] : kwargs) named[name.c_str()] = nb::steal(wrap_array(a));
    nb::tuple tuple(positional);
    nb::object result = nb::steal(PyObject_Call(held->ptr(), tuple.ptr(), named.ptr()));
    if (!result.is_valid()) throw nb::python_error();
    std::vector<mx::array> out;
    auto wrong = [] {
      throw std::invalid_argument(
          "[export_function] Outputs can be either a single array, a tuple, or a list of arrays.");
    };
    if (mx::array* a = array_ptr(result)) return std::vector<mx::array>{*a};
    if (!PyTuple_Check(result.ptr()) && !PyList_Check(result.ptr())) wrong();
    for (nb::handle item : result) {
      mx::array* a = array_ptr(item);
      if (!a) wrong();
      out.push_back(*a);
    }
    return out;
  };
}

nb::object state_object(const mx::StateT& state) {
  return std::visit(
      [](const auto& v) -> nb::object {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string>) {
          return nb::str(v.c_str(), v.size());
        } else if constexpr (std::is_same_v<T, double> || std::is_same_v<T, float>) {
          return nb::float_(v);
        } else if constexpr (std::is_same_v<T, int> || std::is_same_v<T, size_t> ||
                             std::is_same_v<T, bool>) {
          return nb::int_(v);
        } else {
          return nb::none();
        }
      },
      state);
}

mx::ExportCallback callback_of(nb::object callback) {
  return [callback](const mx::ExportCallbackInput& part) {
    nb::dict told;
    for (const auto& [key, value] : part) {
      nb::object shown = std::visit(
          [](const auto& v) -> nb::object {
            using T = std::decay_t<decltype(v)>;
            if constexpr (std::is_same_v<T, std::string>) {
              return nb::str(v.c_str(), v.size());
            } else {
              nb::list items;
              for (const auto& item : v) {
                using Item = std::decay_t<decltype(item)>;
                if constexpr (std::is_same_v<Item, mx::StateT>) {
                  items.append(state_object(item));
                } else if constexpr (std::is_same_v<Item, std::pair<std::string, mx::array>>) {
                  items.append(nb::make_tuple(item.first, nb::steal(wrap_array(item.second))));
                } else if constexpr (std::is_same_v<Item, std::pair<std::string, std::string>>) {
                  items.append(nb::make_tuple(item.first, item.second));
                } else {
                  items.append(nb::make_tuple(std::get<0>(item), shape_tuple(std::get<1>(item)),
                                              nb::cast(std::get<2>(item))));
                }
              }
              return items;
            }
          },
          value);
      told[key.c_str()] = shown;
    }
    callback(told);
  };
}

void check_callable(nb::handle fun, const char* op) {
  if (!PyCallable_Check(fun.ptr())) {
    throw_type_error(std::string(op) + "(): a function is needed, but " + py_type_name(fun) +
                     " was given.");
  }
}

/** Writes the drawing of the arrays in args, named by kwargs, to file, a name or an object. */
void draw(const std::string& op, nb::object file, const nb::args& args, const nb::kwargs& kwargs,
          void (*drawing)(std::ostream&, mx::NodeNamer, const std::vector<mx::array>&)) {
  mx::NodeNamer namer;
  for (auto [name, value] : nb::borrow<nb::dict>(kwargs)) {
    for (const auto& a : tree_flatten(value)) namer.set_name(a, nb::str(name).c_str());
  }
  std::ostringstream text;
  drawing(text, std::move(namer), tree_flatten(args));
  if (PyUnicode_Check(file.ptr())) {
    std::ofstream out(nb::str(file).c_str());
    out << text.str();
    out.close();
    if (!out)
      throw std::runtime_error("[" + op + "] Failed to write " + nb::str(file).c_str() + ".");
  } else if (nb::hasattr(file, "write")) {
    file.attr("write")(text.str());
  } else {
    throw std::invalid_argument("[" + op +
                                "] The first argument must be the name of a file or an object "
                                "with a method write.");
  }
}

}  // namespace

void bind_export(nb::module_& m) {
  nb::class_<mx::FunctionExporter>(m, "FunctionExporter", R"(
Traces its function for each call's arguments and writes all traces to one file when it is closed or its
``with`` block ends. Made by :func:`exporter`.)")
      .def(
          "__call__",
          [](mx::FunctionExporter& self, const nb::args& args, const nb::kwargs& kwargs) {
            Inputs in = inputs_of(args, kwargs, "export_function");
            self(in.args, in.kwargs);
          },
          nb::sig("def __call__(self, *args: array, **kwargs: array) -> None"),
          "Traces the function for such arguments.")
      .def("close", &mx::FunctionExporter::close, nb::sig("def close(self) -> None"),
           "Writes the file.")
      .def(
          "__enter__", [](nb::object self) { return self; },
          nb::sig("def __enter__(self) -> FunctionExporter"))
      .def(
          "__exit__",
          [](mx::FunctionExporter& self, nb::object, nb::object, nb::object) { self.close(); },
          "exc_type"_a.none() = nb::none(), "exc_value"_a.none() = nb::none(),
          "traceback"_a.none() = nb::none(),
          nb::sig("def __exit__(self, exc_type: object | None = None, exc_value: object | None = "
                  "None, traceback: object | None = None) -> None"));

  m.def(
      "exporter",
      [](const std::string& file, nb::object fun, bool shapeless,
         std::optional<std::string> metadata) {
        check_callable(fun, "exporter");
        return mx::exporter(file, wrapped(fun), shapeless, metadata.value_or(""));
      },
      "file"_a, "fun"_a, nb::kw_only(), "shapeless"_a = false, "metadata"_a.none() = nb::none(),
      nb::sig("def exporter(file: str, fun: Callable, *, shapeless: bool = False, metadata: str | "
              "None = None) -> FunctionExporter"),
      R"(
An object that traces ``fun`` for the arguments it is called with and writes all traces to one file.

Args:
    file: the file to write, when the exporter is closed.
    fun: takes arrays, returns an array or a tuple or list of arrays.
    shapeless: as for :func:`export_function`.
    metadata: a text to keep in the file.

Example:
    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "sum.mlxfn")
    >>> with mx.exporter(path, lambda *xs: sum(xs)) as exporter:
    ...     exporter(mx.array(1))
    ...     exporter(mx.array(1), mx.array(2))
    >>> mx.import_function(path)(mx.array(3), mx.array(4))
    (array(7, dtype=int32),)
)");

  m.def(
      "export_function",
      [](nb::object file_or_callback, nb::object fun, const nb::args& args, bool shapeless,
         std::optional<std::string> metadata, const nb::kwargs& kwargs) {
        check_callable(fun, "export_function");
        Inputs in = inputs_of(args, kwargs, "export_function");
        if (PyUnicode_Check(file_or_callback.ptr()) ||
            nb::hasattr(file_or_callback, "__fspath__")) {
          nb::str path(nb::steal(PyOS_FSPath(file_or_callback.ptr())));
          mx::export_function(path.c_str(), wrapped(fun), in.args, in.kwargs, shapeless,
                              metadata.value_or(""));
          return;
        }
        check_callable(file_or_callback, "export_function");
        if (metadata) {
          throw std::invalid_argument(
              "[export_function] Metadata is kept in files only, not given to a callback.");
        }
        mx::export_function(callback_of(file_or_callback), wrapped(fun), in.args, in.kwargs,
                            shapeless);
      },
      "file_or_callback"_a, "fun"_a, "args"_a, nb::kw_only(), "shapeless"_a = false,
      "metadata"_a.none() = nb::none(), "kwargs"_a,
      nb::sig("def export_function(file_or_callback: str | Callable, fun: Callable, *args, "
              "shapeless: bool = False, metadata: str | None = None, **kwargs) -> None"),
      R"(
Writes a function, traced for arguments like these, to a file that :func:`import_function` and C++ programs read.

Args:
    file_or_callback: the file to write; or a function that is told the parts of the trace, as dicts.
    fun: takes arrays, returns an array or a tuple or list of arrays. Arrays it holds are kept in the
        file.
    *args: arrays to trace with; or one tuple or list of them.
    shapeless: traces several times with other sizes and keeps how every number follows from them. Axes
        that cannot change, alone or together with others of their size, stay fixed, and so do those
        that a number follows in a way no polynomial says.
    metadata: a text to keep in the file.
    **kwargs: arrays that ``fun`` takes by keyword; or one dict of them after ``args``.

Raises:
    ValueError: if an operation cannot be stored, or something that is no array is given or returned.

Example:
    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "f.mlxfn")
    >>> mx.export_function(path, lambda x, y: x @ y, mx.ones((2, 3)), mx.ones((3, 1)), shapeless=True)
    >>> mx.import_function(path)(mx.ones((1, 5)), mx.ones((5, 2)))
    (array([[5, 5]], dtype=float32),)
)");

  m.def(
      "import_function",
      [](const std::string& file, bool return_metadata) -> nb::object {
        auto imported = std::make_shared<mx::ImportedFunction>(mx::import_function(file));
        nb::object call =
            nb::cpp_function([imported](const nb::args& args, const nb::kwargs& kwargs) {
              Inputs in = inputs_of(args, kwargs, "import_function::call");
              nb::list out;
              for (const auto& a : (*imported)(in.args, in.kwargs))
                out.append(nb::steal(wrap_array(a)));
              return nb::tuple(out);
            });
        if (!return_metadata) return call;
        return nb::make_tuple(call, imported->metadata());
      },
      "file"_a, "return_metadata"_a = false,
      nb::sig("def import_function(file: str, return_metadata: bool = False) -> Callable | "
              "tuple[Callable, str]"),
      R"(
Reads a function that :func:`export_function` or :func:`exporter` wrote.

It takes arrays as positional and keyword arguments, or as one tuple and / or one dict, and returns a tuple
of arrays. With ``return_metadata`` the text kept in the file comes with it.

Raises:
    RuntimeError: if the file cannot be read or is not such a file.
    ValueError: on a call whose arguments no function of the file takes.
)");

  m.def(
      "export_to_dot",
      [](nb::object file, const nb::args& args, const nb::kwargs& kwargs) {
        draw("export_to_dot", file, args, kwargs, mx::export_to_dot);
      },
      "file"_a, "args"_a, "kwargs"_a,
      nb::sig("def export_to_dot(file: object, *args, **kwargs) -> None"), R"(
Writes the graph of what has not been evaluated yet in the DOT language of Graphviz.

Args:
    file: the name of a file, or an object with a method ``write``.
    *args: the arrays, or trees of them, whose graph is drawn.
    **kwargs: names for arrays in it.

Example:
    >>> import io
    >>> x, text = mx.array(1.0), io.StringIO()
    >>> mx.export_to_dot(text, mx.exp(x), x=x)
    >>> "Exp" in text.getvalue()
    True
)");

  m.def(
      "export_to_html",
      [](nb::object file, const nb::args& args, const nb::kwargs& kwargs) {
        draw("export_to_html", file, args, kwargs, mx::export_to_html);
      },
      "file"_a, "args"_a, "kwargs"_a,
      nb::sig("def export_to_html(file: object, *args, **kwargs) -> None"), R"(
Draws the graph of what has not been evaluated yet as a page that any browser shows, with nothing loaded from
elsewhere: operations with their shapes, dtypes and the lines that made them.

Args:
    file: the name of a file, or an object with a method ``write``.
    *args: the arrays, or trees of them, whose graph is drawn.
    **kwargs: names for arrays in it.

Example:
    >>> import io
    >>> x, page = mx.array(1.0), io.StringIO()
    >>> mx.export_to_html(page, mx.exp(x), x=x)
    >>> "<svg" in page.getvalue()
    True
)");
}
