"""A newcomer's PyTorch program, ported by the replacements that docs/nn.md lists, runs and learns."""

import re
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "nn.md"

PROGRAM = """
import contextlib
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


class MLP(nn.Module):
    def __init__(self, inputs, hidden, classes):
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.body = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.Dropout(0.1))
        self.fc2 = nn.Linear(hidden, classes)

    def forward(self, x):
        x = x.view(x.shape[0], -1)
        x = F.relu(self.norm(self.fc1(x)))
        x = x + self.body(x)
        return self.fc2(x)


torch.manual_seed(0)
random = np.random.RandomState(0)
images = random.randn(256, 4, 4).astype(np.float32)
labels = (images.reshape(256, -1) @ random.randn(16, 3)).argmax(1)
images, labels = torch.from_numpy(images), torch.tensor(labels)

model = MLP(16, 32, 3)
optimizer = optim.AdamW(model.parameters(), lr=1e-2)
losses = []
for epoch in range(20):
    model.train()
    order = torch.randperm(256)
    for start in range(0, 256, 64):
        x, y = images[order[start : start + 64]], labels[order[start : start + 64]]
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

model.eval()
with torch.no_grad():
    predicted = torch.softmax(model(images), -1).argmax(dim=1)
accuracy = (predicted == labels).sum().item() / 256
"""


def tables():
    """The replacements as [(from, to)]: those of names, then those of the training loop."""
    text = DOCUMENT.read_text(encoding="utf-8")
    text = text[text.index("## From PyTorch") : text.index("## Recurrent layers")]
    rows = re.findall(r"^\| `(.*?)` \| (?:`(.*?)`)? ?\|$", text, re.MULTILINE)
    assert len(rows) > 15
    return rows


def port(program):
    for before, after in tables():
        assert before in program or before.startswith((".", "torch.", "F.")), before
        program = program.replace(before, after)
    return program


def test_port_runs_and_learns():
    ported = port(PROGRAM)
    assert "torch" not in ported
    names = {}
    exec(compile(ported, "ported", "exec"), names)  # noqa: S102
    assert names["losses"][-1] < 0.5 * names["losses"][0]
    assert names["accuracy"] > 0.9


def test_original_runs_on_torch():
    pytest.importorskip("torch")
    names = {}
    exec(compile(PROGRAM, "original", "exec"), names)  # noqa: S102
    assert names["accuracy"] > 0.9
