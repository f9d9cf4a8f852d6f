"""Executes the functions of a module, op by op."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import ir
from ..errors import OracleError
from ..frontends.graph_builder import Array
from .rules import Op, compute
from .types import TensorType

_PREFIX = "tinytrain."


@dataclass(frozen=True)
class Argument:
    """An argument of a function.

    Attributes:
        name: of the parameter or of the optimizer's state; else what marks it, such as "label";
            else "arg" and its number.
        type: what it has to be.
    """

    name: str
    type: TensorType


class Interpreter:
    """Executes what a module says, by the definitions in `ops`.

    Args:
        module: a module of the stages "import" or "training", or its text.
    """

    def __init__(self, module: Any) -> None:
        if isinstance(module, str):
            with ir.Context():
                module = ir.Module.parse(module)
        self._module = module
        self._functions = {
            ir.StringAttr(op.operation.attributes["sym_name"]).value: op.operation
            for op in module.body.operations
            if op.operation.name == "func.func"
        }

    @property
    def functions(self) -> tuple[str, ...]:
        """The names of the functions."""
        return tuple(self._functions)

    def arguments(self, function: str) -> tuple[Argument, ...]:
        """What a function takes, in order."""
        op = self._function(function)
        values = op.regions[0].blocks[0].arguments
        marks: Sequence[Any] = [{}] * len(values)
        if "arg_attrs" in op.attributes:
            marks = [ir.DictAttr(entry) for entry in ir.ArrayAttr(op.attributes["arg_attrs"])]
        return tuple(
            Argument(_name(mark, number), TensorType.of(value.type))
            for number, (value, mark) in enumerate(zip(values, marks, strict=True))
        )

    def run(
        self,
        function: str,
        arguments: Sequence[Any],
        watch: Callable[[Any, Array], None] | None = None,
    ) -> list[Array]:
        """Executes a function.

        Args:
            function: its name.
            arguments: one array each, of its type's shape and elements; stored integers for a
                quantized type.
            watch: is called with each MLIR operation and its result.

        Returns:
            the results.

        Raises:
            OracleError: no such function, arguments of other types, or an op that cannot be
                executed; its text is part of the message.
        """
        block = self._function(function).regions[0].blocks[0]
        expected = self.arguments(function)
        if len(arguments) != len(expected):
            raise OracleError(f"{function}: {len(arguments)} arguments, expected {len(expected)}")
        values: dict[Any, Array] = {}
        for value, argument, given in zip(block.arguments, expected, arguments, strict=True):
            array = np.asarray(given)
            if not argument.type.holds(array):
                raise OracleError(
                    f"{function}: expected {argument.type} for {argument.name}, got {array.dtype} "
                    f"{list(array.shape)}"
                )
            values[value] = array
        for view in block.operations:
            op = view.operation
            if op.name == "func.return":
                return [values[operand] for operand in op.operands]
            result = _execute(op, [values[operand] for operand in op.operands])
            values[op.results[0]] = result
            if watch is not None:
                watch(op, result)
        raise OracleError(f"{function} does not return")

    def _function(self, name: str) -> Any:
        if name not in self._functions:
            raise OracleError(f"no function {name}: there are {', '.join(self._functions)}")
        return self._functions[name]


def _name(mark: Any, number: int) -> str:
    for key in ("tinytrain.param", "tinytrain.state"):
        if key in mark:
            return ir.StringAttr(mark[key]).value
    for key in ("tinytrain.label", "tinytrain.learning_rate"):
        if key in mark:
            return key.removeprefix(_PREFIX)
    return f"arg{number}"


def _execute(op: Any, values: list[Array]) -> Array:
    """The result of one op."""
    try:
        if op.name == "arith.constant":
            return _constant(op)
        result = TensorType.of(op.results[0].type)
        types = [TensorType.of(operand.type) for operand in op.operands]
        if not op.name.startswith(_PREFIX):
            raise OracleError(f"there is no rule for {op.name}")
        call = Op(op.attributes, values, types, result)
        y = compute(op.name.removeprefix(_PREFIX), call)
        if not result.holds(y):
            raise OracleError(f"computed {y.dtype} {list(y.shape)}, but the type is {result}")
        return y
    except (OracleError, OverflowError, KeyError, ValueError) as error:
        raise OracleError(f"{error}\nin {_shortened(str(op))}") from error


def _shortened(text: str) -> str:
    return text if len(text) <= 600 else text[:400] + " ... " + text[-200:]


def _constant(op: Any) -> Array:
    attribute = op.attributes["value"]
    return np.array(attribute, TensorType.of(op.results[0].type).dtype)
