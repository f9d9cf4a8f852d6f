"""Every op that the front end can produce: forward, gradient and lowering, against PyTorch.

An op is compiled for the host behind learnable tensors, so that gradients flow through it. One
step gives the gradient: (parameter before - after) / learning rate. PyTorch computes in float64.
Tolerance: `TOLERANCE` times the largest value of the output, the loss, or the parameter's
gradient, plus a tenth of that times the largest gradient of all (for those that cancel out).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import tinytrain_mlir as tt

TOLERANCE = 2e-5
LR = 1024.0  # so large that subtracting the parameter costs no digits

Function = Callable[..., torch.Tensor]
Array = npt.NDArray[Any]
small = st.integers(1, 4)


class Learn(nn.Module):
    """`function(x * scale + shift, *others)`; scale, shift and the others are parameters."""

    def __init__(self, function: Function, x: torch.Tensor, *others: torch.Tensor) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand_like(x) + 0.5)
        self.shift = nn.Parameter(torch.randn_like(x) * 0.1)
        for i, other in enumerate(others):
            self.register_parameter(f"other{i}", nn.Parameter(other))
        self.count = len(others)
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        others = [getattr(self, f"other{i}") for i in range(self.count)]
        return self.function(x * self.scale + self.shift, *others)


def image(n: int = 2, c: int = 3, h: int = 6, w: int = 5) -> torch.Tensor:
    return torch.randn(n, c, h, w)


def assert_near(what: str, got: Array, expected: torch.Tensor, scale: float = 0.0) -> None:
    wanted = expected.detach().numpy()
    assert got.shape == wanted.shape, what
    limit = TOLERANCE * (np.abs(wanted).max() + scale)
    error = np.abs(got - wanted).max()
    assert error <= limit, f"{what}: error {error:.3g}, allowed {limit:.3g}"


def check_module(model: nn.Module, x: torch.Tensor, loss: str = "mse", floor: float = 0.0) -> None:
    """Compiles a model, and compares output, loss and all gradients with PyTorch.

    Args:
        floor: gradients are compared as if the largest were at least this.
    """
    reference = copy.deepcopy(model).double().eval()
    output = reference(x.double())
    if loss == "mse":
        y = torch.randn(output.shape)
        value = F.mse_loss(output, y.double())
    else:
        y = torch.randint(output.shape[1], output.shape[:1])
        value = F.cross_entropy(output, y)
    value.backward()
    program = tt.compile(model, x, loss=loss, optimizer=tt.SGD(lr=LR))
    with program.load() as session:
        assert_near("output", session.infer(x), output)
        before = session.parameters()
        assert_near("loss", np.float64(session.step(x, y)), value)
        after = session.parameters()
    expected = {n: p.grad for n, p in reference.named_parameters() if p.grad is not None}
    assert set(before) == set(expected)
    largest = max(floor, *(float(g.abs().max()) for g in expected.values()))
    for name, gradient in expected.items():
        np.testing.assert_array_equal(before[name], model.state_dict()[name].numpy())
        got = (before[name].astype(np.float64) - after[name]) / LR
        assert_near(f"gradient of {name}", got, gradient, largest / 10)


def check(
    function: Function,
    x: torch.Tensor,
    *others: torch.Tensor,
    loss: str = "mse",
    floor: float = 0.0,
) -> None:
    """Checks a function of a computed tensor and of parameters."""
    check_module(Learn(function, x, *others), x, loss, floor)


# Convolutions


def check_conv(x: torch.Tensor, *args: Any, **kwargs: Any) -> None:
    conv = nn.Conv2d(x.shape[1], *args, **kwargs)
    check(conv, x)


@given(st.data())
def test_conv2d(data: st.DataObject) -> None:
    draw = data.draw
    groups, kernel = draw(st.sampled_from([1, 1, 2, 3])), (draw(small), draw(small))
    dilation = (draw(st.integers(1, 3)), draw(st.integers(1, 2)))
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    padding: Any = draw(st.sampled_from(["same", "valid", (0, 2), (1, 1), (3, 1)]))
    if padding == "same":
        stride = (1, 1)
    cin = groups * draw(st.sampled_from([1, 2, 3, 5, 16]))
    cout = groups * draw(st.sampled_from([1, 2, 3, 5, 8, 17]))
    size = [dilation[i] * (kernel[i] - 1) + draw(st.integers(1, 6)) for i in (0, 1)]
    check_conv(
        image(draw(st.integers(1, 3)), cin, *size),
        *(cout, kernel, stride, padding, dilation, groups),
        bias=draw(st.booleans()),
    )


@given(st.data())
def test_depthwise_conv2d(data: st.DataObject) -> None:
    draw = data.draw
    kernel, dilation = draw(st.integers(1, 5)), draw(st.integers(1, 2))
    channels, multiplier = draw(st.sampled_from([2, 3, 8, 17])), draw(st.sampled_from([1, 1, 2]))
    size = [dilation * (kernel - 1) + draw(st.integers(1, 6)) for _ in "hw"]
    check_conv(
        image(draw(st.integers(1, 3)), channels, *size),
        *(channels * multiplier, kernel, draw(st.integers(1, 3)), draw(st.integers(0, kernel - 1))),
        *(dilation, channels),
    )


CONVS: list[tuple[tuple[int, ...], tuple[Any, ...]]] = [
    ((1, 3, 9, 9), (8, 3, 2, 1)),
    ((2, 8, 7, 5), (12, 1)),
    ((2, 8, 7, 5), (12, 1, 2)),
    ((1, 16, 8, 8), (16, 3, 1, 1, 1, 16)),
    ((2, 6, 9, 8), (6, 3, 2, 1, 1, 6)),
    ((1, 6, 11, 8), (6, 3, 2, 2, 2, 6)),
    ((1, 2, 11, 13), (3, 3, 3, 0, 2)),
    ((3, 2, 12, 11), (3, (2, 3), (2, 3), (1, 2), (3, 2))),
    ((1, 4, 1, 9), (4, (1, 3), 1, (0, 1))),
    ((1, 1, 3, 3), (1, 3)),
    ((2, 3, 4, 4), (5, 2, 3)),  # the last rows and columns are never seen
    ((1, 3, 2, 2), (4, 1, 1, 2)),  # outputs made of padding only
    ((2, 2, 1, 1), (2, 1, 2)),  # stride over a single pixel
    ((3, 2, 1, 4), (3, 3, 2, 1)),
]


@pytest.mark.parametrize(("shape", "args"), CONVS)
def test_conv2d_cases(shape: tuple[int, ...], args: tuple[Any, ...]) -> None:
    check_conv(torch.randn(shape), *args)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU6(), nn.Hardswish()])
@pytest.mark.parametrize("groups", [1, 8])
def test_conv2d_with_activation(activation: nn.Module, groups: int) -> None:
    check(nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=groups), activation), image(c=8))


def test_conv2d_with_a_computed_filter() -> None:
    def function(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, w * w, padding=1)

    check(function, image(), torch.randn(4, 3, 3, 3))


# Matrix products


@given(st.data())
def test_linear(data: st.DataObject) -> None:
    k, n = (data.draw(st.sampled_from([1, 2, 5, 16, 33])) for _ in "kn")
    lead = [data.draw(small) for _ in range(data.draw(st.integers(0, 3)))]
    check(nn.Linear(k, n, bias=data.draw(st.booleans())), torch.randn(*lead, k))


@given(st.data())
def test_matmul(data: st.DataObject) -> None:
    draw = data.draw
    m, k, n = (draw(st.sampled_from([1, 2, 3, 8, 17])) for _ in "mkn")
    batch = [draw(small) for _ in range(draw(st.integers(0, 2)))]
    left, right = draw(st.booleans()), draw(st.booleans())
    a = torch.randn(*batch, *((k, m) if left else (m, k)))
    b = torch.randn(*(batch if draw(st.booleans()) else []), *((n, k) if right else (k, n)))
    check(lambda a, b: (a.mT if left else a) @ (b.mT if right else b), a, b)


MATRIX: list[tuple[Function, tuple[int, ...], tuple[tuple[int, ...], ...]]] = [
    (torch.mm, (2, 3), ((3, 4),)),
    (torch.bmm, (2, 2, 3), ((2, 3, 4),)),
    (torch.matmul, (3,), ((3,),)),
    (torch.matmul, (3,), ((3, 4),)),
    (torch.matmul, (2, 3), ((3,),)),
    (lambda a, b, c: torch.addmm(c, a, b, beta=0.5, alpha=2), (2, 3), ((3, 4), (4,))),
    (lambda a, b, c: torch.baddbmm(c, a, b, beta=2), (2, 3, 2), ((2, 2, 3), (2, 3, 3))),
    (lambda a, b: torch.einsum("ij,jk->ik", a, b), (2, 3), ((3, 4),)),
    (F.scaled_dot_product_attention, (1, 2, 3, 4), ((1, 2, 5, 4), (1, 2, 5, 4))),
    (lambda a: a @ a.mT, (3, 4), ()),
]


@pytest.mark.parametrize(("function", "shape", "others"), MATRIX)
def test_matrix_products(
    function: Function, shape: tuple[int, ...], others: tuple[tuple[int, ...], ...]
) -> None:
    check(function, torch.randn(shape), *map(torch.randn, others))


# Pooling


@given(st.data())
def test_pooling(data: st.DataObject) -> None:
    draw = data.draw
    kernel = (draw(small), draw(small))
    padding = (draw(st.integers(0, kernel[0] // 2)), draw(st.integers(0, kernel[1] // 2)))
    stride = draw(st.sampled_from([None, 1, (2, 3)]))
    include, ceil = draw(st.booleans()), draw(st.booleans())
    x = image(draw(small), draw(st.sampled_from([1, 3, 8])), *(draw(st.integers(4, 9)),) * 2)
    check(lambda x: F.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil), x)
    check(lambda x: F.avg_pool2d(x, kernel, stride, padding, count_include_pad=include), x)


POOLS: list[Function] = [
    lambda x: F.max_pool2d(x, 3, 2, 1),
    lambda x: F.max_pool2d(x, 3, 1),
    lambda x: F.max_pool2d(x, (1, 3), (3, 1), ceil_mode=True),
    lambda x: F.avg_pool2d(x, 3, 2, 1),
    lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    lambda x: F.avg_pool2d(x, 2, divisor_override=3),
    lambda x: F.adaptive_avg_pool2d(x, (2, 4)),
    lambda x: F.adaptive_avg_pool2d(x, 1),
    lambda x: x.mean((2, 3)),
    lambda x: x * F.adaptive_avg_pool2d(x, 1),
]


@pytest.mark.parametrize("index", range(len(POOLS)))
def test_pooling_cases(index: int) -> None:
    check(POOLS[index], image(2, 4, 6, 8))


@pytest.mark.parametrize("window", [(2, 2, 0), (3, 1, 0), (3, 2, 1)])
def test_max_pool_sends_the_gradient_of_ties_where_pytorch_does(
    window: tuple[int, int, int],
) -> None:
    x = torch.randint(0, 2, (2, 3, 7, 8)).float()
    kernel, stride, padding = window
    pool = nn.MaxPool2d(kernel, stride, padding)
    model = Learn(pool, x)
    with torch.no_grad():
        model.scale.fill_(1.0)
        model.shift.fill_(0.5)
    check_module(model, x)


# Elementwise

UNARY: list[Function] = [
    F.relu,
    F.relu6,
    F.hardtanh,
    F.hardswish,
    F.leaky_relu,
    F.hardsigmoid,
    torch.neg,
    torch.square,
    lambda x: F.hardtanh(x, -0.5, 0.25),
    lambda x: F.relu6(8 * x),
    lambda x: x.clamp(-0.5, 0.5),
    lambda x: x.clamp(min=0.1),
    lambda x: x.clamp_max(0.1),
    lambda x: F.relu_(x + 1),
    lambda x: 2 - x,
    lambda x: x / 3,
    lambda x: 1 / (x * x + 1),
    lambda x: (x * x + 1).reciprocal(),
    lambda x: x**2,
    lambda x: torch.rsub(x, 2.0, alpha=3),
    lambda x: torch.sub(x, 1.5, alpha=2),
    lambda x: x + torch.arange(4),
    lambda x: x + x + x * x,
]


@pytest.mark.parametrize("index", range(len(UNARY)))
def test_unary(index: int) -> None:
    check(UNARY[index], image(2, 3, 6, 4))


BINARY: list[Function] = [
    torch.add,
    torch.sub,
    torch.mul,
    torch.div,
    lambda x, y: torch.add(x, y, alpha=2),
    lambda x, y: torch.sub(y, x, alpha=2),
    lambda x, y: y / (x * x + 1),
]


@pytest.mark.parametrize("index", range(len(BINARY)))
@given(st.data())
def test_binary_broadcasting(index: int, data: st.DataObject) -> None:
    shape = [data.draw(small) for _ in range(data.draw(st.integers(1, 4)))]
    rank = data.draw(st.integers(0, len(shape)))
    other = [data.draw(st.sampled_from([1, n])) for n in shape][rank:]
    check(BINARY[index], torch.randn(shape), torch.rand(other) + 1)


def test_broadcasting_a_computed_tensor() -> None:
    x, y = torch.randn(2, 1, 1, 4), torch.rand(3, 5, 1) + 1
    for function in (torch.add, torch.mul, torch.div):
        check(lambda x, y: function(x, y + y), x, y)  # noqa: B023


def check_at_corners(function: Function) -> None:
    x = torch.tensor([[-1.0, 0.0, 1.0, 6.0, 7.0]])
    model = Learn(function, x)
    with torch.no_grad():
        model.scale.fill_(1.0)
        model.shift.fill_(0.0)
    check_module(model, x)


@pytest.mark.parametrize("function", [F.relu, F.relu6, F.hardtanh])
def test_relu_stops_the_gradient_at_its_corners(function: Function) -> None:
    check_at_corners(function)


@pytest.mark.parametrize(("low", "high"), [(0, 6), (0, None), (None, 6)])
def test_clamp_passes_the_gradient_at_its_corners(low: float | None, high: float | None) -> None:
    check_at_corners(lambda x: x.clamp(low, high))


# Changes of shape

SHAPES: list[Function] = [
    lambda x: x.flatten(2),
    lambda x: x.flatten(1),
    lambda x: x.flatten(),
    lambda x: x.reshape(x.shape[0], -1, x.shape[3]),
    lambda x: x.flatten(2).transpose(1, 2),
    lambda x: x.permute(0, 2, 3, 1),
    lambda x: x.permute(3, 1, 0, 2).reshape(-1, 2),
    lambda x: x.unsqueeze(0).squeeze(0).unsqueeze(-1),
    lambda x: x[:, 1:3],
    lambda x: x[:, :, ::2, 1:-1],
    lambda x: x[:, :, 1::3],
    lambda x: x[:, -1],
    lambda x: x[..., 0] + x[..., 1],
    lambda x: x.narrow(2, 1, 2),
    lambda x: torch.cat([x, x * 2, x], 1),
    lambda x: torch.cat([x, x + 1], 2) * 2,
    lambda x: torch.cat([x.flatten(1), torch.ones(2, 3, dtype=x.dtype)], -1),
    lambda x: torch.stack([x, x + 1], 1),
    lambda x: torch.cat(x.chunk(2, 1)[::-1], 1),
    lambda x: torch.cat(x.split([1, 3], 1)[::-1], 1),
    lambda x: x.unbind(1)[2],
    lambda x: F.pad(x, (1, 2)),
    lambda x: F.pad(x, (1, 0, 0, 2), value=1.5),
    lambda x: F.pad(x, (-1, 1, 1, -1)),
    lambda x: F.pad(x, (0, 0, 0, 0, 1, 2)),
    lambda x: x.reshape(2, 2, 2, 6, 4).transpose(1, 2).reshape(2, 4, 6, 4),
    lambda x: x.mean((2, 3), keepdim=True).expand(-1, -1, 6, 4),
    lambda x: x.mean((2, 3)).view(2, 4, 1, 1) * x,
    lambda x: x.flatten(1).relu().view(2, 4, 6, 4) + x,
    lambda x: x[0, 0].t(),
    lambda x: F.pixel_shuffle(x, 2),
    lambda x: F.pixel_unshuffle(x, 2),
]


@pytest.mark.parametrize("index", range(len(SHAPES)))
def test_changes_of_shape(index: int) -> None:
    check(SHAPES[index], image(2, 4, 6, 4))


@given(st.data())
def test_reshape_and_permute_compose(data: st.DataObject) -> None:
    dims = [data.draw(st.sampled_from([1, 2, 3])) for _ in range(4)]
    steps: list[tuple[str, list[int]]] = []
    shape = list(dims)
    for _ in range(data.draw(st.integers(1, 4))):
        if data.draw(st.booleans()):
            order = data.draw(st.permutations(range(len(shape))))
            steps.append(("permute", order))
            shape = [shape[d] for d in order]
        else:
            cut = data.draw(st.integers(1, len(shape)))
            shape = [int(np.prod(shape[:cut])), *shape[cut:]]
            steps.append(("reshape", shape))

    def function(x: torch.Tensor) -> torch.Tensor:
        for kind, argument in steps:
            x = x.permute(argument) if kind == "permute" else x.reshape(argument)
        return x

    check(function, torch.randn(dims))


# Reductions, softmax, losses


@given(st.data())
def test_reductions(data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, 4))
    x = torch.randn([data.draw(st.sampled_from([1, 2, 3, 9])) for _ in range(rank)])
    every = st.integers(0, rank - 1)
    dims = data.draw(st.lists(every, min_size=1, max_size=rank, unique=True))
    keep, mean = data.draw(st.booleans()), data.draw(st.booleans())
    check(lambda x: (x.mean if mean else x.sum)(dims, keepdim=keep) * 1.5, x)


def test_reductions_of_all_dims() -> None:
    check(lambda x: x.sum(), image())
    check(lambda x: x.mean(), image())


@given(st.data())
def test_softmax(data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, 4))
    x = 3 * torch.randn([data.draw(st.sampled_from([1, 2, 5, 18])) for _ in range(rank)])
    dim = data.draw(st.integers(-rank, rank - 1))
    check(lambda x: x.softmax(dim), x)
    check(lambda x: x.log_softmax(dim), x)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 90.0, 1e4])
def test_softmax_of_extreme_values(scale: float) -> None:
    x = scale * torch.randn(3, 7)
    check(lambda x: x.softmax(1), x, floor=scale)  # 1 - p cancels where p is almost 1
    check(lambda x: x.log_softmax(1) / scale, x, floor=1.0)
    check(lambda x: x, x, loss="cross_entropy", floor=scale)


@pytest.mark.parametrize(("batch", "classes"), [(1, 2), (1, 1), (3, 10), (8, 33), (2, 1000)])
def test_cross_entropy(batch: int, classes: int) -> None:
    check(nn.Linear(5, classes), torch.randn(batch, 5), loss="cross_entropy")


# Values with several uses


SKIPS: list[Function] = [
    lambda x, w: x + F.conv2d(x, w, padding=1),
    lambda x, w: F.relu(x) * F.conv2d(F.relu(x), w, padding=1) + x,
    lambda x, w: F.conv2d(F.conv2d(x, w, padding=1), w, padding=1),
    lambda x, w: torch.cat([x, F.conv2d(x, w, padding=1)], 1) + torch.cat([x, x], 1),
    lambda x, w: F.conv2d(x, w, padding=1).mean((2, 3), keepdim=True) * x,
    lambda x, w: F.max_pool2d(x, 2) + F.conv2d(x, w, stride=2, padding=1) - F.avg_pool2d(x, 2),
    lambda x, w: F.relu6(x + F.relu(F.conv2d(x, w, padding=1))) + w.sum(),
]


@pytest.mark.parametrize("index", range(len(SKIPS)))
def test_several_uses(index: int) -> None:
    check(SKIPS[index], image(2, 3, 6, 4), torch.randn(3, 3, 3, 3))


def test_attention_block() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.mlp = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x + self.attention(x, x, x, need_weights=False)[0]
            y: torch.Tensor = x + self.mlp(x)
            return y

    check(Block(), torch.randn(2, 5, 8))
