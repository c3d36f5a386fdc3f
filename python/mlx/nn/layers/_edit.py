"""Planning an edit of a module before doing it, so that a failed one changes nothing.

A plan is a list of (container, key, new value).
"""

import mlx.core as mx


def _join(path, key):
    return f"{path}.{key}" if path else str(key)


def _at(root, path):
    kind = type(root).__name__
    return f"{kind} at {path!r}" if path else kind


def _is_nothing(value):
    """An empty container stands for a place where nothing is to change."""
    return isinstance(value, (dict, list, tuple)) and len(value) == 0


def _describe(value):
    if isinstance(value, mx.array):
        return f"array of shape {value.shape}"
    return type(value).__name__


def plan_parameters(root, parameters, strict):
    """What to write where so that ``root`` gets the arrays of the tree ``parameters``."""
    plan = []

    def fail(path, text):
        if strict:
            raise ValueError(f"[Module.update] {_at(root, path)}: {text}")

    def place(container, key, new, path):
        current = container[key]
        if isinstance(current, mx.array):
            if isinstance(new, mx.array):
                if isinstance(container, tuple):
                    fail(path, "an array in a tuple can't be replaced")
                else:
                    plan.append((container, key, new))
            elif not _is_nothing(new):
                fail(path, f"expected an array of shape {current.shape}, got {_describe(new)}")
        elif not _is_nothing(new):
            walk(current, new, path)

    def walk(current, new, path):
        if isinstance(current, dict) and isinstance(new, dict):
            for key, value in new.items():
                if key in current:
                    place(current, key, value, _join(path, key))
                else:
                    have = ", ".join(map(str, current)) or "none"
                    fail(path, f'no parameter named "{key}" (there are: {have})')
        elif isinstance(current, (list, tuple)) and isinstance(new, (list, tuple)):
            for i, value in enumerate(new):
                if i < len(current):
                    place(current, i, value, _join(path, i))
                else:
                    fail(path, f"index {i} is out of bounds for {len(current)} entries")
        else:
            fail(path, f"expected {_describe(current)}, got {_describe(new)}")

    if isinstance(parameters, dict):
        walk(root, parameters, "")
    else:
        fail("", f"expected a dict of parameters, got {_describe(parameters)}")
    # Functions that call each other are a cycle, and this one holds the arrays of the plan: cut it,
    # for a training step must leave nothing behind for the garbage collector.
    place = walk = None  # noqa: F811
    return plan


def plan_modules(root, modules, strict):
    """What to write where so that ``root`` gets the modules of the tree ``modules``."""
    from mlx.nn.layers.base import Module

    plan = []

    def fail(path, text):
        if strict:
            raise ValueError(f"[Module.update_modules] {_at(root, path)}: {text}")

    def place(container, key, new, path):
        current = container[key]
        if isinstance(new, Module):
            if isinstance(current, Module):
                plan.append((container, key, new))
            else:
                fail(path, f"expected {_describe(current)}, got the module {type(new).__name__}")
        elif not _is_nothing(new):
            walk(current, new, path)

    def walk(current, new, path):
        if isinstance(current, dict) and isinstance(new, dict):
            for key, value in new.items():
                if key in current:
                    place(current, key, value, _join(path, key))
                else:
                    have = [k for k, v in current.items() if isinstance(v, (dict, list))]
                    fail(path, f'no module named "{key}" (there are: {", ".join(have) or "none"})')
        elif isinstance(current, list) and isinstance(new, (list, tuple)):
            for i, value in enumerate(new):
                if i < len(current):
                    place(current, i, value, _join(path, i))
                else:
                    fail(path, f"index {i} is out of bounds for {len(current)} entries")
        else:
            fail(path, f"expected {_describe(current)}, got {_describe(new)}")

    if isinstance(modules, dict):
        walk(root, modules, "")
    else:
        fail("", f"expected a dict of modules, got {_describe(modules)}")
    # Functions that call each other are a cycle, and this one holds the arrays of the plan: cut it,
    # for a training step must leave nothing behind for the garbage collector.
    place = walk = None  # noqa: F811
    return plan
