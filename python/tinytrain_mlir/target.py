"""The targets that programs are compiled for."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache

from .errors import ConfigError


@dataclass(frozen=True)
class Target:
    """A target, as `lib/Target/TargetInfo` describes it.

    Attributes:
        name: what `compile(target=)` takes.
        triple, cpu, features: as LLVM takes them.
        index_bits: bits of a pointer.
        is_microcontroller: code size counts, memory is small.
        has_fpu: else floats are computed by functions of the Arm run-time ABI.
    """

    name: str
    triple: str
    cpu: str
    features: str
    index_bits: int
    is_microcontroller: bool
    has_fpu: bool


@cache
def _table() -> dict[str, Target]:
    from ._mlir_libs import _tinytrain

    return {entry["name"]: Target(**entry) for entry in _tinytrain.targets()}


def targets() -> list[str]:
    """The names of all targets."""
    return list(_table())


def lookup_target(name: str) -> Target:
    """The target called `name`.

    Raises:
        ConfigError: there is no such target.
    """
    try:
        return _table()[name]
    except KeyError:
        close = difflib.get_close_matches(name, _table(), n=1)
        hint = f" (did you mean '{close[0]}'?)" if close else ""
        raise ConfigError(
            f"unknown target '{name}'{hint}: expected one of {', '.join(_table())}"
        ) from None
