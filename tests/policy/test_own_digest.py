"""A policy file carries a digest of its content: no changed byte changes what a policy does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.policy.skip_policy import PolicyError, SkipPolicy
from tests.policy.policies import SIMPLE, policies


@settings(max_examples=30, deadline=None)
@given(policies())
def test_a_saved_policy_holds_its_digest(tmp_path_factory: pytest.TempPathFactory, policy: SkipPolicy) -> None:
    path = tmp_path_factory.getbasetemp() / "policy.json"
    policy.save(path)
    document = json.loads(path.read_text())
    assert list(document)[-1] == "sha256"
    path.write_text(json.dumps(document, indent=7, sort_keys=True))  # the digest is of the values
    assert SkipPolicy.load(path) == policy
    del document["sha256"]
    assert SkipPolicy.loads(json.dumps(document)) == policy


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_flipped_bit_is_refused_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "flipped.json"
    SIMPLE.save(path)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        loaded = SkipPolicy.load(path)
    except PolicyError as error:
        lines = str(error).splitlines()
    else:
        lines = []
        assert loaded == SIMPLE
    assert all(line.startswith(f"{path}: ") for line in lines)


def test_an_edit_by_hand_is_told_how_to_be_accepted(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    SIMPLE.save(path)
    document = json.loads(path.read_text()) | {"guidance": 4.0}
    path.write_text(json.dumps(document))
    with pytest.raises(PolicyError, match=r"policy\.json: sha256: .*remove the field sha256 to accept it as it is"):
        SkipPolicy.load(path)
    del document["sha256"]
    path.write_text(json.dumps(document))
    assert SkipPolicy.load(path).guidance == 4.0


@pytest.mark.parametrize("depth", [100, 900, 990, 100_000])
def test_deep_nesting_is_refused_in_one_line(depth: int) -> None:
    text = '{"format": "skipscope-policy", "version": 1, "deep": ' + "[" * depth + "]" * depth + "}"
    with pytest.raises(PolicyError):
        SkipPolicy.loads(text)
