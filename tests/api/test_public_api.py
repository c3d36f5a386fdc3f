"""Every public name of mlx 0.32.4 is here, with the same parameters (python_api.json: names and
signatures, which are facts about the API)."""

import ast
import importlib
import inspect
import json
from pathlib import Path

import pytest

NAMES = json.loads(Path(__file__).with_name("python_api.json").read_text())

# What is not here yet. A line goes when its name comes.
NOT_YET: set = set()


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
    if ours is None:  # a slot of Python's, called by position
        bound = inspect.signature(find(name)).parameters.values()
        needed = sum(one.default is one.empty for one in bound)
        assert needed in [len(parameters(text)) for text in NAMES[name]["signatures"]]
        return
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


def annotation(node):
    """An annotation in one spelling: members of a union in order, names without their module."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return annotation(ast.parse(node.value, mode="eval").body)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        members = annotation(node.left).split(" | ") + annotation(node.right).split(" | ")
        return " | ".join(sorted(set(members)))
    if isinstance(node, ast.Subscript):
        of = annotation(node.value)
        inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        words = [annotation(one) for one in inside]
        if of == "Optional":
            return " | ".join(sorted({*words[0].split(" | "), "None"}))
        if of == "Union":
            return " | ".join(sorted({m for word in words for m in word.split(" | ")}))
        return f"{of}[{', '.join(words)}]"
    if isinstance(node, ast.List):
        return f"[{', '.join(map(annotation, node.elts))}]"
    return node.attr if isinstance(node, ast.Attribute) else ast.unparse(node)


def annotations(signature):
    head = signature.split("(", 1)[1].replace("\\", "default_")
    function = ast.parse(f"def f({head}: ...").body[0]
    args = function.args
    every = args.posonlyargs + args.args + args.kwonlyargs + [args.vararg, args.kwarg]
    found = {a.arg: annotation(a.annotation) for a in every if a is not None and a.annotation}
    if function.returns:
        found["return"] = annotation(function.returns)
    return found


ANYTHING = (
    "Annotated[NDArray, dict(writable=False)] | ArrayLike | array | bool | complex | float | int"
)
# Theirs, and what says as much or more here.
AS_GOOD = {
    ("Device | DeviceType | None | Stream | ThreadLocalStream", "StreamOrDevice"),
    ("None | tuple[int, ...]", "None | Sequence[int]"),
    ("int | tuple[int, ...]", "Sequence[int] | int"),
    (ANYTHING, "ArrayLike | array | scalar"),
    (f"Sequence[{ANYTHING}]", "Sequence[Any | array | scalar]"),
    ("Path | file | str", "Any"),
    ("NDArray", "Any"),
    ("object", "None | object"),
    ("array", "array | scalar"),
    ("array", "list[array]"),  # what split gives
}


@pytest.mark.parametrize("name", SIGNED)
def test_annotations(name):
    ours = getattr(find(name), "__nb_signature__", None)
    if ours is None:  # a slot of Python's: tests/typing uses them
        return
    mine = [annotations(text) for text, *_ in ours]

    def strangers(wanted, have):
        return {
            key: (theirs, have.get(key))
            for key, theirs in wanted.items()
            if have.get(key) != theirs and (theirs, have.get(key)) not in AS_GOOD
        }

    for signature in NAMES[name]["signatures"]:
        wanted = annotations(signature)
        assert {} in [strangers(wanted, have) for have in mine], signature
