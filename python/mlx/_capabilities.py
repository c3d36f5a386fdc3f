"""The data of mx.capabilities(), written by tools/support.py from the table of cases."""

from __future__ import annotations

import functools
import json
from pathlib import Path


@functools.cache
def _table() -> dict:
    return json.loads((Path(__file__).parent / "capabilities.json").read_text(encoding="utf-8"))


def capabilities(name: str | None = None) -> dict:
    table = _table()
    if name is None:
        return {key: dict(entry) for key, entry in table.items()}
    if name not in table:
        raise ValueError(f"[capabilities] There is no function named '{name}' in mlx.core.")
    return dict(table[name])
