"""The package as a whole: light import, commands, stages, proofs on the IR, memory figures."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import networks
import pytest
import torch
from click.testing import CliRunner
from conftest import calibrate
from networks import ResNet, SmallCNN, tiny_net
from torch import nn

import tinytrain_mlir as tt
from tinytrain_mlir.cli import main
from tinytrain_mlir.driver import STAGES

if TYPE_CHECKING:
    from tinytrain_mlir.program import Program

TARGETS = [
    *("cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"),
    *("cortex-a72", "cortex-a76"),
]


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# Import


def test_import_is_light() -> None:
    """Neither frameworks nor the native libraries are loaded."""
    code = (
        "import sys, tinytrain_mlir as tt, tinytrain_mlir.cli, tinytrain_mlir.errors\n"
        "tt.SGD(); tt.SparseUpdate({}); tt.Budget('1KB')\n"
        "heavy = {m.split('.')[0] for m in sys.modules} & {'torch', 'torch_mlir', 'numpy', 'onnx',"
        " 'matplotlib', 'sklearn', 'unicorn', 'elftools', 'pandas', 'scipy'}\n"
        "native = [m for m in sys.modules if '_mlir_libs' in m]\n"
        "maps = [l for l in open('/proc/self/maps') if 'MLIR' in l or 'LLVM' in l]\n"
        "print(sorted(heavy), native, maps)"
    )
    assert python(code).strip() == "[] [] []"


def test_compiling_a_graph_loads_no_framework(tmp_path: Path) -> None:
    tt.compile(tiny_net(), torch.zeros(1, 1, 8, 8)).graph.save(tmp_path / "net.mlir")
    code = (
        "import sys, tinytrain_mlir as tt\n"
        f"p = tt.compile({str(tmp_path / 'net.mlir')!r})\n"
        "p.load().infer(__import__('numpy').zeros((1, 1, 8, 8), 'f'))\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'torch_mlir', 'onnx',"
        " 'matplotlib', 'unicorn', 'hypothesis'}))"
    )
    assert python(code).strip() == "[]"


def test_missing_extras_say_what_to_install() -> None:
    code = (
        "import sys\n"
        "sys.modules['torch_mlir'] = None\n"
        "from tinytrain_mlir.frontends.torch_import import import_torch\n"
        "try: import_torch(None, [], None)\n"
        "except ImportError as e: print(type(e).__name__, e)\n"
        "sys.modules['unicorn'] = None\n"
        "try: import tinytrain_mlir.runtime.unicorn_machine\n"
        "except Exception as e: print(type(e).__name__, e)\n"
        "sys.modules['torchao'] = None\n"
        "try: __import__('tinytrain_mlir').TinyTrainQuantizer\n"
        "except Exception as e: print(type(e).__name__, e)\n"
    )
    torch_line, unicorn_line, torchao_line = python(code).splitlines()
    assert torch_line.startswith("MissingExtraError")
    assert torchao_line.startswith("MissingExtraError TinyTrainQuantizer")
    for line in (torch_line, torchao_line):
        assert 'pip install "tinytrain-mlir[torch]"' in line
    assert unicorn_line.startswith("MissingToolError")
    assert 'pip install "tinytrain-mlir[emulator]"' in unicorn_line


def test_public_names() -> None:
    assert set(dir(tt)) >= set(tt.__all__) - {
        "Graph",
        "Program",
        "Session",
        "compile",
        "load_tte",
        "resolve",
        "__version__",
    }
    for name in tt.__all__:
        assert getattr(tt, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = tt.absent
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", tt.__version__)


def test_targets() -> None:
    assert tt.targets() == ["host", *TARGETS]
    tt.targets().clear()
    assert tt.targets() == ["host", *TARGETS]


# Commands


def test_tinytrain_targets() -> None:
    done = CliRunner().invoke(main, ["targets"])
    assert done.exit_code == 0
    assert all(name in done.output for name in TARGETS)


def test_tinytrain_compile_and_run(tmp_path: Path) -> None:
    model = f"{networks.__file__}:tiny_net"
    options = [model, "--input-shape", "2,1,8,8", "--target", "cortex-m7", "--update", "last"]
    done = CliRunner().invoke(
        main, ["compile", *options, "--name", "net", "--sram", "64KB", "--out", str(tmp_path)]
    )
    assert done.exit_code == 0, done.output
    assert {f.name for f in tmp_path.iterdir()} == {
        "libnet.a",
        "net.h",
        "memory.json",
        "report.html",
    }
    assert "SRAM" in done.output and "flash" in done.output
    done = CliRunner().invoke(main, ["run", *options, "--steps", "2"])
    assert done.exit_code == 0, done.output
    assert re.search(r"step 1: loss \d+\.\d+, [\d,]+ instructions", done.output)
    assert re.search(r"stack: \d+ bytes", done.output)


@pytest.mark.skipif(
    shutil.which("tinytrain", path=str(Path(sys.executable).parent)) is None,
    reason="the package is not installed",
)
def test_console_scripts() -> None:
    for name, arguments, word in (
        ("tinytrain", ["targets"], "cortex-m7"),
        ("tinytrain", ["--version"], tt.__version__),
        ("tinytrain-opt", ["--help"], "tinytrain-autodiff"),
    ):
        command = [str(Path(sys.executable).parent / name), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert word in done.stdout


def test_tools_are_in_the_package(tmp_path: Path) -> None:
    from tinytrain_mlir._tools import opt_path, plugin_path

    assert plugin_path().is_file()
    program = tt.compile(nn.Linear(4, 3), torch.zeros(2, 4))
    (tmp_path / "net.mlir").write_text(program.ir("training"))
    done = subprocess.run(
        [opt_path(), tmp_path / "net.mlir", "--canonicalize"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "tinytrain.sgd_update" in done.stdout


def test_type_information_is_shipped() -> None:
    assert Path(tt.__file__).resolve().with_name("py.typed").is_file()


# Stages and proofs


@pytest.fixture(scope="module")
def resnet() -> Program:
    torch.manual_seed(1)
    model = calibrate(ResNet(), (3, 12, 12))
    return tt.compile(
        model, torch.zeros(2, 3, 12, 12), optimizer=tt.SGD(0.1, 0.9), target="cortex-m7"
    )


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_is_a_valid_module(resnet: Program, stage: str) -> None:
    from tinytrain_mlir import ir
    from tinytrain_mlir.dialects import func  # noqa: F401

    with ir.Context():
        module = ir.Module.parse(resnet.ir(stage))
    assert module.operation.verify()
    assert ("step" in resnet.ir(stage)) == (stage != "import")


def test_stages_show_what_they_did(resnet: Program) -> None:
    assert "tinytrain.conv2d" in resnet.ir("import")
    for op in ("conv2d_input_grad", "conv2d_weight_grad", "cross_entropy_grad", "momentum_update"):
        assert f"tinytrain.{op}" in resnet.ir("training")
    assert 'tinytrain.param = "blocks.0.conv1.weight"' in resnet.ir("training")
    assert "llvm.func" in resnet.ir("llvm") and "tinytrain.conv2d" not in resnet.ir("codegen")


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("network", [ResNet, SmallCNN])
def test_no_copy_and_no_allocation_is_left(network: type[nn.Module], momentum: float) -> None:
    size = 16 if network is SmallCNN else 12
    program = tt.compile(
        calibrate(network(), (3, size, size)),
        torch.zeros(1, 3, size, size),
        optimizer=tt.SGD(0.1, momentum),
        target="cortex-m7",
    )
    text = program.ir("codegen")
    for op in ("memref.copy", "memref.alloc", "memref.alloca", "memref.dealloc", "linalg.copy"):
        assert not re.search(rf"\b{re.escape(op)}\b", text), op
    calls = set(re.findall(r"llvm\.call @([\w.]+)", program.ir("llvm")))
    defined = set(re.findall(r"llvm\.func [^\n]*?@([\w.]+)", program.ir("llvm")))
    assert not calls & {"malloc", "free", "aligned_alloc", "memrefCopy"}
    assert calls <= defined


def test_frozen_parameters_cost_no_gradient() -> None:
    text = tt.compile(tiny_net(), torch.zeros(1, 1, 8, 8), update=tt.LastLayer()).ir("training")
    assert text.count("sgd_update") == 2
    assert "conv2d_weight_grad" not in text and "conv2d_input_grad" not in text


# Figures

# Bytes of `tiny_net` on the Cortex-M7, batch 2, with momentum. SRAM is exact; flash, which holds
# the code, within 5 %. Look at a change, then write the new number here.
MEMORY = {"arena_bytes": 4576, "param_bytes": 1932, "sram_bytes": 6508}
FLASH = {"flash_bytes": 13_874, "code_bytes": 11_938}


def test_memory_figures() -> None:
    torch.manual_seed(1)
    program = tt.compile(
        tiny_net(), torch.zeros(2, 1, 8, 8), optimizer=tt.SGD(0.05, 0.9), target="cortex-m7"
    )
    assert {name: getattr(program.memory, name) for name in MEMORY} == MEMORY
    for name, size in FLASH.items():
        assert getattr(program.memory, name) == pytest.approx(size, rel=0.05), name


def test_the_arena_is_smaller_than_the_sum_of_its_buffers(resnet: Program) -> None:
    memory = resnet.memory
    peak = memory.peak
    assert peak is not None and peak.function == "step"
    assert memory.arena_bytes >= peak.live_bytes
    assert memory.arena_bytes < sum(b.bytes for b in memory.timeline if b.function == "step")
