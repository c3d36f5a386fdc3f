"""Planning an edit of a module before doing it, so that a failed one changes nothing.

A plan is a list of (container, key, new value).
"""

from typing import Any

import mlx.core as mx


def _join(path: Any, key: Any) -> Any:
    return f"{path}.{key}" if path else str(key)


def _at(root: Any, path: Any) -> Any:
    kind = type(root).__name__
    return f"{kind} at {path!r}" if path else kind


def _is_nothing(value: Any) -> Any:
    """An empty container stands for a place where nothing is to change."""
    return isinstance(value, (dict, list, tuple)) and len(value) == 0


def _describe(value: Any) -> Any:
    if isinstance(value, mx.array):
        return f"array of shape {value.shape}"
    return type(value).__name__


def _children(current: Any, new: Any, sequences: Any) -> Any:
    """Pairs (key, new value) of a container, or None where the two don't match."""
    if isinstance(current, dict) and isinstance(new, dict):
        return list(new.items())
    if isinstance(current, sequences) and isinstance(new, (list, tuple)):
        return list(enumerate(new))
    return None


def _plan(
    root: Any, tree: Any, strict: Any, method: Any, kind: Any, sequences: Any, decide: Any
) -> Any:
    """Walks ``tree`` beside ``root``.

    ``decide(container, key, new)`` says what becomes of an entry: True to write it, False to go
    on inside, a text to refuse it.
    """
    plan, open_ = [], [(root, tree, "")]

    def fail(path: Any, text: Any) -> None:
        if strict:
            raise ValueError(f"[Module.{method}] {_at(root, path)}: {text}")

    if not isinstance(tree, dict):
        fail("", f"expected a dict of {kind}s, got {_describe(tree)}")
        return plan
    # A stack and not functions that call each other: those would be a cycle that holds the arrays
    # of the plan, and a training step must leave nothing behind for the garbage collector.
    while open_:
        current, new, path = open_.pop()
        children = _children(current, new, sequences)
        if children is None:
            fail(path, f"expected {_describe(current)}, got {_describe(new)}")
            continue
        inside = []
        for key, value in children:
            if isinstance(current, dict) and key not in current:
                names = _names(current, kind)
                fail(path, f'no {kind} named "{key}" (there are: {names})')
            elif not isinstance(current, dict) and key >= len(current):
                fail(path, f"index {key} is out of bounds for {len(current)} entries")
            else:
                answer = decide(current, key, value)
                if answer is True:
                    plan.append((current, key, value))
                elif isinstance(answer, str):
                    fail(_join(path, key), answer)
                elif not _is_nothing(value):
                    inside.append((current[key], value, _join(path, key)))
        open_.extend(reversed(inside))
    return plan


def _names(current: Any, kind: Any) -> Any:
    """What a message lists: for modules, only what may hold some."""
    names = [k for k, v in current.items() if kind == "parameter" or isinstance(v, (dict, list))]
    return ", ".join(map(str, names)) or "none"


def _decide_parameter(container: Any, key: Any, new: Any) -> Any:
    current = container[key]
    if not isinstance(current, mx.array):
        return False
    if not isinstance(new, mx.array):
        if _is_nothing(new):
            return False
        return f"expected an array of shape {current.shape}, got {_describe(new)}"
    if isinstance(container, tuple):
        return "an array in a tuple can't be replaced"
    return True


def _plain_plan(current: Any, new: Any, plan: list) -> bool:
    """The plan where every entry of ``new`` is an array that stands for one; False if not."""
    if isinstance(new, dict):
        if not isinstance(current, dict):
            return False
        entries = new.items()
    elif isinstance(new, (list, tuple)) and isinstance(current, list):
        if len(new) > len(current):
            return False
        entries = enumerate(new)
    else:
        return False
    for key, value in entries:
        if isinstance(current, dict) and key not in current:
            return False
        old = current[key]
        if isinstance(value, mx.array):
            if not isinstance(old, mx.array):
                return False
            plan.append((current, key, value))
        elif not (_is_nothing(value) and not isinstance(old, mx.array)) and not _plain_plan(
            old, value, plan
        ):
            return False
    return True


def plan_parameters(root: Any, parameters: Any, strict: Any) -> Any:
    """What to write where so that ``root`` gets the arrays of the tree ``parameters``."""
    plan: list = []
    if _plain_plan(root, parameters, plan):
        return plan
    # Something is special, or wrong: the thorough way says what.
    sequences = (list, tuple)
    return _plan(root, parameters, strict, "update", "parameter", sequences, _decide_parameter)


def plan_modules(root: Any, modules: Any, strict: Any) -> Any:
    """What to write where so that ``root`` gets the modules of the tree ``modules``."""
    from mlx.nn.layers.base import Module

    def decide(container: Any, key: Any, new: Any) -> Any:
        if not isinstance(new, Module):
            return False
        current = container[key]
        if isinstance(current, Module):
            return True
        return f"expected {_describe(current)}, got the module {type(new).__name__}"

    return _plan(root, modules, strict, "update_modules", "module", list, decide)
