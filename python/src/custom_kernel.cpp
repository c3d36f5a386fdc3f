// python/src/custom_kernel.cpp: mx.fast's kernels from source text.
#include <nanobind/stl/function.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include "bind.h"
#include "define.h"
#include "mlx/fast.h"

namespace {

using Grid = std::tuple<int, int, int>;
using Names = std::vector<std::string>;

Names to_names(nb::handle h, const char* op) {
  if (nb::isinstance<nb::str>(h)) {
    throw_type_error(std::string("[") + op + "] Names must be a sequence of str, not a str.");
  }
  return nb::cast<Names>(h);
}

std::vector<mx::array> to_arrays(nb::handle h) {
  std::vector<mx::array> arrays;
  for (nb::handle x : h) arrays.push_back(to_array(x));
  return arrays;
}

std::vector<mx::Shape> to_shapes(nb::handle h, const char* op) {
  std::vector<mx::Shape> shapes;
  for (nb::handle x : h) shapes.push_back(to_shape(x, op));
  return shapes;
}

mx::fast::CompileOptions to_options(nb::handle h) {
  using MathMode = mx::fast::CompileOptions::MathMode;
  mx::fast::CompileOptions options;
  if (h.is_none()) return options;
  if (!nb::isinstance<nb::dict>(h)) {
    throw std::invalid_argument("[metal_kernel] Expected `compile_options` to be a dict.");
  }
  for (auto [key, value] : nb::borrow<nb::dict>(h)) {
    std::string name = nb::cast<std::string>(nb::str(key));
    if (name != "math_mode") {
      throw std::invalid_argument("[metal_kernel] Unknown compile option `" + name + "`.");
    }
    std::string mode = nb::cast<std::string>(nb::str(value));
    if (mode != "safe" && mode != "relaxed" && mode != "fast") {
      throw std::invalid_argument(
          "[metal_kernel] Expected math_mode to be 'safe', 'relaxed', or 'fast', not '" + mode +
          "'.");
    }
    options.math_mode = mode == "safe"      ? MathMode::Safe
                        : mode == "relaxed" ? MathMode::Relaxed
                                            : MathMode::Fast;
  }
  return options;
}

std::vector<std::pair<std::string, mx::fast::TemplateArg>> to_template(nb::handle h) {
  std::vector<std::pair<std::string, mx::fast::TemplateArg>> result;
  if (h.is_none()) return result;
  for (nb::handle pair : h) {
    std::string name = nb::cast<std::string>(pair[0]);
    nb::object value = pair[1];
    mx::Dtype dtype = mx::bool_;
    if (nb::isinstance<nb::bool_>(value)) {
      result.emplace_back(name, nb::cast<bool>(value));
    } else if (nb::isinstance<nb::int_>(value)) {
      result.emplace_back(name, nb::cast<int>(value));
    } else if (nb::try_cast(value, dtype)) {
      result.emplace_back(name, dtype);
    } else {
      throw std::invalid_argument("[custom_kernel] The template argument '" + name +
                                  "' must be a bool, an int or a Dtype, not " +
                                  py_type_name(value) + ".");
    }
  }
  return result;
}

nb::object callable(mx::fast::CustomKernelFunction kernel, const char* op) {
  return nb::cpp_function(
      [kernel, op](nb::handle inputs, nb::handle output_shapes,
                   const std::vector<mx::Dtype>& output_dtypes, Grid grid, Grid threadgroup,
                   nb::handle args, std::optional<float> init_value, bool verbose,
                   mx::StreamOrDevice s) {
        return kernel(to_arrays(inputs), to_shapes(output_shapes, op), output_dtypes, grid,
                      threadgroup, to_template(args), init_value, verbose, s);
      },
      nb::kw_only(), "inputs"_a, "output_shapes"_a, "output_dtypes"_a, "grid"_a, "threadgroup"_a,
      "template"_a.none() = nb::none(), "init_value"_a.none() = nb::none(), "verbose"_a = false,
      "stream"_a.none() = nb::none(),
      nb::sig("def __call__(self, *, inputs: list[scalar | array], output_shapes: "
              "list[Sequence[int]], output_dtypes: list[Dtype], grid: tuple[int, int, int], "
              "threadgroup: tuple[int, int, int], template: list[tuple[str, bool | int | Dtype]] | "
              "None = None, init_value: float | None = None, verbose: bool = False, stream: "
              "StreamOrDevice = None) -> list[array]"),
      "Runs the kernel over a grid of threads, in groups of ``threadgroup``.");
}

}  // namespace

