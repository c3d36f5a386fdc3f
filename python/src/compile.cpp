// python/src/compile.cpp: mx.compile over trees of arrays, constants and captured state.
#include <memory>
#include <unordered_map>

#include "bind.h"
#include "gc_function.h"
#include "mlx/transforms.h"
#include "trees.h"

#if __has_include("mlx/compile.h")
#include "mlx/compile.h"
#define MICA_HAS_COMPILE 1
#else
#define MICA_HAS_COMPILE 0
#endif

namespace {

enum Refs { kFun, kInputs, kOutputs, kKept };  // kKept: a list of what the cache refers to

/** What a call traces; set while the compiled function runs. */
struct Call {
  GcFunction* self;
  nb::tuple tree;  // (args, kwargs)
};

/** One traced form of the arguments. */
struct Entry {
  mx::ArrayFn run;
  nb::object result;   // form of the returned tree
  nb::object outputs;  // form of the captured outputs
  size_t n_result = 0;
  Call* call = nullptr;
};

/** A tree with placeholders for its arrays: keeps the form, not the values. */
nb::object form_of(nb::handle tree) {
  static mx::array* nothing = new mx::array(0);
  return tree_map(tree, [](nb::handle leaf) -> nb::object {
    return array_ptr(leaf) ? nb::steal(wrap_array(*nothing)) : nb::borrow(leaf);
  });
}

std::vector<mx::array> trace(Entry& e, const std::vector<mx::array>& inputs) {
  GcFunction& self = *e.call->self;
  size_t n_args = tree_flatten(e.call->tree, false).size();
  nb::handle captured = self.refs[kInputs];
  std::vector<mx::array> before = tree_flatten(captured, false);
  nb::object form = form_of(captured);
  if (!before.empty()) tree_assign(captured, form, inputs, n_args);
  auto restore = [&] {
    if (!before.empty()) tree_assign(captured, form, before, 0);
  };
  try {
    nb::object replaced = tree_unflatten(e.call->tree, inputs);
    nb::object args = replaced[0], kwargs = replaced[1];
    nb::object result = nb::steal(PyObject_Call(self.fun().ptr(), args.ptr(), kwargs.ptr()));
    if (!result.is_valid()) throw nb::python_error();
    std::vector<mx::array> out = tree_flatten(result, false);
    e.n_result = out.size();
    e.result = form_of(result);
    e.outputs = form_of(self.refs[kOutputs]);
    for (auto& a : tree_flatten(self.refs[kOutputs], false)) out.push_back(std::move(a));
    restore();
    return out;
  } catch (...) {
    restore();
    throw;
  }
}

struct State {
  bool shapeless;
  std::unordered_map<std::string, std::unique_ptr<Entry>> entries;
};

nb::object call_compiled(State& state, GcFunction& self, const nb::args& args,
                         const nb::kwargs& kwargs) {
  nb::tuple tree = nb::make_tuple(nb::borrow<nb::tuple>(args), nb::borrow<nb::dict>(kwargs));
  nb::list kept = nb::borrow<nb::list>(self.refs[kKept]);
  std::string key;
  tree_key(tree, state.shapeless, key, kept);
  key += '|';
  tree_key(self.refs[kInputs], state.shapeless, key, kept);

  Call call{&self, tree};
  auto found = state.entries.find(key);
  bool fresh = found == state.entries.end();
  std::unique_ptr<Entry> made;
  Entry* e;
  if (fresh) {
    made = std::make_unique<Entry>();
    e = made.get();
    mx::ArrayFn traced = [e](const std::vector<mx::array>& in) { return trace(*e, in); };
#if MICA_HAS_COMPILE
    e->run = mx::compile(std::move(traced), state.shapeless);
#else
    e->run = std::move(traced);
#endif
  } else {
    e = found->second.get();
  }
  std::vector<mx::array> inputs = tree_flatten(tree, false);
  for (auto& a : tree_flatten(self.refs[kInputs], false)) inputs.push_back(std::move(a));
  // A function may call itself: its call is put back afterwards.
  Call* outer = std::exchange(e->call, &call);
  std::vector<mx::array> out;
  try {
    out = e->run(inputs);
  } catch (...) {
    e->call = outer;
    throw;
  }
  e->call = outer;
  nb::object result = tree_unflatten(e->result, out);
  if (!self.refs[kOutputs].is_none())
    tree_assign(self.refs[kOutputs], e->outputs, out, e->n_result);
  if (fresh) state.entries.emplace(std::move(key), std::move(made));
  return result;
}

}  // namespace

void bind_compile(nb::module_& m) {
  m.def(
      "compile",
      [](nb::object fun, nb::object inputs, nb::object outputs, bool shapeless) {
        if (!PyCallable_Check(fun.ptr())) {
          throw_type_error("compile(): a function is needed, but " + py_type_name(fun) +
                           " was given.");
        }
        auto state = std::make_shared<State>(State{shapeless, {}});
        return GcFunction{{fun, inputs, outputs, nb::list()},
                          [state](GcFunction& self, nb::args args, nb::kwargs kwargs) {
                            return call_compiled(*state, self, args, kwargs);
                          }};
      },
      "fun"_a, "inputs"_a.none() = nb::none(), "outputs"_a.none() = nb::none(),
      "shapeless"_a = false,
      nb::sig("def compile(fun: Callable[P, R], inputs: object | None = None, outputs: object | "
              "None = None, "
              "shapeless: bool = False) -> Callable[P, R]"),
      R"(
A function equal to ``fun`` that is traced once for each form of its arguments and then only runs.

``inputs`` and ``outputs`` are containers of arrays (such as the state of a model) that ``fun`` reads
and writes beside its arguments. With ``shapeless``, other shapes of the same rank do not trace anew.
Arguments that are not arrays are constants.)");
#if MICA_HAS_COMPILE
  m.def("disable_compile", &mx::disable_compile, nb::sig("def disable_compile() -> None"),
        "Makes compiled functions run like the functions they were made from.");
  m.def("enable_compile", &mx::enable_compile, nb::sig("def enable_compile() -> None"),
        "Undoes :func:`disable_compile`.");
#else
  m.def(
      "disable_compile", [] {}, nb::sig("def disable_compile() -> None"),
      "Makes compiled functions run like the functions they were made from.");
  m.def(
      "enable_compile", [] {}, nb::sig("def enable_compile() -> None"),
      "Undoes :func:`disable_compile`.");
#endif
}
