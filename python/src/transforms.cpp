// python/src/transforms.cpp: evaluation, and the transformations of Python functions of trees.
#include "mlx/transforms.h"

#include <nanobind/stl/function.h>
#include <nanobind/stl/variant.h>

#include <algorithm>

#include "bind.h"
#include "core/eval.h"
#include "define.h"
#include "gc_function.h"
#include "mlx/memory.h"
#include "mlx/ops.h"
#include "mlx/transforms_impl.h"
#include "operators.h"
#include "trees.h"

namespace {

int gc_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  if (!nb::inst_ready(self)) return 0;
  for (const nb::object& ref : nb::inst_ptr<GcFunction>(self)->refs) Py_VISIT(ref.ptr());
  return 0;
}

int gc_clear(PyObject* self) {
  // Moved out first: dropping a reference may run code that comes back here.
  auto refs = std::move(nb::inst_ptr<GcFunction>(self)->refs);
  nb::inst_ptr<GcFunction>(self)->refs.assign(refs.size(), nb::none());
  return 0;
}

nb::object call_unpacked(nb::handle fun, nb::handle args, nb::handle kwargs) {
  nb::object result = nb::steal(PyObject_Call(fun.ptr(), args.ptr(), kwargs.ptr()));
  if (!result.is_valid()) throw nb::python_error();
  return result;
}

// ---- grad

struct Wanted {
  std::vector<int> argnums;
  std::vector<std::string> argnames;
};

Wanted parse_wanted(nb::handle argnums, nb::handle argnames, const char* op) {
  std::string tag = "[" + std::string(op) + "] ";
  Wanted w;
  if (nb::isinstance<nb::str>(argnames)) {
    w.argnames.push_back(nb::cast<std::string>(argnames));
  } else {
    for (nb::handle n : nb::iter(argnames)) w.argnames.push_back(nb::cast<std::string>(n));
  }
  if (!argnums.is_none()) {
    w.argnums = to_ints(argnums, op);
  } else if (w.argnames.empty()) {
    w.argnums = {0};
  }
  if (w.argnums.empty() && w.argnames.empty()) {
    throw std::invalid_argument(tag + "Gradient wrt no argument requested");
  }
  std::vector<int> sorted = w.argnums;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i] < 0) {
      throw std::invalid_argument(tag + "Can't compute the gradient of negative argument index " +
                                  std::to_string(sorted[i]));
    }
    if (i && sorted[i] == sorted[i - 1]) {
      throw std::invalid_argument(tag + "Duplicate argument index " + std::to_string(sorted[i]) +
                                  " is not allowed.");
    }
  }
  std::vector<std::string> names = w.argnames;
  std::sort(names.begin(), names.end());
  if (auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end()) {
    throw std::invalid_argument(tag + "Duplicate argument name '" + *twice + "' is not allowed.");
  }
  return w;
}

