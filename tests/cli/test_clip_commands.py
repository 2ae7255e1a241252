"""The CLIP score from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.policy.skip_policy import SkipPolicy
from store.sweep_store import SweepStore
from tests.cli.fork_server import ForkServer
from tests.cli.outcomes import assert_refused, nothing_written
from tests.metrics.tiny_clip import save_clip
from tests.pipeline.tiny_pipelines import picture

Sweep = tuple[Path, Path]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_clip(tmp_path_factory.mktemp("clip") / "model")


def test_measure_adds_the_clip_score(sweep_copy: Sweep, clip: Path, commands: ForkServer) -> None:
    _, store = sweep_copy
    without = commands.run("measure", store, "--metrics", "clip_score")
    assert without.status == 0, without.stderr
    assert without.stdout.startswith("clip_score: absent: it needs CLIP's weights, which are never downloaded: give")
    result = commands.run("measure", store, "--metrics", "clip_score", "--clip", clip)
    assert result.status == 0, result.stderr
    opened = SweepStore.open(store)
    assert result.stdout == f"{store}: 1 metrics measured on {len(opened.header.plan)} units\n"
    for unit in opened.header.plan:
        with opened.read(unit.key) as reader:
            (score,) = (metric for metric in reader.metrics if metric.info.name == "clip_score")
        assert score.values is not None and score.values.shape == (len(unit.conditions),)
        assert score.info.weights is not None


def test_a_folder_that_is_no_clip_model_is_refused(sweep_copy: Sweep, commands: ForkServer, tmp_path: Path) -> None:
    config, store = sweep_copy
    (tmp_path / "empty").mkdir()
    with nothing_written(store):
        result = commands.run("measure", store, "--metrics", "clip_score", "--clip", tmp_path / "empty")
    assert_refused(result, "--clip: clip_score can't be measured: ")
    text = config.read_text()
    changed = tmp_path / "changed.yaml"
    changed.write_text(text.replace("- fidelity_all", "- fidelity_all\n- clip_score"))
    assert changed.read_text() != text
    with nothing_written(tmp_path):
        result = commands.run("sweep", changed, "--store", tmp_path / "new", "--clip", tmp_path / "empty")
    assert_refused(result, "has no config.json of a model that transformers has saved")


def test_validate_compares_runs_by_clip(policy: Path, clip: Path, commands: ForkServer, tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    reference.mkdir()
    for number in range(3):
        picture(number).save(reference / f"{number}.png")
    options = ("--count", 2, "--batch", 2, "--clip", clip)
    result = commands.run("validate", policy, *options, "--reference", reference)
    assert result.status == 0, result.stderr
    validation = SkipPolicy.load(policy).validation
    assert validation is not None and validation.clip is not None and validation.clip.reference == 3
    assert f"  by CLIP {validation.clip.weights[:12]}, 3 reference pictures:" in result.stdout
    with nothing_written(tmp_path):
        refused = commands.run("validate", policy, *options, "--reference", tmp_path / "nowhere")
    assert_refused(refused, "--reference: ")
