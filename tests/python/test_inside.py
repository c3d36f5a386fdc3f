"""Profiles, and stopping at the first value that is not finite."""

import json

import mlx.core as mx
import pytest


def test_profile_records_tasks():
    x = mx.random.normal((64, 32))
    w = mx.random.normal((32, 16))
    mx.eval(x, w)
    with mx.profile() as p:
        mx.eval(mx.exp(x * 2) @ w, mx.sum(x + 1))
    names = [r["name"] for r in p.records]
    assert "Matmul" in names and any("Exp" in n and "Multiply" in n for n in names)
    assert any(n.startswith("Add") and n.endswith("Reduce Sum") for n in names)
    product = next(r for r in p.records if r["name"] == "Matmul")
    assert product["flops"] == 2 * 64 * 32 * 16
    assert product["bytes_read"] == 4 * (64 * 32 + 32 * 16)
    assert product["bytes_written"] == 4 * 64 * 16
    assert "(64,32)" in product["shapes"] and product["seconds"] > 0
    count = len(p.records)
    mx.eval(x + 3)
    assert len(p.records) == count  # nothing behind the block


def test_profile_looks_into_compiled_functions(tmp_path):
    f = mx.compile(lambda x: mx.softmax(x @ x.T, axis=-1) @ x)
    x = mx.random.normal((32, 32))
    mx.eval(f(x))
    with mx.profile() as p:
        mx.eval(f(x))
    names = [r["name"] for r in p.records]
    assert names.count("Matmul") == 2 and "Softmax" in names and "Compiled" not in names
    assert "Matmul" in p.table(1) or "Softmax" in p.table(1)
    assert str(p) == p.table(20)
    path = tmp_path / "trace.json"
    p.save(str(path))
    events = json.loads(path.read_text())["traceEvents"]
    assert len(events) == len(names)
    assert all(e["ph"] == "X" and e["dur"] >= 0 for e in events)
    with pytest.raises(RuntimeError):
        p.save(str(tmp_path / "no" / "folder"))


def test_one_at_a_time():
    with mx.profile():
        with pytest.raises(RuntimeError, match="active"), mx.profile():
            pass
        with pytest.raises(RuntimeError, match="active"), mx.check_finite():
            pass
    with mx.profile() as p:
        mx.eval(mx.ones(3) + 1)
    assert p.records


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "complex64"])
def test_check_finite(dtype):
    x = mx.array([1.0, 0.0], getattr(mx, dtype))
    y = mx.log(x)
    with mx.check_finite():
        with pytest.raises(FloatingPointError, match=r"Log.*\(2\)"):
            mx.eval(y)
        mx.eval(mx.exp(x) + 1, mx.array([1, 2]) // 0)
    assert mx.isinf(mx.log(x)[1]).item()  # outside nobody minds


def test_check_finite_inside_compiled_functions():
    f = mx.compile(lambda x: (mx.sqrt(x) @ mx.ones((2, 2))).sum() * 2)
    assert f(mx.ones((2, 2))).item() == 16
    with mx.check_finite(), pytest.raises(FloatingPointError, match="Sqrt"):
        mx.eval(f(-mx.ones((2, 2))))
    assert f(mx.ones((2, 2))).item() == 16


def test_check_finite_of_a_gradient():
    def loss(x):
        return mx.sqrt(x).sum()

    assert mx.isinf(mx.grad(loss)(mx.array(0.0))).item()
    with mx.check_finite(), pytest.raises(FloatingPointError):
        mx.eval(mx.grad(loss)(mx.array(0.0)))