/** The value, and the gradients in the form that was asked for. */
std::pair<nb::object, nb::object> value_and_gradients(nb::handle fun, const Wanted& wanted,
                                                      const nb::args& args,
                                                      const nb::kwargs& kwargs, const char* op,
                                                      bool scalar_only) {
  std::string tag = "[" + std::string(op) + "] ";
  // The arguments that are differentiated, in one list of trees.
  nb::list trees;
  for (int i : wanted.argnums) {
    if (i >= static_cast<int>(args.size())) {
      throw std::invalid_argument(tag + "Can't compute the gradient of argument index " +
                                  std::to_string(i) + " because the function is called with only " +
                                  std::to_string(args.size()) + " positional arguments.");
    }
    trees.append(args[i]);
  }
  for (const auto& name : wanted.argnames) {
    if (!kwargs.contains(name.c_str())) {
      std::string given = "{";
      for (auto [k, v] : kwargs) given += nb::cast<std::string>(k) + ",";
      throw std::invalid_argument(
          tag + "Can't compute the gradient of keyword argument '" + name +
          "' because the function is called with the following keyword arguments " + given + "}");
    }
    trees.append(kwargs[name.c_str()]);
  }
  std::vector<mx::array> primals = tree_flatten(trees);
  std::vector<int> all(primals.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int>(i);

  nb::object value;
  mx::ArrayFn traced = [&](const std::vector<mx::array>& inputs) {
    nb::object replaced = tree_unflatten(trees, inputs);
    nb::list new_args(args);
    nb::dict new_kwargs;
    for (auto [k, v] : kwargs) new_kwargs[k] = v;
    size_t next = 0;
    for (int i : wanted.argnums) new_args[i] = replaced[next++];
    for (const auto& name : wanted.argnames) new_kwargs[name.c_str()] = replaced[next++];
    value = call_unpacked(fun, nb::tuple(new_args), new_kwargs);

    nb::handle loss = value;
    if (!scalar_only && PyTuple_Check(value.ptr()) && nb::len(value) > 0) {
      loss = nb::borrow<nb::tuple>(value)[0];
    }
    if (!array_ptr(loss)) {
      std::string got = py_type_name(value);
      if (scalar_only) {
        throw std::invalid_argument(
            tag +
            "The return value of the function whose gradient we want to compute "
            "should be a scalar array; but " +
            got + " was returned.");
      }
      throw std::invalid_argument(tag +
                                  "The return value of the function whose gradient we want to "
                                  "compute should be either a scalar "
                                  "array or a tuple with the first value being a scalar array "
                                  "(Union[array, tuple[array, Any, "
                                  "...]]); but " +
                                  got + " was returned.");
    }
    return tree_flatten(value, false);
  };
  if (primals.empty()) {
    throw std::invalid_argument(tag + "There are no arrays among the arguments to differentiate.");
  }
  auto [values, grads] = mx::value_and_grad(traced, all)(primals);

  nb::object value_out = tree_unflatten(value, values);
  nb::object grad_trees = tree_unflatten(trees, grads);
  nb::object positional = nb::none();
  size_t n = wanted.argnums.size();
  if (n == 1) {
    positional = grad_trees[0];
  } else if (n > 1) {
    nb::list several;
    for (size_t i = 0; i < n; ++i) several.append(grad_trees[i]);
    positional = nb::tuple(several);
  }
  if (wanted.argnames.empty()) return {value_out, positional};
  nb::dict named;
  for (size_t i = 0; i < wanted.argnames.size(); ++i)
    named[wanted.argnames[i].c_str()] = grad_trees[n + i];
  return {value_out, nb::make_tuple(positional, named)};
}

// ---- vmap

int axis_of(nb::handle axis, const char* op) {
  if (!PyLong_Check(axis.ptr()))
    throw std::invalid_argument("[" + std::string(op) + "] axis must be int or None.");
  return to_int(axis, op);
}

nb::object batched_call(nb::handle fun, const nb::args& args, nb::handle in_axes,
                        nb::handle out_axes) {
  std::vector<mx::array> inputs;
  std::vector<int> axes;
  tree_visit_prefix(args, in_axes, "vmap", [&](nb::handle leaf, nb::handle axis) {
    mx::array* a = array_ptr(leaf);
    if (!a) {
      throw std::invalid_argument(
          "[vmap] The arguments should contain only arrays, but one holds a " + py_type_name(leaf) +
          ".");
    }
    inputs.push_back(*a);
    if (axis.is_none()) return axes.push_back(-1);
    int ndim = static_cast<int>(a->ndim());
    int given = axis_of(axis, "vmap");
    int i = given < 0 ? given + ndim : given;
    if (i < 0 || i >= ndim) {
      throw std::out_of_range("[vmap] Invalid vectorization axis " + std::to_string(given) +
                              " for array with shape " + mx::to_string(a->shape()));
    }
    axes.push_back(i);
  });
  if (std::all_of(axes.begin(), axes.end(), [](int a) { return a < 0; })) {
    throw std::invalid_argument("[vmap] At least one argument must have an axis to map over.");
  }
  nb::object result;
  auto [items, outputs] = mx::detail::vmap_trace(
      [&](const std::vector<mx::array>& in) {
        result = call_unpacked(fun, tree_unflatten(args, in), nb::dict());
        return tree_flatten(result);
      },
      inputs, axes);
  std::vector<int> to;
  tree_visit_prefix(result, out_axes, "vmap", [&](nb::handle leaf, nb::handle axis) {
    if (axis.is_none()) return to.push_back(-1);
    int ndim = static_cast<int>(array_ptr(leaf)->ndim()) + 1;  // with the mapped axis
    int given = axis_of(axis, "vmap");
    int i = given < 0 ? given + ndim : given;
    if (i < 0 || i >= ndim) {
      throw std::out_of_range("[vmap] Invalid vectorization axis " + std::to_string(given) +
                              " for an output of " + std::to_string(ndim) + " dimensions.");
    }
    to.push_back(i);
  });
  return tree_unflatten(result, mx::detail::vmap_replace(inputs, items, outputs, axes, to));
}

void check_callable(nb::handle fun, const char* op) {
  if (!PyCallable_Check(fun.ptr())) {
    throw_type_error(std::string(op) + "(): a function is needed, but " + py_type_name(fun) +
                     " was given.");
  }
}

GcFunction make_grad(nb::object fun, nb::handle argnums, nb::handle argnames, bool with_value) {
  const char* op = with_value ? "value_and_grad" : "grad";
  check_callable(fun, op);
  Wanted wanted = parse_wanted(argnums, argnames, op);
  return GcFunction{
      {fun},
      [wanted, op, with_value](GcFunction& self, nb::args args, nb::kwargs kwargs) -> nb::object {
        auto [value, grads] =
            value_and_gradients(self.fun(), wanted, args, kwargs, op, !with_value);
        return with_value ? nb::object(nb::make_tuple(value, grads)) : grads;
      }};
}

mx::ArrayFn list_function(nb::handle fun, const char* op) {
  return [fun, op](const std::vector<mx::array>& in) {
    nb::list args;
    for (const auto& a : in) args.append(nb::steal(wrap_array(a)));
    return arrays_returned(call_unpacked(fun, nb::tuple(args), nb::dict()), op);
  };
}

nb::list array_list(const std::vector<mx::array>& arrays) {
  nb::list out;
  for (const auto& a : arrays) out.append(nb::steal(wrap_array(a)));
  return out;
}

// A list or tuple: one array is most likely meant as a list of one, which has to be said.
std::vector<mx::array> listed(nb::handle h, const char* op) {
  if (array_ptr(h))
    throw_type_error(std::string(op) + "(): a list of arrays is needed, but an array was given.");
  return to_array_list(h, op);
}

std::vector<mx::array> leaves(const nb::args& args) { return tree_flatten(args, false); }

}  // namespace

