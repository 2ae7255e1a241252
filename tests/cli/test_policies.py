"""Recommending, validating and applying policies as a person does it, and with every kind of wrong input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from compute.images import image_of
from compute.models.model import load_model
from compute.policy.liveness import resolve
from compute.policy.skip_policy import SkipPolicy
from store.records import Condition
from tests.cli.fork_server import Ended, Zygote
from tests.cli.test_bad_input import nothing_written, refused
from tests.cli.test_commands import document
from tests.sweep.small_config import CONFIG

Sweep = tuple[Path, Path]
CAPTION = "a key on a red background"


@pytest.fixture(scope="module")
def recommended(finished: Sweep, commands: Zygote, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """A policy that `recommend` wrote, for reading only, and how the command ended."""
    path = tmp_path_factory.mktemp("recommended") / "new" / "policy.json"
    return path, commands.run("recommend", finished[1], "--max-damage", 900, "-o", path)


@pytest.fixture
def policy(recommended: tuple[Path, Ended], tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copy(recommended[0], tmp_path / "policy.json"))


@pytest.fixture(scope="module")
def validated(
    recommended: tuple[Path, Ended], commands: Zygote, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Ended]:
    """A policy that `validate` wrote into, for reading only, and how the command ended."""
    path = Path(shutil.copy(recommended[0], tmp_path_factory.mktemp("validated") / "policy.json"))
    return path, commands.run("validate", path, "--count", 3, "--batch", 2, "--json")


def test_a_recommendation(recommended: tuple[Path, Ended], finished: Sweep) -> None:
    path, ended = recommended
    assert ended.status == 0, ended.stderr
    found = SkipPolicy.load(path)
    assert found.prediction is not None and found.prediction.speedup > 1
    assert set(found.prediction.prompts) == set(CONFIG["prompts"])
    assert found.name == "mse-damage-900" and found.rules and found.validation is None
    assert ended.stdout.count("\n") == 1
    assert ended.stdout.startswith(f"{path}: {found.prediction.speedup:.2f}x by the cost model, damage ")
    assert f"not validated yet: python -m compute validate {path}" in ended.stdout
    assert [it.name for it in path.parent.iterdir()] == ["policy.json"]


def test_several_budgets_fill_a_folder(finished: Sweep, commands: Zygote, tmp_path: Path) -> None:
    ended = commands.run("recommend", finished[1], "--max-damage", "800,900", "-o", tmp_path / "some" / "policies")
    assert ended.status == 0, ended.stderr
    names = ["mse-damage-800.json", "mse-damage-900.json"]
    assert sorted(it.name for it in (tmp_path / "some" / "policies").iterdir()) == names
    assert [line.split(": ")[0] for line in ended.stdout.splitlines()] == [
        str(tmp_path / "some" / "policies" / name) for name in names
    ]


RECOMMENDATIONS: list[tuple[tuple[object, ...], str]] = [
    ((), "--max-damage, --min-speedup: give one of the two"),
    (("--max-damage", "0.1", "--min-speedup", "2"), "--max-damage, --min-speedup: give one of the two"),
    (("--max-damage", "little"), "--max-damage: 'little' is not understood; write 0.01"),
    (("--max-damage", "nan"), "--max-damage: 'nan' is not understood"),
    (("--min-speedup", "0.5"), "--min-speedup: 0.5; a number above 1 is accepted"),
    (("--min-speedup", "fast"), "--min-speedup"),
    (("--max-damage", "0.1", "--metric", "beauty"), "--metric: 'beauty' was not measured here; accepted: "),
    (("--max-damage", "0.1", "--metric", "fidelity_all"), "--metric: 'fidelity_all' "),
    (("--max-damage", "0.1,0.2"), "--output: "),
]


@pytest.mark.parametrize(
    ("options", "says"), RECOMMENDATIONS, ids=[" ".join(map(str, it)) for it, _ in RECOMMENDATIONS]
)
def test_a_wrong_recommendation(
    finished: Sweep, commands: Zygote, tmp_path: Path, options: tuple[object, ...], says: str
) -> None:
    with nothing_written(tmp_path):
        refused(commands.run("recommend", finished[1], *options, "-o", tmp_path / "a.json"), says)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--max-damage", "1e-12"), "--max-damage: nothing keeps 1e-12 "),
        (("--min-speedup", "500"), "--min-speedup: 500 is out of reach; at most "),
    ],
)
def test_a_goal_that_nothing_reaches(
    finished: Sweep, commands: Zygote, tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    with nothing_written(tmp_path):
        ended = commands.run("recommend", finished[1], *options, "-o", tmp_path / "new" / "a.json")
    assert (ended.status, ended.stdout) == (2, "")
    assert ended.lines[-1].startswith(f"skipscope: {says}")
    assert not any(line.startswith(("skipscope", "Traceback")) for line in ended.lines[:-1])


def test_places_that_cannot_hold_a_policy_are_told_at_once(finished: Sweep, commands: Zygote, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file" / "a.json", tmp_path / "file" / "below" / "a.json", tmp_path / ("x" * 300)):
        with nothing_written(tmp_path):
            ended = commands.run("recommend", finished[1], "--max-damage", 900, "-o", place)
        refused(ended, "--output: " if len(place.name) < 255 else "")


def test_a_recommendation_from_what_is_no_sweep(commands: Zygote, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for place in ("empty", "nowhere"):
        with nothing_written(tmp_path):
            ended = commands.run("recommend", tmp_path / place, "--max-damage", 1, "-o", tmp_path / "a.json")
        refused(ended, str(tmp_path / place))


def test_a_validation_as_a_document(validated: tuple[Path, Ended]) -> None:
    path, ended = validated
    (found,) = document(ended)
    policy = SkipPolicy.load(path)
    assert policy.validation is not None
    assert found["digest"] == policy.digest
    assert found["runs"] == policy.validation.model_dump(mode="json")["runs"]
    assert [run["name"] for run in found["runs"]] == ["full", "policy", "fewer_steps"]
    assert (found["conditions"], found["batch"], found["rounds"]) == (3, 2, 2)
    assert found["prompts"] == "glide-mini's held-out split"


def test_a_validation_leaves_pictures_beside_the_policy(validated: tuple[Path, Ended]) -> None:
    path, _ = validated
    assert sorted(it.name for it in path.parent.iterdir()) == ["policy.json", "policy.png"]
    with Image.open(path.with_suffix(".png")) as grid:
        assert grid.size == (3 * 16, 3 * 16)


def test_what_is_validated_can_be_kept(validated: tuple[Path, Ended], commands: Zygote) -> None:
    path, _ = validated
    with nothing_written(path.parent):
        ended = commands.run("validate", path, "--keep")
    assert (ended.status, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("mse-damage-900: 3 conditions (glide-mini's held-out split; seeds ")
    assert lines[-1] == f"  {path}"
    assert max(map(len, lines)) < 240


def test_a_validation_on_prompts_of_ones_own(policy: Path, commands: Zygote, tmp_path: Path) -> None:
    before = policy.read_bytes()
    prompts, output = tmp_path / "prompts.txt", tmp_path / "made" / "best-0.01"
    prompts.write_text("a fox on a pink background\n")
    ended = commands.run("validate", policy, "--prompts", prompts, "--seeds", "4,5", "-o", output)
    assert ended.status == 0, ended.stderr
    found = SkipPolicy.load(output).validation
    assert found is not None and (found.prompts, found.seeds, found.conditions) == ("1 prompts of a file", "4, 5", 2)
    assert "too few pictures" in ended.stdout
    assert policy.read_bytes() == before
    assert sorted(it.name for it in output.parent.iterdir()) == ["best-0.01", "best-0.01.png"]


VALIDATIONS: list[tuple[tuple[object, ...], str]] = [
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


@pytest.mark.parametrize(("options", "says"), VALIDATIONS, ids=[" ".join(map(str, it)) for it, _ in VALIDATIONS])
def test_a_wrong_validation(
    policy: Path, commands: Zygote, tmp_path: Path, options: tuple[object, ...], says: str
) -> None:
    (tmp_path / "seen.txt").write_text(f"{CAPTION}\n")
    (tmp_path / "words.txt").write_text("a cat a cat\n")
    (tmp_path / "good.txt").write_text("a fox on a pink background\n")
    with nothing_written(tmp_path):
        ended = commands.run("validate", policy, *options, before=f"import os; os.chdir({str(tmp_path)!r})")
    refused(ended, says)


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


@pytest.mark.parametrize(("name", "content", "says"), HOSTILE, ids=[name for name, _, _ in HOSTILE])
def test_a_file_that_is_no_policy(
    policy: Path, commands: Zygote, tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    hostile = tmp_path / "hostile.json"
    if content is not None:
        hostile.write_bytes(content)
    with nothing_written(tmp_path):
        refused(commands.run("validate", policy, hostile), says)
        refused(commands.run("sample", "--policy", hostile, "--prompt", CAPTION, "-o", tmp_path / "a.png"), says)


def changed(policy: Path, **changes: Any) -> Path:
    """A policy's document with other fields, given by their path."""
    data = json.loads(policy.read_text())
    for name, value in changes.items():
        place = data
        *above, last = name.split("__")
        for step in above:
            place = place[step]
        place[last] = value
    policy.write_text(json.dumps(data))
    return policy


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"rules": [{"components": ["nowhere"], "window": {"start": 1, "stop": 2}, "action": {"name": "bypass"}}]},
     "no component is called 'nowhere'"),
    ({"rules": [{"components": ["unet"], "window": {"start": 0, "stop": 2}, "action": {"name": "reuse"}}]},
     "no step before it computes"),
    ({"model__name": "../../etc"}, "model: '../../etc' is no pipeline"),
    ({"model__weights": "0" * 64}, "is for weights 000000000000 of "),
    ({"sampler__spacing": "trailing"}, "sampler: spacing of ddpm is linspace"),
    ({"sampler__eta": 0.5}, "sampler: eta belongs to ddim"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "says"), CHANGES, ids=[str(list(changes)) for changes, _ in CHANGES])
