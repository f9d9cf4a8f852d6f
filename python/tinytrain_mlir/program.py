"""The result of `compile`."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ._mlir_libs import _tinytrain
from .config import parse_size
from .driver import Compiled, check_stage
from .errors import ConfigError
from .graph import Graph
from .header import render_header
from .llvm_module import CHECKPOINT_HEADER
from .memory import Memory
from .runtime.freestanding import memory_functions
from .runtime.launch import Emulator
from .session import Session
from .target import Target


@dataclass(frozen=True)
class Program:
    """A compiled program.

    Attributes:
        name: prefix of the C functions.
        target: what it runs on.
        graph: the forward graph it was compiled from, its channels in the program's order.
        loss: "cross_entropy", "mse", or None for inference only.
        threads: that share the work.
        compiled: what the compiler's stages produced.
    """

    name: str
    target: Target
    graph: Graph
    loss: str | None
    threads: int
    compiled: Compiled

    @cached_property
    def memory(self) -> Memory:
        """Memory figures from the object's own sections."""
        return Memory.read(self.compiled, f"{self.name} on {self.target.name}")

    @property
    def trains(self) -> bool:
        """Whether any parameter is updated by a step."""
        return bool(self.compiled.slots)

    def ir(self, stage: str) -> str:
        """MLIR text after a stage.

        Raises:
            ConfigError: no such stage.
        """
        check_stage(stage)
        return self.compiled.stages[stage]

    def load(
        self,
        emulator: Emulator = "auto",
        *,
        ram: str | int | None = None,
        flash: str | int | None = None,
        stack: str | int | None = None,
    ) -> Session:
        """A session: in this process for the host, else in an emulator.

        Without sizes the machine has more memory than most products. With them it has no other:
        everything lies in it, an access beyond faults, and after each call the guard below the
        stack must be as it was.

        Args:
            emulator: "unicorn", "qemu", or "auto": unicorn where it has the target.
            ram: a microcontroller's RAM, such as "256KB": arena, trained parameters, the buffers
                of `step` and `infer`, stack and guard; a multiple of 4 KB.
            flash: its flash, such as "1MB": vectors, code, constants and initial values.
            stack: of the RAM, for the stack; "2KB" if `ram` is given.

        Raises:
            EmulatorError: the emulator is not installed or lacks the target.
            ConfigError: an emulator or sizes for the host, or no such sizes; several threads for
                an emulator.
            LinkError: the program does not fit.
        """
        given = {"ram": ram, "flash": flash, "stack": stack}
        sizes = {name: parse_size(size) for name, size in given.items() if size is not None}
        if sizes and not self.target.is_microcontroller:
            raise ConfigError(
                f"{', '.join(f'{name}=' for name in sizes)}: only a microcontroller's memory is "
                f"limited, and {self.target.name} is none"
            )
        if self.target.name == "host":
            from .runtime.host import HostDevice

            if emulator != "auto":
                raise ConfigError("a host program runs in this process: load it without emulator=")
            return Session(self, HostDevice(self.name, self.compiled.object, self.threads))
        if self.threads > 1:
            raise ConfigError(
                f"a program of {self.threads} threads needs Linux, which an emulated "
                f"{self.target.name} has not: save it and link it there, or compile it with threads=1"
            )
        if emulator not in ("auto", "unicorn", "qemu"):
            raise ConfigError(f"expected emulator 'auto', 'unicorn' or 'qemu', got '{emulator}'")
        from .runtime.emulated import EmulatedDevice
        from .runtime.memory_map import memory_map

        own_input = self.compiled.own_input
        x_bytes = 0 if own_input else self.graph.input.bytes
        calls: list[tuple[int, ...]] = [(x_bytes, self.graph.output.bytes)]
        if self.loss is not None:
            batch, *_ = self.graph.output.layout.ir_shape
            label = self.graph.output.bytes if self.loss == "mse" else 4 * batch
            calls.append((x_bytes, label, 4))
        if not sizes:
            calls.append((CHECKPOINT_HEADER + self.memory.param_bytes,))
        device = EmulatedDevice(
            self.name,
            memory_map(self.target.name).limited(**sizes),
            (self.compiled.object, memory_functions(self.target.name)),
            sram_bytes=self.memory.sram_bytes,
            calls=calls,
            own_input=own_input,
            emulator=emulator,
        )
        return Session(self, device)

    def save(self, folder: str | Path) -> Path:
        """Writes `lib<name>.a`, `<name>.h`, `memory.json` and `report.html`, none of them in part.

        Returns:
            the folder.

        Raises:
            ConfigError: the folder cannot be written.
        """
        folder = Path(folder)
        try:
            self._save(folder)
        except OSError as error:
            raise ConfigError(f"cannot write to {folder}: {error.strerror or error}") from error
        return folder

    def _save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".tinytrain-", dir=folder) as scratch:
            staged = Path(scratch)
            _tinytrain.write_archive(
                str(staged / f"lib{self.name}.a"),
                [
                    (f"{self.name}.o", self.compiled.object),
                    (f"{self.name}_mem.o", memory_functions(self.target.name)),
                ],
            )
            (staged / f"{self.name}.h").write_text(render_header(self), encoding="utf-8")
            (staged / "memory.json").write_text(
                json.dumps(self.memory.as_dict(), indent=2) + "\n", encoding="utf-8"
            )
            (staged / "report.html").write_text(self.memory.report().to_html(), encoding="utf-8")
            for file in staged.iterdir():
                file.replace(folder / file.name)
