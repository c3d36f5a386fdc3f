"""How fast the packaged language model reads and writes, beside what the machine could do.

    python bench/e2e/generate.py [--bandwidth GB/s --peak GFLOP/s] [--llama-cpp]

Writing a token reads every weight once, so memory bandwidth bounds it; reading a prompt is matrix
products, so the peak of float32 arithmetic bounds that. Give both as measured in the same minute
(one thread per core) and the shares are printed too. --llama-cpp PYTHON runs the same work through
llama.cpp, by an interpreter that has llama-cpp-python.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from pathlib import Path

import mlx.core as mx
from mica import llm
from mlx.utils import tree_flatten

PROMPT_TOKENS = 512
NEW_TOKENS = 128
REPEATS = 5


def best_of(run) -> float:
    """The shortest of some runs, in seconds: everything else that happens only makes it longer."""
    return min(run() for _ in range(REPEATS))


def prompt_seconds(model, prompt: list[int]) -> float:
    start = time.perf_counter()
    next(llm.generate_tokens(model, prompt, 1))
    return time.perf_counter() - start


def token_seconds(model, prompt: list[int]) -> float:
    tokens = llm.generate_tokens(model, prompt, NEW_TOKENS + 1)
    next(tokens)
    start = time.perf_counter()
    for _ in tokens:
        pass
    return (time.perf_counter() - start) / NEW_TOKENS


def prompt_flops(model, length: int) -> float:
    """Multiplications and additions; the head runs for the last position only."""
    config = model.config
    width = config.hidden_size
    attention = config.num_heads * config.head_dim
    projections = width * (2 * attention + 2 * config.num_kv_heads * config.head_dim)
    feed_forward = 3 * width * config.intermediate_size
    scores = attention * length  # two products over the half of the square a causal mask leaves
    per_token = config.num_layers * (projections + feed_forward + scores)
    return 2.0 * (length * per_token + width * config.vocab_size)


def llama_cpp_figures(python: str, model: str, prompt: list[int]) -> tuple[float, float]:
    peer = Path(__file__).with_name("llama_cpp_peer.py")
    ran = subprocess.run(
        [python, str(peer), model],
        input=json.dumps(prompt),
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(ran.stdout)
    return found["reading"], found["writing"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model")
    parser.add_argument("--bandwidth", type=float, help="read bandwidth, GB/s")
    parser.add_argument("--peak", type=float, help="float32 peak, GFLOP/s")
    parser.add_argument("--llama-cpp", metavar="PYTHON", help="an interpreter that has it")
    options = parser.parse_args()

    model, tokenizer = llm.load(options.model)
    text = "The quick brown fox jumps over the lazy dog and runs into the forest. " * 64
    prompt = tokenizer.encode(text)[:PROMPT_TOKENS]
    token_bytes = sum(array.nbytes for _, array in tree_flatten(model.parameters()))
    flops = prompt_flops(model, len(prompt))

    reading = best_of(lambda: prompt_seconds(model, prompt))
    writing = best_of(lambda: token_seconds(model, prompt[:16]))
    gflops, bandwidth = flops / reading / 1e9, token_bytes / writing / 1e9
    print(f"prompt      {len(prompt) / reading:8.1f} tokens/s {gflops:8.1f} GFLOP/s", end="")
    print(f"  {gflops / options.peak:.2f} of the peak" if options.peak else "")
    print(f"generation  {1 / writing:8.1f} tokens/s {bandwidth:8.1f} GB/s", end="")
    print(f"  {bandwidth / options.bandwidth:.2f} of the bound" if options.bandwidth else "")
    print(f"peak memory {mx.get_peak_memory() / 1e6:8.1f} MB")
    if options.llama_cpp:
        reading, writing = llama_cpp_figures(
            options.llama_cpp, options.model or str(llm.default_model()), prompt
        )
        print(f"llama.cpp   {len(prompt) / reading:8.1f} and {1 / writing:.1f} tokens/s")


if __name__ == "__main__":
    main()
