"""Programs run apart, because a process has one pool of threads."""

import os
import subprocess
import sys


def outputs(program: str, threads) -> set:
    """What `program` prints, run once for each number of threads."""
    return {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "MLX_NUM_THREADS": str(n)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for n in threads
    }
