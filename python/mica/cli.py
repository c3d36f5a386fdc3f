"""The `mica` command: options, exit codes, and nothing else.

Exit codes: 0 done, 2 the user's input is wrong (one line on stderr says how), 130 interrupted,
141 nobody reads the output any more (what a shell reports for SIGPIPE).

Each application brings a module with `add_arguments(parser)` and `run(options)`; the module is
imported only when its command is the one asked for, so `mica --help` answers at once.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from mica.errors import UserError

# command -> (module, one line for the help)
COMMANDS = {
    "generate": ("mica.llm.command", "write text with a language model"),
}

# What the applications need beyond the framework itself; the `llm` extra brings it.
EXTRA_PACKAGES = ("jinja2", "tokenizers", "tqdm")

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


class Parser(argparse.ArgumentParser):
    """argparse, except that a bad option is a `UserError`: one line instead of the whole usage."""

    def error(self, message):
        raise UserError(f"{message} (see `{self.prog} --help`)")


class ShowVersion(argparse.Action):
    """Imports the framework only when somebody asks for the version."""

    def __init__(self, option_strings, dest, **kwargs):
        super().__init__(option_strings, dest, nargs=0, help="show the version and leave")

    def __call__(self, parser, namespace, values, option_string=None):
        import mlx.core as mx

        print(f"mica {mx.__version__}")
        parser.exit()


def build_parser(command: str | None) -> Parser:
    """The parser, with the options of `command` filled in (the others show their summary only)."""
    parser = Parser(prog="mica", description="Machine learning applications on Mica.")
    parser.add_argument("--version", action=ShowVersion)
    commands = parser.add_subparsers(dest="command", metavar="command", parser_class=Parser)
    for name, (module_name, summary) in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=summary.capitalize() + ".")
        if name == command:
            module = importlib.import_module(module_name)
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    return parser


def run(arguments: list[str]) -> int:
    command = next((word for word in arguments if word in COMMANDS), None)
    parser = build_parser(command)
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    options.run(options)
    sys.stdout.flush()
    return 0


def main(arguments: list[str] | None = None) -> int:
    try:
        return run(sys.argv[1:] if arguments is None else arguments)
    except UserError as error:
        print(f"mica: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in EXTRA_PACKAGES:
            raise
        print(f"mica: needs {error.name}: pip install 'mica-mlx[llm]'", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes stdout once more on its way out: give it somewhere to write.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except MemoryError as error:
        print(f"mica: out of memory: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
