"""What the array API standard lets a program ask about this library."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

_DTYPES = {
    "bool": ["bool"],
    "signed integer": ["int8", "int16", "int32", "int64"],
    "unsigned integer": ["uint8", "uint16", "uint32", "uint64"],
    "real floating": ["float32", "float64"],
    "complex floating": ["complex64"],
}
_GROUPS = {
    "integral": ("signed integer", "unsigned integer"),
    "numeric": ("signed integer", "unsigned integer", "real floating", "complex floating"),
}


def _check_device(device: Any) -> None:
    if device is not None and not isinstance(device, (mx.Device, mx.DeviceType)):
        raise TypeError(f"A device is needed, but {type(device).__name__} was given.")


class ArrayNamespaceInfo:
    """Capabilities, devices and dtypes, under the names of the standard."""

    def capabilities(self) -> dict:
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": None}

    def default_device(self) -> mx.Device:
        return mx.default_device()

    def default_dtypes(self, *, device: Any = None) -> dict:
        _check_device(device)
        return {
            "real floating": mx.float32,
            "complex floating": mx.complex64,
            "integral": mx.int32,
            "indexing": mx.int32,
        }

    def devices(self) -> list:
        kinds = (mx.DeviceType.cpu, mx.DeviceType.gpu)
        return [mx.Device(k, i) for k in kinds for i in range(mx.device_count(k))]

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict:
        _check_device(device)
        kinds = tuple(_DTYPES) if kind is None else kind if isinstance(kind, tuple) else (kind,)
        out = {}
        for k in kinds:
            for family in _GROUPS.get(k, (k,)):
                if family not in _DTYPES:
                    raise ValueError(f"Unsupported dtype kind: {k!r}")
                for name in _DTYPES[family]:
                    out[name] = getattr(mx, "bool_" if name == "bool" else name)
        return out
