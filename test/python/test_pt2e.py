"""Models that PyTorch's quantization flow (PT2E) has converted, imported on the builder that computes in NumPy."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import networks
import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from networks import MobileNetV2, ResNet, SmallCNN
from numpy_builder import NumpyBuilder
from torch import nn

import tinytrain_mlir as tt
from tinytrain_mlir.api import import_model
from tinytrain_mlir.errors import ConfigError, ModelError, ShapeError, UnsupportedOpError
from tinytrain_mlir.frontends.torch_import import import_torch
from tinytrain_mlir.oracle import Interpreter

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("torchao", reason="torchao: not installed")
    from torchao.quantization.pt2e import move_exported_model_to_eval
    from torchao.quantization.pt2e.quantize_pt2e import (
        convert_pt2e,
        prepare_pt2e,
        prepare_qat_pt2e,
    )
    from torchao.quantization.pt2e.quantizer import arm_inductor_quantizer, x86_inductor_quantizer

    from tinytrain_mlir.frontends.torch_quantizer import TinyTrainQuantizer

pytestmark = pytest.mark.filterwarnings("ignore")

M = TypeVar("M", bound=nn.Module)


class Blocks(nn.Module):
    """A stem, a block of pointwise and depthwise convolutions with a residual, pools, and a head."""

    def __init__(self, head: bool = True) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding="same", groups=8)
        self.depthwise_norm = nn.BatchNorm2d(8)
        self.project = nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8, 5) if head else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu6(self.norm(self.stem(x)))
        y = F.hardtanh(self.depthwise_norm(self.depthwise(x)), 0.0, 6.0)
        x = F.relu(x + self.project(y))
        x = F.avg_pool2d(F.max_pool2d(x, 3, 2, 1), 2)
        logits: torch.Tensor = self.head(x.mean((2, 3)))
        return logits


class Classifier(nn.Module):
    """A module of one's own around functional layers, whose weights have names of one's own."""

    def __init__(self, biased: bool) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(4, 3, 3, 3))
        self.other = nn.Parameter(torch.randn(4, 4, 3, 3))
        self.bias = nn.Parameter(torch.randn(4)) if biased else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(F.conv2d(x, self.kernel, self.bias), self.other)


def nhwc(x: torch.Tensor) -> Any:
    array = x.detach().numpy()
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def image(n: int = 2, c: int = 3, h: int = 12, w: int = 10) -> torch.Tensor:
    return torch.randn(n, c, h, w)


def settled(model: M) -> M:
    """The model in eval mode, with statistics that are not those of a new one."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
    return model.eval()


def quantized(model: nn.Module, x: torch.Tensor, quantizer: Any = None, fold: bool = True) -> Any:
    prepared = prepare_pt2e(
        torch.export.export(model, (x,)).module(), quantizer or TinyTrainQuantizer()
    )
    for _ in range(2):
        prepared(torch.randn_like(x))
    return convert_pt2e(prepared, fold_quantize=fold)


def imported(model: Any, x: torch.Tensor | None, *arrays: Any) -> NumpyBuilder:
    builder = NumpyBuilder(arrays or [nhwc(v) for v in (x,) if v is not None])
    import_torch(model, x, builder)
    return builder


def check(model: Any, x: torch.Tensor) -> NumpyBuilder:
    """Imports a converted model and compares; a value halfway between two integers may become either."""
    builder = imported(model, x)
    with torch.no_grad():
        expected = nhwc(model(x))
    assert builder.outputs[0].shape == expected.shape
    error = np.abs(builder.outputs[0] - expected) / np.abs(expected).max()
    assert error.max() < 0.005
    return builder


def same_graphs(x: NumpyBuilder, y: NumpyBuilder) -> None:
    """Equal ops, names and integers; float weights may differ within their integer's reach."""
    assert x.ops == y.ops
    assert list(x.parameters) == list(y.parameters)
    for name, (_, layout) in x.parameters.items():
        assert layout == y.parameters[name][1]
    for a, b in zip(x.quantized, y.quantized, strict=True):
        assert np.array_equal(a.values, b.values)
        assert np.array_equal(a.scales, b.scales)
        assert a.zero_point == b.zero_point