void bind_custom_kernels(nb::module_& m) {
  m.def(
      "metal_kernel",
      [](const std::string& name, nb::handle input_names, nb::handle output_names,
         const std::string& source, const std::string& header, bool contiguous, bool atomic,
         nb::handle options) {
        return callable(mx::fast::metal_kernel(name, to_names(input_names, "metal_kernel"),
                                               to_names(output_names, "metal_kernel"), source,
                                               header, contiguous, atomic, to_options(options)),
                        "metal_kernel");
      },
      "name"_a, "input_names"_a, "output_names"_a, "source"_a, "header"_a = "",
      "ensure_row_contiguous"_a = true, "atomic_outputs"_a = false,
      "compile_options"_a.none() = nb::none(),
      nb::sig("def metal_kernel(name: str, input_names: Sequence[str], output_names: "
              "Sequence[str], source: str, header: str = '', ensure_row_contiguous: bool = True, "
              "atomic_outputs: bool = False, compile_options: object | None = None) -> object"),
      R"(
A function of arrays from the body of a kernel in Metal's language.

The kernel runs on Apple GPUs only: calling it here raises ``RuntimeError``. ``compile_options`` may
hold ``'math_mode'``: ``'safe'``, ``'relaxed'`` or ``'fast'``. Raises ``ValueError`` without
``output_names``.

Example:
  >>> kernel = mx.fast.metal_kernel("twice", ["x"], ["y"], "y[0] = 2 * x[0];"))");
  m.def(
      "cuda_kernel",
      [](const std::string& name, nb::handle input_names, nb::handle output_names,
         const std::string& source, const std::string& header, bool contiguous, int shared_memory) {
        return callable(mx::fast::cuda_kernel(name, to_names(input_names, "cuda_kernel"),
                                              to_names(output_names, "cuda_kernel"), source, header,
                                              contiguous, shared_memory),
                        "cuda_kernel");
      },
      "name"_a, "input_names"_a, "output_names"_a, "source"_a, "header"_a = "",
      "ensure_row_contiguous"_a = true, "shared_memory"_a = 0,
      nb::sig("def cuda_kernel(name: str, input_names: Sequence[str], output_names: "
              "Sequence[str], source: str, header: str = '', ensure_row_contiguous: bool = True, "
              "shared_memory: int = 0) -> object"),
      R"(
A function of arrays from the body of a kernel in CUDA.

The kernel runs on NVIDIA GPUs only: without one, ``RuntimeError`` is raised. Raises ``ValueError``
without ``output_names``.)");
  m.def(
      "precompiled_cuda_kernel",
      [](const std::string& name, nb::bytes source, nb::handle inputs, nb::handle output_shapes,
         const std::vector<mx::Dtype>& output_dtypes,
         const std::vector<mx::fast::ScalarArg>& scalars, Grid grid, Grid threadgroup,
         int shared_memory, std::optional<float> init_value, bool contiguous,
         mx::StreamOrDevice s) {
        const char* op = "precompiled_cuda_kernel";
        return mx::fast::precompiled_cuda_kernel(name, std::string(source.c_str(), source.size()),
                                                 to_arrays(inputs), to_shapes(output_shapes, op),
                                                 output_dtypes, scalars, grid, threadgroup,
                                                 shared_memory, init_value, contiguous, s);
      },
      nb::kw_only(), "name"_a, "compiled_source"_a, "inputs"_a, "output_shapes"_a,
      "output_dtypes"_a, "scalars"_a, "grid"_a, "threadgroup"_a, "shared_memory"_a = 0,
      "init_value"_a.none() = nb::none(), "ensure_row_contiguous"_a = false,
      "stream"_a.none() = nb::none(),
      nb::sig("def precompiled_cuda_kernel(*, name: str, compiled_source: bytes, inputs: "
              "Sequence[scalar | array | Any], output_shapes: Sequence[tuple[int, ...]], "
              "output_dtypes: Sequence[Dtype], scalars: Sequence[object], grid: tuple[int, int, "
              "int], threadgroup: tuple[int, int, int], shared_memory: int = 0, init_value: float "
              "| None = None, ensure_row_contiguous: bool = False, stream: StreamOrDevice = None) "
              "-> list[array]"),
      "Runs a kernel from PTX or cubin. Without an NVIDIA GPU, ``RuntimeError`` is raised.");
}
