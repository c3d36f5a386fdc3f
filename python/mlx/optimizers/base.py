"""``Optimizer``: what all optimizers share."""

from collections.abc import Callable
from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module
from mlx.utils import tree_map, tree_reduce


def _blank(tree: Any) -> Any:
    """An empty state for a subtree: a list for a sequence, else a dict."""
    return [] if isinstance(tree, (list, tuple)) else {}


def _entry(state: Any, key: Any, tree: Any) -> Any:
    """The state at ``key``, made if it isn't there."""
    if isinstance(state, list):
        while len(state) <= key:
            state.append({})
        if not state[key]:
            # A list filled up before, or loaded from a file, has {} in unnamed places.
            state[key] = _blank(tree)
    elif key not in state:
        state[key] = _blank(tree)
    return state[key]


def _items(tree: Any) -> Any:
    return tree.items() if isinstance(tree, dict) else enumerate(tree)


def _join(path: Any, key: Any) -> Any:
    return f"{path}.{key}" if path else str(key)


class Optimizer:
    """Base of all optimizers.

    A subclass defines :meth:`init_single` and :meth:`apply_single` for one parameter;
    this class walks the trees. ``state`` holds the number of steps, the values of the
    schedules and, nested as the parameters, the state of each; saving it and setting it
    again continues exactly.

    Args:
        schedulers: functions from the step to a value, by the name of the value in the
            state.

    Example:
        >>> class SignDescent(optim.Optimizer):
        ...     def __init__(self, learning_rate):
        ...         super().__init__()
        ...         self._maybe_schedule("learning_rate", learning_rate)
        ...     def init_single(self, parameter, state):
        ...         pass
        ...     def apply_single(self, gradient, parameter, state):
        ...         return parameter - self.learning_rate * mx.sign(gradient)
    """

    def __init__(self, schedulers: Any = None) -> None:
        self._initialized = False
        self._state = {"step": mx.array(0, mx.uint64)}
        self._schedulers: dict[str, Callable] = dict(schedulers or {})

    def update(self, model: Module, gradients: dict) -> None:
        """Take a step: set the parameters of ``model`` that have gradients.

        Args:
            model: the module to change.
            gradients: nested as its parameters, some or all of them.
        """
        model.update(self.apply_gradients(gradients, model))

    def init(self, parameters: dict) -> None:
        """Make the state of ``parameters``, where there is none yet. Steps do that by
        themselves; this is for having the state before the first.

        Example:
            >>> optimizer = optim.SGD(0.1, momentum=0.9)
            >>> optimizer.init({"weight": mx.ones((2,))})
            >>> list(optimizer.state)
            ['step', 'learning_rate', 'weight']
        """
        self._init(parameters, self._state)
        self._initialized = True

    def _init(self, tree: Any, state: Any) -> None:
        for key, value in _items(tree):
            below = _entry(state, key, value)
            if isinstance(value, (dict, list, tuple)):
                self._init(value, below)
            elif not below:
                self.init_single(value, below)

    def init_single(self, parameter: mx.array, state: dict) -> None:
        """Fill the empty ``state`` of one parameter. For subclasses to define."""
        raise NotImplementedError(f"{type(self).__name__} doesn't define init_single")

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> None:
        """The new value of one parameter; updates its ``state``. For subclasses to
        define."""
        raise NotImplementedError(f"{type(self).__name__} doesn't define apply_single")

    def apply_gradients(self, gradients: dict, parameters: dict) -> Any:
        """Take a step without changing anything but the state.

        Args:
            gradients: a tree of gradients.
            parameters: a tree that has at least the entries of ``gradients``; a module
                will do.

        Returns:
            The new values, nested as ``gradients``.
        """
        self._check(gradients, parameters, "")
        if not self._initialized:
            self.init(gradients)
        for name, scheduler in self._schedulers.items():
            self._state[name] = scheduler(self.step)
        self._state["step"] = self.step + 1
        return self._apply(gradients, parameters, self._state)

    def _check(self, gradients: Any, parameters: Any, path: Any) -> None:
        """Refuse before anything has changed."""
        for key, gradient in _items(gradients):
            try:
                parameter = parameters[key]
            except (KeyError, IndexError, TypeError):
                raise KeyError(
                    f"[{type(self).__name__}] there is a gradient but no parameter at "
                    f"{_join(path, key)!r}"
                ) from None
            if isinstance(gradient, (dict, list, tuple)):
                self._check(gradient, parameter, _join(path, key))
            elif (
                isinstance(parameter, mx.array)
                and isinstance(gradient, mx.array)
                and parameter.shape != gradient.shape
            ):
                raise ValueError(
                    f"[{type(self).__name__}] the gradient at {_join(path, key)!r} has shape "
                    f"{gradient.shape}, the parameter {parameter.shape}"
                )

    def _apply(self, gradients: Any, parameters: Any, state: Any) -> Any:
        def one(key: Any, gradient: Any) -> Any:
            below = _entry(state, key, gradient)
            if isinstance(gradient, (dict, list, tuple)):
                return self._apply(gradient, parameters[key], below)
            if not below:
                # First met after the state was made: a layer that was unfrozen since.
                self.init_single(gradient, below)
            return self.apply_single(gradient, parameters[key], below)

        if isinstance(gradients, dict):
            return {key: one(key, gradient) for key, gradient in gradients.items()}
        return type(gradients)([one(i, gradient) for i, gradient in enumerate(gradients)])

    @property
    def state(self) -> Any:
        """The state, a dict: to be saved, or set from one that was."""
        return self._state

    @state.setter
    def state(self, state: dict) -> None:
        self._initialized = False
        self._state = state

    @property
    def step(self) -> Any:
        """How many steps were taken, as an array."""
        return self.state["step"]

    @property
    def learning_rate(self) -> Any:
        """The learning rate, as an array. A schedule sets it anew at each step."""
        return self.state["learning_rate"]

    @learning_rate.setter
    def learning_rate(self, learning_rate: float | mx.array) -> None:
        self.state["learning_rate"] = mx.array(learning_rate)

    def _maybe_schedule(self, name: str, param: float | Callable[[mx.array], mx.array]) -> None:
        """Keep ``param`` in the state, with what it gives for each step if callable."""
        if callable(param):
            self._schedulers[name] = param
            value: mx.array | None = param(self.step)
        else:
            value = param
        self.state[name] = value if isinstance(value, mx.array) else mx.array(value)


def _add_squares(total: Any, gradient: Any) -> Any:
    # Squares of float16 gradients overflow from 256 on.
    return total + mx.square(gradient.astype(mx.float32)).sum()


def clip_grad_norm(grads: Any, max_norm: Any) -> Any:
    """Scale gradients down so that their norm, all taken together, is at most ``max_norm``.

    Args:
        grads: a tree of gradients.
        max_norm: the largest norm that is left alone.

    Returns:
        The gradients and the norm they had.

    Example:
        >>> clipped, norm = optim.clip_grad_norm({"w": mx.array([3.0, 4.0])}, 1.0)
        >>> clipped["w"], norm
        (array([0.6, 0.8], dtype=float32), array(5, dtype=float32))
    """
    norm = mx.sqrt(tree_reduce(_add_squares, grads, mx.array(0.0)))
    scale = mx.minimum(max_norm / (norm + 1e-6), 1.0)
    return tree_map(lambda g: g * scale.astype(g.dtype), grads), norm
