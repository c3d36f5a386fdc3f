"""Text to token ids and back, whatever file the vocabulary came from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import tokenizers

from mica.errors import UserError
from mica.llm import vocabulary
from mica.llm.chat import ChatTemplate
from mica.llm.gguf import Metadata
from mica.llm.hf import read_json

# Control tokens that end an answer in the families we read, though some files name only one.
END_OF_TURN = ("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|endoftext|>", "</s>")


class Tokenizer:
    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        end_ids: Iterable[int],
        template: ChatTemplate | None = None,
    ):
        self.backend = backend
        self.end_ids = frozenset(end_ids)
        self.template = template

    def encode(self, text: str, special: bool = True) -> list[int]:
        """Token ids; `special` adds what the model wants around a text (BOS, say).

        Turn it off for a rendered chat template, which spells those tokens out.
        """
        # What the terminal could not decode is half a character: no tokenizer knows it.
        text = text.encode("utf-8", "replace").decode("utf-8")
        return self.backend.encode(text, add_special_tokens=special).ids

    def decode(self, ids: list[int], skip_special: bool = True) -> str:
        return self.backend.decode(ids, skip_special_tokens=skip_special)

    def stream(self) -> TextStream:
        return TextStream(self)

    @staticmethod
    def from_gguf(metadata: Metadata) -> Tokenizer:
        backend = vocabulary.build(metadata)
        tokens = metadata.tokens()
        types = metadata.get("tokenizer.ggml.token_type", list, [])
        control = {tokens[i] for i, kind in enumerate(types) if kind == vocabulary.CONTROL}
        ends = {metadata.token_id(role) for role in ("eos", "eot", "eom")}
        ends |= {backend.token_to_id(token) for token in END_OF_TURN if token in control}

        source = metadata.get("tokenizer.chat_template", str)
        if source is None:
            return Tokenizer(backend, ends - {None})
        roles = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
        ids = {name: metadata.token_id(role) for name, role in roles.items()}
        names = {f"{name}_token": tokens[i] for name, i in ids.items() if i is not None}
        return Tokenizer(backend, ends - {None}, ChatTemplate(source, names))

    @staticmethod
    def from_folder(folder: Path, config: dict) -> Tokenizer:
        file = folder / "tokenizer.json"
        if not file.exists():
            raise UserError(f"{folder}: no tokenizer.json")
        try:
            backend = tokenizers.Tokenizer.from_file(str(file))
        except Exception as error:  # noqa: BLE001 (what the library raises)
            raise UserError(f"{file}: {error}") from None

        settings, generation = (
            read_json(path) if (path := folder / name).exists() else {}
            for name in ("tokenizer_config.json", "generation_config.json")
        )
        names = {}
        for key in ("bos_token", "eos_token", "unk_token", "pad_token"):
            value = settings.get(key)
            value = value.get("content") if isinstance(value, dict) else value
            if isinstance(value, str):
                names[key] = value
        ends = {backend.token_to_id(names.get("eos_token", ""))}
        for source in (config, generation):
            listed = source.get("eos_token_id")
            listed = listed if isinstance(listed, list) else [listed]
            ends |= {token_id for token_id in listed if isinstance(token_id, int)}

        template = find_template(folder, settings)
        return Tokenizer(
            backend, ends - {None}, None if template is None else ChatTemplate(template, names)
        )


def find_template(folder: Path, settings: dict) -> str | None:
    """The chat template: a file of its own, a field, or the default of several."""
    file = folder / "chat_template.jinja"
    if file.exists():
        return file.read_text(encoding="utf-8", errors="replace")
    template = settings.get("chat_template")
    if isinstance(template, list):
        for entry in template:
            if isinstance(entry, dict) and entry.get("name") == "default":
                template = entry.get("template")
    return template if isinstance(template, str) else None


class TextStream:
    """Tokens in, text out as soon as it is certain.

    A token may hold part of a character, and some decoders treat the first token differently, so
    each step decodes a short window and hands out what the newest tokens added to it.
    """

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self.ids: list[int] = []
        self.start = 0  # the window: context whose text is already out ...
        self.fresh = 0  # ... and, from here on, tokens whose text is not

    def add(self, token_id: int) -> str:
        """The text this token completes; empty while a character is still incomplete."""
        self.ids.append(token_id)
        text = self._pending()
        if text.endswith("\ufffd"):
            return ""
        if text:
            self.start, self.fresh = self.fresh, len(self.ids)
        return text

    def finish(self) -> str:
        """What is left, broken characters included."""
        text = self._pending()
        self.start = self.fresh = len(self.ids)
        return text

    def _pending(self) -> str:
        known = self.tokenizer.decode(self.ids[self.start : self.fresh])
        return self.tokenizer.decode(self.ids[self.start :])[len(known) :]
