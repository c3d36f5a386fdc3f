// core/transform/compile.cpp: functions that are traced once for each signature of their inputs.
//
// A trace is a list of operations (traced.h), freed of what is done twice, leads nowhere or depends
// on no input. Called outside other transformations it is one node of the graph, which runs a plan
// made once (program.h); inside them, or where it is only elementwise work that its surroundings
// can fuse with, it is the list's operations.
#include "mlx/compile.h"

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <string>
#include <typeinfo>

#include "core/graph_access.h"
#include "core/lru.h"
#include "core/prim/cast.h"
#include "core/prim/elementwise.h"
#include "core/prim/shape.h"
#include "core/tracing.h"
#include "core/transform/program.h"
#include "core/transform/traced.h"
#include "mlx/ops.h"
#include "mlx/transforms.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

constexpr size_t kSignatures = 256;  // traces a function keeps
constexpr size_t kInlineNodes = 24;  // elementwise traces up to here become part of the graph

std::atomic<CompileMode> current_mode = [] {
  const char* off = std::getenv("MLX_DISABLE_COMPILE");
  return off && *off && std::string(off) != "0" ? CompileMode::disabled : CompileMode::enabled;
}();

/** A trace, ready to be used by any thread. */
struct Entry {
  explicit Entry(Traced t) : traced(std::move(t)), inlined(is_small_map()) {}

  Traced traced;
  bool inlined;

  const std::shared_ptr<const Program>& program() {
    std::call_once(planned_, [this] { program_ = std::make_shared<const Program>(traced); });
    return program_;
  }

 private:
  bool is_small_map() const {
    if (traced.nodes.size() > kInlineNodes) return false;
    for (const auto& n : traced.nodes) {
      const auto& type = typeid(*n.primitive);
      if (type != typeid(Elementwise) && type != typeid(AsType) && type != typeid(Broadcast))
        return false;
    }
    return true;
  }

  std::once_flag planned_;
  std::shared_ptr<const Program> program_;
};

/** One call of a compiled function. */
class Compiled final : public Primitive {
 public:
  Compiled(Stream s, std::shared_ptr<Entry> entry) : Primitive(s), entry_(std::move(entry)) {}

  const char* name() const override { return "Compiled"; }

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    if (failure_) std::rethrow_exception(failure_);
    // What only this call holds may be used up: the evaluator hands its handles over.
    auto& owned = const_cast<std::vector<array>&>(inputs);
    bool spent = false;
    try {
      entry_->program()->run(owned, outputs, spent);
    } catch (...) {
      if (spent) failure_ = std::current_exception();
      for (auto& in : owned) {
        if (!GraphAccess::node(in)) in = array(0);
      }
      throw;
    }
  }
  void eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    eval_cpu(inputs, outputs);
  }

  // A call is only made outside transformations, so these are for those who hold its node.
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override {
    std::vector<array> all;
    for (const auto& p : primals) all.push_back(zeros_like(p));
    for (size_t i = 0; i < argnums.size(); ++i) all[argnums[i]] = tangents[i];
    return mlx::core::jvp(function(), primals, all).second;
  }
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums, const std::vector<array>&) override {
    auto all = mlx::core::vjp(function(), primals, cotangents).second;
    std::vector<array> some;
    for (int a : argnums) some.push_back(all[a]);
    return some;
  }
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override {
    std::vector<int> out_axes(entry_->traced.outputs.size(), 0);
    return {mlx::core::vmap(function(), axes, out_axes)(inputs), out_axes};
  }

 private:
  std::function<std::vector<array>(const std::vector<array>&)> function() const {
    return [entry = entry_](const std::vector<array>& in) { return entry->traced.build(in); };
  }

  std::shared_ptr<Entry> entry_;
  std::exception_ptr failure_;  // of a run that had used up inputs
};

void append_bytes(std::string& key, const void* data, size_t n) {
  key.append(static_cast<const char*>(data), n);
}

/** Equal for inputs that one trace serves: ranks instead of shapes if shapeless. */
std::string signature(const std::vector<array>& inputs, bool shapeless) {
  std::string key;
  key.reserve(inputs.size() * 12 + 8);
  // Operations of a trace know their stream.
  int stream = default_stream(default_device()).index;
  append_bytes(key, &stream, sizeof stream);
  for (const auto& a : inputs) {
    key += static_cast<char>(a.dtype().val());
    key += static_cast<char>(a.ndim());
    if (!shapeless) append_bytes(key, a.shape().data(), a.ndim() * sizeof(ShapeElem));
  }
  return key;
}

class CompiledFunction {
 public:
  CompiledFunction(ArrayFn fun, bool shapeless) : fun_(std::move(fun)), shapeless_(shapeless) {}

  std::vector<array> operator()(const std::vector<array>& inputs) {
    CompileMode mode = current_mode;
    if (mode == CompileMode::disabled) return fun_(inputs);
    std::string key = signature(inputs, false);
    key += static_cast<char>(mode);
    std::shared_ptr<Entry> entry;
    {
      std::lock_guard lock(mutex_);
      if (auto* found = entries_.find(key)) entry = *found;
    }
    if (!entry) {
      entry = make_entry(inputs, mode);
      if (entry->traced.escaped) return entry->traced.build(inputs);
      std::shared_ptr<Entry> gone;
      std::lock_guard lock(mutex_);
      gone = entries_.put(key, entry);
    }
    return call(entry, inputs, mode);
  }

