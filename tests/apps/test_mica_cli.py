"""The `mica` command, end to end in processes of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny
from apps_support import command, run_mica


@pytest.fixture(scope="module")
def base_model(tmp_path_factory):
    """A model whose vocabulary has no chat template and whose text never ends by itself."""
    file = tmp_path_factory.mktemp("base") / "base.gguf"
    config = tiny.config(max_position_embeddings=100_000)
    missing = {"tokenizer.chat_template": None, "tokenizer.ggml.eos_token_id": None}
    types = ("array", "i32", [1] * config["vocab_size"])  # no control tokens: nothing ends it
    metadata = missing | {"tokenizer.ggml.token_type": types}
    tiny.write_gguf(file, config, tiny.weights(config), kind="Q8_0", metadata=metadata)
    return file


def test_answers_with_the_packaged_model():
    done = run_mica("generate", "What is the capital of France?", "--max-tokens", 16)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() == "The capital of France is Paris.\n"
    lines = done.stderr.decode().splitlines()
    assert [line.split(":")[0] for line in lines] == ["prompt", "generation", "peak memory"]
    assert "tokens/s" in lines[0] and "tokens/s" in lines[1] and lines[2].endswith(" MB")


def test_system_prompt_and_stdin():
    options = ("--system", "You are a pirate. Answer like one.", "--max-tokens", 12, "--quiet")
    done = run_mica("generate", "-", *options, input=b"Is the sky blue?\n")
    assert done.returncode == 0
    assert done.stderr == b""
    assert done.stdout == run_mica("generate", "Is the sky blue?", *options).stdout
    assert done.stdout != run_mica("generate", "Is the sky blue?", *options[2:]).stdout


def test_raw_continues_the_text(smollm2):
    from mica import llm

    model, tokenizer = smollm2
    prompt = "The three primary colors are"
    done = run_mica("generate", prompt, "--raw", "--max-tokens", 8, "--quiet")
    expected = llm.generate(model, tokenizer, tokenizer.encode(prompt), max_tokens=8)
    assert done.stdout.decode() == expected + "\n"


def test_seed_repeats_the_text(tiny_folder):
    options = ("generate", "hello", "--model", tiny_folder, "--temp", 1.2, "--top-p", 0.95)
    options += ("--min-p", 0.001, "--max-tokens", 24, "--quiet")
    one, two, other = (run_mica(*options, "--seed", seed) for seed in (7, 7, 8))
    assert one.returncode == 0, one.stderr
    assert one.stdout == two.stdout != other.stdout


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_dtypes(tiny_gguf, dtype):
    done = run_mica("generate", "hello", "--model", tiny_gguf, "--dtype", dtype)
    assert done.returncode == 0, done.stderr


def test_progress_only_when_asked(tiny_folder):
    options = ("generate", "hello", "--model", tiny_folder, "--max-tokens", 2, "--quiet")
    assert run_mica(*options).stderr == b""
    assert b"loading" in run_mica(*options, "--progress").stderr


def test_a_model_without_template_takes_plain_text(base_model):
    options = ("--model", base_model, "--max-tokens", 4, "--quiet")
    chat = run_mica("generate", "hello", *options)
    assert chat.returncode == 0, chat.stderr
    assert chat.stdout == run_mica("generate", "hello", "--raw", *options).stdout


def test_an_ascii_terminal_gets_question_marks(base_model):
    options = ("generate", "hello", "--model", base_model, "--max-tokens", 30, "--quiet")
    done = run_mica(*options, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    done.stdout.decode("ascii")


def test_help_and_version():
    import mlx.core as mx

    assert run_mica("--version").stdout.decode() == f"mica {mx.__version__}\n"
    assert b"generate" in run_mica("--help").stdout
    assert b"generate" in run_mica().stdout
    assert b"--top-p" in run_mica("generate", "--help").stdout


def not_a_model(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("not a model")
    return file


def short_gguf(tmp_path):
    file = tmp_path / "short.gguf"
    config = tiny.config()
    tiny.write_gguf(file, config, tiny.weights(config))
    file.write_bytes(file.read_bytes()[:-5000])
    return file


def mamba_gguf(tmp_path):
    file = tmp_path / "mamba.gguf"
    config = tiny.config()
    metadata = {"general.architecture": ("str", "mamba")}
    tiny.write_gguf(file, config, tiny.weights(config), metadata=metadata)
    return file


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda folder: folder / "missing.gguf", "no such file or folder"),
        (lambda folder: folder, "no such file"),
        (not_a_model, "neither a GGUF file nor a model folder"),
        (short_gguf, "short.gguf"),
        (mamba_gguf, "unknown architecture 'mamba'"),
    ],
)
def test_a_bad_model_is_one_line_and_code_2(model, message, tmp_path):
    expect_user_error(run_mica("generate", "hello", "--model", model(tmp_path)), message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["generate"], "required: prompt"),
        (["generate", "a", "b"], "unrecognized arguments"),
        (["generate", "a", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["generate", "a", "--max-tokens", "0"], "--max-tokens: must be at least 1"),
        (["generate", "a", "--max-tokens", "many"], "--max-tokens: not a whole number"),
        (["generate", "a", "--temp", "-1"], "--temp: must be at least 0"),
        (["generate", "a", "--temp", "nan"], "--temp: must be"),
        (["generate", "a", "--temp", "inf"], "--temp: must be"),
        (["generate", "a", "--top-p", "0"], "--top-p: must be above 0 and at most 1"),
        (["generate", "a", "--top-p", "1.5"], "--top-p: must be above 0 and at most 1"),
        (["generate", "a", "--min-p", "2"], "--min-p: must be"),
        (["generate", "a", "--seed", "-3"], "--seed: must not be negative"),
        (["generate", "a", "--dtype", "int8"], "--dtype: invalid choice"),
        (["generate", "a", "--raw", "--system", "b"], "--system"),
        (["generate", "", "--raw"], "the prompt is empty"),
        (["paint"], "invalid choice: 'paint'"),
    ],
)
def test_a_bad_option_is_one_line_and_code_2(options, message):
    expect_user_error(run_mica(*options), message)


def test_bytes_that_are_no_text():
    expect_user_error(run_mica("generate", "-", input=b"\xff\xfe"), "not UTF-8")


def test_a_prompt_longer_than_the_context(tiny_folder):
    done = run_mica("generate", "hello " * 600, "--model", tiny_folder)
    expect_user_error(done, "the model's context is 512")


def expect_user_error(done: subprocess.CompletedProcess, message: str) -> None:
    text = done.stderr.decode()
    assert done.returncode == 2, text
    assert message in text
    assert text.startswith("mica: ") and text.count("\n") == 1 and text.endswith("\n")
    assert done.stdout == b""


def endless(base_model, **options) -> subprocess.Popen:
    arguments = ("generate", "hello", "--model", base_model, "--max-tokens", 50_000)
    return subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


def test_interrupt(base_model):
    process = endless(base_model)
    assert process.stdout.read(1)  # it has begun to talk
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == b""
    assert out.endswith(b"\n")


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="looks into /proc")
def test_interrupt_while_starting(base_model):
    process = endless(base_model)
    # Before the framework is loaded it may still be Python itself that starts.
    while process.poll() is None and "mlx" not in Path(f"/proc/{process.pid}/maps").read_text():
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT)
    assert b"mica" not in err or b"Traceback" not in err


def test_interrupt_while_importing():
    """Until it has its modules an interrupt ends the command at once; then they have their say."""
    code = (
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import mica.start\n"
        "assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL\n"
        "from mica import cli\n"
        "cli.main = lambda: signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "assert mica.start.main()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_reader_that_leaves(base_model):
    process = endless(base_model)
    assert os.read(process.stdout.fileno(), 1)
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == b""
    process.stderr.close()
