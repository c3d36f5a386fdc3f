"""Vocabularies from GGUF metadata: the packaged one against llama.cpp, others by construction."""

import pytest
import tiny
from apps_support import read_json
from mica import llm
from mica.errors import UserError
from mica.llm import gguf, vocabulary
from mica.llm.gguf import Metadata
from mica.llm.tokenizer import Tokenizer

CASES = read_json("tokenizer.json") + [
    {"text": case["prompt"], "ids": case["prompt_ids"]} for case in read_json("smollm2.json")
]


@pytest.fixture(scope="module")
def packaged() -> Tokenizer:
    _, metadata = gguf.read(llm.default_model())
    return Tokenizer.from_gguf(metadata)


@pytest.mark.parametrize("case", range(len(CASES)))
def test_ids_equal_llama_cpp(packaged, case):
    assert packaged.encode(CASES[case]["text"]) == CASES[case]["ids"]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_decoding_gives_the_text_back(packaged, case):
    text = CASES[case]["text"]
    assert packaged.decode(packaged.encode(text), skip_special=False) == text


@pytest.mark.parametrize("case", range(len(CASES)))
def test_streaming_gives_the_same_text(packaged, case):
    ids = CASES[case]["ids"]
    stream = packaged.stream()
    pieces = [stream.add(token) for token in ids]
    assert not any("\ufffd" in piece for piece in pieces)
    assert "".join(pieces) + stream.finish() == packaged.decode(ids)


def test_a_character_comes_out_whole(packaged):
    ids = packaged.encode("👩‍🚀")
    assert len(ids) > 3  # the tokens hold parts of characters
    stream = packaged.stream()
    pieces = [piece for token in ids if (piece := stream.add(token))]
    assert "".join(pieces) == "👩‍🚀"


def test_an_unfinished_character_comes_out_broken(packaged):
    ids = packaged.encode("a👩")[:-1]
    stream = packaged.stream()
    assert "".join(stream.add(token) for token in ids) == "a"
    assert stream.finish() == "\ufffd"
    assert stream.finish() == ""


def test_half_a_surrogate_is_replaced(packaged):
    assert packaged.encode("a\udcffb") == packaged.encode("a?b")


def test_end_tokens(packaged):
    assert packaged.end_ids == {0, 2}  # <|endoftext|>, <|im_end|>


def tiny_metadata(**changes) -> Metadata:
    entries = {key: value[-1] for key, value in tiny.gguf_vocabulary().items() if value is not None}
    named = {f"tokenizer.ggml.{key}": value for key, value in changes.items()}
    return Metadata(entries | named)


def pieces(metadata: Metadata, text: str) -> list[str]:
    backend = vocabulary.build(metadata)
    return backend.encode(text, add_special_tokens=False).tokens


@pytest.mark.parametrize(
    ("pre", "text", "cut"),
    [
        ("gpt-2", "we'll go 1234 now", ["we", "'ll", "Ġgo", "Ġ1234", "Ġnow"]),
        ("smollm", "we'll go 1234", ["we", "'ll", "Ġgo", "Ġ", "1", "2", "3", "4"]),
        ("llama-bpe", "WE'LL go 1234", ["WE", "'LL", "Ġgo", "Ġ", "123", "4"]),
        ("qwen2", "WE'LL go 12", ["WE", "'LL", "Ġgo", "Ġ", "1", "2"]),
        ("tekken", "HelloWorld 12", ["Hello", "World", "Ġ", "1", "2"]),
        ("gpt-4o", "HelloWorld's 1234", ["Hello", "World's", "Ġ", "123", "4"]),
    ],
)
def test_cuts(pre, text, cut):
    backend = vocabulary.build(tiny_metadata(pre=pre))
    assert [piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str(text)] == cut


def test_merges_do_not_cross_cuts():
    assert pieces(tiny_metadata(), "hello hellohe") == ["hello", "Ġhello", "he"]


