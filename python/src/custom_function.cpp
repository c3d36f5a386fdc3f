// python/src/custom_function.cpp: Python functions with derivative and batching rules of their own.
#include "bind.h"
#include "gc_function.h"
#include "mlx/ops.h"
#include "mlx/transforms.h"
#include "operators.h"
#include "trees.h"

namespace {

struct CustomFunction {
  nb::object fun;
  nb::object vjp, jvp, vmap;  // not valid: derived from fun
};

int custom_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  if (!nb::inst_ready(self)) return 0;
  auto* f = nb::inst_ptr<CustomFunction>(self);
  for (nb::object* ref : {&f->fun, &f->vjp, &f->jvp, &f->vmap}) Py_VISIT(ref->ptr());
  return 0;
}

int custom_clear(PyObject* self) {
  auto* f = nb::inst_ptr<CustomFunction>(self);
  CustomFunction moved = std::move(*f);
  f->fun = nb::none();
  return 0;
}

nb::object call(nb::handle f, nb::handle args, nb::handle kwargs = nb::handle()) {
  nb::object result = nb::steal(PyObject_Call(f.ptr(), args.ptr(), kwargs.ptr()));
  if (!result.is_valid()) throw nb::python_error();
  return result;
}

/** The only item of a tuple of one, else the tuple: rules see arguments as the function does. */
nb::object unpack_one(nb::tuple t) { return t.size() == 1 ? nb::object(t[0]) : nb::object(t); }

/** The form of a call, which rules need whenever a transformation asks: any thread, any time. */
struct Form {
  nb::object fun, vjp, jvp, vmap;
  nb::tuple args;
  nb::dict kwargs;
  nb::object result;  // the tree of outputs
};
using SharedForm = std::shared_ptr<Form>;

SharedForm make_form(const CustomFunction& f, nb::tuple args, nb::dict kwargs) {
  auto* form = new Form{f.fun, f.vjp, f.jvp, f.vmap, args, kwargs, nb::object()};
  return SharedForm(form, [](Form* p) {
    if (!Py_IsInitialized()) return;
    nb::gil_scoped_acquire gil;
    delete p;
  });
}

nb::object arguments_of(const Form& f, const std::vector<mx::array>& arrays) {
  return unpack_one(nb::borrow<nb::tuple>(tree_unflatten(f.args, arrays)));
}

std::vector<mx::array> rule_vjp(const Form& f, const std::vector<mx::array>& primals,
                                const std::vector<mx::array>& cotangents,
                                const std::vector<mx::array>& outputs) {
  nb::object grads =
      call(f.vjp, nb::make_tuple(arguments_of(f, primals), tree_unflatten(f.result, cotangents),
                                 tree_unflatten(f.result, outputs)));
  // None stands for a gradient of zero.
  std::vector<mx::array> out;
  std::vector<const mx::array*> expected;
  for (const auto& p : primals) expected.push_back(&p);
  size_t next = 0;
  tree_visit(grads, [&](nb::handle leaf) {
    if (next >= expected.size()) {
      throw std::invalid_argument(
          "[custom vjp] The function returned more gradients than there are arguments.");
    }
    const mx::array& p = *expected[next++];
    if (leaf.is_none()) return out.push_back(mx::zeros_like(p));
    mx::array* g = array_ptr(leaf);
    if (!g)
      throw std::invalid_argument("[custom vjp] Gradients must be arrays, but one is a " +
                                  py_type_name(leaf) + ".");
    if (g->shape() != p.shape()) {
      throw std::invalid_argument("[custom vjp] A gradient has shape " + mx::to_string(g->shape()) +
                                  " but its argument has shape " + mx::to_string(p.shape()) + ".");
    }
    out.push_back(*g);
  });
  if (next != expected.size()) {
    throw std::invalid_argument("[custom vjp] The function returned " + std::to_string(next) +
                                " gradients for " + std::to_string(expected.size()) +
                                " arguments.");
  }
  return out;
}

/** A tree like args with values at the positions in argnums and None elsewhere. */
nb::object sparse_arguments(const Form& f, const std::vector<nb::object>& values) {
  size_t next = 0;
  nb::object tree = tree_map(f.args, [&](nb::handle leaf) -> nb::object {
    return array_ptr(leaf) ? values[next++] : nb::borrow(leaf);
  });
  return unpack_one(nb::borrow<nb::tuple>(tree));
}

std::vector<mx::array> rule_jvp(const Form& f, const std::vector<mx::array>& primals,
                                const std::vector<mx::array>& tangents,
                                const std::vector<int>& argnums) {
  std::vector<nb::object> all(primals.size(), nb::none());
  for (size_t i = 0; i < argnums.size(); ++i) all[argnums[i]] = nb::steal(wrap_array(tangents[i]));
  nb::object out = call(f.jvp, nb::make_tuple(arguments_of(f, primals), sparse_arguments(f, all)));
  return tree_flatten(out);
}

