"""Policy files, and policies on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import tiny_net

import tinytrain_mlir as tt
from tinytrain_mlir.api import import_model
from tinytrain_mlir.cli import main
from tinytrain_mlir.config import TteScheme
from tinytrain_mlir.errors import ConfigError
from tinytrain_mlir.graph import Graph

# Files

FRACTIONS = st.floats(0, 1, exclude_min=True)
RULES = st.one_of(
    st.booleans(),
    FRACTIONS,
    FRACTIONS.map(tt.Largest),
    st.sets(st.integers(0, 2000), min_size=1).map(lambda s: tuple(sorted(s))),
)
INDEXED = st.lists(st.tuples(st.integers(0, 99), st.floats(0, 1)))
POLICIES = st.one_of(
    st.sampled_from([tt.FullUpdate(), tt.NoUpdate(), tt.LastLayer()]),
    st.builds(tt.BiasOnly, st.integers(0, 99)),
    st.builds(tt.SparseUpdate, st.dictionaries(st.text(st.characters(codec="utf-8")), RULES)),
    st.builds(
        lambda n, indexed: tt.SparseUpdate.from_tte(
            n_bias_update=n, weight_idx=[i for i, _ in indexed], ratio=[r for _, r in indexed]
        ),
        st.integers(0, 99),
        INDEXED,
    ),
)


@settings(max_examples=60)
@given(policy=POLICIES)
def test_files_keep_policies(tmp_path_factory: pytest.TempPathFactory, policy: Any) -> None:
    path = tmp_path_factory.mktemp("policy") / "policy.json"
    policy.save(path)
    loaded = tt.load_policy(path)
    assert loaded == policy and type(loaded) is type(policy)
    if isinstance(policy, tt.SparseUpdate):
        assert list(loaded.rules.items()) == list(policy.rules.items())  # type: ignore[attr-defined]
    assert [p.name for p in path.parent.iterdir()] == ["policy.json"]


def test_files_are_readable(tmp_path: Path) -> None:
    rules: dict[str, Any]
    rules = {"b.*": True, "b.1.weight": [5, 0, 3], "fc.weight": tt.Largest(0.25), "fc.bias": 0.5}
    tt.SparseUpdate(rules).save(tmp_path / "policy.json")
    assert (tmp_path / "policy.json").read_text() == (
        '{\n  "tinytrain_policy": 1,\n  "kind": "sparse",\n  "rules": {\n'
        '    "b.*": true,\n    "b.1.weight": [0, 3, 5],\n'
        '    "fc.weight": {"largest": 0.25},\n    "fc.bias": 0.5\n  }\n}\n'
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("\udcff", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "'tinytrain_policy'"),
        ('{"kind": "full"}', "'tinytrain_policy'"),
        ('{"tinytrain_policy": 2, "kind": "full"}', "expected version 1, got 2"),
        ('{"tinytrain_policy": true, "kind": "full"}', "expected version 1, got True"),
        ('{"tinytrain_policy": 1}', "tte, got None"),
        ('{"tinytrain_policy": 1, "kind": ["full"]}', "full, none"),
        ('{"tinytrain_policy": 1, "kind": "all"}', "got 'all'"),
        ('{"tinytrain_policy": 1, "kind": "full", "n": 3}', "nothing else beside the kind 'full'"),
        ('{"tinytrain_policy": 1, "kind": "bias"}', "'n' beside the kind 'bias', got nothing"),
        ('{"tinytrain_policy": 1, "kind": "bias", "n": 1.5}', "integer 'n', got 1.5"),
        ('{"tinytrain_policy": 1, "kind": "sparse", "rules": []}', "object 'rules'"),
        ('{"tinytrain_policy": 1, "kind": "sparse", "rules": {"a": 2.0}}', "for 'a', got 2.0"),
        ('{"tinytrain_policy": 1, "kind": "sparse", "rules": {"a": NaN}}', "for 'a', got nan"),
        ('{"tinytrain_policy": 1, "kind": "sparse", "rules": {"a": [1, 1]}}', "for 'a'"),
        ('{"tinytrain_policy": 1, "kind": "sparse", "rules": {"a": {"large": 1}}}', "for 'a'"),
        ('{"tinytrain_policy": 1, "kind": "sparse", "rules": {"a": {"largest": 2}}}', "Largest"),
        (
            '{"tinytrain_policy": 1, "kind": "sparse", "rules": {"a": true, "a": false}}',
            "'a' stands there twice",
        ),
        (
            '{"tinytrain_policy": 1, "kind": "tte", "n_bias_update": 1, "weight_idx": 3, "ratio": []}',
            "list of integers 'weight_idx', got 3",
        ),
        (
            '{"tinytrain_policy": 1, "kind": "tte", "n_bias_update": 1, "weight_idx": [], '
            '"ratio": ["1"]}',
            "list of numbers 'ratio'",
        ),
    ],
)
def test_damaged_files(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError) as caught:
        tt.load_policy(path)
    assert words in str(caught.value) and "policy.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.json", tmp_path):
        with pytest.raises(ConfigError, match="cannot read the policy"):
            tt.load_policy(path)
    for path in (tmp_path / "no" / "such.json", tmp_path):
        with pytest.raises(ConfigError, match="cannot write"):
            tt.FullUpdate().save(path)
    path = tmp_path / "policy.json"
    tt.FullUpdate().save(path)
    before = path.read_text()
    for policy in (tt.SparseUpdate({"a": 2.0}), TteScheme(1, (1,), (float("nan"),))):
        with pytest.raises(ConfigError):
            policy.save(path)
    assert path.read_text() == before  # the old file is whole


# The command line


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "net.mlir"
    import_model(tiny_net(), torch.zeros(1, 1, 8, 8)).save(path)
    return path


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("update", "rules"),
    [
        (["last"], {"8.weight": True, "8.bias": True}),
        (["none"], {}),
        (["bias:0"], {"8.weight": True, "8.bias": True}),
        (["8.*", "8.bias=false"], {"8.weight": True}),
        (["5.weight=0.25", "8.bias=true"], {"5.weight": 0.25, "8.bias": True}),
        (["5.weight=6,2", "3.weight=2"], {"3.weight": (2,), "5.weight": (2, 6)}),
        (["5.weight=largest:1.0"], {"5.weight": True}),
    ],
)
def test_update_options(update: list[str], rules: dict[str, Any], saved: Path) -> None:
    file = saved.with_name("policy.json")
    arguments = [word for spec in update for word in ("--update", spec)]
    code, output = run("run", saved, *arguments, "--steps", "1", "--save-policy", file)
    assert code == 0, output
    policy = tt.load_policy(file)
    assert policy == tt.SparseUpdate(rules)
    again = saved.with_name("again.json")
    code, output = run("run", saved, "--policy", file, "--steps", "1", "--save-policy", again)
    assert code == 0, output
    assert again.read_bytes() == file.read_bytes()


def test_largest_is_saved_as_channels(saved: Path) -> None:
    file = saved.with_name("largest.json")
    spec = "5.weight=largest:0.25"
    code, output = run("run", saved, "--update", spec, "--steps", "1", "--save-policy", file)
    assert code == 0, output
    expected = tt.resolve(tt.SparseUpdate({"5.weight": tt.Largest(0.25)}), Graph.load(saved))
    assert tt.load_policy(file) == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--update", "5.weight="], "'5.weight='"),
        (["--update", "5.weight=yes"], "PATTERN=VALUE"),
        (["--update", "5.weight=1.5"], "'5.weight=1.5'"),
        (["--update", "5.weight=largest:x"], "largest:0.25"),
        (["--update", "5.weight=0,0"], "0,3,5"),
        (["--update", "5.weight=9"], "below 8"),
        (["--update", "0.weight=largest:0.5", "--update", "bias:1"], "matches no parameter"),
        (["--update", "last", "--policy", "x.json"], "got both"),
        (["--policy", "absent.json"], "cannot read the policy absent.json"),
        (["--save-policy", "no/such/file.json"], "cannot write"),
    ],
)
def test_wrong_update_options(arguments: list[str], words: str, saved: Path) -> None:
    code, output = run("run", saved, *arguments, "--steps", "1")
    assert code == 1
    assert "tinytrain: error: " in output and words in output, output
