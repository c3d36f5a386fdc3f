"""The work of generate.py through llama.cpp, run by an interpreter that has llama-cpp-python.

    echo '[token, ...]' | python bench/e2e/llama_cpp_peer.py MODEL.gguf
    python bench/e2e/llama_cpp_peer.py MODEL.gguf --quantize Q8_0 OUT.gguf

The first prints seconds to read the prompt and seconds a token written, the best of some runs.
"""

import json
import os
import sys
import time

from llama_cpp import Llama, llama_cpp

NEW_TOKENS, REPEATS = 128, 5


def best_of(run) -> float:
    return min(run() for _ in range(REPEATS))


def measure(path: str, prompt: list) -> dict:
    cores = len(os.sched_getaffinity(0))
    model = Llama(
        path, n_ctx=2048, n_batch=512, n_threads=cores, n_threads_batch=cores, verbose=False
    )

    def read() -> float:
        model.reset()
        start = time.perf_counter()
        model.eval(prompt)
        return time.perf_counter() - start

    def write() -> float:
        model.reset()
        model.eval(prompt[:16])
        start = time.perf_counter()
        for i in range(NEW_TOKENS):
            model.eval([prompt[i]])
        return (time.perf_counter() - start) / NEW_TOKENS

    return {"reading": best_of(read), "writing": best_of(write)}


def quantize(path: str, kind: str, out: str) -> None:
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind}")
    params.allow_requantize = True
    if llama_cpp.llama_model_quantize(path.encode(), out.encode(), params):
        raise SystemExit("llama.cpp could not quantise the model")


if __name__ == "__main__":
    if "--quantize" in sys.argv:
        quantize(sys.argv[1], sys.argv[3], sys.argv[4])
    else:
        print(json.dumps(measure(sys.argv[1], json.load(sys.stdin))))
