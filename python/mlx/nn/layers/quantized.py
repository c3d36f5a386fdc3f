"""Layers whose weights are stored in few bits. See :func:`mlx.core.quantize`."""

import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module
from mlx.utils import tree_map_with_path

# mode: (group size, bits) taken when the caller leaves them open.
_DEFAULTS = {"affine": (64, 4), "mxfp4": (32, 4), "nvfp4": (16, 4), "mxfp8": (32, 8)}


def _settle(mode: Any, group_size: Any, bits: Any) -> Any:
    if mode not in _DEFAULTS:
        raise ValueError(f"[quantize] unknown mode {mode!r}; there are {', '.join(_DEFAULTS)}")
    default_group_size, default_bits = _DEFAULTS[mode]
    return group_size or default_group_size, bits or default_bits


def quantize(
    model: Module,
    group_size: int | None = None,
    bits: int | None = None,
    *,
    mode: str = "affine",
    quantize_input: bool = False,
    class_predicate: Callable[[str, Module], bool | dict] | None = None,
) -> None:
    """Replace the layers of a model that can be quantised, in place.

    Those are the leaf modules with a method ``to_quantized``: :class:`Linear`,
    :class:`Embedding` and whatever else defines one.

    Args:
        model: the model; it isn't replaced itself, only what is in it.
        group_size: how many weights share a scale; ``None`` for the mode's own.
        bits: bits a weight; ``None`` for the mode's own.
        mode: ``"affine"``, ``"mxfp4"``, ``"nvfp4"`` or ``"mxfp8"``.
        quantize_input: quantise activations too (linear layers without bias, in the
            modes ``"nvfp4"`` and ``"mxfp8"``).
        class_predicate: called as ``class_predicate(path, module)``; ``True`` and
            ``False`` say whether to quantise it, a dict gives its own arguments for
            ``to_quantized``.

    Example:
        >>> model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))
        >>> nn.quantize(model, bits=8, class_predicate=lambda path, m: path == "layers.0")
        >>> type(model.layers[0]).__name__, type(model.layers[2]).__name__
        ('QuantizedLinear', 'Linear')
    """
    _settle(mode, group_size, bits)
    arguments = {"group_size": group_size, "bits": bits, "mode": mode}
    if quantize_input:
        arguments["quantize_input"] = True

    def replace(path: Any, module: Any) -> Any:
        if class_predicate is None:
            choice = hasattr(module, "to_quantized")
        else:
            choice = class_predicate(path, module)
        if not isinstance(choice, (bool, dict)):
            raise ValueError(  # noqa: TRY004
                "[quantize] class_predicate must return True, False or a dict of arguments "
                f"for to_quantized, but gave {choice!r} for {path}"
            )
        if choice is False:
            return module
        if not hasattr(module, "to_quantized"):
            raise ValueError(f"[quantize] {path}: {type(module).__name__} can't be quantized")
        try:
            return module.to_quantized(**(arguments if choice is True else choice))
        except (ValueError, NotImplementedError) as error:
            raise type(error)(f"{error}\n  while quantizing {path}: {module}") from error

    leaves = model.leaf_modules()
    model.update_modules(tree_map_with_path(replace, leaves, is_leaf=Module.is_module))


class _Packed(Module):
    """What the layers with a packed weight share.

    ``weight`` holds 32-bit words, ``scales`` (and ``biases`` in the mode ``affine``)
    one value for each group of a row.
    """

    def _never_trained(self) -> Any:
        # Integers have no gradient; the float8 scales are stored as uint8.
        return [
            name
            for name in ("weight", "scales")
            if name in self and not mx.issubdtype(self[name].dtype, mx.floating)
        ]

    def _pack(self, weight: Any, group_size: Any, bits: Any, mode: Any) -> None:
        self.group_size, self.bits = _settle(mode, group_size, bits)
        self.mode = mode
        self.weight, self.scales, *biases = mx.quantize(
            weight, self.group_size, self.bits, mode=mode
        )
        if biases and biases[0] is not None:
            self.biases = biases[0]

    def _packed_dims(self) -> Any:
        return self.weight.shape[-1] * 32 // self.bits

    def _format(self) -> Any:
        return f"group_size={self.group_size}, bits={self.bits}, mode={self.mode}"

    def _times_transposed(self, x: Any) -> Any:
        """``x @ weight.T``, unpacking on the way."""
        return mx.quantized_matmul(
            x,
            self["weight"],
            self["scales"],
            self.get("biases"),
            transpose=True,
            group_size=self.group_size,
            bits=self.bits,
            mode=self.mode,
        )


class QuantizedEmbedding(_Packed):
    """An :class:`Embedding` whose vectors are stored in few bits.

    Its arrays start frozen.

    Args:
        num_embeddings: number of vectors.
        dims: size of a vector, a multiple of the group size.
        group_size: how many values share a scale; ``None`` for the mode's own.
        bits: bits a value; ``None`` for the mode's own.
        mode: see :func:`mlx.core.quantize`.

    Example:
        >>> nn.QuantizedEmbedding(100, 64)(mx.array([3, 7])).shape
        (2, 64)
    """

    def __init__(
        self,
        num_embeddings: int,
        dims: int,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "affine",
    ) -> None:
        super().__init__()
        self.num_embeddings = num_embeddings
        self.dims = dims
        weight = mx.random.normal((num_embeddings, dims), scale=math.sqrt(1 / dims))
        self._pack(weight, group_size, bits, mode)
        self.freeze()

    def _extra_repr(self) -> Any:
        return f"{self.num_embeddings}, {self.dims}, {self._format()}"

    def __call__(self, x: mx.array) -> mx.array:
        biases = self.get("biases")
        return mx.dequantize(
            self["weight"][x],
            self["scales"][x],
            None if biases is None else biases[x],
            group_size=self.group_size,
            bits=self.bits,
            mode=self.mode,
        )

    def as_linear(self, x: Any) -> Any:
        """Use the table as the weight of a linear layer: see :meth:`Embedding.as_linear`."""
        return self._times_transposed(x)

    @classmethod
    def from_embedding(
        cls,
        embedding_layer: Module,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "affine",
    ) -> Any:
        """Quantise the vectors of an :class:`Embedding`; that layer is left as it is."""
        layer = cls(*embedding_layer.weight.shape, group_size, bits, mode=mode)
        layer._pack(embedding_layer.weight, group_size, bits, mode)
        return layer


