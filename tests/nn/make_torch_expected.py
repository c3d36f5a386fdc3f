"""Write torch_expected.json: what PyTorch gives for `torch_cases.py`.

pip install torch       # in an environment of its own; this package isn't needed
python tests/nn/make_torch_expected.py
"""

import json
from pathlib import Path

import torch_cases


def main():
    lines = []
    for name in torch_cases.SHAPES:
        results = torch_cases.run_torch(name)
        rounded = {key: torch_cases.digest(value) for key, value in results.items()}
        lines.append(f" {json.dumps(name)}: {json.dumps(rounded)}")
    path = Path(__file__).with_name("torch_expected.json")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
