"""Rows of mx.fast."""

import mlx.core as mx
import numpy as np
from row import FLOATS, Arg, Row

POSITIVE = Arg(0.5, 1.5)
NORM_SHAPES = (((2, 3, 8), (8,)), ((5, 70), (70,)), ((8,), (8,)), ((0, 8), (8,)))


def rms_norm(x, w, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w


def layer_norm(x, w, b, eps):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps) * w + b


def rope(x, dims, traditional, base, scale, offset):
    positions = (np.arange(x.shape[-2]) + offset) * scale
    angles = np.outer(positions, base ** (-np.arange(0, dims, 2) / dims))
    c, s = np.cos(angles), np.sin(angles)
    y = x.copy()
    half = dims // 2
    one, two = (
        (np.s_[..., 0:dims:2], np.s_[..., 1:dims:2])
        if traditional
        else (np.s_[..., :half], np.s_[..., half:dims])
    )
    a, b = x[one], x[two]
    y[one], y[two] = a * c - b * s, a * s + b * c
    return y


def attention(q, k, v, scale, mask=None):
    heads = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, heads, 1), np.repeat(v, heads, 1)
    scores = scale * (q @ np.swapaxes(k, -1, -2))
    if mask == "causal":
        n, m = scores.shape[-2:]
        scores = np.where(np.tri(n, m, m - n, dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return (weights / weights.sum(-1, keepdims=True)) @ v


ROPE = {"dims": 8, "traditional": False, "base": 100.0, "scale": 1.0, "offset": 0}

ROWS = [
    Row(
        "fast.rms_norm",
        rms_norm,
        (Arg(), POSITIVE),
        NORM_SHAPES,
        ({"eps": 2.0**-10},),
        dtypes=FLOATS,
        grad=True,
        tol=8,
        bad=(
            (lambda f: f(mx.zeros((2, 3)), mx.zeros(4), 1e-5), ValueError, "3 4"),
            (lambda f: f(mx.zeros(()), None, 1e-5), ValueError, ""),
        ),
    ),
    Row(
        "fast.layer_norm",
        layer_norm,
        (Arg(), POSITIVE, Arg()),
        tuple((*s, s[1]) for s in NORM_SHAPES),
        ({"eps": 2.0**-10},),
        dtypes=FLOATS,
        grad=True,
        tol=8,
        bad=((lambda f: f(mx.zeros((2, 3)), mx.zeros(4), None, 1e-5), ValueError, "3 4"),),
    ),
    Row(
        "fast.rope",
        rope,
        (Arg(),),
        (((2, 3, 5, 8),), ((1, 1, 1, 12),)),
        (ROPE, {**ROPE, "traditional": True}, {**ROPE, "dims": 4, "offset": 3, "scale": 0.5}),
        dtypes=FLOATS,
        grad=True,
        tol=8,
        bad=((lambda f: f(mx.zeros((8,)), **ROPE), ValueError, ""),),
    ),
    Row(
        "fast.scaled_dot_product_attention",
        attention,
        (Arg(), Arg(), Arg()),
        (
            ((1, 4, 5, 8), (1, 2, 5, 8), (1, 2, 5, 8)),
            ((2, 2, 1, 8), (2, 2, 7, 8), (2, 2, 7, 8)),
            ((1, 1, 40, 64), (1, 1, 70, 64), (1, 1, 70, 64)),
        ),
        ({"scale": 0.25}, {"scale": 0.25, "mask": "causal"}),
        dtypes=FLOATS,
        grad=True,
        tol=16,
        bad=(
            (
                lambda f: f(
                    mx.zeros((1, 3, 5, 8)), mx.zeros((1, 2, 5, 8)), mx.zeros((1, 2, 5, 8)), scale=1
                ),
                ValueError,
                "3 2",
            ),
            (lambda f: f(mx.zeros(3), mx.zeros(3), mx.zeros(3), scale=1.0), ValueError, ""),
        ),
    ),
]
