"""Bad input: the exception's type and the words that it holds; and every function has its row."""

import inspect
import re

import mlx.core as mx
import pytest
from table import NOT_IN_THE_TABLE, ROWS

BAD = [
    pytest.param(row, call, error, words, id=f"{row.name}-{i}")
    for row in ROWS
    for i, (call, error, words) in enumerate(row.bad)
]


@pytest.mark.parametrize("row, call, error, words", BAD)
def test_bad_input(row, call, error, words):
    f = mx
    for part in row.function.split("."):
        f = getattr(f, part)
    with pytest.raises(error) as info:
        result = call(f)
        mx.eval(result)
    said = re.sub(r",\s+", ",", str(info.value))
    assert all(word in said for word in words.split()), said


def public_functions():
    for module in [mx] + [m for _, m in sorted(vars(mx).items()) if inspect.ismodule(m)]:
        if not module.__name__.startswith("mlx.core"):
            continue
        prefix = module.__name__.removeprefix("mlx.core").lstrip(".")
        for name, value in sorted(vars(module).items()):
            if callable(value) and not inspect.isclass(value) and not name.startswith("_"):
                yield f"{prefix}.{name}".lstrip(".")


def test_every_function_has_a_row():
    rows = {row.function for row in ROWS}
    known = rows | set(NOT_IN_THE_TABLE)
    assert sorted(set(public_functions()) - known) == []
    assert sorted(rows & set(NOT_IN_THE_TABLE)) == []
    assert all(NOT_IN_THE_TABLE.values()), "an exception needs its reason"
