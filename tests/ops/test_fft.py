"""mx.fft against scipy.fft in double, finite differences, loops."""

import math

import mlx.core as mx
import numpy as np
import pytest
import scipy.fft as sf

SIZES = [1, 2, 3, 4, 5, 7, 8, 11, 16, 31, 37, 60, 64, 97, 100, 128, 131, 133, 144, 243, 256, 257]
SIZES += [1000, 1021, 1024, 2048, 2187, 4096, 4099, 8192, 16807, 65536, 65537, 1 << 18]


def draw(shape, seed=0, kind=complex):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if kind is complex:
        return (x + 1j * rng.standard_normal(shape)).astype(np.complex64)
    return x.astype(np.float32)


def error(got, want):
    """Largest error as a part of the root mean square of what is wanted."""
    return np.abs(np.array(got) - want).max() / np.sqrt((np.abs(want) ** 2).mean())


@pytest.mark.parametrize("n", SIZES)
def test_lines_of_any_length(n):
    bound = 2e-7 * (2 + math.log2(n))
    for rows in (1, 3, 16, 19) if n < 5000 else (2,):
        x = draw((rows, n))
        exact = x.astype(np.complex128)
        assert error(mx.fft.fft(mx.array(x)), sf.fft(exact)) < bound
        assert error(mx.fft.ifft(mx.array(x)), sf.ifft(exact)) < bound
        r = x.real.copy()
        assert error(mx.fft.rfft(mx.array(r)), sf.rfft(r.astype(float))) < bound
        half = x[:, : n // 2 + 1]
        want = sf.irfft(half.astype(np.complex128), n)
        assert error(mx.fft.irfft(mx.array(half), n), want) < 2 * bound
        if n < 5000:
            assert error(mx.fft.fft(mx.array(x.T.copy()), axis=0).T, sf.fft(exact)) < bound
            got = mx.fft.rfft(mx.array(r.T.copy()), axis=0).T
            assert error(got, sf.rfft(r.astype(float))) < bound


@pytest.mark.parametrize("n", [64, 97, 1000, 1024, 65537])
def test_as_accurate_as_scipy_in_float32(n):
    x = draw((64 if n < 5000 else 2, n))
    exact = sf.fft(x.astype(np.complex128))

    def rms(y):
        return np.sqrt((np.abs(np.array(y) - exact) ** 2).mean())

    ours, theirs = rms(mx.fft.fft(mx.array(x))), rms(sf.fft(x))
    assert ours < 1.3 * theirs


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft"])
def test_one_axis_sizes_and_norms(name, norm):
    x = draw((5, 6, 7), kind=float if name == "rfft" else complex)
    for axis in (0, 1, 2, -2):
        for n in (None, 1, 4, 6, 9, 12):
            got = getattr(mx.fft, name)(mx.array(x), n, axis, norm)
            want = getattr(sf, name)(x, n, axis, norm)
            assert got.shape == want.shape
            assert str(want.dtype) in str(got.dtype)
            np.testing.assert_allclose(np.array(got), want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("name", ["fftn", "ifftn", "rfftn", "irfftn", "fft2", "rfft2", "irfft2"])
def test_many_axes(name, norm):
    x = draw((4, 5, 6), kind=float if name.startswith("rfft") else complex)
    ours, theirs = getattr(mx.fft, name), getattr(sf, name)
    a = mx.array(x)
    cases = [((3, 8), (0, 1)), ((6, 7), (2, 0)), (None, (1, 2)), (None, (2, 1))]
    for s, axes in cases:
        got, want = ours(a, s, axes, norm), theirs(x, s, axes, norm)
        assert got.shape == want.shape
        np.testing.assert_allclose(np.array(got), want, rtol=1e-4, atol=2e-5)
    np.testing.assert_allclose(
        np.array(ours(a, norm=norm)), theirs(x, norm=norm), rtol=1e-4, atol=2e-5
    )


def test_inner_axes_of_every_width():
    for inner in (1, 2, 3, 7, 8, 15, 16, 17, 33):
        for n in (6, 37, 64):
            x = draw((3, n, inner))
            got = mx.fft.fft(mx.array(x), axis=1)
            assert error(got, sf.fft(x.astype(np.complex128), axis=1)) < 1e-6
    x = draw((2, 4500, 3))
    assert error(mx.fft.fft(mx.array(x), axis=1), sf.fft(x.astype(complex), axis=1)) < 2e-6


DTYPES = ["bool_", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]
DTYPES += ["float16", "bfloat16"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_are_promoted(dtype):
    a = mx.array([1, 0, 1, 1]).astype(getattr(mx, dtype))
    x = np.array([1, 0, 1, 1.0])
    assert mx.fft.fft(a).dtype == mx.complex64
    assert mx.fft.irfft(a).dtype == mx.float32
    np.testing.assert_allclose(np.array(mx.fft.fft(a)), sf.fft(x), atol=1e-6)
    np.testing.assert_allclose(np.array(mx.fft.rfft(a)), sf.rfft(x), atol=1e-6)
    np.testing.assert_allclose(np.array(mx.fft.irfft(a)), sf.irfft(x), atol=1e-6)


def test_float64_is_computed_in_double():
    # A large constant beside small values: float32 would lose them.
    x = 1e6 + np.random.default_rng(0).standard_normal((3, 1000))
    a = mx.array(x, mx.float64)
    got = np.array(mx.fft.rfft(a))[:, 1:]
    np.testing.assert_allclose(got, sf.rfft(x)[:, 1:], rtol=1e-5, atol=1e-6)
    got = np.array(mx.fft.fftn(a))[1:, 1:]
    np.testing.assert_allclose(got, sf.fftn(x)[1:, 1:], rtol=1e-5, atol=1e-6)
    back = mx.fft.irfft(a, 1998)
    assert back.dtype == mx.float64
    np.testing.assert_allclose(np.array(back), sf.irfft(x, 1998), rtol=1e-12, atol=1e-9)


def test_layouts():
    x = draw((6, 8, 10))
    a = mx.array(x)
    for ours, theirs in [
        (a[::2, ::-1], x[::2, ::-1]),
        (a.transpose(2, 0, 1), x.transpose(2, 0, 1)),
        (mx.broadcast_to(a[:1], (4, 8, 10)), np.broadcast_to(x[:1], (4, 8, 10))),
    ]:
        for axis in (0, 1, 2):
            want = sf.fft(theirs, axis=axis)
            np.testing.assert_allclose(
                np.array(mx.fft.fft(ours, axis=axis)), want, rtol=1e-4, atol=1e-5
            )
    np.testing.assert_array_equal(np.array(a), x)


def test_a_row_does_not_touch_its_neighbours():
    x = draw((16, 64), kind=float)
    clean = np.array(mx.fft.rfft(mx.array(x)))
    x[3, 5] = np.nan
    got = np.array(mx.fft.rfft(mx.array(x)))
    assert np.isnan(got[3]).all()
    keep = np.arange(16) != 3
    np.testing.assert_array_equal(got[keep], clean[keep])


def test_empty():
    assert mx.fft.fft(mx.zeros((0, 3))).shape == (0, 3)
    assert mx.fft.rfft(mx.zeros((0, 6))).shape == (0, 4)
    assert mx.fft.irfft(mx.zeros((0, 4))).shape == (0, 6)
    assert mx.fft.fft(mx.zeros((0, 3)), n=4, axis=0).tolist() == [[0] * 3] * 4
    assert mx.fft.fftshift(mx.zeros((0,))).shape == (0,)
    a = mx.array([1.0, 2.0])
    assert mx.fft.fftn(a, axes=()).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "call, error_type, words",
    [
        (lambda a: mx.fft.fft(a, n=0), ValueError, ["fftn", "Invalid FFT output size", "(0)"]),
        (lambda a: mx.fft.fft(a, n=-1), ValueError, ["(-1)"]),
        (lambda a: mx.fft.fft(a, axis=2), IndexError, ["Axis 2", "2 dimensions"]),
        (lambda a: mx.fft.fft(mx.array(1.0)), IndexError, ["0 dimensions"]),
        (lambda a: mx.fft.fft2(mx.ones(4)), IndexError, ["1 dimensions"]),
        (lambda a: mx.fft.fft(a, norm="x"), ValueError, ["Invalid norm", "ortho"]),
        (lambda a: mx.fft.fftn(a, s=(2,)), ValueError, ["`axes`", "`None`"]),
        (lambda a: mx.fft.fftn(a, s=(2,), axes=(0, 1)), ValueError, ["different sizes"]),
        (lambda a: mx.fft.rfftn(a, axes=(0, 0)), ValueError, ["Duplicated axis", "(0,0)"]),
        (lambda a: mx.fft.fftn(mx.array(1.0)), ValueError, ["at least one dimension"]),
        (lambda a: mx.fft.irfft(mx.zeros((1,))), ValueError, ["Invalid FFT output size"]),
        (lambda a: mx.fft.fft(a, n=3.0), TypeError, []),
        (lambda a: mx.fft.fft([1.0]), TypeError, []),
        (lambda a: mx.fft.fftshift(a, axes=3), IndexError, ["3", "2 dimensions"]),
        (lambda a: mx.fft.fftfreq(0), ValueError, ["`n`"]),
        (lambda a: mx.fft.rfftfreq(4, 0.0), ValueError, ["`d`"]),
        (lambda a: mx.fft.stft(a, n_fft=0), ValueError, ["n_fft must be positive"]),
        (lambda a: mx.fft.stft(a, n_fft=8, hop_length=0), ValueError, ["hop_length"]),
        (lambda a: mx.fft.stft(a, n_fft=8, win_length=9), ValueError, ["must not exceed n_fft"]),
        (lambda a: mx.fft.stft(a, 8, window=mx.ones((8, 1))), ValueError, ["one-dimensional"]),
        (lambda a: mx.fft.stft(a, 8, center=False), ValueError, ["too short"]),
        (lambda a: mx.fft.stft(a, 8, pad_mode="foo"), ValueError, ["foo"]),
        (lambda a: mx.fft.stft(mx.array(1.0), 8), ValueError, ["at least one dimension"]),
        (lambda a: mx.fft.istft(a[0]), ValueError, ["at least two dimensions"]),
        (lambda a: mx.fft.istft(a, length=-1), ValueError, ["length"]),
    ],
)
def test_refused(call, error_type, words):
    with pytest.raises(error_type) as e:
        mx.eval(call(mx.ones((4, 6))))
    for word in words:
        assert word in str(e.value)


def inner(a, b):
    """Real inner product of arrays of complex or real numbers."""
    a, b = np.array(a).astype(complex), np.array(b).astype(complex)
    return (a.real * b.real + a.imag * b.imag).sum()


@pytest.mark.parametrize("dtype", [mx.float32, mx.complex64, mx.float64])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "fftn", "rfftn", "irfftn"])
def test_derivatives(name, dtype):
    # A linear map: jvp is the map itself, and <jvp(t), c> = <t, vjp(c)> says the rest.
    for kw in [{}, {"s": (6, 5), "axes": (1, 0)}] if name.endswith("n") else [{}, {"n": 5}]:

        def fun(x, kw=kw):
            return getattr(mx.fft, name)(x, **kw)

        if name.startswith("rfft") and dtype == mx.complex64:
            continue
        x = mx.array(draw((4, 6), 1)) if dtype == mx.complex64 else None
        x = x if x is not None else mx.array(draw((4, 6), 1, float)).astype(dtype)
        t = mx.array(draw((4, 6), 2)) if dtype == mx.complex64 else x[::-1] * 0.5
        y, d = mx.jvp(fun, [x], [t])
        np.testing.assert_allclose(np.array(d[0]), np.array(fun(t)), rtol=1e-5, atol=1e-6)
        c = mx.array(draw(y[0].shape, 3)) if y[0].dtype == mx.complex64 else mx.cos(y[0])
        g = mx.vjp(fun, [x], [c])[1][0]
        assert g.dtype == dtype and g.shape == x.shape
        assert abs(inner(d[0], c) - inner(t, g)) < 1e-4 * (1 + abs(inner(t, g)))


