"""Every block type of GGUF files: digests of what the gguf package reads from the same bytes."""

import hashlib
import struct

import mlx.core as mx
import numpy as np
import pytest

# name, number in the file, bytes of a block, where in it float16 numbers are, digest of the values
TYPES = [
    ("Q4_0", 2, 18, [0], "a153740ffa58cae9"),
    ("Q4_1", 3, 20, [0, 2], "8112e8b3dae16839"),
    ("Q5_0", 6, 22, [0], "6ba1cb19a11269ad"),
    ("Q5_1", 7, 24, [0, 2], "0a5ef8ee5fc6cee6"),
    ("Q8_0", 8, 34, [0], "d007ea7bd7d3f8fd"),
    ("Q2_K", 10, 84, [80, 82], "5b46ef8a24e13bad"),
    ("Q3_K", 11, 110, [108], "9c2dd1fd4e3e7b7b"),
    ("Q4_K", 12, 144, [0, 2], "08627611e16101ee"),
    ("Q5_K", 13, 176, [0, 2], "dcb0ce73c5e3ee8d"),
    ("Q6_K", 14, 210, [208], "41d4d41abea62d9b"),
]


def blocks(size, halves):
    i = np.arange(24 * size, dtype=np.int64)
    raw = ((i * i * 31 + i * 17 + i // 7) % 256).astype(np.uint8).reshape(24, size)
    for j, p in enumerate(halves):
        half = ((np.arange(24) - 11) / 8 + j).astype(np.float16)
        raw[:, p : p + 2] = half.view(np.uint8).reshape(24, 2)
    return raw.tobytes()


@pytest.mark.parametrize("name,number,size,halves,digest", TYPES)
def test_blocks_are_read_exactly(tmp_path, name, number, size, halves, digest):
    columns = 4 * (256 if name.endswith("K") else 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<Q", 8) + b"t.weight"
    head += struct.pack("<IQQIQ", 2, columns, 6, number, 0)
    head += b"\0" * (-len(head) % 32)
    path = tmp_path / "t.gguf"
    path.write_bytes(head + blocks(size, halves))
    got = mx.load(str(path))
    w = got["t.weight"]
    if w.dtype == mx.uint32:
        s, b = (got["t." + k].astype(mx.float32) for k in ("scales", "biases"))
        w = mx.dequantize(w, s, b, group_size=32, bits=8 if name == "Q8_0" else 4)
    # The sum makes zeros positive: the package has negative ones where a scale is.
    values = np.array(w).astype(np.float16).astype(np.float32) + np.float32(0)
    assert values.shape == (6, columns)
    assert hashlib.sha256(values.tobytes()).hexdigest()[:16] == digest
