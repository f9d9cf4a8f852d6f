"""The PyTorch front end on a builder that computes in NumPy: what it folds, moves and names.

That every op computes what PyTorch does is tested in test_ops.py, errors in test_errors.py.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import networks
import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given
from hypothesis import strategies as st
from networks import MobileNetV2, ResNet, SmallCNN, mlp
from numpy_builder import NumpyBuilder
from torch import nn

from tinytrain_mlir.errors import ModelError, UnsupportedOpError
from tinytrain_mlir.frontends.graph_builder import ParamLayout
from tinytrain_mlir.frontends.torch_import import import_torch

small = st.integers(1, 4)
Function = Callable[..., torch.Tensor]


class Fn(nn.Module):
    """A function as a module."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, *xs: torch.Tensor) -> torch.Tensor:
        return self.function(*xs)


def nhwc(x: torch.Tensor) -> Any:
    array = x.detach().numpy()
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def check(
    model: nn.Module | Function, *inputs: torch.Tensor, tolerance: float = 1e-6
) -> NumpyBuilder:
    """Imports, evaluates and compares with PyTorch in float64; returns the builder."""
    model = model if isinstance(model, nn.Module) else Fn(model)
    before = {name: x.clone() for name, x in model.state_dict().items()}
    builder = NumpyBuilder([nhwc(x) for x in inputs])
    training = [module.training for module in model.modules()]
    import_torch(model, inputs, builder)
    assert [module.training for module in model.modules()] == training
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())
    model.eval()
    with torch.no_grad():
        expected = nhwc(model.double()(*(x.double() for x in inputs)))
    model.float()
    assert builder.outputs[0].shape == expected.shape
    limit = tolerance * np.abs(expected).max()
    np.testing.assert_allclose(builder.outputs[0], expected, rtol=tolerance, atol=limit)
    for name, (array, layout) in builder.parameters.items():
        if name in before:
            assert layout.to_torch(array).shape == before[name].shape
    return builder


def randomize_statistics(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.normal_(module.weight, 1, 0.3)
                nn.init.normal_(module.bias, 0, 0.3)
    return model


def image(n: int = 2, c: int = 3, h: int = 6, w: int = 5) -> torch.Tensor:
    return torch.randn(n, c, h, w)


# Layers


@given(st.data())
def test_conv2d(data: st.DataObject) -> None:
    draw = data.draw
    groups, kernel = draw(small), (draw(small), draw(small))
    dilation = (draw(small), draw(st.integers(1, 2)))
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    padding: Any = draw(st.sampled_from(["same", "valid", (0, 2), (1, 1)]))
    if padding == "same":
        stride = (1, 1)
    cin, cout = groups * draw(small), groups * draw(small)
    conv = nn.Conv2d(cin, cout, kernel, stride, padding, dilation, groups, bias=draw(st.booleans()))
    extent = [dilation[i] * (kernel[i] - 1) + draw(st.integers(1, 6)) for i in (0, 1)]
    builder = check(conv, image(draw(small), cin, *extent))
    if 1 < groups == cin == cout:
        assert builder.parameters["weight"][0].shape == (1, *kernel, cin)
    else:
        assert builder.parameters["weight"][0].shape == (cout, *kernel, cin // groups)


@given(st.data())
def test_matmul(data: st.DataObject) -> None:
    m, k, n = data.draw(small), data.draw(small), data.draw(small)
    batch = [data.draw(small) for _ in range(data.draw(st.integers(0, 2)))]
    left, right = data.draw(st.booleans()), data.draw(st.booleans())
    a = torch.randn(*batch, *((k, m) if left else (m, k)))
    stack = batch if data.draw(st.booleans()) else batch[1:]
    b = torch.randn(*stack, *((n, k) if right else (k, n)))
    builder = check(lambda a, b: (a.mT if left else a) @ (b.mT if right else b), a, b)
    if a.ndim == b.ndim < 4 and min(m, k, n) > 1:
        assert "transpose" not in builder.ops


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("groups", [1, 4])
def test_batch_norm_folds_into_conv(affine: bool, bias: bool, groups: int) -> None:
    model = nn.Sequential(
        nn.Conv2d(4, 4, 3, groups=groups, bias=bias), nn.BatchNorm2d(4, affine=affine)
    )
    builder = check(randomize_statistics(model), image(c=4))
    assert builder.ops == ["conv2d", "bias_add"]
    assert list(builder.parameters) == ["0.weight", "0.bias"]
    conv, norm = model.eval().children()
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    fused = torch.nn.utils.fuse_conv_bn_eval(conv, norm)
    weight, layout = builder.parameters["0.weight"]
    np.testing.assert_allclose(
        layout.to_torch(weight), fused.weight.detach().numpy(), rtol=1e-5, atol=1e-6
    )


def test_batch_norm_folds_into_linear() -> None:
    model = randomize_statistics(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)))
    assert check(model, torch.randn(2, 3)).ops == ["matmul", "bias_add"]


