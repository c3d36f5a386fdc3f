"""Sizes beside the usual ones, Mica beside PyTorch: is there a cliff?

python bench/odd_sizes.py --torch PYTHON [--rounds N] [--only REGEX]

Each side runs in a process of its own, in turns, case by case; prints best medians and the ratio (above 1: Mica is
faster). PyTorch keeps freed memory (glibc told so by the environment), or fresh pages would be most of its time.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time

SIZES = [
    (1, 1000),
    (3, 17),
    (127, 1),
    (129, 255),
    (1000, 10),
    (1001, 1001),
    (7, 100003),
    (100003, 7),
]


def cases(fw):
    """name -> function that gives a result to wait for."""
    import numpy as np

    rng = np.random.default_rng(0)

    def f32(*shape):
        return rng.standard_normal(shape, dtype=np.float32)

    if fw == "mica":
        import mlx.core as mx

        A = mx.array

        def both(m, t):
            return m
    else:
        import torch
        import torch.nn.functional as F

        A = torch.from_numpy
        mx = None

        def both(m, t):
            return t

    for m, k, n in [
        (1, 1, 1), (1, 64, 64), (2, 576, 576), (3, 17, 5), (5, 4096, 4096), (7, 1000, 1000), (31, 33, 35), (63, 64, 65),
        (100, 100, 100), (127, 129, 131), (255, 257, 255), (300, 700, 500), (511, 513, 512), (1000, 1000, 1000),
        (1, 10000, 10), (10, 10000, 1), (10000, 3, 3), (3, 3, 10000), (10000, 10, 10), (10, 10000, 10), (1023, 1, 1025),
    ]:  # fmt: skip
        a, b = A(f32(m, k)), A(f32(k, n))
        yield f"matmul {m}x{k}x{n}", lambda a=a, b=b: a @ b
        bt = A(f32(n, k))
        yield f"matmul_t {m}x{k}x{n}", lambda a=a, b=bt: a @ b.T
    for shape_a, shape_b in [
        ((64, 17, 33), (64, 33, 5)), ((1000, 4, 4), (1000, 4, 4)), ((8, 1, 64), (8, 64, 1000)), ((12, 128, 64), (12, 64, 128)),
        ((33, 65, 65), (33, 65, 65)), ((256, 32, 32), (256, 32, 32)), ((100, 50, 20), (20, 50)),
    ]:  # fmt: skip
        a, b = A(f32(*shape_a)), A(f32(*shape_b))
        yield f"batched {shape_a} {shape_b}".replace(" ", ""), lambda a=a, b=b: a @ b
    for r, c in SIZES:
        x = A(f32(r, c))
        y = A(f32(r, c))
        row, col = A(f32(c)), A(f32(r, 1))
        at = f"{r}x{c}"
        yield f"add {at}", lambda x=x, y=y: x + y
        yield f"add_row {at}", lambda x=x, y=row: x + y
        yield f"add_col {at}", lambda x=x, y=col: x + y
        yield f"add_strided {at}", lambda x=x, y=y: x[:, ::2] + y[:, ::2]
        yield f"add_turned {at}", lambda x=x, y=y: x.T + y.T
        if r > 1:
            yield f"add_off_by_one {at}", lambda x=x, y=y: x[1:] + y[:-1]
        for axis in (0, 1):
            s = f"axis{axis} {at}"
            yield (
                f"sum {s}",
                both(lambda x=x, a=axis: mx.sum(x, a), lambda x=x, a=axis: torch.sum(x, a)),
            )
            yield (
                f"max {s}",
                both(lambda x=x, a=axis: mx.max(x, a), lambda x=x, a=axis: torch.amax(x, a)),
            )
            yield (
                f"argmax {s}",
                both(lambda x=x, a=axis: mx.argmax(x, a), lambda x=x, a=axis: torch.argmax(x, a)),
            )
            yield (
                f"var {s}",
                both(
                    lambda x=x, a=axis: mx.var(x, a),
                    lambda x=x, a=axis: torch.var(x, a, correction=0),
                ),
            )
            yield (
                f"logsumexp {s}",
                both(
                    lambda x=x, a=axis: mx.logsumexp(x, a),
                    lambda x=x, a=axis: torch.logsumexp(x, a),
                ),
            )
            yield (
                f"softmax {s}",
                both(lambda x=x, a=axis: mx.softmax(x, a), lambda x=x, a=axis: torch.softmax(x, a)),
            )
            yield (
                f"cumsum {s}",
                both(lambda x=x, a=axis: mx.cumsum(x, a), lambda x=x, a=axis: torch.cumsum(x, a)),
            )
            yield (
                f"sort {s}",
                both(lambda x=x, a=axis: mx.sort(x, a), lambda x=x, a=axis: torch.sort(x, a)[0]),
            )
            yield (
                f"argsort {s}",
                both(lambda x=x, a=axis: mx.argsort(x, a), lambda x=x, a=axis: torch.argsort(x, a)),
            )
            yield (
                f"flip {s}",
                both(
                    lambda x=x, a=axis: mx.contiguous(x[::-1] if a == 0 else x[:, ::-1]),
                    lambda x=x, a=axis: torch.flip(x, (a,)),
                ),
            )
            yield (
                f"concat {s}",
                both(
                    lambda x=x, y=y, a=axis: mx.concatenate([x, y], a),
                    lambda x=x, y=y, a=axis: torch.cat([x, y], a),
                ),
            )
        yield f"sum all {at}", lambda x=x: x.sum()
        yield f"transpose {at}", both(lambda x=x: mx.contiguous(x.T), lambda x=x: x.T.contiguous())
        w, b = A(f32(c)), A(f32(c))
        yield (
            f"layer_norm {at}",
            both(
                lambda x=x, w=w, b=b: mx.fast.layer_norm(x, w, b, 1e-5),
                lambda x=x, w=w, b=b, c=c: F.layer_norm(x, (c,), w, b, 1e-5),
            ),
        )
        yield (
            f"rms_norm {at}",
            both(
                lambda x=x, w=w: mx.fast.rms_norm(x, w, 1e-5),
                lambda x=x, w=w, c=c: F.rms_norm(x, (c,), w, 1e-5),
            ),
        )
        for n in (10, 5000):
            i = A(rng.integers(0, r, n))
            yield f"take {at} {n}", lambda x=x, i=i: x[i]
            j = A(rng.integers(0, c, (r, 3)))
            yield (
                f"take_along {at} {n}",
                both(
                    lambda x=x, j=j: mx.take_along_axis(x, j, 1),
                    lambda x=x, j=j: torch.take_along_dim(x, j, 1),
                ),
            )
            u = A(f32(n, c))
            yield (
                f"scatter_add {at} {n}",
                both(
                    lambda x=x, i=i, u=u: x.at[i].add(u), lambda x=x, i=i, u=u: x.index_add(0, i, u)
                ),
            )
        yield (
            f"where {at}",
            both(lambda x=x, y=y: mx.where(x > 0, x, y), lambda x=x, y=y: torch.where(x > 0, x, y)),
        )
        yield f"silu {at}", both(lambda x=x: x * mx.sigmoid(x), lambda x=x: F.silu(x))
    for name, t in [
        ("int8", np.int8),
        ("int32", np.int32),
        ("int64", np.int64),
        ("uint8", np.uint8),
    ]:
        x, y = (A(rng.integers(1, 100, (1001, 501)).astype(t)) for _ in range(2))
        yield f"{name} add", lambda x=x, y=y: x + y
        yield f"{name} multiply", lambda x=x, y=y: x * y
        yield f"{name} floor_divide", lambda x=x, y=y: x // y
        yield f"{name} sum", lambda x=x: x.sum(1)
        yield f"{name} max", both(lambda x=x: x.max(0), lambda x=x: x.amax(0))
        yield f"{name} sort", both(lambda x=x: mx.sort(x), lambda x=x: torch.sort(x)[0])
        yield f"{name} to float", both(lambda x=x: x.astype(mx.float32), lambda x=x: x.float())
    for name in ("float16", "bfloat16", "float64"):
        x, y = A(f32(1001, 501)), A(f32(1001, 501))
        x, y = both(
            lambda x=x, y=y, name=name: (x.astype(getattr(mx, name)), y.astype(getattr(mx, name))),
            lambda x=x, y=y, name=name: (x.to(getattr(torch, name)), y.to(getattr(torch, name))),
        )()
        yield f"{name} add", lambda x=x, y=y: x + y
        yield f"{name} exp", both(lambda x=x: mx.exp(x), lambda x=x: torch.exp(x))
        yield f"{name} tanh", both(lambda x=x: mx.tanh(x), lambda x=x: torch.tanh(x))
        yield f"{name} sum", lambda x=x: x.sum(1)
        yield (
            f"{name} softmax",
            both(lambda x=x: mx.softmax(x, -1), lambda x=x: torch.softmax(x, -1)),
        )
        yield f"{name} sort", both(lambda x=x: mx.sort(x), lambda x=x: torch.sort(x)[0])
        yield f"{name} matmul", lambda x=x, y=y: x @ y.T
        yield f"{name} matmul 7", lambda x=x, y=y: x[:7] @ y.T
    for n, hw, c, o, k, s, g in [
        (1, 5, 3, 7, 3, 1, 1), (1, 224, 3, 64, 7, 2, 1), (2, 33, 17, 19, 3, 1, 1), (8, 28, 128, 128, 3, 2, 1), (1, 56, 64, 64, 3, 1, 64),
        (4, 14, 256, 512, 1, 1, 1), (16, 7, 512, 512, 3, 1, 1), (1, 112, 32, 64, 3, 1, 4),
    ]:  # fmt: skip
        x, w = f32(n, hw, hw, c), f32(o, k, k, c // g)
        if fw == "mica":
            x, w = A(x), A(w)
            f = lambda x, w, k=k, s=s, g=g: mx.conv2d(x, w, stride=s, padding=k // 2, groups=g)
            grad = mx.grad(lambda x, w, f=f: f(x, w).sum(), argnums=(0, 1))
            yield f"conv {n}x{hw}x{c}->{o} k{k}s{s}g{g}", lambda x=x, w=w, f=f: f(x, w)
            yield (
                f"conv_grad {n}x{hw}x{c}->{o} k{k}s{s}g{g}",
                lambda x=x, w=w, grad=grad: grad(x, w),
            )
        else:
            cl = torch.channels_last
            x = A(x).permute(0, 3, 1, 2).contiguous(memory_format=cl)
            w = A(w).permute(0, 3, 1, 2).contiguous(memory_format=cl)
            f = lambda x, w, k=k, s=s, g=g: F.conv2d(x, w, stride=s, padding=k // 2, groups=g)
            yield f"conv {n}x{hw}x{c}->{o} k{k}s{s}g{g}", lambda x=x, w=w, f=f: f(x, w)
            x2, w2 = x.clone().requires_grad_(), w.clone().requires_grad_()
            yield (
                f"conv_grad {n}x{hw}x{c}->{o} k{k}s{s}g{g}",
                lambda x=x2, w=w2, f=f: torch.autograd.grad(f(x, w).sum(), (x, w)),
            )
    for b, h, q, kv, d, causal in [
        (1, 1, 1, 1, 64, False), (1, 9, 1, 513, 64, False), (1, 3, 17, 17, 33, False), (2, 8, 100, 100, 64, True),
        (1, 8, 333, 333, 80, True), (1, 4, 64, 2049, 128, False), (16, 12, 77, 77, 64, False), (1, 2, 2047, 2047, 64, True),
    ]:  # fmt: skip
        t = [A(f32(b, h, q, d)), A(f32(b, h, kv, d)), A(f32(b, h, kv, d))]
        f = both(
            lambda q, k, v, c=causal, d=d: mx.fast.scaled_dot_product_attention(
                q, k, v, scale=d**-0.5, mask="causal" if c else None
            ),
            lambda q, k, v, c=causal: F.scaled_dot_product_attention(q, k, v, is_causal=c),
        )
        at = f"{b}x{h}x{q}x{kv}x{d}" + ("c" if causal else "")
        yield f"attention {at}", lambda t=t, f=f: f(*t)
        if fw == "mica":
            grad = mx.grad(lambda q, k, v, f=f: f(q, k, v).sum(), argnums=(0, 1, 2))
            yield f"attention_grad {at}", lambda t=t, grad=grad: grad(*t)
        else:
            u = [v.clone().requires_grad_() for v in t]
            yield f"attention_grad {at}", lambda u=u, f=f: torch.autograd.grad(f(*u).sum(), u)


def measure(fw, only):
    if fw == "mica":
        import mlx.core as mx

        wait = mx.eval
    else:

        def wait(x):
            pass

    for name, f in cases(fw):
        if only and not re.search(only, name):
            continue
        for _ in range(3):
            wait(f())
        while sys.stdin.readline().strip() == "again":
            times = []
            end = time.perf_counter() + 0.02
            while len(times) < 5 or (time.perf_counter() < end and len(times) < 2000):
                t = time.perf_counter()
                wait(f())
                times.append(time.perf_counter() - t)
            times.sort()
            print(json.dumps([name, times[len(times) // 2] * 1e3]), flush=True)


class Side:
    """A process that measures one framework, case by case."""

    def __init__(self, fw, python, only):
        env = dict(os.environ)
        if fw == "torch":
            env |= {
                "MALLOC_MMAP_THRESHOLD_": "4000000000",
                "MALLOC_TRIM_THRESHOLD_": "8000000000",
            }
            env.pop("PYTHONPATH", None)
            env.pop("LD_LIBRARY_PATH", None)
        self.process = subprocess.Popen(
            [python, __file__, "--measure", fw, "--only", only],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env,
        )  # fmt: skip

    def ask(self, what):
        try:
            self.process.stdin.write(what + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # there are no more cases

    def measured(self):
        """(name, ms) of the case at hand; None behind the last one."""
        time.sleep(0.015)  # threads of the other side may still wait for work, spinning
        self.ask("again")
        line = self.process.stdout.readline()
        return json.loads(line) if line else None


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--torch")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--only", default="")
    p.add_argument("--measure")
    p.add_argument("--below", type=float, default=1.0, help="print cases below this ratio")
    a = p.parse_args()
    if a.measure:
        measure(a.measure, a.only)
        sys.exit()
    best = {}
    # Turn by turn within a case: machines change their speed from second to second.
    sides = {"mica": Side("mica", sys.executable, a.only), "torch": Side("torch", a.torch, a.only)}
    done = False
    while not done:
        for _ in range(a.rounds):
            for fw, side in sides.items():
                if not (got := side.measured()):
                    done = True
                    break
                name, ms = got
                both = best.setdefault(name, {})
                both[fw] = min(ms, both.get(fw, 1e30))
        for side in sides.values():
            side.ask("next")
    if any(side.process.wait() for side in sides.values()):
        sys.exit("a side failed")
    below = 0
    for name, both in sorted(best.items(), key=lambda x: x[1]["torch"] / x[1]["mica"]):
        ratio = both["torch"] / both["mica"]
        below += ratio < 1
        if ratio < a.below:
            print(f"{name:40s} {both['mica']:9.4f} {both['torch']:9.4f} {ratio:6.2f}")
    print(f"{len(best)} cases, {below} below 1")
