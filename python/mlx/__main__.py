"""`python -m mlx`: where the C++ side of this installation is, for build scripts.

cmake -DMLX_ROOT="$(python -m mlx --cmake-dir)" ...
"""

import argparse
import importlib.util
import sys
from pathlib import Path


def cmake_root() -> Path:
    """The prefix CMake searches: share/cmake/MLX, include and lib are inside."""
    here = Path(__file__).resolve().parent
    # An editable installation has its compiled part in another place than its Python files.
    core = importlib.util.find_spec("mlx.core")
    compiled = Path(core.origin).resolve().parent if core and core.origin else here
    return next((p for p in (here, compiled) if (p / "share" / "cmake" / "MLX").exists()), here)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m mlx", description=__doc__.splitlines()[0])
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument(
        "--cmake-dir", action="store_true", help="print the folder to give CMake as MLX_ROOT"
    )
    options = parser.parse_args()
    if not (options.version or options.cmake_dir):
        parser.print_help()
        return 0
    if options.version:
        import mlx.core as mx

        print(mx.__version__)
    if options.cmake_dir:
        print(cmake_root())
    return 0


if __name__ == "__main__":
    sys.exit(main())
