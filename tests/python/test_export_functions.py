"""Functions in files: signatures, sizes, errors, damaged files."""

import io
import math
import random

import mlx.core as mx
import numpy as np
import pytest
from mlx import nn
from mlx.utils import tree_flatten


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "f.mlxfn")


def test_several_signatures_in_one_file(path):
    with mx.exporter(path, lambda *xs, **kw: sum(xs) + sum(kw.values())) as exporter:
        exporter(mx.array(1))
        exporter(mx.array(1), mx.array(2))
        exporter(mx.array([1.0, 2.0]), bias=mx.array(1.0))
        exporter([mx.array(1)], {"a": mx.array(1), "b": mx.array(2)})
        with pytest.raises(RuntimeError, match="twice"):
            exporter(mx.array(5))
    call = mx.import_function(path)
    assert call(mx.array(3))[0].item() == 3
    assert call(mx.array(3), mx.array(4))[0].item() == 7
    assert call((mx.array(3), mx.array(4)))[0].item() == 7
    assert call(mx.array([1.0, 2.0]), bias=mx.array(0.5))[0].tolist() == [1.5, 2.5]
    assert call([mx.array(1)], {"b": mx.array(5), "a": mx.array(6)})[0].item() == 12
    for args, kwargs in [
        ((mx.array(1.0),), {}),
        ((mx.array([1]),), {}),
        ((mx.array(1),) * 3, {}),
        ((mx.array([1.0, 2.0]),), {"other": mx.array(1.0)}),
        ((), {}),
    ]:
        with pytest.raises(ValueError, match="No imported function found"):
            call(*args, **kwargs)
    with pytest.raises(RuntimeError, match="closed"):
        exporter(mx.array(True))


def test_metadata(path):
    mx.export_function(path, lambda x: x, mx.array(1), metadata="für später\n{}")
    call, text = mx.import_function(path, return_metadata=True)
    assert text == "für später\n{}"
    assert call(mx.array(4))[0].item() == 4
    mx.export_function(path, lambda x: [x, x], mx.array(1))
    assert mx.import_function(path, True)[1] == ""
    with pytest.raises(ValueError, match="etadata"):
        mx.export_function(print, lambda x: x, mx.array(1), metadata="x")


def test_weights_are_kept_and_shared(path, tmp_path):
    w = mx.random.normal((256, 256))
    lazy = mx.random.normal((256, 256)) * 2  # not evaluated when it is exported
    f = lambda x: x @ w + w.sum() + x @ lazy
    with mx.exporter(path, f) as exporter:
        for n in (1, 2, 3):
            exporter(mx.ones((n, 256)))
    x = mx.ones((2, 256))
    np.testing.assert_allclose(
        np.array(mx.import_function(path)(x)[0]), np.array(f(x)), rtol=1e-5, atol=1e-4
    )
    assert (tmp_path / "f.mlxfn").stat().st_size < 2 * w.nbytes + 20000


def test_a_model_for_any_batch_and_length(path):
    mx.random.seed(0)
    model = nn.Sequential(
        nn.Embedding(50, 32),
        nn.TransformerEncoderLayer(32, 4),
        nn.LayerNorm(32),
        lambda x: x.mean(axis=1),
        nn.Linear(32, 5),
    )
    model.eval()
    mask = lambda t: nn.MultiHeadAttention.create_additive_causal_mask(t.shape[1])

    def forward(tokens):
        x = model.layers[0](tokens)
        x = model.layers[1](x, mask(tokens))
        for layer in model.layers[2:]:
            x = layer(x)
        return nn.softmax(x)

    mx.export_function(path, forward, mx.zeros((2, 7), mx.int32), shapeless=True)
    call = mx.import_function(path)
    for shape in [(2, 7), (1, 1), (3, 20), (5, 2), (7, 7)]:
        tokens = mx.random.randint(0, 50, shape)
        np.testing.assert_allclose(
            np.array(call(tokens)[0]), np.array(forward(tokens)), rtol=1e-5, atol=1e-6
        )


