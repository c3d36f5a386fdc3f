"""Today's ratios beside those that docs/perf.md keeps: a look before and after a change, not a test.

    python bench/side_by_side/guard.py [--cases 'matmul.*,sum.*'] mica=mlx:PYTHON torch=torch:PYTHON jax=jax:PYTHON

Runs compare.py and prints, for each case of the table "Side by side", the ratio to the best of the others then
and now. A case that lost a tenth is marked; a busy machine loses more than that, so look twice.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
TABLE = HERE.parent.parent / "docs" / "perf.md"


def kept() -> dict:
    """Case: ratio, of the table in docs/perf.md."""
    text = TABLE.read_text().split("## Side by side", 1)[1].split("\n## ", 1)[0]
    found = {}
    for line in text.splitlines():
        cells = [c.strip(" *") for c in line.split("|")]
        if len(cells) > 5 and re.fullmatch(r"[0-9.]+", cells[-2] or "-"):
            found[cells[1]] = float(cells[-2])
    return found


def today(arguments: list) -> dict:
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [sys.executable, HERE / "compare.py", "--rounds", "3", "--seconds", "0.4"]
        subprocess.run([*command, "--json", out.name, *arguments], check=True, stdout=sys.stderr)
        figures = json.loads(Path(out.name).read_text())
    labels = [a.split("=", 1)[0] for a in arguments if "=" in a and ":" in a]
    times: dict = {}
    for key, ms in figures.items():
        case, label = key.rsplit("|", 1)
        if isinstance(ms, float):
            times.setdefault(case, {})[label] = ms
    return {
        case: min(t[p] for p in labels[1:] if p in t) / t[labels[0]]
        for case, t in times.items()
        if labels[0] in t and len(t) > 1
    }


def main() -> None:
    then, now = kept(), today(sys.argv[1:])
    print(f"{'case':24s} {'then':>7s} {'now':>7s}")
    for case, ratio in now.items():
        before = then.get(case)
        mark = "  slower" if before and ratio < 0.9 * before else ""
        print(f"{case:24s} {before if before else '-':>7} {ratio:7.2f}{mark}")


if __name__ == "__main__":
    main()
