"""``Module``: a dict of arrays, modules and containers of them, that can be called."""

from collections.abc import Callable
from textwrap import indent
from types import FunctionType
from typing import Any

import mlx.core as mx
from mlx.nn.layers._edit import plan_modules, plan_parameters
from mlx.nn.layers._freeze import set_frozen
from mlx.nn.layers._weights import fitting_weights, write_weights
from mlx.nn.layers._where import locate_errors
from mlx.utils import tree_flatten, tree_unflatten


def _is_floating(dtype: mx.Dtype) -> bool:
    return mx.issubdtype(dtype, mx.floating)


def _entries(module: "Module", trainable: bool) -> dict[str, Any]:
    frozen = module._no_grad if trainable else ()
    found = {}
    for key, value in module.items():
        if key.startswith("_") or key in frozen:
            continue
        if isinstance(value, mx.array):
            found[key] = value
        elif isinstance(value, (dict, list)):
            found[key] = _below(key, value, trainable, frozen)
    return found


def _below(name: str, value: Any, trainable: bool, frozen: Any) -> Any:
    """What is inside an entry; {} for what is no array, nor holds any."""
    if isinstance(value, mx.array):
        return value
    if isinstance(value, Module):
        return _entries(value, trainable)
    if not isinstance(value, (dict, list)):
        return {}
    if frozen:
        named = [
            (
                key,
                {} if f"{name}.{key}" in frozen else _below(f"{name}.{key}", v, trainable, frozen),
            )
            for key, v in (value.items() if isinstance(value, dict) else enumerate(value))
        ]
        return dict(named) if isinstance(value, dict) else [v for _, v in named]
    if isinstance(value, dict):
        return {k: _below(name, v, trainable, frozen) for k, v in value.items()}
    return [_below(name, v, trainable, frozen) for v in value]


def _parameters_of(module: "Module", trainable: bool) -> dict[str, Any]:
    """As ``filter_and_map`` with the filters of parameters gives, in one walk: each step of a
    training asks for it."""
    name = "trainable_parameter_filter" if trainable else "valid_parameter_filter"
    own = getattr(type(module), name)
    if own is not getattr(Module, name):
        return module.filter_and_map(own)
    return _entries(module, trainable)