def test_a_policy_that_fits_no_model(
    policy: Path, commands: Zygote, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    changed(policy, **changes)
    with nothing_written(tmp_path):
        refused(commands.run("sample", "--policy", policy, "--prompt", CAPTION, "-o", tmp_path / "a.png"), says)
        refused(commands.run("validate", policy, "--count", 2), says)


def test_several_policies_are_not_written_into_one_file(policy: Path, commands: Zygote, tmp_path: Path) -> None:
    with nothing_written(tmp_path):
        refused(commands.run("validate", policy, policy, "-o", tmp_path / "b.json"), "--output: is one file and 2")


def test_a_sample_by_a_policy_is_the_loop_under_its_schedule(
    recommended: tuple[Path, Ended], commands: Zygote, tmp_path: Path
) -> None:
    path, _ = recommended
    picture = tmp_path / "a.png"
    options = ("--prompt", CAPTION, "--seed", 5, "-o", picture)
    ended = commands.run("sample", "--policy", path, *options)
    assert (ended.status, ended.stdout, ended.stderr) == (0, f"{picture}\n", "")
    torch.set_num_threads(1)
    skip = SkipPolicy.load(path)
    model = load_model(skip.model.name)
    condition = Condition(prompt=CAPTION, seed=5, guidance=skip.guidance)
    (expected,) = model.pictures([condition], skip.sampler, resolve(model.graph, skip.schedule))
    with Image.open(picture) as drawn:
        by_policy = drawn.tobytes()
        assert np.array_equal(np.asarray(drawn), np.asarray(image_of(expected.numpy())))
    assert commands.run("sample", "--model", skip.model.name, "--steps", 4, *options).status == 0
    with Image.open(picture) as full:
        assert full.tobytes() != by_policy


SAMPLES: list[tuple[tuple[object, ...], str]] = [
    (("--steps", 5), "--steps: 5 is asked for and the policy is for 4"),
    (("--guidance", 2), "--guidance: 2.0 is asked for and the policy is for 3.0"),
    (("--sampler", "ddim"), "--sampler: ddim is asked for and the policy is for ddpm"),
    (("--model", "nowhere"), "model: 'nowhere' is no pipeline"),
    (("--model", "glide-mini"), "'glide-mini' here has "),
    (("--prompt", "a cta"), "prompt: this model does not know the word 'cta'; near: cat"),
]


@pytest.mark.parametrize(("options", "says"), SAMPLES, ids=[" ".join(map(str, it)) for it, _ in SAMPLES])
def test_a_sample_of_another_run_than_the_policys(
    recommended: tuple[Path, Ended], commands: Zygote, tmp_path: Path, options: tuple[object, ...], says: str
) -> None:
    with nothing_written(tmp_path):
        arguments = ("--prompt", CAPTION, "-o", tmp_path / "a.png", *options)
        refused(commands.run("sample", "--policy", recommended[0], *arguments), says)


@pytest.mark.parametrize("command", ["recommend", "validate"])
def test_each_command_has_help(commands: Zygote, command: str) -> None:
    ended = commands.run(command, "--help")
    assert (ended.status, ended.stderr) == (0, "")
    assert "Usage: " in ended.stdout


@pytest.mark.parametrize("arguments", [("recommend",), ("validate",), ("validate", "a.json", "--jsno")])
def test_wrong_usage(commands: Zygote, arguments: tuple[str, ...]) -> None:
    refused(commands.run(*arguments), "")