# The quantizer, and what is imported of its models


@pytest.mark.parametrize("observer", ["minmax", "mse"])
def test_blocks(observer: str) -> None:
    model, x = settled(Blocks()), image()
    builder = check(quantized(model, x, TinyTrainQuantizer(observer=observer)), x)
    weight, activation = ["quantize", "dequantize"], ["quantize", "dequantize"]
    convolution = [*weight, "conv2d", "bias_add"]
    assert builder.ops == [
        *activation,
        *convolution,
        "clamp",
        *activation,
        *convolution,
        "clamp",
        *activation,
        *convolution,
        *activation,
        "add",
        "relu",
        *activation,
        "max_pool",
        *activation,
        "avg_pool",
        *activation,
        "global_avg_pool",
        *activation,
        "matmul",
        "bias_add",
    ]
    names = ["stem", "depthwise", "project", "head"]
    assert list(builder.parameters) == [f"{n}.{kind}" for n in names for kind in ("weight", "bias")]
    with torch.no_grad():
        exact = model(x).numpy()
    assert np.abs(builder.outputs[0] - exact).max() < 0.05 * np.abs(exact).max()


def test_scales_of_the_quantizer() -> None:
    x = image()
    builder = check(quantized(settled(Blocks()), x), x)
    by_channel = [q for q in builder.quantized if q.scales.size > 1]
    assert [q.scales.shape for q in by_channel] == [(8, 1, 1, 1), (1, 1, 1, 8), (8, 1, 1, 1)]
    for q in by_channel:
        assert q.zero_point == 0
        others = tuple(d for d, n in enumerate(q.scales.shape) if n == 1)
        assert np.array_equal(np.abs(q.values).max(others), np.full(8, 127.0))
    activations = [q for q in builder.quantized if q.scales.size == 1]
    after_relu = [1, 2, 4, 5]
    assert all(activations[i].zero_point == -128 for i in after_relu)
    before_pool, after_pool = activations[4:6]
    assert before_pool.scales == after_pool.scales


def test_heads() -> None:
    x = image()
    builder = check(quantized(settled(Blocks()), x, TinyTrainQuantizer(quantize_head=True)), x)
    assert builder.ops[-6:] == ["quantize", "dequantize", "matmul", "bias_add", *builder.ops[-2:]]
    assert builder.ops[-2:] == ["quantize", "dequantize"]
    mlp = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)).eval()
    vectors = torch.randn(16, 6)
    ops = check(quantized(mlp, vectors), vectors).ops
    assert ops.count("quantize") == 3
    assert ops[-4:] == ["quantize", "dequantize", "matmul", "bias_add"]


@pytest.mark.parametrize("fold", [True, False])
def test_both_forms_of_weights_give_one_graph(fold: bool) -> None:
    x = image()
    converted = quantized(settled(Blocks()), x, TinyTrainQuantizer(quantize_head=True), fold)
    names = set(converted.state_dict())
    assert ("_frozen_param0" in names) == fold
    builder = check(converted, x)
    same_graphs(builder, check(torch.export.export(converted, (x,)).module(), x))
    torch.manual_seed(0)
    x = image()
    other = quantized(settled(Blocks()), x, TinyTrainQuantizer(quantize_head=True), not fold)
    torch.manual_seed(0)
    x = image()
    one = quantized(settled(Blocks()), x, TinyTrainQuantizer(quantize_head=True), fold)
    same_graphs(check(one, x), check(other, x))


def test_exported_programs() -> None:
    x = image()
    converted = quantized(settled(Blocks()), x)
    program = torch.export.export(converted, (x,))
    same_graphs(imported(converted, x), imported(program, x))
    same_graphs(imported(converted, x), imported(program, None, nhwc(x)))
    with pytest.raises(ShapeError, match=r"\[\[2, 3, 12, 10\]\]"):
        imported(program, image(1))
    plain = torch.export.export(settled(SmallCNN()), (image(1, 3, 16, 16),))
    assert "quantize" not in imported(plain, image(1, 3, 16, 16)).ops


