"""What Apple's build gets wrong (docs/differences.md), one test each."""

import os

import mlx.core as mx
import numpy as np
import pytest


@pytest.mark.parametrize("dtype, step", [(mx.float16, 2**-11), (mx.bfloat16, 2**-8)], ids=str)
def test_rows_of_half_softmax_sum_to_one(dtype, step):
    x = mx.random.normal((8, 1000), key=mx.random.key(0)).astype(dtype)
    total = mx.softmax(x, axis=-1).astype(mx.float32).sum(-1)
    assert np.abs(np.array(total) - 1).max() < 2 * step


def test_a_sum_of_many_ones():
    assert mx.ones(2**25).sum().item() == 2**25


def test_a_running_sum_in_bfloat16_does_not_stick():
    last = mx.cumsum(mx.ones(1000, mx.bfloat16))[-1].item()
    assert last == pytest.approx(1000, rel=2**-8)


def test_a_mean_of_many_halves():
    assert mx.mean(mx.ones(70000, mx.float16)).item() == 1


def test_exp_near_its_end():
    assert mx.exp(mx.array(88.5)).item() == pytest.approx(float(np.exp(88.5)), rel=1e-6)


def test_reading_through_a_mask():
    a = mx.arange(6).reshape(2, 3)
    assert a[a > 2].tolist() == [3, 4, 5]


def test_an_index_out_of_range_is_an_error():
    with pytest.raises(IndexError):
        mx.eval(mx.arange(3)[5])
    with pytest.raises(IndexError):
        mx.eval(mx.take(mx.arange(3), mx.array([0, 7])))


def test_more_memory_than_there_is():
    kept = mx.arange(3)
    with pytest.raises(MemoryError):
        mx.eval(mx.zeros((2**20, 2**20)) + mx.random.uniform(shape=(1,)))
    assert kept.tolist() == [0, 1, 2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_goes_on_after_fork():
    a = mx.ones((300, 300))
    mx.eval(a @ a)
    child = os.fork()
    if child == 0:
        ok = (a @ a)[0, 0].item() == 300
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_products_of_integers():
    a = mx.array([[1, 2], [3, 4]])
    assert (a @ a).tolist() == [[7, 10], [15, 22]]


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float64], ids=str)
def test_gather_mm_of_every_float(dtype):
    a, b = mx.ones((3, 2, 4), dtype), mx.ones((2, 4, 5), dtype)
    y = mx.gather_mm(a, b, rhs_indices=mx.array([1, 0, 1]))
    assert y.dtype == dtype and y.tolist() == mx.full((3, 2, 5), 4.0).tolist()


def test_transforms_of_doubles():
    x = np.random.default_rng(0).standard_normal(64)
    y = mx.fft.irfft(mx.fft.rfft(mx.array(x, mx.float64)))
    np.testing.assert_allclose(np.array(y), x, atol=1e-6)


@pytest.mark.parametrize(
    "f",
    [
        mx.linalg.inv,
        lambda a: mx.linalg.solve(a, mx.ones((3, 1), a.dtype)),
        lambda a: mx.linalg.cholesky(a @ a.T + 3 * mx.eye(3, dtype=a.dtype)),
        lambda a: mx.linalg.qr(a)[1],
        lambda a: mx.linalg.eigvalsh(a @ a.T),
    ],
)
def test_linear_algebra_has_gradients(f):
    a = mx.array(np.random.default_rng(1).standard_normal((3, 3)) + 3 * np.eye(3), mx.float64)
    u = mx.array(np.random.default_rng(2).standard_normal((3, 3)), mx.float64)

    def loss(a):
        return mx.square(f(a)).sum()

    slope = (mx.grad(loss)(a) * u).sum().item()
    h = 1e-6
    assert slope == pytest.approx((loss(a + h * u) - loss(a - h * u)).item() / (2 * h), rel=1e-5)


def test_shapeless_compile_of_parts():
    f = mx.compile(lambda x: mx.split(mx.pad(x, 1), 2)[0] + x[:1], shapeless=True)
    assert f(mx.ones(2)).shape == (2,)
    assert f(mx.ones(4)).shape == (3,)
