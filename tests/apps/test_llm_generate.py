"""Caches, chunks and samplers, on tiny models."""

import mlx.core as mx
import numpy as np
import pytest
import tiny
from mica import llm
from mica.errors import UserError
from mica.llm import cache as cache_module
from mica.llm import generation
from mica.llm.sample import keep_min_p, keep_top_p

IDS = [(5 * i * i + i) % 200 + 3 for i in range(40)]


@pytest.fixture(scope="module")
def model(tiny_folder):
    return llm.load(tiny_folder)[0]


@pytest.mark.parametrize("cuts", [[40], [1] * 40, [7, 13, 20], [39, 1]])
def test_pieces_give_the_logits_of_the_whole(model, cuts, monkeypatch):
    monkeypatch.setattr(cache_module, "STEP", 16)  # so that the cache grows several times
    whole = np.array(model(mx.array([IDS]))[0])
    caches, rest, found = model.new_caches(), IDS, []
    for cut in cuts:
        found.append(np.array(model(mx.array([rest[:cut]]), caches)[0]))
        rest = rest[cut:]
    np.testing.assert_allclose(np.concatenate(found), whole, rtol=0, atol=1e-4)


@pytest.mark.parametrize("cuts", [[40], [1] * 40, [7, 13, 20]])
def test_sliding_window_in_pieces(cuts, tmp_path):
    config = tiny.config(model_type="mistral", sliding_window=8)
    windowed, _ = llm.load(tiny.write_folder(tmp_path, config, tiny.weights(config)))
    whole = np.array(windowed(mx.array([IDS]))[0])
    caches, rest, found = windowed.new_caches(), IDS, []
    for cut in cuts:
        found.append(np.array(windowed(mx.array([rest[:cut]]), caches)[0]))
        rest = rest[cut:]
    np.testing.assert_allclose(np.concatenate(found), whole, rtol=0, atol=1e-4)


def test_a_batch_gives_what_each_row_gives(model):
    rows = mx.array([IDS, IDS[::-1]])
    together = np.array(model(rows, model.new_caches()))
    for i in range(2):
        np.testing.assert_allclose(together[i], np.array(model(rows[i : i + 1])[0]), atol=1e-4)


@pytest.mark.parametrize("chunk", [1, 7, 40, 512])
def test_prefill_chunks_do_not_matter(model, chunk, monkeypatch):
    expected = []
    for _ in range(12):  # the slow way: everything again for each token
        logits = model(mx.array([IDS + expected]))[0, -1]
        expected.append(mx.argmax(logits).item())
    monkeypatch.setattr(generation, "PREFILL_CHUNK", chunk)
    assert list(llm.generate_tokens(model, IDS, 12)) == expected


def test_max_tokens_is_exact(model):
    assert [len(list(llm.generate_tokens(model, IDS, n))) for n in (1, 2, 5)] == [1, 2, 5]


def test_statistics_and_context_limit(tiny_folder):
    model, tokenizer = llm.load(tiny_folder)
    tokenizer.end_ids = frozenset()
    statistics = llm.Statistics()
    prompt = [5] * (model.config.max_context - 3)
    text = "".join(llm.stream_text(model, tokenizer, prompt, 100, statistics=statistics))
    assert isinstance(text, str)
    assert (statistics.prompt_tokens, statistics.generated_tokens) == (len(prompt), 3)
    assert statistics.finish_reason == "length"
    assert statistics.prompt_tokens_per_second > 0
    assert statistics.generated_tokens_per_second > 0


def test_stops_at_an_end_token(tiny_folder):
    model, tokenizer = llm.load(tiny_folder)
    third = list(llm.generate_tokens(model, IDS, 3))[-1]
    tokenizer.end_ids = frozenset([third])
    statistics = llm.Statistics()
    list(llm.stream_text(model, tokenizer, IDS, 100, statistics=statistics))
    assert statistics.finish_reason == "stop"
    assert statistics.generated_tokens <= 3


@pytest.mark.parametrize("prompt", [[], [5] * 512, [100000]])
def test_impossible_prompts(tiny_folder, prompt):
    model, tokenizer = llm.load(tiny_folder)
    with pytest.raises(UserError):
        list(llm.stream_text(model, tokenizer, prompt, 4))


# --- sampling -----------------------------------------------------------------------------------

PROBABILITIES = np.array([0.15, 0.4, 0.05, 0.3, 0.1])
LOGITS = mx.array(np.log(PROBABILITIES)[None].astype(np.float32))


def kept(logits) -> list[int]:
    return [i for i, value in enumerate(logits[0].tolist()) if value > -np.inf]


@pytest.mark.parametrize(
    ("top_p", "left"),
    [(0.01, [1]), (0.39, [1]), (0.6, [1, 3]), (0.8, [0, 1, 3]), (1.0, [0, 1, 2, 3, 4])],
)
def test_top_p(top_p, left):
    assert kept(keep_top_p(LOGITS, top_p)) == left


@pytest.mark.parametrize(
    ("min_p", "left"), [(1.0, [1]), (0.7, [1, 3]), (0.3, [0, 1, 3]), (0.01, [0, 1, 2, 3, 4])]
)
def test_min_p(min_p, left):
    assert kept(keep_min_p(LOGITS, min_p)) == left


def test_greedy_is_the_default():
    assert llm.make_sampler()(LOGITS).tolist() == [1]


def test_draws_follow_the_probabilities():
    mx.random.seed(0)
    many = mx.broadcast_to(LOGITS, (4000, 5))
    counts = np.bincount(np.array(llm.make_sampler(1.0)(many)), minlength=5)
    np.testing.assert_allclose(counts / 4000, PROBABILITIES, atol=0.03)
    counts = np.bincount(np.array(llm.make_sampler(1.0, top_p=0.6)(many)), minlength=5)
    assert counts[[0, 2, 4]].sum() == 0
    sharp = np.bincount(np.array(llm.make_sampler(0.1)(many)), minlength=5)
    assert sharp[1] > 3600


def test_same_seed_same_tokens(model):
    sampler = llm.make_sampler(1.0, top_p=0.9, min_p=0.01)

    def draw(seed: int) -> list[int]:
        mx.random.seed(seed)
        return list(llm.generate_tokens(model, IDS, 16, sampler))

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


@pytest.mark.parametrize("bad", [(-1,), (float("nan"),), (1, 0), (1, 1.5), (1, 1, -0.1)])
def test_bad_sampling_options(bad):
    with pytest.raises(ValueError, match="must"):
        llm.make_sampler(*bad)
