"""Losses. ``reduction`` says what becomes of the single losses: ``"none"`` keeps them,
``"mean"`` and ``"sum"`` make one number."""

import math
from typing import Any, Literal

import mlx.core as mx

Reduction = Literal["none", "mean", "sum"]


def _reduce(loss: mx.array, reduction: Reduction = "none") -> Any:
    if reduction == "none":
        return loss
    if reduction == "mean":
        return mx.mean(loss)
    if reduction == "sum":
        return mx.sum(loss)
    raise ValueError(f"[losses] reduction must be 'none', 'mean' or 'sum', not {reduction!r}")


def _same_shape(where: Any, **arrays: Any) -> None:
    (first, x), *others = arrays.items()
    for name, y in others:
        if y.shape != x.shape:
            raise ValueError(
                f"[{where}] {first} and {name} must have the same shape, "
                f"not {x.shape} and {y.shape}"
            )


def _weighted(where: Any, loss: Any, weights: Any) -> Any:
    if weights is None:
        return loss
    if weights.shape != loss.shape:
        raise ValueError(
            f"[{where}] weights must have the shape of the losses, {loss.shape}, "
            f"not {weights.shape}"
        )
    return loss * weights


def cross_entropy(
    logits: mx.array,
    targets: mx.array,
    weights: mx.array | None = None,
    axis: int = -1,
    label_smoothing: float = 0.0,
    reduction: Reduction = "none",
) -> mx.array:
    """Negative log probability of the right class under ``softmax(logits)``.

    Args:
        logits: scores of the classes along ``axis``.
        targets: the classes as integers, shaped as ``logits`` without ``axis``, or
            probabilities of all classes, shaped as ``logits``.
        weights: multiplied to each loss, shaped as ``logits`` without ``axis``.
        axis: the axis of the classes.
        label_smoothing: how much of the probability is spread over all classes, in
            ``[0, 1)``.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Example:
        >>> nn.losses.cross_entropy(mx.array([[2.0, -1.0]]), mx.array([0]))
        array([0.0485873], dtype=float32)
    """
    where = "cross_entropy"
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"[{where}] label_smoothing must be in [0, 1), not {label_smoothing}")
    classes = logits.shape[axis]
    shape = list(logits.shape)
    del shape[axis]
    as_probabilities = targets.ndim == logits.ndim
    if tuple(targets.shape) != (logits.shape if as_probabilities else tuple(shape)):
        raise ValueError(
            f"[{where}] targets of shape {targets.shape} fit neither the classes nor the "
            f"probabilities of logits of shape {logits.shape}"
        )
    if as_probabilities:
        # Probabilities that don't add up to 1 make the loss depend on where the logits'
        # zero is; it is put at the largest.
        logits = logits - mx.stop_gradient(mx.max(logits, axis=axis, keepdims=True))
        score = mx.sum(logits * targets, axis=axis)
    else:
        if not mx.issubdtype(targets.dtype, mx.integer):
            raise ValueError(
                f"[{where}] targets without the class axis must be integers, not {targets.dtype}"
            )
        score = mx.take_along_axis(logits, mx.expand_dims(targets, axis), axis).squeeze(axis)
    if label_smoothing > 0:
        spread = label_smoothing * mx.sum(logits, axis=axis) / classes
        score = (1 - label_smoothing) * score + spread
    loss = mx.logsumexp(logits, axis=axis) - score
    return _reduce(_weighted(where, loss, weights), reduction)


