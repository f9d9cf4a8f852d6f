"""Running a program: the part that the host and the emulators share."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .config import is_learning_rate
from .errors import CheckpointError, EmulatorError, InputError
from .frontends.graph_builder import Array
from .llvm_module import CHECKPOINT_HEADER, fingerprint

if TYPE_CHECKING:
    from .profile import Profile
    from .program import Program
    from .runtime.layout import Layout


class Device(Protocol):
    """A program in memory whose C functions can be called."""

    def call(self, function: str, *args: bytes | int) -> tuple[bytes, ...]:
        """Calls `<name>_<function>`.

        Args:
            args: contents of an input buffer, or the size of an output buffer.

        Returns:
            the contents of the output buffers.
        """
        ...

    def set_learning_rate(self, lr: float) -> None:
        """Calls `<name>_set_learning_rate`."""
        ...

    @property
    def instructions(self) -> int | None:
        """Instructions executed by the last call; None where they are not counted."""
        ...

    @property
    def stack_bytes(self) -> int | None:
        """Deepest use of the stack by the last call; None where it is not measured."""
        ...

    def instructions_by_function(self) -> dict[str, int]:
        """What each function executed itself in the last call; empty where it is not counted."""
        ...

    @property
    def layout(self) -> Layout | None:
        """What lies where in the machine's memory; None on the host."""
        ...

    def state(self, size: int) -> bytes:
        """The trained parameters and the optimizer's state, `size` bytes, as `save` writes them."""
        ...

    def close(self) -> None:
        """Frees the device."""
        ...


