"""Options of `tinytrain_mlir.compile`: frozen dataclasses, no global state."""

from __future__ import annotations

import fnmatch
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeGuard

from .errors import ConfigError

NeedsGrad: TypeAlias = bool | float | tuple[int, ...]
"""What of a parameter is trained: all, nothing, the first fraction or a set of channels."""


def is_fraction(value: object) -> TypeGuard[float]:
    """Whether `value` is a float in (0, 1]."""
    return isinstance(value, float) and 0 < value <= 1


@dataclass(frozen=True)
class Largest:
    """Rule of a `SparseUpdate`: trains the given fraction of channels, those of the largest magnitude.

    The magnitude of a channel is its L1 norm: the sum of absolute values of all weights that read
    it, as they are compiled, with batch norms folded in; of int8 weights, of the stored integers. The
    compiler permutes the layers that
    produce and consume the channels so that the chosen ones are contiguous. Where several
    parameters share the channels, as in a residual stream, they take the leading ones of a common
    order: first those that lists and fractions of other parameters take, then by the sum of
    magnitudes over the parameters with this rule, each parameter's scaled to the sum 1. `resolve`
    shows the outcome.

    Attributes:
        fraction: in (0, 1]; of n channels, round(fraction * n) are trained, at least one.
    """

    fraction: float

    def __post_init__(self) -> None:
        if not is_fraction(self.fraction):
            raise ConfigError(f"Largest: expected a fraction in (0, 1], got {self.fraction!r}")


Selection: TypeAlias = NeedsGrad | Largest
"""What a policy trains of a parameter; channels have PyTorch's numbers, in any order."""


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


@dataclass(frozen=True)
class Int8:
    """Real int8 training: weights and activations are int8, biases and sums int32.

    Attributes:
        calibration: inputs, f32 arrays or tensors of the example input's shape, from which the
            ranges of a float model's activations are taken; not looked at for a model that is
            quantized already.
        ranges: how a range follows from them: "minmax", "percentile" leaves out the outermost
            values, "mse" takes the range of least squared error.
        quantize_head: whether the last linear layer of a float model is int8 too; else it is f32.
        qas: quantization-aware scaling: the gradients of stored integers are multiplied by
            scale^-2, which gives the steps of the real weights (arXiv 2206.15472).
        grad: how gradients of activations are held: "f32", or "int8" at a scale found at run
            time. With "int8" all targets compute the same parameters, bit for bit.
        master: how int8 weights take in updates that are smaller than a step: None rounds them
            stochastically; "f32" and "i16", with 8 bits behind the point, keep a master copy of
            what is trained. Biases are int32 and need none.
        seed: of the random numbers by which updates are rounded; 32 bits.
    """

    calibration: Iterable[Any] | None = None
    ranges: str = "minmax"
    quantize_head: bool = False
    qas: bool = True
    grad: str = "f32"
    master: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.ranges not in ("minmax", "percentile", "mse"):
            raise ConfigError(
                f"Int8: expected ranges='minmax', 'percentile' or 'mse', got {self.ranges!r}"
            )
        if self.grad not in ("f32", "int8"):
            raise ConfigError(f"Int8: expected grad='f32' or 'int8', got {self.grad!r}")
        if self.master not in (None, "f32", "i16"):
            raise ConfigError(f"Int8: expected master=None, 'f32' or 'i16', got {self.master!r}")
        if not isinstance(self.qas, bool):
            raise ConfigError(f"Int8: expected qas=True or False, got {self.qas!r}")
        if not isinstance(self.seed, int) or not 0 <= self.seed < 1 << 32:
            raise ConfigError(f"Int8: expected a seed in [0, 2^32), got {self.seed!r}")


@dataclass(frozen=True)
class MemoryPasses:
    """What the compiler does to save memory; switched off for comparison only.

    Attributes:
        detach: keeps the frozen part of a partly trained parameter in flash.
        fuse: computes several ops in one loop nest, a gradient and its update among them.
        split: computes an expansion and the depthwise convolution behind it group of channels
            by group, where nothing else needs as much memory.
        rows: runs chains of int8 convolutions, such as expansion, depthwise convolution and
            projection, row by row, where nothing else needs as much memory.
        reorder: updates each parameter as soon as its gradient exists, and schedules all ops
            for the smallest peak; else all updates come last, as in a framework.
        in_place: writes elementwise results over operands that die.
        overlap: lets the results of other kernels overlap operands that die.
        masks: keeps one bit per element where only the gradient of a clamp needs a value.
    """

    detach: bool = True
    fuse: bool = True
    split: bool = True
    rows: bool = True
    reorder: bool = True
    in_place: bool = True
    overlap: bool = True
    masks: bool = True

    @staticmethod
    def none() -> MemoryPasses:
        """The conventional program: op by op, each result in a buffer of its own."""
        return MemoryPasses(False, False, False, False, False, False, False, False)


class UpdatePolicy(Protocol):
    """Decides what is trained; the policies below do, and any object with this method."""

    def resolve(self, parameters: Sequence[str]) -> dict[str, Selection]:
        """What to train of each parameter; `parameters` are in the order of execution.

        Raises:
            ConfigError: the policy does not fit these parameters.
        """
        ...


