"""Rows of transforms and convolutions. Their many options have tests of their own: test_fft.py, test_conv.py."""

import mlx.core as mx
import numpy as np
from row import ALL, FLOATS, Arg, Row, always

HALVES = ("float16", "bfloat16", "float32")
SHAPES = (((3, 8),), ((7,),), ((2, 5, 6),), ((2, 1),))


def complex_(d: str) -> str:
    return "complex64"


def transform(name, oracle, kw=({}, {"axis": 0}), **more):
    more.setdefault("dtypes", ALL)
    more.setdefault("gives", complex_)
    more.setdefault("tol", 64)
    more.setdefault("why", {"derivatives": "test_fft.py, where results are complex"})
    more.setdefault("bad", ((lambda f: f(mx.array(1.0)), IndexError, "out of bounds"),))
    return Row(f"fft.{name}", oracle, more.pop("args", (Arg(),)), SHAPES, kw, **more)


def many(name, oracle, **more):
    more.setdefault("dtypes", ALL)
    return Row(
        f"fft.{name}",
        oracle,
        (Arg(),),
        (((3, 4, 6),), ((4, 5),)),
        ({},),
        gives=more.pop("gives", complex_),
        tol=128,
        why={"derivatives": "test_fft.py, where results are complex"},
        bad=((lambda f: f(mx.array(1.0)), (ValueError, IndexError), ""),),
        **more,
    )


REAL_IN = tuple(d for d in ALL if d != "complex64")


def shift(name, oracle):
    return Row(f"fft.{name}", oracle, (Arg(),), SHAPES, grad=True, tol=0)


def correlate(x, w, stride, padding, dilation, groups):
    """By definition: channels last, any number of axes."""
    n_axes = x.ndim - 2
    x = np.pad(x, [(0, 0), *[(padding, padding)] * n_axes, (0, 0)])
    reach = [dilation * (k - 1) + 1 for k in w.shape[1:-1]]
    size = [(x.shape[i + 1] - reach[i]) // stride + 1 for i in range(n_axes)]
    out = np.zeros((x.shape[0], *size, w.shape[0]), x.dtype)
    per, outs = w.shape[-1], w.shape[0] // groups
    for at in np.ndindex(*size):
        part = x[
            (slice(None), *[slice(stride * a, stride * a + r, dilation) for a, r in zip(at, reach)])
        ]
        for g in range(groups):
            columns = part[..., g * per : (g + 1) * per].reshape(x.shape[0], -1)
            rows = w[g * outs : (g + 1) * outs].reshape(outs, -1)
            out[(slice(None), *at, slice(g * outs, (g + 1) * outs))] = columns @ rows.T
    return out


def conv(name, oracle, shapes, kw):
    return Row(
        name,
        oracle,
        (Arg(), Arg()),
        shapes,
        kw,
        dtypes=FLOATS,
        tol=64,
        grad=True,
        bad=((lambda f: f(mx.zeros(3), mx.zeros(3)), ValueError, ""),),
    )


def forward(x, w, stride=1, padding=0, dilation=1, groups=1):
    return correlate(x, w, stride, padding, dilation, groups)


def backward(x, w, stride=1, padding=0, dilation=1, output_padding=0, groups=1):
    """Each value of x adds a copy of w."""
    n_axes = x.ndim - 2
    kernel, outs = w.shape[1:-1], w.shape[0]
    size = [
        (n - 1) * stride + dilation * (k - 1) + 1 + output_padding
        for n, k in zip(x.shape[1:-1], kernel)
    ]
    full = np.zeros((x.shape[0], *size, outs), x.dtype)
    per, each = x.shape[-1] // groups, outs // groups
    for at in np.ndindex(*x.shape[1:-1]):
        for t in np.ndindex(*kernel):
            where = tuple(stride * a + dilation * b for a, b in zip(at, t))
            for g in range(groups):
                part = x[(slice(None), *at, slice(g * per, (g + 1) * per))]
                weight = w[(slice(g * each, (g + 1) * each), *t)]
                full[(slice(None), *where, slice(g * each, (g + 1) * each))] += part @ weight.T
    crop = [slice(padding, n - padding) for n in size]
    return full[(slice(None), *crop)] if n_axes else full


ONE = (((2, 9, 4), (6, 3, 4)), ((1, 5, 2), (3, 1, 2)))
TWO = (((2, 6, 5, 4), (4, 3, 2, 4)),)
THREE = (((1, 4, 5, 3, 2), (3, 2, 3, 1, 2)),)
KW = ({}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": 2})

ROWS = [
    transform("fft", lambda x, axis=-1: np.fft.fft(x, axis=axis)),
    transform("ifft", lambda x, axis=-1: np.fft.ifft(x, axis=axis)),
    transform("rfft", lambda x, axis=-1: np.fft.rfft(x, axis=axis), dtypes=REAL_IN),
    transform(
        "irfft",
        lambda x, n, axis=-1: np.fft.irfft(x, n, axis=axis),
        ({"n": 6}, {"n": 7, "axis": 0}),
        gives=always("float32"),
        dtypes=tuple(d for d in ALL if d != "float64"),
    ),
    many("fft2", np.fft.fft2),
    many("ifft2", np.fft.ifft2),
    many("fftn", np.fft.fftn),
    many("ifftn", np.fft.ifftn),
    shift("fftshift", np.fft.fftshift),
    shift("ifftshift", np.fft.ifftshift),
    conv("conv1d", forward, ONE, (*KW, {"groups": 1})),
    conv("conv2d", forward, TWO, KW),
    conv("conv3d", forward, THREE, KW[:2]),
    conv("conv_general", forward, TWO, ({}, {"stride": 2, "padding": 1})),
    conv("conv_transpose1d", backward, ONE, KW[:2]),
    conv("conv_transpose2d", backward, TWO, KW[:2]),
    conv("conv_transpose3d", backward, THREE, KW[:1]),
    Row(
        "convolve",
        lambda a, v, mode="full": np.convolve(a, v, mode),
        (Arg(), Arg()),
        (((9,), (4,)), ((3,), (5,)), ((1,), (1,))),
        ({}, {"mode": "same"}, {"mode": "valid"}),
        dtypes=FLOATS,
        tol=32,
        grad=True,
        bad=((lambda f: f(mx.zeros((2, 3)), mx.zeros(3)), ValueError, ""),),
    ),
]
