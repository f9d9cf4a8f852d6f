"""Options of `tinytrain_mlir.compile`: frozen dataclasses, no global state."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from .errors import ConfigError

NeedsGrad: TypeAlias = bool | float | tuple[int, ...]
"""What of a parameter is trained: all, nothing, the first fraction or a set of channels."""


def is_learning_rate(lr: object) -> bool:
    """Whether `lr` is a number that is > 0 and finite as f32."""
    if isinstance(lr, bool) or not isinstance(lr, (int, float)):
        return False
    smallest, largest = 2.0**-126, (2 - 2.0**-23) * 2.0**127
    return smallest <= lr <= largest


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent as PyTorch defines it.

    Attributes:
        lr: learning rate at start; `session.step` can change it.
        momentum: factor in [0, 1); above 0 every trained parameter keeps a velocity.
        weight_decay: L2 penalty, at least 0.
    """

    lr: float = 0.01
    momentum: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        for name, value, expected in (
            ("lr", self.lr, "> 0"),
            ("momentum", self.momentum, "in [0, 1)"),
            ("weight_decay", self.weight_decay, ">= 0"),
        ):
            # Zero is no learning rate, but leaves out momentum or decay.
            ok = is_learning_rate(value) or (name != "lr" and value == 0)
            if not ok or (name == "momentum" and value >= 1):
                raise ConfigError(
                    f"SGD: expected {name} {expected} and finite in f32, got {value!r}"
                )


class UpdatePolicy(Protocol):
    """Decides which parameters are trained."""

    def resolve(self, parameters: Sequence[str]) -> dict[str, NeedsGrad]:
        """What to train of each parameter; `parameters` are in the order of execution.

        Raises:
            ConfigError: the policy does not fit these parameters.
        """
        ...


@dataclass(frozen=True)
class FullUpdate:
    """Trains every parameter."""

    def resolve(self, parameters: Sequence[str]) -> dict[str, NeedsGrad]:
        """See `UpdatePolicy`."""
        return dict.fromkeys(parameters, True)


@dataclass(frozen=True)
class NoUpdate:
    """Trains nothing: the program computes the loss only."""

    def resolve(self, parameters: Sequence[str]) -> dict[str, NeedsGrad]:
        """See `UpdatePolicy`."""
        return dict.fromkeys(parameters, False)


@dataclass(frozen=True)
class LastLayer:
    """Trains the layer that is executed last, usually the classifier."""

    def resolve(self, parameters: Sequence[str]) -> dict[str, NeedsGrad]:
        """See `UpdatePolicy`."""
        if not parameters:
            raise ConfigError("LastLayer: the model has no parameters")
        layer = parameters[-1].rpartition(".")[0]
        return {name: name.rpartition(".")[0] == layer for name in parameters}


@dataclass(frozen=True)
class BiasOnly:
    """Trains the biases of the last `n` layers that have one, and the whole last layer."""

    n: int

    def resolve(self, parameters: Sequence[str]) -> dict[str, NeedsGrad]:
        """See `UpdatePolicy`."""
        biases = [name for name in parameters if name.rpartition(".")[2] == "bias"]
        if not 0 <= self.n <= len(biases):
            raise ConfigError(
                f"BiasOnly: expected between 0 and {len(biases)} biases, the model's number, "
                f"got {self.n}"
            )
        result = LastLayer().resolve(parameters)
        result.update(dict.fromkeys(biases[len(biases) - self.n :], True))
        return result


@dataclass(frozen=True)
class SparseUpdate:
    """Trains what the rules say; what they do not name is frozen.

    Attributes:
        rules: parameter name, or shell pattern such as "blocks.3.*", to True, False, a
            fraction in (0, 1] or the channels 0 … k - 1. A fraction r trains the first
            round(r * n) of the n input channels of a weight (of the channels of a depthwise
            one), at least one. The last rule that matches a parameter holds.
    """

    rules: Mapping[str, NeedsGrad | Sequence[int]] = field(default_factory=dict)

    def resolve(self, parameters: Sequence[str]) -> dict[str, NeedsGrad]:
        """See `UpdatePolicy`."""
        result: dict[str, NeedsGrad] = dict.fromkeys(parameters, False)
        for pattern, value in self.rules.items():
            matches = fnmatch.filter(parameters, pattern)
            if not matches:
                raise ConfigError(
                    f"SparseUpdate: '{pattern}' matches no parameter; the model has "
                    + ", ".join(parameters[:8])
                    + (", …" if len(parameters) > 8 else "")
                )
            result.update({name: _checked(pattern, value) for name in matches})
        return result

    @staticmethod
    def from_tte(
        *, n_bias_update: int, weight_idx: Sequence[int], ratio: Sequence[float]
    ) -> TteScheme:
        """A published scheme; see `TteScheme`."""
        return TteScheme(n_bias_update, tuple(weight_idx), tuple(ratio))


