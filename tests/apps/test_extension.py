"""An operation in C++ becomes a Python module by mlx.extension."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "examples" / "extension"

PROGRAM = """
import mlx.core as mx
from mica_sample import axpby

x, y = mx.array([1.0, 2.0, 3.0]), mx.array([[1.0], [2.0]])
assert axpby(x, y, 2.0, 3.0).tolist() == [[5.0, 7.0, 9.0], [8.0, 10.0, 12.0]]
gx, gy = mx.grad(lambda x, y: axpby(x, y, 2.0, 3.0).sum(), argnums=(0, 1))(x, y)
assert gx.tolist() == [4.0, 4.0, 4.0] and gy.tolist() == [[9.0], [9.0]]
assert mx.compile(lambda x: axpby(mx.exp(x), x) * 2)(mx.zeros(2)).tolist() == [2.0, 2.0]
_, tangent = mx.jvp(lambda x: axpby(x, x, 2.0, 3.0), [x], [mx.ones(3)])
assert tangent[0].tolist() == [5.0, 5.0, 5.0]
try:
    axpby([1, 2], y)
except TypeError:
    print("ok")
"""


def test_a_module_of_ones_own(tmp_path, mlx_root):
    pytest.importorskip("nanobind")
    pytest.importorskip("setuptools")
    project = shutil.copytree(SOURCE, tmp_path / "extension")
    env = dict(os.environ, CMAKE_ARGS=f"-DMLX_DIR={mlx_root / 'share' / 'cmake' / 'MLX'}")
    built = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    assert list((project / "mica_sample").glob("_ext*.so"))
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=project, capture_output=True, text=True, check=False
    )
    assert ran.stdout == "ok\n", ran.stdout + ran.stderr


def test_where_cmake_finds_it():
    command = [sys.executable, "-m", "mlx", "--cmake-dir"]
    where = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert Path(where).is_dir()
