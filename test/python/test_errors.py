"""Every mistake of a user ends in one clear sentence: what was expected, what came, what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networks
import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from click.testing import CliRunner
from networks import mlp
from torch import nn

import tinytrain_mlir as tt
from tinytrain_mlir import errors
from tinytrain_mlir.cli import main

if TYPE_CHECKING:
    from tinytrain_mlir.graph import Graph
    from tinytrain_mlir.session import Session

X = torch.zeros(2, 4)


def sentence(error: BaseException) -> str:
    """The message, which is a single line that fits a terminal."""
    assert isinstance(error, tt.TinyTrainError)
    message = str(error)
    assert "\n" not in message and 10 < len(message) < 500, message
    assert "Traceback" not in message and "0x" not in message
    return message


def fails(kind: type[Exception], *words: str, model: Any = None, x: Any = X, **options: Any) -> str:
    """Compiling fails with this kind of error, whose message has these words."""
    with pytest.raises(kind) as caught:
        tt.compile(model if model is not None else nn.Linear(4, 3), x, **options)
    message = sentence(caught.value)
    for word in words:
        assert word in message, message
    return message


class Fn(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *xs: torch.Tensor) -> Any:
        return self.function(*xs)


# Options


def test_unknown_target() -> None:
    message = fails(errors.ConfigError, "did you mean 'cortex-m7'", target="cortex-m77")
    assert all(name in message for name in tt.targets())


def test_unknown_options() -> None:
    fails(errors.ConfigError, "'cross_entropy', 'mse' or None", "'hinge'", loss="hinge")
    fails(errors.ConfigError, "'f32'", "'f16'", precision="f16")
    for name in ("", "7net", "my-net", "a b", "naïve"):
        fails(errors.ConfigError, "C identifier", repr(name), name=name)
    with pytest.raises(TypeError, match="batch_size"):
        tt.compile(nn.Linear(4, 3), X, batch_size=3)  # type: ignore[call-arg]


def test_passes_and_reorder_contradict() -> None:
    with pytest.raises(errors.ConfigError, match=r"reorder=False or passes=, not both"):
        tt.compile(nn.Linear(4, 3), X, reorder=False, passes=tt.MemoryPasses())


@pytest.mark.parametrize("name", ["int", "for", "while", "float"])
def test_c_keywords_are_fine_as_prefix(name: str) -> None:
    """`int_step` is no keyword."""
    assert tt.compile(nn.Linear(4, 3), X, name=name).name == name


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lr": 0.0}, "lr > 0"),
        ({"lr": -1.0}, "got -1.0"),
        ({"lr": float("nan")}, "lr > 0"),
        ({"lr": float("inf")}, "finite"),
        ({"momentum": 1.0}, "momentum in [0, 1)"),
        ({"momentum": -0.1}, "momentum in [0, 1)"),
        ({"weight_decay": -1e-3}, "weight_decay >= 0"),
        ({"weight_decay": float("nan")}, "weight_decay >= 0"),
    ],
)
def test_sgd(options: dict[str, float], words: str) -> None:
    with pytest.raises(errors.ConfigError, match=re.escape(words)) as caught:
        tt.SGD(**options)
    assert sentence(caught.value).startswith("SGD: expected")


def test_update_policies() -> None:
    fails(
        errors.ConfigError,
        "'wieght' matches no parameter",
        "weight, bias",
        update=tt.SparseUpdate({"wieght": True}),
    )
    for value in (0.0, 1.5, -0.5, float("nan"), "yes", None):
        update = tt.SparseUpdate({"weight": value})  # type: ignore[dict-item]
        fails(errors.ConfigError, "a fraction in (0, 1]", "'weight'", repr(value), update=update)
    for channels in ((), (1, 2), (0, 2), (0, 1, 2, 3, 4)):
        fails(errors.ConfigError, "'weight'", update=tt.SparseUpdate({"weight": channels}))
    fails(errors.ConfigError, "between 0 and 1 biases", "got 3", update=tt.BiasOnly(3))
    fails(errors.ConfigError, "got -1", update=tt.BiasOnly(-1))
    fails(errors.ConfigError, "no parameters", model=nn.ReLU(), update=tt.LastLayer())


@pytest.mark.parametrize("size", ["lots", "12 XB", "-3", "", "1e3KB"])
def test_budget_sizes(size: str) -> None:
    fails(errors.ConfigError, "'256KB'", f"'{size}'", budget=tt.Budget(sram=size))


def test_stages_and_emulators() -> None:
    program = tt.compile(nn.Linear(4, 3), X)
    with pytest.raises(errors.ConfigError, match="unknown stage 'linalg': expected one of import"):
        program.ir("linalg")
    with pytest.raises(errors.ConfigError, match="runs in this process") as caught:
        program.load(emulator="qemu")
    sentence(caught.value)
    with pytest.raises(errors.ConfigError, match="'auto', 'unicorn' or 'qemu', got 'bochs'"):
        tt.compile(nn.Linear(4, 3), X, target="cortex-m7").load(emulator="bochs")  # type: ignore[arg-type]


# Models


def test_what_is_no_model() -> None:
    fails(
        errors.ConfigError,
        "torch.nn.Module, a torch.export.ExportedProgram, a path or",
        "function",
        model=F.relu,
    )
    fails(errors.ConfigError, "example_inputs", x=None)
    fails(errors.ConfigError, ".mlir", "net.onnx", model="net.onnx")


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "net.mlir"
    fails(errors.ModelError, "net.mlir is missing", "Graph.save", model=path, x=None)
    tt.compile(nn.Linear(4, 3), X).graph.save(path)
    text, arrays = path.read_text(), path.with_suffix(".npz").read_bytes()
    path.with_suffix(".npz").unlink()
    fails(errors.ModelError, "net.npz is missing", model=path, x=None)
    for content, data in (
        (text, b""),
        (text, arrays[: len(arrays) // 2]),
        (text[: len(text) // 2], arrays),
        ("", arrays),
        ("func.func @other() { return }", arrays),
    ):
        path.write_text(content)
        path.with_suffix(".npz").write_bytes(data)
        fails(errors.ModelError, "net.mlir", "Graph.save", model=path, x=None)


def test_example_inputs() -> None:
    fails(errors.DTypeError, "float32", "float64", ".float()", x=X.double())
    fails(errors.DTypeError, "int64", x=X.long())
    fails(errors.ModelError, "empty", x=())
    fails(errors.ModelError, "torch.Tensor", "ndarray", x=np.zeros((2, 4)))
    fails(errors.ShapeError, "at least 1", "[0, 4]", x=torch.zeros(0, 4))
    fails(errors.ExportError, "inputs that do not fit", x=torch.zeros(2, 5))
    fails(errors.ModelError, "one input", "several", model=Fn(torch.add), x=(X, X))


def test_outputs() -> None:
    fails(errors.ModelError, "exactly one tensor", "returns 2", model=Fn(lambda x: (x, x + 1)))
    fails(
        errors.ConfigError,
        "[batch, classes]",
        "flatten it",
        model=nn.Conv2d(3, 2, 1),
        x=torch.zeros(1, 3, 4, 4),
    )


def test_dynamic_shapes() -> None:
    fails(errors.ShapeError, "dynamic", model=Fn(lambda x: x[x > 0] + 1))
    fails(errors.ExportError, "data-dependent", model=Fn(lambda x: x if x.sum() > 0 else -x))


def test_parameters() -> None:
    fails(errors.DTypeError, "'weight'", "float64", model=nn.Linear(4, 3).double())
    for bad in (float("nan"), float("inf")):
        model = nn.Linear(4, 3)
        with torch.no_grad():
            model.bias[1] = bad
        fails(errors.ModelError, "'bias'", "NaN or infinity", model=model)
    fails(errors.ShapeError, "no shape yet", model=nn.LazyLinear(3))
    norm = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    nn.init.constant_(norm[1].get_buffer("running_var"), float("nan"))
    fails(errors.ModelError, "'1.running_var'", model=norm)


def test_all_unsupported_ops_are_listed_at_once() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = F.gelu(x)
            x = self.norm(x)
            return torch.sigmoid(x)

    with pytest.raises(errors.UnsupportedOpError) as caught:
        tt.compile(Model(), torch.zeros(1, 8))
    first, *lines = str(caught.value).splitlines()
    assert first == "the model uses 3 ops without a translation:"
    for line, op, advice in zip(
        lines, ("gelu", "layer_norm", "sigmoid"), ("ReLU", "BatchNorm", "Hardsigmoid"), strict=True
    ):
        assert line.startswith(f"  aten.{op} at {__file__}:")
        assert advice in line
    assert "module norm" in lines[1]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: F.max_pool2d(x, 2, dilation=2), "dilation 1"),
        (lambda x: F.max_pool2d(x, 12, 1), "at most 127"),
    ],
)
def test_limits_of_max_pool_name_the_place(function: Callable[..., Any], words: str) -> None:
    x = torch.zeros(1, 1, 16, 16)
    fails(errors.ModelError, words, __file__, model=Fn(function), x=x, loss="mse")


# Data


@pytest.fixture(scope="module")
def classifier() -> Any:
    with tt.compile(mlp([4, 5, 3]), X).load() as session:
        yield session


@pytest.fixture(scope="module")
def regressor() -> Any:
    with tt.compile(mlp([4, 3]), X, loss="mse").load() as session:
        yield session


Y = np.array([0, 2])
XN = np.zeros((2, 4), np.float32)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((2, 5), np.float32), ("x: expected float32 of shape (2, 4)", "(2, 5)")),
        (np.zeros((3, 4), np.float32), ("(3, 4)",)),
        (np.zeros(4, np.float32), ("(4,)",)),
        (np.zeros((2, 4)), ("float64",)),
        (np.zeros((2, 4), np.int32), ("int32",)),
        (torch.zeros(2, 4, dtype=torch.float16), ("float16",)),
        (np.full((2, 4), np.nan, np.float32), ("finite", "NaN")),
        (np.full((2, 4), np.inf, np.float32), ("finite", "infinity")),
        ([[0.0] * 4] * 2, ("float64",)),
        (None, ("float32",)),
        ("text", ("float32",)),
    ],
)
def test_wrong_inputs(classifier: Session, x: Any, words: tuple[str, ...]) -> None:
    for call in (lambda: classifier.step(x, Y), lambda: classifier.infer(x)):
        with pytest.raises(errors.InputError) as caught:
            call()
        message = sentence(caught.value)
        assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.array([0, 3]), ("classes in [0, 3)", "0 to 3")),
        (np.array([-1, 0]), ("-1",)),
        (np.array([0.0, 1.0]), ("integer classes of shape (2,)", "float64")),
        (np.array([0]), ("(2,)", "(1,)")),
        (np.array([[0], [1]]), ("(2, 1)",)),
        (np.array([True, False]), ("bool",)),
        (1, ("(2,)",)),
        (np.array([0, 2**32]), ("4294967296",)),
        (None, ("integer",)),
    ],
)
def test_wrong_labels(classifier: Session, y: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(errors.InputError) as caught:
        classifier.step(XN, y)
    message = sentence(caught.value)
    assert all(word in message for word in words), message


def test_labels_of_all_integer_kinds(classifier: Session) -> None:
    losses = []
    for dtype in (np.int8, np.uint8, np.int32, np.int64, np.uint64):
        classifier.reset()
        losses.append(classifier.step(XN, Y.astype(dtype)))
    classifier.reset()
    losses += [classifier.step(X, torch.tensor(Y))]
    classifier.reset()
    losses += [classifier.step(X, [0, 2])]
    assert len(set(losses)) == 1


@pytest.mark.parametrize(
    ("y", "word"),
    [
        (np.zeros((2, 4), np.float32), "(2, 3)"),
        (np.zeros((2, 3)), "float64"),
        (np.full((2, 3), np.nan, np.float32), "NaN"),
        (Y, "int64"),
    ],
)
def test_wrong_targets(regressor: Session, y: Any, word: str) -> None:
    with pytest.raises(errors.InputError) as caught:
        regressor.step(XN, y)
    message = sentence(caught.value)
    assert message.startswith("y: expected") and word in message


@pytest.mark.parametrize("lr", [0.0, -0.1, float("nan"), float("inf")])
def test_wrong_learning_rates(classifier: Session, lr: float) -> None:
    with pytest.raises(errors.InputError, match="finite learning rate > 0"):
        classifier.step(XN, Y, lr=lr)


def test_wrong_data_changes_nothing(classifier: Session) -> None:
    classifier.reset()
    state = classifier.save()
    for x, y, lr in ((XN, np.array([0, 3]), 0.5), (np.zeros((2, 5), np.float32), Y, 0.5)):
        with pytest.raises(errors.InputError):
            classifier.step(x, y, lr=lr)
    assert classifier.save() == state


def test_an_inference_program_cannot_train() -> None:
    with tt.compile(nn.Linear(4, 3), X, loss=None).load() as session:
        with pytest.raises(errors.InputError, match="infers only: compile it with loss="):
            session.step(XN, Y)
        with pytest.raises(tt.TinyTrainError):
            session.save()
        with pytest.raises(tt.TinyTrainError):
            session.load(b"")


# Command line


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("graph") / "net.mlir"
    graph: Graph = tt.compile(nn.Linear(4, 3), X).graph
    graph.save(path)
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{net}", "--target", "cortex-m77"], "did you mean 'cortex-m7'"),
        (["{net}", "--lr", "-1"], "lr > 0"),
        (["{net}", "--update", "bias:x"], "bias:N"),
        (["{net}", "--update", "head.*"], "matches no parameter"),
        (["{net}", "--sram", "1B", "--target", "cortex-m7"], "over its budget of 1"),
        (["{net}", "--name", "7"], "C identifier"),
        (["absent.mlir"], "is missing"),
        (["absent.py:net"], "does not exist"),
        (["no.such.module:net"], "cannot import"),
        (["{here}:nothing", "--input-shape", "1,4"], "has no 'nothing'"),
        (["{here}:tiny_net"], "--input-shape"),
        (["net"], "FILE.py:NAME"),
    ],
)
def test_command_line_errors(
    saved: str, arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = networks.__file__
    filled = [a.format(net=saved, here=here) for a in arguments]
    done = CliRunner().invoke(main, ["compile", *filled, "--out", "out"])
    assert done.exit_code == 1
    assert words in done.output and "Traceback" not in done.output
    assert done.output.startswith("tinytrain: error: ") and done.output.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_options_of_a_wrong_type() -> None:
    fails(errors.ConfigError, "optimizer=", "SGD", optimizer="sgd")
    fails(errors.ConfigError, "update=", "tt.FullUpdate()", update=tt.FullUpdate)
    fails(errors.ConfigError, "target=", target=None)
    fails(errors.ConfigError, "budget=", budget="1MB")
    fails(errors.ConfigError, "reorder=", reorder="no")
    for lr in (1e39, 1e-60, "0.1"):
        with pytest.raises(errors.ConfigError, match="finite in f32"):
            tt.SGD(lr)  # type: ignore[arg-type]


def test_saving_where_nothing_can_be_written(tmp_path: Path) -> None:
    program = tt.compile(nn.Linear(4, 3), X)
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(errors.ConfigError, match="cannot write to"):
        program.save(file)
    with pytest.raises(errors.ModelError, match=r"ends in \.mlir"):
        program.graph.save(tmp_path / "graph.npz")


def test_the_command_line_reports_errors_in_one_sentence(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from tinytrain_mlir.cli import main

    good = tmp_path / "good.py"
    good.write_text("import torch\nmodel = torch.nn.Linear(4, 3)\n")
    broken = tmp_path / "broken.py"
    broken.write_text("model = (\n")
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(b"PK\x03\x04")
    for arguments, words in (
        (["run", f"{broken}:model", "--input-shape", "1,4"], "cannot import"),
        (["run", f"{good}:nothing", "--input-shape", "1,4"], "has no 'nothing'"),
        (["run", f"{good}:model"], "expected --input-shape"),
        (["run", f"{good}:model", "--input-shape", "1,4", "--data", str(damaged)], "x and y"),
        (["compile", f"{good}:model", "--input-shape", "1,x", "--out", "o"], "positive sizes"),
        (["run", f"{good}:model", "--input-shape", "1,4", "--steps", "0"], "x>=1"),
    ):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code != 0 and words in result.output, (arguments, result.output)
        assert "Traceback" not in result.output
