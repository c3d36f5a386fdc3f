// python/src/compile.cpp: mx.compile over trees of arrays, constants and captured state.
#include <memory>

#include "bind.h"
#include "core/lru.h"
#include "gc_function.h"
#include "mlx/compile.h"
#include "mlx/transforms.h"
#include "random_state.h"
#include "trees.h"

namespace {

enum Refs { kFun, kInputs, kOutputs, kKept };  // kKept: by entry, the objects its key refers to

constexpr size_t kForms = 256;  // forms of arguments that a function remembers

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
  int64_t id = 0;
  Call* call = nullptr;
};

/** A tree with placeholders for its arrays: keeps the form, not the values. */
nb::object form_of(nb::handle tree) {
  static mx::array* nothing = new mx::array(0);
  return tree_map(tree, [](nb::handle leaf) -> nb::object {
    return array_ptr(leaf) ? nb::steal(wrap_array(*nothing)) : nb::borrow(leaf);
  });
}

/** What trees of containers hold, to be put back after a function that raised. */
class Snapshot {
 public:
  explicit Snapshot(nb::handle tree) { take(tree); }

  void restore() {
    for (auto& [container, items] : containers_) {
      if (PyDict_Check(container.ptr())) {
        PyDict_Clear(container.ptr());
        PyDict_Update(container.ptr(), items.ptr());
      } else {
        PyList_SetSlice(container.ptr(), 0, PyList_Size(container.ptr()), items.ptr());
      }
    }
    for (auto& [leaf, value] : arrays_) array_ptr(leaf)->overwrite_descriptor(value);
    if (!random_.empty()) set_random_key(random_[0]);
  }

 private:
  void take(nb::handle tree) {
    if (PyDict_Check(tree.ptr())) {
      containers_.emplace_back(nb::borrow(tree), nb::steal(PyDict_Copy(tree.ptr())));
      for (auto [k, v] : nb::borrow<nb::dict>(tree)) take(v);
    } else if (PyList_Check(tree.ptr())) {
      containers_.emplace_back(nb::borrow(tree),
                               nb::steal(PyList_GetSlice(tree.ptr(), 0, PyList_Size(tree.ptr()))));
      for (nb::handle v : nb::borrow<nb::list>(tree)) take(v);
    } else if (PyTuple_Check(tree.ptr())) {
      for (nb::handle v : nb::borrow<nb::tuple>(tree)) take(v);
    } else if (is_random_state(tree)) {
      random_ = tree_flatten(tree);
    } else if (mx::array* a = array_ptr(tree)) {
      arrays_.emplace_back(nb::borrow(tree), *a);
    }
  }

  std::vector<std::pair<nb::object, nb::object>> containers_;
  std::vector<std::pair<nb::object, mx::array>> arrays_;
  std::vector<mx::array> random_;
};

std::vector<mx::array> trace(Entry& e, const std::vector<mx::array>& inputs) {
  GcFunction& self = *e.call->self;
  size_t n_args = tree_flatten(e.call->tree, false).size();
  nb::handle captured = self.refs[kInputs];
  Snapshot inputs_before(captured), outputs_before(self.refs[kOutputs]);
  std::vector<mx::array> before = tree_flatten(captured, false);
  nb::object form = form_of(captured);
  try {
    if (!before.empty()) tree_assign(captured, form, inputs, n_args);
    nb::object replaced = tree_unflatten(e.call->tree, inputs);
    nb::object args = replaced[0], kwargs = replaced[1];
    nb::object result = nb::steal(PyObject_Call(self.fun().ptr(), args.ptr(), kwargs.ptr()));
    if (!result.is_valid()) throw nb::python_error();
    std::vector<mx::array> out = tree_flatten(result, false);
    e.n_result = out.size();
    e.result = form_of(result);
    e.outputs = form_of(self.refs[kOutputs]);
    for (auto& a : tree_flatten(self.refs[kOutputs], false)) out.push_back(std::move(a));
    if (!before.empty()) tree_assign(captured, form, before, 0);
    return out;
  } catch (...) {
    outputs_before.restore();
    inputs_before.restore();
    throw;
  }
}

struct State {
  explicit State(bool any_shape) : shapeless(any_shape) {}
  bool shapeless;
  mx::Lru<std::string, std::shared_ptr<Entry>> entries{kForms};
  int64_t last_id = 0;
};

nb::object call_compiled(State& state, GcFunction& self, const nb::args& args,
                         const nb::kwargs& kwargs) {
  nb::tuple tree = nb::make_tuple(nb::borrow<nb::tuple>(args), nb::borrow<nb::dict>(kwargs));
  nb::list kept;
  std::string key;
  tree_key(tree, state.shapeless, key, kept);
  key += '|';
  tree_key(self.refs[kInputs], state.shapeless, key, kept);

  Call call{&self, tree};
  std::shared_ptr<Entry> e;
  auto* found = state.entries.find(key);
  bool fresh = found == nullptr;
  if (fresh) {
    e = std::make_shared<Entry>();
    e->id = ++state.last_id;
    mx::ArrayFn traced = [entry = e.get()](const std::vector<mx::array>& in) {
      return trace(*entry, in);
    };
    e->run = mx::compile(std::move(traced), state.shapeless);
  } else {
    e = *found;
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
  if (fresh) {
    nb::dict all_kept = nb::borrow<nb::dict>(self.refs[kKept]);
    if (nb::len(kept) > 0) all_kept[nb::int_(e->id)] = kept;
    if (auto gone = state.entries.put(key, std::move(e))) {
      nb::int_ id(gone->id);
      if (all_kept.contains(id)) nb::del(all_kept[id]);
    }
  }
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
        auto state = std::make_shared<State>(shapeless);
        return GcFunction{{fun, inputs, outputs, nb::dict()},
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
  m.def("disable_compile", &mx::disable_compile, nb::sig("def disable_compile() -> None"),
        "Makes compiled functions run like the functions they were made from.");
  m.def("enable_compile", &mx::enable_compile, nb::sig("def enable_compile() -> None"),
        "Undoes :func:`disable_compile`.");
}
