"""The C++ examples build against the installed package, by find_package(MLX), and run."""

import os
import shutil
import subprocess
import sys

import mlx.core as mx
import pytest

EXAMPLES = os.path.join(os.path.dirname(__file__), "..", "..", "examples", "cpp")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the programs."""
    where = subprocess.run(
        [sys.executable, "-m", "mlx", "--cmake-dir"], capture_output=True, text=True, check=True
    )
    folder = where.stdout.strip()
    if not os.path.exists(os.path.join(folder, "MLXConfig.cmake")):
        pytest.skip("the package is not installed: it runs from a build tree")
    assert shutil.which("cmake"), "building an extension needs cmake"
    target = tmp_path_factory.mktemp("examples_cpp")
    configure = ["cmake", "-S", EXAMPLES, "-B", str(target), f"-DMLX_DIR={folder}"]
    subprocess.run(configure, check=True, capture_output=True, text=True)
    build = subprocess.run(
        ["cmake", "--build", str(target)], capture_output=True, text=True, check=False
    )
    assert build.returncode == 0, build.stdout + build.stderr
    return target


def run(program, *arguments, **options):
    return subprocess.run(
        [str(program), *map(str, arguments)], capture_output=True, text=True, check=False, **options
    )


def test_custom_op(built):
    ran = run(built / "custom_op")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("ok ") == 5


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
            assert float(logit) == mx.max(logits).item()  # the same bits
            tokens.append(int(token))


def test_serve_says_what_is_wrong(built, tmp_path):
    (tmp_path / "bad").write_bytes(b"nothing")
    for arguments, code in [((), 2), ((tmp_path / "bad", 1), 1), ((tmp_path / "no", 1), 1)]:
        ran = run(built / "serve", *arguments, input="1 2\n")
        assert ran.returncode == code
        assert ran.stderr.count("\n") == 1
