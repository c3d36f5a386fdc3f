// core/ops/custom_kernel.cpp: kernels from source text. There is no device here that runs them:
// what can be checked is, then the error says what they need.
#include <stdexcept>
#include <string>

#include "mlx/fast.h"

namespace mlx::core::fast {

namespace {

void check_names(const std::string& head, const std::vector<std::string>& outputs) {
  if (outputs.empty()) throw std::invalid_argument(head + "Must specify at least one output.");
}

void check_counts(const std::string& head, size_t inputs, size_t input_names, size_t shapes,
                  size_t dtypes, size_t output_names) {
  auto differ = [&](const char* what, size_t got, size_t wanted) {
    if (got == wanted) return;
    throw std::invalid_argument(head + "Expected " + std::to_string(wanted) + " " + what +
                                " but got " + std::to_string(got) + ".");
  };
  differ("inputs", inputs, input_names);
  differ("output shapes", shapes, output_names);
  differ("output dtypes", dtypes, output_names);
}

void check_grid(const std::string& head, const char* what, std::tuple<int, int, int> g) {
  if (std::get<0>(g) > 0 && std::get<1>(g) > 0 && std::get<2>(g) > 0) return;
  throw std::invalid_argument(head + "The " + what + " must be positive in all dimensions.");
}

}  // namespace

CustomKernelFunction metal_kernel(const std::string& name,
                                  const std::vector<std::string>& input_names,
                                  const std::vector<std::string>& output_names, const std::string&,
                                  const std::string&, bool, bool, const CompileOptions&) {
  const std::string head = "[metal_kernel] ";
  check_names(head, output_names);
  size_t in = input_names.size(), out = output_names.size();
  return [=](const std::vector<array>& inputs, const std::vector<Shape>& shapes,
             const std::vector<Dtype>& dtypes, std::tuple<int, int, int> grid,
             std::tuple<int, int, int> threadgroup,
             const std::vector<std::pair<std::string, TemplateArg>>&, std::optional<float>, bool,
             StreamOrDevice) -> std::vector<array> {
    check_counts(head, inputs.size(), in, shapes.size(), dtypes.size(), out);
    check_grid(head, "grid", grid);
    check_grid(head, "threadgroup", threadgroup);
    throw std::runtime_error(head + "No Metal back-end: the kernel '" + name +
                             "' needs an Apple GPU, and this build computes on the CPU.");
  };
}

CustomKernelFunction cuda_kernel(const std::string& name, const std::vector<std::string>&,
                                 const std::vector<std::string>& output_names, const std::string&,
                                 const std::string&, bool, int shared_memory) {
  const std::string head = "[cuda_kernel] ";
  check_names(head, output_names);
  if (shared_memory < 0) throw std::invalid_argument(head + "shared_memory must not be negative.");
  throw std::runtime_error(head + "No CUDA back-end: the kernel '" + name +
                           "' needs an NVIDIA GPU, and this build computes on the CPU.");
}

std::vector<array> precompiled_cuda_kernel(
    const std::string& name, const std::string&, const std::vector<array>&,
    const std::vector<Shape>& output_shapes, const std::vector<Dtype>& output_dtypes,
    const std::vector<ScalarArg>&, std::tuple<int, int, int> grid,
    std::tuple<int, int, int> threadgroup, int, std::optional<float>, bool, StreamOrDevice) {
  const std::string head = "[precompiled_cuda_kernel] ";
  if (output_shapes.size() != output_dtypes.size()) {
    throw std::invalid_argument(head + "Got " + std::to_string(output_shapes.size()) +
                                " output shapes but " + std::to_string(output_dtypes.size()) +
                                " output dtypes.");
  }
  check_grid(head, "grid", grid);
  check_grid(head, "threadgroup", threadgroup);
  throw std::runtime_error(head + "No CUDA back-end: the kernel '" + name +
                           "' needs an NVIDIA GPU, and this build computes on the CPU.");
}

}  // namespace mlx::core::fast
