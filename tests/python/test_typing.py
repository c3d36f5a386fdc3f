"""The stubs and annotations: tests/typing/uses.py passes `mypy --strict`, and runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import mlx.core
import mlx.nn
import pytest

USES = Path(__file__).parents[1] / "typing" / "uses.py"


def find_stubs() -> Path | None:
    """The folder of the stubs of mlx.core: beside the installed module, or in the build tree."""
    module = Path(mlx.core.__file__)
    for folder in (module.parent / "core", module.parents[2] / "stubs" / "core"):
        if (folder / "__init__.pyi").exists():
            return folder
    return None


def test_uses_run():
    subprocess.run([sys.executable, USES], check=True, env=os.environ)


def test_mypy_strict(tmp_path):
    pytest.importorskip("mypy")
    stubs = find_stubs()
    assert stubs is not None, "there are no stubs: build them, or install the package"
    package = Path(mlx.nn.__file__).parents[1]
    skip = shutil.ignore_patterns("*.so", "*.a", "include", "lib*", "share", "__pycache__", "core")
    shutil.copytree(package, tmp_path / "mlx", ignore=skip)
    shutil.copytree(stubs, tmp_path / "mlx" / "core")
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--follow-imports=silent",
            "--no-incremental",
            str(USES),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(tmp_path), "PYTHONPATH": ""},
    )
    # As for an installed package, what is wrong inside it is no concern of its user.
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    assert "uses.py" not in ran.stdout, ran.stdout