std::vector<mx::array> arrays_returned(nb::handle result, const char* op) {
  if (mx::array* a = array_ptr(result)) return {*a};
  if (!PyList_Check(result.ptr()) && !PyTuple_Check(result.ptr())) {
    throw std::invalid_argument("[" + std::string(op) +
                                "] The function must return an array or a list of arrays, "
                                "but returned a " +
                                py_type_name(result) + ".");
  }
  return to_array_list(result, op);
}

void bind_gc_function(nb::module_& m) {
  static PyType_Slot slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(&gc_traverse)},
                                {Py_tp_clear, reinterpret_cast<void*>(&gc_clear)},
                                {0, nullptr}};
  nb::class_<GcFunction>(m, "_gc_func", nb::type_slots(slots), nb::dynamic_attr(),
                         "A function made by a transformation.")
      .def(
          "__call__",
          [](GcFunction& self, nb::args args, nb::kwargs kwargs) {
            return self.body(self, args, kwargs);
          },
          nb::sig("def __call__(self, *args, **kwargs) -> typing.Any"))
      // Methods of classes may be transformed in place: then self is bound.
      .def(
          "__get__",
          [](nb::handle self, nb::handle instance, nb::handle) {
            if (instance.is_none()) return nb::borrow(self);
            return nb::object(nb::module_::import_("types").attr("MethodType")(self, instance));
          },
          "instance"_a.none(), "owner"_a.none() = nb::none())
      .def_prop_ro(
          "__doc__", [](const GcFunction& self) { return nb::object(self.fun().attr("__doc__")); },
          nb::sig("def __doc__(self) -> str | None"))
      .def_prop_ro(
          "__wrapped__", [](const GcFunction& self) { return nb::borrow(self.fun()); },
          nb::sig("def __wrapped__(self) -> typing.Any"))
      .def(
          "__getattr__",
          [](const GcFunction& self, const char* name) {
            return nb::object(self.fun().attr(name));
          },
          nb::sig("def __getattr__(self, name: str) -> typing.Any"));
}

