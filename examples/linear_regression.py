"""Linear regression by gradient descent: the smallest whole training program.

A hidden vector w_star makes the data, y = X @ w_star + noise; starting from nothing, the program
finds it again. Written for MLX; it runs unmodified here.
"""

import time

import mlx.core as mx

FEATURES = 100
EXAMPLES = 1_000
STEPS = 500
LEARNING_RATE = 0.05

mx.random.seed(0)
w_star = mx.random.normal((FEATURES,))
X = mx.random.normal((EXAMPLES, FEATURES))
y = X @ w_star + 0.01 * mx.random.normal((EXAMPLES,))


def loss_fn(w):
    return 0.5 * mx.mean(mx.square(X @ w - y))


# A transformation turns the loss into a function that also returns its gradient.
loss_and_grad = mx.value_and_grad(loss_fn)

w = mx.zeros((FEATURES,))
start = time.perf_counter()
for step in range(1, STEPS + 1):
    loss, grad = loss_and_grad(w)
    w = w - LEARNING_RATE * grad
    mx.eval(w)  # nothing has been computed until here
    if step % 100 == 0:
        print(f"step {step}: loss {loss.item():.6f}")
seconds = time.perf_counter() - start

error = mx.sqrt(mx.sum(mx.square(w - w_star)))
print(f"error {error.item():.5f}, {STEPS / seconds:.0f} steps a second")
