"""Each lit test as a test of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
LIT = Path(sys.executable).parent / "lit"
FILES = sorted(path.relative_to(TESTS).as_posix() for path in TESTS.rglob("*.mlir"))


@pytest.mark.parametrize("file", FILES)
def test_lit(file: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [str(LIT), "-j1", "--quiet", "--output", str(report), str(TESTS / file)]
    run = subprocess.run(command, capture_output=True, text=True)
    if not report.exists():
        pytest.fail(run.stdout + run.stderr, pytrace=False)
    (result,) = json.loads(report.read_text())["tests"]
    if result["code"] == "UNSUPPORTED":
        pytest.skip(result["output"].strip() or "unsupported")
    if run.returncode:
        pytest.fail(f"{result['code']}\n{result['output']}", pytrace=False)
