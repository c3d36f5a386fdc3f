"""Rows of what moves elements or names shapes, without looking at their values."""

import mlx.core as mx
import numpy as np
from row import Arg, Row, always

ANY = Arg()
AXIS_BAD = (
    (lambda f: f(mx.zeros((2, 3)), 2), IndexError, "2"),
    (lambda f: f(mx.zeros((2, 3)), "a"), TypeError, ""),
)


def shape(name, oracle, shapes=((3, 4),), kw=({},), args=(ANY,), **more):
    """shapes: of the single argument; the first one goes everywhere."""
    more.setdefault("grad", True)
    shapes = [s if isinstance(s[0] if s else 0, tuple) else (s,) for s in shapes]
    return Row(name, oracle, args, shapes, kw, **more)


def pair(name, oracle, shapes, **more):
    return Row(name, oracle, (Arg(), Arg()), shapes, grad=True, **more)


def as_strided(x, shape, strides, offset):
    flat = np.ascontiguousarray(x).ravel()[offset:]
    size = x.itemsize
    return np.lib.stride_tricks.as_strided(flat, shape, [s * size for s in strides]).copy()


def pad(x, pad_width, mode="constant", **kw):
    return np.pad(x, pad_width, mode, **kw)


def unflatten(x, axis, shape):
    axis %= x.ndim
    return x.reshape(x.shape[:axis] + tuple(shape) + x.shape[axis + 1 :])


def flatten(x, start_axis=0, end_axis=-1):
    if x.ndim == 0:
        return x.reshape(1)
    start, end = start_axis % x.ndim, end_axis % x.ndim
    return x.reshape(x.shape[:start] + (-1,) + x.shape[end + 1 :])


def slice_(x, start, axes, slice_size):
    where = [slice(None)] * x.ndim
    for s, axis in zip(np.atleast_1d(start), axes):
        where[axis] = slice(int(s), int(s) + slice_size[axis])
    return x[tuple(where)]


def slice_update(x, update, start, axes):
    out = x.copy()
    where = [slice(0, n) for n in update.shape]
    for s, axis in zip(np.atleast_1d(start), axes):
        where[axis] = slice(int(s), int(s) + update.shape[axis])
    out[tuple(where)] = update
    return out


def meshgrid(a, b, **kw):
    return list(np.meshgrid(a, b, **kw))


def joined(f):
    return lambda a, b, **kw: f([a, b], **kw)


MATRIX = ((3, 4), (2, 3, 4), (0, 3))
CUBE = ((2, 3, 4), (1, 0, 2), (5, 1, 3))
JOIN = (((3, 4), (2, 4)), ((0, 4), (2, 4)), ((1, 0), (2, 0)))
STACK = (((3, 4), (3, 4)), ((0, 4), (0, 4)), ((), ()))
START = Arg(kind="int32", ints=(0, 2), diff=False)

