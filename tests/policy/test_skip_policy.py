"""Policy files: a saved policy is read again unchanged, its file is readable, and its digest covers what it does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings

from compute.policy.rules import Rule
from compute.policy.skip_policy import PolicyError, SkipPolicy
from store.errors import StoreError
from store.records import Window
from tests.policy.policies import SIMPLE, X0, document, policies, unet_rule


@settings(max_examples=20, deadline=None)
@given(policies())
def test_files(tmp_path_factory: pytest.TempPathFactory, policy: SkipPolicy) -> None:
    folder = tmp_path_factory.mktemp("policies")
    policy.save(folder / "policy.json")
    policy.save(str(folder / "policy.json"))
    assert SkipPolicy.load(str(folder / "policy.json")) == policy
    assert [path.name for path in folder.iterdir()] == ["policy.json"], "no temporary file is left"


def test_the_file_is_readable() -> None:
    lines = SIMPLE.dumps().splitlines()
    assert lines[0] == "{"
    assert '  "guidance": 3.0,' in lines
    action = '"action": {"name": "reuse", "order": 1, "space": "x0"}'
    assert f'    {{"components": ["unet"], "window": {{"start": 6, "stop": 8}}, {action}}},' in lines
    assert max(map(len, lines)) <= 125
    assert "null" not in SIMPLE.dumps()


@pytest.mark.parametrize("name", ["missing.json", ".", "a\0b", "\x1b[31m.json", "x" * 5000])
def test_paths_without_a_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(PolicyError, match=r"no such file|not a regular file|cannot be read") as caught:
        SkipPolicy.load(tmp_path / name)
    assert str(caught.value).isprintable()


def test_a_device_and_a_huge_file_are_refused_at_once(tmp_path: Path) -> None:
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(PolicyError, match="larger than the 1 MiB"):
        SkipPolicy.load(huge)
    with pytest.raises(PolicyError, match="not a regular file"):
        SkipPolicy.load("/dev/zero")


def test_a_link_to_a_policy_is_followed(tmp_path: Path) -> None:
    SIMPLE.save(tmp_path / "one.json")
    (tmp_path / "two.json").symlink_to("one.json")
    assert SkipPolicy.load(tmp_path / "two.json") == SIMPLE


def test_a_policy_that_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    rules = tuple(
        Rule(components=(f"{i:0200}",), window=Window(start=i % 20, stop=i % 20 + 1), action=X0) for i in range(5000)
    )
    with pytest.raises(PolicyError, match="a policy has at most 1048576"):
        SIMPLE.model_copy(update={"rules": rules}).save(tmp_path / "policy.json")
    with pytest.raises(StoreError, match="cannot be written"):
        SIMPLE.save(tmp_path / "missing" / "policy.json")
    assert list(tmp_path.iterdir()) == []


def test_the_digest_covers_what_a_policy_does() -> None:
    renamed = SIMPLE.model_copy(update={"name": "other", "provenance": {}})
    assert renamed.digest == SIMPLE.digest
    assert SIMPLE.model_copy(update={"guidance": 2.0}).digest != SIMPLE.digest
    split = [unet_rule(6, 7), unet_rule(7, 8)], [unet_rule(6, 8)]
    assert len({SkipPolicy.loads(json.dumps(document(rules=rules))).digest for rules in split}) == 1
