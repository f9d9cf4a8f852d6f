"""The lint of the lit tests, on themselves and on what it has to find."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
OPT = "// RUN: tinytrain-opt %s"


def lint(path: Path) -> str:
    """What the lint prints, which is nothing exactly when it exits with 0."""
    command = [sys.executable, str(PROJECT / "tools" / "check_lines.py"), str(path)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.stderr == ""
    assert (run.returncode == 0) == (run.stdout == "")
    return run.stdout


def test_the_lit_tests() -> None:
    assert lint(PROJECT / "test") == ""


@pytest.mark.parametrize(
    "text",
    [
        f"{OPT} | FileCheck %s\n// CHECK-LABEL: a",
        f"{OPT} | FileCheck %s --check-prefixes=A,B-C\n// A: a\n// B-C-NEXT: b",
        f"{OPT} \\\n// RUN:   | FileCheck %s -check-prefix A\n// A-COUNT-2: a",
        f"{OPT} --verify-diagnostics\n// expected-error@+1 {{{{a}}}}",
        f"{OPT} --verify-diagnostics | FileCheck %s\n// CHECK: a\n  a // expected-note {{{{b}}}}",
    ],
)
def test_accepts(text: str, tmp_path: Path) -> None:
    file = tmp_path / "test.mlir"
    file.write_text(text)
    assert lint(file) == ""


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("// CHECK: a", 1, "no RUN line"),
        (f"{OPT}\n  // CHECK-NEXT: a", 2, "no RUN line feeds 'CHECK'"),
        (f"{OPT} | FileCheck %s\n// CHECK: a\n// CHECK-F32: a", 3, "feeds 'CHECK-F32'"),
        (f"{OPT} | FileCheck %s --check-prefix=A\n// A: a\n// CHECK: a", 3, "feeds 'CHECK'"),
        (f"{OPT} | FileCheck %s", 1, "FileCheck looks for 'CHECK'"),
        (f"{OPT} | FileCheck %s --check-prefix=A", 1, "FileCheck looks for 'A'"),
        (f"{OPT}\n// expected-error@+1 {{{{a}}}}", 2, "no RUN line has --verify-diagnostics"),
        (f"{OPT} --verify-diagnostics", 1, "no diagnostic is expected"),
    ],
)
def test_finds(text: str, line: int, message: str, tmp_path: Path) -> None:
    file = tmp_path / "test.mlir"
    file.write_text(text)
    (error, *_) = lint(file).splitlines()
    assert error.startswith(f"{file}:{line}: error: ")
    assert message in error
