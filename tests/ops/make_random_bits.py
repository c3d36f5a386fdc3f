"""Writes random_bits.json: what Apple's build draws for every case of the random rows of the table.

Run it with a Python that has that build: ``python tests/ops/make_random_bits.py``.
"""

import json

import mlx.core as mx
from row import arrays, to_numpy
from table_create import RANDOM, STORED, case


def main():
    found = {}
    for row in RANDOM:
        for dtype in row.dtypes:
            for kw in row.kw:
                (key,), (k,) = arrays(row, dtype, row.shapes[0])
                result = row.f()(k, **row.with_dtype(kw, dtype))
                found[case(row.name.split(".")[1], key, kw)] = to_numpy(result).tolist()
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items()]
    STORED.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{len(found)} cases of mlx {mx.__version__}")


main()
