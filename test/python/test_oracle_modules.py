"""The oracle executes modules: compiled float models, ops on stored integers, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from int8_graphs import Layers
from oracle_session import OracleSession, infer
from torch import nn

import tinytrain_mlir as tt
from tinytrain_mlir.dialects import tinytrain
from tinytrain_mlir.errors import OracleError
from tinytrain_mlir.frontends.graph_builder import ParamLayout
from tinytrain_mlir.graph import MlirBuilder, Tensor
from tinytrain_mlir.oracle import Interpreter
from tinytrain_mlir.quantization import Quantization

Array = npt.NDArray[Any]

# Float models


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1),
        nn.ReLU6(),
        nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=6),
        nn.ReLU(),
        nn.MaxPool2d(2, padding=1),
        nn.AvgPool2d(2, stride=1),
        nn.Flatten(),
        nn.Linear(24, 3),
    )


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_compiled_model(momentum: float) -> None:
    x, label = torch.randn(1, 2, 9, 8), np.array([1])
    update = tt.SparseUpdate({"*": True, "2.weight": 0.5, "7.weight": 0.25, "0.bias": False})
    optimizer = tt.SGD(lr=0.1, momentum=momentum, weight_decay=0.01)
    program = tt.compile(network(), x, optimizer=optimizer, update=update)
    oracle, seen = OracleSession(program, 0.1), set()
    with program.load() as session:
        scores = infer(program.graph, x.numpy())
        np.testing.assert_allclose(session.infer(x), scores, rtol=1e-5, atol=1e-6)
        for _ in range(2):
            loss = oracle.step(x.numpy(), label, lambda op, value: seen.add(op.name))
            np.testing.assert_allclose(session.step(x, label), loss, rtol=1e-5)
        wanted = oracle.parameters()
        for name, value in session.parameters().items():
            np.testing.assert_allclose(value, wanted[name], rtol=1e-4, atol=1e-6, err_msg=name)
    assert {"tinytrain.sgd_update", "tinytrain.max_pool_grad", "arith.constant"} <= seen
    assert ("tinytrain.momentum_update" in seen) == (momentum > 0)


def test_mean_squared_error() -> None:
    x, y = torch.randn(1, 2, 9, 8), torch.randn(1, 3)
    program = tt.compile(network(), x, loss="mse")
    with program.load() as session:
        loss = OracleSession(program, 0.1).step(x.numpy(), y.numpy())
        np.testing.assert_allclose(session.step(x, y), loss, rtol=1e-5)


# Stored integers


def stored(builder: MlirBuilder, values: list[list[int]], quantization: Quantization) -> Tensor:
    array = np.array(values, np.int8)
    return builder.parameter("w", array, ParamLayout.identity(array.shape), quantization)


def test_pads_and_moves_stored_integers() -> None:
    builder = MlirBuilder()
    x = builder.input("x", (2, 2), "f32", Quantization((0.5,), 9))
    y = builder.pad(builder.transpose(x, (1, 0)), (0, 1), (0, 0), 0.0)
    builder.output([builder.concat([y, y], 0)])
    got = infer(builder.finish(), np.array([[1, 2], [3, 4]], np.int8))
    np.testing.assert_array_equal(got, [[9, 1, 3], [9, 2, 4]] * 2)


def test_pools_and_products_of_stored_integers() -> None:
    builder = MlirBuilder()
    x = builder.quantize(builder.input("x", (1, 3, 3, 2), "f32"), Quantization((0.5,), 3))
    window = ((2, 2), (2, 1), (1, 0, 0, 0))
    builder.max_pool(x, *window, (1, 1))
    mean = builder.avg_pool(x, *window, True)
    flat = builder.slice(mean, (0, 1, 0, 0), (1, 1, 2, 2), (1, 1, 1, 1))
    w = stored(builder, [[1, -2], [3, 4]], Quantization((0.5, 0.25), axis=0))
    flat = builder._typed(  # `reshape` of stored integers
        tinytrain.ReshapeOp, (2, 2), flat, quantization=Quantization((0.5,), 3)
    )
    builder.output([builder.dequantize(builder.matmul(flat, w, True, True))])
    graph = builder.finish()
    image = np.random.default_rng(0).integers(-40, 40, (1, 2, 3, 3)) / np.float32(4)
    seen: dict[str, Array] = {}
    got = infer(graph, image.astype(np.float32), lambda op, y: seen.update({op.name: y}))
    integers = {name.removeprefix("tinytrain."): y for name, y in seen.items()}
    centred = torch.tensor(np.rint(image * 2)).double()
    np.testing.assert_array_equal(integers["quantize"], centred.permute(0, 2, 3, 1) + 3)
    mean_of = F.avg_pool2d(F.pad(centred, (0, 0, 1, 0)), 2, (2, 1)).permute(0, 2, 3, 1).round()
    np.testing.assert_array_equal(integers["avg_pool"], mean_of + 3)
    largest = F.max_pool2d(F.pad(centred + 3, (0, 0, 1, 0), value=-128), 2, (2, 1))
    np.testing.assert_array_equal(integers["max_pool"], largest.permute(0, 2, 3, 1))
    wanted = mean_of[0, 1].T.numpy() @ np.array([[1, -2], [3, 4]]).T
    np.testing.assert_array_equal(integers["matmul"], wanted)
    np.testing.assert_array_equal(got, wanted * np.array([0.25, 0.125]))


# Errors


def failing(make: Callable[[MlirBuilder, Tensor], Tensor], message: str) -> None:
    builder = MlirBuilder()
    x = builder.input("x", (2,), "f32", Quantization((0.5,)))
    builder.output([make(builder, x)])
    with pytest.raises(OracleError, match=message):
        infer(builder.finish(), np.zeros(2, np.int8))


def test_errors_name_the_op() -> None:
    failing(lambda builder, x: builder.mul(x, x), "mul is not defined on")
    failing(lambda builder, x: builder.relu(x), "in %0 = .*relu")
    text = """func.func @f(%x: tensor<2xf32>) -> tensor<2xf32> {
        %y = arith.negf %x : tensor<2xf32>
        return %y : tensor<2xf32>
    }"""
    with pytest.raises(OracleError, match=r"no rule for arith\.negf"):
        Interpreter(text).run("f", [np.zeros(2, np.float32)])


def test_arguments_have_the_type_that_is_declared() -> None:
    layers = Layers(np.random.default_rng(0), (1, 3, 3, 2))
    layers.conv(2)
    oracle = Interpreter(layers.finish().module)
    wrong: list[Array] = [np.zeros(a.type.shape, a.type.dtype) for a in oracle.arguments("infer")]
    wrong[1] = wrong[1].astype(np.float32)
    with pytest.raises(OracleError, match=r"tensor<2x1x1x2x!quant.* for 0.weight, got float32"):
        oracle.run("infer", wrong)
    with pytest.raises(OracleError, match="2 arguments, expected 3"):
        oracle.run("infer", wrong[:2])
    with pytest.raises(OracleError, match="no function step: there are infer"):
        oracle.run("step", [])
