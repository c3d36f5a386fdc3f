"""Every public name of mlx 0.32.4 is here, with the same parameters (python_api.json: names and
signatures, which are facts about the API)."""

import ast
import importlib
import json
from pathlib import Path

import pytest

NAMES = json.loads(Path(__file__).with_name("python_api.json").read_text())

# What is not here yet. A line goes when its name comes.
NOT_YET = {"mlx.core.export_to_dot"}


def find(name):
    parts = name.split(".")
    for i in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:i]))
        except ImportError:
            continue
        for part in parts[i:]:
            found = getattr(found, part)
        return found
    raise AttributeError(name)


def parameters(signature):
    """(kind, name, whether it has a default) of each parameter of "(a: int, /, ...) -> x"."""
    head = signature.split("(", 1)[1].replace("\\", "default_")
    args = ast.parse(f"def f({head}: ...").body[0].args
    plain = args.posonlyargs + args.args
    given = [False] * (len(plain) - len(args.defaults)) + [True] * len(args.defaults)
    found = [
        ("positional" if i < len(args.posonlyargs) else "either", arg.arg, has)
        for i, (arg, has) in enumerate(zip(plain, given))
    ]
    found += [
        ("keyword", arg.arg, default is not None)
        for arg, default in zip(args.kwonlyargs, args.kw_defaults)
    ]
    for star in (args.vararg, args.kwarg):
        if star is not None:
            found.append(("star", star.arg, False))
    return found


def test_no_name_is_missing():
    missing = set()
    for name in NAMES:
        try:
            find(name)
        except AttributeError:
            missing.add(name)
    assert missing == NOT_YET


SIGNED = [
    name
    for name, facts in NAMES.items()
    if name.startswith("mlx.core.") and "signatures" in facts and name not in NOT_YET
]


@pytest.mark.parametrize("name", SIGNED)
def test_parameters(name):
    ours = getattr(find(name), "__nb_signature__", None)
    if ours is None:
        pytest.skip("bound without a signature to read")
    # Overloads may be told apart inside: each of theirs must be one of ours, or ours is one.
    mine = [parameters(text) for text, *_ in ours]
    for signature in NAMES[name]["signatures"]:
        wanted = parameters(signature)
        # More keywords, with defaults, hurt no program.
        mine_too = [
            [one for one in ours_ if one in wanted or one[0] != "keyword" or not one[2]]
            for ours_ in mine
        ]
        assert wanted in mine_too, f"{signature}\nis none of\n" + "\n".join(s[0] for s in ours)
