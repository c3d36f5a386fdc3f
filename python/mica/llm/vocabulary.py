"""A tokenizer from the vocabulary inside a GGUF file.

Two kinds of vocabulary are in use: `gpt2` (bytes, merged by rank, after the text was cut by a
pattern named in tokenizer.ggml.pre) and `llama` (SentencePiece: pieces with scores, spaces written
as U+2581). Both are byte pair encoding; what differs is what happens before and after.
"""

from __future__ import annotations

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from mica.errors import UserError
from mica.llm.gguf import Metadata

# tokenizer.ggml.token_type
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

# How the text is cut before merging. Each pattern is a fact of the models trained with it.
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_LLAMA3 = (
    _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_GPT4O = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTIONS}?"
    rf"|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTIONS}?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _by_gpt2_rule():
    return [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]


def _by_gpt2_rule_and_single_digits():
    return [pre_tokenizers.Digits(individual_digits=True), *_by_gpt2_rule()]


def _by_pattern(pattern: str):
    def make():
        return [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]

    return make


# tokenizer.ggml.pre -> the cutting rule
CUTS = (
    dict.fromkeys(("gpt-2", "gpt2", "default", "phi-2", "olmo", "mpt", "jais"), _by_gpt2_rule)
    | dict.fromkeys(
        ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"),
        _by_gpt2_rule_and_single_digits,
    )
    | dict.fromkeys(
        ("llama-bpe", "llama3", "llama-v3", "smaug-bpe", "dbrx", "falcon3"), _by_pattern(_LLAMA3)
    )
    | dict.fromkeys(("qwen2", "deepseek-r1-qwen", "stablelm2", "megrez"), _by_pattern(_QWEN2))
    | {"tekken": _by_pattern(_TEKKEN), "gpt-4o": _by_pattern(_GPT4O)}
)
# Vocabularies in which a whole word that is a token is never built from merges.
WHOLE_WORDS_FIRST = frozenset(("llama-bpe", "llama3", "llama-v3", "falcon3", "tekken"))
# Families whose files may leave out that a text starts with BOS.
STARTS_WITH_BOS = frozenset(("llama-bpe", "llama3", "llama-v3", "falcon3", "tekken"))
COMPOSES_UNICODE = frozenset(("qwen2", "deepseek-r1-qwen", "megrez"))


def build(metadata: Metadata) -> Tokenizer:
    """The tokenizer a GGUF's metadata describes."""
    kind = metadata.need("tokenizer.ggml.model", str)
    tokens = metadata.tokens()
    types = metadata.get("tokenizer.ggml.token_type", list, items=int) or [NORMAL] * len(tokens)
    if len(types) != len(tokens):
        raise UserError(f"the GGUF metadata has {len(tokens)} tokens but {len(types)} token types")
    if kind == "gpt2":
        tokenizer = byte_level(metadata, tokens)
        bos_default = metadata.get("tokenizer.ggml.pre", str) in STARTS_WITH_BOS
    elif kind == "llama":
        tokenizer = sentence_piece(metadata, tokens, types)
        bos_default = True
    else:
        raise UserError(f"unknown tokenizer model {kind!r}; known are gpt2, llama")

    # Tokens that are found in the text before anything else looks at it.
    for special, wanted in ((True, (CONTROL, UNKNOWN)), (False, (USER_DEFINED,))):
        added = [
            AddedToken(token, special=special, normalized=False)
            for token, its_type in zip(tokens, types, strict=True)
            if its_type in wanted
        ]
        (tokenizer.add_special_tokens if special else tokenizer.add_tokens)(added)
    surround(tokenizer, metadata, tokens, bos_default)
    return tokenizer


def byte_level(metadata: Metadata, tokens: list[str]) -> Tokenizer:
    pre = metadata.get("tokenizer.ggml.pre", str) or "default"
    if pre not in CUTS:
        raise UserError(f"unknown pre-tokenizer {pre!r}; known are {', '.join(sorted(CUTS))}")
    lines = metadata.need("tokenizer.ggml.merges", list, items=str)
    merges = [tuple(line.split(" ", 1)) for line in lines]
    tokenizer = Tokenizer(bpe(tokens, merges, ignore_merges=pre in WHOLE_WORDS_FIRST))
    if pre in COMPOSES_UNICODE:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(CUTS[pre]())
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def sentence_piece(metadata: Metadata, tokens: list[str], types: list[int]) -> Tokenizer:
    scores = metadata.need("tokenizer.ggml.scores", list, items=float)
    if len(scores) != len(tokens):
        raise UserError(
            f"the GGUF metadata has {len(tokens)} tokens but {len(scores)} token scores"
        )
    unknown = metadata.token_id("unknown") or 0
    tokenizer = Tokenizer(
        bpe(
            tokens,
            merges_by_score(tokens, scores, types),
            unk_token=tokens[unknown],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    prefix = metadata.get("tokenizer.ggml.add_space_prefix", bool, True)
    spaces = [normalizers.Replace(" ", "▁")]
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), *spaces] if prefix else spaces
    )
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(
        [*steps, decoders.Strip(content=" ", left=1)] if prefix else steps
    )
    return tokenizer


def merges_by_score(tokens: list[str], scores: list[float], types: list[int]):
    """The merges SentencePiece would make, best first: any two pieces that join to a third.

    Its vocabulary has no list of merges. It joins the neighbours whose union scores highest, and
    the leftmost of equals; ranks by score say the same to a byte pair encoder.
    """
    index = {token: i for i, token in enumerate(tokens)}
    merges = []
    for token, score, its_type in zip(tokens, scores, types, strict=True):
        if its_type != NORMAL:
            continue
        for cut in range(1, len(token)):
            left, right = index.get(token[:cut]), index.get(token[cut:])
            if left is not None and right is not None:
                merges.append((-score, left, right))
    merges.sort()
    return [(tokens[left], tokens[right]) for _, left, right in merges]


def bpe(tokens: list[str], merges: list[tuple[str, ...]], **options) -> models.BPE:
    try:
        return models.BPE(
            vocab={token: i for i, token in enumerate(tokens)}, merges=merges, **options
        )
    except Exception as error:  # noqa: BLE001 (what the library raises)
        raise UserError(f"the GGUF vocabulary is broken: {error}") from None


def surround(tokenizer: Tokenizer, metadata: Metadata, tokens: list[str], bos_default: bool):
    """Have encode() add the tokens a text begins and ends with, if this model wants any."""
    pieces, specials = ["$A"], []
    for name, wanted in (("bos", bos_default), ("eos", False)):
        token_id = metadata.token_id(name)
        wanted = metadata.get(f"tokenizer.ggml.add_{name}_token", bool, wanted)
        if wanted and token_id is not None:
            token = tokens[token_id]
            specials.append((token, token_id))
            pieces.insert(0 if name == "bos" else len(pieces), token)
    if specials:
        # A list, as a token's text may hold the characters the one-string form gives a meaning.
        tokenizer.post_processor = processors.TemplateProcessing(
            single=pieces, special_tokens=specials
        )
