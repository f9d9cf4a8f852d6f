"""`tinytrain-reorder-ops` against the least memory that any order needs.

The model of memory and the solvers stand in schedule_model.py. For up to 20 ops the pass has to
find the optimum, which CP-SAT proves; for larger graphs its peak is compared with the lower bound
of an exhaustive search and, where that does not end, of CP-SAT.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import published
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import MobileNetV2, mlp, resnet18
from tinytrain_mlir.passmanager import PassManager

import tinytrain_mlir as tt
from tinytrain_mlir import ir

pytest.importorskip("ortools", reason="ortools: not installed, so there is no optimum to compare")

from schedule_model import SchedulingProblem, Value, no_credit, read_problem

SECONDS = 20  # for CP-SAT, each real graph
LARGE_GAP = 0.01  # of a random graph of 60 ops, to the lower bound
REAL_GAP = 0.01  # of a network, to the lower bound

# Graphs


def random_graph(random: Random, ops: int) -> str:
    """A module with one function: products, sums and activations with fan-out, and updates.

    Weights are arguments; some are updated in place while later ops still read them.
    """
    dims = (1, 4, 16, 32)
    lines: list[str] = []
    arguments = ["%x: tensor<4x16xf32>", "%lr: tensor<f32>"]
    values = [("%x", 4, 16)]
    weights: list[tuple[str, int, int, int]] = []
    updates: list[tuple[str, int, int, int]] = []

    def add(op: str, operands: str, types: str, rows: int, columns: int) -> None:
        name = f"%{len(lines)}"
        result = f"tensor<{rows}x{columns}xf32>"
        lines.append(f"{name} = tinytrain.{op} {operands} : ({types}) -> {result}")
        values.append((name, rows, columns))

    while len(lines) < ops:
        a, rows, columns = random.choice(values[-5:])
        type_a = f"tensor<{rows}x{columns}xf32>"
        kind = random.choice(["relu", "add", "weight", "weight", "join", "update"])
        if kind == "relu":
            add("relu", a, type_a, rows, columns)
        elif kind == "add":
            b = random.choice([v for v, *shape in values if shape == [rows, columns]])
            add("add", f"{a}, {b}", f"{type_a}, {type_a}", rows, columns)
        elif kind == "weight":
            fitting = [w for w in weights if w[1] == columns]
            if not fitting or random.random() < 0.6:
                width = random.choice(dims)
                weights.append((f"%w{len(arguments)}", columns, width, len(arguments)))
                arguments.append(f"{weights[-1][0]}: tensor<{columns}x{width}xf32>")
                fitting = weights[-1:]
            name, _, width, _ = random.choice(fitting)
            add("matmul", f"{a}, {name}", f"{type_a}, tensor<{columns}x{width}xf32>", rows, width)
        elif kind == "join":
            fitting_values = [v for v in values if v[1] == rows]
            b, _, width = random.choice(fitting_values)
            types = f"{type_a}, tensor<{rows}x{width}xf32>"
            add("matmul", f"{a}, {b} {{transpose_lhs}}", types, columns, width)
        else:
            taken = {index for *_, index in updates}
            free = [w for w in weights if w[1:3] == (rows, columns) and w[3] not in taken]
            if free:
                name, _, _, index = random.choice(free)
                types = f"{type_a}, {type_a}, tensor<f32>"
                add("sgd_update", f"{name}, {a}, %lr", types, rows, columns)
                updates.append((*values.pop(), index))
                # Nothing that comes later may read the old value.
                weights = [w for w in weights if w[3] != index]
    text = "\n".join(lines)
    read = set(re.findall(r"%\w+", " ".join(line.partition("=")[2] for line in lines)))
    ends = [v for v in values[1:] if v[0] not in read] or values[-1:]
    results = [f"tensor<{r}x{c}xf32>" for _, r, c in ends]
    results += [
        f"tensor<{r}x{c}xf32> {{tinytrain.update_of = {i} : i64}}" for _, r, c, i in updates
    ]
    names = [name for name, *_ in ends] + [name for name, *_ in updates]
    types = ", ".join(f"tensor<{r}x{c}xf32>" for _, r, c, *_ in (*ends, *updates))
    return (
        f"func.func @f({', '.join(arguments)}) -> ({', '.join(results)}) {{\n{text}\n"
        f"return {', '.join(names)} : {types}\n}}"
    )


def run(module: ir.Module, passes: str) -> None:
    PassManager.parse(f"builtin.module(func.func({passes}))").run(module.operation)


def credit(op: Any, operand: int) -> int:
    """Bytes that an elementwise op of `random_graph` saves by writing over an operand."""
    result = op.results[0].type
    elementwise = op.name in ("tinytrain.relu", "tinytrain.add")
    if not elementwise or op.operands[operand].type != result:
        return 0
    return 4 * math.prod(ir.RankedTensorType(result).shape)


def structure(func: Any) -> Counter[int]:
    """The ops of a function by what they compute, whatever their order."""
    keys: dict[Any, int] = {a: hash(i) for i, a in enumerate(func.regions[0].blocks[0].arguments)}
    result: Counter[int] = Counter()
    for op in func.regions[0].blocks[0].operations:
        operation = op.operation
        attributes = tuple(f"{name} {operation.attributes[name]}" for name in operation.attributes)
        operands = tuple(keys[v] for v in operation.operands)
        types = tuple(str(value.type) for value in operation.results)
        bodies = tuple(str(inner) for r in operation.regions for b in r for inner in b)
        key = hash((operation.name, attributes, operands, types, bodies))
        for i, value in enumerate(operation.results):
            keys[value] = hash((key, i))
        result[key] += 1
    return result


def reordered(
    text: str, function: int = 0, *, prepare: str = "", in_place: bool = False
) -> tuple[SchedulingProblem, SchedulingProblem]:
    """A function's problem as it stands in `text`, and after the pass, which is checked.

    Args:
        prepare: passes to run before.
        in_place: whether elementwise ops may write over an operand.
    """
    inplace = credit if in_place else no_credit
    with ir.Context(), ir.Location.unknown():
        module = ir.Module.parse(text)
        if prepare:
            run(module, prepare)
        func = module.body.operations[function].operation
        before, ops = read_problem(func, inplace), structure(func)
        assert before.is_order(before.identity)
        run(module, f"tinytrain-reorder-ops{{in-place={str(in_place).lower()}}}")
        func = module.body.operations[function].operation
        after = read_problem(func, inplace)
        assert structure(func) == ops
    assert after.is_order(after.identity)
    assert after.peak(after.identity) <= before.peak(before.identity)
    return before, after


# The model itself


def chain(*sizes: int) -> SchedulingProblem:
    """Each op reads the value before it."""
    values = tuple(Value(b, i, frozenset({i + 1})) for i, b in enumerate(sizes[:-1]))
    last = Value(sizes[-1], len(sizes) - 1, frozenset(), True)
    after = tuple(frozenset({i - 1} if i else ()) for i in range(len(sizes)))
    return SchedulingProblem(("op",) * len(sizes), (*values, last), after)


def test_peak_of_a_chain() -> None:
    """8 + 16 bytes are alive at the second op, 16 + 4 at the third."""
    problem = chain(8, 16, 4)
    assert problem.peak((0, 1, 2)) == problem.lower_bound == 24
    assert problem.search() == problem.solve(SECONDS) == (24, 24)


def test_peak_of_two_branches() -> None:
    """Two branches of 100 and then 1 byte, joined: one after the other, 100 + 1 + 1 bytes.

    Side by side both branches' 100 bytes are alive at once.
    """
    values = [(100, 0, 1), (1, 1, 4), (100, 2, 3), (1, 3, 4)]
    problem = SchedulingProblem(
        ("op",) * 5,
        (*(Value(b, p, frozenset({r})) for b, p, r in values), Value(1, 4, frozenset(), True)),
        tuple(map(frozenset, ((), (0,), (), (2,), (1, 3)))),
    )
    assert problem.peak((0, 2, 1, 3, 4)) == 201
    assert problem.peak((0, 1, 2, 3, 4)) == 102
    assert problem.search() == problem.solve(SECONDS, (0, 2, 1, 3, 4)) == (102, 102)
    assert not problem.is_order((1, 0, 2, 3, 4))


def test_what_is_not_counted() -> None:
    """Arguments, constants, views and updates; a view keeps what it shows alive."""
    text = """
    func.func @f(%x: tensor<4x4xf32>, %w: tensor<4x4xf32>, %lr: tensor<f32>)
        -> (tensor<4x4xf32> {tinytrain.update_of = 1 : i64}, tensor<16xf32>) {
      %c = arith.constant dense<1.0> : tensor<4x4xf32>
      %a = tinytrain.add %x, %c : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
      %v = tinytrain.reshape %a : (tensor<4x4xf32>) -> tensor<16xf32>
      %g = tinytrain.matmul %a, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
      %u = tinytrain.sgd_update %w, %g, %lr : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<f32>) -> tensor<4x4xf32>
      %r = tinytrain.relu %v : (tensor<16xf32>) -> tensor<16xf32>
      return %u, %r : tensor<4x4xf32>, tensor<16xf32>
    }"""
    with ir.Context(), ir.Location.unknown():
        module = ir.Module.parse(text)
        problem = read_problem(module.body.operations[0].operation)
        inplace = read_problem(
            module.body.operations[0].operation,
            lambda op, operand: 64 if op.name == "tinytrain.relu" else 0,
        )
    assert problem.names == tuple(f"tinytrain.{n}" for n in ("add", "matmul", "sgd_update", "relu"))
    assert [v.bytes for v in problem.values] == [64, 64, 64]
    assert problem.after == tuple(map(frozenset, ((), (0,), (1,), (0,))))
    assert problem.peak((0, 1, 2, 3)) == 128
    assert not problem.is_order((0, 2, 1, 3))
    # The result of relu may take the place of %a, where relu is the last to read it.
    assert inplace.peak((0, 1, 2, 3)) == 128 and inplace.peak((0, 3, 1, 2)) == 192
    assert inplace.search() == inplace.solve(SECONDS) == (128, 128)


@given(st.randoms(use_true_random=False))
def test_cp_sat_agrees_with_exhaustive_search(random: Random) -> None:
    def some_credit(op: Any, operand: int) -> int:
        return credit(op, operand) // random.choice([1, 4])

    with ir.Context(), ir.Location.unknown():
        module = ir.Module.parse(random_graph(random, 11))
        problem = read_problem(module.body.operations[0].operation, some_credit)
    least, bound = problem.search()
    assert problem.solve(SECONDS) == (least, bound) == (least, least)
    assert problem.lower_bound <= bound <= problem.peak(problem.identity)


# Random graphs


@pytest.mark.parametrize("in_place", [False, True])
@given(st.randoms(use_true_random=False), st.integers(3, 20))
def test_small_graphs_are_optimal(in_place: bool, random: Random, ops: int) -> None:
    _, after = reordered(random_graph(random, ops), in_place=in_place)
    best, bound = after.solve(SECONDS)
    assert best == bound
    assert after.peak(after.identity) == best


@settings(max_examples=4)
@given(st.randoms(use_true_random=False))
def test_large_graphs_are_almost_optimal(random: Random) -> None:
    before, after = reordered(random_graph(random, 60))
    _, bound = after.minimize(SECONDS / 4, after.identity)
    peak = after.peak(after.identity)
    print(f"{before.peak(before.identity)} -> {peak} bytes, bound {bound}")
    assert peak <= (1 + LARGE_GAP) * bound


# Networks


def training_graph(model: Any, x: Any, update: tt.config.UpdatePolicy) -> str:
    """The training step with all updates last, beside the inference."""
    return tt.compile(model, x, update=update, target="cortex-m7", reorder=False).ir("training")


def check_gap(text: str, prepare: str) -> None:
    for function, name in enumerate(("infer", "step")):
        before, after = reordered(text, function, prepare=prepare)
        peak = after.peak(after.identity)
        _, bound = after.minimize(SECONDS, after.identity)
        print(
            f"{name}: {len(after.names)} ops, {before.peak(before.identity)} -> {peak} bytes, "
            f"{100 * (peak / bound - 1):.2f} % over the bound"
        )
        assert peak <= (1 + REAL_GAP) * bound


FORMS = pytest.mark.parametrize("prepare", ["", "tinytrain-fuse-ops"], ids=["ops", "kernels"])
NETWORKS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "mlp": lambda: (mlp([64, 96, 48, 10]), torch.zeros(4, 64)),
    "mobilenet": lambda: (MobileNetV2(0.35, 10).eval(), torch.zeros(1, 3, 96, 96)),
    "resnet18": lambda: (resnet18().eval(), torch.zeros(1, 3, 32, 32)),
}


@FORMS
@pytest.mark.parametrize("network", NETWORKS)
def test_networks(network: str, prepare: str) -> None:
    model, x = NETWORKS[network]()
    check_gap(training_graph(model, x, tt.FullUpdate()), prepare)


@pytest.mark.skipif(not published.present(), reason=published.WHY_ABSENT)
@FORMS
@pytest.mark.parametrize("scheme", [2, None], ids=["sparse", "full"])
@pytest.mark.parametrize("network", published.NETWORKS)
def test_published_networks(network: str, scheme: int | None, prepare: str) -> None:
    update = (
        tt.FullUpdate() if scheme is None else list(published.schemes(network).values())[scheme]
    )
    check_gap(training_graph(published.load(network), None, update), prepare)
