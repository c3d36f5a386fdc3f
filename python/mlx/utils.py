"""Walking nested Python containers ("trees") of dicts, lists and tuples.

A tree is a leaf (anything that isn't a container) or a dict, list or tuple of
trees. A leaf's path is its keys and positions joined by dots: in
``{"a": [1, 2]}`` the leaf ``2`` has the path ``"a.1"``.
"""

from collections.abc import Callable
from typing import Any, overload

_CONTAINERS = (dict, list, tuple)


def _rebuild(sequence: Any, items: Any) -> Any:
    """A list or (named) tuple of the type of ``sequence`` holding ``items``."""
    kind = type(sequence)
    return kind(*items) if hasattr(kind, "_fields") else kind(items)


def tree_map(fn: Callable, tree: Any, *rest: Any, is_leaf: Callable | None = None) -> Any:
    """Build a tree of the same structure out of ``fn`` applied to each leaf.

    Dicts come back as plain ``dict``, lists and tuples as their own type.

    Args:
        fn: called with a leaf of ``tree`` and the values found at the same place
            in each of ``rest``.
        tree: the tree whose structure leads.
        rest: trees that have at least the entries of ``tree``; what they have
            more is ignored, and a container standing where ``tree`` has a leaf is
            handed over whole.
        is_leaf: says of a node whether to stop there and treat it as a leaf.

    Example:
        >>> tree_map(lambda x, y: x + y, {"a": [1, 2]}, {"a": [10, 20], "b": 0})
        {'a': [11, 22]}
    """
    if is_leaf is not None and is_leaf(tree):
        return fn(tree, *rest)
    if isinstance(tree, dict):
        return {
            key: tree_map(fn, child, *(r[key] for r in rest), is_leaf=is_leaf)
            for key, child in tree.items()
        }
    if isinstance(tree, (list, tuple)):
        mapped = (
            tree_map(fn, child, *(r[i] for r in rest), is_leaf=is_leaf)
            for i, child in enumerate(tree)
        )
        return _rebuild(tree, mapped)
    return fn(tree, *rest)


def tree_map_with_path(
    fn: Callable,
    tree: Any,
    *rest: Any,
    is_leaf: Callable | None = None,
    path: Any | None = None,
) -> Any:
    """:func:`tree_map` for a ``fn`` that also wants to know where it is.

    Args:
        fn: called as ``fn(path, leaf, *others)``. A tree that is itself a leaf
            has the path ``None`` unless ``path`` says otherwise.
        tree: the tree whose structure leads.
        rest: further trees, as in :func:`tree_map`.
        is_leaf: says of a node whether to stop there and treat it as a leaf.
        path: what to put in front of every path.

    Example:
        >>> tree_map_with_path(lambda p, x: f"{p}={x}", {"w": [3, 4]})
        {'w': ['w.0=3', 'w.1=4']}
    """

    def below(key: Any) -> Any:
        return f"{path}.{key}" if path else str(key)

    if is_leaf is not None and is_leaf(tree):
        return fn(path, tree, *rest)
    if isinstance(tree, dict):
        return {
            key: tree_map_with_path(
                fn, child, *(r[key] for r in rest), is_leaf=is_leaf, path=below(key)
            )
            for key, child in tree.items()
        }
    if isinstance(tree, (list, tuple)):
        mapped = (
            tree_map_with_path(fn, child, *(r[i] for r in rest), is_leaf=is_leaf, path=below(i))
            for i, child in enumerate(tree)
        )
        return _rebuild(tree, mapped)
    return fn(path, tree, *rest)


def _flatten(node: Any, path: Any, is_leaf: Any, put: Any) -> None:
    if is_leaf is None or not is_leaf(node):
        if isinstance(node, dict):
            for key, child in node.items():
                _flatten(child, f"{path}.{key}", is_leaf, put)
            return
        if isinstance(node, (list, tuple)):
            for i, child in enumerate(node):
                _flatten(child, f"{path}.{i}", is_leaf, put)
            return
    put(path[1:], node)


@overload
def tree_flatten(
    tree: Any,
    prefix: str = "",
    is_leaf: Callable[..., bool] | None = None,
    destination: list[tuple[str, Any]] | None = None,
) -> list[tuple[str, Any]]: ...
@overload
def tree_flatten(
    tree: Any,
    prefix: str = "",
    is_leaf: Callable[..., bool] | None = None,
    *,
    destination: dict[str, Any],
) -> dict[str, Any]: ...
def tree_flatten(
    tree: Any,
    prefix: str = "",
    is_leaf: Callable | None = None,
    destination: list[tuple[str, Any]] | dict[str, Any] | None = None,
) -> list[tuple[str, Any]] | dict[str, Any]:
    """List the leaves of a tree with their paths, in order.

    Empty containers leave no trace. Keys should hold no dot, or
    :func:`tree_unflatten` can't find the way back.

    Args:
        tree: the tree to list.
        prefix: put in front of every path; its first character is dropped, so a
            prefix is written with a leading dot.
        is_leaf: says of a node whether to stop there and treat it as a leaf.
        destination: a list to append ``(path, leaf)`` to, or a dict to fill with
            ``path: leaf``; a new list when not given.

    Returns:
        ``destination``.

    Example:
        >>> tree_flatten({"a": [1, {"b": 2}]}, prefix=".m")
        [('m.a.0', 1), ('m.a.1.b', 2)]
    """
    if destination is None:
        destination = []
    if isinstance(destination, list):

        def put(path: Any, leaf: Any) -> None:
            destination.append((path, leaf))
    elif isinstance(destination, dict):
        put = destination.__setitem__
    else:
        raise ValueError(  # noqa: TRY004
            "[tree_flatten] destination must be a list, a dict or None, "
            f"not {type(destination).__name__}"
        )

    _flatten(tree, prefix, is_leaf, put)
    return destination