def binary_cross_entropy(
    inputs: mx.array,
    targets: mx.array,
    weights: mx.array | None = None,
    with_logits: bool = True,
    reduction: Reduction = "mean",
) -> mx.array:
    """Negative log probability of targets that are 0 or 1 (or between).

    Args:
        inputs: scores whose sigmoid is the probability of 1, or, if not
            ``with_logits``, that probability; its logarithm is cut off at -100.
        targets: shaped as ``inputs``.
        weights: multiplied to each loss, shaped as ``inputs``.
        with_logits: what ``inputs`` are.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Example:
        >>> nn.losses.binary_cross_entropy(mx.array([0.0]), mx.array([1]))
        array(0.693147, dtype=float32)
    """
    where = "binary_cross_entropy"
    _same_shape(where, inputs=inputs, targets=targets)
    if with_logits:
        loss = mx.logaddexp(0.0, inputs) - inputs * targets
    else:
        of_one = mx.maximum(mx.log(inputs), -100)
        of_zero = mx.maximum(mx.log(1 - inputs), -100)
        loss = -(of_one * targets + of_zero * (1 - targets))
    return _reduce(_weighted(where, loss, weights), reduction)


def l1_loss(predictions: mx.array, targets: mx.array, reduction: Reduction = "mean") -> mx.array:
    """``|predictions - targets|``.

    Example:
        >>> nn.losses.l1_loss(mx.array([1.0, 2.0]), mx.array([0.0, 5.0]))
        array(2, dtype=float32)
    """
    _same_shape("l1_loss", predictions=predictions, targets=targets)
    return _reduce(mx.abs(predictions - targets), reduction)


def mse_loss(predictions: mx.array, targets: mx.array, reduction: Reduction = "mean") -> mx.array:
    """``(predictions - targets) ** 2``.

    Example:
        >>> nn.losses.mse_loss(mx.array([1.0, 2.0]), mx.array([0.0, 5.0]))
        array(5, dtype=float32)
    """
    _same_shape("mse_loss", predictions=predictions, targets=targets)
    return _reduce(mx.square(predictions - targets), reduction)


def nll_loss(
    inputs: mx.array, targets: mx.array, axis: int = -1, reduction: Reduction = "none"
) -> mx.array:
    """Negative log probability of the right class, for log probabilities.

    Args:
        inputs: log probabilities of the classes along ``axis``.
        targets: the classes as integers, shaped as ``inputs`` without ``axis``.
        axis: the axis of the classes.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    """
    shape = list(inputs.shape)
    del shape[axis]
    if tuple(targets.shape) != tuple(shape):
        raise ValueError(
            f"[nll_loss] targets must have the shape {tuple(shape)} for inputs of shape "
            f"{inputs.shape}, not {targets.shape}"
        )
    picked = mx.take_along_axis(inputs, mx.expand_dims(targets, axis), axis)
    return _reduce(-picked.squeeze(axis), reduction)


def gaussian_nll_loss(
    inputs: mx.array,
    targets: mx.array,
    vars: mx.array,
    full: bool = False,
    eps: float = 1e-6,
    reduction: Reduction = "mean",
) -> mx.array:
    """Negative log density of ``targets`` under normal distributions.

    ``(log(v) + (inputs - targets) ** 2 / v) / 2`` with ``v = max(vars, eps)``.

    Args:
        inputs: the means.
        targets: shaped as ``inputs``.
        vars: the variances, shaped as ``inputs``.
        full: whether to add the constant ``log(2 * pi) / 2``.
        eps: the least variance.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    """
    _same_shape("gaussian_nll_loss", inputs=inputs, targets=targets, vars=vars)
    variance = mx.maximum(vars, eps)
    loss = 0.5 * (mx.log(variance) + mx.square(targets - inputs) / variance)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return _reduce(loss, reduction)


def kl_div_loss(
    inputs: mx.array, targets: mx.array, axis: int = -1, reduction: Reduction = "none"
) -> mx.array:
    """Kullback-Leibler divergence of ``targets`` from ``inputs``, both log
    probabilities along ``axis``: the sum of ``exp(targets) * (targets - inputs)``."""
    return _reduce(mx.sum(mx.exp(targets) * (targets - inputs), axis=axis), reduction)


