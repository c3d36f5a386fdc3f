"""The arrays of one layer, as a file packs them and as the model wants them."""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx

from mica.errors import UserError

DEQUANTIZABLE_BITS = (2, 3, 4, 5, 6, 8)


@dataclass
class Layer:
    """`weight` and perhaps `bias`; packed weights come with `scales` and `biases` per group."""

    name: str
    arrays: dict[str, mx.array]
    group_size: int = 0  # weights that share a scale, when packed

    @property
    def is_packed(self) -> bool:
        return "scales" in self.arrays

    @property
    def bits(self) -> int:
        """Bits of a packed weight; the file formats leave them to the shapes."""
        packed, scales = self.get("weight"), self.get("scales")
        bits, rest = divmod(packed.shape[-1] * 32, max(scales.shape[-1] * self.group_size, 1))
        if rest or packed.dtype != mx.uint32 or bits not in DEQUANTIZABLE_BITS:
            raise UserError(
                f"{self.name}: packed weight {packed.shape} does not match scales {scales.shape} "
                f"with groups of {self.group_size}"
            )
        return bits

    def get(self, kind: str) -> mx.array:
        if kind not in self.arrays:
            raise UserError(f"{self.name}.{kind} is missing from the file")
        return self.arrays[kind]

    def unpacked(self, dtype: mx.Dtype) -> Layer:
        """The same layer with its weights spelt out."""
        if not self.is_packed:
            return self
        packed, scales, biases = self.get("weight"), self.get("scales"), self.get("biases")
        if scales.shape != biases.shape or scales.shape[:-1] != packed.shape[:-1]:
            raise UserError(f"{self.name}: shapes of weight, scales and biases do not match")
        weight = mx.dequantize(
            packed,
            scales.astype(mx.float32),  # a narrow scale would round every product
            biases.astype(mx.float32),
            group_size=self.group_size,
            bits=self.bits,
        )
        kept = {"bias": self.arrays["bias"]} if "bias" in self.arrays else {}
        return Layer(self.name, {"weight": weight.astype(dtype), **kept})

    def cast(self, dtype: mx.Dtype) -> Layer:
        """The same layer for computing in `dtype`; packed codes stay as they are."""

        def convert(kind: str, array: mx.array) -> mx.array:
            if not mx.issubdtype(array.dtype, mx.floating):
                return array
            if kind in ("scales", "biases") and dtype == mx.float32:
                return array  # widening them would only cost memory
            return array.astype(dtype)

        arrays = {kind: convert(kind, array) for kind, array in self.arrays.items()}
        return Layer(self.name, arrays, self.group_size)

    def layout(self) -> tuple:
        """What layers must have in common to be stacked."""
        kinds = {kind: (array.shape[1:], array.dtype) for kind, array in self.arrays.items()}
        return kinds, self.group_size


def join(name: str, parts: list[Layer], dtype: mx.Dtype) -> Layer:
    """One layer that computes what `parts` do, from the same input.

    The rows of a weight are its outputs, so joining is stacking; parts that are packed in
    different ways have to be unpacked first.
    """
    if any(part.layout() != parts[0].layout() for part in parts):
        parts = [part.unpacked(dtype).cast(dtype) for part in parts]
    if any(part.layout() != parts[0].layout() for part in parts):
        raise UserError(f"{parts[0].name} and its neighbours do not have the same input")
    arrays = {
        kind: mx.concatenate([part.arrays[kind] for part in parts]) for kind in parts[0].arrays
    }
    return Layer(name, arrays, parts[0].group_size)
