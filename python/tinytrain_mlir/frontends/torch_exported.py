"""What PyTorch's export and quantization flow (PT2E) does to modules and names, and how it is undone or read."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import MissingExtraError, ModelError
from .graph_builder import Array

_LAYERS = ("aten.conv2d.default", "aten.conv2d.padding", "aten.linear.default")
_LAYER_CLASSES = (
    "torch.nn.modules.conv.Conv2d",
    "torch.nn.modules.linear.Linear",
)
_QUANTIZED = "quantized_decomposed."
_FUSED_BIAS = "weight_bias"  # the bias that folding a batch norm adds, in place of `bias`


def is_exported(torch: ModuleType, model: Any) -> bool:
    """Whether the module was made by `torch.export`, so that `eval()` does not reach its ops."""
    return isinstance(model, torch.fx.GraphModule) and any(
        "val" in node.meta for node in model.graph.nodes
    )


def in_eval_mode(torch: ModuleType, model: Any) -> Any:
    """A copy of the module on the CPU, in eval mode."""
    frozen = copy.deepcopy(model).to("cpu")
    if not is_exported(torch, model):
        return frozen.eval()
    nodes = list(frozen.graph.nodes)
    if any("activation_post_process" in str(node.target) for node in nodes):
        raise ModelError("the model is prepared for quantization only: call convert_pt2e first")
    if not any(_is_training(node) for node in nodes):
        return frozen
    try:
        from torchao.quantization.pt2e import move_exported_model_to_eval
    except ImportError as exc:
        raise MissingExtraError(
            "bringing an exported module with dropout or batch norm into eval mode needs torchao: "
            f'pip install "tinytrain-mlir[torch]", or export it in eval mode as a program ({exc})'
        ) from exc
    return move_exported_model_to_eval(frozen)


def _is_training(node: Any) -> bool:
    """Whether the node is a dropout or batch norm in train mode."""
    positions = {"dropout": 2, "batch_norm": 5}
    return any(
        kind in str(node.target) and len(node.args) > position and node.args[position] is True
        for kind, position in positions.items()
    )


def original_names(names: Iterable[str]) -> dict[str, str]:
    """The `state_dict` name before batch norms were folded, by the parameter's name now."""
    known = set(names)
    originals = {}
    for name in known:
        original = name.removesuffix(_FUSED_BIAS) + "bias"
        folded = name.endswith(_FUSED_BIAS) and name.removesuffix("_bias") in known
        originals[name] = original if folded and original not in known else name
    return originals


def folded_names(program: Any, parameters: Mapping[str, Any]) -> dict[str, str]:
    """The names of the weights and biases that were folded into integer buffers, by the buffer's name.

    Folding leaves only the layer that uses them. The name is that of the layer's module; in a module that is no layer
    of PyTorch's, that of the float parameter which has these values, or what the name of the bias tells. Where nothing
    tells, a buffer keeps its own name.

    Args:
        program: a `torch.export.ExportedProgram`.
        parameters: its float parameters by name.
    """
    names: dict[str, str] = {}
    signature = program.graph_signature.input_specs
    targets = {spec.arg.name: spec.target for spec in signature if spec.target is not None}
    arrays = {**program.state_dict, **program.constants}
    for node in program.graph.nodes:
        if node.op != "call_function" or str(node.target) not in _LAYERS:
            continue
        for kind, dequantize in _integer_operands(node, targets):
            buffer = targets[dequantize.args[0].name]
            integers = arrays[buffer]
            taken = {name: arrays[b] for b, name in names.items()}
            candidates = [
                *_by_module(node, kind, integers, parameters),
                *_by_values(dequantize, targets, arrays, parameters),
                *_by_bias(node, kind, targets),
                buffer,
            ]
            names.setdefault(
                buffer,
                next(
                    name
                    for name in candidates
                    if name not in taken or _equal(taken[name], integers)
                ),
            )
    return names


def _integer_operands(layer: Any, targets: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """The dequantize ops of a layer's weight and bias that read a buffer."""
    for kind, operand in zip(("weight", "bias"), layer.args[1:3], strict=False):
        target = str(getattr(operand, "target", ""))
        if target.startswith(_QUANTIZED + "dequantize") and operand.args[0].name in targets:
            yield kind, operand


def _by_module(
    layer: Any, kind: str, integers: Any, parameters: Mapping[str, Any]
) -> Iterator[str]:
    stack = list((layer.meta.get("nn_module_stack") or {}).values())
    path, module = stack[-1] if stack else ("", "")
    name = f"{path}.{kind}" if path else kind
    has_shape = name in parameters and parameters[name].shape == integers.shape
    if module in _LAYER_CLASSES or has_shape:
        yield name


def _by_values(
    dequantize: Any,
    targets: Mapping[str, str],
    arrays: Mapping[str, Any],
    parameters: Mapping[str, Any],
) -> Iterator[str]:
    """The parameters of the same shape that give these integers."""
    integers = _array(arrays[targets[dequantize.args[0].name]])
    numbers = []
    for operand in dequantize.args[1:3]:
        name = targets.get(getattr(operand, "name", ""))
        if name is None and not isinstance(operand, int | float):
            return
        numbers.append(np.array(operand) if name is None else _array(arrays[name]))
    per_channel = "per_channel" in str(dequantize.target)
    axis, low, high = dequantize.args[3:6] if per_channel else (None, *dequantize.args[3:5])
    shape = [-1 if d == axis else 1 for d in range(integers.ndim)]
    scales, zero_points = (number.reshape(shape) for number in numbers)
    for name, parameter in parameters.items():
        if parameter.shape == integers.shape:
            values = np.rint(_array(parameter) / scales) + zero_points
            if np.array_equal(np.clip(values, low, high), integers):
                yield name


def _by_bias(layer: Any, kind: str, targets: Mapping[str, str]) -> Iterator[str]:
    """What the name of a layer's float bias tells about that of its weight."""
    bias = layer.args[2] if kind == "weight" and len(layer.args) > 2 else None
    name = targets.get(getattr(bias, "name", ""))
    if name is not None and name.endswith("bias"):
        stem = name.removesuffix("_bias").removesuffix("bias")
        yield stem if stem.endswith("weight") else stem + "weight"


def _array(tensor: Any) -> Array:
    array: Array = tensor.detach().cpu().numpy()
    return array


def _equal(x: Any, y: Any) -> bool:
    return bool(x.shape == y.shape and (x == y).all())
