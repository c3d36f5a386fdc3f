// include/mlx/export_impl.h: the callables of mlx/export.h.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "mlx/array.h"

namespace mlx::core {

struct FunctionTable;

/**
 * Traces its function for each call's arguments and writes all traces to the file when it is closed
 * or destroyed. Two calls with the same signature throw std::runtime_error.
 */
struct FunctionExporter {
  void operator()(const std::initializer_list<array>& args) { (*this)(Args(args), {}); }
  void operator()(const std::vector<array>& args) { (*this)(args, {}); }
  void operator()(const std::unordered_map<std::string, array>& kwargs) { (*this)({}, kwargs); }
  void operator()(const std::vector<array>& args,
                  const std::unordered_map<std::string, array>& kwargs);
  /** Writes the file; calls afterwards throw std::runtime_error. */
  void close();

  FunctionExporter(const FunctionExporter&) = delete;
  FunctionExporter& operator=(const FunctionExporter&) = delete;
  FunctionExporter(FunctionExporter&& other) = default;
  /** Closes; an error while writing is lost. */
  ~FunctionExporter();

 private:
  using Args = std::vector<array>;
  struct State;
  friend struct ExporterAccess;
  explicit FunctionExporter(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

/** A function read from a file. Copies share it. */
struct ImportedFunction {
  std::vector<array> operator()(const std::initializer_list<array>& args) const {
    return (*this)(std::vector<array>(args), {});
  }
  std::vector<array> operator()(const std::vector<array>& args) const { return (*this)(args, {}); }
  std::vector<array> operator()(const std::unordered_map<std::string, array>& kwargs) const {
    return (*this)({}, kwargs);
  }
  /** Throws std::invalid_argument if no function of the file takes such arguments. */
  std::vector<array> operator()(const std::vector<array>& args,
                                const std::unordered_map<std::string, array>& kwargs) const;
  /** What was given when the file was written. */
  const std::string& metadata() const;

 private:
  friend ImportedFunction import_function(const std::string& file);
  explicit ImportedFunction(std::shared_ptr<FunctionTable> table);
  std::shared_ptr<FunctionTable> table_;
};

}  // namespace mlx::core
