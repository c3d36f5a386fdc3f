"""Layers, losses and optimizers give what PyTorch gives with the same weights.

Adamax is left out: it has no bias correction here, as in Apple's build.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch_cases

EXPECTED = json.loads(Path(__file__).with_name("torch_expected.json").read_text())


@pytest.mark.parametrize("name", EXPECTED)
def test_same_as_torch(name):
    actual = torch_cases.run_ours(name)
    assert actual.keys() == EXPECTED[name].keys()
    for key, (shape, values) in EXPECTED[name].items():
        actual_shape, actual_values = torch_cases.digest(actual[key])
        assert actual_shape == shape
        size = max(1.0, float(np.prod(shape)) ** 0.5)
        np.testing.assert_allclose(actual_values, values, rtol=2e-5, atol=2e-5 * size, err_msg=key)