def test_python_arithmetic_on_sizes(path):
    def f(x, y):
        n, m = x.shape
        scaled = x / math.sqrt(m) + 1.0 / n
        grid = mx.arange(n * m).reshape(m, n).T
        return scaled * grid, mx.concatenate([x[: n - 1], y]), mx.full((m, n + 3), n * 0.5)

    mx.export_function(path, f, mx.ones((5, 6)), mx.ones((2, 6)), shapeless=True)
    call = mx.import_function(path)
    for n, m, k in [(5, 6, 2), (2, 9, 4), (11, 3, 1), (40, 50, 60)]:
        x, y = mx.random.normal((n, m)), mx.random.normal((k, m))
        for got, want in zip(call(x, y), f(x, y), strict=True):
            np.testing.assert_allclose(np.array(got), np.array(want), rtol=1e-6, atol=1e-7)


def test_sizes_that_cannot_change_stay(path):
    w = mx.ones((4, 2))
    mx.export_function(path, lambda x: (x @ w) * 2, mx.ones((3, 4)), shapeless=True)
    call = mx.import_function(path)
    assert call(mx.ones((9, 4)))[0].shape == (9, 2)
    with pytest.raises(ValueError, match=r"\(n0,4\)"):
        call(mx.ones((9, 5)))
    mx.export_function(path, lambda x, y: x @ y, mx.ones((3, 4)), mx.ones((4, 2)), shapeless=True)
    call = mx.import_function(path)
    assert call(mx.ones((1, 7)), mx.ones((7, 8)))[0].shape == (1, 8)
    with pytest.raises(ValueError, match="No imported function"):
        call(mx.ones((1, 7)), mx.ones((6, 8)))


def test_transformations_inside(path):
    f = lambda x, w: (mx.tanh(x @ w) ** 2).sum()
    x, w = mx.random.normal((3, 4)), mx.random.normal((4, 2))
    for g in (
        mx.grad(f, argnums=(0, 1)),
        mx.vmap(lambda row, w: mx.sin(row) @ w, in_axes=(0, None)),
        mx.compile(lambda x, w: mx.exp(x) @ w),
        mx.checkpoint(lambda x, w: mx.exp(x) @ w),
    ):
        mx.export_function(path, g, x, w, shapeless=True)
        call = mx.import_function(path)
        for n in (3, 6):
            x2 = mx.random.normal((n, 4))
            want = g(x2, w)
            want = want if isinstance(want, (tuple, list)) else [want]
            for a, b in zip(call(x2, w), want, strict=True):
                np.testing.assert_allclose(np.array(a), np.array(b), rtol=1e-5, atol=1e-6)


def test_imported_functions_under_transformations(path):
    mx.export_function(path, lambda x: mx.sin(x) * x, mx.ones((3,)), shapeless=True)
    call = mx.import_function(path)
    x = mx.array([0.1, 0.5, 2.0])
    np.testing.assert_allclose(
        np.array(mx.grad(lambda x: call(x)[0].sum())(x)), np.cos(x) * x + np.sin(x), rtol=1e-5
    )
    compiled = mx.compile(lambda x: call(x)[0] + 1)
    assert mx.array_equal(compiled(x), mx.sin(x) * x + 1)
    assert mx.vmap(lambda x: call(x)[0])(mx.stack([x, x])).shape == (2, 3)


def test_training_step_in_a_file(path):
    model = nn.Linear(3, 1)
    names = [name for name, _ in tree_flatten(model.parameters())]

    def step(x, y, *weights):
        def loss(*ws):
            return ((x @ ws[0].T + ws[1] - y) ** 2).mean()

        value, grads = mx.value_and_grad(loss, argnums=tuple(range(len(names))))(*weights)
        return [value, *(w - 0.1 * g for w, g in zip(weights, grads, strict=True))]

    weights = [model.weight, model.bias]
    x = mx.random.normal((16, 3))
    y = x.sum(axis=1, keepdims=True)
    mx.export_function(path, step, x, y, *weights)
    call = mx.import_function(path)
    losses = []
    for _ in range(60):
        value, *weights = call(x, y, *weights)
        losses.append(value.item())
    assert losses[-1] < losses[0] / 100


def test_callback():
    parts = []
    w = mx.array([[1.0, 2.0]])
    mx.export_function(
        parts.append, lambda x, y: mx.exp(x) * y @ w.T, mx.ones((3, 2)), y=mx.ones(2)
    )
    assert [p["type"] for p in parts[:4]] == ["inputs", "keyword_inputs", "outputs", "constants"]
    assert parts[0]["inputs"] == [("A", (3, 2), mx.float32), ("B", (2,), mx.float32)]
    assert parts[1]["keywords"] == [("y", "B")]
    assert parts[3]["constants"][0][1].tolist() == w.T.tolist()
    names = [p["name"] for p in parts[4:]]
    assert names[:2] == ["Exp", "Multiply"] and names[-1] == "Matmul"
    assert parts[-1]["outputs"] == parts[2]["outputs"]


