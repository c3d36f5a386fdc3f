"""Programs written for MLX, run as a user would run them."""

import re
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import pytest

ROOT = Path(__file__).resolve().parents[2]


def run_example(name, *arguments) -> str:
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / name, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def number(label, text) -> float:
    return float(re.search(rf"^{label} ([\d.]+)", text, re.MULTILINE)[1])


def test_linear_regression_finds_the_hidden_vector():
    out = run_example("linear_regression.py")
    losses = [float(found) for found in re.findall(r"loss ([\d.]+)", out)]
    assert losses == sorted(losses, reverse=True)
    assert number("error", out) < 0.01


@pytest.mark.parametrize("name, epochs, accuracy", [("mlp", 15, 0.95), ("cnn", 8, 0.96)])
def test_digits_are_read(name, epochs, accuracy):
    pytest.importorskip("sklearn")
    out = run_example(f"{name}_digits.py")
    assert len(re.findall(r"^epoch \d+: loss [\d.]+, test accuracy", out, re.MULTILINE)) == epochs
    assert number("final accuracy", out) > accuracy


def test_autoencoder_draws_better_than_the_mean():
    pytest.importorskip("sklearn")
    out = run_example("autoencoder.py")
    assert number("final error", out) < 0.3 * number("error of the mean image", out)


def test_transformer_learns_letters():
    """A table of pairs of letters would come to about 2.2."""
    out = run_example("char_transformer.py")
    assert number("loss without looking at the text", out) > 3
    assert number("final loss", out) < 1.4


def test_graph_convolution_finds_the_sides():
    pytest.importorskip("networkx")
    assert number("final accuracy", run_example("gcn.py")) > 0.9


def test_resumed_training_has_the_same_bits():
    pytest.importorskip("sklearn")
    out = run_example("resume_training.py")
    assert out.endswith("same bits\n")
    assert number("final accuracy", out) > 0.8


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
    assert run_mlx("--version") == mx.__version__
    assert (Path(run_mlx("--cmake-dir")) / "__main__.py").exists()
