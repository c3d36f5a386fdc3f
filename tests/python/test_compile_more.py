"""mx.compile: when it traces, what it keeps, and that it changes no value."""

import gc
import threading

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
import pytest
from mlx import nn


class Counted:
    """A function that counts how often Python runs it."""

    def __init__(self, fun):
        self.fun, self.calls = fun, 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        return self.fun(*args, **kwargs)


def test_one_trace_for_a_signature():
    fun = Counted(lambda x, y: mx.exp(x) @ y)
    compiled = mx.compile(fun)
    x, y = mx.random.normal((3, 4)), mx.random.normal((4, 5))
    for _ in range(3):
        assert mx.array_equal(compiled(x, y), mx.exp(x) @ y)
    assert fun.calls == 1
    compiled(x.astype(mx.float16), y.astype(mx.float16))
    assert fun.calls == 2
    compiled(mx.ones((2, 4)), y)
    assert fun.calls == 3


def test_constants_and_keywords_are_part_of_the_signature():
    fun = Counted(lambda x, k, *, scale=1.0, axes=(0,): (x * k * scale).sum(axes))
    compiled = mx.compile(fun)
    x = mx.arange(6.0).reshape(2, 3)
    assert compiled(x, 2).tolist() == [6, 10, 14]
    assert compiled(x, 2).tolist() == [6, 10, 14]
    assert fun.calls == 1
    assert compiled(x, 3).tolist() == [9, 15, 21]
    assert compiled(x, 2, scale=0.5).tolist() == [3, 5, 7]
    assert compiled(x, 2, axes=(1,)).tolist() == [6, 24]
    assert fun.calls == 4


@pytest.mark.parametrize("shapeless", [False, True])
def test_a_thousand_shapes(shapeless):
    w = mx.ones((4, 2))
    mx.eval(w)
    fun = Counted(lambda x: mx.softmax(x * 2 + 1, axis=-1) @ w)
    compiled = mx.compile(fun, shapeless=shapeless)
    for n in range(1, 1001):
        out = compiled(mx.full((n, 4), 3.0))
        assert out.shape == (n, 2)
    np.testing.assert_allclose(np.array(out), 1, rtol=1e-6)
    # Sizes 1 and 2 are traced apart: 1 may mean broadcasting, 2 is w's width.
    assert fun.calls == (3 if shapeless else 1000)


def test_shapeless_looks_again_where_shapes_were_read():
    fun = Counted(lambda x: x.reshape(x.shape[0] * x.shape[1]) / x.shape[0])
    compiled = mx.compile(fun, shapeless=True)
    for n in (2, 3, 4):
        assert mx.array_equal(compiled(mx.ones((n, 2))), mx.ones((2 * n,)) / n)
    assert fun.calls == 3


def test_shapeless_follows_shapes():
    def f(x, w):
        y = mx.flatten(x @ w, 1, 2)
        return y - y.mean(axis=1, keepdims=True), mx.var(x), x.squeeze(0)[..., None].T

    fun = Counted(f)
    compiled = mx.compile(fun, shapeless=True)
    w = mx.random.normal((3, 3))
    for n in (4, 5, 9):
        x = mx.random.normal((1, n, 3))
        for got, want in zip(compiled(x, w), f(x, w), strict=True):
            assert got.shape == want.shape
            np.testing.assert_allclose(np.array(got), np.array(want), rtol=1e-5, atol=1e-6)


def test_shapeless_broadcasts_anew():
    compiled = mx.compile(lambda x, y: mx.abs(x) + y * 2, shapeless=True)
    for a, b in [((3, 4), (3, 4)), ((3, 4), (1, 4)), ((1, 4), (5, 4)), ((2, 1), (1, 7))]:
        x, y = mx.random.normal(a), mx.random.normal(b)
        assert mx.array_equal(compiled(x, y), mx.abs(x) + y * 2)


def test_shapeless_and_shapes_that_do_not_fit():
    compiled = mx.compile(lambda x, y: x @ y, shapeless=True)
    compiled(mx.ones((2, 3)), mx.ones((3, 4)))
    with pytest.raises(ValueError, match="matmul"):
        compiled(mx.ones((2, 3)), mx.ones((4, 4)))
    assert compiled(mx.ones((2, 5)), mx.ones((5, 4))).shape == (2, 4)


def test_outputs_that_are_inputs_or_constants():
    c = mx.array([1.0, 2.0])
    compiled = mx.compile(lambda x, y: [y, c, x + 1, x, mx.ones((2,)), c, x + 1])
    x, y = mx.array([3.0]), mx.array([4])
    for _ in range(2):
        out = compiled(x, y)
        assert [o.tolist() for o in out] == [[4], [1, 2], [4], [3], [1, 1], [1, 2], [4]]
    assert mx.compile(lambda x: x)(x).tolist() == [3]
    assert mx.compile(lambda: mx.arange(3))().tolist() == [0, 1, 2]
    assert mx.compile(lambda x: [])(x) == []


