"""`bench`: a table or one document; bad input is one line, and nothing is written."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from compute.policy.bench_report import BenchError, BenchReport
from tests.cli.fork_server import ForkServer
from tests.cli.outcomes import assert_refused, document, nothing_written
from tests.recommend.bench.conftest import SETTINGS


def written(path: Path, model: Path | str, **changes: Any) -> Path:
    """A configuration file of the small bench with changes; a field of None is left out."""
    fields = {"model": str(model), **SETTINGS, **changes}
    path.write_text(yaml.safe_dump(json.loads(json.dumps({k: v for k, v in fields.items() if v is not None}))))
    return path


@pytest.fixture(scope="module")
def finished(tiny_model: Path, commands: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished bench."""
    folder = tmp_path_factory.mktemp("bench")
    result = commands.run("bench", written(folder / "bench.yaml", tiny_model), "--out", folder / "out")
    assert result.status == 0, result.stderr
    assert "chosen on 5 prompts, reported on 4 others" in result.stdout
    assert "at most 2 evaluations, the best of each group by Fréchet" in result.stdout
    return folder


def test_a_finished_bench_is_shown_again_as_a_document(finished: Path, commands: ForkServer) -> None:
    shown = document(commands.run("bench", finished / "bench.yaml", "--out", finished / "out", "--json"))
    assert shown == json.loads((finished / "out" / "bench.json").read_text())
    assert BenchReport.load(finished / "out" / "bench.json").entries


PROMPTS = ["a cat on a blue background", "a fox on a green background"]
BAD: list[tuple[dict[str, Any], str]] = [
    ({"model": "nowhere"}, "model: 'nowhere' is no pipeline"),
    ({"budgets": [3, 0.5]}, "budgets.1: no contestant takes at most 0.5 evaluations; the least is 1 (DDIM 1)"),
    ({"budgets": []}, "budgets: Tuple should have at least 1 item"),
    ({"budget": [3]}, "budget: is no field; accepted: model, guidance"),
    (
        {"solvers": [{"group": "A", "name": "ddpm", "steps": [1]}]},
        "solvers.0: ddpm, steps 1: steps of ddpm is at least 2",
    ),
    (
        {"solvers": [{"group": "A", "name": "MissingScheduler", "steps": [2]}]},
        "solvers.0: A 2: sampler.name: diffusers",
    ),
    ({"solvers": [{"group": "A", "name": "ddim", "steps": [2], "reference": "x"}]}, "solvers: 0: reference 'x' is not"),
    ({"solvers": [{"group": "A", "name": "ddim", "steps": [2, 2]}]}, "'A 2' competes 2 times: give it once"),
    (
        {"methods": [{**SETTINGS["methods"][0], "method": "x"}]},
        "methods.0.method: 'x' is not known; accepted: ",
    ),
    (
        {"methods": [{**SETTINGS["methods"][0], "parameters": {"depth": [1]}}]},
        "methods.0.parameters: deepcache has no 'depth'; accepted: interval, branch",
    ),
    (
        {"methods": [{**SETTINGS["methods"][0], "parameters": {"branch": [99]}}]},
        "methods.0: DeepCache 3 interval=2 branch=99: branch 99: this network has 0 to",
    ),
    ({"solvers": None, "methods": None}, "solvers: nothing competes; give solvers, methods or policies"),
    (
        {name: {"prompts": PROMPTS, "first_seed": 1} for name in ("calibration", "held_out")},
        "held_out.prompts: 'a cat on a blue background' is among calibration's, too",
    ),
    ({"held_out": {"prompts": ["a dragon"], "first_seed": 1}}, "held_out.prompts: 'a dragon'"),
    ({"policies": {"recommended": ["missing.json"]}}, "missing.json: there is no such file"),
]


@pytest.mark.parametrize(("changes", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_bad_input(
    changes: dict[str, Any], message: str, tiny_model: Path, commands: ForkServer, tmp_path: Path
) -> None:
    config = written(tmp_path / "bench.yaml", **{"model": tiny_model, **changes})
    with nothing_written(tmp_path):
        assert_refused(commands.run("bench", config, "--out", tmp_path / "out"), message)


def test_a_folder_of_something_else_and_of_another_bench(
    finished: Path, tiny_model: Path, commands: ForkServer, tmp_path: Path
) -> None:
    config = written(tmp_path / "bench.yaml", tiny_model)
    with nothing_written(tmp_path):
        assert_refused(commands.run("bench", config, "--out", tmp_path), "holds something else than a bench")
        assert_refused(commands.run("bench", config, "--out", config), "is a file; give a folder")
    for changes, field in (({"budgets": [3]}, "budgets"), ({"held_out": SETTINGS["calibration"]}, "held_out")):
        other = written(tmp_path / "other.yaml", tiny_model, **changes)
        with nothing_written(finished / "out"):
            assert_refused(
                commands.run("bench", other, "--out", finished / "out"), f"a bench with another {field}, which is fixed"
            )


def test_a_bench_that_is_interrupted_goes_on(
    finished: Path, tiny_model: Path, commands: ForkServer, tmp_path: Path
) -> None:
    config = written(tmp_path / "bench.yaml", tiny_model)
    command = commands.start("bench", config, "--out", tmp_path / "out")
    while not list(tmp_path.glob("out/outcomes/*.outcome")) and not command.poll():
        time.sleep(0.02)
    command.kill(2)
    stopped = command.wait()
    assert stopped.status == 130 and "goes on from there" in stopped.lines[-1]
    assert not (tmp_path / "out" / "bench.json").exists()
    result = commands.run("bench", config, "--out", tmp_path / "out")
    assert result.status == 0, result.stderr
    report, whole = (BenchReport.load(folder / "out" / "bench.json") for folder in (tmp_path, finished))
    assert [f.label for f in report.finalists] == [f.label for f in whole.finalists]
    assert [e.held_out and e.held_out.frechet for e in report.entries] == [
        e.held_out and e.held_out.frechet for e in whole.entries
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"{}", "is no result of a bench"),
        (b"[", "is not valid JSON"),
        (b'{"format": "skipscope-bench"}', "model: Field required"),
    ],
)
def test_a_file_that_is_no_report(content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "bench.json").write_bytes(content)
    with pytest.raises(BenchError, match=message):
        BenchReport.load(tmp_path / "bench.json")


def test_a_changed_report_is_refused(finished: Path, tmp_path: Path) -> None:
    text = (finished / "out" / "bench.json").read_text()
    (tmp_path / "bench.json").write_text(text.replace('"guidance":3.0', '"guidance":4.0'))
    with pytest.raises(BenchError, match="the content is not what was written"):
        BenchReport.load(tmp_path / "bench.json")
