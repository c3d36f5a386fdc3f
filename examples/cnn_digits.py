"""A convolutional network reads handwritten digits."""

import mlx.core as mx
import mlx.optimizers as optim
from digits import batches, load
from mlx import nn

EPOCHS = 8
BATCH = 64


class CNN(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(2 * 2 * 32, classes)

    def __call__(self, images):  # (N, height, width, channels): channels come last
        x = self.features(images)
        return self.head(self.dropout(x.reshape(len(x), -1)))


def loss_fn(model, images, labels):
    return nn.losses.cross_entropy(model(images), labels, reduction="mean")


def accuracy(model, images, labels):
    model.eval()
    right = mx.mean(mx.argmax(model(images), axis=1) == labels).item()
    model.train()
    return right


mx.random.seed(0)
train, test = load()
model = CNN(10)
optimizer = optim.Adam(learning_rate=3e-3)
loss_and_grad = nn.value_and_grad(model, loss_fn)

for epoch in range(1, EPOCHS + 1):
    for images, labels in batches(*train, BATCH):
        loss, grads = loss_and_grad(model, images, labels)
        optimizer.update(model, grads)
        mx.eval(model.state, optimizer.state)
    print(f"epoch {epoch}: loss {loss.item():.4f}, test accuracy {accuracy(model, *test):.4f}")

print(f"final accuracy {accuracy(model, *test):.4f}")
