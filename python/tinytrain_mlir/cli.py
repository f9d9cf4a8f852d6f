"""The `tinytrain` command."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import click

from .errors import ConfigError, TinyTrainError

if TYPE_CHECKING:
    from .config import Int8, Policy, Selection
    from .program import Program
    from .runtime.launch import Emulator


class _Group(click.Group):
    """Prints errors of this package as one sentence, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TinyTrainError as error:
            click.echo(f"tinytrain: error: {error}", err=True)
            ctx.exit(1)


@click.group(cls=_Group)
@click.version_option(package_name="tinytrain-mlir")
def main() -> None:
    """Compile the training step of a neural network for a small device."""


def _shape(
    _ctx: click.Context, _param: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        shape = tuple(int(size) for size in value.split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise click.BadParameter(f"expected positive sizes such as 1,3,96,96, got '{value}'")
    return shape


def _program_options(function: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(
        (
            click.argument("model"),
            click.option(
                "--input-shape",
                callback=_shape,
                help="Shape of the input, batch first: 1,3,96,96. Not for .mlir files.",
            ),
            click.option(
                "--target", default="host", show_default=True, help="See tinytrain targets."
            ),
            click.option(
                "--loss",
                type=click.Choice(["cross_entropy", "mse", "none"]),
                default="cross_entropy",
                show_default=True,
                help="none: inference only.",
            ),
            click.option("--lr", default=0.01, show_default=True, help="Learning rate."),
            click.option("--momentum", default=0.0, show_default=True),
            click.option("--weight-decay", default=0.0, show_default=True),
            click.option(
                "--update",
                multiple=True,
                metavar="full|none|last|bias:N|PATTERN[=VALUE]",
                help="What is trained. PATTERN names parameters, VALUE is true, false, a fraction "
                "such as 0.25, channels such as 0,3,5, or largest:0.25; may be repeated, the last "
                "that matches holds.",
            ),
            click.option(
                "--policy",
                type=click.Path(path_type=Path),
                help="File that says what is trained, instead of --update.",
            ),
            click.option(
                "--save-policy",
                type=click.Path(path_type=Path),
                help="Write what is trained, by parameter name, to a file for --policy.",
            ),
            click.option(
                "--int8",
                type=click.Path(path_type=Path),
                metavar="FILE",
                help="Quantize to int8, calibrated with x [n, ...] f32 of an .npz file.",
            ),
            click.option(
                "--int8-option",
                multiple=True,
                metavar="NAME=VALUE",
                help="ranges=minmax|percentile|mse, quantize_head, qas, grad=f32|int8, "
                "master=f32|i16 or seed, as tt.Int8 takes them; may be repeated.",
            ),
            click.option(
                "--threads", default=1, show_default=True, help="Threads that share the work."
            ),
            click.option("--sram", help="Budget, such as 256KB."),
            click.option("--flash", help="Budget, such as 1MB."),
            click.option("--name", default="model", show_default=True, help="Prefix of C names."),
        )
    ):
        function = option(function)
    return function


def _import(where: str) -> ModuleType:
    """A module by file or by name; what lies beside it can be imported too."""
    if not where.endswith(".py"):
        sys.path.insert(0, str(Path.cwd()))
        return importlib.import_module(where)
    path = Path(where)
    if not path.is_file():
        raise ConfigError(f"expected a Python file, but {path} does not exist")
    spec = importlib.util.spec_from_file_location(f"_tinytrain_model_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.resolve().parent))
    spec.loader.exec_module(module)
    return module


def _load_model(spec: str) -> Any:
    """A module from "file.py:name" or "package.module:name"; a function is called."""
    if spec.endswith(".mlir"):
        return spec
    where, _, attribute = spec.rpartition(":")
    if not where:
        raise ConfigError(f"expected FILE.py:NAME, MODULE:NAME or a .mlir file, got '{spec}'")
    try:
        module = _import(where)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"cannot import {where}: {type(error).__name__}: {error}") from error
    if not hasattr(module, attribute):
        raise ConfigError(
            f"{where} has no '{attribute}': name a module or a function that makes one"
        )
    model = getattr(module, attribute)
    makes_one = isinstance(model, type) or (callable(model) and not hasattr(model, "state_dict"))
    try:
        return model() if makes_one else model
    except TypeError as error:
        raise ConfigError(f"{spec} cannot be called without arguments: {error}") from error


def _policy(specs: tuple[str, ...], file: Path | None) -> Policy:
    from . import config
    from .policy_file import load_policy

    if file is not None:
        if specs:
            raise ConfigError("expected --update or --policy, got both")
        return load_policy(file)
    if not specs:
        return config.FullUpdate()
    first = specs[0]
    whole = {"full": config.FullUpdate(), "none": config.NoUpdate(), "last": config.LastLayer()}
    if first in whole and len(specs) == 1:
        return whole[first]
    if first.startswith("bias:") and len(specs) == 1:
        count = first.removeprefix("bias:")
        if not count.isdigit():
            raise ConfigError(f"expected --update bias:N with a number, got '{first}'")
        return config.BiasOnly(int(count))
    return config.SparseUpdate(dict(_rule(spec) for spec in specs))


def _rule(spec: str) -> tuple[str, Selection]:
    """Pattern and value of a rule given as PATTERN or PATTERN=VALUE."""
    from .config import Largest, check_rule

    pattern, equals, text = spec.partition("=")
    try:
        if text in ("true", "false") or not equals:
            value: object = text != "false"
        elif text.startswith("largest:"):
            value = Largest(float(text.removeprefix("largest:")))
        else:
            value = float(text) if "." in text else [int(n) for n in text.split(",")]
        return pattern, check_rule(pattern, value)
    except ValueError as error:  # a ConfigError too
        raise ConfigError(
            "expected --update PATTERN=VALUE with true, false, a fraction such as 0.25, channels "
            f"such as 0,3,5, or largest:0.25, got '{spec}'"
        ) from error


def _arrays(file: Path, *names: str) -> tuple[Any, ...]:
    """Arrays of an .npz file."""
    import numpy as np

    try:
        arrays = np.load(file)
        return tuple(np.atleast_1d(arrays[name]) for name in names)
    except (OSError, ValueError, KeyError, IndexError, EOFError, BadZipFile) as error:
        wanted = " and ".join(names)
        raise ConfigError(f"expected an .npz file with {wanted}, got {file}: {error}") from error


def _precision(file: Path | None, options: tuple[str, ...], batch: int) -> str | Int8:
    from .config import Int8

    if file is None and not options:
        return "f32"
    given: dict[str, Any] = {}
    for option in options:
        name, _, text = option.partition("=")
        if name in ("quantize_head", "qas") and text in ("true", "false"):
            given[name] = text == "true"
        elif name == "seed" and text.isdigit():
            given[name] = int(text)
        elif name in ("ranges", "grad", "master") and text:
            given[name] = text
        else:
            raise ConfigError(
                "expected --int8-option ranges=, grad= or master= with a name, quantize_head= or "
                f"qas= with true or false, or seed= with a number, got '{option}'"
            )
    if file is not None:
        (x,) = _arrays(file, "x")
        given["calibration"] = [x[i : i + batch] for i in range(0, len(x) - batch + 1, batch)]
    return Int8(**given)


def _compile(model: str, input_shape: tuple[int, ...] | None, **options: Any) -> Program:
    from .api import compile as compile_model
    from .config import SGD, Budget

    loaded = _load_model(model)
    example = None
    if not isinstance(loaded, str):
        if input_shape is None:
            raise ConfigError("expected --input-shape for a PyTorch model, such as 1,3,96,96")
        try:
            import torch
        except ImportError as error:
            raise ConfigError(
                'a PyTorch model needs pip install "tinytrain-mlir[torch]"'
            ) from error
        example = torch.zeros(input_shape)
    policy = _policy(options["update"], options["policy"])
    program = compile_model(
        loaded,
        example,
        loss=None if options["loss"] == "none" else options["loss"],
        optimizer=SGD(options["lr"], options["momentum"], options["weight_decay"]),
        threads=options["threads"],
        update=policy,
        precision=_precision(
            options["int8"], options["int8_option"], input_shape[0] if input_shape else 1
        ),
        target=options["target"],
        budget=Budget(options["sram"], options["flash"]),
        name=options["name"],
    )
    if options["save_policy"] is not None:
        from .channels import resolve

        resolve(policy, program.graph).save(options["save_policy"])
    return program


def _print_memory(program: Program) -> None:
    from rich.console import Console

    from .report import rich_table

    Console().print(rich_table(program.memory.report().sections()))


@main.command("compile")
@_program_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder to write.",
)
def compile_command(out: Path, **options: Any) -> None:
    """Compile MODEL to a static library and a header.

    MODEL is FILE.py:NAME or MODULE:NAME, a torch.nn.Module or a function that makes one, or
    a .mlir file written by Graph.save.
    """
    program = _compile(**options)
    program.save(out)
    _print_memory(program)
    click.echo(f"wrote {out / f'lib{program.name}.a'}, {program.name}.h, memory.json, report.html")


@main.command()
@_program_options
@click.option("--data", type=click.Path(path_type=Path), help=".npz with x [n, ...] f32 and y [n].")
@click.option("--steps", type=click.IntRange(min=1), default=10, show_default=True)
@click.option(
    "--emulator", type=click.Choice(["auto", "unicorn", "qemu"]), default="auto", show_default=True
)
@click.option("--profile", "show_profile", is_flag=True, help="Show the last step by layer.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw the last step by layer, to a .png or .svg.",
)
@click.option("--device-ram", help="All the RAM of the emulated microcontroller, such as 256KB.")
@click.option("--device-flash", help="All its flash, such as 1MB.")
@click.option("--device-stack", help="Of its RAM, for the stack; 2KB if --device-ram is given.")
def run(
    data: Path | None,
    steps: int,
    emulator: Emulator,
    show_profile: bool,
    plot: Path | None,
    device_ram: str | None,
    device_flash: str | None,
    device_stack: str | None,
    **options: Any,
) -> None:
    """Train MODEL for some steps, on the host or in an emulator.

    Without --data the input is random: good for instruction counts, not for learning. With
    --device-ram or --device-flash nothing else is memory; what lies where is printed.
    """
    import numpy as np
    from rich.console import Console

    program = _compile(**options)
    if program.loss is None:
        raise ConfigError("tinytrain run trains: give a --loss")
    batch, *_ = shape = program.graph.input.layout.torch_shape
    classes = program.graph.output.layout.torch_shape
    if data is not None:
        xs, ys = _arrays(data, "x", "y")
    else:
        rng = np.random.default_rng(0)
        xs = rng.standard_normal((batch * steps, *shape[1:]), dtype=np.float32)
        if program.loss == "mse":
            ys = rng.standard_normal((batch * steps, *classes[1:]), dtype=np.float32)
        else:
            ys = rng.integers(0, classes[1], batch * steps)
    if len(xs) < batch or len(xs) != len(ys):
        raise ConfigError(f"expected at least {batch} samples and as many labels, got {len(xs)}")
    _print_memory(program)
    sizes = {"ram": device_ram, "flash": device_flash, "stack": device_stack}
    with program.load(emulator, **sizes) as session:
        if any(sizes.values()):
            Console().print(session.layout)
        for i in range(steps):
            start = i * batch % (len(xs) - batch + 1)
            loss = session.step(xs[start : start + batch], ys[start : start + batch])
            count = session.instructions
            click.echo(
                f"step {i}: loss {loss:.6f}" + (f", {count:,} instructions" if count else "")
            )
        if session.stack_bytes is not None:
            click.echo(f"stack: {session.stack_bytes} bytes")
        if show_profile:
            Console().print(session.profile())
        if plot is not None:
            session.profile().plot(plot)


@main.command()
@_program_options
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Page to write.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Memory over time, to a .png or .svg.",
)
@click.option("--stack", is_flag=True, help="Run a step in the emulator and measure its stack.")
def report(html: Path | None, plot: Path | None, stack: bool, **options: Any) -> None:
    """Show what MODEL's memory is used for: sections, tensors at the peak, passes."""
    from rich.console import Console

    from .files import write_file
    from .report import MemoryReport, check_plot

    if plot is not None:
        check_plot(plot)
    if stack and options["target"] == "host":
        raise ConfigError("--stack measures in an emulator: expected an Arm --target, got 'host'")
    program = _compile(**options)
    result = MemoryReport(program.memory, _stack_bytes(program) if stack else None)
    if html is not None:
        write_file(html, result.to_html().encode(), make_folder=True)
    if plot is not None:
        result.plot(plot)
    Console().print(result)
    for path in filter(None, (html, plot)):
        click.echo(f"wrote {path}")


def _stack_bytes(program: Program) -> int | None:
    """The stack of a step, or of inference where nothing else is compiled."""
    import numpy as np

    x = np.zeros(program.graph.input.layout.torch_shape, np.float32)
    shape = program.graph.output.layout.torch_shape
    with program.load() as session:
        if program.loss is None:
            session.infer(x)
        elif program.loss == "mse":
            session.step(x, np.zeros(shape, np.float32))
        else:
            session.step(x, np.zeros(shape[:1], np.int32))
        return session.stack_bytes


@main.command()
@_program_options
@click.option("--stage", help="Only this one: import, training, kernels, ….")
def inspect(stage: str | None, **options: Any) -> None:
    """Print MODEL as MLIR after each stage of the compiler."""
    from .driver import STAGES, check_stage

    if stage is not None:
        check_stage(stage)
    program = _compile(**options)
    for name in [stage] if stage is not None else STAGES:
        text = program.ir(name).rstrip()
        if stage is None:
            click.echo(
                f"// ---- {name}: {_count_ops(text)} ops, {len(text.splitlines())} lines ----"
            )
        click.echo(text)


def _count_ops(text: str) -> int:
    """How many ops a module has, those in regions too."""
    from . import ir

    count = 0

    def visit(_: ir.Operation) -> ir.WalkResult:
        nonlocal count
        count += 1
        return ir.WalkResult.ADVANCE

    with ir.Context():
        ir.Module.parse(text).operation.walk(visit, ir.WalkOrder.PRE_ORDER)
    return count - 1  # the module itself


@main.command()
def targets() -> None:
    """List the targets."""
    from rich.console import Console
    from rich.table import Table

    from .target import lookup_target
    from .target import targets as names

    table = Table()
    for column in ("target", "triple", "cpu"):
        table.add_column(column)
    for name in names():
        target = lookup_target(name)
        table.add_row(name, target.triple, target.cpu)
    Console().print(table)


if __name__ == "__main__":
    main()
