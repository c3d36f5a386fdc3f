"""Rows of products with packed weights: their oracle is the product with the weights spelt out."""

import functools

import mlx.core as mx
import numpy as np
from row import Arg, Row

HALVES = ("float16", "bfloat16", "float32")


@functools.cache
def packed(bits: int, group_size: int, transpose: bool):
    """(codes, scales, biases, values) of a matrix that works with rows of 64."""
    rng = np.random.default_rng(bits)
    w = mx.array(rng.uniform(-1, 1, (24, 64) if transpose else (64, 128)), mx.float32)
    q = mx.quantize(w, group_size, bits)
    q = [
        q[0],
        q[1].astype(mx.bfloat16).astype(mx.float32),
        q[2].astype(mx.bfloat16).astype(mx.float32),
    ]
    return (*q, np.array(mx.dequantize(*q, group_size, bits)).astype(np.float64))


def product(x, transpose=True, group_size=64, bits=4):
    w = packed(bits, group_size, transpose)[3]
    return x @ (w.T if transpose else w)


def quantized_product(x, transpose=True, group_size=64, bits=4):
    codes, scales, biases, _ = packed(bits, group_size, transpose)
    scales, biases = scales.astype(x.dtype), biases.astype(x.dtype)
    return mx.quantized_matmul(x, codes, scales, biases, transpose, group_size, bits)


def gathered(x, bits=4):
    codes, scales, biases, _ = packed(bits, 32, True)
    stack = [
        mx.stack([part.astype(x.dtype) if part.dtype == mx.float32 else part] * 2)
        for part in (codes, scales, biases)
    ]
    which = mx.array([1, 0], mx.uint32)
    return mx.gather_qmm(x, *stack, rhs_indices=which, group_size=32, bits=bits)


ROWS = [
    Row(
        "quantized_matmul",
        product,
        (Arg(-1.0, 1.0),),
        (((3, 64),), ((1, 64),), ((2, 5, 64),), ((0, 64),)),
        ({}, {"bits": 8, "group_size": 32}, {"transpose": False, "bits": 2}, {"bits": 3}),
        call=quantized_product,
        dtypes=HALVES,
        tol=64,
        why={"derivatives": "tests/nn/test_quantized.py: there is no float64 form"},
        bad=(
            (
                lambda f: f(mx.zeros((2, 63)), mx.zeros((4, 8), mx.uint32), mx.zeros((4, 1))),
                ValueError,
                "",
            ),
        ),
    ),
    Row(
        "gather_qmm",
        lambda x, bits=4: np.stack([x @ packed(bits, 32, True)[3].T] * 2),
        (Arg(-1.0, 1.0),),
        (((3, 64),), ((1, 64),)),
        ({}, {"bits": 8}),
        call=gathered,
        dtypes=HALVES,
        tol=64,
        why={"derivatives": "test_gather_mm.py: there is no float64 form"},
        bad=(
            (
                lambda f: f(mx.zeros((2, 63)), mx.zeros((4, 8), mx.uint32), mx.zeros((4, 1))),
                ValueError,
                "",
            ),
        ),
    ),
    Row(
        "dequantize",
        lambda s, bits=4: np.repeat(s, 32, axis=-1) * 3 + 1,
        (Arg(-1.0, 1.0),),
        (((4, 2),), ((1, 3),)),
        ({}, {"bits": 8}),
        call=lambda s, bits=4: mx.dequantize(
            mx.full(
                (s.shape[0], s.shape[1] * bits), 0x33333333 if bits == 4 else 0x03030303, mx.uint32
            ),
            s,
            mx.ones_like(s),
            32,
            bits,
        ),
        dtypes=HALVES,
        tol=4,
        vmap=False,
        why={
            "derivatives": "tests/nn: there is no float64 form",
            "vmap": "tests/cpp/quant_test.cpp",
        },
        bad=(),
    ),
    Row(
        "gather_mm",
        lambda a, b: np.stack([a[0] @ b[1], a[1] @ b[0], a[0] @ b[0]]),
        (Arg(), Arg()),
        (((2, 3, 4), (2, 4, 5)),),
        call=lambda a, b: mx.gather_mm(a, b, mx.array([0, 1, 0]), mx.array([1, 0, 0])),
        dtypes=(*HALVES, "float64"),
        tol=32,
        grad=True,
        layouts=False,
        bad=((lambda f: f(mx.zeros((2, 3, 4)), mx.zeros((2, 5, 5))), ValueError, ""),),
    ),
    Row(
        "segmented_mm",
        lambda a, b: np.stack([a[:, :2] @ b[:2], a[:, 2:] @ b[2:]]),
        (Arg(), Arg()),
        (((3, 6), (6, 4)),),
        call=lambda a, b: mx.segmented_mm(a, b, mx.array([[0, 2], [2, 6]], mx.uint32)),
        dtypes=(*HALVES, "float64"),
        tol=32,
        grad=True,
        vmap=False,
        layouts=False,
        why={"vmap": "test_gather_mm.py"},
        bad=(),
    ),
    Row(
        "fast.cross_entropy",
        lambda x: np.log(np.exp(x).sum(-1)) - np.take_along_axis(x, TARGETS[..., None], -1)[..., 0],
        (Arg(),),
        (((3, 7),),),
        call=lambda x: mx.fast.cross_entropy(x, mx.array(TARGETS)),
        dtypes=HALVES,
        gives=lambda d: "float32",
        tol=64,
        vmap=False,
        why={"derivatives": "test_fast_more.py", "vmap": "test_fast_more.py"},
        bad=(),
    ),
]
TARGETS = np.array([1, 6, 0])
