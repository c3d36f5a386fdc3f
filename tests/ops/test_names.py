"""Functions about dtypes and shapes, which compute no array."""

import mlx.core as mx
import pytest


def test_broadcast_shapes():
    assert mx.broadcast_shapes((2, 1), (3,)) == (2, 3)
    assert mx.broadcast_shapes((0, 1), (1, 4), (1,)) == (0, 4)
    with pytest.raises(ValueError, match="broadcast"):
        mx.broadcast_shapes((2, 3), (4,))


def test_dtypes():
    assert mx.result_type(mx.float16, mx.bfloat16) == mx.float32
    assert mx.result_type(mx.array(1, mx.int8), mx.uint8) == mx.int16
    assert mx.issubdtype(mx.bfloat16, mx.floating) and not mx.issubdtype(mx.int8, mx.inexact)
    assert mx.isdtype(mx.uint16, "unsigned integer") and not mx.isdtype(mx.bool_, "numeric")
    assert mx.can_cast(mx.int8, mx.int32) and not mx.can_cast(mx.float32, mx.int32)


def test_einsum_path():
    a, b, c = mx.ones((4, 5)), mx.ones((5, 6)), mx.ones((6, 2))
    path, text = mx.einsum_path("ij,jk,kl->il", a, b, c)
    used = [i for step in path for i in step]
    assert all(isinstance(step, tuple) for step in path) and len(used) == 4
    assert "il" in text
