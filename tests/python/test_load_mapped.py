"""Files given as objects: those of the disk are mapped, and read when values are asked for."""

import gzip
import io

import mlx.core as mx
import numpy as np
import pytest


def arrays():
    return {"a": mx.arange(12).reshape(3, 4), "b": mx.array([1.5, -2.0], mx.float16)}


@pytest.mark.parametrize("buffering", [-1, 0])
def test_safetensors(tmp_path, buffering):
    mx.save_safetensors(str(tmp_path / "x.safetensors"), arrays())
    with open(tmp_path / "x.safetensors", "rb", buffering=buffering) as f:
        got = mx.load(f, format="safetensors")
    for name, a in arrays().items():
        assert got[name].dtype == a.dtype
        assert mx.array_equal(got[name], a)


def test_a_large_file_takes_no_memory_until_it_is_used(tmp_path):
    path = tmp_path / "x.npy"
    mx.save(str(path), mx.zeros(1 << 22))
    before = mx.get_active_memory()
    with open(path, "rb") as f:
        a = mx.load(f, format="npy")
    mx.eval(a)
    assert mx.get_active_memory() - before < 1 << 20
    assert mx.sum(a).item() == 0


def test_arrays_one_behind_the_other(tmp_path):
    path = tmp_path / "x.bin"
    with open(path, "wb") as f:
        f.write(b"abc")  # what follows is not aligned
        np.save(f, np.arange(5, dtype=np.int32))
        np.save(f, np.arange(6.0).reshape(2, 3).T)
        mx.save_safetensors(f, arrays())
    with open(path, "rb") as f:
        assert f.read(3) == b"abc"
        first = mx.load(f, format="npy")
        second = mx.load(f, format="npy")
        third = mx.load(f, format="safetensors")
        assert f.read() == b""
    assert first.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(np.array(second), np.arange(6.0).reshape(2, 3).T)
    assert mx.array_equal(third["a"], arrays()["a"])


def test_files_that_are_not_mapped(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.arange(4))
    packed = tmp_path / "x.npy.gz"
    packed.write_bytes(gzip.compress(buffer.getvalue()))
    with gzip.open(packed) as f:
        assert mx.load(f, format="npy").tolist() == [0, 1, 2, 3]
    with open(tmp_path / "y", "w+b") as f:  # may change behind the array's back
        f.write(buffer.getvalue())
        f.seek(0)
        a = mx.load(f, format="npy")
        f.seek(0)
        f.write(b"\0" * len(buffer.getvalue()))
    assert a.tolist() == [0, 1, 2, 3]


def test_truncated(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.arange(1000))
    path.write_bytes(path.read_bytes()[:500])
    with open(path, "rb") as f, pytest.raises(RuntimeError, match="ends inside"):
        mx.load(f, format="npy")
    path.write_bytes(b"")
    with open(path, "rb") as f, pytest.raises(RuntimeError):
        mx.load(f, format="npy")
