"""Chat templates: the Jinja text by which a model's makers lay out a conversation."""

from __future__ import annotations

import json
from datetime import datetime

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mica.errors import UserError

Message = dict[str, str]  # {"role": "user", "content": "..."}


class ChatTemplate:
    """A compiled template. It comes from a file of unknown origin, so it runs in a sandbox."""

    def __init__(self, source: str, token_names: dict[str, str] | None = None):
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = lambda layout: datetime.now().strftime(layout)
        self.token_names = token_names or {}
        try:
            self.template = environment.from_string(source)
        except (jinja2.TemplateError, TypeError) as error:
            raise UserError(f"the model's chat template: {error}") from None

    def render(self, messages: list[Message], add_generation_prompt: bool = True) -> str:
        """The conversation as the model wants to read it, up to where its answer begins."""
        try:
            return self.template.render(
                messages=messages,
                add_generation_prompt=add_generation_prompt,
                **self.token_names,
            )
        except UserError:
            raise
        except Exception as error:  # noqa: BLE001 (a template is a program: anything goes wrong)
            raise UserError(f"the model's chat template: {error}") from None


def _raise(message: str):
    raise UserError(f"the model's chat template refuses: {message}")


def _to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False) -> str:
    # Jinja's own filter escapes HTML, which no model was trained on.
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )
