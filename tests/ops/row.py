"""What a row of the table of cases says, and how its arrays are made.

A row names a public function, gives ranges and shapes of its array arguments, the keyword arguments to
try, and an oracle: the same function in NumPy. The oracle sees float16, bfloat16 and float32 values as
float64 (complex64 as complex128), so that its own rounding is far below the tolerance; integers and bool
as they are, so that wrapping is the same.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx
import numpy as np

BOOL = ("bool_",)
UINTS = ("uint8", "uint16", "uint32", "uint64")
INTS = ("int8", "int16", "int32", "int64")
FLOATS = ("float16", "bfloat16", "float32", "float64")
ALL = BOOL + UINTS + INTS + FLOATS + ("complex64",)
INTEGERS = UINTS + INTS
REAL = BOOL + INTEGERS + FLOATS
NUMBERS = INTEGERS + FLOATS + ("complex64",)
INEXACT = FLOATS + ("complex64",)

EPS = {"float16": 2**-10, "bfloat16": 2**-7, "float32": 2**-23, "float64": 2**-52}
EPS["complex64"] = EPS["float32"]


# ---- dtypes of results ----
def same(d: str) -> str:
    return d


def inexact(d: str) -> str:
    return d if d in INEXACT else "float32"


def boolean(d: str) -> str:
    return "bool_"


def index(d: str) -> str:
    return "uint32"


def real_part(d: str) -> str:
    return "float32" if d == "complex64" else d


def total(d: str) -> str:
    """Of sum and prod: small integers widen."""
    small = {"bool_": "int32", "int8": "int32", "int16": "int32"}
    return small.get(d, "uint32" if d in ("uint8", "uint16") else d)


def always(d: str) -> Callable[[str], str]:
    return lambda _: d


@dataclass(frozen=True)
class Arg:
    """One array argument: values in [low, high), integers in [ilow, ihigh), and what it is."""

    low: float = -2.0
    high: float = 2.0
    ints: tuple[int, int] = (-9, 10)
    # "data": of the dtype under test; a dtype's name: of that one, from ``ints``
    kind: str = "data"
    diff: bool = True
    make: Callable | None = None  # (rng, shape) -> float64 array, where a range does not do
    distinct: bool = False  # no two values alike, for what sorts


@dataclass(frozen=True)
class Row:
    name: str  # of the function, after "mlx.core."; "pad/edge" is a second row of pad
    oracle: Callable
    args: Sequence[Arg] = (Arg(),)
    shapes: Sequence[Sequence[tuple]] = (
        ((3, 4),),
        ((),),
        ((0, 3),),
    )  # the first one goes everywhere
    kw: Sequence[dict] = ({},)
    call: Callable | None = None  # where the function's own signature is not (*arrays, **kw)
    dtypes: Sequence[str] = ALL
    gives: Callable[[str], str] = same
    tol: float = 4  # in units of the result dtype's epsilon
    grad: bool = False  # smooth over the whole range of its arguments
    second: bool = True  # twice so
    vmap: bool = True
    traceable: bool = True  # False: looks at values, which a trace does not have
    edges: bool = False  # infinities, NaN and the ends of the range are compared too
    layouts: bool = True
    takes_dtype: bool = False  # the dtype under test is a keyword argument
    bad: Sequence[tuple] = ()  # (call, exception, words that its text holds)
    why: dict = field(default_factory=dict)  # column of docs/support.md -> why it is empty

    @property
    def function(self) -> str:
        return self.name.split("/")[0]

    def with_dtype(self, kw: dict, dtype: str) -> dict:
        return {**kw, "dtype": getattr(mx, dtype)} if self.takes_dtype else kw

    def f(self) -> Callable:
        if self.call is not None:
            return self.call
        f: Any = mx
        for part in self.function.split("."):
            f = getattr(f, part)
        return f


def name_of(dtype: mx.Dtype) -> str:
    name = str(dtype).removeprefix("mlx.core.")
    return "bool_" if name == "bool" else name


def rng_of(row: Row, extra: str = "") -> np.random.Generator:
    return np.random.default_rng(zlib.crc32((row.name + extra).encode()))


def numpy_dtype(d: str):
    return {"bool_": np.bool_, "bfloat16": np.float32}.get(d) or np.dtype(d)


def values(arg: Arg, shape: tuple, dtype: str, rng: np.random.Generator) -> np.ndarray:
    """Values of an argument, exact in dtype."""
    kind = dtype if arg.kind == "data" else arg.kind
    if arg.make is not None and kind in INEXACT:
        x = np.asarray(arg.make(rng, shape))
    elif arg.distinct and kind != "bool_":
        size = int(np.prod(shape))
        x = rng.permutation(size).reshape(shape) - (0 if kind in UINTS else size // 2)
        x = x * 0.25 if kind in INEXACT else x
    elif kind in INEXACT:
        x = rng.uniform(arg.low, arg.high, shape)
        if kind == "complex64":
            x = x + 1j * rng.uniform(-1, 1, shape)
    elif kind == "bool_":
        x = rng.integers(0, 2, shape).astype(bool)
    else:
        low, high = arg.ints
        x = rng.integers(max(low, 0) if kind in UINTS else low, high, shape)
    x = np.asarray(x)
    if kind == "bfloat16":  # cut to its 8 bits of precision
        bits = x.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
        return bits.view(np.float32)
    return x.astype(numpy_dtype(kind))


def to_mx(x: np.ndarray, arg: Arg, dtype: str) -> mx.array:
    return mx.array(np.ascontiguousarray(x).reshape(x.shape), getattr(mx, kind_of(arg, dtype)))


def kind_of(arg: Arg, dtype: str) -> str:
    return dtype if arg.kind == "data" else arg.kind


def for_oracle(x: np.ndarray, row: Row, arg: Arg, dtype: str) -> np.ndarray:
    kind = kind_of(arg, dtype)
    if kind in ("float16", "bfloat16", "float32"):
        return x.astype(np.float64)
    if kind == "complex64":
        return x.astype(np.complex128)
    if arg.kind == "data" and row.gives(dtype) in INEXACT and dtype not in INEXACT:
        return x.astype(np.float64)
    return x


def to_numpy(a: mx.array) -> np.ndarray:
    if a.dtype == mx.bfloat16:
        a = a.astype(mx.float32)
    return np.array(a)


def outputs(result) -> list:
    return list(result) if isinstance(result, (tuple, list)) else [result]


def compare(got: mx.array, want, row: Row, dtype: str, tol: float | None = None) -> None:
    want = np.asarray(want)
    assert got.shape == want.shape, f"{row.name}: shape {got.shape}, not {want.shape}"
    name = name_of(got.dtype)
    x = to_numpy(got)
    if name not in INEXACT:
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(x, want.astype(x.dtype), row.name)
        return
    # Half a unit of the result's own dtype, and the rounding of float32 sums on the way.
    eps = (row.tol if tol is None else tol) * EPS[name]
    with np.errstate(all="ignore"):
        rounded = want.astype(x.dtype) if name != "bfloat16" else want.astype(np.float32)
    np.testing.assert_allclose(x, rounded, eps, eps, err_msg=f"{row.name} {dtype}")


# ---- layouts: the same values lying differently in memory ----
def transposed(x, make):
    return x, mx.transpose(make(x.T))


def reversed_(x, make):
    flip = tuple(slice(None, None, -1) for _ in x.shape)
    return x, make(x[flip])[flip] if x.ndim else make(x)


def sliced(x, make):
    big = np.zeros([2 * n + 3 for n in x.shape], x.dtype)
    where = tuple(slice(2, 2 + 2 * n, 2) for n in x.shape)
    big[where] = x
    return x, make(big)[where] if x.ndim else make(x)


def broadcast(x, make):
    if x.ndim == 0 or x.shape[0] == 0:
        return x, make(x)
    return np.broadcast_to(x[:1], x.shape), mx.broadcast_to(make(x[:1]), x.shape)


LAYOUTS = {f.__name__.strip("_"): f for f in (transposed, reversed_, sliced, broadcast)}


def arrays(row: Row, dtype: str, shapes: Sequence[tuple], layout: str = "", seed: str = ""):
    """(NumPy values for the oracle, arrays) of a row's arguments."""
    rng = rng_of(row, dtype + seed)
    want, got = [], []
    for arg, shape in zip(row.args, shapes, strict=True):
        x = values(arg, shape, dtype, rng)
        if layout and arg.kind == "data":
            x, a = LAYOUTS[layout](x, lambda v, arg=arg: to_mx(v, arg, dtype))
        else:
            a = to_mx(x, arg, dtype)
        want.append(for_oracle(x, row, arg, dtype))
        got.append(a)
    return want, got


def expected(row: Row, want: list, kw: dict) -> list:
    with np.errstate(all="ignore"):
        return outputs(row.oracle(*want, **kw))
