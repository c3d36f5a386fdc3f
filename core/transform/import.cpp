// core/transform/import.cpp: functions from files.
#include <algorithm>
#include <map>
#include <mutex>

#include "core/lru.h"
#include "core/transform/planned_trace.h"
#include "core/transform/stored_function.h"
#include "mlx/export.h"
#include "mlx/transforms.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {
constexpr size_t kSignatures = 64;  // traces kept ready
}

struct FunctionTable {
  explicit FunctionTable(FunctionFile f) : file(std::move(f)) {}
  FunctionFile file;
  std::mutex mutex;
  Lru<std::string, std::shared_ptr<PlannedTrace>> ready{kSignatures};
};

namespace {

std::string in_quotes(const std::string& s) {
  std::string text = "\"";
  text += s;
  text += '"';
  return text;
}

std::vector<std::string> keywords_of(const StoredFunction& f) {
  std::vector<std::string> names;
  for (const auto& in : f.inputs) {
    if (!in.keyword.empty()) names.push_back(in.keyword);
  }
  return names;
}

std::string describe(const StoredFunction& f) {
  auto keywords = keywords_of(f);
  std::string text = "Function with " + std::to_string(f.inputs.size() - keywords.size()) +
                     " positional inputs and " + std::to_string(keywords.size()) +
                     " keyword inputs:\n";
  size_t place = 0;
  for (const auto& in : f.inputs) {
    text += "   ";
    text += in.keyword.empty() ? std::to_string(++place) : in_quotes(in.keyword);
    text += ": (";
    for (size_t k = 0; k < in.shape.size(); ++k) {
      if (k) text += ",";
      const SizeRule& rule = in.shape[k];
      if (rule.fixed()) {
        text += std::to_string(rule.base);
        continue;
      }
      // A size that goes in steps of two is shown as 2n0, or 2n0+1.
      int64_t step = rule.terms[0].coefficient, rest = rule.base % step;
      if (step > 1) text += std::to_string(step);
      text.append("n").append(std::to_string(rule.terms[0].sizes[0]));
      if (rest != 0) text.append("+").append(std::to_string(rest));
    }
    text.append(") ").append(dtype_to_string(in.dtype)).append("\n");
  }
  return text;
}

[[noreturn]] void no_match(const FunctionFile& file, const Args& args,
                           const std::map<std::string, array>& kwargs) {
  std::string text =
      "[import_function::call] No imported function found which matches the given positional and "
      "keyword arguments. Possible functions include:\n";
  for (size_t i = 0; i < file.functions.size(); ++i)
    text.append(" ").append(std::to_string(i + 1)).append(". ").append(describe(file.functions[i]));
  text += "Called with " + std::to_string(args.size()) + " positional inputs and " +
          std::to_string(kwargs.size()) + " keyword inputs:\n";
  auto one = [&](const std::string& name, const array& a) {
    text.append("   ").append(name).append(": ").append(to_string(a.shape())).append(" ");
    text.append(dtype_to_string(a.dtype())).append("\n");
  };
  for (size_t i = 0; i < args.size(); ++i) one(std::to_string(i + 1), args[i]);
  for (const auto& [name, a] : kwargs) one(in_quotes(name), a);
  throw std::invalid_argument(text);
}

/** The operations as a trace freed of what is done twice or depends on no input. */
Traced simplified(const Traced& t, const std::vector<array>& inputs) {
  auto placeholders = make_placeholders(inputs);
  auto outputs = t.build(placeholders);
  return flatten_trace(placeholders, std::move(outputs), TraceOptions{});
}

}  // namespace

ImportedFunction::ImportedFunction(std::shared_ptr<FunctionTable> table)
    : table_(std::move(table)) {}

const std::string& ImportedFunction::metadata() const { return table_->file.metadata; }

std::vector<array> ImportedFunction::operator()(
    const std::vector<array>& args, const std::unordered_map<std::string, array>& kwargs) const {
  std::map<std::string, array> named(kwargs.begin(), kwargs.end());
  std::vector<array> inputs = args;
  std::vector<std::string> keywords;
  for (const auto& [name, a] : named) {
    keywords.push_back(name);
    inputs.push_back(a);
  }
  FunctionTable& table = *table_;
  for (size_t i = 0; i < table.file.functions.size(); ++i) {
    const StoredFunction& f = table.file.functions[i];
    std::vector<int64_t> change;
    if (keywords_of(f) != keywords || !f.match(inputs, change)) continue;
    int stream = default_stream(default_device()).index;
    std::string key(reinterpret_cast<const char*>(&i), sizeof i);
    key.append(reinterpret_cast<const char*>(&stream), sizeof stream);
    key.append(reinterpret_cast<const char*>(change.data()), change.size() * sizeof(int64_t));
    std::shared_ptr<PlannedTrace> trace;
    {
      std::lock_guard lock(table.mutex);
      if (auto* found = table.ready.find(key)) trace = *found;
    }
    if (!trace) {
      trace = std::make_shared<PlannedTrace>(
          simplified(f.make(inputs, change, table.file.tensors), inputs));
      std::lock_guard lock(table.mutex);
      table.ready.put(key, trace);
    }
    return call_trace(trace, inputs);
  }
  no_match(table.file, args, named);
}

ImportedFunction import_function(const std::string& file) {
  auto table = std::make_shared<FunctionTable>(load_functions(file));
  eval(table->file.tensors);  // most are memory of the mapped file
  return ImportedFunction(std::move(table));
}

}  // namespace mlx::core
