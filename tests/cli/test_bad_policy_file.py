"""Files that are no policy, and policies that fit no model: exit status 2, one line, nothing written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.fork_server import ForkServer
from tests.cli.outcomes import assert_refused, nothing_written
from tests.sweep.small_config import CAPTION

HOSTILE: list[tuple[str, bytes | None, str]] = [
    ("missing", None, "there is no such file"),
    ("empty", b"", "is not JSON: line 1"),
    ("binary", b"\xff\xfe\x00", "is not UTF-8 text"),
    ("a list", b"[]", "format: a list is no skip policy"),
    ("another document", b'{"format": "skipscope-sweep"}', "is no skip policy"),
    ("newer", b'{"format": "skipscope-policy", "version": 2}', "this release reads version 1: upgrade skipscope"),
    ("nested", b"[" * 100_000, "is nested too deeply"),
    ("not a number", b'{"format": NaN}', "NaN is no number"),
    ("huge", b" " * (2 << 20), "is larger than the 1 MiB"),
    ("twice", b'{"format": "a", "format": "b"}', "the field 'format' appears twice"),
]


@pytest.mark.parametrize(("name", "content", "message"), HOSTILE, ids=[name for name, _, _ in HOSTILE])
def test_a_file_that_is_no_policy(
    policy: Path, commands: ForkServer, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    hostile = tmp_path / "hostile.json"
    if content is not None:
        hostile.write_bytes(content)
    with nothing_written(tmp_path):
        assert_refused(commands.run("validate", policy, hostile), message)
        sampled = commands.run("sample", "--policy", hostile, "--prompt", CAPTION, "-o", tmp_path / "a.png")
        assert_refused(sampled, message)


def change_fields(policy: Path, **changes: Any) -> None:
    """Change fields of a policy's document; `a__b` is the field `b` of the field `a`."""
    document = json.loads(policy.read_text())
    document.pop("sha256", None)  # as somebody does who changes a policy by hand
    for name, value in changes.items():
        parent = document
        *parents, last = name.split("__")
        for step in parents:
            parent = parent[step]
        parent[last] = value
    policy.write_text(json.dumps(document))


CHANGES: list[tuple[dict[str, Any], str]] = [
    (
        {"rules": [{"components": ["nowhere"], "window": {"start": 1, "stop": 2}, "action": {"name": "bypass"}}]},
        "no component is called 'nowhere'",
    ),
    (
        {"rules": [{"components": ["unet"], "window": {"start": 0, "stop": 2}, "action": {"name": "reuse"}}]},
        "no step before it computes",
    ),
    ({"model__name": "../../etc"}, "model: '../../etc' is no pipeline"),
    ({"model__weights": "0" * 64}, "is for weights 000000000000 of "),
    ({"sampler__spacing": "trailing"}, "sampler: spacing of ddpm is linspace"),
    ({"sampler__eta": 0.5}, "sampler: eta belongs to ddim"),
]


@pytest.mark.parametrize(("changes", "message"), CHANGES, ids=[str(list(changes)) for changes, _ in CHANGES])
def test_a_policy_that_fits_no_model(
    policy: Path, commands: ForkServer, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    change_fields(policy, **changes)
    with nothing_written(tmp_path):
        sampled = commands.run("sample", "--policy", policy, "--prompt", CAPTION, "-o", tmp_path / "a.png")
        assert_refused(sampled, message)
        assert_refused(commands.run("validate", policy, "--count", 2), message)