def test_gradient_by_differences():
    x = draw((12,), kind=float)

    def loss(a):
        return (mx.abs(mx.fft.rfft(a)) ** 3).sum() + (mx.fft.irfft(a) ** 3).sum()

    g = np.array(mx.grad(loss)(mx.array(x)))

    def exact(v):
        return (np.abs(sf.rfft(v)) ** 3).sum() + (sf.irfft(v) ** 3).sum()

    for i in range(12):
        e = np.zeros(12)
        e[i] = 1e-5
        want = (exact(x.astype(float) + e) - exact(x.astype(float) - e)) / 2e-5
        assert abs(g[i] - want) < 1e-3 * (1 + abs(want))


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "fft2", "rfft2", "irfft2"])
def test_vmap(name):
    f = getattr(mx.fft, name)
    x = mx.array(draw((3, 4, 6), kind=float))
    for axis in (0, 1, 2):
        got = mx.vmap(f, in_axes=axis)(x)
        want = mx.stack([f(mx.take(x, i, axis=axis)) for i in range(x.shape[axis])])
        np.testing.assert_allclose(np.array(got), np.array(want), rtol=1e-5, atol=1e-5)


def test_frequencies_and_shifts():
    for n in (1, 2, 5, 8):
        np.testing.assert_allclose(np.array(mx.fft.fftfreq(n, 0.3)), sf.fftfreq(n, 0.3), rtol=1e-7)
        np.testing.assert_allclose(np.array(mx.fft.rfftfreq(n)), sf.rfftfreq(n), rtol=1e-7)
    x = np.arange(30).reshape(5, 6)
    for axes in (None, 0, (0, 1), -1):
        for name in ("fftshift", "ifftshift"):
            got = getattr(mx.fft, name)(mx.array(x), axes)
            np.testing.assert_array_equal(np.array(got), getattr(sf, name)(x, axes))


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("n_fft, hop, win", [(8, None, None), (8, 3, 5), (7, 2, None), (16, 4, 9)])
def test_stft_by_definition(n_fft, hop, win, center):
    x = draw((2, 40), kind=float)
    w = np.hanning(win + 2)[1:-1] if win else None
    got = mx.fft.stft(
        mx.array(x), n_fft, hop, window=None if w is None else mx.array(w), center=center
    )
    h = hop or n_fft // 4
    half = n_fft // 2
    padded = np.pad(x, ((0, 0), (half, half)), "reflect") if center else x
    window = np.zeros(n_fft)
    size = win or n_fft
    window[(n_fft - size) // 2 :][:size] = 1 if w is None else w
    starts = range(0, padded.shape[1] - n_fft + 1, h)
    want = np.stack([sf.rfft(padded[:, i : i + n_fft] * window) for i in starts], -1)
    np.testing.assert_allclose(np.array(got), want, rtol=1e-4, atol=1e-4)
    full = mx.fft.stft(mx.array(x), n_fft, h, center=center, onesided=False)
    assert full.shape[-2] == n_fft


def test_istft_undoes_stft():
    x = mx.array(draw((3, 64), kind=float))
    w = mx.array(np.hanning(18)[1:-1].astype(np.float32))
    for kw in ({}, {"hop_length": 5}, {"window": w}, {"norm": "ortho"}, {"window": w + 1j * w}):
        back = {**kw, "onesided": "window" not in kw or kw["window"].dtype != mx.complex64}
        s = mx.fft.stft(x, 16, **kw)
        got = mx.fft.istft(s, 16, length=64, **back)
        keep = (x.shape[1] // 5 - 2) * 5
        np.testing.assert_allclose(
            np.array(mx.real(got))[:, :keep], np.array(x)[:, :keep], atol=2e-5
        )
    assert mx.fft.istft(mx.fft.stft(x, 16), length=100).shape == (3, 100)
    assert mx.fft.istft(mx.fft.stft(x, 16), length=0).shape == (3, 0)
    g = mx.grad(lambda v: (mx.fft.istft(mx.fft.stft(v, 16)) ** 2).sum())(x)
    np.testing.assert_allclose(np.array(g), 2 * np.array(x), atol=1e-4)


def test_same_bits_again_and_in_compile():
    x = mx.array(draw((7, 1000)))
    first = np.array(mx.fft.fft(x))
    np.testing.assert_array_equal(np.array(mx.compile(mx.fft.fft)(x)), first)
    np.testing.assert_array_equal(np.array(mx.fft.fft(x)), first)
    np.testing.assert_array_equal(np.array(mx.fft.fft(x[2:3]))[0], first[2])
