"""gather_mm, gather_qmm, gather_qqmm, block_masked_mm, segmented_mm: against loops of products."""

import itertools

import mlx.core as mx
import numpy as np
import pytest

FLOATS = {"float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2, "float64": 1e-12}


def random(shape, seed=0, dtype="float32"):
    a = np.random.default_rng(seed).standard_normal(shape)
    return mx.array(a.astype(np.float64 if dtype == "float64" else np.float32)).astype(
        getattr(mx, dtype)
    )


def wide(a):
    return np.array(a if a.dtype == mx.float64 else a.astype(mx.float32)).astype(np.float64)


def close(a, b, tol=1e-5):
    b = np.asarray(b)
    assert tuple(a.shape) == b.shape
    np.testing.assert_allclose(wide(a), b, rtol=tol, atol=tol * max(1.0, np.abs(b).max(initial=0)))


def check_grads(f, args, eps=1e-6, tol=1e-6):
    """vjp and jvp of f (float64 arguments) against differences in a random direction."""
    rng = np.random.default_rng(5)
    tangents = [mx.array(rng.standard_normal(a.shape), mx.float64) for a in args]
    g = mx.array(rng.standard_normal(f(*args).shape), mx.float64)
    up = f(*(a + eps * t for a, t in zip(args, tangents, strict=True)))
    down = f(*(a - eps * t for a, t in zip(args, tangents, strict=True)))
    want = (wide(up) - wide(down)) / (2 * eps)
    _, (t,) = mx.jvp(f, args, tangents)
    close(t, want, tol)
    _, grads = mx.vjp(f, args, [g])
    got = sum((wide(a) * wide(t)).sum() for a, t in zip(grads, tangents, strict=True))
    np.testing.assert_allclose(got, (want * wide(g)).sum(), rtol=tol, atol=tol)


def loop(a, b, lhs, rhs):
    """The definition, in float64; a and b have one batch axis."""
    lhs, rhs = np.broadcast_arrays(np.array(lhs), np.array(rhs))
    out = np.zeros((lhs.size, a.shape[-2], b.shape[-1]))
    for i, (x, y) in enumerate(zip(lhs.flat, rhs.flat, strict=True)):
        out[i] = a[x] @ b[y]
    return out.reshape(*lhs.shape, *out.shape[1:])


# ---- gather_mm


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("m", [1, 3, 70])
def test_gather_mm(dtype, m):
    with mx.stream(mx.cpu):
        a, b = random((9, m, 33), 1, dtype), random((4, 33, 20), 2, dtype)
        rng = np.random.default_rng(3)
        rhs = rng.integers(0, 4, 9)
        for lhs, r, is_sorted in (
            (None, rhs, False),
            (None, np.sort(rhs), True),
            (rng.permutation(9), rhs, False),
            (np.zeros(9, int), np.sort(rhs), True),
            (np.arange(9)[::-1], np.zeros(9, int), True),
            (np.arange(3)[:, None], np.arange(4)[None], False),
            (np.arange(0), np.arange(0), False),
            (np.array(2), np.array(-1), False),
        ):
            want = loop(wide(a), wide(b), np.arange(9) if lhs is None else lhs, r)
            ix = [None if i is None else mx.array(i.astype(np.int32)) for i in (lhs, r)]
            got = mx.gather_mm(a, b, *ix, sorted_indices=is_sorted)
            assert got.dtype == a.dtype
            close(got, want, FLOATS[dtype])
            turned = mx.gather_mm(
                a.swapaxes(-1, -2).reshape(9, 33, m).swapaxes(-1, -2),
                b.swapaxes(0, 2)[:, ::-1][:, ::-1].swapaxes(0, 2),
                *ix,
            )
            close(turned, want, FLOATS[dtype])


def test_gather_mm_shapes():
    a, b = random((2, 3, 4, 5)), random((2, 5, 6), 1)
    flat = wide(a).reshape(6, 4, 5)
    got = mx.gather_mm(a, b, mx.array([5, 0]), mx.array([0, 1]))
    close(got, loop(flat, wide(b), [5, 0], [0, 1]))
    close(mx.gather_mm(a[0, 0, 0], b, None, mx.array([1])), wide(a[0, 0, 0]) @ wide(b[1])[None])
    close(mx.gather_mm(a, b[0, :, 0], mx.array([4]), None), flat[4:5] @ wide(b[0, :, 0]))
    close(mx.gather_mm(a[0, :2], b), wide(a[0, :2]) @ wide(b))
    assert mx.gather_mm(a, b.astype(mx.float16), mx.array([0]), mx.array([0])).dtype == mx.float32
    assert mx.gather_mm(mx.zeros((2, 3, 0)), mx.zeros((2, 0, 4)), mx.array([1, 1])).sum() == 0
    assert mx.gather_mm(mx.zeros((2, 0, 3)), mx.zeros((2, 3, 4)), mx.array([1, 1])).size == 0


def test_gather_mm_errors():
    a, b, i = random((3, 2, 5)), random((4, 5, 6)), mx.array([0, 1])
    for call, error, words in (
        (lambda: mx.gather_mm(a, b[:, :3], i, i), ValueError, r"gather_mm.*3.*must match"),
        (lambda: mx.gather_mm(a, b, i.astype(mx.float32), i), ValueError, "integral"),
        (lambda: mx.gather_mm(a, b, i, i > 0), ValueError, "integral"),
        (lambda: mx.gather_mm(a, b, i, mx.array([0, 1, 2])), ValueError, "broadcast"),
        (lambda: mx.gather_mm(a.astype(mx.int32), b.astype(mx.int32), i), ValueError, "int32"),
        (lambda: mx.gather_mm(mx.array(1.0), b, i), ValueError, "0 dimension"),
        (lambda: mx.eval(mx.gather_mm(a, b, mx.array([3]), i[:1])), IndexError, "3.*bounds"),
    ):
        with pytest.raises(error, match=words):
            call()


def test_gather_mm_transforms():
    with mx.stream(mx.cpu):
        a, b = random((5, 2, 3), 1, "float64"), random((4, 3, 6), 2, "float64")
        lhs, rhs = mx.array([[0, 4, 4], [-1, 2, 0]]), mx.array([1, 3, 1])
        check_grads(lambda a, b: mx.gather_mm(a, b, lhs, rhs), [a, b])
        check_grads(lambda a: mx.gather_mm(a, b[:, :, :1], None, mx.arange(5) % 4), [a])
        second = mx.grad(lambda a, b: (mx.gather_mm(a, b, lhs, rhs) ** 2).sum(), argnums=(0, 1))
        check_grads(lambda a, b: second(a, b)[1], [a, b], tol=1e-5)
        As, Bs = random((3, 5, 2, 3), 3, "float64"), random((4, 3, 6, 3), 4, "float64")
        ls, rs = mx.array([[0, 1], [4, -1], [2, 2]]), mx.array([[3, 0, 1], [-1, 0, 2]])
        axes = ((0, None), (3, None), (0, None), (1, None))
        for choice in itertools.product(*axes):
            if all(c is None for c in choice):
                continue
            args = [v for v in (As, Bs, ls, rs)]
            full = (0, 3, 0, 1)
            args = [
                v if c is not None else (mx.take(v, 0, axis=x))
                for v, c, x in zip(args, choice, full, strict=True)
            ]
            got = mx.vmap(mx.gather_mm, in_axes=choice)(*args)
            for i in range(3):
                one = [
                    mx.take(v, i, axis=c) if c is not None else v
                    for v, c in zip(args, choice, strict=True)
                ]
                close(got[i], wide(mx.gather_mm(*one)), 1e-12)


# ---- gather_qmm, gather_qqmm

MODES = [("affine", {"group_size": 32, "bits": b}) for b in (2, 4, 5, 8)]
MODES += [("affine", {}), ("mxfp4", {}), ("mxfp8", {}), ("nvfp4", {})]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("mode,extra", MODES)
def test_gather_qmm(mode, extra, dtype):
    kind = {"mode": mode, **extra}
    q = mx.quantize(random((4, 24, 64), 1), **kind)
    t = {} if mode == "affine" else {"dtype": mx.float32}
    w = wide(mx.dequantize(*q, **kind, **t))
    scales = [a.astype(getattr(mx, dtype)) if a.dtype == mx.float32 else a for a in q]
    w = w if dtype == "float32" else wide(mx.dequantize(*scales, **kind, **t))
    rng = np.random.default_rng(0)
    for m, transpose in itertools.product((1, 9), (True, False)):
        x = random((11, m, 64 if transpose else 24), 2, dtype)
        matrices = w.swapaxes(-1, -2) if transpose else w
        for lhs, rhs in (
            (None, rng.integers(0, 4, 11)),
            (None, np.sort(rng.integers(0, 4, 11))),
            (rng.integers(0, 11, (2, 5)), rng.integers(-4, 4, (2, 5))),
            (np.array([2]), None),
            (np.arange(0), np.arange(0)),
        ):
            want = loop(
                wide(x),
                matrices,
                np.arange(11) if lhs is None else lhs,
                np.arange(4) if rhs is None else rhs,
            )
            got = mx.gather_qmm(
                x,
                *scales,
                lhs_indices=None if lhs is None else mx.array(lhs.astype(np.int32)),
                rhs_indices=None if rhs is None else mx.array(rhs.astype(np.int32)),
                transpose=transpose,
                **kind,
            )
            assert got.dtype == x.dtype
            close(got, want, FLOATS[dtype] * 2)


def test_gather_qmm_gradients():
    q, s, b = mx.quantize(random((4, 8, 64), 1), group_size=32)
    lhs, rhs = mx.array([[0, 2], [2, 1]]), mx.array([3, 1])
    kind = {"group_size": 32}
    for transpose in (True, False):
        x = random((3, 2, 64 if transpose else 8), 2)

        def f(x, s, b, t=transpose):
            return mx.gather_qmm(x, q, s, b, lhs, rhs, transpose=t, **kind)

        def dense(x, s, b, t=transpose):
            w = mx.dequantize(q, s, b, **kind)
            return x[lhs] @ (w.swapaxes(-1, -2) if t else w)[rhs]

        g = random(f(x, s, b).shape, 3)
        for one, two in zip(
            mx.vjp(f, [x, s, b], [g])[1], mx.vjp(dense, [x, s, b], [g])[1], strict=True
        ):
            close(one, wide(two), 1e-4)
        t = [random(a.shape, 4) for a in (x, s, b)]
        close(mx.jvp(f, [x, s, b], t)[1][0], wide(mx.jvp(dense, [x, s, b], t)[1][0]), 1e-4)
        xs = random((3, *x.shape), 5)
        ss = mx.stack([s, s * 2, -s])
        for axes in ((0, None, None), (None, 0, None), (0, 0, None)):
            args = [a if n == 0 else a0 for a, a0, n in ((xs, x, axes[0]), (ss, s, axes[1]))]
            got = mx.vmap(f, in_axes=axes)(*args, b)
            for i in range(3):
                one = f(*(a[i] if n == 0 else a for a, n in zip(args, axes, strict=False)), b)
                close(got[i], wide(one), 1e-5)


def test_gather_qmm_global_scale_and_errors():
    w, x, r = random((3, 8, 32), 1), random((3, 2, 32), 2), mx.array([2, 0, 0])
    scales = mx.array([1.0, 3.0, 9.0])
    packed = [mx.quantize(w[i], mode="nvfp4", global_scale=scales[i]) for i in range(3)]
    q, s = (mx.stack(a) for a in zip(*packed, strict=True))
    d = [
        mx.dequantize(*p, mode="nvfp4", global_scale=scales[i], dtype=mx.float32)
        for i, p in enumerate(packed)
    ]
    got = mx.gather_qmm(x, q, s, rhs_indices=r, mode="nvfp4", global_scale=scales)
    close(got, wide(mx.stack([x[i] @ d[e].T for i, e in enumerate(r.tolist())])))
    for call, error, words in (
        (lambda: mx.gather_qmm(x[0, 0], q, s, mode="nvfp4"), ValueError, "two dimensions"),
        (
            lambda: mx.gather_qmm(x, q, s, mode="nvfp4", global_scale=scales[0]),
            ValueError,
            "expert",
        ),
        (lambda: mx.gather_qmm(x[..., :16], q, s, mode="nvfp4"), ValueError, "does not match"),
        (lambda: mx.gather_qmm(x, q, s, rhs_indices=x, mode="nvfp4"), ValueError, "integral"),
        (lambda: mx.gather_qmm(x, q, s), ValueError, "Biases"),
    ):
        with pytest.raises(error, match=words):
            call()
    with pytest.raises(IndexError, match="bounds"):
        mx.eval(mx.gather_qmm(x, q, s, rhs_indices=mx.array([7]), mode="nvfp4"))


@pytest.mark.parametrize("mode", ["mxfp4", "mxfp8", "nvfp4"])
def test_gather_qqmm(mode):
    x, w, lhs, rhs = random((5, 2, 64), 1), random((4, 8, 64), 2), [0, 4, 4], [3, 1, 3]
    back = lambda a: wide(mx.dequantize(*mx.quantize(a, mode=mode), mode=mode))
    want = loop(back(x), back(w).swapaxes(-1, -2), lhs, rhs)
    ix = mx.array(lhs), mx.array(rhs)
    for weight in ((w, None), mx.quantize(w, mode=mode)):
        close(mx.gather_qqmm(x, *weight, *ix, mode=mode), want)
    close(mx.gather_qqmm(x[:4], w, mode=mode)[1], (back(x)[1] @ back(w)[1].T))
    g = random(want.shape, 3)
    dx, dw = mx.vjp(lambda x, w: mx.gather_qqmm(x, w, None, *ix, mode=mode), [x, w], [g])[1]
    assert dx.shape == x.shape and dw.shape == w.shape and mx.abs(dw[2]).max() == 0
    close(dw[1], wide(g[1]).T @ back(x)[4])
    if mode == "nvfp4":
        gx, gw = mx.array(3.0), mx.array([1.0, 2.0, 3.0, 4.0])
        packed = [mx.quantize(w[i], mode=mode, global_scale=gw[i]) for i in range(4)]
        q = [mx.stack(a) for a in zip(*packed, strict=True)]
        one = mx.gather_qqmm(x, *q, *ix, mode=mode, global_scale_x=gx, global_scale_w=gw)
        two = mx.gather_qqmm(x, w, None, *ix, mode=mode, global_scale_x=gx, global_scale_w=gw)
        close(one, wide(two), 1e-4)
        with pytest.raises(ValueError, match="both"):
            mx.gather_qqmm(x, w, None, *ix, global_scale_x=gx)


# ---- block_masked_mm


def spread(mask, block, rows, cols):
    m = np.repeat(np.repeat(wide(mask), block, -2), block, -1)
    return m[..., :rows, :cols]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("block", [32, 64])
def test_block_masked_mm(dtype, block):
    m, k, n = 100, 70, 130
    with mx.stream(mx.cpu):
        a, b = random((2, m, k), 1, dtype), random((2, k, n), 2, dtype)
        grid = [-(-v // block) for v in (m, k, n)]
        shapes = [(2, grid[0], grid[2]), (2, grid[0], grid[1]), (2, grid[1], grid[2])]
        for kinds in itertools.product((None, "bool", "float"), repeat=3):
            masks, want = [], (wide(a), wide(b))
            full = [1.0, 1.0, 1.0]
            for i, kind in enumerate(kinds):
                if kind is None:
                    masks.append(None)
                    continue
                v = random(shapes[i], 10 + i, dtype)
                masks.append(v > 0 if kind == "bool" else v)
                rows, cols = ((m, n), (m, k), (k, n))[i]
                full[i] = spread(masks[-1], block, rows, cols)
            want = full[0] * ((wide(a) * full[1]) @ (wide(b) * full[2]))
            got = mx.block_masked_mm(a, b, block, *masks)
            assert got.dtype == a.dtype
            close(got, want, FLOATS[dtype] * 4)
        turned = mx.block_masked_mm(
            a.swapaxes(-1, -2).reshape(2, k, m).swapaxes(-1, -2), b, block, *masks
        )
        close(turned, want, FLOATS[dtype] * 4)


def test_block_masked_mm_edges():
    nan = mx.full((32, 32), float("nan"))
    assert mx.block_masked_mm(nan, nan, 32, mx.array([[False]])).sum() == 0
    assert mx.isnan(mx.block_masked_mm(nan, nan, 32, mx.array([[0.0]]))).all()
    assert mx.block_masked_mm(mx.ones((32,)), nan * 0 + 1, 32).shape == (32,)
    assert mx.block_masked_mm(mx.zeros((0, 32)), nan, 32, mx.zeros((0, 1))).shape == (0, 32)
    a = random((2, 33, 40))
    masks = mx.array([[1.0, 0.5], [2.0, 0.0]])
    got = mx.block_masked_mm(a, random((40, 33), 1), 32, None, masks)
    assert got.shape == (2, 33, 33)
    for call, words in (
        (lambda: mx.block_masked_mm(a, a, 32), "must match"),
        (lambda: mx.block_masked_mm(a, random((40, 33)), 32, mx.ones((3, 3))), "broadcast"),
        (lambda: mx.block_masked_mm(a, random((40, 33)), 0), "block_size"),
        (lambda: mx.block_masked_mm(a.astype(mx.int32), mx.ones((40, 3), mx.int32)), "int32"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_block_masked_mm_transforms():
    with mx.stream(mx.cpu):
        a, b = random((2, 5, 7), 1, "float64"), random((2, 7, 6), 2, "float64")
        o, p, q = (random(s, 3, "float64") for s in ((2, 2, 2), (2, 2, 2), (2, 2, 2)))
        check_grads(lambda *v: mx.block_masked_mm(v[0], v[1], 4, *v[2:]), [a, b, o, p, q])
        check_grads(lambda a, b: mx.block_masked_mm(a, b, 4, None, p > 0, q > 0), [a, b])
        check_grads(lambda a, o: mx.block_masked_mm(a, b, 4, o, p > 0), [a, o])
        for axes in itertools.product((0, None), repeat=5):
            if axes == (None,) * 5:
                continue
            full = [a, b, o, p, q]
            args = [v if x == 0 else v[0] for v, x in zip(full, axes, strict=True)]
            got = mx.vmap(lambda *v: mx.block_masked_mm(v[0], v[1], 4, *v[2:]), in_axes=axes)(*args)
            for i in range(2):
                one = [v[i] if x == 0 else v for v, x in zip(args, axes, strict=True)]
                close(got[i], wide(mx.block_masked_mm(one[0], one[1], 4, *one[2:])), 1e-12)


# ---- segmented_mm


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", [np.uint32, np.int32, np.int64])
def test_segmented_mm(dtype, kind):
    with mx.stream(mx.cpu):
        a, b = random((10, 100), 1, dtype), random((100, 12), 2, dtype)
        cuts = [[0, 10], [10, 40], [40, 100], [3, 3], [5, 2], [90, 200], [20, 50]]
        for s in (cuts, [cuts[:2], cuts[2:4]], cuts[1], np.zeros((0, 2)), cuts * 4):
            s = np.array(s).astype(kind)
            flat = s.reshape(-1, 2)
            want = np.zeros((len(flat), 10, 12))
            for i, (x, y) in enumerate(flat):
                want[i] = wide(a)[:, x:y] @ wide(b)[x:y]
            want = want.reshape(*s.shape[:-1], 10, 12)
            close(mx.segmented_mm(a, b, mx.array(s)), want, FLOATS[dtype])
            close(mx.segmented_mm(a.T.reshape(100, 10).T, b, mx.array(s)), want, FLOATS[dtype])


def test_segmented_mm_transforms_and_errors():
    with mx.stream(mx.cpu):
        a, b = random((3, 4, 9), 1, "float64"), random((3, 9, 5), 2, "float64")
        s = mx.array([[0, 4], [4, 9], [2, 6], [8, 20]])
        check_grads(lambda a, b: mx.segmented_mm(a, b, s), [a[0], b[0]])
        both = mx.grad(lambda a, b: (mx.segmented_mm(a, b, s) ** 2).sum(), argnums=(0, 1))
        check_grads(lambda a, b: both(a, b)[0], [a[0], b[0]], tol=1e-5)
        check_grads(lambda a, b: both(a, b)[1], [a[0], b[0]], tol=1e-5)
        ss = mx.stack([s, s + 1, s[::-1]])
        for f in (
            mx.segmented_mm,
            lambda a, b, s: mx.vjp(
                lambda b: mx.segmented_mm(a, b, s), [b], [mx.ones((4, 4, 5), mx.float64)]
            )[1][0],
        ):
            for axes in itertools.product((0, None), repeat=3):
                if axes == (None,) * 3:
                    continue
                args = [v if x == 0 else v[0] for v, x in zip((a, b, ss), axes, strict=True)]
                got = mx.vmap(f, in_axes=axes)(*args)
                for i in range(3):
                    one = [v[i] if x == 0 else v for v, x in zip(args, axes, strict=True)]
                    close(got[i], wide(f(*one)), 1e-12)
    a, b, s = random((3, 8)), random((8, 2)), mx.array([[0, 3]])
    for call, words in (
        (lambda: mx.segmented_mm(a[None], b[None], s), "2 dimensions"),
        (lambda: mx.segmented_mm(a, b[:4], s), "must match"),
        (lambda: mx.segmented_mm(a, b, s[:, :1]), r"\(\.\.\., 2\)"),
        (lambda: mx.segmented_mm(a, b, s.astype(mx.float32)), "integral"),
        (lambda: mx.segmented_mm(a.astype(mx.int32), b.astype(mx.int32), s), "int32"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
