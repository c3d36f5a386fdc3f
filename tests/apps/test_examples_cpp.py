"""The C++ examples build against the installed package, by find_package(MLX), and run."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


def build(source, target, mlx_root):
    assert shutil.which("cmake"), "building an extension needs cmake"
    configure = ["cmake", "-S", str(source), "-B", str(target), f"-DMLX_ROOT={mlx_root}"]
    subprocess.run(configure, check=True, capture_output=True, text=True)
    ran = subprocess.run(
        ["cmake", "--build", str(target)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return target


@pytest.fixture(scope="module")
def built(tmp_path_factory, mlx_root):
    """The folder with the examples."""
    return build(ROOT / "examples" / "cpp", tmp_path_factory.mktemp("examples_cpp"), mlx_root)


def run(program, *arguments, **options):
    return subprocess.run(
        [str(program), *map(str, arguments)], capture_output=True, text=True, check=False, **options
    )


def test_custom_op(built):
    ran = run(built / "custom_op")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("ok ") == 5


def test_linear_regression_is_the_same_as_in_python(built):
    ran = run(built / "linear_regression")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    script = run(sys.executable, ROOT / "examples" / "linear_regression.py")
    pattern = r"loss [\d.]+|error [\d.]+"
    assert re.findall(pattern, ran.stdout) == re.findall(pattern, script.stdout)
    assert len(re.findall(pattern, ran.stdout)) == 6


def test_a_program_from_the_list_of_declarations(tmp_path, mlx_root):
    program = build(ROOT / "tests" / "cpp" / "program", tmp_path / "program", mlx_root)
    ran = run(program / "api_program")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^[1-9]\d\d checks, 0 wrong$", ran.stdout, re.MULTILINE)


def test_a_language_model_without_python(built, smollm2, tmp_path):
    model, _ = smollm2

    def next_logits(tokens):
        return model.logits(model.hidden(tokens)[:, -1:])[:, -1]

    path = tmp_path / "lm.mlxfn"
    mx.export_function(str(path), next_logits, mx.array([[1, 2, 3]]), shapeless=True)
    lines = [[1, 4093, 198, 28120, 905], [1, 9690, 198, 2683, 359, 253]]
    ran = run(built / "serve", path, 4, input="\n".join(" ".join(map(str, t)) for t in lines))
    assert ran.returncode == 0, ran.stderr
    for tokens, answer in zip(lines, ran.stdout.splitlines(), strict=True):
        for word in answer.split():
            token, logit = word.split(":")
            logits = next_logits(mx.array([tokens]))
            assert int(token) == mx.argmax(logits).item()
            assert np.float32(logit) == np.float32(mx.max(logits).item())  # the same bits
            tokens.append(int(token))


def test_serve_says_what_is_wrong(built, tmp_path):
    (tmp_path / "bad").write_bytes(b"nothing")
    for arguments, code in [((), 2), ((tmp_path / "bad", 1), 1), ((tmp_path / "no", 1), 1)]:
        ran = run(built / "serve", *arguments, input="1 2\n")
        assert ran.returncode == code
        assert ran.stderr.count("\n") == 1