def test_trees_and_other_values_come_back():
    def f(tree, flag):
        return {"sum": tree["a"] + tree["b"][0], "rest": (tree["b"][1] * 2, None), "flag": flag}

    compiled = mx.compile(f)
    tree = {"a": mx.array(1.0), "b": [mx.array(2.0), mx.array(3.0)]}
    for flag in (True, False, "text"):
        out = compiled(tree, flag)
        assert (out["sum"].item(), out["rest"][0].item(), out["rest"][1]) == (3, 6, None)
        assert out["flag"] == flag


def test_several_results_one_at_a_time():
    def f(x):
        q, r = mx.linalg.qr(x)
        a, b = mx.split(x, 2)
        return q, r @ x, a.sum(), b * 2

    compiled = mx.compile(f)
    x = mx.random.normal((4, 4))
    want = f(x)
    for i in range(4):
        # the other results die before they are computed
        np.testing.assert_allclose(np.array(compiled(x)[i]), np.array(want[i]), rtol=1e-5)


def test_captured_state():
    state = {"x": mx.array(1.0), "seen": [mx.array(0)]}

    def f(y):
        state["x"] = state["x"] * 2 + y
        state["seen"][0] = state["seen"][0] + 1
        return state["x"] - y

    compiled = mx.compile(f, inputs=state, outputs=state)
    assert [compiled(mx.array(1.0)).item() for _ in range(3)] == [2, 6, 14]
    assert (state["x"].item(), state["seen"][0].item()) == (15, 3)
    state["x"] = mx.array(100.0)
    assert compiled(mx.array(0.0)).item() == 200


def test_without_capture_state_is_a_constant():
    state = [mx.array(1.0)]
    compiled = mx.compile(lambda x: x + state[0])
    assert compiled(mx.array(1.0)).item() == 2
    state[0] = mx.array(5.0)
    assert compiled(mx.array(1.0)).item() == 2


def test_random_state():
    mx.random.seed(3)
    fixed = mx.compile(lambda: mx.random.uniform(shape=(4,)))
    assert mx.array_equal(fixed(), fixed())
    moving = mx.compile(
        lambda: mx.random.uniform(shape=(4,)), inputs=mx.random.state, outputs=mx.random.state
    )
    mx.random.seed(7)
    got = [moving().tolist() for _ in range(3)]
    mx.random.seed(7)
    assert got == [mx.random.uniform(shape=(4,)).tolist() for _ in range(3)]


def training(compile_it, steps=6):
    mx.random.seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.2), nn.relu, nn.Linear(16, 3))
    optimizer = optim.AdamW(1e-2)
    x, y = mx.random.normal((32, 8)), mx.random.randint(0, 3, (32,))
    loss_and_grad = nn.value_and_grad(
        model, lambda x, y: nn.losses.cross_entropy(model(x), y, reduction="mean")
    )
    state = [model.state, optimizer.state, mx.random.state]

    def step(x, y):
        loss, grads = loss_and_grad(x, y)
        optimizer.update(model, grads)
        return loss

    if compile_it:
        step = mx.compile(step, inputs=state, outputs=state)
    losses = []
    for _ in range(steps):
        losses.append(step(x, y))
        mx.eval(state, losses)
    return [loss.item() for loss in losses], model.layers[0].weight


def test_training_step():
    eager, compiled = training(False), training(True)
    assert eager[0] == compiled[0]
    assert mx.array_equal(eager[1], compiled[1])


@pytest.mark.skipif(mx.default_device() == mx.gpu, reason="devices have memory of their own")
def test_training_memory_is_flat_and_buffers_are_reused():
    state = {"w": mx.zeros((512, 512))}
    mx.eval(state)

    def f(x):
        state["w"] = state["w"] * 0.9 + x
        return state["w"].sum()

    compiled = mx.compile(f, inputs=state, outputs=state)
    x = mx.ones((512, 512))
    mx.eval(x, compiled(x), state)
    gc.disable()
    try:
        active = mx.get_active_memory()
        mx.reset_peak_memory()
        for _ in range(20):
            mx.eval(compiled(x), state)
        assert mx.get_active_memory() == active
        # the old state is written over: nothing of its size is added
        assert mx.get_peak_memory() - active < 512 * 512 * 4
    finally:
        gc.enable()


def test_an_argument_of_the_caller_is_not_written_over():
    compiled = mx.compile(lambda x, y: (x + 1) @ y + x)
    x, y = mx.ones((64, 64)), mx.ones((64, 64))
    view = x[1:3]
    mx.eval(x, view)
    first = compiled(x, y)
    assert mx.array_equal(compiled(x, y), first)
    assert mx.array_equal(x, mx.ones((64, 64))) and mx.array_equal(view, mx.ones((2, 64)))


