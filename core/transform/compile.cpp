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

#include "core/lru.h"
#include "core/tracing.h"
#include "core/transform/planned_trace.h"
#include "core/transform/traced.h"
#include "mlx/transforms.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

constexpr size_t kSignatures = 256;  // traces a function keeps

std::atomic<CompileMode> current_mode = [] {
  const char* off = std::getenv("MLX_DISABLE_COMPILE");
  return off && *off && std::string(off) != "0" ? CompileMode::disabled : CompileMode::enabled;
}();

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
    std::shared_ptr<PlannedTrace> entry;
    {
      std::lock_guard lock(mutex_);
      if (auto* found = entries_.find(key)) entry = *found;
    }
    if (!entry) {
      entry = make_entry(inputs, mode);
      if (entry->traced.escaped) return entry->traced.build(inputs);
      std::shared_ptr<PlannedTrace> gone;
      std::lock_guard lock(mutex_);
      gone = entries_.put(key, entry);
    }
    return call_trace(entry, inputs, mode != CompileMode::enabled);
  }

 private:
  std::shared_ptr<PlannedTrace> make_entry(const std::vector<array>& inputs, CompileMode mode) {
    if (!shapeless_) return std::make_shared<PlannedTrace>(trace(inputs, mode, nullptr));
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
        return std::make_shared<PlannedTrace>(respecialize(*generic, inputs));
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
    return std::make_shared<PlannedTrace>(std::move(traced));
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

  ArrayFn fun_;
  bool shapeless_;
  std::mutex mutex_;
  Lru<std::string, std::shared_ptr<PlannedTrace>> entries_{kSignatures};
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
