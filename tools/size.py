"""No file of ours may grow beyond 800 lines. Prints those beyond 400 with --long."""

import subprocess
import sys

LIMIT, AIM = 800, 400
ENDINGS = (".py", ".cpp", ".cc", ".h", ".def", ".txt", ".cmake")


def main() -> int:
    files = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True)
    sizes = []
    for name in files.stdout.split("\n"):
        if name.endswith(ENDINGS):
            with open(name, encoding="utf-8") as f:
                sizes.append((sum(1 for _ in f), name))
    sizes.sort(reverse=True)
    if "--long" in sys.argv:
        for lines, name in sizes:
            if lines > AIM:
                print(f"{lines:5d} {name}")
    too_long = [s for s in sizes if s[0] > LIMIT]
    for lines, name in too_long:
        print(f"{name}: {lines} lines, {LIMIT} is the most a file may have")
    print(f"{len(sizes)} files, longest {sizes[0][1]} with {sizes[0][0]} lines")
    return bool(too_long)


if __name__ == "__main__":
    sys.exit(main())
