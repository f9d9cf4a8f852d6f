"""Errors raised by tinytrain. Every message says what was expected, what came and what to do."""

from __future__ import annotations

EXTRA_HINT = 'pip install "tinytrain-mlir[emulator]"'
REPORT_HINT = 'pip install "tinytrain-mlir[report]"'


class TinyTrainError(Exception):
    """Base of all errors that tinytrain raises on purpose."""


class MissingExtraError(TinyTrainError, ImportError):
    """An optional dependency is not installed."""


class ModelError(TinyTrainError):
    """The model, its parameters or its example inputs cannot be imported."""


class ShapeError(ModelError):
    """A dimension is not static, or a shape does not fit."""


class DTypeError(ModelError):
    """A tensor has an element type that cannot be compiled."""


class ExportError(ModelError):
    """The framework itself could not capture the model as a graph."""


class UnsupportedOpError(ModelError):
    """The model uses ops that have no translation; all of them are listed, one a line."""


class ConfigError(TinyTrainError, ValueError):
    """An option of `compile` is wrong."""


class CompileError(TinyTrainError):
    """A compilation stage failed; the message names a reproducer where there is one."""


class OracleError(TinyTrainError, ValueError):
    """The oracle cannot execute a module, or was given values of other types."""


class BudgetError(TinyTrainError):
    """The program needs more memory than its budget."""


class InputError(TinyTrainError, ValueError):
    """Data given to a session has the wrong shape, type or values."""


class CheckpointError(TinyTrainError):
    """Saved parameters are damaged or belong to another program."""


class EmulatorError(TinyTrainError, RuntimeError):
    """The emulated program faulted, or the emulator itself failed."""


class EmulatorTimeoutError(EmulatorError):
    """A call did not return in the time that it was given."""


class LinkError(TinyTrainError, RuntimeError):
    """The linker refused the objects; the message holds what it printed."""


class MissingToolError(EmulatorError):
    """A package or program is not installed; the message names what mends it."""
