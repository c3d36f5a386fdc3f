"""Trees of arguments and outputs in eval, grad, vjp, jvp, vmap, compile, custom functions."""

import gc
import weakref

import mlx.core as mx
import pytest

X, Y = mx.array(2.0), mx.array(3.0)


def mul(a, b):
    return a * b


def kw(a, *, k=None):
    return a * k


def values(tree):
    if isinstance(tree, mx.array):
        return tree.tolist()
    if isinstance(tree, dict):
        return {k: values(v) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(values(v) for v in tree)
    return tree


def test_grad_forms():
    assert values(mx.grad(mul)(X, Y)) == 3
    assert values(mx.grad(mul, argnums=1)(X, Y)) == 2
    assert values(mx.grad(mul, argnums=[0, 1])(X, Y)) == (3, 2)
    assert values(mx.grad(mul, argnums=(0,))(X, Y)) == 3
    assert values(mx.grad(kw, argnames="k")(X, k=Y)) == (None, {"k": 2})
    assert values(mx.grad(kw, argnums=0, argnames=["k"])(X, k=Y)) == (3, {"k": 2})
    tree = {"a": X, "b": [Y]}
    assert values(mx.grad(lambda d: d["a"] * d["b"][0])(tree)) == {"a": 3, "b": [2]}
    value, grad = mx.value_and_grad(lambda a: (a * a, {"z": a, "q": [1, "s"]}))(X)
    assert values(value) == (4, {"z": 2, "q": [1, "s"]}) and values(grad) == 4


@pytest.mark.parametrize(
    "make",
    [
        lambda: mx.grad(mul, argnums=-1)(X, Y),
        lambda: mx.grad(mul, argnums=5)(X, Y),
        lambda: mx.grad(mul, argnums=[])(X, Y),
        lambda: mx.grad(mul, argnums=[0, 0])(X, Y),
        lambda: mx.grad(lambda a: a)(2.0),
        lambda: mx.grad(lambda a: a)(mx.array([1.0, 2.0])),
        lambda: mx.grad(lambda a: (a, a))(X),
        lambda: mx.grad(lambda a: 3)(X),
        lambda: mx.grad(kw, argnames=["z"])(X, k=Y),
        lambda: mx.value_and_grad(lambda a: [a, 3])(X),
        lambda: mx.vjp(mul, [X, Y], []),
        lambda: mx.vmap(mul)(mx.arange(3), mx.arange(2)),
        lambda: mx.vmap(mul)(mx.arange(3), 3),
    ],
)
def test_grad_refuses(make):
    with pytest.raises(ValueError):
        make()


def test_type_errors():
    for f in (mx.grad, mx.value_and_grad, mx.vmap, mx.compile, mx.checkpoint, mx.custom_function):
        with pytest.raises(TypeError):
            f(3)
    with pytest.raises(TypeError):
        mx.vjp(mul, X, X)
    with pytest.raises(TypeError):
        mx.vmap(lambda a, k=1: a)(mx.zeros(3), k=2)


def test_errors_of_the_function_pass_through():
    def bad(x):
        raise KeyError("mine")

    for t in (mx.grad(bad), mx.compile(bad), mx.vmap(bad), mx.checkpoint(bad)):
        with pytest.raises(KeyError, match="mine"):
            t(mx.array([1.0]))


def test_vjp_jvp():
    assert values(mx.vjp(mul, [X, Y], [X])) == ([6], [6, 4])
    assert values(mx.vjp(lambda a: (a, a), (X,), (X, Y))) == ([2, 2], [5])
    assert values(mx.jvp(mul, [X, Y], [X, Y])) == ([6], [12])


def test_vmap_forms():
    assert values(mx.vmap(mul, in_axes=(0, None))(mx.arange(3), Y)) == [0, 3, 6]
    d = {"a": mx.arange(3), "b": Y}
    assert values(mx.vmap(lambda d: d["a"] + d["b"], in_axes=({"a": 0, "b": None},))(d)) == [
        3,
        4,
        5,
    ]
    a, b = mx.vmap(lambda a: (a, a + 1), out_axes=(0, 1))(mx.zeros((3, 2)))
    assert a.shape == (3, 2) and b.shape == (2, 3)
    assert mx.vmap(lambda a: a, in_axes=-1, out_axes=-1)(mx.zeros((3, 2))).shape == (3, 2)
    out = mx.vmap(lambda d: {"o": d, "p": [d]}, out_axes={"o": 0, "p": [-1]})(mx.zeros((3, 2)))
    assert out["o"].shape == (3, 2) and out["p"][0].shape == (2, 3)
    assert values(mx.vmap(lambda a: Y)(mx.zeros(3))) == [3, 3, 3]
    with pytest.raises(IndexError):
        mx.vmap(lambda a: a, in_axes=5)(mx.zeros((3, 2)))
    with pytest.raises(ValueError):
        mx.vmap(lambda a: a, in_axes=({"a": 0},))(mx.zeros(3))


def test_nesting():
    f = mx.grad(mx.grad(lambda x: x * x * x))
    assert f(X).item() == 12
    assert values(mx.vmap(mx.grad(lambda x: x * x))(mx.arange(3.0))) == [0, 2, 4]
    assert values(mx.grad(lambda x: mx.vmap(lambda y: y * y)(x).sum())(mx.arange(3.0))) == [0, 2, 4]


def test_eval_trees():
    a, b = X + 1, [{"c": Y + 1}, "text", None]
    mx.eval(a, b, 3)
    mx.async_eval(a * 2, b)
    assert values(a) == 3 and b[0]["c"].item() == 4
    assert values(mx.depends([X], [Y])) == [2] and values(mx.depends(X, Y)) == 2


def test_compile_matches_and_updates_state():
    state = [mx.array(1.0)]

    def step(a):
        state[0] = state[0] + a
        return {"s": state[0], "t": ("text", 3, None)}

    f = mx.compile(step, inputs=state, outputs=state)
    assert values(f(X)) == {"s": 3, "t": ("text", 3, None)}
    assert values(f(X)["s"]) == 5 and state[0].item() == 5
    g = mx.compile(lambda a, n, *, flag=False: a * n if flag else a + n)
    assert g(X, 3).item() == 5 and g(X, 4).item() == 6 and g(X, 4, flag=True).item() == 8
    assert g(mx.array([1.0, 2.0]), 1).tolist() == [2, 3]
    assert mx.grad(mx.compile(lambda x: x * x))(X).item() == 4


def test_state_made_inside_a_compiled_function():
    state = {}

    def step(a):
        state["n"] = state.get("n", mx.array(0.0)) + a
        return state["n"]

    f = mx.compile(step, inputs=state, outputs=state)
    assert [f(X).item() for _ in range(3)] == [2, 4, 6]


def test_random_state_is_captured():
    mx.random.seed(7)
    want = [mx.random.uniform().item() for _ in range(3)]
    mx.random.seed(7)
    f = mx.compile(lambda: mx.random.uniform(), inputs=mx.random.state, outputs=mx.random.state)
    assert [f().item() for _ in range(3)] == want


def test_checkpoint():
    f = mx.checkpoint(lambda a, b: {"y": a * mx.sin(b)})
    value, grad = mx.value_and_grad(lambda a, b: f(a, b)["y"], argnums=[0, 1])(X, Y)
    plain = mx.value_and_grad(lambda a, b: a * mx.sin(b), argnums=[0, 1])(X, Y)
    assert values((value, grad)) == values(plain)


def test_custom_function():
    @mx.custom_function
    def f(a, b):
        return a * b

    @f.vjp
    def f_vjp(primals, cotangent, output):
        assert values(output) == 6
        return cotangent * primals[1] * 10, None

    @f.jvp
    def f_jvp(primals, tangents):
        assert tangents[1] is None
        return tangents[0] * 100

    @f.vmap
    def f_vmap(inputs, axes):
        assert axes == (0, None)
        return inputs[0] * inputs[1] + 1000, 0

    assert values(mx.grad(f, argnums=[0, 1])(X, Y)) == (30, 0)
    assert values(mx.jvp(lambda a: f(a, Y), [X], [Y])) == ([6], [300])
    assert values(mx.vmap(f, in_axes=(0, None))(mx.arange(2.0), Y)) == [1000, 1003]

    @mx.custom_function
    def g(d):
        return d["a"] * 2, d["b"] * 3

    @g.vjp
    def g_vjp(primals, cotangents, outputs):
        return {"a": cotangents[0] * 7, "b": cotangents[1] * 8}

    assert values(mx.grad(lambda d: g(d)[0] + g(d)[1])({"a": X, "b": Y})) == {"a": 7, "b": 8}


def test_functions_keep_their_names_and_are_collected():
    def named(x):
        """Text."""
        return x

    f = mx.grad(named)
    assert f.__name__ == "named" and f.__doc__

    class Holder:
        pass

    def make():
        holder = Holder()
        holder.f = mx.compile(lambda x: (holder, x)[1])
        return weakref.ref(holder)

    gone = make()
    gc.collect()
    assert gone() is None


def test_no_evaluation_inside_traces():
    with pytest.raises(ValueError):
        mx.vmap(lambda a: a * a.item())(mx.arange(3))
    assert mx.grad(lambda a: a * a.item())(X).item() == 2