@dataclass(frozen=True)
class TteScheme:
    """A published sparse update scheme; the last layer, the classifier, is always trained.

    Attributes:
        n_bias_update: how many of the last convolutions train their bias.
        weight_idx: numbers of the convolutions, in order of execution, that train weights.
        ratio: for each of them, the fraction of input channels; 0 trains none.
    """

    n_bias_update: int
    weight_idx: tuple[int, ...]
    ratio: tuple[float, ...]

    def resolve(self, parameters: Sequence[str]) -> dict[str, NeedsGrad]:
        """See `UpdatePolicy`."""
        result = LastLayer().resolve(parameters)
        head = [name for name, wanted in result.items() if wanted]
        body = [name for name in parameters if name not in head]
        weights = [name for name in body if name.endswith(".weight")]
        biases = [name for name in body if name.endswith(".bias")]
        if not 0 <= self.n_bias_update <= len(biases):
            raise ConfigError(
                f"TteScheme: expected n_bias_update in [0, {len(biases)}], got {self.n_bias_update}"
            )
        if len(self.weight_idx) != len(self.ratio):
            raise ConfigError(
                f"TteScheme: expected one ratio per weight_idx, got {len(self.ratio)} for "
                f"{len(self.weight_idx)}"
            )
        result.update(dict.fromkeys(biases[len(biases) - self.n_bias_update :], True))
        for index, ratio in zip(self.weight_idx, self.ratio, strict=True):
            if not 0 <= index < len(weights) or not 0 <= ratio <= 1:
                raise ConfigError(
                    f"TteScheme: expected weight_idx in [0, {len(weights)}) and ratio in [0, 1], "
                    f"got {index} and {ratio}"
                )
            result[weights[index]] = False if ratio == 0 else True if ratio == 1 else float(ratio)
        return result


def _checked(pattern: str, value: NeedsGrad | Sequence[int]) -> NeedsGrad:
    if isinstance(value, bool):
        return value
    if isinstance(value, float) and 0 < value <= 1:
        return value
    if isinstance(value, Sequence) and not isinstance(value, str):
        channels = tuple(value)
        if channels and channels == tuple(range(len(channels))):
            return channels
        raise ConfigError(
            f"SparseUpdate: expected the channels 0 … k - 1 for '{pattern}', got {value!r}: other "
            "sets are not supported yet"
        )
    raise ConfigError(
        f"SparseUpdate: expected True, False, a fraction in (0, 1] or a list of channels for "
        f"'{pattern}', got {value!r}"
    )


_UNITS = {"": 1, "B": 1, "KB": 1024, "KIB": 1024, "MB": 1024**2, "MIB": 1024**2}


def parse_size(text: str | int) -> int:
    """Bytes from 262144, "256KB" or "1MB" (binary units).

    Raises:
        ConfigError: no such size.
    """
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return text
    if not isinstance(text, str):
        raise ConfigError(f"expected a size such as '256KB' or a number of bytes, got {text!r}")
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if not match or match[2].upper() not in _UNITS:
        raise ConfigError(f"expected a size such as '256KB' or '1MB', got '{text}'")
    return int(float(match[1]) * _UNITS[match[2].upper()])


@dataclass(frozen=True)
class Budget:
    """Limits that the compiled program must keep.

    Attributes:
        sram: arena, trained parameters and other static data, e.g. "256KB".
        flash: frozen parameters, initial values, constants and code, e.g. "1MB".
    """

    sram: str | int | None = None
    flash: str | int | None = None

    def limits(self) -> dict[str, int]:
        """The limits that are set, in bytes, by "sram" and "flash"."""
        given = {"sram": self.sram, "flash": self.flash}
        return {name: parse_size(size) for name, size in given.items() if size is not None}
