"""`validate`: the document and pictures that it writes, and wrong options."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from compute.policy.skip_policy import SkipPolicy
from tests.cli.fork_server import ForkServer, Result
from tests.cli.outcomes import assert_refused, document, nothing_written
from tests.sweep.small_config import CAPTION

Validated = tuple[Path, Result]


@pytest.fixture(scope="module")
def validated(
    recommended: tuple[Path, Result], commands: ForkServer, tmp_path_factory: pytest.TempPathFactory
) -> Validated:
    """A policy that `validate` wrote into, for reading only, and the command's result."""
    path = Path(shutil.copy(recommended[0], tmp_path_factory.mktemp("validated") / "policy.json"))
    return path, commands.run("validate", path, "--count", 3, "--batch", 2, "--json")


def test_a_validation_as_a_document(validated: Validated) -> None:
    path, result = validated
    (printed,) = document(result)
    policy = SkipPolicy.load(path)
    assert policy.validation is not None
    assert printed["digest"] == policy.digest
    assert printed["runs"] == policy.validation.model_dump(mode="json")["runs"]
    assert [run["name"] for run in printed["runs"]] == ["full", "policy", "fewer_steps"]
    assert (printed["conditions"], printed["batch"], printed["rounds"]) == (3, 2, 2)
    assert printed["prompts"] == "glide-mini's held-out split"


def test_a_validation_writes_pictures_beside_the_policy(validated: Validated) -> None:
    path, _ = validated
    assert sorted(file.name for file in path.parent.iterdir()) == ["policy.json", "policy.png"]
    with Image.open(path.with_suffix(".png")) as grid:
        assert grid.size == (3 * 16, 3 * 16)


def test_a_validated_policy_can_be_kept(validated: Validated, commands: ForkServer) -> None:
    path, _ = validated
    with nothing_written(path.parent):
        result = commands.run("validate", path, "--keep")
    assert (result.status, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("mse-damage-900: 3 conditions (glide-mini's held-out split; seeds ")
    assert lines[-1] == f"  {path}"
    assert max(map(len, lines)) < 240


def test_a_validation_on_prompts_of_a_file(policy: Path, commands: ForkServer, tmp_path: Path) -> None:
    before = policy.read_bytes()
    prompts, output = tmp_path / "prompts.txt", tmp_path / "made" / "best-0.01"
    prompts.write_text("a fox on a pink background\n")
    result = commands.run("validate", policy, "--prompts", prompts, "--seeds", "4,5", "-o", output)
    assert result.status == 0, result.stderr
    validation = SkipPolicy.load(output).validation
    assert validation is not None
    assert (validation.prompts, validation.seeds, validation.conditions) == ("1 prompts of a file", "4, 5", 2)
    assert "too few pictures" in result.stdout
    assert policy.read_bytes() == before
    assert sorted(path.name for path in output.parent.iterdir()) == ["best-0.01", "best-0.01.png"]


WRONG_OPTIONS: list[tuple[tuple[object, ...], str]] = [
    (("--seeds", "3"), "--seeds: belongs to --prompts"),
    (("--split", "test"), "--split: 'test' is no split; accepted: train, held-out"),
    (("--prompts", "nowhere.txt"), "prompts.file: "),
    (("--prompts", "seen.txt"), f"prompts: '{CAPTION}' took part in the search"),
    (("--prompts", "words.txt"), "caption: 'a cat a cat' is not one that glide-mini knows"),
    (("--prompts", "good.txt", "--seeds", "all"), "--seeds: 'all' is not understood"),
    (("--model", "glide-mini"), "policy 'mse-damage-900' is for weights "),
    (("--model", "nowhere"), "model: 'nowhere' is no pipeline"),
    (("--count", "0"), "--count"),
    (("--batch", "0"), "--batch"),
    (("--output", "."), "--output: "),
    (("--output", "good.txt/a.json"), "--output: "),
]


@pytest.mark.parametrize(
    ("options", "message"), WRONG_OPTIONS, ids=[" ".join(map(str, options)) for options, _ in WRONG_OPTIONS]
)
def test_wrong_options_are_refused(
    policy: Path, commands: ForkServer, tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    (tmp_path / "seen.txt").write_text(f"{CAPTION}\n")
    (tmp_path / "words.txt").write_text("a cat a cat\n")
    (tmp_path / "good.txt").write_text("a fox on a pink background\n")
    with nothing_written(tmp_path):
        result = commands.run("validate", policy, *options, before=f"import os; os.chdir({str(tmp_path)!r})")
    assert_refused(result, message)


def test_several_policies_are_not_written_into_one_file(policy: Path, commands: ForkServer, tmp_path: Path) -> None:
    with nothing_written(tmp_path):
        result = commands.run("validate", policy, policy, "-o", tmp_path / "b.json")
    assert_refused(result, "--output: is one file and 2")
