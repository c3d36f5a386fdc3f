"""docs/support.md and mx.capabilities() say what the table of cases says."""

import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import pytest

TOOL = Path(__file__).parents[2] / "tools" / "support.py"


def test_up_to_date():
    ran = subprocess.run(
        [sys.executable, TOOL, "--check"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_capabilities():
    every = mx.capabilities()
    assert every["exp"]["vjp"] == every["exp"]["jvp"] == every["exp"]["vmap"] == "yes"
    assert "bfloat16" in mx.capabilities("matmul")["dtypes"]
    assert mx.capabilities("load")["tests"]
    with pytest.raises(ValueError, match="nothing"):
        mx.capabilities("nothing")
    every["exp"]["vmap"] = "no"  # a copy
    assert mx.capabilities("exp")["vmap"] == "yes"


def test_nothing_is_missing_without_a_reason():
    for name, entry in mx.capabilities().items():
        if "tests" in entry:
            continue
        for column in ("vjp", "jvp", "vmap", "compile", "export"):
            assert entry[column] not in ("", "no"), f"{name}: {column}"
