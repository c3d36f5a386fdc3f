"""Generating tokens, and text from them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import mlx.core as mx

from mica.errors import UserError
from mica.llm.cache import KVCache, TokenCache
from mica.llm.llama import LanguageModel
from mica.llm.sample import Sampler, greedy
from mica.llm.tokenizer import Tokenizer

# Prompt tokens run through the model at once: enough to fill the matrix kernels, few enough that
# the attention scores of a long prompt stay small.
PREFILL_CHUNK = 512

# Positions that the buffers of the compiled step grow by: each growth is a new trace, each position
# that no token has reached yet is attended to and masked.
TOKEN_ROOM = 64


@dataclass
class Statistics:
    """Filled in while tokens come; complete when the stream ends."""

    prompt_tokens: int = 0
    prompt_seconds: float = 0.0  # from the start to the first token
    generated_tokens: int = 0
    generation_seconds: float = 0.0  # after the first token
    finish_reason: str = "length"  # or "stop": the model ended its answer

    @property
    def prompt_tokens_per_second(self) -> float:
        return self.prompt_tokens / self.prompt_seconds if self.prompt_seconds else 0.0

    @property
    def generated_tokens_per_second(self) -> float:
        later = self.generated_tokens - 1  # the first one came out of the prompt
        return later / self.generation_seconds if later > 0 and self.generation_seconds else 0.0


class TokenStep:
    """One token after another through the model, as a compiled function that owns the caches."""

    def __init__(self, model: LanguageModel, caches: list[KVCache]):
        self.model, self.caches = model, caches
        self.offset = caches[0].offset
        self.state = {
            "offset": mx.array([self.offset]),
            "layers": [self._resized(cache.keys, cache.values) for cache in caches],
        }
        for cache in caches:
            cache.keys = cache.values = None  # else each step would have to copy them
        self.logits = mx.compile(self._logits, inputs=self.state, outputs=self.state)

    def __call__(self, tokens: mx.array) -> mx.array:
        """(B,) tokens in, (B, vocab) logits of the next ones out."""
        if self.offset == self.state["layers"][0][0].shape[2]:
            self.state["layers"] = [self._resized(*layer) for layer in self.state["layers"]]
        self.offset += 1
        return self.logits(tokens)

    def give_back(self) -> None:
        """Leaves the caches as if they had been filled one token at a time."""
        for cache, (keys, values) in zip(self.caches, self.state["layers"], strict=True):
            cache.keys, cache.values, cache.offset = keys, values, self.offset

    def _logits(self, tokens: mx.array) -> mx.array:
        offset = self.state["offset"]
        caches = [TokenCache(keys, values, offset) for keys, values in self.state["layers"]]
        hidden = self.model.hidden(tokens[:, None], caches)
        self.state["layers"] = [[cache.keys, cache.values] for cache in caches]
        self.state["offset"] = offset + 1
        return self.model.logits(hidden)[:, -1]

    def _resized(self, keys: mx.array, values: mx.array) -> list[mx.array]:
        capacity = (self.offset // TOKEN_ROOM + 1) * TOKEN_ROOM

        def resized(old: mx.array) -> mx.array:
            batch, heads, _, dims = old.shape
            room = mx.zeros((batch, heads, capacity - self.offset, dims), dtype=old.dtype)
            return mx.concatenate([old[:, :, : self.offset], room], axis=2)

        return [resized(keys), resized(values)]


def generate_tokens(
    model: LanguageModel,
    prompt: list[int],
    max_tokens: int,
    sampler: Sampler = greedy,
    caches: list[KVCache] | None = None,
) -> Iterator[int]:
    """The tokens that follow `prompt`, endlessly up to `max_tokens`: the caller knows when to stop.

    While one token is on its way to the caller the next is already being computed.
    """
    if not prompt:
        raise UserError("the prompt is empty")
    caches = model.new_caches() if caches is None else caches

    rest = prompt
    while len(rest) > PREFILL_CHUNK:
        model.hidden(mx.array([rest[:PREFILL_CHUNK]]), caches)
        mx.eval([cache.state for cache in caches])
        rest = rest[PREFILL_CHUNK:]

    last = model.hidden(mx.array([rest]), caches)[:, -1:]
    token = sampler(model.logits(last)[:, -1])
    mx.async_eval(token)
    if max_tokens == 1:
        yield token.item()
        return
    step = TokenStep(model, caches)
    try:
        for count in range(1, max_tokens + 1):
            following = None
            if count < max_tokens:
                following = sampler(step(token))
                mx.async_eval(following)
            yield token.item()
            token = following
    finally:
        step.give_back()


def stream_text(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: list[int],
    max_tokens: int = 256,
    sampler: Sampler = greedy,
    statistics: Statistics | None = None,
) -> Iterator[str]:
    """The answer piece by piece, until the model ends it or `max_tokens` are out."""
    check_room(model, prompt)
    max_tokens = min(max_tokens, model.config.max_context - len(prompt))
    statistics = statistics if statistics is not None else Statistics()
    statistics.prompt_tokens = len(prompt)

    text = tokenizer.stream()
    start = first = time.perf_counter()
    for token in generate_tokens(model, prompt, max_tokens, sampler):
        now = time.perf_counter()
        if statistics.generated_tokens == 0:
            first = now
            statistics.prompt_seconds = now - start
        statistics.generated_tokens += 1
        statistics.generation_seconds = now - first
        if token in tokenizer.end_ids:
            statistics.finish_reason = "stop"
            break
        piece = text.add(token)
        if piece:
            yield piece
    rest = text.finish()
    if rest:
        yield rest


def check_room(model: LanguageModel, prompt: list[int]) -> None:
    vocab, context = model.config.vocab_size, model.config.max_context
    if len(prompt) >= context:
        raise UserError(f"the prompt has {len(prompt)} tokens, the model's context is {context}")
    unknown = next((token for token in prompt if token >= vocab), None)
    if unknown is not None:
        raise UserError(f"the tokenizer gives token {unknown}, the model knows {vocab}")


def chat_prompt(tokenizer: Tokenizer, text: str, system: str | None = None) -> list[int]:
    """The tokens of a conversation that asks `text`; plain text where a model has no template."""
    if tokenizer.template is None:
        if system is not None:
            raise UserError("the model has no chat template, so it takes no system prompt")
        return tokenizer.encode(text)
    messages = [] if system is None else [{"role": "system", "content": system}]
    messages.append({"role": "user", "content": text})
    return tokenizer.encode(tokenizer.template.render(messages), special=False)


def generate(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str | list[int],
    max_tokens: int = 256,
    sampler: Sampler = greedy,
) -> str:
    """The whole answer at once. A string is asked as a question, a token list taken as it is."""
    ids = chat_prompt(tokenizer, prompt) if isinstance(prompt, str) else prompt
    return "".join(stream_text(model, tokenizer, ids, max_tokens, sampler))
