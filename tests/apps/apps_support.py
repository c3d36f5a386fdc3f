"""What the tests of this folder share."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data"


def read_json(name: str):
    return json.loads((DATA / name).read_text())


def read_npz(name: str) -> dict[str, np.ndarray]:
    with np.load(DATA / name) as archive:
        return dict(archive)


def command(*arguments) -> list[str]:
    return [sys.executable, "-m", "mica", *map(str, arguments)]


def run_mica(*arguments, **options) -> subprocess.CompletedProcess:
    # The tests know ASCII terminals too, so what Python would guess must not matter.
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"} | options.pop("env", {})
    return subprocess.run(
        command(*arguments),
        check=False,
        capture_output=True,
        timeout=300,
        env=environment,
        **options,
    )
