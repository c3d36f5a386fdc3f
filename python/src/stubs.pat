# python/src/stubs.pat: what the generator of type stubs cannot see: names used in signatures, and
# the operators of array, which are type slots.

mlx\.core\.__prefix__:
    from collections.abc import Callable, Sequence
    import pathlib
    import typing
    from typing import Any, Literal, ParamSpec, Protocol, TypeAlias, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")
    scalar: TypeAlias = int | float | bool | complex
    list_or_scalar: TypeAlias = scalar | list["list_or_scalar"]
    StreamOrDevice: TypeAlias = "Stream | ThreadLocalStream | Device | DeviceType | None"

    class DLPackCompatible(Protocol):
        def __dlpack__(self, *, stream: Any = None) -> Any: ...
        def __dlpack_device__(self) -> tuple[int, int]: ...

    class _PrintOptionsContext:
        def __enter__(self) -> "_PrintOptionsContext": ...
        def __exit__(self, *args) -> None: ...

mlx\.core\.random\.__prefix__:
    from collections.abc import Iterator, Sequence
    from mlx.core import Dtype, StreamOrDevice, array, float32, int32, scalar

    class _RandomState:
        def __len__(self) -> int: ...
        def __getitem__(self, index: int) -> array: ...
        def __iter__(self) -> Iterator[array]: ...

mlx\.core\.(fast|linalg|fft|distributed)\.__prefix__:
    from collections.abc import Callable, Sequence
    from typing import Any
    from mlx.core import Dtype, StreamOrDevice, array, float32, int32, scalar

mlx\.core\.array\.__(r|i|)(add|sub|mul|div|truediv|floordiv|mod|and|or|xor|lshift|rshift|matmul)__$:
    def __\1\2__(self, other: scalar | array | Any, /) -> array: ...

mlx\.core\.array\.__(r|i|)pow__$:
    def __\1pow__(self, other: scalar | array | Any, mod: None = None, /) -> array: ...

mlx\.core\.array\.__(r|)divmod__$:
    def __\1divmod__(self, other: scalar | array | Any, /) -> tuple[array, array]: ...

mlx\.core\.array\.__(eq|ne)__$:
    def __\1__(self, other: Any, /) -> array: ...  # type: ignore[override]

mlx\.core\.array\.__(lt|le|gt|ge)__$:
    def __\1__(self, other: scalar | array | Any, /) -> array: ...

mlx\.core\.array\.__(neg|pos|abs|invert)__$:
    def __\1__(self) -> array: ...

mlx\.core\.array\.__(int|index|len|hash)__$:
    def __\1__(self) -> int: ...

mlx\.core\.array\.__bool__$:
    def __bool__(self) -> bool: ...

mlx\.core\.array\.__float__$:
    def __float__(self) -> float: ...

mlx\.core\.array\.__contains__$:
    def __contains__(self, value: Any, /) -> bool: ...

mlx\.core\.array\.__getitem__$:
    def __getitem__(self, key: Any, /) -> array: ...

mlx\.core\.array\.__setitem__$:
    def __setitem__(self, key: Any, value: scalar | array | Any, /) -> None: ...

mlx\.core\.array\.__(delitem|buffer|release_buffer)__$:

mlx\.core\.nan$:
    nan: float = ...

mlx\.core\.(bool_|u?int\d+|b?float\d+|complex64)$:
    \1: Dtype = ...

mlx\.core\.DeviceType\.__(eq|hash)__$:
