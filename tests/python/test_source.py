"""The line of the program that made an array, and who names it."""

import io
import json
from pathlib import Path

import mlx.core as mx
import pytest
from mlx import nn

HERE = __file__


def line_of(text):
    """The number of the only line of this file that ends with the mark."""
    lines = Path(HERE).read_text().split("\n")
    (found,) = [i for i, line in enumerate(lines, 1) if line.endswith(f"# {text}")]
    return found


def test_nodes_know_their_lines():
    x = mx.array([1.0, 2.0])
    y = mx.exp(x)  # here: exp
    z = y + 1 if x.size else y  # here: plus
    assert mx.source_of(y) == (HERE, line_of("here: exp"))
    assert mx.source_of(z) == (HERE, line_of("here: plus"))
    assert mx.source_of(x) is None  # data
    mx.eval(z)
    assert mx.source_of(z) == (HERE, line_of("here: plus"))


def test_two_places_on_one_line_and_one_place_many_times():
    made = [mx.ones(2) * k for k in range(100)]
    assert len({mx.source_of(m) for m in made}) == 1


def test_layers_name_their_caller():
    layer = nn.TransformerEncoderLayer(8, 2)
    y = layer(mx.ones((1, 3, 8)), None)  # here: layer
    assert mx.source_of(y) == (HERE, line_of("here: layer"))


def test_derivatives_and_batches_name_the_operation():
    def f(x):
        return mx.sin(x)  # here: sin

    x = mx.array(1.0)
    where = (HERE, line_of("here: sin"))
    assert mx.source_of(mx.grad(f)(x)) == where
    assert mx.source_of(mx.jvp(f, [x], [x])[1][0]) == where
    assert mx.source_of(mx.vmap(f)(mx.ones(3))) == where
    assert mx.source_of(mx.compile(lambda x: f(x))(x)) == where


@pytest.mark.parametrize("wrap", [lambda f: f, mx.compile, mx.checkpoint])
def test_errors_of_evaluation(wrap):
    def f(x, i):
        y = mx.tanh(x) @ x
        return mx.take(y, i, axis=0) * 2  # here: take

    with pytest.raises(IndexError, match=f"test_source.py:{line_of('here: take')}]"):
        mx.eval(wrap(f)(mx.ones((3, 3)), mx.array([5])))


def test_errors_of_memory():
    mx.clear_cache()  # what is kept may be had again
    old = mx.set_memory_limit(mx.get_active_memory() + (1 << 20))
    try:
        x = mx.zeros((1024, 1024)) + 1  # here: large
        with pytest.raises(MemoryError, match=f"test_source.py:{line_of('here: large')}]"):
            mx.eval(x)
    finally:
        mx.set_memory_limit(old)
    assert x.sum().item() == 1024 * 1024


def test_profiles_and_checks_name_lines(tmp_path):
    x = mx.ones((8, 8))
    with mx.profile() as p:
        mx.eval(mx.exp(x) @ x)  # here: profiled
    here = f"{HERE}:{line_of('here: profiled')}"
    assert any(r["name"] == "Matmul" and r["lines"] == [here] for r in p.records)
    assert here in str(p)
    path = tmp_path / "trace.json"
    p.save(str(path))
    assert any(e["args"]["lines"] == here for e in json.loads(path.read_text())["traceEvents"])
    with mx.check_finite(), pytest.raises(FloatingPointError, match="test_source.py:"):
        mx.eval(mx.log(mx.zeros(3)))


def test_drawings(tmp_path):
    x = mx.array([1.0, 2.0])
    y = mx.exp(x) @ mx.array([3.0, 4.0])  # here: drawn
    here = f"test_source.py:{line_of('here: drawn')}"
    dot = io.StringIO()
    mx.export_to_dot(dot, y, x=x)
    assert here in dot.getvalue()
    page = io.StringIO()
    mx.export_to_html(page, y, **{"<x>": x, "y": y})
    text = page.getvalue()
    assert text.startswith("<!doctype html>") and here in text
    assert "&lt;x&gt;" in text and "<x>" not in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "Exp" in text and "y = " in text and "(2) float32" in text
    name = str(tmp_path / "graph.html")
    mx.export_to_html(name, {"a": [y]})
    assert Path(name).read_text().count("<rect") == text.count("<rect")
    mx.export_to_html(name)  # nothing to draw
    with pytest.raises(RuntimeError, match="export_to_html"):
        mx.export_to_html(str(tmp_path / "no" / "graph.html"), y)
    with pytest.raises(ValueError, match="export_to_html"):
        mx.export_to_html(3, y)


def test_a_large_drawing():
    y = mx.ones((2, 2))
    for _ in range(500):
        y = y @ y + y
    page = io.StringIO()
    mx.export_to_html(page, y)
    assert page.getvalue().count("<rect") == 1002  # the scalar that ones() is a view of, too


def test_code_that_comes_and_goes_does_not_pile_up():
    x = mx.ones(2)
    for k in range(200):
        names = {"x": x, "mx": mx}
        exec(compile(f"y = mx.exp(x)\nz = y + {k}", f"cell{k}", "exec"), names)  # noqa: S102
        assert mx.source_of(names["z"]) == (f"cell{k}", 2)
