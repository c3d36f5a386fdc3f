"""Saying in which module of a model an error came up.

``Module`` wraps the ``__call__`` of every subclass with :func:`locate_errors`. It
costs nothing that matters until something fails; then each module the error passes
on its way up adds its child's name, so the message ends with the path.
"""

import functools
from typing import Any

# Exceptions whose only argument is the text they print.
_PLAIN = (ValueError, TypeError, IndexError, RuntimeError, MemoryError, NotImplementedError)


class _Trail:
    def __init__(self, text: Any, module: Any) -> None:
        self.text = text
        self.module = module
        self.path = ""

    def climb(self, parent: Any) -> None:
        if parent is self.module:
            return
        names = [name for name, child in parent._named_children() if child is self.module]
        name = names[0] if names else f"<{type(self.module).__name__}>"
        self.path = f"{name}.{self.path}" if self.path else name
        self.module = parent

    def message(self) -> Any:
        kind = type(self.module).__name__
        return f"{self.text}\n  in {kind}{'.' + self.path if self.path else ''}"


def _annotate(error: Any, module: Any) -> None:
    if type(error) not in _PLAIN or len(error.args) != 1 or not isinstance(error.args[0], str):
        return
    trail = getattr(error, "_module_trail", None)
    if trail is None:
        trail = error._module_trail = _Trail(error.args[0], module)
    else:
        trail.climb(module)
    error.args = (trail.message(),)


def locate_errors(call: Any) -> Any:
    """``call`` (a module's ``__call__``) whose errors end with where they came up."""

    @functools.wraps(call)
    def located(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return call(self, *args, **kwargs)
        except Exception as error:
            _annotate(error, self)
            raise

    return located