ROWS = [
    shape(
        "as_strided",
        as_strided,
        kw=(
            {"shape": (2, 3), "strides": (4, 1), "offset": 1},
            {"shape": (3, 3), "strides": (1, 2), "offset": 0},
        ),
        bad=((lambda f: f(mx.zeros(4), (3,), (2,)), ValueError, ""),),
    ),
    shape("atleast_1d", np.atleast_1d, ((), (3,), (2, 3))),
    shape("atleast_2d", np.atleast_2d, ((), (3,), (2, 3), (2, 3, 4))),
    shape("atleast_3d", np.atleast_3d, ((3,), (), (2, 3), (2, 3, 4))),
    pair(
        "broadcast_arrays",
        lambda a, b: list(np.broadcast_arrays(a, b)),
        (((3, 1), (4,)), ((), (2,))),
        bad=((lambda f: f(mx.zeros(2), mx.zeros(3)), ValueError, "(2) (3)"),),
    ),
    shape(
        "broadcast_to",
        lambda x, shape: np.broadcast_to(x, shape),
        ((3, 1), (1,), ()),
        ({"shape": (2, 3, 4)},),
        bad=(
            (lambda f: f(mx.zeros(2), (3,)), ValueError, "(2) (3)"),
            (lambda f: f(mx.zeros(2), "a"), TypeError, ""),
        ),
    ),
    pair(
        "concatenate",
        joined(np.concatenate),
        JOIN,
        call=lambda a, b, **kw: mx.concatenate([a, b], **kw),
        bad=(
            (lambda f: f([mx.zeros((2, 3)), mx.zeros((2, 4))]), ValueError, "(2,3) (2,4)"),
            (lambda f: f([]), ValueError, ""),
            (lambda f: f([mx.zeros(2)], 1), IndexError, "1"),
        ),
    ),
    pair(
        "concat",
        joined(np.concatenate),
        (((3, 4), (3, 2)),),
        kw=({"axis": 1}, {"axis": None}),
        call=lambda a, b, **kw: mx.concat([a, b], **kw),
    ),
    shape("contiguous", lambda x, **kw: x, kw=({}, {"allow_col_major": True})),
    shape("diag", np.diag, ((3, 4), (4,)), ({}, {"k": 1}, {"k": -2})),
    shape(
        "diagonal",
        lambda x, **kw: np.diagonal(x, **kw),
        ((3, 4, 2), (2, 2, 2)),
        ({}, {"offset": 1}, {"axis1": 2, "axis2": 0, "offset": -1}),
        bad=((lambda f: f(mx.zeros(3)), ValueError, ""),),
    ),
    shape(
        "expand_dims",
        lambda x, axis: np.expand_dims(x, axis),
        ((3, 4), (0,)),
        ({"axis": 0}, {"axis": -1}, {"axis": (0, 2)}),
        bad=((lambda f: f(mx.zeros(3), (0, 0)), ValueError, ""),),
    ),
    shape("flatten", flatten, ((3, 4), (2, 3, 4), ()), ({}, {"start_axis": -1})),
    shape("flip", np.flip, kw=({}, {"axis": 0}, {"axis": (0, 1)}), shapes=MATRIX, bad=AXIS_BAD),
    shape("matrix_transpose", np.matrix_transpose, MATRIX),
    pair("meshgrid", meshgrid, (((3,), (4,)),), kw=({}, {"indexing": "ij"}, {"sparse": True})),
    shape(
        "moveaxis",
        lambda x, source, destination: np.moveaxis(x, source, destination),
        CUBE,
        ({"source": 0, "destination": -1}, {"source": 2, "destination": 0}),
        bad=((lambda f: f(mx.zeros((2, 3)), 2, 0), IndexError, "2"),),
    ),
    shape(
        "pad",
        pad,
        MATRIX[:1] + ((0, 3), (1, 2)),
        ({"pad_width": 1}, {"pad_width": ((0, 2), (1, 0))}, {"pad_width": 1, "constant_values": 1}),
        bad=(
            (lambda f: f(mx.zeros(3), -1), ValueError, ""),
            (lambda f: f(mx.zeros(3), 1, mode="none"), ValueError, ""),
            (lambda f: f(mx.zeros(3), [(1, 1), (1, 1)]), ValueError, ""),
        ),
    ),
    shape("pad/edge", pad, ((3, 4), (1, 2)), ({"pad_width": ((1, 2), (0, 3)), "mode": "edge"},)),
    shape("pad/reflect", pad, ((3, 4), (2, 5)), ({"pad_width": 1, "mode": "reflect"},)),
    shape("pad/symmetric", pad, ((3, 4), (2, 5)), ({"pad_width": 2, "mode": "symmetric"},)),
    shape("repeat", np.repeat, MATRIX, ({"repeats": 2}, {"repeats": 3, "axis": -1})),
    shape(
        "reshape",
        lambda x, shape: x.reshape(shape),
        ((3, 4), (2, 6)),
        ({"shape": (2, -1)}, {"shape": (4, 3)}),
        bad=(
            (lambda f: f(mx.zeros(4), (3,)), ValueError, "4 (3)"),
            (lambda f: f(mx.zeros(4), (-1, -1)), ValueError, ""),
        ),
    ),
    shape(
        "roll",
        lambda x, shift, axis=None: np.roll(x, shift, axis),
        MATRIX,
        ({"shift": 1}, {"shift": -2, "axis": 0}, {"shift": (1, 2), "axis": (0, 1)}),
        call=lambda x, shift, axis=None: mx.roll(x, shift, axis),
    ),
    shape(
        "slice",
        slice_,
        ((((3, 4), (2,))),),
        ({"axes": (0, 1), "slice_size": (2, 2)},),
        (Arg(), START),
        bad=(
            (lambda f: f(mx.zeros(3), mx.array([1]), [0], [3]), IndexError, ""),
            (lambda f: f(mx.zeros(3), mx.array([0]), [1], [2]), IndexError, ""),
        ),
    ),
    shape(
        "slice_update",
        slice_update,
        (((3, 4), (2, 2), (2,)),),
        ({"axes": (0, 1)},),
        (Arg(), Arg(), START),
        bad=((lambda f: f(mx.zeros(3), mx.ones(3), mx.array([1]), [0]), IndexError, ""),),
    ),
    shape(
        "split",
        lambda x, indices_or_sections, axis=0: np.split(x, indices_or_sections, axis),
        ((6, 4), (0, 2)),
        ({"indices_or_sections": 2}, {"indices_or_sections": (1, 3), "axis": 1}),
        bad=((lambda f: f(mx.zeros(4), 3), ValueError, "3"),),
    ),
    shape(
        "squeeze",
        np.squeeze,
        ((1, 3, 1), (1, 0, 1)),
        ({}, {"axis": 0}, {"axis": (0, -1)}),
        vmap=True,
        bad=((lambda f: f(mx.zeros((2, 1)), 0), ValueError, "0 2"),),
    ),
    pair(
        "stack",
        joined(np.stack),
        STACK,
        call=lambda a, b, **kw: mx.stack([a, b], **kw),
        bad=((lambda f: f([mx.zeros(2), mx.zeros(3)]), ValueError, ""),),
    ),
    pair(
        "stack/axis",
        joined(np.stack),
        STACK[:2],
        kw=({"axis": 1}, {"axis": -1}),
        call=lambda a, b, **kw: mx.stack([a, b], **kw),
    ),
    shape(
        "swapaxes",
        lambda x, axis1, axis2: np.swapaxes(x, axis1, axis2),
        CUBE,
        ({"axis1": 0, "axis2": -1},),
        bad=((lambda f: f(mx.zeros(2), 0, 1), IndexError, "1"),),
    ),
    shape(
        "tile",
        lambda x, reps: np.tile(x, reps),
        MATRIX,
        ({"reps": 2}, {"reps": (2, 1, 3)}),
        call=lambda x, reps: mx.tile(x, reps),
    ),
    shape(
        "transpose",
        np.transpose,
        MATRIX,
        bad=((lambda f: f(mx.zeros((2, 3)), (0, 0)), ValueError, ""),),
    ),
    shape(
        "permute_dims",
        lambda x, axes: np.transpose(x, axes),
        CUBE,
        ({"axes": (2, 0, 1)}, {"axes": (0, -1, 1)}),
    ),
    shape("tril", np.tril, MATRIX[:2], ({}, {"k": 1}, {"k": -1})),
    shape("triu", np.triu, MATRIX[:2], ({}, {"k": 1}, {"k": -1})),
    shape(
        "unflatten",
        unflatten,
        ((6, 4), (6,)),
        ({"axis": 0, "shape": (2, 3)}, {"axis": 0, "shape": (-1, 2)}),
        bad=((lambda f: f(mx.zeros(6), 0, (4, 2)), ValueError, ""),),
    ),
    shape(
        "unstack",
        lambda x, axis=0: list(np.moveaxis(x, axis, 0)),
        ((3, 4), (2, 2)),
        ({}, {"axis": 1}),
    ),
    shape(
        "view",
        lambda x: (
            np.asarray(x, np.float32).view(np.uint32) if x.dtype.kind == "f" else x.view(np.uint32)
        ),
        dtypes=("float32", "int32", "uint32"),
        grad=False,
        call=lambda x: mx.view(x, mx.uint32),
        gives=always("uint32"),
    ),
    pair("depends", lambda a, b: a, (((3, 4), (2,)),), call=lambda a, b: mx.depends([a], [b])),
]
