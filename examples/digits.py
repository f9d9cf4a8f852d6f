"""Learning new digits on the device.

PyTorch trains a small CNN on the digits 0 to 4 of scikit-learn's handwritten digits.
The compiled program then learns all ten, one sample a step: on the host for some
epochs, and on an emulated Cortex-M7 for as many of the same steps as fit in the time
given. PyTorch takes the same steps for comparison.

    python examples/digits.py --seconds 120 --out build/demo
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import click
import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.data import DataLoader, TensorDataset

import tinytrain_mlir as tt

DEVICE = "cortex-m7"
FEW_STEPS = 50

Floats: TypeAlias = npt.NDArray[np.float32]
Labels: TypeAlias = npt.NDArray[np.int64]


class DigitsNet(nn.Module):
    """Convolution, depthwise-separable convolution, pooling and a linear classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.conv_bn = nn.BatchNorm2d(16)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False)
        self.depthwise_bn = nn.BatchNorm2d(16)
        self.pointwise = nn.Conv2d(16, 32, 1, bias=False)
        self.pointwise_bn = nn.BatchNorm2d(32)
        self.pool = nn.MaxPool2d(2)
        self.classifier = nn.Linear(32 * 4 * 4, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images [N, 1, 8, 8] to logits [N, 10]."""
        x = torch.relu(self.conv_bn(self.conv(x)))
        x = torch.relu(self.depthwise_bn(self.depthwise(x)))
        x = self.pool(torch.relu(self.pointwise_bn(self.pointwise(x))))
        logits: torch.Tensor = self.classifier(torch.flatten(x, 1))
        return logits


@dataclass(frozen=True)
class Data:
    """Images [N, 1, 8, 8] between 0 and 1 and their labels [N]; a quarter is held out."""

    images: Floats
    labels: Labels
    test_images: Floats
    test_labels: Labels

    @classmethod
    def load(cls, seed: int) -> Data:
        images, labels = load_digits(return_X_y=True)
        images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
        x, test_x, y, test_y = train_test_split(
            images, labels.astype(np.int64), test_size=0.25, stratify=labels, random_state=seed
        )
        return cls(x, y, test_x, test_y)

    def sample(self, index: int) -> tuple[Floats, Labels]:
        """A training batch of one."""
        return self.images[index : index + 1], self.labels[index : index + 1]

    def accuracy(self, session: Session) -> float:
        """The share of held-out images that the session classifies right."""
        logits = np.concatenate([session.infer(x[None]) for x in self.test_images])
        return float((logits.argmax(axis=1) == self.test_labels).mean())


class Session(Protocol):
    """What learns: a loaded program, or PyTorch."""

    @property
    def instructions(self) -> int | None: ...
    @property
    def stack_bytes(self) -> int | None: ...
    def step(self, x: Floats, y: Labels) -> float: ...
    def infer(self, x: Floats) -> Floats: ...
    def parameters(self) -> dict[str, Floats]: ...


class TorchSession:
    """PyTorch behind the methods of a loaded program."""

    instructions = None
    stack_bytes = None

    def __init__(self, model: nn.Module, lr: float, dtype: torch.dtype) -> None:
        self.model = copy.deepcopy(model).to(dtype)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=lr)
        self.dtype = dtype

    def step(self, x: Floats, y: Labels) -> float:
        self.optimizer.zero_grad()
        logits = self.model(torch.from_numpy(x).to(self.dtype))
        loss = functional.cross_entropy(logits, torch.from_numpy(y))
        loss.backward()
        self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def infer(self, x: Floats) -> Floats:
        logits: Floats = self.model(torch.from_numpy(x).to(self.dtype)).numpy()
        return logits

    def parameters(self) -> dict[str, Floats]:
        return {k: v.detach().numpy().copy() for k, v in self.model.named_parameters()}


@dataclass
class Run:
    """A session's training; `accuracy` is the held-out one before and after."""

    name: str
    session: Session
    losses: list[float] = field(default_factory=list)
    accuracy: tuple[float, float] = (0.0, 0.0)
    seconds: float = 0.0
    step_instructions: int | None = None
    infer_instructions: int | None = None
    stack_bytes: int | None = None
    parameters: dict[int, dict[str, Floats]] = field(default_factory=dict)
    """By the number of steps taken."""


def pretrain(data: Data, epochs: int = 15) -> DigitsNet:
    """A network that knows the digits 0 to 4, in evaluation mode."""
    model = DigitsNet()
    known = data.labels < 5
    images, labels = torch.from_numpy(data.images[known]), torch.from_numpy(data.labels[known])
    batches = DataLoader(TensorDataset(images, labels), batch_size=32, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        for x, y in batches:
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    return model.eval()


def fold_batch_norm(model: DigitsNet) -> DigitsNet:
    """A copy whose convolutions contain their batch norms, as the compiled network's do."""
    model = copy.deepcopy(model)
    for name in ("conv", "depthwise", "pointwise"):
        folded = fuse_conv_bn_eval(getattr(model, name), getattr(model, f"{name}_bn"))
        setattr(model, name, folded)
        setattr(model, f"{name}_bn", nn.Identity())
    return model.requires_grad_(True)  # A bias that folding made has no gradient.


def train(
    run: Run, data: Data, order: Sequence[int], seconds: float | None, keep: Sequence[int] = ()
) -> Iterator[float]:
    """Train, yielding after every step how much of the work is done, between 0 and 1.

    Args:
        run: is filled in.
        data: images and labels.
        order: the sample of each step.
        seconds: time for the steps; without it, all of them are taken.
        keep: numbers of steps after which to note the parameters, besides the last.
    """
    before = data.accuracy(run.session)
    run.infer_instructions = run.session.instructions
    start = time.perf_counter()
    for step, index in enumerate(order, start=1):
        run.losses.append(run.session.step(*data.sample(index)))
        run.seconds = time.perf_counter() - start
        elapsed = run.seconds / seconds if seconds else 0.0
        if step in keep:
            run.parameters[step] = run.session.parameters()
        yield max(step / len(order), min(elapsed, 1.0))
        if elapsed >= 1.0:
            break
    run.step_instructions = run.session.instructions
    run.stack_bytes = run.session.stack_bytes
    run.parameters[len(run.losses)] = run.session.parameters()
    run.accuracy = before, data.accuracy(run.session)


def show_progress(progress: Progress, run: Run, work: Iterator[float]) -> None:
    """Do the work of `train` with a progress bar."""
    task = progress.add_task(run.name, total=1.0, steps=0, loss=float("nan"))
    for done in work:
        loss = float(np.mean(run.losses[-100:]))
        progress.update(task, completed=done, steps=len(run.losses), loss=loss)


def loss_deviation(run: Run, reference: Run, steps: int | None = None) -> float:
    """The largest absolute difference of the loss over the first `steps` steps, or over all."""
    losses = np.array(run.losses[:steps])
    return float(np.abs(losses - reference.losses[: len(losses)]).max())


def parameter_deviation(run: Run, reference: Run) -> float:
    """The largest absolute difference of any parameter after the run's last step."""
    steps = len(run.losses)
    actual, expected = run.parameters[steps], reference.parameters[steps]
    if actual.keys() != expected.keys():
        raise ValueError(f"parameters {sorted(actual)}, but PyTorch has {sorted(expected)}")
    return max(float(np.abs(actual[name] - expected[name]).max()) for name in expected)


def training_table(runs: Sequence[Run], reference: Run) -> Table:
    """Accuracies, speed, and the largest absolute deviations from PyTorch.

    Rounding errors grow as training goes on, so PyTorch in float64 shows how far two
    right answers may be apart.
    """
    table = Table(
        title=f"Training here, {DEVICE} emulated; deviations from PyTorch", title_justify="left"
    )
    everyone = (reference, *runs)
    table.add_column("")
    for run in everyone:
        table.add_column(run.name, justify="right")
    table.add_row("steps", *(f"{len(run.losses):,}" for run in everyone))
    table.add_row("steps per second", *(f"{len(r.losses) / r.seconds:,.0f}" for r in everyone))
    table.add_row("accuracy before", *(f"{run.accuracy[0]:.1%}" for run in everyone))
    table.add_row("accuracy after", *(f"{run.accuracy[1]:.1%}" for run in everyone))
    table.add_section()
    rows: dict[str, Callable[[Run], float]] = {
        f"loss, {FEW_STEPS} steps": lambda run: loss_deviation(run, reference, FEW_STEPS),
        "loss, any step": lambda run: loss_deviation(run, reference),
        "parameters": lambda run: parameter_deviation(run, reference),
    }
    for title, deviation in rows.items():
        table.add_row(title, "", *(f"{deviation(run):.1e}" for run in runs))
    return table


def device_table(program: tt.Program, run: Run) -> Table:
    """What the program needs of the device."""
    table = Table(title=f"The program on {DEVICE}", title_justify="left")
    table.add_column("")
    table.add_column("bytes", justify="right")
    table.add_column("instructions", justify="right")
    memory = program.memory
    for title, size in (
        ("SRAM", memory.sram_bytes),
        ("  arena", memory.arena_bytes),
        ("  parameters", memory.param_bytes),
        ("flash", memory.flash_bytes),
        ("  code", memory.code_bytes),
        ("stack, training step", run.stack_bytes),
    ):
        table.add_row(title, f"{size:,}", "")
    table.add_section()
    table.add_row("training step", "", f"{run.step_instructions:,}")
    table.add_row("inference", "", f"{run.infer_instructions:,}")
    return table


def plot(path: Path, runs: Sequence[Run], reference: Run, window: int = 100) -> None:
    """Write the loss curves, each the mean over `window` steps, as PNG."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()

    def curve(losses: Sequence[float], label: str, color: str, line: str, width: float) -> None:
        size = min(window, len(losses))
        mean = np.convolve(losses, np.full(size, 1 / size), mode="valid")
        steps = np.arange(size, len(losses) + 1)
        axes.plot(steps, mean, color=color, linestyle=line, linewidth=width, label=label)

    curve(reference.losses, "PyTorch", "lightgray", "-", 6.0)
    for run, color, line in zip(runs, ("tab:blue", "black"), ("-", "--"), strict=True):
        before, after = run.accuracy
        label = f"{run.name}: {before:.0%} → {after:.0%} of held-out digits"
        curve(run.losses, label, color, line, 1.5)
    axes.set(
        title="Learning ten digits, having known five",
        xlabel="training step, one sample each",
        ylabel=f"loss, mean of {window} steps",
        yscale="log",
    )
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


@click.command(context_settings={"show_default": True}, help=__doc__)
@click.option("--seconds", default=120.0, help="Time for training on the emulated device.")
@click.option("--epochs", default=3, type=click.IntRange(min=1), help="Epochs on the host.")
@click.option("--lr", default=0.005, help="Learning rate.")
@click.option("--seed", default=0, help="Of the split, the initial weights and the order.")
@click.option("--emulator", default="unicorn", type=click.Choice(["unicorn", "qemu"]))
@click.option("--out", default="build/demo", type=click.Path(path_type=Path), help="Results.")
def main(
    seconds: float,
    epochs: int,
    lr: float,
    seed: int,
    emulator: Literal["unicorn", "qemu"],
    out: Path,
) -> None:
    console = Console()
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # A batch of one is faster without the others.
    data = Data.load(seed)
    generator = np.random.default_rng(seed)
    order = np.concatenate(
        [generator.permutation(len(data.images)) for _ in range(epochs)]
    ).tolist()

    with console.status("PyTorch learns the digits 0 to 4"):
        model = pretrain(data)
    programs = {}
    for target in ("host", DEVICE):
        with console.status(f"Compiling for {target}"):
            programs[target] = tt.compile(
                model,
                (torch.from_numpy(data.images[:1]),),
                loss="cross_entropy",
                optimizer=tt.SGD(lr=lr),
                update=tt.FullUpdate(),
                target=target,
                name="digits",
            )
    out.mkdir(parents=True, exist_ok=True)
    programs[DEVICE].save(out / DEVICE)

    host = Run("host", programs["host"].load())
    device = Run(DEVICE, programs[DEVICE].load(emulator=emulator))
    folded = fold_batch_norm(model)
    exact = Run("PyTorch float64", TorchSession(folded, lr, torch.float64))
    reference = Run("PyTorch", TorchSession(folded, lr, torch.float32))
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[steps]} steps, loss {task.fields[loss]:.3f}"),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        show_progress(progress, host, train(host, data, order, None))
        show_progress(progress, device, train(device, data, order, seconds))
        show_progress(progress, exact, train(exact, data, order, None))
        keep = [len(device.losses)]
        show_progress(progress, reference, train(reference, data, order, None, keep))

    plot(out / "loss.png", (host, device), reference)
    console.print(training_table((host, device, exact), reference))
    console.print(device_table(programs[DEVICE], device))
    console.print(f"Loss curves: {out / 'loss.png'}")
    console.print(f"Library and header for firmware: {out / DEVICE} (see examples/baremetal)")


if __name__ == "__main__":
    main()
