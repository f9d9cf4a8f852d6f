"""PyTorch front end: torch.export and torch-mlir give a `torch` dialect module, which is walked into a graph.

The export is functional but hardly decomposed, so convolutions, linear layers, poolings and batch norms arrive whole.
Parameters, buffers and constants never become MLIR literals: each is an op that names it, and its array is taken from
the exported program.
"""

from __future__ import annotations

import copy
import logging
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import EllipsisType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import (
    DTypeError,
    ExportError,
    MissingExtraError,
    ModelError,
    ShapeError,
    UnsupportedOpError,
)
from . import torch_layer_ops, torch_tensor_ops  # noqa: F401 (they register their rules)
from .graph_builder import Array, GraphBuilder, ParamLayout, Shape, V
from .torch_rules import RULES, BatchNorm, Op, Unsupported, bias_name, hint
from .torch_tensors import Activation, Constant, Lowering, Parameter, Reshaped, default_order

if TYPE_CHECKING:
    import torch

_STATE = "tinytrain.state."  # an op of this name is a parameter or buffer
_LITERAL = "tinytrain.literal."  # an op of this name is a constant tensor
_SCOPE = "tinytrain-scope:"  # a stack frame in a file of this name tells the module's path
_BATCH_NORM = "aten._native_batch_norm_legit_no_training"
_FOLDS_BATCH_NORM = {
    "aten.conv2d": 4,
    "aten.conv2d.padding": 4,
    "aten.linear": 2,
}  # op → rank of its result
_DECOMPOSED = ("einsum", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle")
_TENSOR_TYPE = re.compile(r"!torch\.vtensor<\[([^\]]*)\]")


@dataclass(frozen=True)
class _Toolchain:
    torch: ModuleType
    fx_importer: ModuleType
    ir: ModuleType
    dialect: ModuleType


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


def _toolchain() -> _Toolchain:
    """Imports torch and torch-mlir, on first use only."""
    try:
        import torch
        from torch_mlir import ir
        from torch_mlir.dialects import torch as dialect
        from torch_mlir.extras import fx_importer
    except ImportError as exc:
        raise MissingExtraError(
            f'importing a PyTorch model needs torch and torch-mlir: pip install "tinytrain-mlir[torch]" ({exc})'
        ) from exc
    return _Toolchain(torch, fx_importer, ir, dialect)


def import_torch(
    model: torch.nn.Module,
    example_inputs: Sequence[torch.Tensor] | torch.Tensor,
    builder: GraphBuilder[V],
) -> None:
    """Translates a PyTorch model, in eval mode, into calls of ``builder``.

    ``example_inputs`` are float32 tensors (or one) whose shapes, batch included, become the graph's. Rank-4 inputs and
    outputs of the graph are NHWC, all others have PyTorch's order. Parameters keep their ``state_dict`` names; of tied
    ones, the first. A batch norm that alone consumes a convolution or linear layer is folded into that layer's weight
    and bias. The model itself is left untouched.

    Raises `UnsupportedOpError` with every op that has no translation, `ShapeError`, `DTypeError`, `ExportError`,
    `ModelError` (their base) or `MissingExtraError`.
    """
    tools = _toolchain()
    inputs = _checked_inputs(tools, example_inputs)
    if not isinstance(model, tools.torch.nn.Module):
        raise ModelError(f"the model must be a torch.nn.Module, not {type(model).__name__}")
    try:
        frozen = copy.deepcopy(model).to("cpu").eval()
    except Exception as exc:
        raise ModelError(f"the model cannot be copied: {_first_line(exc)}") from exc
    _check_state(tools, frozen)
    program = _export(tools, frozen, inputs)
    state = _State(frozen)
    function = _to_mlir(tools, program, state)
    _Walk(tools, function, program, state, builder).run()


# Checks


def _checked_inputs(tools: _Toolchain, example_inputs: Any) -> tuple[torch.Tensor, ...]:
    tensor = tools.torch.Tensor
    inputs = (example_inputs,) if isinstance(example_inputs, tensor) else example_inputs
    if not isinstance(inputs, Sequence) or not all(isinstance(x, tensor) for x in inputs):
        kinds = (
            [type(x).__name__ for x in inputs]
            if isinstance(inputs, Sequence)
            else type(inputs).__name__
        )
        raise ModelError(
            f"example_inputs must be a torch.Tensor or a sequence of them, not {kinds}"
        )
    if not inputs:
        raise ModelError("example_inputs is empty: a model needs at least one input tensor")
    for i, x in enumerate(inputs):
        _check_dtype(tools, f"example input {i}", x)
        if 0 in x.shape:
            raise ShapeError(
                f"example input {i} has shape {list(x.shape)}: every dim must be at least 1"
            )
    return tuple(x.detach().to("cpu") for x in inputs)


def _check_dtype(tools: _Toolchain, what: str, x: torch.Tensor) -> None:
    if x.dtype != tools.torch.float32:
        name = str(x.dtype).removeprefix("torch.")
        raise DTypeError(f"{what} must be float32, but is {name}: convert it with .float()")


def _check_state(tools: _Toolchain, model: torch.nn.Module) -> None:
    for kind, named in (("parameter", model.named_parameters()), ("buffer", model.named_buffers())):
        for name, x in named:
            if isinstance(x, tools.torch.nn.parameter.UninitializedTensorMixin):
                raise ShapeError(
                    f"{kind} {name!r} has no shape yet: run the model once before importing it"
                )
            if kind == "parameter" or x.is_floating_point() or x.is_complex():
                _check_dtype(tools, f"{kind} {name!r}", x)
                if not bool(tools.torch.isfinite(x).all()):
                    raise ModelError(
                        f"{kind} {name!r} contains NaN or infinity: retrain or reload it"
                    )


def _first_line(exc: BaseException) -> str:
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[0] if lines else type(exc).__name__


# Export


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the warnings and logs of the export away from the user."""
    disabled = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(disabled)


def _export(tools: _Toolchain, model: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> Any:
    """The model as a functional `torch.export.ExportedProgram`."""
    with _quiet(), tools.torch.no_grad():
        try:
            program = tools.torch.export.export(model, inputs)
            table = tools.torch.export.default_decompositions()
            aten = tools.torch.ops.aten
            composite = [getattr(aten, name).default for name in _DECOMPOSED]
            program = program.run_decompositions({op: table[op] for op in composite if op in table})
        except Exception as exc:
            raise ExportError(
                f"torch.export cannot capture {type(model).__name__} as a static graph "
                f"(data-dependent control flow, or inputs that do not fit?): {_first_line(exc)}"
            ) from exc
    signature = program.graph_signature
    if signature.buffers_to_mutate:
        raise ModelError(
            f"the model updates the buffers {sorted(signature.buffers_to_mutate.values())} in its forward pass, as "
            "training-only layers do: pass training=self.training to functional batch norm, keep state out of forward()"
        )
    if signature.user_inputs_to_mutate:
        names = sorted(signature.user_inputs_to_mutate.values())
        raise ModelError(f"the model changes its inputs {names} in place: work on x.clone()")
    outputs = [spec for spec in signature.output_specs if spec.kind.name == "USER_OUTPUT"]
    if len(outputs) != 1 or type(outputs[0].arg).__name__ != "TensorArgument":
        raise ModelError(
            f"the model must return exactly one tensor, but returns {len(outputs)} values: wrap it"
        )
    return program


class _State:
    """The arrays of parameters, buffers and constants, by the name of the op that stands for them."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.arrays: dict[str, Array] = {}
        self.parameters: set[str] = set()
        self._first_names: dict[int, str] = {}
        for name, parameter in model.named_parameters(remove_duplicate=False):
            self._first_names.setdefault(id(parameter), name)
        self._names = {
            name: self._first_names[id(parameter)]
            for name, parameter in model.named_parameters(remove_duplicate=False)
        }

    @property
    def names(self) -> set[str]:
        """The names of all parameters of the model."""
        return set(self._names)

    def add_input(self, target: str, tensor: torch.Tensor) -> str:
        """Remembers a parameter or buffer; returns its op's name."""
        key = _STATE + self._names.get(target, target)
        if target in self._names:
            self.parameters.add(key)
        self.arrays[key] = _array(tensor)
        return key

    def add_literal(self, tensor: torch.Tensor) -> str:
        """Remembers a constant; returns its op's name."""
        key = f"{_LITERAL}{len(self.arrays)}"
        self.arrays[key] = _array(tensor)
        return key

    def tensor(self, key: str) -> Parameter | Constant:
        """The tensor that an op of this name stands for."""
        array = self.arrays[key]
        if key not in self.parameters:
            return Constant(array)
        return Parameter(key.removeprefix(_STATE), array, ParamLayout.identity(array.shape))


def _array(tensor: torch.Tensor) -> Array:
    array: Array = tensor.detach().cpu().contiguous().numpy().copy()
    return array


def _to_mlir(tools: _Toolchain, program: Any, state: _State) -> Any:
    """The program's function in the `torch` dialect, with an op for each parameter, buffer and constant."""
    ir, importer = tools.ir, tools.fx_importer

    def stand_in(name: str, result: Any) -> Any:
        attributes = {"name": ir.StringAttr.get(name)}
        return ir.Operation.create("torch.operator", results=[result], attributes=attributes).result

    class Hooks(importer.FxImporterHooks):  # type: ignore[name-defined, misc]
        def resolve_input(self, gni: Any, value: Any, info: Any) -> Any:
            return stand_in(state.add_input(info.input_spec.target, value), info.ir_type)

        def resolve_literal(self, gni: Any, literal: Any, info: Any) -> Any:
            if not isinstance(literal, tools.torch.Tensor):
                return None
            dims = ",".join(str(n) for n in literal.shape)
            element = {"torch.float32": "f32", "torch.uint8": "ui8"}.get(str(literal.dtype), "si64")
            literal = literal if element != "si64" else literal.to(tools.torch.int64)
            return stand_in(
                state.add_literal(literal), ir.Type.parse(f"!torch.vtensor<[{dims}],{element}>")
            )

    for node in program.graph.nodes:
        modules = list((node.meta.get("nn_module_stack") or {}).values())
        if modules and node.meta.get("stack_trace"):
            path = modules[-1][0] if isinstance(modules[-1], tuple) else ""
            node.meta["stack_trace"] += f'\n  File "{_SCOPE}{path}", line 0, in forward\n'
    context = ir.Context()
    tools.dialect.register_dialect(context)
    with _quiet():
        try:
            fx = importer.FxImporter(context=context, hooks=Hooks())
            function = fx.import_program(program)
        except Exception as exc:
            raise ExportError(
                f"torch-mlir cannot import the exported model (control flow?): {_first_line(exc)}"
            ) from exc
    return fx.module, function


# The walk


class _Walk:
    """Translates the ops of a function in order; errors are gathered."""

    def __init__(
        self,
        tools: _Toolchain,
        function: Any,
        program: Any,
        state: _State,
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
        if not any(isinstance(v, Activation | Reshaped | Parameter) for v in _flat(arguments)):
            return self._compute(name, arguments)
        if name not in RULES:
            raise Unsupported(hint(name))
        for result in op.results:
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
        whole = isinstance(x, Parameter) and x.layout == ParamLayout.identity(x.array.shape)
        return whole and self._uses[_STATE + x.name] == 1

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
            raise Unsupported(f"{hint(name)} ({_first_line(exc)})") from exc
        if isinstance(results, torch.Tensor):
            return [Constant(_array(results))]
        return [[Constant(_array(r)) for r in results]]

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
            if frame.filename.startswith(_SCOPE):
                scope = frame.filename.removeprefix(_SCOPE)
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
