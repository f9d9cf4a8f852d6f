#!/usr/bin/env python3
"""Accuracy after transfer learning on CIFAR-10: published networks and schemes, f32 and int8.

Every method takes the same steps at each learning rate of a grid; the best rate is bold. It is
chosen by test accuracy, which flatters all methods alike. The rate follows half a cosine behind
10 % of linear warm-up. No momentum, no augmentation; images that do not fill a batch are left out
of an epoch. A batch is a dimension of the compiled graph, and its loss the mean over its images:
one step sums their gradients, then updates once. There is no other gradient accumulation.

The layers before the first one that learns are run once for all images, by a program of their
own; training runs the rest of the network only, with the same results as the whole one.

Of the layers that a scheme trains in part, the input channels of the largest weights learn, as in
the simulation. --channels first trains the leading ones instead.

    python benchmarks/accuracy.py --method fp32 --method stochastic --csv curves.csv

Without --lr, f32 tries 0.01, 0.02 and 0.04, int8 with QAS 0.025, 0.035 and 0.05, int8 without QAS
0.1, 0.3 and 1. With batch 1 these are 0.001, 0.002 and 0.004, and without QAS 0.004, 0.012 and 0.04.

"simulated" is what a simulation in PyTorch reached with the same network, scheme, images, epochs
and batch. The networks, and the data where --data does not say otherwise, are in
`$TINYTRAIN_SHARED`, by default ../shared beside this project.
"""

from __future__ import annotations

import csv
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import click
import numpy as np
import published
import torch
from frozen_layers import DATA_KEYS, Cut, Data, Networks, arrays_of, load, padded
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

import tinytrain_mlir as tt
from tinytrain_mlir.program import Program
from tinytrain_mlir.report import check_plot

DEFAULT_SCHEMES = {"mbv2-w0.35": "99kb", "mcunet-5fps": "99kb", "proxyless-w0.3": "98kb"}

WARM_UP = 0.1  # of all steps
SMALLEST_RATE = 2.0**-126  # for 0, which a session does not take

F32_RATES = ((0.001, 0.002, 0.004), (0.01, 0.02, 0.04))
QAS_RATES = ((0.001, 0.002, 0.004), (0.025, 0.035, 0.05))
PLAIN_RATES = ((0.004, 0.012, 0.04), (0.1, 0.3, 1.0))


@dataclass(frozen=True)
class Method:
    """How a network learns.

    Attributes:
        rates: learning rates to try, with batch 1 and with larger ones.
        int8: arguments of `tt.Int8`; None for f32.
    """

    title: str
    rates: tuple[tuple[float, ...], tuple[float, ...]]
    int8: dict[str, Any] | None

    def grid(self, batch: int) -> tuple[float, ...]:
        """The learning rates to try."""
        return self.rates[batch > 1]

    def precision(self, seed: int) -> str | tt.Int8:
        """The argument of `tt.compile`.

        Raises:
            UnavailableError: there are no such options.
        """
        if self.int8 is None:
            return "f32"
        try:
            return tt.Int8(seed=seed, **self.int8)
        except (TypeError, tt.TinyTrainError) as error:
            raise UnavailableError(str(error)) from error


class UnavailableError(Exception):
    """The compiler lacks a method; it says so in the message."""


METHODS = {
    "fp32": Method("f32", F32_RATES, None),
    "noqas": Method("int8, no QAS, stochastic rounding", PLAIN_RATES, {"qas": False}),
    "noqas-f32": Method("int8, no QAS, f32 master", PLAIN_RATES, {"qas": False, "master": "f32"}),
    "stochastic": Method("int8 + QAS, stochastic rounding", QAS_RATES, {}),
    "master-f32": Method("int8 + QAS, f32 master", QAS_RATES, {"master": "f32"}),
    "master-i16": Method("int8 + QAS, i16 master", QAS_RATES, {"master": "i16"}),
    "grad-int8": Method(
        "int8 + QAS, stochastic rounding, int8 gradients", QAS_RATES, {"grad": "int8"}
    ),
    "master-f32-grad-int8": Method(
        "int8 + QAS, f32 master, int8 gradients", QAS_RATES, {"master": "f32", "grad": "int8"}
    ),
}


@dataclass(frozen=True)
class Strongest:
    """An update policy: a scheme whose partly trained weights train the channels of the largest magnitude."""

    scheme: tt.config.TteScheme

    def resolve(self, parameters: Sequence[str]) -> dict[str, tt.config.Selection]:
        """See `UpdatePolicy`."""
        return {
            name: tt.Largest(wanted) if isinstance(wanted, float) else wanted
            for name, wanted in self.scheme.resolve(parameters).items()
        }


