"""mx.distributed where there is one process."""

import mlx.core as mx
import numpy as np
import pytest

COLLECTIVES = ["all_sum", "all_max", "all_min", "all_gather", "sum_scatter"]


def test_the_only_group():
    group = mx.distributed.init()
    assert (group.rank(), group.size()) == (0, 1)
    assert mx.distributed.init(backend="ring").size() == 1
    assert not mx.distributed.is_available()
    assert not mx.distributed.is_available("mpi")
    assert repr(group) == "Group(rank=0, size=1)"
    with pytest.raises(RuntimeError, match="split"):
        group.split(0)


@pytest.mark.parametrize("backend", ["any", "mpi", "ring", "nccl", "jaccl"])
def test_strict(backend):
    with pytest.raises(RuntimeError, match="nitialize"):
        mx.distributed.init(True, backend)


def test_refused():
    with pytest.raises(ValueError, match="'foo'"):
        mx.distributed.init(backend="foo")
    with pytest.raises(ValueError, match="all_gather_factory"):
        mx.distributed.init(all_gather_factory=lambda rank, size: None)
    x = mx.ones(2)
    for call in (
        lambda: mx.distributed.send(x, 0),
        lambda: mx.distributed.recv((2,), mx.float32, 0),
        lambda: mx.distributed.recv_like(x, 1),
    ):
        with pytest.raises(ValueError, match="singleton group"):
            call()
    with pytest.raises(TypeError):
        mx.distributed.all_sum(x, group=3)
    with pytest.raises(TypeError):
        mx.distributed.Group()


@pytest.mark.parametrize("name", COLLECTIVES)
def test_of_one(name):
    f = getattr(mx.distributed, name)
    group = mx.distributed.init()
    for x in (mx.arange(6).reshape(3, 2), mx.array(1.5), mx.zeros((0, 3)), mx.array([1 + 2j])):
        np.testing.assert_array_equal(np.array(f(x)), np.array(x))
        assert f(x, group=group, stream=mx.cpu).dtype == x.dtype
    x = mx.arange(4.0)
    np.testing.assert_array_equal(
        np.array(mx.grad(lambda v: (f(v) ** 2).sum())(x)), 2 * np.arange(4)
    )
    assert mx.vmap(f)(mx.ones((2, 3))).shape == (2, 3)
    assert mx.compile(f)(x).tolist() == x.tolist()
