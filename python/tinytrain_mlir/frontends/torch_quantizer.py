"""The quantizer for PyTorch's quantization flow (PT2E): it marks what a compiled program computes in int8.

    exported = torch.export.export(model, inputs).module()
    prepared = prepare_pt2e(exported, TinyTrainQuantizer())
    ...                                                     # run it on some inputs
    program = tt.compile(convert_pt2e(prepared), inputs)

For quantization-aware training: a model in train mode, `prepare_qat_pt2e`, `TinyTrainQuantizer(is_qat=True)`, and
training steps in place of the calibration.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from ..errors import ConfigError, MissingExtraError
from ..quantization import SMALLEST_SCALE

try:
    import torch
    from torchao.quantization.pt2e import (
        FusedMovingAvgObsFakeQuantize,
        HistogramObserver,
        MinMaxObserver,
        MovingAverageMinMaxObserver,
        MovingAveragePerChannelMinMaxObserver,
        PerChannelMinMaxObserver,
    )
    from torchao.quantization.pt2e.quantizer import (
        QuantizationAnnotation,
        QuantizationSpec,
        Quantizer,
        SharedQuantizationSpec,
    )
except ImportError as _exc:
    raise MissingExtraError(
        f'TinyTrainQuantizer needs torch and torchao: pip install "tinytrain-mlir[torch]" ({_exc})'
    ) from _exc

# Those of torch.fx, whose arguments have types that say little.
GraphModule: TypeAlias = Any
Node: TypeAlias = Any

_KEY = "quantization_annotation"
_CONVOLUTIONS = ("conv2d.default", "conv2d.padding")
_LINEAR = ("linear.default",)
_BATCH_NORMS = ("batch_norm.default",)
_ADDITIONS = ("add.Tensor", "add_.Tensor")
_MAX_POOLS = ("max_pool2d.default",)
_AVERAGES = ("avg_pool2d.default", "adaptive_avg_pool2d.default")
# What becomes part of the op before it: the int8 result is cut off at the bounds anyway.
_BOUNDS = (
    "relu.default",
    "relu_.default",
    "relu6.default",
    "relu6_.default",
    "hardtanh.default",
    "hardtanh_.default",
    "clamp.default",
    "clamp_.default",
    "clamp_min.default",
)
# What moves elements only.
_MOVES = (
    "flatten.using_ints",
    "view.default",
    "reshape.default",
    "permute.default",
    "transpose.int",
    "squeeze.dim",
    "squeeze.dims",
    "unsqueeze.default",
    "dropout.default",
    "dropout_.default",
    "contiguous.default",
    "clone.default",
)

# The only one of `prepare_qat_pt2e` and `convert_pt2e`.
_EPS = 1e-5


class TinyTrainQuantizer(Quantizer):  # type: ignore[misc]
    """Marks convolutions, linear layers, additions and poolings to be computed in int8.

    Activations are int8, -128 to 127, with one scale and zero point each; weights int8, -127 to 127, with a scale for
    each output channel; biases stay float. ReLU, ReLU6 and other clamps belong to the op before them, max pooling
    keeps its input's scale. All other ops stay float, between a dequantize and a quantize.

    Args:
        observer: how the range of an activation is calibrated: "minmax", from the least to the largest value seen, or
            "mse", the part of it with the least squared error. Ignored in training.
        is_qat: for `prepare_qat_pt2e`: ranges follow the training.
        quantize_head: whether the last linear layer is computed in int8 too, if no other layer follows it.

    Raises:
        ConfigError: there is no such observer.

    Quantization-aware training gives every batch norm behind a convolution momentum 0.1.
    """

    def __init__(
        self, *, observer: str = "minmax", is_qat: bool = False, quantize_head: bool = False
    ) -> None:
        super().__init__()
        observers = {"minmax": MinMaxObserver, "mse": HistogramObserver}
        if observer not in observers:
            raise ConfigError(f"expected observer 'minmax' or 'mse', got {observer!r}")
        self._is_qat = is_qat
        self._quantize_head = quantize_head
        eps = {"eps": SMALLEST_SCALE}
        activation = observers[observer].with_args(**eps)
        weight = PerChannelMinMaxObserver.with_args(**eps)
        if is_qat:
            activation = FusedMovingAvgObsFakeQuantize.with_args(
                observer=MovingAverageMinMaxObserver, **eps
            )
            # The range of a weight is known exactly in each step.
            weight = FusedMovingAvgObsFakeQuantize.with_args(
                observer=MovingAveragePerChannelMinMaxObserver, averaging_constant=1.0, **eps
            )
        self._activation = QuantizationSpec(
            dtype=torch.int8,
            quant_min=-128,
            quant_max=127,
            qscheme=torch.per_tensor_affine,
            observer_or_fake_quant_ctr=activation,
        )
        self._weight = QuantizationSpec(
            dtype=torch.int8,
            quant_min=-127,
            quant_max=127,
            qscheme=torch.per_channel_symmetric,
            ch_axis=0,
            observer_or_fake_quant_ctr=weight,
        )

    def transform_for_annotation(self, model: GraphModule) -> GraphModule:
        """Gives convolutions with padding "same" numbers instead, which PyTorch's patterns know."""
        for node in model.graph.nodes:
            if not _is(node, ("conv2d.padding",)):
                continue
            defaults: list[Any] = [None, [1, 1], "valid", [1, 1], 1]
            arguments = [*node.args, *defaults[len(node.args) - 2 :]]
            weight, padding, dilation = arguments[1], arguments[4], arguments[5]
            total = [d * (k - 1) for d, k in zip(dilation, _shape(weight)[2:], strict=True)]
            if padding == "valid":
                total = [0, 0]
            if not any(n % 2 for n in total):
                node.target = torch.ops.aten.conv2d.default
                arguments[4] = [n // 2 for n in total]
                node.args = tuple(arguments)
        model.recompile()
        return model

    def annotate(self, model: GraphModule) -> GraphModule:
        """Marks the ops of an exported module."""
        nodes = list(model.graph.nodes)
        head = None if self._quantize_head else _head(nodes)
        for node in nodes:
            if _is_layer(node) and node is not head:
                self._annotate_layer(node)
            elif _adds_activations(node) or _is_spatial_mean(node) or _is(node, _AVERAGES):
                self._annotate_inputs(node, node.all_input_nodes)
                _annotate_output(_with_bounds(node), self._activation)
            elif _is(node, _MAX_POOLS):
                self._share(node)
        for node in nodes:
            if _is(node, _MOVES) and _is_quantized(node.args[0]) and _leads_to_int8(node):
                self._share(node)
        return model

    def validate(self, model: GraphModule) -> None:
        """Checks that the module was exported in the mode that the flow needs.

        Raises:
            ConfigError: a batch norm is in the wrong mode.
        """
        for node in model.graph.nodes:
            if not _is(node, _BATCH_NORMS) or not _is(node.args[0], _CONVOLUTIONS):
                continue
            if self._is_qat and node.args[7] != _EPS:
                raise ConfigError(
                    f"expected batch norms with eps={_EPS}, got {node.args[7]}: PyTorch's flow for "
                    "quantization-aware training knows no other, set it before torch.export.export"
                )
            if bool(node.args[5]) != self._is_qat:
                mode = "train" if self._is_qat else "eval"
                raise ConfigError(
                    f"expected a model exported in {mode} mode, got a batch norm in the other: "
                    f"call model.{mode}() before torch.export.export"
                )

    def _annotate_layer(self, node: Node) -> None:
        x, weight = node.args[:2]
        self._annotate_inputs(node, [x])
        _annotation(node).input_qspec_map[weight] = self._weight
        last = node
        if _is(node, _CONVOLUTIONS) and _is(_only_user(node), _BATCH_NORMS):
            last = _only_user(node)
            _annotation(last)
        _annotate_output(_with_bounds(last), self._activation)

    def _annotate_inputs(self, node: Node, inputs: Sequence[Node]) -> None:
        for x in inputs:
            _annotation(node).input_qspec_map[x] = self._activation

    def _share(self, node: Node) -> None:
        """Gives the result of an op the scale and zero point of its input."""
        x = node.args[0]
        self._annotate_inputs(node, [x])
        _annotate_output(node, SharedQuantizationSpec((x, node)))


def _is(node: Node, names: Sequence[str]) -> bool:
    """Whether the node is one of these ATen ops; None is not."""
    return str(getattr(node, "target", "")).removeprefix("aten.") in names


def _annotation(node: Node) -> Any:
    annotation = node.meta.setdefault(_KEY, QuantizationAnnotation())
    annotation._annotated = True
    return annotation


def _annotate_output(node: Node, spec: Any) -> None:
    _annotation(node).output_qspec = spec


def _is_quantized(node: Node) -> bool:
    return _KEY in node.meta and node.meta[_KEY].output_qspec is not None


def _only_user(node: Node) -> Node:
    users = list(node.users)
    return users[0] if len(users) == 1 else None


def _with_bounds(node: Node) -> Node:
    """The op, or the ReLU or clamp that alone follows it: whose result is quantized."""
    user = _only_user(node)
    if not _is(user, _BOUNDS):
        return node
    _annotation(user)
    return user


def _shape(node: Node) -> tuple[int, ...]:
    return tuple(node.meta["val"].shape)


def _is_layer(node: Node) -> bool:
    """Whether the node is a convolution or linear layer with a parameter as its weight."""
    return _is(node, (*_CONVOLUTIONS, *_LINEAR)) and node.args[1].op == "get_attr"


def _adds_activations(node: Node) -> bool:
    """Whether the node adds two computed values of the shape of its result."""
    if not _is(node, _ADDITIONS) or node.kwargs.get("alpha", 1) != 1:
        return False
    return all(
        hasattr(x, "meta") and x.op != "get_attr" and _shape(x) == _shape(node)
        for x in node.args[:2]
    )


def _is_spatial_mean(node: Node) -> bool:
    if not _is(node, ("mean.dim",)) or len(_shape(node.args[0])) != 4:
        return False
    return {d % 4 for d in node.args[1]} == {2, 3}


def _head(nodes: Sequence[Node]) -> Node:
    """The last linear layer, if no other layer follows it, else None."""
    layers = [node for node in nodes if _is_layer(node)]
    return layers[-1] if layers and _is(layers[-1], _LINEAR) else None


def _leads_to_int8(node: Node) -> bool:
    """Whether something computed in int8 takes the result, or more moves before it."""
    return any(
        node in user.meta[_KEY].input_qspec_map
        if _KEY in user.meta
        else _is(user, _MOVES) and _leads_to_int8(user)
        for user in node.users
    )
