"""Which parameters of a module are trained: the ``_no_grad`` set of each module names
those that aren't."""

from typing import Any


def _check_names(module: Any, keys: Any, recurse: Any) -> None:
    modules = module.modules() if recurse else [module]
    names = sorted({name for m in modules for name in m._local_parameter_names()})
    for key in keys:
        if key not in names and not any(key in m for m in modules):
            where = "and the modules in it have" if recurse else "has"
            raise KeyError(
                f'{type(module).__name__} has no parameter named "{key}"; '
                f"it {where}: {', '.join(names) or 'none'}"
            )


def set_frozen(module: Any, frozen: Any, recurse: Any, keys: Any, strict: Any) -> Any:
    """``Module.freeze`` and, with ``frozen`` false, ``Module.unfreeze``."""
    if keys is not None:
        keys = [keys] if isinstance(keys, str) else list(keys)
        if strict:
            _check_names(module, keys, recurse)

    def one(_: Any, m: Any) -> None:
        if frozen:
            m._no_grad.update(m._local_parameter_names() if keys is None else keys)
        elif keys is None:
            m._no_grad.clear()
            m._no_grad.update(m._never_trained())
        else:
            m._no_grad.difference_update(set(keys) - set(m._never_trained()))

    if recurse:
        module.apply_to_modules(one)
    else:
        one("", module)
    return module
