"""Training that is interrupted and goes on from a checkpoint gives the same bits as training that
was not: the checkpoint holds the model, the optimizer's state and the random state.
"""

import tempfile
from pathlib import Path

import mlx.core as mx
import mlx.optimizers as optim
from digits import load
from mlx import nn
from mlx.utils import tree_flatten, tree_unflatten

STEPS = 60
BATCH = 64


def make():
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 10))
    return model, optim.AdamW(learning_rate=optim.cosine_decay(5e-3, STEPS))


def loss_fn(model, x, y):
    return nn.losses.cross_entropy(model(x), y, reduction="mean")


def train(model, optimizer, images, labels, first, last):
    loss_and_grad = nn.value_and_grad(model, loss_fn)
    for step in range(first, last):
        chosen = mx.random.randint(0, len(labels), (BATCH,))
        loss, grads = loss_and_grad(model, images[chosen], labels[chosen])
        optimizer.update(model, grads)
        mx.eval(model.state, optimizer.state)
        if (step + 1) % 20 == 0:
            print(f"step {step + 1}: loss {loss.item():.4f}")


def save(folder, model, optimizer):
    model.save_weights(str(folder / "model.safetensors"))
    state = {"optimizer": optimizer.state, "random": mx.random.state[0]}
    mx.save_safetensors(str(folder / "state.safetensors"), tree_flatten(state, destination={}))


def restore(folder, model, optimizer):
    model.load_weights(str(folder / "model.safetensors"))
    state = tree_unflatten(mx.load(str(folder / "state.safetensors")))
    optimizer.state = state["optimizer"]
    mx.random.state[0] = state["random"]


(images, labels), (test, test_labels) = load()
images, test = (x.reshape(len(x), -1) for x in (images, test))

print("without interruption")
mx.random.seed(0)
whole, optimizer = make()
train(whole, optimizer, images, labels, 0, STEPS)

with tempfile.TemporaryDirectory() as name:
    print("interrupted at half time")
    mx.random.seed(0)
    half, optimizer = make()
    train(half, optimizer, images, labels, 0, STEPS // 2)
    save(Path(name), half, optimizer)

    mx.random.seed(1234)  # what another process would start with
    resumed, optimizer = make()
    restore(Path(name), resumed, optimizer)
    train(resumed, optimizer, images, labels, STEPS // 2, STEPS)

pairs = zip(tree_flatten(whole.parameters()), tree_flatten(resumed.parameters()), strict=True)
same = all(a[0] == b[0] and mx.array_equal(a[1], b[1]) for a, b in pairs)
resumed.eval()
right = mx.mean(mx.argmax(resumed(test), axis=1) == test_labels)
print(f"final accuracy {right.item():.4f}")
print("same bits" if same else "different bits")
