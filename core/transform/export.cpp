// core/transform/export.cpp: functions to files and callbacks.
#include "mlx/export.h"

#include <algorithm>
#include <map>

#include "core/transform/size_rules.h"

namespace mlx::core {

namespace {

using Fun = std::function<std::vector<array>(const Args&, const Kwargs&)>;

/** Keyword arguments by name: their order is then the same everywhere. */
std::map<std::string, array> sorted(const Kwargs& kwargs) { return {kwargs.begin(), kwargs.end()}; }

bool same_signature(const StoredFunction& a, const StoredFunction& b) {
  if (a.inputs.size() != b.inputs.size()) return false;
  for (size_t i = 0; i < a.inputs.size(); ++i) {
    const auto &x = a.inputs[i], &y = b.inputs[i];
    if (x.keyword != y.keyword || x.dtype != y.dtype || x.shape.size() != y.shape.size())
      return false;
    for (size_t k = 0; k < x.shape.size(); ++k) {
      if (x.shape[k].fixed() != y.shape[k].fixed()) return false;
      if (x.shape[k].fixed() && x.shape[k].base != y.shape[k].base) return false;
    }
  }
  return true;
}

/** A, B, ..., Z, AA, ... */
std::string letters(int n) {
  std::string name;
  for (++n; n > 0; n = (n - 1) / 26) name.push_back(static_cast<char>('A' + (n - 1) % 26));
  std::reverse(name.begin(), name.end());
  return name;
}

StateT state_of(const StoredLeaf& leaf) {
  if (auto* i = std::get_if<SizeRule>(&leaf)) return static_cast<int>(i->base);
  if (auto* r = std::get_if<RealRule>(&leaf)) return r->value;
  return std::get<std::string>(leaf);
}

void tell(const ExportCallback& callback, const StoredFunction& f,
          const std::vector<array>& tensors) {
  using Named = std::vector<std::tuple<std::string, Shape, Dtype>>;
  std::vector<std::tuple<std::string, Shape, Dtype>> values;
  auto add = [&](const Shape& shape, Dtype dtype) {
    values.emplace_back(letters(static_cast<int>(values.size())), shape, dtype);
  };
  Named inputs;
  std::vector<std::pair<std::string, std::string>> keywords;
  for (const auto& in : f.inputs) {
    Shape shape;
    for (const auto& rule : in.shape) shape.push_back(static_cast<ShapeElem>(rule.base));
    add(shape, in.dtype);
    inputs.push_back(values.back());
    if (!in.keyword.empty()) keywords.emplace_back(in.keyword, std::get<0>(values.back()));
  }
  std::vector<std::pair<std::string, array>> constants;
  for (const auto& c : f.constants) {
    array value = c.tensor >= 0 ? tensors[c.tensor] : array(c.number.value, c.dtype);
    values.emplace_back(letters(static_cast<int>(values.size())), value.shape(), value.dtype());
    constants.emplace_back(std::get<0>(values.back()), value);
  }
  size_t first = values.size();
  for (const auto& n : f.nodes) {
    for (size_t k = 0; k < n.shapes.size(); ++k) add(n.shapes[k], n.dtypes[k]);
  }
  Named outputs;
  for (int v : f.outputs) outputs.push_back(values[v]);
  callback({{"type", "inputs"}, {"inputs", inputs}});
  callback({{"type", "keyword_inputs"}, {"keywords", keywords}});
  callback({{"type", "outputs"}, {"outputs", outputs}});
  callback({{"type", "constants"}, {"constants", constants}});
  for (const auto& n : f.nodes) {
    Named ins, outs;
    for (int v : n.args) ins.push_back(values[v]);
    for (size_t k = 0; k < n.shapes.size(); ++k) outs.push_back(values[first++]);
    std::vector<StateT> state;
    // An elementwise operation goes by its own name.
    bool row = n.name == "Elementwise";
    for (const auto& leaf : n.leaves) {
      if (!row) state.push_back(state_of(leaf));
    }
    callback({{"type", "primitive"},
              {"name", row ? std::get<std::string>(n.leaves.at(0)) : n.name},
              {"inputs", ins},
              {"outputs", outs},
              {"arguments", state}});
  }
}

}  // namespace

struct FunctionExporter::State {
  std::string path;
  ExportCallback callback;  // in the place of a file
  Fun fun;
  bool shapeless = false;
  FunctionFile file;
  bool closed = false;
};

struct ExporterAccess {
  static FunctionExporter make(const std::string& path, ExportCallback callback, Fun fun,
                               bool shapeless, const std::string& metadata) {
    auto state = std::make_shared<FunctionExporter::State>();
    state->path = path;
    state->callback = std::move(callback);
    state->fun = std::move(fun);
    state->shapeless = shapeless;
    state->file.metadata = metadata;
    return FunctionExporter(std::move(state));
  }
};

FunctionExporter::FunctionExporter(std::shared_ptr<State> state) : state_(std::move(state)) {}

FunctionExporter::~FunctionExporter() {
  try {
    close();
  } catch (...) {
    // A destructor has nobody to tell.
  }
}

void FunctionExporter::operator()(const std::vector<array>& args,
                                  const std::unordered_map<std::string, array>& kwargs) {
  State& s = *state_;
  if (s.closed)
    throw std::runtime_error("[export_function] Attempting to write after exporting is closed.");
  std::vector<array> inputs = args;
  std::vector<std::string> keywords;
  for (const auto& [name, value] : sorted(kwargs)) {
    keywords.push_back(name);
    inputs.push_back(value);
  }
  TraceFn flat = [&](const std::vector<array>& given) {
    Args positional(given.begin(), given.begin() + args.size());
    Kwargs named;
    for (size_t i = 0; i < keywords.size(); ++i) named.emplace(keywords[i], given[args.size() + i]);
    return s.fun(positional, named);
  };
  StoredFunction f = store_function(flat, inputs, s.shapeless, s.file.tensors);
  for (size_t i = 0; i < keywords.size(); ++i) f.inputs[args.size() + i].keyword = keywords[i];
  if (s.callback) return tell(s.callback, f, s.file.tensors);
  for (const auto& other : s.file.functions) {
    if (same_signature(f, other)) {
      throw std::runtime_error(
          "[export_function] Attempting to export a function twice with the same signature is not "
          "allowed.");
    }
  }
  s.file.functions.push_back(std::move(f));
}

void FunctionExporter::close() {
  if (!state_ || state_->closed) return;
  state_->closed = true;
  // Without a trace there is nothing to replace an older file with.
  if (!state_->callback && !state_->file.functions.empty())
    save_functions(state_->path, state_->file);
}

// ---- the forms of the public functions ----

namespace {
Fun of_args(std::function<std::vector<array>(const Args&)> fun) {
  return [fun = std::move(fun)](const Args& args, const Kwargs&) { return fun(args); };
}
Fun of_kwargs(std::function<std::vector<array>(const Kwargs&)> fun) {
  return [fun = std::move(fun)](const Args&, const Kwargs& kwargs) { return fun(kwargs); };
}
}  // namespace

FunctionExporter exporter(const std::string& file,
                          const std::function<std::vector<array>(const Args&)>& fun, bool shapeless,
                          const std::string& metadata) {
  return ExporterAccess::make(file, nullptr, of_args(fun), shapeless, metadata);
}
FunctionExporter exporter(const std::string& file,
                          const std::function<std::vector<array>(const Kwargs&)>& fun,
                          bool shapeless, const std::string& metadata) {
  return ExporterAccess::make(file, nullptr, of_kwargs(fun), shapeless, metadata);
}
FunctionExporter exporter(const std::string& path,
                          const std::function<std::vector<array>(const Args&, const Kwargs&)>& fun,
                          bool shapeless, const std::string& metadata) {
  return ExporterAccess::make(path, nullptr, fun, shapeless, metadata);
}
FunctionExporter exporter(const ExportCallback& callback,
                          const std::function<std::vector<array>(const Args&)>& fun,
                          bool shapeless) {
  return ExporterAccess::make("", callback, of_args(fun), shapeless, "");
}
FunctionExporter exporter(const ExportCallback& callback,
                          const std::function<std::vector<array>(const Kwargs&)>& fun,
                          bool shapeless) {
  return ExporterAccess::make("", callback, of_kwargs(fun), shapeless, "");
}
FunctionExporter exporter(const ExportCallback& callback,
                          const std::function<std::vector<array>(const Args&, const Kwargs&)>& fun,
                          bool shapeless) {
  return ExporterAccess::make("", callback, fun, shapeless, "");
}

namespace {
void export_once(FunctionExporter exporter, const Args& args, const Kwargs& kwargs) {
  exporter(args, kwargs);
  exporter.close();
}
}  // namespace

void export_function(const std::string& file,
                     const std::function<std::vector<array>(const Args&)>& fun, const Args& args,
                     bool shapeless, const std::string& metadata) {
  export_once(exporter(file, fun, shapeless, metadata), args, {});
}
void export_function(const std::string& file,
                     const std::function<std::vector<array>(const Kwargs&)>& fun,
                     const Kwargs& kwargs, bool shapeless, const std::string& metadata) {
  export_once(exporter(file, fun, shapeless, metadata), {}, kwargs);
}
void export_function(const std::string& file,
                     const std::function<std::vector<array>(const Args&, const Kwargs&)>& fun,
                     const Args& args, const Kwargs& kwargs, bool shapeless,
                     const std::string& metadata) {
  export_once(exporter(file, fun, shapeless, metadata), args, kwargs);
}
void export_function(const ExportCallback& callback,
                     const std::function<std::vector<array>(const Args&)>& fun, const Args& args,
                     bool shapeless) {
  export_once(exporter(callback, fun, shapeless), args, {});
}
void export_function(const ExportCallback& callback,
                     const std::function<std::vector<array>(const Kwargs&)>& fun,
                     const Kwargs& kwargs, bool shapeless) {
  export_once(exporter(callback, fun, shapeless), {}, kwargs);
}
void export_function(const ExportCallback& callback,
                     const std::function<std::vector<array>(const Args&, const Kwargs&)>& fun,
                     const Args& args, const Kwargs& kwargs, bool shapeless) {
  export_once(exporter(callback, fun, shapeless), args, kwargs);
}

}  // namespace mlx::core