def test_batch_norm_alone_and_unfoldable() -> None:
    assert "conv2d" not in check(randomize_statistics(nn.BatchNorm2d(3)), image()).ops
    check(randomize_statistics(nn.BatchNorm1d(4)), torch.randn(2, 4, 5))

    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.conv(x)
            z: torch.Tensor = self.bn(y) + y + self.conv(x + 1)
            return z

    builder = check(randomize_statistics(Shared()), image())
    assert list(builder.parameters) == ["conv.weight", "conv.bias"]


def test_adaptive_and_global_pooling() -> None:
    x = image(2, 3, 6, 4)
    check(lambda x: F.adaptive_avg_pool2d(x, (3, 2)), x)
    check(lambda x: F.adaptive_avg_pool2d(x, (6, 4)), x)
    check(lambda x: F.adaptive_avg_pool2d(x, (None, 2)), x)
    for pool in (
        lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1),
        lambda x: x.mean((2, 3)),
        lambda x: x.mean((-1, -2), keepdim=True).squeeze(-1).squeeze(-1),
    ):
        assert check(pool, x).ops == ["global_avg_pool"]
    check(lambda x: x * F.adaptive_avg_pool2d(x, 1), x)


def test_bias_of_images_is_a_bias_add() -> None:
    class Bias(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.b = nn.Parameter(torch.randn(3, 1, 1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.b

    assert check(Bias(), image()).ops == ["bias_add"]


@given(st.data())
def test_reshape_and_permute_compose(data: st.DataObject) -> None:
    dims = [data.draw(st.sampled_from([1, 2, 3])) for _ in range(4)]
    steps = []
    shape = list(dims)
    for _ in range(data.draw(st.integers(1, 4))):
        if data.draw(st.booleans()):
            order = data.draw(st.permutations(range(len(shape))))
            steps.append(("permute", order))
            shape = [shape[d] for d in order]
        else:
            factors = [f for n in shape for f in ([2, 3] if n == 6 else [n])]
            cut = data.draw(st.integers(0, len(factors)))
            merged = [int(np.prod(factors[:cut])), *factors[cut:]]
            steps.append(("reshape", merged))
            shape = merged

    def function(x: torch.Tensor) -> torch.Tensor:
        for kind, argument in steps:
            x = x.permute(argument) if kind == "permute" else x.reshape(argument)
        return x

    check(function, torch.randn(dims))


@pytest.mark.parametrize("between", [nn.Identity(), nn.Dropout(), nn.ReLU()])
def test_flatten_folds_into_the_weight(between: nn.Module) -> None:
    builder = check(nn.Sequential(nn.Flatten(), between, nn.Linear(72, 5)), image(2, 3, 6, 4))
    assert "transpose" not in builder.ops
    weight, layout = builder.parameters["2.weight"]
    assert layout == ParamLayout((5, 72), (5, 3, 6, 4), (0, 2, 3, 1), (5, 72))
    assert weight.shape == (5, 72)


def test_flatten_with_two_uses() -> None:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(72, 72), nn.Linear(72, 72, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.flatten(1)
            y: torch.Tensor = self.a(x) + self.b(x) * x
            return y

    assert check(Heads(), image(2, 3, 6, 4)).ops.count("transpose") == 1


def test_tied_parameters_are_imported_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(12, 12), nn.Linear(12, 12)
            self.b.weight = self.a.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.b(self.a(x.flatten(1)))
            return y @ self.a.weight

    builder = check(Tied(), image(2, 3, 2, 2))
    assert sorted(builder.parameters) == ["a.bias", "a.weight", "b.bias"]


def test_buffers_and_computed_constants() -> None:
    class Positions(nn.Module):
        p: torch.Tensor
        q: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("p", torch.randn(1, 9, 4))
            self.register_buffer("q", torch.randn(4), persistent=False)
            self.plain = torch.randn(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x + self.p[:, : x.shape[1]] * 2 + self.q * self.plain
            return x + torch.arange(4) + torch.full((4,), 0.5)

    assert check(Positions(), torch.randn(2, 5, 4)).parameters == {}


# Networks


def test_small_cnn() -> None:
    builder = check(randomize_statistics(SmallCNN()), image(2, 3, 16, 16))
    assert not {"transpose", "mul"} & set(builder.ops)
    names = ["conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "fc.weight", "fc.bias"]
    assert list(builder.parameters) == names
    file, line, _, scope = builder.locations[0]
    assert (file, scope) == (networks.__file__, "conv1")
    assert line > 0


@pytest.mark.parametrize("mean_pool", [True, False])
def test_mobilenet_v2(mean_pool: bool) -> None:
    model = MobileNetV2(0.35, 10, mean_pool=mean_pool)
    model.features = nn.Sequential(*list(model.features)[:6])
    model.classifier = nn.Sequential(nn.Linear(16, 10))
    builder = check(randomize_statistics(model), image(1, 3, 32, 32))
    assert set(builder.ops) == {"conv2d", "bias_add", "clamp", "add", "global_avg_pool", "matmul"}


def test_resnet() -> None:
    builder = check(randomize_statistics(ResNet()), image(1, 3, 12, 12))
    expected = {"conv2d", "bias_add", "relu", "clamp", "add", "global_avg_pool", "matmul"}
    assert set(builder.ops) == expected


def test_mlp() -> None:
    assert check(mlp([5, 7, 3]), torch.randn(2, 5)).ops == [
        "matmul",
        "bias_add",
        "relu",
        "matmul",
        "bias_add",
    ]


def test_attention() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.mlp = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x + self.attention(x, x, x, need_weights=False)[0]
            x = x + self.attention(x, x, x)[0]
            y: torch.Tensor = x + self.mlp(x)
            return y

    check(Block(), torch.randn(2, 5, 8))


def test_patch_embedding_moves_nothing() -> None:
    class Patches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.project, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.head(self.project(x).flatten(2).transpose(1, 2))
            return y

    builder = check(Patches(), image(2, 3, 8, 8))
    assert "transpose" not in builder.ops


# Errors


def fails(error: type[Exception], model: nn.Module | Function, *inputs: Any) -> str:
    model = model if isinstance(model, nn.Module) else Fn(model)
    arrays = [nhwc(x.real) for x in inputs if isinstance(x, torch.Tensor)]
    with pytest.raises(error) as caught:
        import_torch(model, inputs, NumpyBuilder(arrays))
    return str(caught.value)


def test_training_only_ops() -> None:
    dropout = fails(UnsupportedOpError, lambda x: F.dropout(x, 0.5, True), torch.randn(2, 3))
    assert "inactive in eval mode" in dropout
    batch = nn.BatchNorm2d(3, track_running_stats=False)
    assert "track_running_stats" in fails(UnsupportedOpError, batch, image())

    class Model(nn.Module):
        mean: torch.Tensor
        var: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.zeros(3))
            self.register_buffer("var", torch.ones(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.batch_norm(x, self.mean, self.var, training=True)

    assert "'mean'" in fails(ModelError, Model(), image())


def test_import_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(SmallCNN(), image(1, 3, 16, 16))
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


@given(st.permutations(range(3)), st.data())
def test_layouts_are_bijections(permutation: list[int], data: st.DataObject) -> None:
    view = tuple(data.draw(small) for _ in range(3))
    layout = ParamLayout.identity((int(np.prod(view)),)).reshape(view).permute(permutation)
    assert layout is not None
    array = np.arange(np.prod(view), dtype=np.float32)
    assert np.array_equal(
        layout.reshape((array.size,)).to_torch(layout.to_ir(array).ravel()), array
    )
    assert np.array_equal(layout.to_torch(layout.to_ir(array)), array)