class QuantizedLinear(_Packed):
    """A :class:`Linear` whose weight is stored in few bits; the bias is not.

    Its arrays start frozen.

    Args:
        input_dims: size of the input's last axis, a multiple of the group size.
        output_dims: size of the output's last axis.
        bias: whether to add a bias.
        group_size: how many weights share a scale; ``None`` for the mode's own.
        bits: bits a weight; ``None`` for the mode's own.
        mode: see :func:`mlx.core.quantize`.

    Example:
        >>> nn.QuantizedLinear.from_linear(nn.Linear(64, 8))(mx.ones((2, 64))).shape
        (2, 8)
    """

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        bias: bool = True,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "affine",
    ) -> None:
        super().__init__()
        limit = math.sqrt(1 / input_dims)
        weight = mx.random.uniform(-limit, limit, (output_dims, input_dims))
        self._pack(weight, group_size, bits, mode)
        if bias:
            self.bias = mx.zeros((output_dims,))
        self.freeze()

    def _extra_repr(self) -> Any:
        return (
            f"input_dims={self._packed_dims()}, output_dims={self.weight.shape[0]}, "
            f"bias={'bias' in self}, {self._format()}"
        )

    def __call__(self, x: mx.array) -> mx.array:
        y = self._times_transposed(x)
        return y + self["bias"] if "bias" in self else y

    @classmethod
    def from_linear(
        cls,
        linear_layer: Module,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "affine",
    ) -> Any:
        """Quantise the weight of a :class:`Linear`; that layer is left as it is."""
        output_dims, input_dims = linear_layer.weight.shape
        layer = cls(input_dims, output_dims, False, group_size, bits, mode=mode)
        layer._pack(linear_layer.weight, group_size, bits, mode)
        if "bias" in linear_layer:
            layer.bias = linear_layer.bias
        return layer


class QQLinear(Module):
    """A linear layer without bias that quantises its input as well as its weight.

    In training the weight is kept as it is and quantised on the fly, so that it gets
    gradients; :meth:`eval` packs it, :meth:`train` unpacks it.

    Args:
        input_dims: size of the input's last axis, a multiple of the group size.
        output_dims: size of the output's last axis.
        group_size: how many values share a scale; ``None`` for the mode's own.
        bits: bits a value; ``None`` for the mode's own.
        mode: ``"nvfp4"`` or ``"mxfp8"``.

    Example:
        >>> nn.QQLinear(64, 8, mode="mxfp8")(mx.ones((2, 64))).shape
        (2, 8)
    """

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "nvfp4",
    ) -> None:
        super().__init__()
        self.group_size, self.bits = _settle(mode, group_size, bits)
        self.mode = mode
        limit = math.sqrt(1 / input_dims)
        self.weight = mx.random.uniform(-limit, limit, (output_dims, input_dims))
        self._quantized = False
        self._dtype = self.weight.dtype

    def _extra_repr(self) -> Any:
        output_dims, input_dims = self.weight.shape
        if self._quantized:
            input_dims = input_dims * 32 // self.bits
        return (
            f"input_dims={input_dims}, output_dims={output_dims}, "
            f"group_size={self.group_size}, bits={self.bits}, mode={self.mode}"
        )

    def quantize(self) -> None:
        """Pack the weight, if it isn't."""
        if not self._quantized:
            self._dtype = self.weight.dtype
            self.weight, self.scales, *_ = mx.quantize(
                self.weight, self.group_size, self.bits, mode=self.mode
            )
            self._quantized = True

    def dequantize(self) -> None:
        """Unpack the weight, if it is packed, to the type it had."""
        if self._quantized:
            self.weight = mx.dequantize(
                self.weight,
                self.scales,
                group_size=self.group_size,
                bits=self.bits,
                mode=self.mode,
                dtype=self._dtype,
            )
            del self.scales
            self._quantized = False

    def _set_training_mode(self, mode: bool) -> None:
        super()._set_training_mode(mode)
        if mode:
            self.dequantize()
        else:
            self.quantize()

    def __call__(self, x: mx.array) -> mx.array:
        return mx.qqmm(
            x,
            self["weight"],
            self.get("scales"),
            group_size=self.group_size,
            bits=self.bits,
            mode=self.mode,
        )

    @classmethod
    def from_linear(
        cls,
        linear_layer: Module,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "nvfp4",
    ) -> Any:
        """A layer with the weight of a :class:`Linear`, which must have no bias."""
        if "bias" in linear_layer:
            raise NotImplementedError("[QQLinear] a bias is not supported")
        output_dims, input_dims = linear_layer.weight.shape
        layer = cls(input_dims, output_dims, group_size, bits, mode=mode)
        layer.weight = linear_layer.weight
        layer.train(linear_layer.training)
        return layer