@dataclass(frozen=True)
class Setting:
    """What all methods of one table have in common; `images` and `epochs` are of the training."""

    network: str
    scheme: str
    images: int
    epochs: int
    batch: int
    channels: str = "strongest"


# Test accuracy in percent of a simulation of the same arithmetic in PyTorch, at its best learning
# rate, one seed; seeds move it by about a point.
_MCUNET = Setting("mcunet-5fps", "99kb", 4000, 4, 64)
_MBV2 = Setting("mbv2-w0.35", "99kb", 4000, 4, 64)
_PROXYLESS = Setting("proxyless-w0.3", "98kb", 4000, 4, 64)
SIMULATED: dict[Setting, dict[str, float]] = {
    _MCUNET: {"fp32": 73.8, "noqas-f32": 66.1, "stochastic": 73.6, "master-f32": 75.8},
    _MBV2: {"fp32": 69.3, "noqas-f32": 62.0, "stochastic": 70.6, "master-f32": 71.1},
    _PROXYLESS: {"fp32": 71.7, "noqas-f32": 62.8, "stochastic": 74.6, "master-f32": 73.9},
    replace(_MCUNET, images=10000): {"fp32": 79.2, "stochastic": 80.4},
    replace(_MCUNET, epochs=1, batch=1): {"fp32": 73.4, "stochastic": 72.2, "master-f32": 73.7},
}


# Training


@dataclass(frozen=True)
class Epoch:
    """Mean loss of an epoch's steps, test accuracy in percent behind it, seconds of all steps."""

    loss: float
    accuracy: float
    seconds: float


@dataclass(frozen=True)
class Run:
    """One training."""

    setting: Setting
    method: str
    lr: float
    seed: int
    epochs: tuple[Epoch, ...]


def learning_rate(lr: float, step: int, steps: int) -> float:
    """The rate of a step, counted from 1: warm-up times half a cosine."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return max(lr * cosine * min(1.0, step / (WARM_UP * steps)), SMALLEST_RATE)


def train(
    session: tt.Session, data: Data, setting: Setting, lr: float, seed: int
) -> Iterator[Epoch | float]:
    """Trains from the initial parameters, and yields each step's loss and each epoch.

    It ends early where the loss is no number any more.
    """
    session.reset()
    batch, order = setting.batch, np.random.default_rng(seed)
    each = len(data.train_images) // batch
    steps, step, seconds = setting.epochs * each, 0, 0.0
    for _ in range(setting.epochs):
        shuffled = order.permutation(len(data.train_images))
        losses: list[float] = []
        for chosen in shuffled[: each * batch].reshape(each, batch):
            step += 1
            x, y = data.train_images[chosen], data.train_labels[chosen]
            start = time.perf_counter()
            losses.append(session.step(x, y, lr=learning_rate(lr, step, steps)))
            seconds += time.perf_counter() - start
            yield losses[-1]
            if not math.isfinite(losses[-1]):
                break
        yield Epoch(statistics.fmean(losses), accuracy(session, data, batch), seconds)
        if not math.isfinite(losses[-1]):
            return


def accuracy(session: tt.Session, data: Data, batch: int) -> float:
    """Percentage of the test images that are classified right."""
    found = [session.infer(x).argmax(1)[:real] for x, real in padded(data.test_images, batch)]
    return 100 * float((np.concatenate(found) == data.test_labels).mean())


def compile_method(
    parts: Cut,
    arrays: Path,
    method: Method,
    classes: int,
    batch: int,
    seed: int,
    update: tt.config.UpdatePolicy | None = None,
) -> Program:
    """The program that trains the rest of a network; the seed is of classifier and rounding.

    Args:
        parts: the cut network.
        arrays: file of its arrays.
        method: how it learns.
        classes: of the classifier.
        batch: images in a step.
        seed: of the classifier and of rounding.
        update: what learns; the cut network's scheme by default.

    Raises:
        UnavailableError: the compiler has no such method.
    """
    precision = method.precision(seed)
    graph = load(
        parts.rest,
        arrays,
        num_classes=classes,
        dequantize=method.int8 is None,
        seed=seed,
        batch=batch,
    )
    try:
        update = update or parts.scheme
        return tt.compile(graph, update=update, precision=precision, name="rest")
    except tt.TinyTrainError as error:
        raise UnavailableError(str(error)) from error


# Results


@dataclass(frozen=True)
class Row:
    """A method at one learning rate, over seeds: accuracies in percent, mean seconds."""

    method: str
    lr: float
    accuracies: tuple[float, ...]
    seconds: float

    @property
    def accuracy(self) -> float:
        """The mean."""
        return statistics.fmean(self.accuracies)


def rows_of(runs: Sequence[Run], method: str) -> list[Row]:
    """A row per learning rate of a method."""
    mine = [run for run in runs if run.method == method]
    rows = []
    for lr in dict.fromkeys(run.lr for run in mine):
        ends = [run.epochs[-1] for run in mine if run.lr == lr]
        seconds = statistics.fmean(end.seconds for end in ends)
        rows.append(Row(method, lr, tuple(end.accuracy for end in ends), seconds))
    return rows


def best_of(runs: Sequence[Run], method: str) -> Row | None:
    """The row of the best mean accuracy; None where nothing ran."""
    return max(rows_of(runs, method), key=lambda row: row.accuracy, default=None)


def render(setting: Setting, runs: Sequence[Run], unavailable: dict[str, str]) -> Table:
    """The table of one setting."""
    table = Table(
        title=f"{setting.network}, {setting.scheme}: {setting.images:,} images x {setting.epochs} "
        f"epochs, batch {setting.batch}, {setting.channels} channels",
        caption="\n".join(f"{METHODS[m].title}: {text}" for m, text in unavailable.items()),
        caption_justify="left",
    )
    table.add_column("method", no_wrap=True)
    for column in ("lr", "accuracy %", "simulated", "seconds"):
        table.add_column(column, justify="right", no_wrap=True)
    for method in dict.fromkeys([*(run.method for run in runs), *unavailable]):
        table.add_section()
        if method in unavailable:
            table.add_row(METHODS[method].title, "", "unavailable", style="dim")
            continue
        best = best_of(runs, method)
        for row in rows_of(runs, method):
            text = f"{row.accuracy:.2f}"
            if len(row.accuracies) > 1:
                text += f" ± {statistics.stdev(row.accuracies):.2f}"
            simulated = SIMULATED.get(setting, {}).get(method) if row == best else None
            table.add_row(
                METHODS[method].title,
                f"{row.lr:g}",
                text,
                "" if simulated is None else f"{simulated:.1f}",
                f"{row.seconds:.0f}",
                style="bold" if row == best else "",
            )
    return table


CSV_COLUMNS = (
    *("network", "scheme", "images", "epochs", "batch", "method", "lr", "seed"),
    *("epoch", "loss", "accuracy", "seconds"),
)


def write_run(file: IO[str], run: Run) -> None:
    """Appends a run's epochs as lines of CSV."""
    s = run.setting
    head = (s.network, s.scheme, s.images, s.epochs, s.batch, run.method, run.lr, run.seed)
    for i, epoch in enumerate(run.epochs, start=1):
        figures = (f"{epoch.loss:.6f}", f"{epoch.accuracy:.3f}", f"{epoch.seconds:.2f}")
        csv.writer(file, lineterminator="\n").writerow((*head, i, *figures))
    file.flush()


