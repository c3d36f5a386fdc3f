// python/src/module.cpp: the Python module mlx.core.
#include <cstdlib>

#include "bind.h"
#include "convert.h"
#include "mlx/version.h"

NB_MODULE(core, m) {
  // Arrays in globals often outlive the module; only developers want to hear about it.
  nb::set_leak_warnings(std::getenv("MICA_LEAK_WARNINGS") != nullptr);
  m.doc() = "Lazy arrays, operations on them, and transformations of functions.";
  bind_dtypes(m);
  bind_devices(m);
  bind_memory(m);
  bind_array(m);
  bind_indexing(m);
  bind_elementwise(m);
  bind_reductions(m);
  bind_creation(m);
  bind_shape_ops(m);
  bind_products(m);
  bind_gathered(m);
  bind_convolutions(m);
  bind_selection(m);
  bind_constants(m);
  bind_random(m);
  bind_fast(m);
  bind_recurrent(m);
  bind_fft(m);
  bind_distributed(m);
  bind_linalg(m);
  bind_io(m);
  bind_transforms(m);
  bind_compile(m);
  bind_export(m);
  bind_inside(m);
  bind_sources(m);
  bind_custom_function(m);
  m.def(
      "__array_namespace_info__",
      [] { return nb::module_::import_("mlx.__array_api_info").attr("ArrayNamespaceInfo")(); },
      nb::sig("def __array_namespace_info__() -> typing.Any"),
      "What the array API standard lets a program ask: devices, dtypes, capabilities.");
  m.def(
      "capabilities",
      [](nb::object name) {
        return nb::module_::import_("mlx._capabilities").attr("capabilities")(name);
      },
      "name"_a.none() = nb::none(),
      nb::sig("def capabilities(name: str | None = None) -> dict[str, typing.Any]"), R"(
What works where: for each function its dtypes, and whether derivatives, vmap, compile and export are tested
("yes", or why not), from the same table as docs/support.md. With ``name``, the entry of one function.

Raises:
    ValueError: if there is no such function.

Example:
    >>> mx.capabilities("exp")["vmap"]
    'yes'
)");
  m.attr("__version__") = mx::version();
}