class Policy(ABC):
    """An update policy that can be kept in a file."""

    @abstractmethod
    def resolve(self, parameters: Sequence[str]) -> dict[str, Selection]:
        """See `UpdatePolicy`."""

    def save(self, path: str | Path) -> None:
        """Writes the policy as JSON, whole or not at all; `load_policy` reads it.

        Raises:
            ConfigError: the file cannot be written, or the policy is malformed.
        """
        from .policy_file import save_policy

        save_policy(self, path)


@dataclass(frozen=True)
class FullUpdate(Policy):
    """Trains every parameter."""

    def resolve(self, parameters: Sequence[str]) -> dict[str, Selection]:
        """See `UpdatePolicy`."""
        return dict.fromkeys(parameters, True)


@dataclass(frozen=True)
class NoUpdate(Policy):
    """Trains nothing: the program computes the loss only."""

    def resolve(self, parameters: Sequence[str]) -> dict[str, Selection]:
        """See `UpdatePolicy`."""
        return dict.fromkeys(parameters, False)


@dataclass(frozen=True)
class LastLayer(Policy):
    """Trains the layer that is executed last, usually the classifier."""

    def resolve(self, parameters: Sequence[str]) -> dict[str, Selection]:
        """See `UpdatePolicy`."""
        if not parameters:
            raise ConfigError("LastLayer: the model has no parameters")
        layer = parameters[-1].rpartition(".")[0]
        return {name: name.rpartition(".")[0] == layer for name in parameters}


@dataclass(frozen=True)
class BiasOnly(Policy):
    """Trains the biases of the last `n` layers that have one, and the whole last layer."""

    n: int

    def resolve(self, parameters: Sequence[str]) -> dict[str, Selection]:
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
class SparseUpdate(Policy):
    """Trains what the rules say; what they do not name is frozen.

    Attributes:
        rules: parameter name, or shell pattern such as "blocks.3.*", to True, False, a
            fraction in (0, 1], a list of channels, or `Largest`. The last rule that matches a
            parameter holds.

    Channels are the input channels of a weight, the channels of a depthwise weight, the entries
    of a bias. A fraction r trains the first round(r * n) of n, at least one; of a linear layer
    that reads a flattened image, those of the image's first rows. A list names any channels by
    their numbers in PyTorch: the compiler permutes the layers that produce and consume them so
    that they are contiguous. Lists and fractions of parameters that share channels must be equal
    or lie within each other; those of the network's input and output cannot be permuted.
    """

    rules: Mapping[str, Selection | Sequence[int]] = field(default_factory=dict)

    def resolve(self, parameters: Sequence[str]) -> dict[str, Selection]:
        """See `UpdatePolicy`."""
        result: dict[str, Selection] = dict.fromkeys(parameters, False)
        for pattern, value in self.rules.items():
            matches = [pattern] if pattern in parameters else fnmatch.filter(parameters, pattern)
            if not matches:
                raise ConfigError(
                    f"SparseUpdate: '{pattern}' matches no parameter; the model has "
                    + ", ".join(parameters[:8])
                    + (", …" if len(parameters) > 8 else "")
                )
            result.update(dict.fromkeys(matches, check_rule(pattern, value)))
        return result

    @staticmethod
    def from_tte(
        *, n_bias_update: int, weight_idx: Sequence[int], ratio: Sequence[float]
    ) -> TteScheme:
        """A published scheme; see `TteScheme`."""
        return TteScheme(n_bias_update, tuple(weight_idx), tuple(ratio))


@dataclass(frozen=True)
class TteScheme(Policy):
    """A published sparse update scheme; the last layer, the classifier, is always trained.

    Attributes:
        n_bias_update: how many of the last convolutions train their bias.
        weight_idx: numbers of the convolutions, in order of execution, that train weights.
        ratio: for each of them, the fraction of input channels; 0 trains none.
    """

    n_bias_update: int
    weight_idx: tuple[int, ...]
    ratio: tuple[float, ...]

    def resolve(self, parameters: Sequence[str]) -> dict[str, Selection]:
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


def check_rule(pattern: str, value: object) -> Selection:
    """The value of a rule, channels in ascending order.

    Raises:
        ConfigError: no such rule.
    """
    if isinstance(value, (bool, Largest)) or is_fraction(value):
        return value
    if isinstance(value, Iterable) and not isinstance(value, str):
        given = list(value)
        whole = all(isinstance(c, Integral) and not isinstance(c, bool) for c in given)
        channels = tuple(sorted(int(c) for c in given)) if whole else ()
        if channels and channels[0] >= 0 and len(set(channels)) == len(channels):
            return channels
        raise ConfigError(
            f"SparseUpdate: expected a list of different channels for '{pattern}', got {value!r}"
        )
    raise ConfigError(
        f"SparseUpdate: expected True, False, a fraction in (0, 1], a list of channels or "
        f"tt.Largest for '{pattern}', got {value!r}"
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