def smooth_l1_loss(
    predictions: mx.array,
    targets: mx.array,
    beta: float = 1.0,
    reduction: Reduction = "mean",
) -> mx.array:
    """``d ** 2 / (2 * beta)`` for differences ``d`` below ``beta``, else
    ``d - beta / 2``."""
    _same_shape("smooth_l1_loss", predictions=predictions, targets=targets)
    d = mx.abs(predictions - targets)
    if beta == 0:
        return _reduce(d, reduction)
    loss = mx.where(d < beta, 0.5 * mx.square(d) / beta, d - 0.5 * beta)
    return _reduce(loss, reduction)


def huber_loss(
    inputs: mx.array,
    targets: mx.array,
    delta: float = 1.0,
    reduction: Reduction = "none",
) -> mx.array:
    """``d ** 2 / 2`` for differences ``d`` up to ``delta``, else
    ``delta * (d - delta / 2)``."""
    d = mx.abs(inputs - targets)
    loss = mx.where(d <= delta, 0.5 * mx.square(d), delta * (d - 0.5 * delta))
    return _reduce(loss, reduction)


def log_cosh_loss(inputs: mx.array, targets: mx.array, reduction: Reduction = "none") -> mx.array:
    """``log(cosh(inputs - targets))``, without overflow: a square near zero, straight
    far from it."""
    d = inputs - targets
    return _reduce(mx.logaddexp(d, -d) - math.log(2), reduction)


def hinge_loss(inputs: mx.array, targets: mx.array, reduction: Reduction = "none") -> mx.array:
    """``max(0, 1 - inputs * targets)`` for targets that are -1 or 1."""
    return _reduce(mx.maximum(1 - inputs * targets, 0), reduction)


def triplet_loss(
    anchors: mx.array,
    positives: mx.array,
    negatives: mx.array,
    axis: int = -1,
    p: int = 2,
    margin: float = 1.0,
    eps: float = 1e-6,
    reduction: Reduction = "none",
) -> mx.array:
    """How much nearer by ``margin`` an anchor should be to its positive than to its
    negative: ``max(0, dist(anchor, positive) - dist(anchor, negative) + margin)``.

    Args:
        anchors: the anchors.
        positives: what should be near to them.
        negatives: what should be far from them.
        axis: the axis of the features.
        p: the distance is ``(sum(|d| ** p) + eps) ** (1 / p)``.
        margin: by how much.
        eps: keeps the gradient finite at distance 0.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    """

    def distance(x: Any, y: Any) -> Any:
        if p == 2:
            return mx.sqrt(mx.sum(mx.square(x - y), axis=axis) + eps)
        return mx.power(mx.sum(mx.power(mx.abs(x - y), p), axis=axis) + eps, 1 / p)

    gap = distance(anchors, positives) - distance(anchors, negatives)
    return _reduce(mx.maximum(gap + margin, 0), reduction)


def cosine_similarity_loss(
    x1: mx.array,
    x2: mx.array,
    axis: int = 1,
    eps: float = 1e-8,
    reduction: Reduction = "none",
) -> mx.array:
    """Cosine of the angle between vectors along ``axis``; the product of their lengths
    counts as at least ``eps``.

    Example:
        >>> nn.losses.cosine_similarity_loss(mx.array([[1.0, 0.0]]), mx.array([[1.0, 1.0]]))
        array([0.707107], dtype=float32)
    """
    lengths = mx.sqrt(mx.sum(x1 * x1, axis=axis)) * mx.sqrt(mx.sum(x2 * x2, axis=axis))
    return _reduce(mx.sum(x1 * x2, axis=axis) / mx.maximum(lengths, eps), reduction)


def margin_ranking_loss(
    inputs1: mx.array,
    inputs2: mx.array,
    targets: mx.array,
    margin: float = 0.0,
    reduction: Reduction = "none",
) -> mx.array:
    """``max(0, margin - targets * (inputs1 - inputs2))``: 0 where a target of 1 finds the
    first input larger by ``margin``, one of -1 the second."""
    _same_shape("margin_ranking_loss", inputs1=inputs1, inputs2=inputs2, targets=targets)
    return _reduce(mx.maximum(margin - targets * (inputs1 - inputs2), 0), reduction)
