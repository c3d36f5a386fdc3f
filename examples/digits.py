"""The handwritten digits that scikit-learn ships: 1797 images of 8 x 8 points, ten classes.

Shared by the examples beside it; `python examples/digits.py` says what is in it.
"""

import mlx.core as mx
import numpy as np
from sklearn.datasets import load_digits

TRAINING = 1500


def load():
    """Images (N, 8, 8, 1) between 0 and 1 and their digits, for training and for testing."""
    digits = load_digits()
    order = np.random.RandomState(0).permutation(len(digits.target))
    images = (digits.images[order] / 16).astype(np.float32)[..., None]
    labels = digits.target[order].astype(np.int32)
    train = mx.array(images[:TRAINING]), mx.array(labels[:TRAINING])
    test = mx.array(images[TRAINING:]), mx.array(labels[TRAINING:])
    return train, test


def batches(images, labels, size):
    """Random batches, once through the data; `mx.random.seed` decides which."""
    order = mx.random.permutation(len(labels))
    for start in range(0, len(labels), size):
        chosen = order[start : start + size]
        yield images[chosen], labels[chosen]


if __name__ == "__main__":
    for name, (images, labels) in zip(("training", "testing"), load(), strict=True):
        print(f"{name}: images {images.shape}, labels {labels.shape}")
