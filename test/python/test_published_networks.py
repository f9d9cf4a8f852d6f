"""The memory of the published networks with every published scheme: plan, sections, results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import published
import pytest

import tinytrain_mlir as tt
from tinytrain_mlir import ir
from tinytrain_mlir.driver import Buffer
from tinytrain_mlir.program import Program

pytestmark = pytest.mark.skipif(not published.present(), reason=published.WHY_ABSENT)

ALIGNMENT = 16
BOUND_RATIO = 1.02  # of the arena to the largest sum of live bytes
STEP_TOLERANCE = 1e-5  # of the optimised program to the conventional one, relative

CASES = [
    (network, scheme)
    for network in (published.NETWORKS if published.present() else ())
    for scheme in published.schemes(network)
]
SCHEMES = pytest.mark.parametrize(("network", "scheme"), CASES)


@cache
def compiled(network: str, scheme: str) -> Program:
    """The program for the Cortex-M7 with every optimisation."""
    update = published.schemes(network)[scheme]
    return tt.compile(published.load(network), update=update, target="cortex-m7", name="net")


# The plan, recomputed


def live_together(a: Buffer, b: Buffer) -> bool:
    return a.function == b.function and a.first <= b.last and b.first <= a.last


@dataclass(frozen=True)
class Overlap:
    """Buffer `result`, written at the call that reads buffer `operand` last, may overlap it.

    It may lie at most `below` or at least `above` bytes behind it.
    """

    operand: int
    result: int
    below: int
    above: int

    def allows(self, distance: int) -> bool:
        """Whether the result may lie so many bytes behind the operand."""
        return distance <= self.below or distance >= self.above


@cache
def overlaps(network: str, scheme: str) -> tuple[Overlap, ...]:
    """What the kernels declare, for the buffers that each call is given."""
    program = compiled(network, scheme)
    result = []
    with ir.Context(), ir.Location.unknown():
        module = ir.Module.parse(program.ir("codegen"))
        functions = {
            ir.StringAttr(op.attributes["sym_name"]).value: op.operation
            for op in module.body.operations
            if op.operation.name == "func.func"
        }
        for name in ("infer", "step"):
            block = functions[name].regions[0].blocks[0]
            calls = [op.operation for op in block.operations if op.operation.name == "func.call"]
            for number, call in enumerate(calls):
                callee = functions[ir.FlatSymbolRefAttr(call.attributes["callee"]).value]
                if "tinytrain.overlaps" not in callee.attributes:
                    continue
                for entry in ir.ArrayAttr(callee.attributes["tinytrain.overlaps"]):
                    first, second, below, above = ir.DenseI64ArrayAttr(entry)
                    operand = _buffer(program, name, call.operands[first], last=number)
                    written = _buffer(program, name, call.operands[second], first=number)
                    if operand is not None and written is not None:
                        result.append(Overlap(operand, written, below, above))
    return tuple(result)


def _buffer(program: Program, function: str, value: Any, **when: int) -> int | None:
    """Number of the buffer that `value` shows, if its life begins or ends at the call `when`."""
    while (owner := getattr(value.owner, "operation", None)) and owner.name in VIEWS:
        if owner.name == "memref.view":
            break
        value = owner.operands[0]
    if not owner or owner.name != "memref.view":
        return None
    if ir.FlatSymbolRefAttr(owner.operands[0].owner.attributes["name"]).value != "arena":
        return None
    offset = ir.IntegerAttr(owner.operands[1].owner.attributes["value"]).value
    found = [
        i
        for i, b in enumerate(program.compiled.buffers)
        if b.function == function
        and b.offset == offset
        and all(getattr(b, key) == number for key, number in when.items())
    ]
    assert len(found) <= 1
    return found[0] if found else None


def largest_sum(buffers: tuple[Buffer, ...], shared: tuple[Overlap, ...]) -> int:
    """Bytes alive at the call where they are most, less what may be shared there."""
    most = 0
    for function in {b.function for b in buffers}:
        mine = [b for b in buffers if b.function == function]
        for call in {b.first for b in mine}:
            total = sum(b.bytes for b in mine if b.first <= call <= b.last)
            for overlap in shared:
                result = buffers[overlap.result]
                if result.function == function and result.first == call:
                    total -= most_shared(overlap, buffers)
            most = max(most, total)
    return most


def most_shared(overlap: Overlap, buffers: tuple[Buffer, ...]) -> int:
    """Most bytes that the two can have in common, over all the distances that are allowed."""
    a, b = buffers[overlap.operand].bytes, buffers[overlap.result].bytes
    distances = np.arange(-b, a + 1)
    allowed = (distances <= overlap.below) | (distances >= overlap.above)
    common = np.minimum(a, distances + b) - np.maximum(0, distances)
    return int(max(0, common[allowed].max(initial=0)))


def statistic(program: Program, name: str) -> int:
    """What the pass that plans memory counted."""
    values = [
        s.value
        for s in program.compiled.statistics
        if s.pass_name == "tinytrain-plan-memory" and s.name == name
    ]
    assert len(values) == 1, f"{name} stands {len(values)} times"
    return int(values[0])


@SCHEMES
def test_the_arena_is_at_its_bound(network: str, scheme: str) -> None:
    program = compiled(network, scheme)
    arena = program.memory.arena_bytes
    bound = statistic(program, "bound-bytes")
    print(f"{network} {scheme}: arena {arena / 1024:.1f} KiB, {arena / bound:.4f} of its bound")
    assert bound == largest_sum(program.compiled.buffers, overlaps(network, scheme))
    assert bound <= arena <= BOUND_RATIO * bound
    assert arena == statistic(program, "arena-bytes")


@SCHEMES
def test_the_plan_is_valid(network: str, scheme: str) -> None:
    program = compiled(network, scheme)
    buffers = program.compiled.buffers
    assert {b.function for b in buffers} == {"infer", "step"}
    for buffer in buffers:
        assert buffer.offset % ALIGNMENT == 0 and buffer.offset >= 0
        assert buffer.offset + buffer.bytes <= program.memory.arena_bytes
        assert buffer.bytes > 0 and 0 <= buffer.first <= buffer.last
    for i, j in combinations(range(len(buffers)), 2):
        a, b = buffers[i], buffers[j]
        apart = a.offset + a.bytes <= b.offset or b.offset + b.bytes <= a.offset
        if live_together(a, b) and not apart:
            assert any(
                {i, j} == {o.operand, o.result}
                and o.allows(buffers[o.result].offset - buffers[o.operand].offset)
                for o in overlaps(network, scheme)
            ), f"{a} overlaps {b}"
    slots = sorted(program.compiled.slots, key=lambda s: s.offset)
    for one, other in pairwise(slots):
        assert one.offset + one.bytes <= other.offset
    assert all(slot.offset % ALIGNMENT == 0 for slot in slots)


# Parameters stay where they are

VIEWS = {
    f"memref.{name}"
    for name in ("subview", "cast", "expand_shape", "collapse_shape", "reinterpret_cast", "view")
}


def walk(operation: Any) -> Iterator[Any]:
    yield operation
    for region in operation.regions:
        for block in region.blocks:
            for op in block.operations:
                yield from walk(op.operation)


def parameters_of(function: Any) -> list[Any]:
    """The arguments that are parameters or optimizer state."""
    arguments = function.regions[0].blocks[0].arguments
    attributes = ir.ArrayAttr(function.attributes["arg_attrs"])
    marks = ("tinytrain.param", "tinytrain.state")
    pairs = zip(arguments, attributes, strict=True)
    return [argument for argument, entry in pairs if any(mark in str(entry) for mark in marks)]


@SCHEMES
def test_no_parameter_is_copied(network: str, scheme: str) -> None:
    with ir.Context(), ir.Location.unknown():
        module = ir.Module.parse(compiled(network, scheme).ir("bufferized"))
        functions = [op.operation for op in module.body.operations if "arg_attrs" in op.attributes]
        names = {ir.StringAttr(function.attributes["sym_name"]).value for function in functions}
        assert names >= {"infer", "step"}
        for function in functions:
            parameters = parameters_of(function)
            for op in walk(function):
                if op.name not in ("memref.copy", "linalg.copy"):
                    continue
                for operand in op.operands:
                    while operand not in parameters:
                        owner = getattr(operand.owner, "operation", operand.owner)
                        if getattr(owner, "name", None) not in VIEWS:
                            break
                        operand = owner.operands[0]
                    assert operand not in parameters, str(op)


# The linked program


@SCHEMES
def test_memory_is_that_of_the_linked_program(network: str, scheme: str, tmp_path: Path) -> None:
    pytest.importorskip("ziglang", reason="ziglang: not installed, so nothing is linked")
    from tinytrain_mlir.runtime.freestanding import memory_functions
    from tinytrain_mlir.runtime.link import link
    from tinytrain_mlir.runtime.memory_map import memory_map

    program = compiled(network, scheme)
    files = [tmp_path / "net.o", tmp_path / "mem.o"]
    files[0].write_bytes(program.compiled.object)
    files[1].write_bytes(memory_functions("cortex-m7"))
    image = link(
        files[:1],
        tmp_path / "net.elf",
        memory_map("cortex-m7"),
        fallbacks=files[1:],
        data="large",
    )
    memory = program.memory
    assert image.sections[".tinytrain.arena"][1] == memory.arena_bytes
    assert image.sections[".tinytrain.params"][1] == memory.param_bytes
    other = sum(image.sections.get(name, (0, 0))[1] for name in (".data", ".bss"))
    assert memory.sram_bytes == memory.arena_bytes + memory.param_bytes + other


# Results


@pytest.mark.parametrize(
    ("network", "scheme"), [case for i, case in enumerate(CASES) if i % 5 in (0, 3)]
)
def test_optimisations_change_no_result(network: str, scheme: str) -> None:
    """Three steps on random images: as the conventional program, which all updates end."""
    graph, update = published.load(network), published.schemes(network)[scheme]
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (3, *graph.input.layout.torch_shape)).astype(np.float32)
    states = []
    for passes in (tt.MemoryPasses.none(), tt.MemoryPasses(detach=False), tt.MemoryPasses()):
        program = tt.compile(graph, update=update, optimizer=tt.SGD(1e-3), passes=passes)
        with program.load() as session:
            start = session.parameters()
            losses = [session.step(x, np.array([i])) for i, x in enumerate(images)]
            states.append((program.memory, losses, session.parameters()))
    (much, losses, wanted), (_, same_losses, same), (little, others, got) = states
    assert little.arena_bytes < much.arena_bytes
    # Bit for bit; where a part is detached, the lanes of a sum may be others.
    assert same_losses == losses
    np.testing.assert_allclose(others, losses, rtol=STEP_TOLERANCE)
    changed = {name for name, value in wanted.items() if (value != start[name]).any()}
    assert {"classifier.weight", "classifier.bias"} <= changed
    for name, value in wanted.items():
        np.testing.assert_array_equal(same[name], value, err_msg=name)
        limit = STEP_TOLERANCE * np.abs(value).max() if name in changed else 0
        np.testing.assert_allclose(got[name], value, rtol=0, atol=limit, err_msg=name)