void bind_transforms(nb::module_& m) {
  bind_gc_function(m);
  mx::set_interrupt_check([] {
    nb::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
  });

  m.def(
      "eval",
      [](const nb::args& args) {
        auto arrays = leaves(args);
        nb::gil_scoped_release release;
        mx::eval(std::move(arrays));
      },
      nb::sig("def eval(*args) -> None"), R"(
Computes arrays, or all arrays in trees of dicts, lists and tuples. Other leaves are ignored.

Returns when the values are there. Raises what the computation raised; then no array has changed.

Example:
  >>> loss, model = mx.ones(3).sum(), {"weights": [mx.zeros(2), mx.ones(2)]}
  >>> mx.eval(loss, model))");
  m.def(
      "async_eval",
      [](const nb::args& args) {
        auto arrays = leaves(args);
        nb::gil_scoped_release release;
        mx::async_eval(std::move(arrays));
      },
      nb::sig("def async_eval(*args)"), R"(
Starts the computation of arrays, or of all arrays in trees, and returns at once.

Reading a value, or :func:`eval`, waits for it.

Example:
  >>> a = mx.exp(mx.zeros(2))
  >>> mx.async_eval(a)
  >>> a
  array([1, 1], dtype=float32))");
  m.def(
      "get_array_buffer_size",
      [](const nb::args& args) { return mx::get_array_buffer_size(leaves(args)); },
      nb::sig("def get_array_buffer_size(*args) -> int"),
      "Bytes of the buffers behind the evaluated arrays in these trees; a shared buffer counts "
      "once.");

  constexpr const char* grad_args =
      "(fun: Callable[P, R], argnums: int | Sequence[int] | None = None, argnames: str | "
      "Sequence[str] = [])";
  m.def(
      "grad",
      [](nb::object f, nb::object n, nb::object names) {
        return make_grad(std::move(f), n, names, false);
      },
      "fun"_a, "argnums"_a.none() = nb::none(), "argnames"_a = nb::list(),
      nb::sig(keep_text(std::string("def grad") + grad_args + " -> Callable[P, Any]")), R"(
A function that computes the gradient of ``fun``, which must return a scalar array.

``argnums`` says with respect to which positional arguments (the first by default), ``argnames``
to which keyword arguments. Arguments may be trees of arrays; the gradient has their form. With
several ``argnums`` it is a tuple, with ``argnames`` a tuple of that and a dict.

Example:
  >>> mx.grad(lambda x: x * x)(mx.array(3.0))
  array(6, dtype=float32))");
  m.def(
      "value_and_grad",
      [](nb::object f, nb::object n, nb::object names) {
        return make_grad(std::move(f), n, names, true);
      },
      "fun"_a, "argnums"_a.none() = nb::none(), "argnames"_a = nb::list(),
      nb::sig(keep_text(std::string("def value_and_grad") + grad_args +
                        " -> Callable[P, tuple[R, Any]]")),
      R"(
A function that computes the value of ``fun`` and its gradient as :func:`grad` does.

``fun`` returns a scalar array, or a tuple that begins with one; what follows is returned with the
value and is not differentiated.

Example:
  >>> mx.value_and_grad(lambda x: x * x)(mx.array(3.0))
  (array(9, dtype=float32), array(6, dtype=float32)))");

  m.def(
      "vjp",
      [](nb::handle fun, nb::handle primals, nb::handle cotangents) {
        auto [outs, vjps] =
            mx::vjp(list_function(fun, "vjp"), listed(primals, "vjp"), listed(cotangents, "vjp"));
        return nb::make_tuple(array_list(outs), array_list(vjps));
      },
      "fun"_a, "primals"_a, "cotangents"_a,
      nb::sig("def vjp(fun: Callable, primals: list[array], cotangents: list[array]) -> "
              "tuple[list[array], list[array]]"),
      R"(
The outputs of ``fun`` at ``primals``, and the products of ``cotangents`` (one an output) with its
Jacobian (one an input).

Example:
  >>> mx.vjp(lambda x: x * x, [mx.array(3.0)], [mx.array(1.0)])
  ([array(9, dtype=float32)], [array(6, dtype=float32)]))");
  m.def(
      "jvp",
      [](nb::handle fun, nb::handle primals, nb::handle tangents) {
        auto [outs, jvps] =
            mx::jvp(list_function(fun, "jvp"), listed(primals, "jvp"), listed(tangents, "jvp"));
        return nb::make_tuple(array_list(outs), array_list(jvps));
      },
      "fun"_a, "primals"_a, "tangents"_a,
      nb::sig("def jvp(fun: Callable, primals: list[array], tangents: list[array]) -> "
              "tuple[list[array], list[array]]"),
      R"(
The outputs of ``fun`` at ``primals``, and the products of its Jacobian with ``tangents`` (one an
input).

Example:
  >>> mx.jvp(lambda x: x * x, [mx.array(3.0)], [mx.array(1.0)])
  ([array(9, dtype=float32)], [array(6, dtype=float32)]))");

  m.def(
      "vmap",
      [](nb::object fun, nb::object in_axes, nb::object out_axes) {
        check_callable(fun, "vmap");
        return GcFunction{{fun, in_axes, out_axes},
                          [](GcFunction& self, nb::args args, nb::kwargs kwargs) {
                            if (kwargs.size())
                              throw_type_error("[vmap] Keyword arguments are not supported.");
                            return batched_call(self.fun(), args, self.refs[1], self.refs[2]);
                          }};
      },
      "fun"_a, "in_axes"_a.none() = 0, "out_axes"_a.none() = 0,
      nb::sig("def vmap(fun: Callable[P, R], in_axes: object = 0, out_axes: object = 0) -> "
              "Callable[P, R]"),
      R"(
A function that maps ``fun`` over an axis of its arguments.

``in_axes`` is the axis, or a tuple of axes, one an argument; ``None`` passes an argument whole. For
a tree, it may be a tree too. ``out_axes`` says where the axis stands in the outputs.

Example:
  >>> mx.vmap(lambda a, b: a @ b, in_axes=(0, None))(mx.ones((5, 3)), mx.ones(3)).shape
  (5,))");

  m.def(
      "checkpoint",
      [](nb::object fun) {
        check_callable(fun, "checkpoint");
        return GcFunction{
            {fun}, [](GcFunction& self, nb::args args, nb::kwargs kwargs) -> nb::object {
              nb::tuple tree =
                  nb::make_tuple(nb::borrow<nb::tuple>(args), nb::borrow<nb::dict>(kwargs));
              nb::object result;
              // Called again for the gradient, when self may be gone.
              SharedObject f = share(nb::borrow(self.fun()));
              SharedObject arguments = share(tree);
              nb::object* out = &result;
              auto live = std::make_shared<bool>(true);
              auto inner =
                  mx::checkpoint([f, arguments, out, live](const std::vector<mx::array>& in) {
                    nb::object replaced = tree_unflatten(*arguments, in);
                    nb::object r = call_unpacked(*f, replaced[0], replaced[1]);
                    auto arrays = tree_flatten(r, false);
                    if (*live) *out = std::move(r);
                    return arrays;
                  });
              auto outputs = inner(tree_flatten(tree, false));
              *live = false;
              return tree_unflatten(result, outputs);
            }};
      },
      "fun"_a, nb::sig("def checkpoint(fun: Callable[P, R]) -> Callable[P, R]"), R"(
A function equal to ``fun`` of which a gradient keeps the inputs only and computes the rest again:
less memory for more time.

Example:
  >>> f = mx.checkpoint(lambda x: mx.sum(mx.exp(x)))
  >>> mx.grad(f)(mx.array([0.0, 1.0]))
  array([1, 2.71828], dtype=float32))");

  m.def(
      "depends",
      [](nb::handle inputs, nb::handle dependencies) -> nb::object {
        auto list = [](nb::handle h) {
          return array_ptr(h) ? std::vector<mx::array>{*array_ptr(h)} : to_array_list(h, "depends");
        };
        auto out = mx::depends(list(inputs), list(dependencies));
        if (array_ptr(inputs)) return nb::steal(wrap_array(out[0]));
        return array_list(out);
      },
      "inputs"_a, "dependencies"_a,
      nb::sig(
          "def depends(inputs: array | Sequence[array], dependencies: array | Sequence[array])"),
      with_example(m, "depends",
                   "``inputs``, whose evaluation has the ``dependencies`` evaluated first."));
}
