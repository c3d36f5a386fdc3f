"""mlx.utils: the tree functions, on plain Python values."""

from collections import OrderedDict, namedtuple

import pytest
from mlx.utils import (
    tree_flatten,
    tree_map,
    tree_map_with_path,
    tree_merge,
    tree_reduce,
    tree_unflatten,
)

Pair = namedtuple("Pair", "x y")
TREE = {"a": [1, (2, {"b": 3})], "c": {}, "d": [], "e": None}


def test_map_keeps_structure():
    assert tree_map(lambda x: (x,), TREE) == {
        "a": [(1,), ((2,), {"b": (3,)})],
        "c": {},
        "d": [],
        "e": (None,),
    }
    assert tree_map(lambda x: x + 1, Pair(1, 2)) == Pair(2, 3)
    assert type(tree_map(lambda x: x, OrderedDict(a=1))) is dict
    assert tree_map(lambda x: x + 1, 1) == 2


def test_map_rest_is_a_superset():
    add = lambda x, y: x + y
    assert tree_map(add, {"a": 1}, {"a": 2, "b": 3}) == {"a": 3}
    assert tree_map(lambda x, y: (x, y), 1, [3]) == (1, [3])
    with pytest.raises(KeyError):
        tree_map(add, {"a": 1}, {"b": 2})
    with pytest.raises(IndexError):
        tree_map(add, [1, 2], [3])


def test_is_leaf():
    is_pair = lambda x: isinstance(x, tuple)
    assert tree_map(len, [(1, 2), [(3,)]], is_leaf=is_pair) == [2, [1]]
    assert tree_flatten({"a": (1, 2)}, is_leaf=is_pair) == [("a", (1, 2))]
    assert tree_map_with_path(lambda p, x: p, [(1, 2)], is_leaf=is_pair) == ["0"]
    assert tree_reduce(lambda n, x: n + len(x), [(1, 2), (3,)], 0, is_leaf=is_pair) == 3


def test_map_with_path():
    assert tree_map_with_path(lambda p, x: (p, x), {"a": [1, 2]}) == {"a": [("a.0", 1), ("a.1", 2)]}
    assert tree_map_with_path(lambda p, x, y: (p, x + y), [1], [2], path="q") == [("q.0", 3)]
    assert tree_map_with_path(lambda p, x: p, 5) is None


def test_flatten():
    flat = [("a.0", 1), ("a.1.0", 2), ("a.1.1.b", 3), ("e", None)]
    assert tree_flatten(TREE) == flat
    assert tree_flatten([1], prefix=".p") == [("p.0", 1)]
    assert tree_flatten(5) == [("", 5)]
    assert tree_flatten(TREE, destination={}) == dict(flat)
    already = [("z", 0)]
    assert tree_flatten([1], destination=already) is already
    assert already == [("z", 0), ("0", 1)]
    with pytest.raises(ValueError):
        tree_flatten([1], destination=())


def test_unflatten():
    assert tree_unflatten([("a.0", 1), ("a.1.b", 2)]) == {"a": [1, {"b": 2}]}
    assert tree_unflatten({"a.0": 1, "a.2": 2}) == {"a": [1, {}, 2]}
    assert tree_unflatten([("10", 1), ("9", 2)]) == [{}] * 9 + [2, 1]
    assert tree_unflatten([("0", 1), ("x", 2)]) == {"0": 1, "x": 2}
    assert tree_unflatten([("", 5)]) == 5
    assert tree_unflatten([]) == []
    tree = {"a": [1, {"b": [2, 3]}], "c": "leaf"}
    assert tree_unflatten(tree_flatten(tree)) == tree


def test_reduce():
    assert tree_reduce(lambda a, x: a + x, {"a": [1, 2], "b": 3}, 0) == 6
    assert tree_reduce(lambda a, x: a + x, [1, [2]]) == 3
    assert tree_reduce(lambda a, x: a + x, []) is None
    assert tree_reduce(lambda a, x: a + x, [], 5) == 5


def test_merge():
    assert tree_merge({"a": 1, "c": [1]}, {"b": 2}) == {"a": 1, "b": 2, "c": [1]}
    assert tree_merge([1, {}], [None, {"b": 1}, 4]) == [1, {"b": 1}, 4]
    assert tree_merge((1, None), [None, 2]) == (1, 2)
    assert tree_merge({"a": {}}, {"a": [1]}) == {"a": [1]}
    assert tree_merge({"a": 1}, {"a": 2}, lambda x, y: x + y) == {"a": 3}
    # What only one tree has stays, empty or not.
    assert tree_merge({"a": {}, "b": None}, {"c": 1}) == {"a": {}, "b": None, "c": 1}
    with pytest.raises(ValueError, match="'a.0'"):
        tree_merge({"a": [1]}, {"a": [2]})
    with pytest.raises(ValueError, match="list.*dict"):
        tree_merge([], {})
