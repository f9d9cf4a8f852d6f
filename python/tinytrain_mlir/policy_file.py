"""Update policies as small JSON files.

    {
      "tinytrain_policy": 1,
      "kind": "sparse",
      "rules": {
        "blocks.3.*": true,
        "blocks.5.conv.weight": [0, 3, 5],
        "fc.weight": {"largest": 0.25}
      }
    }

The kinds are full, none, last, bias (with n), sparse (with rules, of which the last that matches a
parameter holds) and tte (with n_bias_update, weight_idx and ratio).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .config import (
    BiasOnly,
    FullUpdate,
    Largest,
    LastLayer,
    NoUpdate,
    Policy,
    SparseUpdate,
    TteScheme,
    check_rule,
)
from .errors import ConfigError
from .files import write_file

VERSION = 1

_KINDS: dict[str, Callable[..., Policy]] = {
    "full": FullUpdate,
    "none": NoUpdate,
    "last": LastLayer,
    "bias": BiasOnly,
    "sparse": SparseUpdate,
    "tte": TteScheme,
}


def save_policy(policy: Policy, path: str | Path) -> None:
    """Writes a policy; see `Policy.save`."""
    path = Path(path)
    kind = next((kind for kind, type_ in _KINDS.items() if type(policy) is type_), None)
    if kind is None:
        raise ConfigError(f"cannot save a {type(policy).__name__}: it is none of {_one_of(_KINDS)}")
    fields: dict[str, Any] = {"tinytrain_policy": VERSION, "kind": kind}
    if isinstance(policy, SparseUpdate):
        rules = {name: check_rule(name, rule) for name, rule in policy.rules.items()}
        fields["rules"] = {name: _rule_to_json(rule) for name, rule in rules.items()}
    else:
        fields |= {name: getattr(policy, name) for name in _FIELDS.get(kind, {})}
    try:
        data = _text(fields).encode()
    except (TypeError, ValueError) as error:
        raise ConfigError(f"cannot save {policy}: {error}") from error
    write_file(path, data)


def load_policy(path: str | Path) -> Policy:
    """Reads what `Policy.save` wrote, or a file of this form written by hand.

    Raises:
        ConfigError: the file is absent, damaged, or of another version.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        fields = json.loads(text, object_pairs_hook=_unique)
    except OSError as error:
        raise ConfigError(f"cannot read the policy {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the policy {path} is not JSON: {error}") from error
    try:
        return _from_fields(fields)
    except ConfigError as error:
        raise ConfigError(f"the policy {path} cannot be used: {error}") from error


def _text(fields: dict[str, Any]) -> str:
    """JSON with one rule a line."""

    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    items = []
    for key, value in fields.items():
        text = line(value)
        if isinstance(value, dict) and value:
            rules = [f"    {line(name)}: {line(rule)}" for name, rule in value.items()]
            text = "{\n" + ",\n".join(rules) + "\n  }"
        items.append(f"  {line(key)}: {text}")
    return "{\n" + ",\n".join(items) + "\n}\n"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"'{next(n for n in names if names.count(n) > 1)}' stands there twice")
    return result


def _from_fields(fields: Any) -> Policy:
    if not isinstance(fields, dict) or "tinytrain_policy" not in fields:
        raise ConfigError("expected an object with the key 'tinytrain_policy', the version")
    version = fields.pop("tinytrain_policy")
    if type(version) is not int or version != VERSION:
        raise ConfigError(
            f"expected version {VERSION}, got {version!r}: use a newer tinytrain-mlir"
        )
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ConfigError(f"expected a kind of {_one_of(_KINDS)}, got {kind!r}")
    readers = _FIELDS.get(kind, {})
    if set(fields) != set(readers):
        expected = " and ".join(f"'{key}'" for key in readers) or "nothing else"
        got = ", ".join(f"'{key}'" for key in fields) or "nothing"
        raise ConfigError(f"expected {expected} beside the kind '{kind}', got {got}")
    return _KINDS[kind](**{key: read(key, fields[key]) for key, read in readers.items()})


def _integer(key: str, value: Any) -> int:
    if type(value) is not int:
        raise ConfigError(f"expected an integer '{key}', got {value!r}")
    return value


def _integers(key: str, value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(x) is int for x in value):
        raise ConfigError(f"expected a list of integers '{key}', got {value!r}")
    return tuple(value)


def _numbers(key: str, value: Any) -> tuple[float, ...]:
    if not isinstance(value, list) or not all(type(x) in (int, float) for x in value):
        raise ConfigError(f"expected a list of numbers '{key}', got {value!r}")
    return tuple(value)


def _rules(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"expected an object '{key}', got {value!r}")
    return {name: check_rule(name, _rule_from_json(name, rule)) for name, rule in value.items()}


def _rule_to_json(rule: Any) -> Any:
    return {"largest": rule.fraction} if isinstance(rule, Largest) else rule


def _rule_from_json(name: str, rule: Any) -> Any:
    if not isinstance(rule, dict):
        return rule
    if set(rule) != {"largest"}:
        raise ConfigError(f"expected {{\"largest\": a fraction}} for '{name}', got {rule!r}")
    return Largest(rule["largest"])


_FIELDS: dict[str, dict[str, Callable[[str, Any], Any]]] = {
    "bias": {"n": _integer},
    "sparse": {"rules": _rules},
    "tte": {"n_bias_update": _integer, "weight_idx": _integers, "ratio": _numbers},
}


def _one_of(names: Iterable[str]) -> str:
    *most, last = names
    return ", ".join(most) + " or " + last