 private:
  std::shared_ptr<Entry> make_entry(const std::vector<array>& inputs, CompileMode mode) {
    if (!shapeless_) return std::make_shared<Entry>(trace(inputs, mode, nullptr));
    std::string key = signature(inputs, true);
    std::shared_ptr<const Traced> generic;
    bool hopeless = false;  // known to depend on shapes
    {
      std::lock_guard lock(mutex_);
      if (auto* found = generic_.find(key)) {
        generic = *found;
        hopeless = !generic;
      }
    }
    if (generic) {
      try {
        return std::make_shared<Entry>(respecialize(*generic, inputs));
      } catch (const std::exception&) {
        // The function itself has to say what it makes of these shapes, and then serves more of
        // their kind: a dimension of 1 may have meant broadcasting.
      }
    }
    std::shared_ptr<const Traced> made;
    Traced traced = trace(inputs, mode, hopeless ? nullptr : &made);
    if (!hopeless && !traced.escaped) {
      std::lock_guard lock(mutex_);
      generic_.put(key, made);
    }
    return std::make_shared<Entry>(std::move(traced));
  }

  /** generic, if asked for, is a form for all shapes or null. */
  Traced trace(const std::vector<array>& inputs, CompileMode mode,
               std::shared_ptr<const Traced>* generic) {
    auto placeholders = make_placeholders(inputs);
    std::vector<array> outputs;
    bool shape_read;
    {
      TracingScope scope;
      DynamicTracing dynamic(generic != nullptr);
      outputs = fun_(placeholders);
      shape_read = dynamic.shape_read;
    }
    TraceOptions options;
    options.simplify = mode != CompileMode::no_simplify;
    if (generic && !shape_read) {
      // Not folded: what depends on no input may have been made from a shape.
      options.fold = false;
      Traced any = flatten_trace(placeholders, outputs, options);
      if (!any.escaped && is_shape_generic(any)) *generic = std::make_shared<const Traced>(any);
      options.fold = true;
    }
    return flatten_trace(placeholders, std::move(outputs), options);
  }

  static std::vector<array> call(const std::shared_ptr<Entry>& entry,
                                 const std::vector<array>& inputs, CompileMode mode) {
    const Traced& t = entry->traced;
    bool inlined = entry->inlined || mode != CompileMode::enabled;
    for (const auto& in : inputs) inlined = inlined || in.is_tracer();
    if (inlined) return t.build(inputs);

    std::vector<Shape> shapes;
    std::vector<Dtype> dtypes;
    for (const auto& n : t.nodes) {
      shapes.insert(shapes.end(), n.shapes.begin(), n.shapes.end());
      dtypes.insert(dtypes.end(), n.dtypes.begin(), n.dtypes.end());
    }
    std::vector<Shape> out_shapes;
    std::vector<Dtype> out_dtypes;
    for (int v : t.outputs) {
      bool leaf = v < t.first_result();
      const array* given = !leaf ? nullptr : t.is_input(v) ? &inputs[v] : &t.constant(v);
      out_shapes.push_back(given ? given->shape() : shapes[v - t.first_result()]);
      out_dtypes.push_back(given ? given->dtype() : dtypes[v - t.first_result()]);
    }
    auto primitive = std::make_shared<Compiled>(t.nodes.back().primitive->stream(), entry);
    auto outs = array::make_arrays(std::move(out_shapes), out_dtypes, primitive, inputs);
    for (size_t i = 0; i < outs.size(); ++i) {
      int v = t.outputs[i];
      if (t.is_input(v)) outs[i] = inputs[v];
      if (t.is_constant(v)) outs[i] = t.constant(v);
    }
    return outs;
  }

  ArrayFn fun_;
  bool shapeless_;
  std::mutex mutex_;
  Lru<std::string, std::shared_ptr<Entry>> entries_{kSignatures};
  Lru<std::string, std::shared_ptr<const Traced>> generic_{kSignatures};
};

}  // namespace

std::function<std::vector<array>(const std::vector<array>&)> compile(
    std::function<std::vector<array>(const std::vector<array>&)> fun, bool shapeless) {
  auto compiled = std::make_shared<CompiledFunction>(std::move(fun), shapeless);
  return [compiled](const std::vector<array>& inputs) { return (*compiled)(inputs); };
}

std::function<std::vector<array>(const std::vector<array>&)> compile(
    std::vector<array> (*fun)(const std::vector<array>&), bool shapeless) {
  if (!fun) throw std::invalid_argument("[compile] Cannot compile a function that is null.");
  return compile(std::function<std::vector<array>(const std::vector<array>&)>(fun), shapeless);
}

void disable_compile() { set_compile_mode(CompileMode::disabled); }
void enable_compile() { set_compile_mode(CompileMode::enabled); }
void set_compile_mode(CompileMode mode) { current_mode = mode; }
CompileMode compile_mode() { return current_mode; }

}  // namespace mlx::core
