"""Keeps the rooms apart: no include points up, and dtype switches stay in their place.

Rooms, lowest first: include/mlx, core, core/prim, core/ops, backend, python. A file may include files
of its own room and of lower ones; a backend may include core, core never a backend.
"""

import re
import subprocess
import sys

FORBIDDEN = {
    "include/": ("core/", "backend/", "python/", "tests/"),
    "core/": ("backend/", "python/", "tests/"),
    "backend/": ("python/", "tests/"),
    "python/src/": ("backend/", "tests/"),
}
# They show the classes of core/prim to users, and are installed with them.
SHOW_PRIMITIVES = ("include/mlx/primitives.h", "include/mlx/fast_primitives.h")
SWITCH_HOMES = (
    "include/mlx/dtype_utils.h",
    "include/mlx/array.h",
    "core/dtype.cpp",
    "core/utils.cpp",
)


def main() -> int:
    files = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True)
    names = [n for n in files.stdout.split("\n") if n.endswith((".h", ".cpp", ".def"))]
    wrong = []
    for name in names:
        with open(name, encoding="utf-8") as f:
            text = f.read()
        for room, banned in FORBIDDEN.items():
            if not name.startswith(room):
                continue
            if name in SHOW_PRIMITIVES:
                banned = tuple(b for b in banned if b != "core/")
            for include in re.findall(r'#include "([^"]+)"', text):
                if include.startswith(banned):
                    wrong.append(f"{name} includes {include}: that arrow points up")
        cases = len(re.findall(r"case Dtype::Val::", text))
        if cases > 4 and name not in SWITCH_HOMES and name.startswith(("core/", "include/")):
            wrong.append(f"{name} switches on dtype ({cases} cases): use include/mlx/dtype_utils.h")
    with open("include/mlx/elementwise.def", encoding="utf-8") as f:
        rows = re.findall(r"^EW\((\w+), (\w+),", f.read(), re.MULTILINE)
    if len(set(rows)) != len(rows):
        wrong.append("include/mlx/elementwise.def has a row twice")
    print(
        "\n".join(wrong)
        if wrong
        else f"{len(names)} files in their places, {len(rows)} rows in the table"
    )
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
