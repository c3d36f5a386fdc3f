"""Programs written for MLX, run as a user would run them."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_linear_regression_finds_the_hidden_vector():
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "linear_regression.py"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    losses = [float(found) for found in re.findall(r"loss ([\d.]+)", done.stdout)]
    assert losses == sorted(losses, reverse=True)
    error = re.search(r"error ([\d.]+)", done.stdout)
    assert float(error[1]) < 0.01


def run_mlx(*arguments) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mlx", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_python_m_mlx():
    import mlx.core as mx

    assert run_mlx("--version") == mx.__version__
    assert (Path(run_mlx("--cmake-dir")) / "__main__.py").exists()
