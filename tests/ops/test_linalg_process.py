"""mx.linalg with threads, after fork, and without a LAPACK library."""

import os
import subprocess
import sys
import threading

import mlx.core as mx
import numpy as np

CHILD = """
import os
import numpy as np
import mlx.core as mx
x = np.random.default_rng(0).standard_normal((8, 40, 40)).astype(np.float32)
a = mx.array(x)
want = np.array(mx.linalg.inv(a))
pid = os.fork()
if pid == 0:
    same = np.array_equal(np.array(mx.linalg.inv(mx.array(x))), want)
    w = np.array(mx.linalg.eigvalsh(mx.array(x)))
    os._exit(0 if same and np.isfinite(w).all() else 1)
assert os.waitpid(pid, 0)[1] == 0
"""


def run(program, **env):
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_fork():
    done = run(CHILD)
    assert done.returncode == 0, done.stderr


def test_same_bits_on_any_number_of_threads():
    program = """
import hashlib
import numpy as np
import mlx.core as mx
x = mx.array(np.random.default_rng(0).standard_normal((16, 40, 40)).astype(np.float32))
h = hashlib.sha256()
for out in (mx.linalg.inv(x), *mx.linalg.svd(x), *mx.linalg.qr(x), mx.linalg.det(x[:, :4, :4])):
    h.update(np.array(out).tobytes())
print(h.hexdigest())
"""
    one, many = run(program, MLX_NUM_THREADS="1"), run(program, MLX_NUM_THREADS="5")
    assert one.stdout and one.stdout == many.stdout, one.stderr + many.stderr


def test_threads():
    x = np.random.default_rng(0).standard_normal((4, 30, 30)).astype(np.float32)
    want = np.array(mx.linalg.inv(mx.array(x)))
    wrong = []

    def work():
        for _ in range(20):
            got = np.array(mx.linalg.inv(mx.array(x), stream=mx.cpu))
            if not np.array_equal(got, want):
                wrong.append(got)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_no_library():
    program = """
import mlx.core as mx
print(mx.linalg.inv(mx.eye(2)).tolist())
try:
    mx.eval(mx.linalg.svd(mx.eye(2)))
except RuntimeError as e:
    print(e)
"""
    done = run(program, MICA_LAPACK="/nowhere/liblapack.so")
    assert "[[1.0, 0.0], [0.0, 1.0]]" in done.stdout, done.stderr  # small ones need no library
    assert "MICA_LAPACK names /nowhere/liblapack.so" in done.stdout


def test_no_library_is_opened_by_import():
    program = """
import mlx.core as mx
print("scipy_openblas32" in open("/proc/self/maps").read())
"""
    assert run(program).stdout.strip() == "False"