def test_graphs_of_the_dialect() -> None:
    x = image()
    converted = quantized(settled(Blocks()), x)
    graph = import_model(torch.export.export(converted, (x,)))
    assert str(graph.module) == str(import_model(converted, x).module)
    arrays = [p.array for p in graph.parameters.values()]
    (y,) = Interpreter(graph.module).run("infer", [nhwc(x), *arrays])
    with torch.no_grad():
        expected = converted(x).numpy()
    assert np.abs(y - expected).max() < 0.005 * np.abs(expected).max()
    with pytest.raises(ConfigError, match="expected example_inputs"):
        import_model(converted)


def test_the_quantizer_is_part_of_the_package() -> None:
    assert tt.TinyTrainQuantizer is TinyTrainQuantizer


def test_the_model_is_left_untouched() -> None:
    x = image()
    converted = quantized(settled(Blocks()), x)
    before, code = copy.deepcopy(converted.state_dict()), converted.code
    check(converted, x)
    assert converted.code == code
    assert all(torch.equal(v, before[name]) for name, v in converted.state_dict().items())


def test_flatten_dropout_and_same_padding() -> None:
    x = image(2, 3, 16, 16)
    for head in (False, True):
        quantizer = TinyTrainQuantizer(quantize_head=head)
        builder = check(quantized(settled(SmallCNN()), x, quantizer), x)
        assert "transpose" not in builder.ops
        layout = builder.parameters["fc.weight"][1]
        assert layout.view == (10, 16, 4, 4)
        # Nothing is quantized again on its way through dropout and flatten.
        assert builder.ops.count("quantize") == 1 + 2 * 3 + (2 if head else 0), builder.ops


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (lambda: MobileNetV2(0.35, 10), (1, 3, 32, 32)),
        (lambda: ResNet(), (1, 3, 12, 12)),
    ],
)
def test_networks(build: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    model, x = settled(build()), torch.randn(shape)
    builder = check(quantized(model, x), x)
    assert set(builder.parameters) <= {n.replace("weight", "bias") for n in model.state_dict()} | {
        *model.state_dict()
    }
    assert all(file == networks.__file__ for file, _, _, _ in builder.locations)


def test_layers_that_stay_float() -> None:
    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.b(F.hardswish(self.a(x))) * x
            return y + 1.0

    x = image()
    ops = check(quantized(Gate(), x), x).ops
    assert ops.count("quantize") == 6
    assert ops[-2:] == ["mul", "shift"]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 6, 3, stride=2, padding=1),
        nn.Conv2d(6, 6, 3, groups=6, bias=False),
        nn.Conv2d(4, 6, 1, groups=2),
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d((3, 5))),
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.MaxPool2d(2)),
        nn.Linear(10, 7),
    ],
)
def test_integers_are_those_of_pytorch(layer: nn.Module) -> None:
    first = next(layer.parameters())
    x = image(c=first.shape[1] * int(getattr(layer, "groups", 1)))
    converted = quantized(layer.eval(), x, TinyTrainQuantizer(quantize_head=True))
    builder = check(converted, x)
    difference = np.abs(builder.outputs[0] - nhwc(converted(x))) / builder.quantized[-1].scales
    assert difference.max() < 1.01
    assert np.mean(difference) < 0.002


# Names of folded weights


def test_names_of_weights_that_no_layer_tells() -> None:
    for biased in (True, False):
        x = image()
        model = nn.Sequential(nn.Conv2d(3, 3, 1), Classifier(biased))
        names = set(check(quantized(model, x), x).parameters)
        assert names == {name for name, _ in model.named_parameters()}


def test_a_layer_used_twice_has_one_weight() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.conv(F.relu(self.conv(x)))
            return y

    x = image()
    for fold in (True, False):
        builder = check(quantized(Twice(), x, fold=fold), x)
        assert list(builder.parameters) == ["conv.weight"]
        assert sum(q.scales.size == 3 for q in builder.quantized) == 1