def test_bos_is_added_when_the_file_says_so():
    plain = Tokenizer.from_gguf(tiny_metadata())
    with_bos = Tokenizer.from_gguf(tiny_metadata(bos_token_id=1, add_bos_token=True))
    ids = plain.encode("hello")
    assert with_bos.encode("hello") == [1, *ids]
    assert with_bos.encode("hello", special=False) == ids
    both = tiny_metadata(bos_token_id=1, add_bos_token=True, add_eos_token=True)
    assert Tokenizer.from_gguf(both).encode("hello") == [1, *ids, 2]


SPM_PIECES = ["▁", "h", "e", "l", "o", "he", "ll", "llo", "hello", "▁hello", "▁h", "ello", "▁he"]


def sentence_piece_metadata(pieces=SPM_PIECES, add_space_prefix=True, **changes) -> Metadata:
    entries = tiny.sentence_piece_vocabulary(pieces, add_space_prefix)
    named = {f"tokenizer.ggml.{key}": value for key, value in changes.items()}
    return Metadata({key: value[-1] for key, value in entries.items()} | named)


SENTENCE_PIECE = read_json("sentence_piece.json")


@pytest.mark.parametrize("case", range(len(SENTENCE_PIECE["cases"])))
def test_sentence_piece_ids_equal_llama_cpp(case):
    wanted = SENTENCE_PIECE["cases"][case]
    metadata = sentence_piece_metadata(SENTENCE_PIECE["pieces"], wanted["add_space_prefix"])
    assert Tokenizer.from_gguf(metadata).encode(wanted["text"]) == wanted["ids"]


def test_sentence_piece_joins_the_best_scored_first():
    assert pieces(sentence_piece_metadata(), "hello") == ["▁hello"]
    # "he" (score -5) is joined before "▁h" (-10) could be.
    assert pieces(sentence_piece_metadata(), "he l") == ["▁he", "▁", "l"]
    assert pieces(sentence_piece_metadata(add_space_prefix=False), "hello") == ["hello"]


def test_sentence_piece_falls_back_to_bytes():
    assert pieces(sentence_piece_metadata(), "é") == ["▁", "<0xC3>", "<0xA9>"]


def test_sentence_piece_round_trip_and_stream():
    tokenizer = Tokenizer.from_gguf(sentence_piece_metadata())
    for text in ("hello hello", "é 日本", "he  llo", "hello\nhello"):
        ids = tokenizer.encode(text)
        assert ids[0] == 1
        assert tokenizer.decode(ids) == text
        stream = tokenizer.stream()
        assert "".join(stream.add(token) for token in ids) + stream.finish() == text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "wordpiece"}, "unknown tokenizer model 'wordpiece'"),
        ({"pre": "martian"}, "unknown pre-tokenizer 'martian'"),
        ({"tokens": None}, "no tokenizer.ggml.tokens"),
        ({"merges": None}, "no tokenizer.ggml.merges"),
        ({"merges": ["nosuch merge"]}, "vocabulary is broken"),
        ({"merges": ["nospace"]}, "vocabulary is broken"),
        ({"token_type": [1, 1]}, "2 token types"),
        ({"tokens": ["a", 2]}, "tokens with items that are not"),
        ({"merges": [1]}, "merges with items that are not"),
        ({"pre": ["a"]}, "pre as list"),
        ({"bos_token_id": "a"}, "bos_token_id as str"),
    ],
)
def test_a_broken_vocabulary_is_the_users_error(changes, message):
    with pytest.raises(UserError, match=message):
        vocabulary.build(tiny_metadata(**changes))


def test_broken_scores_are_the_users_error():
    with pytest.raises(UserError, match="1 token scores"):
        vocabulary.build(sentence_piece_metadata(scores=[0.0]))
    with pytest.raises(UserError, match="unknown_token_id as str"):
        vocabulary.build(sentence_piece_metadata(unknown_token_id="first"))
