"""A multilayer perceptron reads handwritten digits."""

import time

import mlx.core as mx
import mlx.optimizers as optim
from digits import batches, load
from mlx import nn

EPOCHS = 15
BATCH = 64


class MLP(nn.Module):
    def __init__(self, inputs, hidden, classes):
        super().__init__()
        self.layers = [nn.Linear(inputs, hidden), nn.Linear(hidden, hidden)]
        self.head = nn.Linear(hidden, classes)

    def __call__(self, images):
        x = images.reshape(len(images), -1)
        for layer in self.layers:
            x = nn.relu(layer(x))
        return self.head(x)


def loss_fn(model, images, labels):
    return nn.losses.cross_entropy(model(images), labels, reduction="mean")


def accuracy(model, images, labels):
    return mx.mean(mx.argmax(model(images), axis=1) == labels).item()


mx.random.seed(0)
train, test = load()
model = MLP(64, 128, 10)
optimizer = optim.AdamW(learning_rate=2e-3)
loss_and_grad = nn.value_and_grad(model, loss_fn)

for epoch in range(1, EPOCHS + 1):
    start = time.perf_counter()
    for images, labels in batches(*train, BATCH):
        loss, grads = loss_and_grad(model, images, labels)
        optimizer.update(model, grads)
        mx.eval(model.state, optimizer.state)
    seconds = time.perf_counter() - start
    print(
        f"epoch {epoch}: loss {loss.item():.4f}, test accuracy {accuracy(model, *test):.4f}, "
        f"{seconds:.2f} s"
    )

print(f"final accuracy {accuracy(model, *test):.4f}")
