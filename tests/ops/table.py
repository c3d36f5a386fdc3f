"""THE table: one row a public function of mlx.core, in families; and what needs none."""

import importlib

FAMILIES = (
    *("elementwise", "shape", "reduce", "index", "products", "create", "fast"),
    *("signal", "linalg", "quantized"),
)
ROWS = [row for f in FAMILIES for row in importlib.import_module(f"table_{f}").ROWS]


def ids(rows):
    return [row.name for row in rows]


def because(reason, *names):
    return dict.fromkeys(" ".join(names).split(), reason)


# Functions that compute no array, or whose cases stand in a file of their own.
NOT_IN_THE_TABLE = {
    **because(
        "about dtypes and shapes: test_names.py",
        "capabilities broadcast_shapes can_cast isdtype issubdtype result_type einsum_path",
    ),
    **because(
        "transformations of functions: test_gradients.py and tests/python/test_bind_transforms.py",
        "grad value_and_grad vjp jvp vmap compile checkpoint enable_compile disable_compile",
    ),
    **because("evaluation: tests/python", "eval async_eval synchronize"),
    **because(
        "devices and streams: tests/python/test_bind_signatures.py",
        "default_device default_stream set_default_device set_default_stream device_count",
        "device_info is_available new_stream new_thread_local_stream new_thread_unsafe_stream",
        "stream clear_streams metal.is_available metal.device_info cuda.is_available",
        "metal.start_capture metal.stop_capture",
    ),
    **because(
        "memory: tests/python/test_bind_process.py",
        "clear_cache get_active_memory get_array_buffer_size get_cache_memory get_memory_limit",
        "get_peak_memory reset_peak_memory set_cache_limit set_memory_limit set_wired_limit",
        "metal.clear_cache metal.get_active_memory metal.get_cache_memory metal.get_peak_memory",
        "metal.reset_peak_memory metal.set_cache_limit metal.set_memory_limit",
        "metal.set_wired_limit",
    ),
    **because(
        "files: tests/python/test_bind_files.py",
        "load save save_gguf save_safetensors savez savez_compressed",
    ),
    **because(
        "looking inside: tests/python/test_inside.py, test_source.py",
        "profile check_finite source_of",
    ),
    **because("printing: tests/python", "printoptions get_printoptions set_printoptions"),
    **because(
        "exchange of functions: tests of export",
        "export_function export_to_dot export_to_html exporter import_function",
    ),
    **because("the state of the generator: tests/python", "random.key random.seed"),
    **because(
        "quantised layouts have no array oracle: tests/cpp/quant_test.cpp, tests/nn",
        "quantize",
    ),
    **because(
        "test_gather_mm.py and test_quant_modes.py",
        "block_masked_mm gather_qqmm qqmm from_fp8 to_fp8",
    ),
    **because(
        "test_distributed_alone.py",
        "distributed.all_gather distributed.all_max distributed.all_min distributed.all_sum",
        "distributed.init distributed.is_available distributed.recv distributed.recv_like",
        "distributed.send distributed.sum_scatter",
    ),
    **because(
        "test_fast_more.py",
        "fast.gated_delta_update",
        "fast.cuda_kernel fast.metal_kernel fast.precompiled_cuda_kernel",
    ),
    **because(
        "test_fft.py",
        "fft.fftfreq fft.irfft2 fft.irfftn fft.istft fft.rfft2",
        "fft.rfftfreq fft.rfftn fft.stft",
    ),
    **because(
        "test_linalg.py and test_linalg_gradients.py",
        "linalg.eig linalg.eigh linalg.eigvals linalg.lu linalg.lu_factor linalg.svd matrix_norm",
    ),
}
