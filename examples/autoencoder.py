"""An autoencoder squeezes digits of 64 points into 8 numbers and draws them again."""

import mlx.core as mx
import mlx.optimizers as optim
from digits import batches, load
from mlx import nn

EPOCHS = 40
BATCH = 64
CODE = 8


class Autoencoder(nn.Module):
    def __init__(self, points, hidden, code):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(points, hidden), nn.GELU(), nn.Linear(hidden, code))
        self.decoder = nn.Sequential(nn.Linear(code, hidden), nn.GELU(), nn.Linear(hidden, points))

    def __call__(self, x):
        return self.decoder(self.encoder(x))


def loss_fn(model, x):
    return nn.losses.mse_loss(model(x), x)


def drawing(image):
    shades = " .:-=+*#%@"
    rows = (image.reshape(8, 8) * 9.99).astype(mx.int32).tolist()
    return ["".join(shades[max(0, min(9, p))] * 2 for p in row) for row in rows]


mx.random.seed(0)
(images, labels), (test, _) = load()
test = test.reshape(len(test), -1)
model = Autoencoder(64, 128, CODE)
optimizer = optim.Adam(learning_rate=optim.cosine_decay(3e-3, EPOCHS * (len(images) // BATCH + 1)))
loss_and_grad = nn.value_and_grad(model, loss_fn)

for epoch in range(1, EPOCHS + 1):
    for batch, _ in batches(images, labels, BATCH):
        loss, grads = loss_and_grad(model, batch.reshape(len(batch), -1))
        optimizer.update(model, grads)
        mx.eval(model.state, optimizer.state)
    if epoch % 5 == 0:
        print(f"epoch {epoch}: loss {loss_fn(model, test).item():.5f} on the test images")

for left, right in zip(drawing(test[0]), drawing(model(test[:1])[0]), strict=True):
    print(left, "|", right)
# What drawing the mean image for everything would cost, for comparison.
mean = images.reshape(len(images), -1).mean(axis=0)
print(f"error of the mean image {nn.losses.mse_loss(mx.broadcast_to(mean, test.shape), test):.5f}")
print(f"final error {loss_fn(model, test).item():.5f}")
