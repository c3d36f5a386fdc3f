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


# What shows nothing that is the same everywhere: files, devices, streams, memory, settings.
NO_EXAMPLE = {
    "clear_cache",
    "clear_streams",
    "compile",
    "default_device",
    "default_stream",
    "device_count",
    "device_info",
    "disable_compile",
    "enable_compile",
    "get_active_memory",
    "get_array_buffer_size",
    "get_cache_memory",
    "get_memory_limit",
    "get_peak_memory",
    "get_printoptions",
    "import_function",
    "is_available",
    "load",
    "new_stream",
    "new_thread_local_stream",
    "new_thread_unsafe_stream",
    "printoptions",
    "reset_peak_memory",
    "save",
    "save_gguf",
    "save_safetensors",
    "savez",
    "savez_compressed",
    "set_cache_limit",
    "set_default_device",
    "set_default_stream",
    "set_memory_limit",
    "set_printoptions",
    "set_wired_limit",
    "synchronize",
}


def test_every_function_has_an_example():
    shown = {name for name, _ in EXAMPLES}
    bare = {
        name.removeprefix("mlx.core.")
        for name, value in documented()
        if name not in shown
        and name.count(".") == 2
        and callable(value)
        and not inspect.isclass(value)
    }
    assert bare == NO_EXAMPLE
