"""From a PyTorch module to a function of the `torch` dialect, and the arrays of its parameters.

The export is functional but hardly decomposed, so convolutions, linear layers, poolings and batch norms arrive whole.
Parameters, buffers and constants never become MLIR literals: each is an op that names it, and its array is taken from
the exported program.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import DTypeError, ExportError, MissingExtraError, ModelError, ShapeError
from .graph_builder import Array, ParamLayout
from .torch_exported import original_names
from .torch_tensors import Constant, Folded, Parameter

if TYPE_CHECKING:
    import torch

STATE = "tinytrain.state."  # an op of this name is a parameter or buffer
_LITERAL = "tinytrain.literal."  # an op of this name is a constant tensor
SCOPE = "tinytrain-scope:"  # a stack frame in a file of this name tells the module's path
QUANTIZED = "quantized_decomposed."
_DECOMPOSED = ("einsum", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle")


@dataclass(frozen=True)
class Toolchain:
    torch: ModuleType
    fx_importer: ModuleType
    ir: ModuleType
    dialect: ModuleType


def toolchain() -> Toolchain:
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
    return Toolchain(torch, fx_importer, ir, dialect)


# Checks


def checked_inputs(tools: Toolchain, example_inputs: Any) -> tuple[torch.Tensor, ...]:
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


def check_program_inputs(program: Any, inputs: tuple[torch.Tensor, ...]) -> None:
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    expected = [list(values[name].shape) for name in program.graph_signature.user_inputs]
    given = [list(x.shape) for x in inputs]
    if given != expected:
        raise ShapeError(f"the program was exported for inputs of shape {expected}, got {given}")


def _check_dtype(tools: Toolchain, what: str, x: torch.Tensor) -> None:
    if x.dtype != tools.torch.float32:
        name = str(x.dtype).removeprefix("torch.")
        raise DTypeError(f"{what} must be float32, but is {name}: convert it with .float()")


def check_state(tools: Toolchain, model: torch.nn.Module | torch.export.ExportedProgram) -> None:
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


def first_line(exc: BaseException) -> str:
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[0] if lines else type(exc).__name__


# Export


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps the warnings and logs of the export away from the user."""
    disabled = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(disabled)


def export(tools: Toolchain, model: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> Any:
    """The model as a `torch.export.ExportedProgram`."""
    with quiet(), tools.torch.no_grad():
        try:
            return tools.torch.export.export(model, inputs)
        except Exception as exc:
            raise _cannot_capture(type(model).__name__, exc) from exc


def _cannot_capture(name: str, exc: Exception) -> ExportError:
    return ExportError(
        f"torch.export cannot capture {name} as a static graph "
        f"(data-dependent control flow, or inputs that do not fit?): {first_line(exc)}"
    )


def functional(tools: Toolchain, program: Any, name: str) -> Any:
    """The program without ops in place, with one float tensor as its result."""
    with quiet(), tools.torch.no_grad():
        try:
            table = tools.torch.export.default_decompositions()
            aten = tools.torch.ops.aten
            composite = [getattr(aten, op).default for op in _DECOMPOSED]
            program = program.run_decompositions({op: table[op] for op in composite if op in table})
        except Exception as exc:
            raise _cannot_capture(name, exc) from exc
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


class State:
    """The arrays of parameters, buffers and constants, by the name of the op that stands for them."""

    def __init__(self, names: dict[str, str], folded: dict[str, str]) -> None:
        self.arrays: dict[str, Array] = {}
        self.parameters: set[str] = set()
        self._names = names
        self._folded = folded
        self._folded_keys: dict[str, str] = {}

    @property
    def names(self) -> set[str]:
        """The names of all parameters of the model."""
        return set(self._names)

    def add_input(self, target: str, tensor: torch.Tensor) -> str:
        """Remembers a parameter or buffer; returns its op's name."""
        key = STATE + self._names.get(target, target)
        if target in self._names:
            self.parameters.add(key)
        if target in self._folded:
            self._folded_keys[key] = self._folded[target]
        self.arrays[key] = tensor_array(tensor)
        return key

    def add_literal(self, tensor: torch.Tensor) -> str:
        """Remembers a constant; returns its op's name."""
        key = f"{_LITERAL}{len(self.arrays)}"
        self.arrays[key] = tensor_array(tensor)
        return key

    def tensor(self, key: str) -> Parameter | Constant | Folded:
        """The tensor that an op of this name stands for."""
        array = self.arrays[key]
        if key in self._folded_keys:
            return Folded(self._folded_keys[key], array)
        if key not in self.parameters:
            return Constant(array)
        return Parameter(key.removeprefix(STATE), array, ParamLayout.identity(array.shape))


def parameter_names(named: Iterable[tuple[str, torch.Tensor]]) -> dict[str, str]:
    """The names that parameters get in the graph: the `state_dict`'s; of tied ones, the first."""
    parameters = dict(named)
    originals = original_names(parameters)
    first: dict[int, str] = {}
    for name, parameter in parameters.items():
        first.setdefault(id(parameter), originals[name])
    return {name: first[id(parameter)] for name, parameter in parameters.items()}


def tensor_array(tensor: torch.Tensor) -> Array:
    array: Array = tensor.detach().cpu().contiguous().numpy().copy()
    return array


def to_mlir(tools: Toolchain, program: Any, state: State) -> Any:
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
        place = _placed(node).meta
        trace = node.meta.get("stack_trace") or place.get("stack_trace")
        modules = list((place.get("nn_module_stack") or {}).values())
        if modules and trace:
            path = modules[-1][0] if isinstance(modules[-1], tuple) else ""
            scope = f'\n  File "{SCOPE}{path}", line 0, in forward\n'
            node.meta["stack_trace"] = trace + scope
    context = ir.Context()
    tools.dialect.register_dialect(context)
    with quiet():
        try:
            fx = importer.FxImporter(context=context, hooks=Hooks())
            function = fx.import_program(program)
        except Exception as exc:
            raise ExportError(
                f"torch-mlir cannot import the exported model (control flow?): {first_line(exc)}"
            ) from exc
    return fx.module, function


def _placed(node: Any) -> Any:
    """The op whose place in the model a quantize or dequantize shares: that before the one, that after the other."""
    while str(node.target).startswith(QUANTIZED):
        before = node.all_input_nodes[0]
        computed = before.op == "call_function" and not str(before.target).startswith(QUANTIZED)
        if computed and str(node.target).startswith(QUANTIZED + "quantize"):
            return before
        if not node.users:
            return node
        node = next(iter(node.users))
    return node