class Session:
    """A program that runs: trains, infers, and shows its parameters.

    Arrays have the imported model's own layout (NCHW for PyTorch). A session is not
    thread-safe; the global interpreter lock is released while native code runs.
    """

    def __init__(self, program: Program, device: Device) -> None:
        self._program = program
        self._device = device
        self._last_function: str | None = None
        self.reset()

    def reset(self) -> None:
        """Gives every parameter its initial value, and the learning rate too."""
        self._device.call("init")

    def infer(self, x: Any) -> Array:
        """The model's output for one batch.

        Args:
            x: f32 array or tensor of the example input's shape; of a graph with an int8 input,
                its stored integers too.

        Raises:
            InputError: wrong shape or type, or not finite.
        """
        port = self._program.graph.output
        image = self._input(x)
        self._last_function = "infer"
        (data,) = self._device.call("infer", image, port.bytes)
        result: Array = port.layout.to_torch(np.frombuffer(data, port.dtype)).copy()
        return result

    def step(self, x: Any, y: Any, lr: float | None = None) -> float:
        """One training step on one batch.

        Args:
            x: f32 array of the example input's shape.
            y: with cross entropy, integer classes of shape [batch]; with mean squared error,
                an f32 array of the output's shape.
            lr: learning rate from this step on; None leaves it as it is.

        Returns:
            the loss before the update.

        Raises:
            InputError: wrong shape or type, not finite, a class out of range, or a program
                compiled for inference only.
        """
        if self._program.loss is None:
            raise InputError("this program infers only: compile it with loss= to train")
        if lr is not None and not is_learning_rate(lr):
            raise InputError(f"expected a finite learning rate > 0 (as f32), got {lr!r}")
        image, target = self._input(x), self._target(y)
        if lr is not None and self._program.trains:
            self._device.set_learning_rate(lr)
        self._last_function = "step"
        (loss,) = self._device.call("step", image, target, 4)
        return float(struct.unpack("<f", loss)[0])

    def parameters(self) -> dict[str, Array]:
        """All parameters by PyTorch name, in PyTorch layout; copies.

        Of quantized parameters, the stored integers.
        """
        graph = self._program.graph
        size = self._program.memory.param_bytes
        block = self._device.state(size) if self._program.compiled.slots else b""
        arrays = {name: p.array for name, p in graph.parameters.items()}
        for slot in self._program.compiled.slots:
            if slot.name in arrays:
                data = block[slot.offset : slot.offset + slot.bytes]
                trained = np.frombuffer(data, arrays[slot.name].dtype)
                if trained.size != arrays[slot.name].size:
                    # Only the leading channels are trained; the others are constant.
                    frozen = arrays[slot.name][..., slot.shape[-1] :]
                    trained = np.concatenate([trained.reshape(slot.shape), frozen], axis=-1)
                arrays[slot.name] = trained
        return {n: graph.parameters[n].layout.to_torch(a).copy() for n, a in arrays.items()}

    def save(self) -> bytes:
        """A checkpoint of trained parameters and optimizer state, as `<name>_save` writes it.

        Raises:
            CheckpointError: the program trains nothing.
            EmulatorError: the machine has too little RAM left for it.
        """
        self._check_trains()
        size = CHECKPOINT_HEADER + self._program.memory.param_bytes
        (data,) = self._device.call("save", size)
        return data

    def load(self, checkpoint: bytes) -> None:
        """Takes a checkpoint back.

        Raises:
            CheckpointError: truncated, damaged, or of another program.
            EmulatorError: the machine has too little RAM left for it.
        """
        self._check_trains()
        checkpoint = bytes(checkpoint)
        size = self._program.memory.param_bytes
        if len(checkpoint) != CHECKPOINT_HEADER + size:
            raise CheckpointError(
                f"expected a checkpoint of {CHECKPOINT_HEADER + size} bytes, got "
                f"{len(checkpoint)}: it is truncated or belongs to another program"
            )
        magic, stored, crc = struct.unpack_from("<3I", checkpoint)
        if magic != fingerprint(self._program.compiled.slots) or stored != size:
            raise CheckpointError("not a checkpoint of this program: save one with Session.save")
        if zlib.crc32(checkpoint[CHECKPOINT_HEADER:]) != crc:
            raise CheckpointError("the checkpoint's CRC-32 does not match: the file is damaged")
        self._device.call("load", checkpoint)

    @property
    def instructions(self) -> int | None:
        """Instructions executed by the last call of any function; None on the host."""
        return self._device.instructions

    def profile(self) -> Profile:
        """Where the instructions of the last `infer` or `step` went: by layer, phase and kernel.

        Raises:
            EmulatorError: neither has run, or the machine does not count by function.
        """
        from .profile import Profile

        counts = self._device.instructions_by_function()
        compiled = self._program.compiled
        function = self._last_function
        if function is None or not counts:
            raise EmulatorError(
                "no profile: expected infer or step to have run in unicorn; compile for a target "
                'it has, such as "cortex-m7", and use load("unicorn")'
            )
        title = f"{function} of {self._program.name} on {self._program.target.name}"
        calls = [call for call in compiled.calls if call.function == function]
        return Profile.of(title, calls, counts)

    @property
    def stack_bytes(self) -> int | None:
        """Bytes of stack used by the last call, measured; None on the host."""
        return self._device.stack_bytes

    @property
    def layout(self) -> Layout | None:
        """What lies where in the device's RAM and flash, from the linked ELF; None on the host."""
        return self._device.layout

    def close(self) -> None:
        """Frees the emulator or the code."""
        self._device.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_trains(self) -> None:
        if not self._program.trains:
            raise CheckpointError(
                "this program trains nothing, so that it has no checkpoints: compile it with a "
                "loss and an update that trains"
            )

    def _input(self, x: Any) -> bytes:
        port = self._program.graph.input
        array = _array("x", x)
        if port.quantization and array.dtype == np.int8:
            if array.shape != port.layout.torch_shape:
                raise InputError(
                    f"x: expected int8 of shape {port.layout.torch_shape}, got shape {array.shape}"
                )
        else:
            array = _float_array("x", array, port.layout.torch_shape)
            if port.quantization:
                array = port.quantization.quantize(array)
        return port.layout.to_ir(array).tobytes()

    def _target(self, y: Any) -> bytes:
        layout = self._program.graph.output.layout
        if self._program.loss == "mse":
            return layout.to_ir(_float_array("y", y, layout.torch_shape)).tobytes()
        batch, classes = layout.torch_shape
        labels = _array("y", y)
        if labels.shape == () and batch == 1:
            labels = labels.reshape(1)
        if labels.shape != (batch,) or not np.issubdtype(labels.dtype, np.integer):
            raise InputError(
                f"y: expected integer classes of shape ({batch},), got {labels.dtype} of shape "
                f"{labels.shape}"
            )
        if labels.min() < 0 or labels.max() >= classes:
            raise InputError(
                f"y: expected classes in [0, {classes}), got {labels.min()} to {labels.max()}"
            )
        return labels.astype(np.int32).tobytes()


def _array(name: str, value: Any) -> Array:
    try:
        return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except Exception as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{name}: expected an array or a tensor, got {type(value).__name__}: {first}"
        ) from error


def _float_array(name: str, value: Any, shape: tuple[int, ...]) -> Array:
    array = _array(name, value)
    if array.shape != shape or array.dtype != np.float32:
        raise InputError(
            f"{name}: expected float32 of shape {shape}, got {array.dtype} of shape {array.shape}: "
            "reshape it, or use .astype(np.float32)"
        )
    if not np.isfinite(array).all():
        raise InputError(f"{name}: expected finite values, got NaN or infinity")
    return array
