"""The module in a process: interruption, threads, fork, exit."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import mlx.core as mx
import pytest

LONG = """
    import mlx.core as mx
    x = mx.array([0.5] * 300_000)
    y = x
    for _ in range(20_000):
        y = mx.sin(y)
    print("ready", flush=True)
    try:
        mx.eval(y)
        print("finished")
    except KeyboardInterrupt:
        print("interrupted", (x + 1)[0].item(), flush=True)
"""


def python(code, **kwargs):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,
    )


def test_ctrl_c_stops_an_evaluation():
    p = python(LONG)
    assert p.stdout.readline() == "ready\n"
    time.sleep(0.3)
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=60)
    assert out == "interrupted 1.5\n", (out, err)


def test_exit_with_live_arrays_is_silent():
    p = python("import mlx.core as mx; x = mx.array([1.0]); y = mx.exp(x); mx.async_eval(y)")
    out, err = p.communicate(timeout=60)
    assert (p.returncode, out, err) == (0, "", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_fork_after_use():
    p = python("""
        import os
        import mlx.core as mx
        x = mx.array([1.0] * 200_000)
        mx.eval(mx.exp(x) * 2)
        pid = os.fork()
        if pid == 0:
            os._exit(0 if abs(mx.exp(x).sum().item() / 200_000 - 2.71828) < 1e-3 else 1)
        print(os.waitpid(pid, 0)[1])
    """)
    out, err = p.communicate(timeout=60)
    assert out == "0\n", err


def test_threads_build_and_evaluate():
    results = {}

    def work(i):
        x = mx.array([float(i)] * 1000)
        for _ in range(50):
            x = x + 1
        results[i] = x.sum().item()
        mx.random.seed(i)
        results[-i] = mx.random.uniform(shape=(3,)).tolist()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(1, 5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for i in range(1, 5):
        assert results[i] == (i + 50) * 1000
        mx.random.seed(i)
        assert mx.random.uniform(shape=(3,)).tolist() == results[-i]


def test_an_array_of_another_thread():
    made = []
    t = threading.Thread(target=lambda: made.append(mx.array([1.0, 2.0]) * 3))
    t.start()
    t.join()
    assert (made[0] + 1).tolist() == [4, 7]


def test_import_is_quick():
    code = "import time; t = time.perf_counter(); import mlx.core; print(time.perf_counter() - t)"
    seconds = min(float(python(code).communicate(timeout=60)[0]) for _ in range(3))
    assert seconds < 0.5  # the budget is 50 ms on an idle machine
