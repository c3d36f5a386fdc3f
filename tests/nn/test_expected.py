"""Layers, losses, initialisers and optimizers give what Apple's build gives: the same
initial parameters, results, gradients and states."""

import json
from pathlib import Path

import cases
import pytest
from mlx import nn

EXPECTED = json.loads(Path(__file__).with_name("expected.json").read_text())
TOLERANCE = 2e-5


@pytest.mark.parametrize(
    "case, training",
    [
        pytest.param(case, training, id=cases.layer_key(case, training))
        for case in cases.LAYERS
        for training in cases.modes(case)
    ],
)
def test_layer(case, training):
    expected = EXPECTED["layers"][cases.layer_key(case, training)]
    name, args, kwargs, _ = case
    assert repr(getattr(nn, name)(*args, **kwargs)).split(" at 0x")[0] == expected["repr"]
    cases.check(cases.run_layer(case, training), expected["values"], TOLERANCE)


TRAINED = [case for case in cases.one_of_each() if case[0] in EXPECTED["training"]]


@pytest.mark.parametrize("case", TRAINED, ids=lambda case: case[0])
def test_ten_steps(case):
    cases.check(cases.run_training(case), EXPECTED["training"][case[0]], 5 * TOLERANCE)


@pytest.mark.parametrize("case", cases.loss_cases(), ids=cases.loss_id)
def test_loss(case):
    cases.check(cases.run_loss(*case), EXPECTED["losses"][cases.loss_id(case)], TOLERANCE)


@pytest.mark.parametrize("name, args", cases.INITIALISERS)
def test_initialiser(name, args):
    cases.check(cases.run_initialiser(name, args), EXPECTED["initialisers"][name], TOLERANCE)


@pytest.mark.parametrize("name, args", cases.OPTIMIZERS)
def test_optimizer(name, args):
    expected = EXPECTED["optimizers"][f"{name}{args}"]
    cases.check(cases.run_optimizer(name, args), expected, 5 * TOLERANCE)


@pytest.mark.parametrize("path", EXPECTED["signatures"])
def test_signature(path):
    assert cases.signature(path) == EXPECTED["signatures"][path]
