"""Loading and saving through the Python side: paths, file objects, npz archives."""

import io

import mlx.core as mx
import numpy as np
import pytest


def test_npy_paths_and_objects(tmp_path):
    a = mx.array([[1, 2], [3, 4]], mx.int16)
    mx.save(str(tmp_path / "a"), a)
    mx.save(tmp_path / "b.npy", a)
    for path in (tmp_path / "a.npy", str(tmp_path / "b.npy")):
        assert mx.array_equal(mx.load(path), a)
        np.testing.assert_array_equal(np.load(path), np.array(a))
    f = io.BytesIO()
    mx.save(f, a)
    f.seek(0)
    b = mx.load(f, format="npy")
    f.close()
    assert b.tolist() == a.tolist() and b.dtype == a.dtype


def test_npz(tmp_path):
    a, b = mx.arange(3), mx.ones((2, 2))
    for save in (mx.savez, mx.savez_compressed):
        save(tmp_path / "z", a, named=b)
        got = mx.load(str(tmp_path / "z.npz"))
        assert sorted(got) == ["arr_0", "named"]
        assert mx.array_equal(got["arr_0"], a) and mx.array_equal(got["named"], b)
        want = np.load(tmp_path / "z.npz")
        np.testing.assert_array_equal(want["named"], np.array(b))
    f = io.BytesIO()
    mx.savez(f, a)
    f.seek(0)
    assert mx.load(f, format="npz")["arr_0"].tolist() == [0, 1, 2]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["z.npz"]  # nothing temporary is left
    with pytest.raises(ValueError):
        mx.savez(tmp_path / "y", a, arr_0=b)


def test_failed_npz_keeps_the_old_file(tmp_path):
    mx.savez(tmp_path / "z.npz", mx.arange(3))
    with pytest.raises(ValueError):
        mx.savez(tmp_path / "z.npz", "not an array")
    assert mx.load(tmp_path / "z.npz")["arr_0"].tolist() == [0, 1, 2]
    assert len(list(tmp_path.iterdir())) == 1


def test_safetensors(tmp_path):
    arrays = {"a": mx.arange(3), "b": mx.ones((2, 2), mx.bfloat16)}
    mx.save_safetensors(tmp_path / "s", arrays, {"k": "v"})
    got, meta = mx.load(tmp_path / "s.safetensors", return_metadata=True)
    assert meta == {"k": "v"} and set(got) == {"a", "b"}
    assert got["b"].dtype == mx.bfloat16 and mx.array_equal(got["a"], arrays["a"])
    f = io.BytesIO()
    mx.save_safetensors(f, arrays)
    f.seek(0)
    assert mx.array_equal(mx.load(f, format="safetensors")["b"], arrays["b"])


def test_gguf(tmp_path):
    arrays = {"a": mx.arange(4, dtype=mx.float32)}
    mx.save_gguf(tmp_path / "g", arrays, {"text": "v", "list": ["x", "y"], "n": mx.array(3)})
    got, meta = mx.load(tmp_path / "g.gguf", return_metadata=True)
    assert got["a"].tolist() == [0, 1, 2, 3]
    assert meta["text"] == "v" and meta["list"] == ["x", "y"] and meta["n"].item() == 3


def test_refusals(tmp_path):
    (tmp_path / "x.abc").write_bytes(b"123")
    for path in ("noextension", tmp_path / "x.abc"):
        with pytest.raises(ValueError):
            mx.load(path)
    with pytest.raises((RuntimeError, OSError)):
        mx.load("/nowhere/file.npy")
    with pytest.raises((RuntimeError, OSError)):
        mx.save("/nowhere/file.npy", mx.array(1))
    with pytest.raises(ValueError):
        mx.save(3, mx.array(1))
    with pytest.raises(ValueError):
        mx.load(tmp_path / "x.npz", return_metadata=True)
    with pytest.raises(TypeError):
        mx.save_safetensors(tmp_path / "s", {"a": 3})
    with pytest.raises((ValueError, RuntimeError)):
        mx.load(io.BytesIO(b"\x93NUMPY broken"), format="npy")
