"""Finds lines of lit tests that look like checks and check nothing.

    python tools/check_lines.py test

Given .mlir files, or folders of them. An error, on standard output, is
  - a CHECK line whose prefix no RUN line gives to FileCheck;
  - a FileCheck prefix that no line of the file uses;
  - an expected-error, -warning, -remark or -note that no RUN line verifies,
    and --verify-diagnostics where nothing is expected;
  - a file without a RUN line.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

RUN = re.compile(r"\bRUN:(.*)")
SUFFIX = r"(?:-(?:NEXT|SAME|NOT|DAG|LABEL|EMPTY|COUNT-\d+))?(?:\{LITERAL\})?:"
DIRECTIVE = re.compile(r"^\s*//\s*([A-Za-z][\w-]*?)" + SUFFIX)
LOOKS_LIKE_CHECK = re.compile(r"(?:^|[-_])CHECK(?:$|[-_])", re.IGNORECASE)
FILE_CHECK = re.compile(r"(?<![-\w])FileCheck\b([^|;&]*)")
PREFIXES = re.compile(r"--?check-prefix(?:es)?[= ]\s*([\w,-]+)")
VERIFY = re.compile(r"--?verify-diagnostics\b")
EXPECTED = re.compile(r"//\s*expected-(?:error|warning|remark|note)\b")


def run_commands(lines: list[str]) -> list[tuple[int, str]]:
    """The commands of the RUN lines and the line each begins in, continuations joined."""
    commands: list[tuple[int, str]] = []
    continued = False
    for number, line in enumerate(lines, start=1):
        if not (match := RUN.search(line)):
            continue
        text = match[1].strip()
        if continued:
            start, command = commands.pop()
            commands.append((start, command + text.removesuffix("\\")))
        else:
            commands.append((number, text.removesuffix("\\")))
        continued = text.endswith("\\")
    return commands


def errors(path: Path) -> Iterator[tuple[int, str]]:
    """Line numbers and messages."""
    lines = path.read_text(encoding="utf-8").splitlines()
    commands = run_commands(lines)
    if not commands:
        yield 1, "no RUN line"

    given: dict[str, int] = {}
    for number, command in commands:
        for call in FILE_CHECK.finditer(command):
            named = [p for match in PREFIXES.finditer(call[1]) for p in match[1].split(",")]
            given.update((prefix, number) for prefix in named or ["CHECK"])

    used: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if RUN.search(line) or not (match := DIRECTIVE.match(line)):
            continue
        used.add(match[1])
        if LOOKS_LIKE_CHECK.search(match[1]) and match[1] not in given:
            yield number, f"no RUN line feeds '{match[1]}' lines to FileCheck"
    for prefix, number in given.items():
        if prefix not in used:
            yield number, f"FileCheck looks for '{prefix}' lines, and there are none"

    expected = [number for number, line in enumerate(lines, start=1) if EXPECTED.search(line)]
    verifying = [number for number, command in commands if VERIFY.search(command)]
    if expected and not verifying:
        yield expected[0], "expected diagnostics, but no RUN line has --verify-diagnostics"
    if verifying and not expected:
        yield verifying[0], "--verify-diagnostics, but no diagnostic is expected"


def main(arguments: list[str]) -> int:
    """The number of errors, at most 1, as exit status."""
    failed = False
    for argument in map(Path, arguments):
        files = sorted(argument.rglob("*.mlir")) if argument.is_dir() else [argument]
        for path in files:
            for number, message in errors(path):
                print(f"{path}:{number}: error: {message}")
                failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
