"""What works where, from the table of cases: docs/support.md, and the data behind mx.capabilities().

    python tools/support.py            # writes both
    python tools/support.py --check    # fails if they are not what the table says

A cell is "yes" because a test of that row passes: values for each dtype (tests/ops/test_values.py), first and
second derivatives in both modes (test_gradients.py), vmap (test_vmap.py), compile, also for any shape
(test_compile.py), export, also for any shape (test_export.py). Where it is not "yes", it says why.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "ops"))

COLUMNS = ("vjp", "jvp", "vmap", "compile", "export")
CONSTANT = "constant between steps, or no real argument"
NO_ARRAYS = "takes no arrays"


def cells(row, fixed: dict) -> dict:
    takes_arrays = any(a.kind == "data" for a in row.args)
    derivatives = (
        "yes" if row.grad else row.why.get("derivatives", CONSTANT if row.args else NO_ARRAYS)
    )
    vmap = "yes" if row.vmap else row.why.get("vmap", "no" if takes_arrays else NO_ARRAYS)
    if not row.traceable:
        vmap = "looks at values"
    traceable = "yes" if row.traceable else "looks at values"
    export = traceable
    if row.traceable and row.function in fixed:
        export = "yes; shapeless: " + fixed[row.function]
    return {
        "vjp": derivatives,
        "jvp": derivatives,
        "vmap": vmap,
        "compile": traceable,
        "export": export,
    }


def table() -> dict:
    from table import NOT_IN_THE_TABLE, ROWS
    from test_export import STAYS_FIXED

    functions: dict = {}
    for row in ROWS:
        entry = functions.setdefault(row.function, {"dtypes": [], **dict.fromkeys(COLUMNS, "")})
        entry["dtypes"] = sorted({*entry["dtypes"], *row.dtypes})
        for column, cell in cells(row, STAYS_FIXED).items():
            # A function is as good as its best row: others are special arguments.
            if entry[column] != "yes":
                entry[column] = cell
    for name, reason in NOT_IN_THE_TABLE.items():
        functions[name] = {"tests": reason}
    return dict(sorted(functions.items()))


def groups(dtypes: list) -> str:
    from row import ALL, FLOATS, INTEGERS

    left = [d for d in ALL if d in dtypes]
    if len(left) == len(ALL):
        return "all"
    words = []
    for word, members in (("integers", INTEGERS), ("floats", FLOATS)):
        if set(members) <= set(left):
            words.append(word)
            left = [d for d in left if d not in members]
    return ", ".join(words + [d.rstrip("_") for d in left])


def page(functions: dict) -> str:
    lines = [
        "# What works",
        "",
        "Written by `tools/support.py` from the table of cases in `tests/ops`: a cell says *yes* because a test passes.",
        "`mx.capabilities()` gives the same to programs. All of it runs on the CPU, and in CI on an emulated GPU, where what",
        "the device lacks runs on the CPU by itself; there is no other device yet. Exported functions follow every size",
        "(`shapeless=True`) unless the last column says which.",
        "",
        "| mlx.core | dtypes | vjp | jvp | vmap | compile | export |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, entry in functions.items():
        if "tests" in entry:
            continue
        row = [entry[c] for c in COLUMNS]
        lines.append(f"| `{name}` | {groups(entry['dtypes'])} | {' | '.join(row)} |")
    lines += ["", "## Tested elsewhere", "", "| functions | where |", "|---|---|"]
    by_reason: dict = {}
    for name, entry in functions.items():
        if "tests" in entry:
            by_reason.setdefault(entry["tests"], []).append(f"`{name}`")
    lines += [f"| {', '.join(names)} | {reason} |" for reason, names in sorted(by_reason.items())]
    return "\n".join(lines) + "\n"


def main() -> int:
    functions = table()
    wanted = {
        ROOT / "docs" / "support.md": page(functions),
        ROOT / "python" / "mlx" / "capabilities.json": json.dumps(functions, indent=1) + "\n",
    }
    stale = [p for p, text in wanted.items() if not p.exists() or p.read_text() != text]
    if "--check" in sys.argv:
        print("\n".join(f"{p} is not what the table says: run tools/support.py" for p in stale))
        return bool(stale)
    for path, text in wanted.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