def plot(path: Path, runs: Sequence[Run]) -> None:
    """Draws loss and accuracy of each method at its best rate, a row of axes per setting."""
    from matplotlib.figure import Figure

    settings = list(dict.fromkeys(run.setting for run in runs))
    figure = Figure(figsize=(11, 4 * len(settings)), layout="constrained")
    grid = figure.subplots(len(settings), 2, squeeze=False)
    for setting, (left, right) in zip(settings, grid, strict=True):
        mine = [run for run in runs if run.setting == setting]
        for method in dict.fromkeys(run.method for run in mine):
            best = best_of(mine, method)
            shown = [r for r in mine if r.method == method and best and r.lr == best.lr]
            for run in shown[:1]:
                numbers = range(1, len(run.epochs) + 1)
                label = f"{METHODS[method].title}, lr {run.lr:g}"
                left.plot(numbers, [e.loss for e in run.epochs], marker=".", label=label)
                right.plot(numbers, [e.accuracy for e in run.epochs], marker=".", label=label)
        title = f"{setting.network} {setting.scheme}, batch {setting.batch}"
        left.set(title=title, xlabel="epoch", ylabel="training loss")
        right.set(title=title, xlabel="epoch", ylabel="test accuracy, %")
        right.legend(fontsize="small")
    figure.savefig(path)


def settings_of(
    networks: Sequence[str],
    schemes: Sequence[str],
    images: int,
    epochs: int,
    batches: Sequence[int],
    channels: str,
) -> list[Setting]:
    """All that is asked for."""
    return [
        Setting(network, scheme, images, epochs, batch, channels)
        for network in networks
        for scheme in schemes or (DEFAULT_SCHEMES[network],)
        if scheme in published.schemes(network)
        for batch in batches
    ]