def test_transformations_inside_and_outside():
    f = mx.compile(lambda x: mx.sin(x) * x.sum())
    x = mx.array([0.3, 0.7, 1.1])

    def plain(x):
        return mx.sin(x) * x.sum()

    for a, b in [
        (mx.grad(lambda x: f(x).sum())(x), mx.grad(lambda x: plain(x).sum())(x)),
        (mx.compile(mx.grad(lambda x: f(x).sum()))(x), mx.grad(lambda x: plain(x).sum())(x)),
        (mx.vmap(f)(mx.stack([x, x * 2])), mx.vmap(plain)(mx.stack([x, x * 2]))),
        (
            mx.compile(mx.vmap(mx.grad(lambda x: f(x).sum())))(mx.stack([x, x * 2])),
            mx.vmap(mx.grad(lambda x: plain(x).sum()))(mx.stack([x, x * 2])),
        ),
        (mx.jvp(f, [x], [x])[1][0], mx.jvp(plain, [x], [x])[1][0]),
    ]:
        np.testing.assert_allclose(np.array(a), np.array(b), rtol=1e-6)


def test_nested_and_closed_over_tracers():
    inner = Counted(lambda x: mx.exp(x) + 1)
    compiled_inner = mx.compile(inner)
    outer = mx.compile(lambda x: compiled_inner(x) * compiled_inner(x + 1))
    x = mx.array([0.1, 0.2])
    for _ in range(2):
        np.testing.assert_allclose(
            np.array(outer(x)), np.array((mx.exp(x) + 1) * (mx.exp(x + 1) + 1)), rtol=1e-6
        )
    assert inner.calls == 1

    # A compiled function that sees its caller's tracer through a closure is traced for each call.
    def g(y):
        return mx.compile(lambda x: x * y)(mx.array(3.0))

    assert mx.grad(g)(mx.array(2.0)).item() == 3
    assert mx.compile(g)(mx.array(2.0)).item() == 6


def test_errors_leave_everything_as_it_was():
    state = {"x": mx.array(1.0), "more": {}}
    fail = [True]

    def f(y):
        state["x"] = state["x"] + y
        state["more"]["new"] = y * 2
        if fail[0]:
            raise KeyError("no")
        return y

    compiled = mx.compile(f, inputs=state, outputs=state)
    for _ in range(2):
        with pytest.raises(KeyError):
            compiled(mx.array(2.0))
        assert state["x"].item() == 1 and state["more"] == {}
    fail[0] = False
    assert compiled(mx.array(2.0)).item() == 2
    assert state["x"].item() == 3 and state["more"]["new"].item() == 4


def test_errors_when_the_result_is_computed():
    compiled = mx.compile(lambda x, i: mx.exp(x[i]) * 2 + x.sum())
    x = mx.arange(4.0)
    for _ in range(2):
        with pytest.raises(IndexError):
            mx.eval(compiled(x, mx.array([7])))
        assert compiled(x, mx.array([0])).item() == 8
    assert x.tolist() == [0, 1, 2, 3]


def test_values_cannot_be_read_while_tracing():
    def f(x):
        return x + 1 if (x > 0).item() else x

    with pytest.raises(ValueError, match="transformations"):
        mx.compile(f)(mx.array(1.0))
    assert "array" in repr(mx.array([1]))


def test_disable_compile():
    fun = Counted(lambda x: x + 1)
    compiled = mx.compile(fun)
    mx.disable_compile()
    try:
        for _ in range(3):
            assert compiled(mx.array(1)).item() == 2
        assert fun.calls == 3
    finally:
        mx.enable_compile()
    compiled(mx.array(1))
    compiled(mx.array(1))
    assert fun.calls == 4


def test_from_many_threads():
    w = mx.random.normal((64, 64))
    compiled = mx.compile(lambda x: mx.softmax(x @ w, axis=-1).sum(axis=0))
    xs = [mx.random.normal((16, 64)) for _ in range(8)]
    want = [np.array(mx.softmax(x @ w, axis=-1).sum(axis=0)) for x in xs]
    wrong = []

    def work(i):
        for _ in range(30):
            out = compiled(xs[i])
            mx.async_eval(out)
            if not np.array_equal(np.array(out), want[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_functions_and_what_they_hold_are_let_go():
    class Holder:
        pass

    mx.eval(mx.zeros((1,)))
    before = mx.get_active_memory()

    def use(holder):
        holder.w = mx.ones((256, 256)) * 2
        mx.eval(holder.w)
        holder.f = mx.compile(lambda x: (x * holder.w).sum())
        holder.f(mx.ones((256, 256))).item()

    use(Holder())
    gc.collect()
    assert mx.get_active_memory() <= before + 1024


def test_objects_as_arguments_are_not_kept_for_ever():
    class Tag:
        pass

    import weakref

    compiled = mx.compile(lambda x, tag: x + 1)
    first = Tag()
    ref = weakref.ref(first)
    compiled(mx.array(1), first)
    del first
    for _ in range(300):  # more than a function remembers
        compiled(mx.array(1), Tag())
    gc.collect()
    assert ref() is None


def test_what_is_not_a_function():
    with pytest.raises(TypeError):
        mx.compile(3)


def test_attributes_are_those_of_the_function():
    def named(x):
        """Says what it does."""
        return x

    compiled = mx.compile(named)
    assert compiled.__name__ == "named" and compiled.__doc__ == "Says what it does."