def tree_unflatten(tree: list[tuple[str, Any]] | dict[str, Any]) -> Any:
    """Build the tree that :func:`tree_flatten` listed.

    A level whose first key is a number becomes a list (``{}`` in the places that
    no path names), any other level a dict. Tuples therefore come back as lists.

    Args:
        tree: ``(path, leaf)`` pairs, or a dict ``{path: leaf}``.

    Example:
        >>> tree_unflatten([("a.0", 1), ("a.1.b", 2)])
        {'a': [1, {'b': 2}]}
    """
    pairs = list(tree.items()) if isinstance(tree, dict) else list(tree)
    if len(pairs) == 1 and pairs[0][0] == "":
        return pairs[0][1]
    return _unflatten([(path.split("."), leaf) for path, leaf in pairs])


def _unflatten(pairs: Any) -> Any:
    """``pairs`` are (path as a list of keys, leaf)."""
    if not pairs:
        return []
    if len(pairs) == 1 and not pairs[0][0]:
        return pairs[0][1]
    groups: dict[str, list] = {}
    for keys, leaf in pairs:
        # A path that ends where another goes on has the empty key below it.
        groups.setdefault(keys[0] if keys else "", []).append((keys[1:], leaf))
    if not next(iter(groups)).isdecimal() or not all(key.isdecimal() for key in groups):
        return {key: _unflatten(below) for key, below in groups.items()}
    places = {int(key): below for key, below in groups.items()}
    return [_unflatten(places[i]) if i in places else {} for i in range(max(places) + 1)]


def tree_reduce(fn: Any, tree: Any, initializer: Any = None, is_leaf: Any = None) -> Any:
    """Fold the leaves of a tree, in order, into one value.

    Args:
        fn: called as ``fn(accumulated, leaf)``.
        tree: the tree to fold.
        initializer: where to start; ``None`` starts with the first leaf.
        is_leaf: says of a node whether to stop there and treat it as a leaf.

    Returns:
        The accumulated value; ``initializer`` if the tree has no leaf.

    Example:
        >>> tree_reduce(lambda total, x: total + x, {"a": [1, 2], "b": 3}, 0)
        6
    """
    total = initializer
    for _, leaf in tree_flatten(tree, is_leaf=is_leaf):
        total = leaf if total is None else fn(total, leaf)
    return total


def _is_empty(node: Any) -> Any:
    return isinstance(node, _CONTAINERS) and len(node) == 0


def tree_merge(tree_a: Any, tree_b: Any, merge_fn: Any = None) -> Any:
    """Unite two trees: what only one of them has is taken from that one.

    Nothing (``None``) and an empty container stand for "this tree has no entry
    here".

    Args:
        tree_a: the first tree; sequences come back with its type.
        tree_b: the second tree.
        merge_fn: called as ``merge_fn(a, b)`` where both trees have a leaf.
            Without it such a collision is a ``ValueError``.

    Example:
        >>> tree_merge({"a": [None, 1]}, {"a": [0], "b": 2})
        {'a': [0, 1], 'b': 2}
    """
    return _merge(tree_a, tree_b, merge_fn, "")


def _merge(a: Any, b: Any, merge_fn: Any, path: Any) -> Any:
    if _is_empty(a) and _is_empty(b):
        if type(a) is not type(b):
            raise ValueError(
                f"[tree_merge] cannot merge an empty {type(a).__name__} with an empty "
                f"{type(b).__name__} at {path or 'the root'!r}"
            )
        return _rebuild(a, ()) if not isinstance(a, dict) else {}
    a = None if _is_empty(a) else a
    b = None if _is_empty(b) else b
    if a is None and b is not None:
        return b
    if b is None and a is not None:
        return a

    def below(key: Any) -> Any:
        return f"{path}.{key}" if path else str(key)

    if isinstance(a, dict) and isinstance(b, dict):
        merged = dict(a)
        for key, child in b.items():
            merged[key] = _merge(a[key], child, merge_fn, below(key)) if key in a else child
        return merged
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        merged = [_merge(x, y, merge_fn, below(i)) for i, (x, y) in enumerate(zip(a, b))]
        merged.extend((a if len(a) > len(b) else b)[len(merged) :])
        return _rebuild(a, merged)
    if merge_fn is None:
        raise ValueError(
            f"[tree_merge] both trees have a value at {path or 'the root'!r} "
            f"({type(a).__name__} and {type(b).__name__}) and no merge_fn was given"
        )
    return merge_fn(a, b)
