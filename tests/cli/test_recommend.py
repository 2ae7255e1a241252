"""`recommend`: the policies that it writes, and wrong goals and places."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.policy.skip_policy import SkipPolicy
from tests.cli.fork_server import ForkServer, Result
from tests.cli.outcomes import assert_refused, nothing_written
from tests.sweep.small_config import CONFIG

Sweep = tuple[Path, Path]


def test_a_recommendation_is_one_file_and_one_line(recommended: tuple[Path, Result]) -> None:
    path, result = recommended
    assert result.status == 0, result.stderr
    policy = SkipPolicy.load(path)
    assert policy.prediction is not None and policy.prediction.speedup > 1
    assert set(policy.prediction.prompts) == set(CONFIG["prompts"])
    assert policy.name == "mse-damage-900" and policy.rules and policy.validation is None
    assert result.stdout.count("\n") == 1
    assert result.stdout.startswith(f"{path}: {policy.prediction.speedup:.2f}x by the cost model, damage ")
    assert f"not validated yet: python -m compute validate {path}" in result.stdout
    assert [file.name for file in path.parent.iterdir()] == ["policy.json"]


def test_several_budgets_fill_a_folder(finished: Sweep, commands: ForkServer, tmp_path: Path) -> None:
    folder = tmp_path / "some" / "policies"
    result = commands.run("recommend", finished[1], "--max-damage", "800,900", "-o", folder)
    assert result.status == 0, result.stderr
    names = ["mse-damage-800.json", "mse-damage-900.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert [line.split(": ")[0] for line in result.stdout.splitlines()] == [str(folder / name) for name in names]


WRONG_OPTIONS: list[tuple[tuple[object, ...], str]] = [
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
    ("options", "message"), WRONG_OPTIONS, ids=[" ".join(map(str, options)) for options, _ in WRONG_OPTIONS]
)
def test_wrong_options_are_refused(
    finished: Sweep, commands: ForkServer, tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    with nothing_written(tmp_path):
        assert_refused(commands.run("recommend", finished[1], *options, "-o", tmp_path / "a.json"), message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--max-damage", "1e-12"), "--max-damage: nothing keeps 1e-12 "),
        (("--min-speedup", "500"), "--min-speedup: 500 is out of reach; at most "),
    ],
)
def test_a_goal_out_of_reach_is_refused(
    finished: Sweep, commands: ForkServer, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    with nothing_written(tmp_path):
        result = commands.run("recommend", finished[1], *options, "-o", tmp_path / "new" / "a.json")
    assert (result.status, result.stdout) == (2, "")
    assert result.lines[-1].startswith(f"skipscope: {message}")
    assert not any(line.startswith(("skipscope", "Traceback")) for line in result.lines[:-1])


def test_a_path_that_cannot_hold_a_policy_is_refused_before_the_search(
    finished: Sweep, commands: ForkServer, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file" / "a.json", tmp_path / "file" / "below" / "a.json", tmp_path / ("x" * 300)):
        with nothing_written(tmp_path):
            result = commands.run("recommend", finished[1], "--max-damage", 900, "-o", path)
        assert_refused(result, "--output: " if len(path.name) < 255 else "")


def test_a_path_without_a_sweep(commands: ForkServer, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nowhere"):
        with nothing_written(tmp_path):
            result = commands.run("recommend", tmp_path / name, "--max-damage", 1, "-o", tmp_path / "a.json")
        assert_refused(result, str(tmp_path / name))