std::pair<std::vector<mx::array>, std::vector<int>> rule_vmap(const Form& f,
                                                              const std::vector<mx::array>& inputs,
                                                              const std::vector<int>& axes) {
  std::vector<nb::object> all;
  for (int a : axes) all.push_back(a < 0 ? nb::none() : nb::object(nb::int_(a)));
  nb::object out = call(f.vmap, nb::make_tuple(arguments_of(f, inputs), sparse_arguments(f, all)));
  if (!PyTuple_Check(out.ptr()) || nb::len(out) != 2) {
    throw std::invalid_argument(
        "[custom vmap] The function must return a tuple of outputs and their axes.");
  }
  std::vector<mx::array> arrays;
  std::vector<int> out_axes;
  tree_visit_prefix(out[0], out[1], "custom vmap", [&](nb::handle leaf, nb::handle axis) {
    mx::array* a = array_ptr(leaf);
    if (!a) throw std::invalid_argument("[custom vmap] Outputs must be arrays.");
    arrays.push_back(*a);
    out_axes.push_back(axis.is_none() ? -1 : to_int(axis, "custom vmap"));
  });
  return {std::move(arrays), std::move(out_axes)};
}

nb::object call_custom(const CustomFunction& f, nb::args args, nb::kwargs kwargs) {
  if (!f.vjp.is_valid() && !f.jvp.is_valid() && !f.vmap.is_valid())
    return call(f.fun, args, kwargs);
  SharedForm form = make_form(f, nb::borrow<nb::tuple>(args), nb::borrow<nb::dict>(kwargs));
  tree_visit(kwargs, [](nb::handle leaf) {
    if (array_ptr(leaf))
      throw std::invalid_argument("[custom_function] Arrays must be positional arguments.");
  });

  auto fun = [form](const std::vector<mx::array>& in) {
    nb::object out = call(form->fun, tree_unflatten(form->args, in), form->kwargs);
    auto arrays = tree_flatten(out);
    form->result = out;
    return arrays;
  };
  auto in = tree_flatten(args, false);
  using Arrays = std::vector<mx::array>;
  std::optional<std::function<Arrays(const Arrays&, const Arrays&, const Arrays&)>> vjp;
  std::optional<std::function<Arrays(const Arrays&, const Arrays&, const std::vector<int>&)>> jvp;
  std::optional<
      std::function<std::pair<Arrays, std::vector<int>>(const Arrays&, const std::vector<int>&)>>
      vmap;
  if (f.vjp.is_valid()) {
    vjp = [form](const Arrays& p, const Arrays& c, const Arrays& o) {
      return rule_vjp(*form, p, c, o);
    };
  }
  if (f.jvp.is_valid()) {
    jvp = [form](const Arrays& p, const Arrays& t, const std::vector<int>& n) {
      return rule_jvp(*form, p, t, n);
    };
  }
  if (f.vmap.is_valid()) {
    vmap = [form](const Arrays& p, const std::vector<int>& axes) {
      return rule_vmap(*form, p, axes);
    };
  }
  auto outputs = mx::custom_function(fun, std::move(vjp), std::move(jvp), std::move(vmap))(in);
  return tree_unflatten(form->result, outputs);
}

}  // namespace

void bind_custom_function(nb::module_& m) {
  static PyType_Slot slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(&custom_traverse)},
                                {Py_tp_clear, reinterpret_cast<void*>(&custom_clear)},
                                {0, nullptr}};
  auto rule = [](nb::object CustomFunction::*slot) {
    return [slot](CustomFunction& self, nb::object f) {
      if (!PyCallable_Check(f.ptr()))
        throw_type_error("[custom_function] A rule must be a function.");
      self.*slot = f;
      return f;
    };
  };
  nb::class_<CustomFunction>(m, "custom_function", nb::type_slots(slots), R"(
A function with its own rules for transformations, each given by a decorator.

Example:
  >>> @mx.custom_function
  ... def f(x, y):
  ...     return mx.sin(x) * y
  >>> @f.vjp
  ... def f_vjp(primals, cotangent, output):
  ...     x, y = primals
  ...     return cotangent * y * mx.cos(x), cotangent * mx.sin(x)

Rules get single arguments and outputs as they are and several as tuples. Without a rule, a
transformation looks into the function.)")
      .def(
          "__init__",
          [](CustomFunction* self, nb::object f) {
            if (!PyCallable_Check(f.ptr()))
              throw_type_error("[custom_function] A function is needed.");
            new (self) CustomFunction{std::move(f), {}, {}, {}};
          },
          "f"_a, nb::sig("def __init__(self, f: Callable)"))
      .def("__call__", &call_custom, nb::sig("def __call__(self, *args, **kwargs) -> object"))
      .def("vjp", rule(&CustomFunction::vjp), "f"_a, nb::sig("def vjp(self, f: Callable)"),
           "Sets the rule ``f(primals, cotangents, outputs)`` for the gradients of the arguments.")
      .def("jvp", rule(&CustomFunction::jvp), "f"_a, nb::sig("def jvp(self, f: Callable)"),
           "Sets the rule ``f(primals, tangents)`` for the tangents of the outputs; ``None`` is a "
           "tangent of zero.")
      .def("vmap", rule(&CustomFunction::vmap), "f"_a, nb::sig("def vmap(self, f: Callable)"),
           "Sets the rule ``f(inputs, axes)``, which returns outputs and their axes.");
}