def test_a_weight_without_a_trace_keeps_its_buffer_name() -> None:
    x = image()
    names = list(check(quantized(Classifier(False), x), x).parameters)
    assert names == ["_frozen_param0", "_frozen_param1"]


# Other quantizers


def test_xnnpack_quantizer() -> None:
    xnnpack = pytest.importorskip("torchao.testing.pt2e._xnnpack_quantizer")
    x = image()
    for per_channel in (True, False):
        config = xnnpack.get_symmetric_quantization_config(is_per_channel=per_channel)
        quantizer = xnnpack.XNNPACKQuantizer().set_global(config)
        builder = check(quantized(settled(Blocks()), x, quantizer), x)
        assert list(builder.parameters)[:2] == ["stem.weight", "stem.bias"]


def test_unsigned_activations() -> None:
    x = image()
    x86 = x86_inductor_quantizer
    model = settled(Blocks(head=False))
    model.depthwise.padding = (1, 1)
    config = x86.get_default_x86_inductor_quantization_config(reduce_range=False)
    builder = check(quantized(model, x, x86.X86InductorQuantizer().set_global(config)), x)
    assert all(np.abs(q.values + 0.5).max() <= 127.5 for q in builder.quantized)
    arm = arm_inductor_quantizer
    config = arm.get_default_arm_inductor_quantization_config()
    check(quantized(model, x, arm.ArmInductorQuantizer().set_global(config)), x)


def test_unsigned_is_signed_with_another_zero_point() -> None:
    ops = torch.ops.quantized_decomposed
    x = torch.randn(3, 40)

    def function(x: torch.Tensor, m: Any) -> Any:
        q = ops.quantize_per_tensor(x, 0.02, 100, 0, 255, torch.uint8)
        return ops.dequantize_per_tensor(q, 0.02, 100, 0, 255, torch.uint8)

    builder = check(Fn(function), x)
    assert builder.ops == ["quantize", "dequantize"]
    assert builder.quantized[0].zero_point == -28
    assert np.allclose(builder.outputs[0], function(x, None).numpy(), rtol=1e-6)


class Fn(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        self.register_buffer("scale", torch.tensor([0.02]))
        self.register_buffer("zero_point", torch.tensor([3]))
        self.register_parameter("w", nn.Parameter(torch.randn(4, 40)))
        self.register_parameter("b", nn.Parameter(torch.randn(4)))

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x, self)


def test_scales_in_buffers_and_quantized_biases() -> None:
    ops = torch.ops.quantized_decomposed
    x = torch.randn(3, 40)

    def function(x: torch.Tensor, m: Any) -> Any:
        bounds = (-128, 127, torch.int8)
        q = ops.quantize_per_tensor.tensor(x, m.scale, m.zero_point, *bounds)
        x = ops.dequantize_per_tensor.tensor(q, m.scale, m.zero_point, *bounds)
        wide = (-(2**31), 2**31 - 1, torch.int32)
        q = ops.quantize_per_tensor(m.b, 0.03, 0, *wide)
        return F.linear(x, m.w, ops.dequantize_per_tensor(q, 0.03, 0, *wide))

    builder = check(Fn(function), x)
    assert builder.ops == ["quantize", "dequantize", "matmul", "bias_add"]
    bias = builder.parameters["b"][0]
    assert np.allclose(bias / 0.03, np.rint(bias / 0.03), atol=1e-4)


def test_a_weight_beyond_its_range_is_clipped() -> None:
    ops = torch.ops.quantized_decomposed
    x = torch.randn(3, 40)

    def function(x: torch.Tensor, m: Any) -> Any:
        q = ops.quantize_per_tensor(m.w, 0.01, 0, -127, 127, torch.int8)
        return F.linear(x, ops.dequantize_per_tensor(q, 0.01, 0, -127, 127, torch.int8))

    builder = check(Fn(function), x)
    assert builder.quantized[0].values.min() == -127


# Quantization-aware training


