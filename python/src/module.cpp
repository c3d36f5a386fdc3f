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
  bind_custom_function(m);
  m.def(
      "__array_namespace_info__",
      [] { return nb::module_::import_("mlx.__array_api_info").attr("ArrayNamespaceInfo")(); },
      nb::sig("def __array_namespace_info__() -> typing.Any"),
      "What the array API standard lets a program ask: devices, dtypes, capabilities.");
  m.attr("__version__") = mx::version();
}
