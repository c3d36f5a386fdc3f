"""The examples in the docstrings run and print what they say."""

import doctest
import importlib
import pkgutil

import mlx.core as mx
import mlx.optimizers as optim
import mlx.utils
import pytest
from mlx import nn


def module_names():
    yield "mlx.utils"
    for package in (nn, optim):
        yield package.__name__
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            yield info.name


def parts():
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name in module_names():
        module = importlib.import_module(name)
        for test in finder.find(module, name):
            if test.examples:
                yield pytest.param(test, id=test.name)


def surroundings():
    """What the examples take for granted."""
    model = nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 4))
    names = {"mx": mx, "nn": nn, "optim": optim, "model": model, "batches": [], "loss": None}
    for module in (mlx.utils, nn.layers.upsample, nn.layers.distributed, nn.utils):
        names.update({k: v for k, v in vars(module).items() if not k.startswith("_")})
    return names


@pytest.mark.parametrize("test", list(parts()))
def test_example(test):
    mx.random.seed(0)
    test.globs = {**test.globs, **surroundings()}
    out = []
    runner = doctest.DocTestRunner(
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS, verbose=False
    )
    runner.run(test, out=out.append)
    assert runner.failures == 0, "".join(out)
