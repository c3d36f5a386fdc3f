"""Write expected.json: what Apple's build gives for `cases.py`.

pip install "mlx[cpu]"        # in an environment of its own, without this package
python tests/nn/make_expected.py
"""

import json
from pathlib import Path

import cases
from mlx import nn


def main():
    layers = {}
    for case in cases.LAYERS:
        name, args, kwargs, _ = case
        for training in cases.modes(case):
            layers[cases.layer_key(case, training)] = {
                "repr": repr(getattr(nn, name)(*args, **kwargs)).split(" at 0x")[0],
                "values": cases.digest(cases.run_layer(case, training)),
            }
    expected = {
        "layers": layers,
        "losses": {
            cases.loss_id(case): cases.digest(cases.run_loss(*case)) for case in cases.loss_cases()
        },
        "initialisers": {
            name: cases.digest(cases.run_initialiser(name, args))
            for name, args in cases.INITIALISERS
        },
        "optimizers": {
            f"{name}{args}": cases.digest(cases.run_optimizer(name, args))
            for name, args in cases.OPTIMIZERS
        },
        "training": {
            case[0]: cases.digest(cases.run_training(case))
            for case in cases.one_of_each()
            if cases.can_be_trained(case)
        },
        "signatures": {path: cases.signature(path) for path in cases.public_paths()},
    }
    path = Path(__file__).with_name("expected.json")
    # One line a case: small, and a change shows as a change of lines.
    sections = []
    for section, entries in expected.items():
        lines = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in entries.items())
        sections.append(f" {json.dumps(section)}: {{\n{lines}\n }}")
    path.write_text("{\n" + ",\n".join(sections) + "\n}\n")


if __name__ == "__main__":
    main()
