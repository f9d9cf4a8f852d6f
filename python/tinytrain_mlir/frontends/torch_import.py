"""PyTorch front end: torch.export and torch-mlir give a `torch` dialect module, which is walked into a graph."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import (
    ModelError,
    ShapeError,
    TinyTrainError,
    UnsupportedOpError,
)
from . import (  # noqa: F401 (they register their rules)
    torch_layer_ops,
    torch_quantized_ops,
    torch_tensor_ops,
)
from .graph_builder import GraphBuilder, ParamLayout, Shape, V
from .torch_exported import folded_names, in_eval_mode
from .torch_program import (
    QUANTIZED,
    SCOPE,
    STATE,
    State,
    Toolchain,
    check_program_inputs,
    check_state,
    checked_inputs,
    export,
    first_line,
    functional,
    parameter_names,
    quiet,
    tensor_array,
    to_mlir,
    toolchain,
)
from .torch_rules import RULES, BatchNorm, Op, Unsupported, bias_name, hint
from .torch_tensors import (
    Activation,
    Constant,
    Folded,
    Lowering,
    Parameter,
    Quantized,
    Reshaped,
    default_order,
)

if TYPE_CHECKING:
    import torch

_BATCH_NORM = "aten._native_batch_norm_legit_no_training"
_FOLDS_BATCH_NORM = {
    "aten.conv2d": 4,
    "aten.conv2d.padding": 4,
    "aten.linear": 2,
}  # op → rank of its result
_NOT_KNOWN = Activation | Reshaped | Parameter | Quantized | Folded
_TENSOR_TYPE = re.compile(r"!torch\.vtensor<\[([^\]]*)\]")


@dataclass(frozen=True)
class _Location:
    """A place in the user's own source: the innermost frame outside of PyTorch."""

    file: str | None
    line: int
    column: int
    scope: str

    def __str__(self) -> str:
        places = [f"{self.file}:{self.line}"] if self.file is not None else []
        if self.scope or not places:
            places.append(f"module {self.scope or '(the model itself)'}")
        return ", ".join(places)


def import_torch(
    model: torch.nn.Module | torch.export.ExportedProgram,
    example_inputs: Sequence[torch.Tensor] | torch.Tensor | None,
    builder: GraphBuilder[V],
) -> None:
    """Translates a PyTorch model, in eval mode, into calls of ``builder``.

    The model may also be one that PyTorch's quantization flow has converted (`convert_pt2e`), or an exported program,
    which is taken in the mode it was exported in; ``example_inputs`` may then be None.

    ``example_inputs`` are float32 tensors (or one) whose shapes, batch included, become the graph's. Rank-4 inputs and
    outputs of the graph are NHWC, all others have PyTorch's order. Parameters keep their ``state_dict`` names; of tied
    ones, the first. A batch norm that alone consumes a convolution or linear layer is folded into that layer's weight
    and bias. The model itself is left untouched.

    Raises `UnsupportedOpError` with every op that has no translation, `ShapeError`, `DTypeError`, `ExportError`,
    `ModelError` (their base) or `MissingExtraError`.
    """
    tools = toolchain()
    if isinstance(model, tools.torch.export.ExportedProgram):
        if example_inputs is not None:
            check_program_inputs(model, checked_inputs(tools, example_inputs))
        check_state(tools, model)
        program, names = model, parameter_names(model.named_parameters())
    else:
        inputs = checked_inputs(tools, example_inputs)
        if not isinstance(model, tools.torch.nn.Module):
            raise ModelError(f"the model must be a torch.nn.Module, not {type(model).__name__}")
        with quiet():
            try:
                frozen = in_eval_mode(tools.torch, model)
            except TinyTrainError:
                raise
            except Exception as exc:
                raise ModelError(f"the model cannot be copied: {first_line(exc)}") from exc
        check_state(tools, frozen)
        program = export(tools, frozen, inputs)
        names = parameter_names(frozen.named_parameters(remove_duplicate=False))
    program = functional(tools, program, type(model).__name__)
    state = State(names, folded_names(program, dict(program.named_parameters())))
    function = to_mlir(tools, program, state)
    _Walk(tools, function, program, state, builder).run()


# The walk


