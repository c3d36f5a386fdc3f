"""The examples in the docstrings of mlx.core are run, and say what comes out."""

import doctest
import inspect

import mlx.core as mx
import pytest

PARSER = doctest.DocTestParser()


def documented():
    modules = [mx] + [m for _, m in sorted(vars(mx).items()) if inspect.ismodule(m)]
    seen = set()
    for module in modules:
        if not module.__name__.startswith("mlx.core"):
            continue
        for name, value in sorted(vars(module).items()):
            if name.startswith("_") or id(value) in seen or inspect.ismodule(value):
                continue
            seen.add(id(value))
            yield f"{module.__name__}.{name}", value
            if inspect.isclass(value):
                for member, method in sorted(vars(value).items()):
                    if not member.startswith("_"):
                        yield f"{module.__name__}.{name}.{member}", method


def examples():
    for name, value in documented():
        text = inspect.getdoc(value) if not isinstance(value, property) else value.__doc__
        if text and ">>>" in text:
            yield name, text


EXAMPLES = list(examples())


@pytest.mark.parametrize("name, text", EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_example(name, text):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    test = PARSER.get_doctest(text, {"mx": mx}, name, None, 0)
    said = []
    doctest.DocTestRunner(optionflags=flags).run(test, out=said.append)
    assert not said, "".join(said)


def test_every_function_says_what_it_does():
    silent = [
        name
        for name, value in documented()
        if callable(value)
        and not inspect.isclass(value)
        and not (inspect.getdoc(value) or "").strip()
    ]
    assert silent == []
