"""Checks a program against its budget, and says what would make it fit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from .config import Budget
from .driver import Buffer
from .errors import BudgetError
from .memory import Memory
from .report import describe, tensor_type

if TYPE_CHECKING:
    from .program import Program

_TENSORS_NAMED = 5
_NAMES_SHOWN = 3
_OPTIONS_NAMED = 3


def check_budget(program: Program, budget: Budget) -> None:
    """Fails if a program needs more than its budget.

    Raises:
        BudgetError: it does; the message names what takes the most, and what would help.
    """
    memory = program.memory
    limits = budget.limits()
    for what, have in (("sram", memory.sram_bytes), ("flash", memory.flash_bytes)):
        limit = limits.get(what, have)
        if have > limit:
            parts = _sram(program, limit) if what == "sram" else _flash(program)
            raise BudgetError(
                f"the program needs {have} bytes of {what}, over its budget of {limit}: "
                + "; ".join(parts)
            )


@dataclass(frozen=True)
class Freezing:
    """What a program would need if some parameters were not trained.

    Attributes:
        parameters: names, in the order of execution.
        arena: bytes alive at the peak that then remains.
        saved: bytes of SRAM: of the peak, the parameters and their velocities.
    """

    parameters: tuple[str, ...]
    arena: int
    saved: int


class Dependences:
    """Which parameters' updates need each kernel call of the step, and so each tensor."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._calls = [call for call in memory.calls if call.function == "step"]
        self._buffers = [buffer for buffer in memory.timeline if buffer.function == "step"]
        slots = [slot.name for slot in memory.slots]
        self.trained = tuple(n for n in slots if any(n in call.writes for call in self._calls))

    @cached_property
    def needed_by(self) -> dict[int, frozenset[str]]:
        """The parameters whose updates need a call, by its number."""
        readers: dict[int, set[int]] = defaultdict(set)
        for buffer in self._buffers:
            writer = buffer.uses[0]
            for number in buffer.uses[1:]:
                readers[writer].add(number)
                if number in self._in_place:
                    writer = number
        result: dict[int, frozenset[str]] = {}
        for call in reversed(self._calls):
            result[call.number] = frozenset(call.writes).union(
                *(result[number] for number in readers[call.number])
            )
        return result

    @cached_property
    def _in_place(self) -> set[int]:
        """Calls that write into a tensor of another call.

        They make no tensor of their own and update nothing. Which operand one writes is not
        known: all count, so that a call may seem to be needed by more updates than it is.
        """
        making = {buffer.uses[0] for buffer in self._buffers}
        return {c.number for c in self._calls if c.number not in making and not c.writes}

    def without(self, parameters: Iterable[str]) -> Freezing:
        """The effect of freezing parameters: calls that only their updates need are gone.

        An estimate: the arena is not planned anew. Where nothing is trained any more, a step
        takes what inference takes.
        """
        frozen = frozenset(parameters)
        gone = {
            call.number
            for call in self._calls
            if call.phase != "forward" and (need := self.needed_by[call.number]) and need <= frozen
        }
        rest = [left for b in self._memory.timeline if (left := _without(b, gone)) is not None]
        if frozen.issuperset(self.trained):
            rest = [buffer for buffer in rest if buffer.function == "infer"]
        peak = replace(self._memory, timeline=tuple(rest)).peak
        before = self._memory.peak
        arena = peak.live_bytes if peak is not None else 0
        released = before.live_bytes - arena if before is not None else 0
        state = {f"{name}.velocity" for name in frozen} | frozen
        return Freezing(
            tuple(name for name in self.trained if name in frozen),
            arena,
            released + sum(s.bytes for s in self._memory.slots if s.name in state),
        )

    def options(self) -> list[Freezing]:
        """Freezings that lower the peak: more parameters only where they save more."""
        peak = self._memory.peak
        if peak is None or peak.function != "step":
            return []
        sets: set[frozenset[str]] = set()
        for buffer in peak.live:
            later = [n for n in buffer.uses if n >= peak.call.number]
            needs = [self.needed_by[n] for n in later if self._calls[n].phase != "forward"]
            sets.update(needs, [frozenset().union(*needs)])
        found: list[Freezing] = []
        for candidate in sorted(sets, key=lambda s: (len(s), sorted(s))):
            option = self.without(candidate)
            best = min((f.arena for f in found), default=peak.live_bytes)
            if option.arena < best:
                found.append(option)
        nothing = self.without(self.trained)
        if found and nothing.saved > found[-1].saved:
            found.append(nothing)
        return found