class Module(dict):
    """What every layer and model derives from.

    Arrays, modules, dicts, lists and tuples that are assigned as attributes become
    entries of the module (it is a ``dict``); anything else stays an ordinary
    attribute. The arrays reached through entries, dicts, lists and further modules
    are the *parameters*, unless the attribute's name starts with an underscore.
    A parameter is trainable unless it was frozen (:meth:`freeze`).

    Parameters come as trees, nested as the modules are: see :mod:`mlx.utils`.

    Example:
        >>> class Model(nn.Module):
        ...     def __init__(self, dims):
        ...         super().__init__()
        ...         self.hidden = nn.Linear(dims, 32)
        ...         self.out = nn.Linear(32, 1)
        ...     def __call__(self, x):
        ...         return self.out(nn.relu(self.hidden(x)))
        >>> model = Model(8)
        >>> model(mx.zeros((5, 8))).shape
        (5, 1)
        >>> [name for name, _ in tree_flatten(model.parameters())]
        ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        call = cls.__dict__.get("__call__")
        if isinstance(call, FunctionType):
            cls.__call__ = locate_errors(call)

    def __init__(self) -> None:
        """To be called first in the ``__init__`` of every subclass."""
        self._no_grad = set()
        self._training = True

    # Attributes and entries.

    def __getattr__(self, key: str) -> Any:
        # Only reached when the ordinary look-up found nothing.
        if key in self:
            return self[key]
        hint = ""
        if key in ("_no_grad", "_training", "training"):
            hint = ": call super().__init__() first in __init__"
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{key}'{hint}")

    def __setattr__(self, key: str, val: Any) -> None:
        if isinstance(val, (mx.array, dict, list, tuple)) and not isinstance(
            getattr(type(self), key, None), property
        ):
            # An entry and an attribute of one name would hide each other.
            self.__dict__.pop(key, None)
            self[key] = val
        else:
            super().__setattr__(key, val)
            self.pop(key, None)

    def __delattr__(self, name: str) -> None:
        if name in self:
            del self[name]
        elif name in self.__dict__:
            del self.__dict__[name]
        else:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def _extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses, before the children."""
        return ""

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}({self._extra_repr()}"]
        for name, child in tree_flatten(self.children(), is_leaf=self.is_module):
            lines.append(indent(f"({name}): {child!r}", "  "))
        return "\n".join(lines) + ("\n)" if len(lines) > 1 else ")")

    @property
    def training(self) -> bool:
        """Whether the module is in training mode (:meth:`train`)."""
        return self._training

    @property
    def state(self) -> dict[str, Any]:
        """The module's entries themselves: changing this dict changes the module.

        It holds every array, parameter or not, so it is what to hand to
        :func:`mlx.core.compile` as ``inputs`` and ``outputs`` and to
        :func:`mlx.core.eval`.
        """
        return self

    # Selecting.

    @staticmethod
    def is_module(value: Any) -> bool:
        """Whether ``value`` is a ``Module``."""
        return isinstance(value, Module)

    @staticmethod
    def valid_child_filter(module: "Module", key: str, value: Any) -> bool:
        """Keep what can hold modules."""
        return isinstance(value, (dict, list))

    @staticmethod
    def valid_parameter_filter(module: "Module", key: str, value: Any) -> bool:
        """Keep arrays and what can hold them, unless private (``_name``)."""
        return isinstance(value, (dict, list, mx.array)) and not key.startswith("_")

    @staticmethod
    def trainable_parameter_filter(module: "Module", key: str, value: Any) -> bool:
        """Keep what :meth:`valid_parameter_filter` keeps and isn't frozen."""
        return key not in module._no_grad and Module.valid_parameter_filter(module, key, value)

    def filter_and_map(
        self,
        filter_fn: Callable[["Module", str, Any], bool],
        map_fn: Callable | None = None,
        is_leaf_fn: Callable[["Module", str, Any], bool] | None = None,
    ) -> Any:
        """Select entries, however deep, and map them.

        Args:
            filter_fn: called with the module, the entry's name and its value; says
                whether to keep it. Inside an entry that is a dict or a list the
                name goes on with dots (``"entry.0"``), and what is dropped there
                leaves ``{}``.
            map_fn: applied to every leaf that is kept.
            is_leaf_fn: called like ``filter_fn``; says where to stop. By default
                everything but modules, dicts and lists is a leaf.

        Returns:
            A ``dict`` nested as the module is.
        """

        def convert(module: Any, key: Any, value: Any) -> Any:
            if is_leaf_fn is None:
                leaf = not isinstance(value, (dict, list))
            else:
                leaf = is_leaf_fn(module, key, value)
            if leaf:
                return value if map_fn is None else map_fn(value)
            if isinstance(value, Module):
                return entries(value)
            if isinstance(value, dict):
                return {k: below(module, f"{key}.{k}", v) for k, v in value.items()}
            if isinstance(value, list):
                return [below(module, f"{key}.{i}", v) for i, v in enumerate(value)]
            raise RuntimeError(
                f"[Module.filter_and_map] is_leaf_fn says that {type(module).__name__}.{key} "
                f"is not a leaf, but it is of type {type(value).__name__}"
            )

        def below(module: Any, key: Any, value: Any) -> Any:
            return convert(module, key, value) if filter_fn(module, key, value) else {}

        def entries(module: Any) -> Any:
            return {k: convert(module, k, v) for k, v in module.items() if filter_fn(module, k, v)}

        return entries(self)

    def parameters(self) -> dict[str, Any]:
        """All arrays of this module and the modules in it, as a tree."""
        return _parameters_of(self, trainable=False)

    def trainable_parameters(self) -> dict[str, Any]:
        """The parameters that aren't frozen, as a tree."""
        return _parameters_of(self, trainable=True)

    def children(self) -> dict[str, Any]:
        """The modules directly in this one, as a tree."""
        return self.filter_and_map(
            self.valid_child_filter, is_leaf_fn=lambda _, __, value: isinstance(value, Module)
        )

    def leaf_modules(self) -> dict[str, Any]:
        """The modules that contain no further module, as a tree."""

        def is_leaf(_: Any, __: Any, value: Any) -> Any:
            return isinstance(value, Module) and not any(value._named_children())

        return self.filter_and_map(self.valid_child_filter, is_leaf_fn=is_leaf)

    def _named_children(self, prefix: str = "") -> Any:
        return tree_flatten(
            self.children(), prefix=f".{prefix}" if prefix else "", is_leaf=self.is_module
        )

    def named_modules(self) -> list[tuple[str, "Module"]]:
        """``(path, module)`` of this module, whose path is ``""``, and all below it.

        A module comes before those in it, the last child first.
        """
        found = []
        stack = [("", self)]
        while stack:
            path, module = stack.pop()
            found.append((path, module))
            stack.extend(module._named_children(path))
        return found

    def modules(self) -> list["Module"]:
        """This module and all below it, in the order of :meth:`named_modules`."""
        return [module for _, module in self.named_modules()]

    def apply_to_modules(self, apply_fn: Callable[[str, "Module"], Any]) -> "Module":
        """Call ``apply_fn(path, module)`` for this module and all below it.

        Returns:
            This module.
        """
        stack = [("", self)]
        while stack:
            path, module = stack.pop()
            apply_fn(path, module)  # may replace children: look at them afterwards
            stack.extend(module._named_children(path))
        return self

    # Changing.

    def update(self, parameters: dict, strict: bool = True) -> "Module":
        """Replace parameters by those of a tree that has some or all of them.

        Args:
            parameters: nested as :meth:`parameters` gives it. Shapes may change.
            strict: whether a name that the module doesn't have, or a value of the
                wrong kind, is a ``ValueError``; else such entries are skipped.

        Returns:
            This module; if an error is raised, it is as it was.

        Example:
            >>> _ = model.update(tree_map(lambda w: w * 0.5, model.parameters()))
        """
        for container, key, value in plan_parameters(self, parameters, strict):
            container[key] = value
        return self

    def update_modules(self, modules: dict, strict: bool = True) -> "Module":
        """Replace modules by those of a tree that has some or all of them.

        Args:
            modules: nested as :meth:`children` or :meth:`leaf_modules` gives it.
            strict: whether a name that doesn't lead to a module, or a value that is
                no module, is a ``ValueError``; else such entries are skipped.

        Returns:
            This module; if an error is raised, it is as it was.

        Example:
            >>> _ = model.update_modules({"layers": [{}, nn.Linear(4, 4)]})
        """
        for container, key, value in plan_modules(self, modules, strict):
            container[key] = value
        return self

    def apply(
        self,
        map_fn: Callable[[mx.array], mx.array],
        filter_fn: Callable[["Module", str, Any], bool] | None = None,
    ) -> "Module":
        """Replace every parameter (that ``filter_fn`` keeps) by ``map_fn`` of it.

        Returns:
            This module.

        Example:
            >>> _ = model.apply(lambda w: w.astype(mx.bfloat16))
        """
        keep = filter_fn or self.valid_parameter_filter

        def arrays(module: Any, key: Any, value: Any) -> Any:
            return isinstance(value, (dict, list, mx.array)) and keep(module, key, value)

        return self.update(self.filter_and_map(arrays, map_fn))

    def set_dtype(
        self, dtype: mx.Dtype, predicate: Callable[[mx.Dtype], bool] | None = _is_floating
    ) -> None:
        """Cast parameters to ``dtype``.

        Args:
            dtype: the new element type.
            predicate: says of a parameter's element type whether to cast it; by
                default floating point ones are. ``None`` casts all.
        """

        def cast(x: Any) -> Any:
            return x.astype(dtype) if predicate is None or predicate(x.dtype) else x

        self.apply(cast)

    def train(self, mode: bool = True) -> "Module":
        """Switch this module and all below it to training mode, or out of it.

        Dropout and batch normalisation, for instance, act differently in it.

        Returns:
            This module.
        """
        return self.apply_to_modules(lambda _, module: module._set_training_mode(mode))

    def eval(self) -> "Module":
        """Switch to evaluation: ``train(False)``."""
        return self.train(False)

    def _set_training_mode(self, mode: bool) -> None:
        self._training = mode

    # Freezing.

    def _local_parameter_names(self) -> list[str]:
        """Dotted names of the arrays that belong to this module itself."""

        def keep(module: Any, key: Any, value: Any) -> Any:
            return not isinstance(value, Module) and self.valid_parameter_filter(module, key, value)

        return [name for name, _ in tree_flatten(self.filter_and_map(keep))]

    def _never_trained(self) -> tuple[str, ...]:
        """Names that stay frozen whatever is unfrozen: statistics, packed weights."""
        return ()

    def freeze(
        self,
        *,
        recurse: bool = True,
        keys: str | list[str] | None = None,
        strict: bool = False,
    ) -> "Module":
        """Exclude parameters from training. Freezing twice is freezing once.

        Args:
            recurse: whether to freeze in the modules below as well.
            keys: a name, or several, of parameters to freeze in every module that
                is reached; all when not given.
            strict: whether a name that no module has is a ``KeyError``.

        Returns:
            This module.

        Example:
            >>> model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
            >>> trainable = model.freeze().unfreeze(keys="bias").trainable_parameters()
            >>> [name for name, _ in tree_flatten(trainable)]
            ['layers.0.bias', 'layers.1.bias']
        """
        return set_frozen(self, True, recurse, keys, strict)

    def unfreeze(
        self,
        *,
        recurse: bool = True,
        keys: str | list[str] | None = None,
        strict: bool = False,
    ) -> "Module":
        """Undo :meth:`freeze`; the arguments are the same.

        What can't be trained (running statistics, packed weights) stays frozen.
        """
        return set_frozen(self, False, recurse, keys, strict)

    # Files.

    def load_weights(
        self,
        file_or_weights: str | list[tuple[str, mx.array]],
        strict: bool = True,
    ) -> "Module":
        """Set parameters from a file or from ``(path, array)`` pairs.

        Args:
            file_or_weights: a file's name (``.npz``, ``.safetensors``, or whatever
                else :func:`mlx.core.load` reads as a dict), or the pairs.
            strict: whether names and shapes must be exactly the module's, else a
                ``ValueError`` lists all differences. If not, names that the module
                doesn't have are skipped and shapes are not compared.

        Returns:
            This module; if an error is raised, it is as it was.

        Example:
            >>> layer = nn.Linear(2, 3)
            >>> layer.load_weights([("bias", mx.ones((3,)))], strict=False).bias
            array([1, 1, 1], dtype=float32)
        """
        fitting = fitting_weights(self, file_or_weights, strict)
        return self.update(tree_unflatten(fitting), strict=False) if fitting else self

    def save_weights(self, file: str) -> None:
        """Write all parameters to a ``.npz`` or ``.safetensors`` file."""
        write_weights(self, file)
