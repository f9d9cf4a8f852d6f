"""How much memory an order of ops needs, and the least that any order needs.

Written apart from the compiler's own cost model, to check it. A value takes the bytes of its
tensor from the op that produces it to the last op that reads it, both included; what the
function returns stays to the end. Nothing is counted for arguments and constants, for views,
which stand for the value that they show, and for updates in place, which no other reader of the
parameter may follow.

The least peak is found in two ways. CP-SAT: each value is an interval, all of them under a
capacity that is minimised. An exhaustive search of sets of ops: it decides large training graphs,
where CP-SAT's lower bound stays low.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

from ortools.sat.python import cp_model

from tinytrain_mlir import ir

VIEWS = {"tinytrain.reshape", "tensor.expand_shape", "tensor.collapse_shape"}
CONSTANTS = {"arith.constant", "tensor.empty"}

InPlace = Callable[[Any, int], int]
"""Of an op and the number of an operand: bytes saved if the operand dies there, because the op's
result takes them over. An op takes over one operand at most."""


def no_credit(op: Any, operand: int) -> int:
    """Nothing is written in place."""
    return 0


@dataclass(frozen=True)
class Value:
    """A buffer: `producer` and `readers` are numbers of ops; `stays` if it is returned."""

    bytes: int
    producer: int
    readers: frozenset[int]
    stays: bool = False


@dataclass(frozen=True)
class SchedulingProblem:
    """Ops 0 … n - 1 in their order in the function, without terminator, views and constants.

    Attributes:
        names: of the ops, for messages.
        values: what takes memory.
        after: for each op, the ops that have to stand before it.
        takes_over: by op, then by value, the bytes saved where the value dies at the op.
    """

    names: tuple[str, ...]
    values: tuple[Value, ...]
    after: tuple[frozenset[int], ...]
    takes_over: dict[int, dict[int, int]] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[int, ...]:
        """The order in which the ops stand."""
        return tuple(range(len(self.names)))

    def is_order(self, order: Sequence[int]) -> bool:
        """Whether `order` holds every op once, each after all that it needs."""
        position = {op: i for i, op in enumerate(order)}
        return sorted(order) == list(self.identity) and all(
            position[before] < position[op]
            for op, needed in enumerate(self.after)
            for before in needed
        )

    def peak(self, order: Sequence[int]) -> int:
        """Most bytes alive while one op runs."""
        position = {op: i for i, op in enumerate(order)}
        live, saved = [0] * len(order), [0] * len(order)
        for number, value in enumerate(self.values):
            first = position[value.producer]
            last = max((position[r] for r in value.readers), default=first)
            for i in range(first, len(order) if value.stays else last + 1):
                live[i] += value.bytes
            if not value.stays:
                credit = self.takes_over.get(order[last], {}).get(number, 0)
                saved[last] = max(saved[last], credit)
        return max((total - credit for total, credit in zip(live, saved, strict=True)), default=0)

    @cached_property
    def _ancestors(self) -> list[int]:
        """For each op, a bit for every op that has to stand before it."""
        result: list[int] = []
        for needed in self.after:  # the ops stand in a legal order
            bits = 0
            for before in needed:
                bits |= result[before] | 1 << before
            result.append(bits)
        return result

    @cached_property
    def lower_bound(self) -> int:
        """Bytes that are alive at one op in every order, at the op where they are most."""
        ancestors = self._ancestors
        most = 0
        for op in self.identity:
            live = -max(self.takes_over.get(op, {}).values(), default=0)
            for value in self.values:
                starts = value.producer == op or ancestors[op] >> value.producer & 1
                ends = value.stays or any(
                    r == op or ancestors[r] >> op & 1 for r in (*value.readers, value.producer)
                )
                if starts and ends:
                    live += value.bytes
            most = max(most, live)
        return most

    def minimize(self, seconds: float, start: Sequence[int] | None = None) -> tuple[int, int]:
        """The least peak that is found, and a lower bound of every peak.

        Args:
            seconds: for CP-SAT, which is asked where the search does not end.
            start: an order to begin with.
        """
        best = self.peak(self.identity if start is None else start)
        if best == self.lower_bound:
            return best, best
        least, bound = self.search()
        if least is not None:
            return least, bound
        best, other = self.solve(seconds, start)
        return best, max(bound, other)

    def solve(self, seconds: float, start: Sequence[int] | None = None) -> tuple[int, int]:
        """The least peak that CP-SAT finds, and its lower bound."""
        return _solve(self, seconds, self.identity if start is None else start)

    def search(self, limit: int = 30_000) -> tuple[int | None, int]:
        """The least peak by exhaustive search, None after `limit` states; and a lower bound.

        A state is a set of ops that have run; states of the lowest peak are followed first. An op
        runs at once, without a choice, if it neither leaves more bytes alive than there were nor
        raises the peak: in any order it can be moved there.
        """
        everything = (1 << len(self.names)) - 1
        queue = [(self.lower_bound, 0, 0, 0)]  # peak, ops that are left, done, bytes alive
        seen: set[int] = set()
        bound = self.lower_bound
        while queue and len(seen) < limit:
            bound, _, done, live = heapq.heappop(queue)
            free = True
            while free:
                free = False
                steps = []
                for op, needed in enumerate(self._needed):
                    if not done >> op & 1 and needed & done == needed:
                        peak, after = self._run(op, done, live)
                        if peak <= bound and after <= live:
                            done, live, free = done | 1 << op, after, True
                        else:
                            steps.append((peak, op, after))
            if done == everything:
                return bound, bound
            if done in seen:
                continue
            seen.add(done)
            for peak, op, after in steps:
                state = done | 1 << op
                if state not in seen:
                    heapq.heappush(queue, (max(peak, bound), -state.bit_count(), state, after))
        return None, bound

    @cached_property
    def _needed(self) -> list[int]:
        """For each op, a bit for every op that it directly needs."""
        return [sum(1 << before for before in needed) for needed in self.after]

    @cached_property
    def _effects(self) -> list[tuple[int, int, list[tuple[int, int, int]]]]:
        """For each op: bytes it makes, bytes of these that it leaves, and what may die there.

        The latter as the bytes, the bits of the other readers, and the bytes it may take over.
        """
        makes, leaves = [0] * len(self.names), [0] * len(self.names)
        dies: list[list[tuple[int, int, int]]] = [[] for _ in self.names]
        for number, value in enumerate(self.values):
            makes[value.producer] += value.bytes
            if value.readers or value.stays:
                leaves[value.producer] += value.bytes
            readers = sum(1 << r for r in value.readers)
            for op in value.readers if not value.stays else ():
                credit = self.takes_over.get(op, {}).get(number, 0)
                dies[op].append((value.bytes, readers & ~(1 << op), credit))
        return list(zip(makes, leaves, dies, strict=True))

    def _run(self, op: int, done: int, live: int) -> tuple[int, int]:
        """Bytes alive while `op` runs after the set of ops `done`, and behind it."""
        makes, leaves, dies = self._effects[op]
        dead = credit = 0
        for size, others, saved in dies:
            if others & done == others:
                dead += size
                credit = max(credit, saved)
        return live + makes - credit, live + leaves - dead


def _solve(problem: SchedulingProblem, seconds: float, start: Sequence[int]) -> tuple[int, int]:
    """Op `i` runs in slot `at[i]`; a value is an interval of slots; the capacity is minimised.

    A value that an op may take over ends one slot earlier if the op does so. Where only a part of
    its bytes is saved, the value is several intervals, one for each amount.
    """
    count = len(problem.names)
    ancestors = problem._ancestors
    descendants = [sum(bits >> op & 1 for bits in ancestors) for op in problem.identity]
    model = cp_model.CpModel()
    at = [
        model.new_int_var(ancestors[op].bit_count(), count - 1 - descendants[op], f"at{op}")
        for op in problem.identity
    ]
    model.add_all_different(at)
    for op, needed in enumerate(problem.after):
        for before in needed:
            model.add(at[before] < at[op])
    takes = {
        (op, value): model.new_bool_var(f"op{op} takes value{value}")
        for op, credits in problem.takes_over.items()
        for value in credits
    }
    for op, credits in problem.takes_over.items():
        model.add_at_most_one(takes[op, value] for value in credits)
    intervals, demands = [], []
    for number, value in enumerate(problem.values):
        readers = sorted(value.readers) or [value.producer]
        saved = {r: problem.takes_over.get(r, {}).get(number, 0) for r in readers}
        below = 0
        for amount in sorted({*saved.values(), value.bytes} - {0}):
            ends = [at[r] + 1 - (takes[r, number] if saved[r] >= amount else 0) for r in readers]
            end = model.new_int_var(1, count, "")
            if value.stays:
                model.add(end == count)
            else:
                model.add_max_equality(end, ends)
            size = model.new_int_var(1, count, "")
            intervals.append(model.new_interval_var(at[value.producer], size, end, ""))
            demands.append(amount - below)
            below = amount
    capacity = model.new_int_var(problem.lower_bound, problem.peak(start), "capacity")
    model.add_cumulative(intervals, demands, capacity)
    for slot, op in enumerate(start):
        model.add_hint(at[op], slot)
    model.minimize(capacity)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = 2
    status = solver.solve(model)
    assert status in (cp_model.OPTIMAL, cp_model.FEASIBLE), solver.status_name(status)
    return round(solver.objective_value), round(solver.best_objective_bound)


# From MLIR --------------------------------------------------------------------------


def read_problem(func: Any, inplace: InPlace = no_credit) -> SchedulingProblem:
    """The problem of a `func.func` on tensors with one block.

    Args:
        inplace: see `InPlace`.
    """
    block = func.regions[0].blocks[0]
    ops = list(block.operations)
    terminator = ops.pop()
    updates = _updated_arguments(func, terminator)
    # What a value is a view of: an argument or a result of an op.
    root: dict[Any, Any] = {}
    scheduled = []
    for op in ops:
        if op.operation.name in VIEWS:
            source = op.operation.operands[0]
            root[op.operation.results[0]] = root.get(source, source)
        elif op.operation.name not in CONSTANTS:
            scheduled.append(op.operation)
    returned = {root.get(v, v) for v in terminator.operation.operands}
    readers: dict[Any, dict[int, list[int]]] = {}  # value -> op -> numbers of its operands
    for i, op in enumerate(scheduled):
        for position, operand in enumerate(op.operands):
            value = root.get(operand, operand)
            readers.setdefault(value, {}).setdefault(i, []).append(position)
    after: list[set[int]] = [set() for _ in scheduled]
    values: list[Value] = []
    takes_over: dict[int, dict[int, int]] = {}
    for i, op in enumerate(scheduled):
        for result in op.results:
            reads = readers.get(result, {})
            for reader in reads:
                after[reader].add(i)
            if result in updates:
                after[i] |= readers.get(updates[result], {}).keys() - {i}
                continue
            for reader, positions in reads.items():
                saved = min(inplace(scheduled[reader], position) for position in positions)
                if saved:
                    saved = min(saved, _bytes(result.type))
                    takes_over.setdefault(reader, {})[len(values)] = saved
            stays = result in returned
            values.append(Value(_bytes(result.type), i, frozenset(reads), stays))
    return SchedulingProblem(
        tuple(op.name for op in scheduled),
        tuple(values),
        tuple(frozenset(needed) for needed in after),
        takes_over,
    )


def _updated_arguments(func: Any, terminator: Any) -> dict[Any, Any]:
    """The argument that each value written in place replaces."""
    arguments = func.regions[0].blocks[0].arguments
    result = {}
    if "res_attrs" in func.attributes:
        attrs = ir.ArrayAttr(func.attributes["res_attrs"])
        for value, entry in zip(terminator.operation.operands, attrs, strict=True):
            for item in cast(Any, ir.DictAttr(entry)):
                if item.name == "tinytrain.update_of":
                    result[value] = arguments[ir.IntegerAttr(item.attr).value]
    return result


def _bytes(type_: Any) -> int:
    shaped = ir.RankedTensorType(type_)
    count = 1
    for size in shaped.shape:
        count *= size
    width = {"f32": 4, "i32": 4, "i8": 1, "i1": 1}[str(shaped.element_type)]
    return count * width
