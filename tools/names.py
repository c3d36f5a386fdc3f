"""How many public names and signatures of mlx 0.32.4 are here: 100% each, or what is missing.

python tools/names.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "api"))


def main() -> int:
    import test_public_api as api

    missing, wrong = [], []
    for name in api.NAMES:
        try:
            api.find(name)
        except AttributeError:
            missing.append(name)
    signed = [name for name in api.SIGNED if name not in missing]
    for name in signed:
        try:
            api.test_parameters(name)
            api.test_annotations(name)
        except AssertionError as error:
            wrong.append(f"{name}: {error}")
    print("\n".join(missing + wrong), end="\n" if missing or wrong else "")
    for what, bad, of in (("names", missing, api.NAMES), ("signatures", wrong, signed)):
        print(f"{what}: {len(of) - len(bad)} of {len(of)}, {100 * (1 - len(bad) / len(of)):.1f}%")
    return bool(missing or wrong)


if __name__ == "__main__":
    sys.exit(main())
