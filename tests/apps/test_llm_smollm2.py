"""The packaged model against what Apple's build says through mlx_lm (see make_reference.py)."""

import os
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest
from apps_support import read_json, read_npz
from mica import llm

CASES = read_json("smollm2.json")
LOGITS = read_npz("smollm2_logits.npz")
VOCAB_STRIDE = 384


@pytest.fixture(scope="module")
def dense():
    model, _ = llm.load(dtype=mx.float32, dequantize=True)
    return model


@pytest.mark.parametrize("case", range(len(CASES)))
def test_greedy_tokens_equal_the_reference(dense, case):
    prompt, expected = CASES[case]["prompt_ids"], CASES[case]["generated"]
    assert list(llm.generate_tokens(dense, prompt, len(expected))) == expected


@pytest.mark.parametrize("case", range(len(CASES)))
def test_logits_are_within_a_thousandth(dense, case):
    prompt, generated = CASES[case]["prompt_ids"], CASES[case]["generated"]
    logits = dense(mx.array([prompt + generated[:-1]]))[0, len(prompt) - 1 :, ::VOCAB_STRIDE]
    np.testing.assert_allclose(np.array(logits), LOGITS[f"prompt{case}"], rtol=0, atol=1e-3)


@pytest.mark.parametrize("case", range(len(CASES)))
def test_packed_weights_give_the_same_logits(smollm2, case):
    """Teacher-forced, so that one near tie does not decide the rest; only roundings differ."""
    model, _ = smollm2
    prompt, generated = CASES[case]["prompt_ids"], CASES[case]["generated"]
    logits = model(mx.array([prompt + generated[:-1]]))[0, len(prompt) - 1 :]
    np.testing.assert_allclose(
        np.array(logits[:, ::VOCAB_STRIDE]), LOGITS[f"prompt{case}"], rtol=0, atol=2e-2
    )
    assert mx.argmax(logits, axis=-1).tolist() == generated


def test_packed_weights_stay_packed(smollm2):
    from mlx.utils import tree_flatten

    model, _ = smollm2
    parameters = dict(tree_flatten(model.parameters()))
    assert parameters["model.layers.0.mlp.down_proj.weight"].dtype == mx.uint32
    held = sum(array.nbytes for array in parameters.values())
    assert held < 100e6  # 135 million float32 weights would be 538 MB


def test_answers_with_text(smollm2):
    model, tokenizer = smollm2
    answer = llm.generate(model, tokenizer, "What is the capital of France?", max_tokens=16)
    assert answer == "The capital of France is Paris."


LOGITS_DIGEST = """
import hashlib, mlx.core as mx, numpy as np
from mica import llm
model, tokenizer = llm.load()
caches = model.new_caches()
digest = hashlib.sha256()
for ids in (tokenizer.encode("The sky is blue because " * 20), [28], [260]):
    digest.update(np.array(model(mx.array([ids]), caches)).tobytes())
print(digest.hexdigest())
"""


def test_the_number_of_threads_changes_no_bit():
    digests = [
        subprocess.run(
            [sys.executable, "-c", LOGITS_DIGEST],
            env=os.environ | {"MLX_NUM_THREADS": str(threads)},
            capture_output=True,
            check=True,
            timeout=120,
        ).stdout
        for threads in (1, 2, 5)
    ]
    assert digests[0] == digests[1] == digests[2] != b""
