"""A small transformer learns a text letter by letter and then writes some.

    python examples/char_transformer.py [TEXT_FILE]

Without a file it learns Python's own licence.
"""

import builtins
import site
import sys
from pathlib import Path

import mlx.core as mx
import mlx.optimizers as optim
from mica.progress import Progress
from mlx import nn

STEPS = 600
BATCH = 16
LENGTH = 64
DIMS = 96


class Model(nn.Module):
    def __init__(self, letters, length, dims, layers, heads):
        super().__init__()
        self.letters = nn.Embedding(letters, dims)
        self.places = nn.Embedding(length, dims)
        self.blocks = nn.TransformerEncoder(layers, dims, heads)
        self.head = nn.Linear(dims, letters)

    def __call__(self, text):  # (N, L) letters to (N, L, letters) logits of the next one
        length = text.shape[1]
        mask = nn.MultiHeadAttention.create_additive_causal_mask(length)
        x = self.letters(text) + self.places(mx.arange(length))
        return self.head(self.blocks(x, mask))


def loss_fn(model, text):
    logits = model(text[:, :-1])
    return nn.losses.cross_entropy(logits, text[:, 1:], reduction="mean")


def write(model, alphabet, start, count):
    text = [alphabet.index(letter) for letter in start]
    for _ in range(count):
        logits = model(mx.array(text[-LENGTH:])[None])[0, -1]
        text.append(mx.random.categorical(logits / 0.5).item())
    return "".join(alphabet[letter] for letter in text)


def load(path):
    return Path(path).read_text(encoding="utf-8")


def python_licence():
    """What `license()` shows in an interactive session."""
    site.setcopyright()
    printer = builtins.license
    printer._Printer__setup()
    return "\n".join(printer._Printer__lines)


mx.random.seed(0)
text = load(sys.argv[1]) if len(sys.argv) > 1 else python_licence()
alphabet = sorted(set(text))
letters = mx.array([alphabet.index(letter) for letter in text])
print(f"{len(text)} letters, {len(alphabet)} different ones")

model = Model(len(alphabet), LENGTH, DIMS, layers=2, heads=4)
optimizer = optim.AdamW(
    learning_rate=optim.join_schedules(
        [optim.linear_schedule(1e-5, 1e-3, 30), optim.cosine_decay(1e-3, STEPS - 30)], [30]
    )
)
loss_and_grad = nn.value_and_grad(model, loss_fn)
mx.eval(model.parameters())

for step in (bar := Progress(range(1, STEPS + 1), "training")):
    starts = mx.random.randint(0, len(text) - LENGTH - 1, (BATCH, 1))
    loss, grads = loss_and_grad(model, letters[starts + mx.arange(LENGTH + 1)])
    optimizer.update(model, grads)
    mx.eval(model.state, optimizer.state)
    bar.show(loss=loss)
    if step % 100 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

print(write(model, alphabet, text[:8], 200))
counts = mx.zeros((len(alphabet),)).at[letters].add(1) / len(text)
print(f"loss without looking at the text {-(counts * mx.log(counts)).sum().item():.4f}")
print(f"final loss {loss.item():.4f}")
