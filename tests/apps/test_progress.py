"""mica.progress: what it draws, and that it changes nothing else."""

import io

import mlx.core as mx
import pytest
from mica import progress
from mica.progress import Progress


def run(items, **settings):
    file = io.StringIO()
    for x in (bar := Progress(items, "epoch 1", file=file, interval=0, **settings)):
        bar.show(loss=mx.array(float(x)) / 8, step=x)
    return file.getvalue()


def test_the_line_says_it_all():
    text = run(4).split("\r")[-1]
    assert text.startswith("epoch 1: 100%") and "4/4" in text and "it/s" in text
    assert "loss=0.375" in text and "step=3" in text
    assert "memory=" in text and "peak=" in text


def test_memory_can_be_left_out():
    assert "memory" not in run([1, 2], memory=False)


def test_iterators_without_a_length():
    assert "2it" in run(iter([1, 2]))
    assert "2/2" in run(iter([1, 2]), total=2)


def test_silent_where_nobody_looks(capfd):
    assert list(Progress([1, 2])) == [1, 2]
    assert capfd.readouterr().err == ""


def test_without_tqdm(monkeypatch):
    monkeypatch.setattr(progress, "tqdm", None)
    assert run(3) == ""


class Counted:
    def __init__(self):
        self.reads = 0

    def __str__(self):
        self.reads += 1
        return "0"


def test_values_are_read_only_when_drawn():
    value = Counted()
    for _ in (bar := Progress(100, file=io.StringIO(), interval=1000)):
        bar.show(loss=value)
    assert 1 <= value.reads <= 2  # the first time and the last


def test_an_array_of_many_is_refused():
    with pytest.raises(ValueError, match=r"not an array of shape \(2,\)"):
        bar = Progress(1, file=io.StringIO())
        bar.show(loss=mx.ones((2,)))


def test_the_loop_may_be_left():
    file = io.StringIO()
    for _ in Progress(10, file=file):
        break
    assert file.getvalue()


@pytest.mark.parametrize("count, text", [(0, "0B"), (999, "999B"), (12_400_000, "12.4MB")])
def test_sizes(count, text):
    assert progress._size(count) == text