@pytest.mark.slow
def test_training() -> None:
    class Net(Blocks):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.dropout(super().forward(x), 0.1, self.training)

    x, y = image(8), torch.arange(8) % 5
    exported = torch.export.export(Net().train(), (x,)).module()
    prepared = prepare_qat_pt2e(exported, TinyTrainQuantizer(is_qat=True))
    optimizer = torch.optim.SGD(prepared.parameters(), lr=0.05)
    losses = []
    for _ in range(8):
        loss = F.cross_entropy(prepared(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < losses[0]
    converted = convert_pt2e(prepared)
    builder = imported(converted, x)
    assert {"mul", "div"}.isdisjoint(builder.ops)
    names = ["stem", "depthwise", "project", "head"]
    assert set(builder.parameters) == {f"{n}.{k}" for n in names for k in ("weight", "bias")}
    check(move_exported_model_to_eval(converted), x)


# Errors


def fails(error: type[Exception], model: Any, x: torch.Tensor) -> str:
    with pytest.raises(error) as caught:
        imported(model if isinstance(model, nn.Module) else Fn(model), x)
    return str(caught.value)


def test_what_is_prepared_only() -> None:
    x = image()
    prepared = prepare_pt2e(
        torch.export.export(Blocks().eval(), (x,)).module(), TinyTrainQuantizer()
    )
    assert "convert_pt2e" in fails(ModelError, prepared, x)


def test_quantizations_without_a_translation() -> None:
    ops = torch.ops.quantized_decomposed
    x = torch.randn(3, 40)

    def narrow(x: torch.Tensor, m: Any) -> Any:
        q = ops.quantize_per_tensor(x, 0.02, 60, 0, 127, torch.uint8)
        return ops.dequantize_per_tensor(q, 0.02, 60, 0, 127, torch.uint8)

    assert "0..127 of uint8" in fails(UnsupportedOpError, narrow, x)

    def wide(x: torch.Tensor, m: Any) -> Any:
        q = ops.quantize_per_tensor(x, 0.02, 0, -32768, 32767, torch.int16)
        return ops.dequantize_per_tensor(q, 0.02, 0, -32768, 32767, torch.int16)

    assert "torch.int8" in fails(UnsupportedOpError, wide, x)

    def integers(x: torch.Tensor, m: Any) -> Any:
        q = ops.quantize_per_tensor(x, 0.02, 0, -128, 127, torch.int8)
        return q.float()

    assert "computes with integers" in fails(UnsupportedOpError, integers, x)

    def rescaled(x: torch.Tensor, m: Any) -> Any:
        q = ops.quantize_per_tensor(x, 0.02, 0, -128, 127, torch.int8)
        return ops.dequantize_per_tensor(q, 0.04, 0, -128, 127, torch.int8)

    assert "other scales" in fails(UnsupportedOpError, rescaled, x)

    def dynamic(x: torch.Tensor, m: Any) -> Any:
        s, z = ops.choose_qparams(x, -128, 127, 1e-6, torch.int8)
        q = ops.quantize_per_tensor.tensor(x, s, z, -128, 127, torch.int8)
        return ops.dequantize_per_tensor.tensor(q, s, z, -128, 127, torch.int8)

    assert "static quantization" in fails(UnsupportedOpError, dynamic, x)

    def asymmetric(x: torch.Tensor, m: Any) -> Any:
        q = ops.quantize_per_tensor(m.w, 0.02, 5, -128, 127, torch.int8)
        return F.linear(x, ops.dequantize_per_tensor(q, 0.02, 5, -128, 127, torch.int8))

    assert "zero point 0" in fails(UnsupportedOpError, asymmetric, x)


def test_wrong_uses_of_the_quantizer() -> None:
    with pytest.raises(ConfigError, match="'minmax' or 'mse'"):
        TinyTrainQuantizer(observer="best")
    x = image()
    evaluated = torch.export.export(Blocks().eval(), (x,)).module()
    with pytest.raises(ConfigError, match="train mode"):
        prepare_qat_pt2e(evaluated, TinyTrainQuantizer(is_qat=True))
    model = Blocks().train()
    model.norm.eps = 1e-3
    with pytest.raises(ConfigError, match="eps=1e-05"):
        prepare_qat_pt2e(torch.export.export(model, (x,)).module(), TinyTrainQuantizer(is_qat=True))