def run_method(
    networks: Networks,
    setting: Setting,
    name: str,
    rates: Sequence[float],
    seeds: Sequence[int],
    progress: Progress,
) -> Iterator[Run]:
    """All trainings of a method in one setting.

    Raises:
        UnavailableError: the compiler lacks the method.
    """
    method, f32 = METHODS[name], METHODS[name].int8 is None
    method.precision(0)  # An error comes before the frozen layers have run.
    task = progress.add_task(f"{setting.network}, {name}: frozen layers", total=None, loss="")
    try:
        parts, data = networks.prepared(setting.network, setting.scheme, f32)
        arrays, classes = arrays_of(setting.network), networks.data.classes
        update = Strongest(parts.scheme) if setting.channels == "strongest" else parts.scheme
        total = setting.epochs * (setting.images // setting.batch)
        for seed in seeds:
            progress.update(task, description=f"{setting.network}, {name}: compiling", total=None)
            program = compile_method(parts, arrays, method, classes, setting.batch, seed, update)
            with program.load() as session:
                for lr in rates or method.grid(setting.batch):
                    text = f"{setting.network}, {name}, lr {lr:g}, seed {seed}"
                    progress.reset(task, description=text, total=total, loss="")
                    epochs = []
                    for event in train(session, data, setting, lr, seed):
                        if isinstance(event, Epoch):
                            epochs.append(event)
                        else:
                            progress.update(task, advance=1, loss=f"loss {event:.3f}")
                    yield Run(setting, name, lr, seed, tuple(epochs))
    finally:
        progress.remove_task(task)


def _several(name: str, variable: str, **options: Any) -> Callable[[Any], Any]:
    return click.option(name, variable, multiple=True, **options)


@click.command(context_settings={"show_default": True}, help=__doc__)
@_several(
    "--network",
    "networks",
    type=click.Choice(published.NETWORKS),
    default=("mcunet-5fps",),
    help="Published network.",
)
@_several("--scheme", "schemes", help="Published scheme.  [default: that of about 100 KB]")
@_several("--method", "methods", type=click.Choice(list(METHODS)), help="Only it.")
@_several("--batch", "batches", type=click.IntRange(1), default=(64,), help="Images per step.")
@_several("--lr", "rates", type=float, help="Learning rate to try.  [default: the grids above]")
@_several("--seed", "seeds", type=int, default=(0,), help="Of classifier, order and rounding.")
@click.option("--epochs", type=click.IntRange(1), default=4)
@click.option("--images", type=click.IntRange(1), default=4000, help="For training, the first.")
@click.option(
    "--channels",
    type=click.Choice(["strongest", "first"]),
    default="strongest",
    help="Which learn of a partly trained weight.",
)
@click.option(
    "--data",
    "data_file",
    type=click.Path(path_type=Path),
    default=published.CIFAR10,
    show_default=False,
    help=f"An .npz file of {', '.join(DATA_KEYS)}; images are uint8 [N, height, width, 3].",
)
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Write the curves.")
@click.option("--plot", "plot_file", type=click.Path(path_type=Path), help="Draw the curves.")
def main(
    networks: tuple[str, ...],
    schemes: tuple[str, ...],
    methods: tuple[str, ...],
    batches: tuple[int, ...],
    rates: tuple[float, ...],
    seeds: tuple[int, ...],
    epochs: int,
    images: int,
    channels: str,
    data_file: Path,
    csv_file: Path | None,
    plot_file: Path | None,
) -> None:
    """Runs the experiment."""
    if not published.present():
        raise click.ClickException(published.WHY_ABSENT)
    if not data_file.is_file():
        raise click.ClickException(f"{data_file}: no such file; name one with --data")
    if images < max(batches):
        raise click.ClickException(f"expected at least {max(batches)} images, one batch")
    settings = settings_of(networks, schemes, images, epochs, batches, channels)
    if not settings:
        raise click.ClickException("nothing to run: no such scheme of these networks")
    try:
        if plot_file is not None:
            check_plot(plot_file)
    except tt.TinyTrainError as error:
        raise click.ClickException(str(error)) from error
    torch.set_num_threads(1)
    console = Console()
    console.width = max(console.width, 110)
    prepared = Networks(Data.read(data_file, images))
    if csv_file is not None:
        csv_file.write_text(",".join(CSV_COLUMNS) + "\n", encoding="utf-8")
    runs: list[Run] = []
    for setting in settings:
        unavailable: dict[str, str] = {}
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        ) as progress:
            for name in methods or METHODS:
                try:
                    for run in run_method(prepared, setting, name, rates, seeds, progress):
                        runs.append(run)
                        if csv_file is not None:
                            with csv_file.open("a", encoding="utf-8") as file:
                                write_run(file, run)
                except UnavailableError as error:
                    unavailable[name] = str(error)
        console.print(render(setting, [r for r in runs if r.setting == setting], unavailable))
    if plot_file is not None and runs:
        plot(plot_file, runs)
        console.print(f"Curves: {plot_file}")


if __name__ == "__main__":
    main()
