// python/src/bind.h: the binding functions of each family, called once by module.cpp.
#pragma once

#include <nanobind/nanobind.h>

void bind_dtypes(nanobind::module_& m);
void bind_devices(nanobind::module_& m);
void bind_memory(nanobind::module_& m);
void bind_array(nanobind::module_& m);
void bind_indexing(nanobind::module_& m);
void bind_elementwise(nanobind::module_& m);
void bind_reductions(nanobind::module_& m);
void bind_creation(nanobind::module_& m);
void bind_shape_ops(nanobind::module_& m);
void bind_products(nanobind::module_& m);
void bind_gathered(nanobind::module_& m);
void bind_convolutions(nanobind::module_& m);
void bind_selection(nanobind::module_& m);
void bind_constants(nanobind::module_& m);
void bind_random(nanobind::module_& m);
void bind_fast(nanobind::module_& m);
void bind_custom_kernels(nanobind::module_& fast);
void bind_recurrent(nanobind::module_& m);
void bind_fft(nanobind::module_& m);
void bind_distributed(nanobind::module_& m);
void bind_linalg(nanobind::module_& m);
void bind_io(nanobind::module_& m);
void bind_transforms(nanobind::module_& m);
void bind_compile(nanobind::module_& m);
void bind_export(nanobind::module_& m);
void bind_inside(nanobind::module_& m);
void bind_sources(nanobind::module_& m);
void bind_custom_function(nanobind::module_& m);