def test_what_cannot_be_exported(path):
    for bad in (lambda x: 3, lambda x: None, lambda x: {"a": x}, lambda x: (x, [x])):
        with pytest.raises(ValueError, match="Outputs"):
            mx.export_function(path, bad, mx.ones(3))
    for args in [(3,), ([mx.array(1)], [mx.array(2)]), ({"a": 1},)]:
        with pytest.raises(ValueError, match="Inputs"):
            mx.export_function(path, lambda *a, **k: mx.array(1), *args)
    with pytest.raises(ValueError, match="eval"):
        mx.export_function(path, lambda x: x + x.sum().item(), mx.ones(3))
    with pytest.raises(ZeroDivisionError):
        mx.export_function(path, lambda x: x / (1 // 0), mx.ones(3), shapeless=True)
    with pytest.raises(TypeError):
        mx.export_function(path, 3, mx.ones(3))
    with pytest.raises((ValueError, RuntimeError), match="tracing"):
        mx.grad(lambda y: mx.export_function(path, lambda x: x * y, mx.ones(3)) or y)(mx.array(1.0))


def test_missing_and_foreign_files(path, tmp_path):
    with pytest.raises(RuntimeError, match="Failed to open"):
        mx.import_function(str(tmp_path / "nothing"))
    mx.save_safetensors(str(tmp_path / "w.safetensors"), {"a": mx.array(1)})
    with pytest.raises(RuntimeError, match="not a file of exported functions"):
        mx.import_function(str(tmp_path / "w.safetensors"))
    with pytest.raises(RuntimeError):
        mx.export_function(str(tmp_path / "no" / "folder"), lambda x: x, mx.array(1))


def test_damaged_files_are_refused(path):
    w = mx.random.normal((8, 8))
    mx.export_function(path, lambda x: mx.softmax(x @ w)[:, ::2], mx.ones((2, 8)), shapeless=True)
    x = mx.random.normal((3, 8))
    want = np.array(mx.import_function(path)(x)[0])
    with open(path, "rb") as f:
        whole = f.read()
    rng = random.Random(0)
    refused = 0
    for i in range(300):
        data = bytearray(whole)
        if i % 3 == 0:
            data = data[: rng.randrange(len(data))]
        else:
            for _ in range(rng.choice([1, 1, 3, 20])):
                data[rng.randrange(len(data))] = rng.randrange(256)
        with open(path, "wb") as f:
            f.write(data)
        try:
            got = np.array(mx.import_function(path)(x)[0])
        except (RuntimeError, ValueError):
            refused += 1
            continue
        assert got.shape == want.shape  # a weight has changed, or nothing
    assert refused > 150


def test_a_failed_export_leaves_the_old_file(path):
    mx.export_function(path, lambda x: x + 1, mx.array(1))
    with pytest.raises(KeyError):
        mx.export_function(path, lambda x: {}["no"], mx.array(1))
    assert mx.import_function(path)(mx.array(1))[0].item() == 2


def test_graph_as_dot(tmp_path):
    x, y = mx.array(1.0), mx.array([1.0, 2.0])
    z = mx.exp(x + y) * y
    text = io.StringIO()
    mx.export_to_dot(text, z, x=x)
    dot = text.getvalue()
    assert dot.startswith("digraph {") and dot.endswith("}\n")
    for word in ('label="Exp"', 'label="Multiply"', '"x" -> op', "rank=source", "rank=sink"):
        assert word in dot
    assert dot.count("shape=rectangle") == 3 and "(2)" in dot
    a, b = mx.split(mx.arange(4.0) * 2, 2)
    path = tmp_path / "g.dot"
    mx.export_to_dot(str(path), [a], {"b": b}, **{'with "quotes"': a})
    assert path.read_text().count('label="Split"') == 1
    assert 'with \\"quotes\\"' in path.read_text()
    mx.eval(z)
    text = io.StringIO()
    mx.export_to_dot(text, z)  # nothing is left to do
    assert "rectangle" not in text.getvalue()
    for bad in ((text, 3), (3, z)):
        with pytest.raises(ValueError):
            mx.export_to_dot(*bad)
    with pytest.raises(RuntimeError):
        mx.export_to_dot(str(tmp_path / "no" / "folder"), z)
