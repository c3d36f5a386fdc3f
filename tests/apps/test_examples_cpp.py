"""The C++ examples build against the installed package, by find_package(MLX), and run."""

import os
import shutil
import subprocess
import sys

import pytest

EXAMPLES = os.path.join(os.path.dirname(__file__), "..", "..", "examples", "cpp")


def test_custom_op(tmp_path):
    where = subprocess.run(
        [sys.executable, "-m", "mlx", "--cmake-dir"], capture_output=True, text=True, check=True
    )
    folder = where.stdout.strip()
    if not os.path.exists(os.path.join(folder, "MLXConfig.cmake")):
        pytest.skip("the package is not installed: it runs from a build tree")
    assert shutil.which("cmake"), "building an extension needs cmake"
    configure = ["cmake", "-S", EXAMPLES, "-B", str(tmp_path), f"-DMLX_DIR={folder}"]
    subprocess.run(configure, check=True, capture_output=True, text=True)
    build = subprocess.run(
        ["cmake", "--build", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert build.returncode == 0, build.stdout + build.stderr
    ran = subprocess.run([str(tmp_path / "custom_op")], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("ok ") == 5
