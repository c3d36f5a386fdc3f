"""A graph convolution guesses who went with whom when Zachary's karate club split.

Of the 34 members only the two leaders' sides are told; the friendships do the rest.
"""

import mlx.core as mx
import mlx.optimizers as optim
import networkx
from mlx import nn

EPOCHS = 150


class GraphConvolution(nn.Module):
    """Each node takes the mean of its neighbours' features, itself included."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def __call__(self, x, adjacency):
        return adjacency @ self.linear(x)


class GCN(nn.Module):
    def __init__(self, inputs, hidden, classes):
        super().__init__()
        self.first = GraphConvolution(inputs, hidden)
        self.second = GraphConvolution(hidden, classes)

    def __call__(self, x, adjacency):
        return self.second(nn.relu(self.first(x, adjacency)), adjacency)


def normalised(graph):
    """The adjacency matrix with loops, scaled by the roots of both degrees."""
    a = mx.array(networkx.to_numpy_array(graph, weight=None)).astype(mx.float32)
    a = a + mx.eye(len(graph))
    scale = mx.rsqrt(a.sum(axis=1))
    return scale[:, None] * a * scale


mx.random.seed(0)
graph = networkx.karate_club_graph()
sides = mx.array([int(graph.nodes[n]["club"] != "Mr. Hi") for n in graph])
told = mx.array([0, 33])  # the instructor and the president
adjacency = normalised(graph)
features = mx.eye(len(graph))  # who one is; nothing else is known

model = GCN(len(graph), 16, 2)
optimizer = optim.Adam(learning_rate=0.01)


def loss_fn(model):
    logits = model(features, adjacency)
    weights = sum(layer.linear.weight.square().sum() for layer in (model.first, model.second))
    return nn.losses.cross_entropy(logits[told], sides[told], reduction="mean") + 5e-4 * weights


loss_and_grad = nn.value_and_grad(model, loss_fn)
for epoch in range(1, EPOCHS + 1):
    loss, grads = loss_and_grad(model)
    optimizer.update(model, grads)
    mx.eval(model.state, optimizer.state)
    if epoch % 25 == 0:
        print(f"epoch {epoch}: loss {loss.item():.4f}")

right = mx.mean(mx.argmax(model(features, adjacency), axis=1) == sides)
print(f"final accuracy {right.item():.4f}")