class _Walk:
    """Translates the ops of a function in order; errors are gathered."""

    def __init__(
        self,
        tools: Toolchain,
        function: Any,
        program: Any,
        state: State,
        builder: GraphBuilder[Any],
    ) -> None:
        self._tools = tools
        self._module, self._function = function
        self._input_names: tuple[str, ...] = tuple(program.graph_signature.user_inputs)
        self._state = state
        self._builder = builder
        self._lowering = Lowering(builder)
        self._environment: dict[Any, Any] = {}
        self._folded: set[Any] = set()
        self._errors: list[str] = []
        self._library = str(Path(str(tools.torch.__file__)).resolve().parent) + os.sep

    def run(self) -> None:
        """Calls the builder for inputs, ops and the output, or raises one error for all ops that failed."""
        block = self._function.regions[0].blocks[0]
        for name, argument in zip(self._input_names, block.arguments, strict=True):
            shape = self._shape(argument.type, f"input {name!r}")
            assert shape is not None
            order = default_order(len(shape))
            value = self._builder.input(name, tuple(shape[d] for d in order), "f32")
            self._environment[argument] = Activation(value, shape, order)
        operations = [op.operation for op in block.operations]
        leaves = [op for op in operations if self._bind_leaf(op)]
        self._uses = Counter(
            _name(op) for op in leaves for result in op.results for _ in result.uses
        )
        done = set(leaves)
        for op in operations:
            if op in done:
                continue
            if op.name == "func.return":
                result = self._environment[op.operands[0]]
            else:
                self._translate(op)
        if len(self._errors) == 1:
            only = self._errors[0].strip()
            raise UnsupportedOpError(f"the model uses an op without a translation: {only}")
        if self._errors:
            count = f"the model uses {len(self._errors)} ops without a translation:"
            raise UnsupportedOpError("\n".join([count, *self._errors]))
        self._builder.output([self._lowering.value(result, default_order(len(result.shape)))])

    def _bind_leaf(self, op: Any) -> bool:
        """Binds the results of constants, stand-ins and lists of them; whether the op is one."""
        name = _name(op)
        if op.name.startswith("torch.constant."):
            value = None if op.name == "torch.constant.none" else op.attributes["value"].value
            self._environment[op.results[0]] = value
        elif name in self._state.arrays:
            self._environment[op.results[0]] = self._state.tensor(name)
        elif op.name == "torch.vtensor.literal":
            self._environment[op.results[0]] = Constant(np.array(op.attributes["value"]))
        elif op.name == "torch.prim.ListConstruct" and all(
            v in self._environment for v in op.operands
        ):
            self._environment[op.results[0]] = [self._environment[v] for v in op.operands]
        else:
            return False
        return True

    def _translate(self, op: Any) -> None:
        arguments = [self._environment[v] for v in op.operands]
        results = list(op.results)
        if op.name == "torch.prim.ListConstruct":
            self._environment[results[0]] = arguments
            return
        if op.name == "torch.prim.ListUnpack":
            self._environment.update(zip(results, arguments[0], strict=True))
            return
        if not results:
            return  # an assertion
        name, location = _name(op), self._location(op)
        shapes = [self._shape(v.type, f"a result of {name} ({location})") for v in results]
        self._builder.set_location(location.file, location.line, location.column, location.scope)
        try:
            values = self._evaluate(op, name, arguments, tuple(s for s in shapes if s is not None))
        except Unsupported as exc:
            self._errors.append(f"  {name} at {location}: {exc}")
            values = [self._placeholder(v, shape) for v, shape in zip(results, shapes, strict=True)]
        except Exception:
            if not self._errors:
                raise
            # What a placeholder leads to says nothing about the model.
            values = [self._placeholder(v, shape) for v, shape in zip(results, shapes, strict=True)]
        for result, value, shape in zip(results, values, shapes, strict=False):
            if shape is not None and value is not None and value.shape != shape:
                raise AssertionError(
                    f"{name} at {location}: translated to shape {value.shape}, expected {shape}"
                )
            self._environment[result] = value

    def _evaluate(
        self, op: Any, name: str, arguments: list[Any], shapes: tuple[Shape, ...]
    ) -> list[Any]:
        """The results of one op: computed now if all operands are known, else by the op's rule."""
        if op in self._folded:
            return [arguments[0], None, None]
        operands = list(_flat(arguments))
        if all(not isinstance(v, _NOT_KNOWN) for v in operands):
            return self._compute(name, arguments)
        if name not in RULES:
            raise Unsupported(hint(name))
        quantizes = name.startswith(QUANTIZED)
        if not quantizes and any(isinstance(v, Quantized | Folded) for v in operands):
            raise Unsupported("computes with integers: quantize and dequantize around each op")
        for result in () if quantizes else op.results:
            if _TENSOR_TYPE.match(str(result.type)) and not str(result.type).endswith(",f32>"):
                raise Unsupported(
                    f"computes {str(result.type).rpartition(',')[2][:-1]}: keep all values in float32"
                )
        norm = self._batch_norm_to_fold(op, name, arguments)
        result = RULES[name](self._lowering, Op(name, shapes, norm), *arguments)
        if isinstance(result, list) and len(op.results) == 1:
            return [result]
        return result if isinstance(result, list) else [result]

    def _batch_norm_to_fold(self, op: Any, name: str, arguments: list[Any]) -> BatchNorm | None:
        """The batch norm that alone consumes this op, if the op's parameters have no other use and are plain."""
        users = [use.owner.operation for use in op.results[0].uses]
        rank = _FOLDS_BATCH_NORM.get(name)
        if rank is None or len(users) != 1 or _name(users[0]) != _BATCH_NORM:
            return None
        weight, bias = arguments[1], arguments[2]
        operands = list(users[0].operands)[1:]
        if not self._is_own(weight) or not (bias is None or self._is_own(bias)):
            return None
        if any(
            isinstance(self._environment.get(v, ...), Activation | Reshaped | EllipsisType)
            for v in operands
        ):
            return None
        if bias is None and bias_name(weight.name) in self._state.names:
            return None
        if len(self._shape(op.results[0].type, name) or ()) != rank:
            return None
        gamma, beta, mean, variance, _, eps = (self._environment[v] for v in operands)
        norm = BatchNorm.of(gamma, beta, mean, variance, eps)
        self._folded.add(users[0])
        return norm

    def _is_own(self, x: Any) -> bool:
        """Whether the tensor is a whole parameter that nothing else uses."""
        if not isinstance(x, Parameter) or x.quantization is not None:
            return False
        whole = x.layout == ParamLayout.identity(x.array.shape)
        return whole and self._uses[STATE + x.name] == 1

    def _compute(self, name: str, arguments: list[Any]) -> list[Any]:
        """Runs an op on known operands in PyTorch itself."""
        torch = self._tools.torch
        namespace, packet, overload = (*name.split("."), "default")[:3]
        try:
            function = getattr(getattr(getattr(torch.ops, namespace), packet), overload)
            if torch.Tag.nondeterministic_seeded in function.tags:
                raise Unsupported("random values are not supported: make them an input or a buffer")
            keyword_only = {
                a.name: v
                for a, v in zip(function._schema.arguments, arguments, strict=True)
                if a.kwarg_only
            }
            positional = arguments[: len(arguments) - len(keyword_only)]
            known = {key: self._known(v) for key, v in keyword_only.items()}
            results = function(*(self._known(v) for v in positional), **known)
        except Unsupported:
            raise
        except Exception as exc:
            raise Unsupported(f"{hint(name)} ({first_line(exc)})") from exc
        if isinstance(results, torch.Tensor):
            return [Constant(tensor_array(results))]
        return [[Constant(tensor_array(r)) for r in results]]

    def _known(self, value: Any) -> Any:
        if isinstance(value, Constant):
            return self._tools.torch.from_numpy(
                np.ascontiguousarray(value.array).reshape(value.shape)
            )
        if isinstance(value, list):
            return [self._known(v) for v in value]
        return value

    def _placeholder(self, result: Any, shape: Shape | None) -> Any:
        """Stands for the result of a failed op, so that the walk can go on and find the others."""
        if shape is not None:
            order = default_order(len(shape))
            zeros = np.zeros([shape[d] for d in order], np.float32)
            return Activation(self._builder.constant(zeros), shape, order)
        unpacked = [v for use in result.uses for v in use.owner.operation.results]
        return [self._placeholder(v, self._shape(v.type, "a list")) for v in unpacked]

    def _shape(self, kind: Any, what: str) -> Shape | None:
        """The shape of a tensor type, None for other types."""
        match = _TENSOR_TYPE.match(str(kind))
        if match is None:
            return None
        dims = [n for n in match[1].split(",") if n]
        if not all(n.isdigit() for n in dims):
            raise ShapeError(
                f"{what} has the dynamic shape [{match[1]}]: every dim must be known at compile time"
            )
        return tuple(int(n) for n in dims)

    def _location(self, op: Any) -> _Location:
        scope, place = "", _Location(None, 0, 0, "")
        for frame in _frames(op.location):
            if frame.filename.startswith(SCOPE):
                scope = frame.filename.removeprefix(SCOPE)
            elif place.file is None and not frame.filename.startswith(self._library):
                place = _Location(frame.filename, frame.start_line, frame.start_col, "")
        return replace(place, scope=scope)


def _name(op: Any) -> str:
    """The op's name without ``torch.``; that of the wrapped op for a `torch.operator`."""
    name: str = op.attributes["name"].value if op.name == "torch.operator" else op.name
    return name.removeprefix("torch.")


def _frames(location: Any) -> Iterator[Any]:
    """The file locations inside a location, innermost first."""
    if hasattr(location, "callee"):
        yield from _frames(location.callee)
        yield from _frames(location.caller)
    elif hasattr(location, "filename"):
        yield location


def _flat(values: Sequence[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value
