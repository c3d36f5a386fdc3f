"""Bad settings and shapes: a ValueError that says what was wrong."""

import mlx.core as mx
import pytest
from mlx import nn

losses = nn.losses


def ones(*shape):
    return mx.ones(shape)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Dropout(1.0),
        lambda: nn.Dropout(-0.1),
        lambda: nn.Dropout2d(1.5),
        lambda: nn.GELU("nothing"),
        lambda: nn.Upsample(2, "nothing"),
        lambda: nn.Upsample(2, "linear", True, True),
        lambda: nn.Upsample(2, "nearest", False, True),
        lambda: nn.GroupNorm(3, 4),
        lambda: nn.MaxPool2d((1, 2, 3)),
        lambda: nn.MaxPool2d(2, padding=-1),
        lambda: nn.AvgPool1d(0),
        lambda: nn.MultiHeadAttention(7, 2),
        lambda: nn.Conv2d(3, 4, 3, groups=2),
        lambda: nn.Conv2d(3, 4, (3,)),
        lambda: nn.RNN(2, 2, nonlinearity=5),
        lambda: nn.SinusoidalPositionalEncoding(7),
        lambda: nn.Linear(50, 32).to_quantized(),
        lambda: nn.Linear(64, 32).to_quantized(mode="nothing"),
        lambda: nn.Embedding(4, 64).to_quantized(mode="nvfp4", quantize_input=True),
    ],
)
def test_settings(make):
    with pytest.raises(ValueError):
        make()


@pytest.mark.parametrize(
    "layer, shape, text",
    [
        (nn.Linear(4, 2), (4, 3), "3.*in Linear$"),
        (nn.LayerNorm(4), (4, 3), "in LayerNorm$"),
        (nn.RMSNorm(4), (4, 3), "in RMSNorm$"),
        (nn.GroupNorm(2, 4), (4, 3), r"\(4, 3\)"),
        (nn.InstanceNorm(4), (4, 4), r"\(4, 4\)"),
        (nn.BatchNorm(4), (4,), r"\(4,\)"),
        (nn.BatchNorm(4), (2, 3), "4 channels"),
        (nn.BatchNorm(4), (1, 4), "more than one value"),
        (nn.Conv2d(4, 2, 3), (4, 3, 3, 3), "in Conv2d$"),
        (nn.RNN(4, 3), (5, 3), r"\(5, 3\)"),
        (nn.GRU(4, 3), (4,), r"\(4,\)"),
        (nn.LSTM(4, 3), (2, 5, 3), "LSTM"),
        (nn.MaxPool2d(2), (4, 4, 2), "4 axes"),
        (nn.MaxPool2d(5), (1, 4, 4, 2), "larger"),
        (nn.Dropout2d(), (4, 2), r"\(4, 2\)"),
        (nn.Dropout3d(), (4, 2, 2), "4 or 5"),
        (nn.Upsample((2, 2)), (4, 2, 2), "1 spatial"),
        (nn.Upsample(2), (4, 2), r"\(4, 2\)"),
        (nn.Upsample(0.2), (1, 3, 1), "empty"),
        (nn.Embedding(4, 2), (4,), "in Embedding$"),
        (nn.RoPE(8), (4, 4), "in RoPE$"),
    ],
)
def test_shapes(layer, shape, text):
    with pytest.raises(ValueError, match="(?s)" + text):
        layer(mx.ones(shape))


@pytest.mark.parametrize(
    "loss",
    [
        lambda: losses.l1_loss(ones(2, 2), ones(1, 2)),
        lambda: losses.mse_loss(ones(2, 2), ones(2)),
        lambda: losses.smooth_l1_loss(ones(2, 2), ones(2)),
        lambda: losses.binary_cross_entropy(ones(2, 2), ones(2)),
        lambda: losses.binary_cross_entropy(ones(2, 2), ones(2, 2), weights=ones(2)),
        lambda: losses.cross_entropy(ones(2, 2), mx.array([0, 1, 1])),
        lambda: losses.cross_entropy(ones(2, 2), ones(1, 2)),
        lambda: losses.cross_entropy(ones(2, 2), ones(2)),
        lambda: losses.cross_entropy(ones(2, 2), mx.array([0, 1]), weights=ones(3)),
        lambda: losses.cross_entropy(ones(2, 2), mx.array([0, 1]), label_smoothing=1.0),
        lambda: losses.nll_loss(ones(2, 2), mx.array([[0, 1]])),
        lambda: losses.gaussian_nll_loss(ones(2), ones(2), ones(1)),
        lambda: losses.margin_ranking_loss(ones(2), ones(2), ones(1)),
        lambda: losses.hinge_loss(ones(2), ones(2), reduction="nothing"),
    ],
)
def test_losses(loss):
    with pytest.raises(ValueError):
        loss()


@pytest.mark.parametrize("name", ["identity", "glorot_normal", "he_uniform", "orthogonal"])
def test_initialisers(name):
    with pytest.raises(ValueError, match=r"\(3,\)"):
        getattr(nn.init, name)()(mx.zeros((3,)))
    with pytest.raises(ValueError, match="nothing"):
        nn.init.he_normal()(mx.zeros((3, 3)), mode="nothing")


def test_quantize():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(64, 64)
            self.c = nn.Conv1d(2, 2, 1)
            self.b = [nn.Linear(48, 64)]

    with pytest.raises(ValueError, match=r"while quantizing b.0: Linear\(input_dims=48"):
        nn.quantize(Model())
    with pytest.raises(ValueError, match="c: Conv1d can't be quantized"):
        nn.quantize(Model(), class_predicate=lambda path, m: path == "c")
    with pytest.raises(ValueError, match="class_predicate must return"):
        nn.quantize(Model(), class_predicate=lambda path, m: 5)
    with pytest.raises(ValueError, match="nothing"):
        nn.quantize(Model(), mode="nothing")
    model = Model()
    nn.quantize(
        model, class_predicate=lambda p, m: {"bits": 8, "group_size": 32} if p == "a" else False
    )
    assert repr(model.a) == (
        "QuantizedLinear(input_dims=64, output_dims=64, bias=True, "
        "group_size=32, bits=8, mode=affine)"
    )
    assert type(model.b[0]) is nn.Linear
