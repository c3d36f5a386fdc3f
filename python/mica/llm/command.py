"""`mica generate`: a prompt in, text out as it comes, figures at the end.

The text goes to stdout, everything about it (progress, figures, errors) to stderr, so the output
of a pipe is the answer and nothing else.
"""

from __future__ import annotations

import argparse
import math
import sys
from contextlib import contextmanager

from mica.errors import UserError

DTYPES = ("auto", "float32", "bfloat16", "float16")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prompt", help="what to ask; - reads it from standard input")
    parser.add_argument(
        "--model",
        metavar="PATH",
        help="a GGUF file or a Hugging Face style folder (default: the packaged SmolLM2-135M)",
    )
    parser.add_argument("--system", metavar="TEXT", help="the system prompt")
    parser.add_argument("--raw", action="store_true", help="continue the prompt, no chat template")
    parser.add_argument(
        "--max-tokens", type=_positive, default=256, metavar="N", help="default: %(default)s"
    )
    parser.add_argument(
        "--temp",
        type=_number(0.0, math.inf),
        default=0.0,
        metavar="T",
        help="0 takes the likeliest token, higher is more varied (default: %(default)s)",
    )
    parser.add_argument(
        "--top-p",
        type=_number(0.0, 1.0, open_low=True),
        default=1.0,
        metavar="P",
        help="draw among the likeliest tokens that hold this probability (default: %(default)s)",
    )
    parser.add_argument(
        "--min-p",
        type=_number(0.0, 1.0),
        default=0.0,
        metavar="P",
        help="drop tokens this much less likely than the likeliest (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=_natural, metavar="N", help="draw the same text every time (with --temp)"
    )
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        default="auto",
        help="the type to compute in (default: float32 for quantised weights, else the weights')",
    )
    parser.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="a bar while the weights load (default: on a terminal)",
    )
    parser.add_argument("--quiet", action="store_true", help="no figures at the end")


def _positive(text: str) -> int:
    value = _natural(text)
    if value == 0:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _natural(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a whole number: {text!r}") from None
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"must not be negative or huge: {text}")
    return value


def _number(low: float, high: float, open_low: bool = False):
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"not a number: {text!r}") from None
        inside = low < value <= high if open_low else low <= value <= high
        if not inside or math.isinf(value):
            edge = "above" if open_low else "at least"
            limit = "" if math.isinf(high) else f" and at most {high:g}"
            raise argparse.ArgumentTypeError(f"must be {edge} {low:g}{limit}, not {text}")
        return value

    return parse


def run(options: argparse.Namespace) -> None:
    import mlx.core as mx

    from mica import llm

    prompt = read_prompt(options.prompt)
    dtype = None if options.dtype == "auto" else getattr(mx, options.dtype)
    with progress_bar(options.progress) as progress:
        model, tokenizer = llm.load(options.model, dtype=dtype, progress=progress)

    if options.raw:
        if options.system is not None:
            raise UserError("--system needs the chat template that --raw leaves out")
        ids = tokenizer.encode(prompt)
    else:
        ids = llm.chat_prompt(tokenizer, prompt, options.system)
    if options.seed is not None:
        mx.random.seed(options.seed)
    sampler = llm.make_sampler(options.temp, options.top_p, options.min_p)

    sys.stdout.reconfigure(errors="replace")
    statistics = llm.Statistics()
    try:
        for piece in llm.stream_text(
            model, tokenizer, ids, options.max_tokens, sampler, statistics
        ):
            sys.stdout.write(piece)
            sys.stdout.flush()
    finally:
        if statistics.generated_tokens:
            # Also when interrupted: the shell's next prompt belongs on a line of its own.
            sys.stdout.write("\n")
            sys.stdout.flush()
    if not options.quiet:
        print(summary(statistics, mx.get_peak_memory()), file=sys.stderr)


def read_prompt(text: str) -> str:
    if text != "-":
        return text
    data = sys.stdin.buffer.read()
    try:
        return data.decode("utf-8").rstrip("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"standard input is not UTF-8: {error}") from None


@contextmanager
def progress_bar(wanted: bool | None):
    """A callback for `llm.load` that draws a bar on stderr, or None where nobody looks at one."""
    if not (sys.stderr.isatty() if wanted is None else wanted):
        yield None
        return
    from tqdm import tqdm

    with tqdm(desc="loading", unit="B", unit_scale=True, file=sys.stderr, leave=False) as bar:

        def update(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield update


def summary(statistics, peak_bytes: int) -> str:
    return (
        f"prompt: {statistics.prompt_tokens} tokens, "
        f"{statistics.prompt_tokens_per_second:.1f} tokens/s\n"
        f"generation: {statistics.generated_tokens} tokens, "
        f"{statistics.generated_tokens_per_second:.1f} tokens/s\n"
        f"peak memory: {peak_bytes / 1e6:.0f} MB"
    )