def _without(buffer: Buffer, gone: set[int]) -> Buffer | None:
    """What is left of a buffer's lifetime; None where nothing reads it any more."""
    if buffer.function != "step":
        return buffer
    uses = tuple(number for number in buffer.uses if number not in gone)
    if uses == buffer.uses:
        return buffer
    if len(uses) < 2:
        return None
    return replace(buffer, uses=uses, first=uses[0], last=uses[-1])


def _sram(program: Program, limit: int) -> list[str]:
    memory, peak = program.memory, program.memory.peak
    parts = [
        f"{memory.arena_bytes} bytes are the arena, {memory.param_bytes} trained parameters "
        "and optimizer state"
    ]
    if peak is not None:
        tensors = ", ".join(
            f"{tensor_type(b)} of {b.label} at {b.location} ({b.bytes} bytes)"
            for b in peak.live[:_TENSORS_NAMED]
        )
        parts.append(
            f"the peak is at op {peak.call.number} of {peak.function}, {describe(peak.call)} "
            f"({peak.call.phase}), with {tensors}"
        )
    dependences = Dependences(memory)
    options = dependences.options()
    fitting = [o for o in options if memory.sram_bytes - o.saved <= limit]
    if dependences.trained and (memory.param_bytes > memory.arena_bytes or not fitting):
        parts.append(_largest_slots(program))
    # Those that do not suffice, from the most to the least; then the least that does.
    named = fitting[:1] or options[-1:]
    named = [o for o in options if o not in fitting and o not in named][
        : _OPTIONS_NAMED - 1
    ] + named
    if named:
        texts = [_freezing(program, dependences, option, limit) for option in named]
        parts.append("with another update=, " + "; ".join(texts))
    elif peak is not None:
        parts.append(_forward_peak(peak.call.phase, dependences))
    return parts


def _freezing(program: Program, dependences: Dependences, option: Freezing, limit: int) -> str:
    left = program.memory.sram_bytes - option.saved
    names = option.parameters
    whole = names == dependences.trained
    text = "training nothing" if whole else f"freezing {_names(names)}"
    if len(names) == 1 and program.graph.parameters[names[0]].array.ndim > 1:
        text += " or training a smaller fraction of it"
    text += f" saves about {option.saved} bytes"
    if left <= limit:
        return text + ", which is enough"
    if whole:
        return text + ", which is not enough: that takes a smaller input or batch"
    return text


def _forward_peak(phase: str, dependences: Dependences) -> str:
    if not dependences.trained:
        return "nothing is trained: a smaller input or batch helps"
    if phase == "forward":
        return (
            "nothing alive there is kept for an update, so that no update policy lowers the peak: "
            "a smaller input or batch does"
        )
    return "no update policy lowers the peak: a smaller input or batch does"


def _largest_slots(program: Program) -> str:
    memory = program.memory
    velocity = {s.name: s.bytes for s in memory.slots if s.name.endswith(".velocity")}
    sizes = {
        s.name: s.bytes + velocity.get(f"{s.name}.velocity", 0)
        for s in memory.slots
        if s.name in program.graph.parameters
    }
    text = f"the largest trained parameters are {_largest(sizes)}: frozen, they take flash only"
    if velocity:
        text += f"; momentum=0 saves {sum(velocity.values())} bytes"
    return text


def _flash(program: Program) -> list[str]:
    memory = program.memory
    parameters = {name: p.array.nbytes for name, p in program.graph.parameters.items()}
    code = {n.removeprefix(".text."): s for n, s in memory.sections.items() if memory.is_code(n)}
    total = sum(parameters.values())
    parts = [f"{memory.code_bytes} bytes are code, {total} the values of all parameters"]
    if total >= memory.code_bytes:
        parts.append(
            f"the largest are {_largest(parameters)}; a frozen parameter lies there too, and so does "
            "the initial value of a trained one, so that no update policy helps: a smaller model does"
        )
    else:
        parts.append(f"the largest functions are {_largest(code)}")
        backward = {c.label for c in memory.calls if c.phase != "forward"}
        if backward:
            parts.append(
                f"{len(backward)} kinds of kernels are of the backward pass and the updates: training "
                "fewer layers (update=) needs fewer of them"
            )
    return parts


def _largest(sizes: dict[str, int]) -> str:
    order = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} ({size} bytes)" for name, size in order[:_NAMES_SHOWN])


def _names(names: tuple[str, ...]) -> str:
    if len(names) <= _NAMES_SHOWN:
        return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"{len(names)} parameters ({names[0]}, {names[1]}, … {names[-1]})"
