"""What a validation says of its runs by a CLIP model and a folder of reference pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from compute import progress
from compute.cli.validation_text import validation_lines
from compute.config.errors import ConfigError
from compute.metrics.clip import CLIP_VARIABLE, clip_score
from compute.metrics.clip_model import ClipModel
from compute.metrics.population import frechet_distance
from compute.models.model import Model
from compute.policy.skip_policy import PolicyError, SkipPolicy
from compute.recommend.clip_evaluation import ClipEvaluation
from compute.recommend.validation import ValidationResult, validate
from compute.statistics.estimate import mean_of
from tests.metrics.tiny_clip import save_clip
from tests.recommend.validations import DROP_TWO, conditions_of, evaluation_of, policy_for

COUNT = 21
REFERENCES = 24


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CLIP_VARIABLE, raising=False)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_clip(tmp_path_factory.mktemp("clip") / "model")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures of several sizes and forms, and of other files."""
    folder = tmp_path_factory.mktemp("reference")
    random = np.random.default_rng(0)
    for number in range(REFERENCES):
        pixels = random.integers(0, 256, (20 + number, 40, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).convert(("RGB", "L", "RGBA")[number % 3] if number % 4 else "RGB")
        image.save(folder / f"{number}{('.jpg', '.PNG', '.png', '.png')[number % 4]}")
    (folder / "notes.txt").write_text("not a picture")
    return folder


@pytest.fixture(scope="module")
def evaluation(clip: Path, reference: Path) -> ClipEvaluation:
    torch.set_num_threads(1)
    loaded = ClipEvaluation.load(clip, reference)
    assert loaded is not None
    return loaded


def validated(model: Model, by_clip: ClipEvaluation | None, count: int = COUNT) -> ValidationResult:
    with progress.bar("validate", count) as bar:
        conditions = evaluation_of(conditions_of(count))
        return validate(policy_for(model, DROP_TWO), model, conditions, batch=8, bar=bar, clip=by_clip)


@pytest.fixture(scope="module")
def result(model: Model, evaluation: ClipEvaluation) -> ValidationResult:
    return validated(model, evaluation)


def test_each_run_has_its_score_and_its_distances(result: ValidationResult, evaluation: ClipEvaluation) -> None:
    validation, prompts = result.policy.validation, [condition.prompt for condition in result.conditions]
    assert validation is not None and validation.clip is not None and evaluation.reference is not None
    text, scores = evaluation.model.embed_prompts(prompts), {}
    for run in validation.runs:
        features = evaluation.model.embed_pictures(result.pictures[run.name])
        scores[run.name] = clip_score(features, text).numpy()
        assert run.clip is not None and run.clip.kid is not None
        assert run.clip.score == mean_of(scores[run.name])
        assert run.clip.frechet == pytest.approx(frechet_distance(features, evaluation.reference), rel=1e-6)
        assert run.clip.kid.low <= run.clip.kid.mean <= run.clip.kid.high
    assert len({tuple(values) for values in scores.values()}) == 3
    assert validation.clip.score_difference == mean_of(scores["policy"] - scores["full"])
    assert (validation.clip.weights, validation.clip.reference) == (evaluation.model.digest, REFERENCES)


def test_pictures_of_the_reference_itself_are_near(evaluation: ClipEvaluation, reference: Path) -> None:
    """Features of the files, read in another way, in the same order as they are kept."""
    paths = sorted(path for path in reference.iterdir() if path.suffix != ".txt")
    features = []
    for path in paths:
        pixels = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None]
        features.append(evaluation.model.embed_pictures(pixels / 127.5 - 1))
    own = torch.cat(features)
    assert evaluation.reference is not None
    assert not torch.allclose(own, evaluation.reference), "they are shuffled"
    assert torch.allclose(own.sort(0).values, evaluation.reference.sort(0).values, atol=1e-5)
    assert frechet_distance(own, evaluation.reference) < 1e-6


def test_a_policy_file_keeps_what_was_measured(result: ValidationResult, tmp_path: Path) -> None:
    result.policy.save(tmp_path / "policy.json")
    assert SkipPolicy.load(tmp_path / "policy.json") == result.policy
    document = json.loads((tmp_path / "policy.json").read_text())
    del document["validation"]["runs"][1]["clip"], document["sha256"]
    (tmp_path / "policy.json").write_text(json.dumps(document))
    with pytest.raises(PolicyError, match="clip: it is measured for all runs or for none"):
        SkipPolicy.load(tmp_path / "policy.json")


def test_the_lines_hold_a_table_of_clip(result: ValidationResult) -> None:
    lines = validation_lines(result.policy)
    start = next(number for number, line in enumerate(lines) if line.startswith("  by CLIP "))
    assert lines[start].endswith(f", {REFERENCES} reference pictures:")
    assert [line.split()[0] for line in lines[start + 2 : start + 5]] == ["full", "policy", "fewer"]
    validation = result.policy.validation
    assert validation is not None and validation.policy.clip is not None and validation.policy.clip.score is not None
    assert validation.policy.clip.score.shown(".2f") in lines[start + 3]
    assert lines[-1].startswith("  CLIP score, policy - full: ")


def test_without_a_reference_there_is_a_score_alone(model: Model, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CLIP_VARIABLE, str(clip))
    result = validated(model, ClipEvaluation.load(None, None), count=2)
    validation = result.policy.validation
    assert validation is not None and validation.clip is not None and validation.clip.reference is None
    for run in validation.runs:
        assert run.clip is not None and run.clip.score is not None
        assert run.clip.kid is run.clip.frechet is None
    assert any(line.endswith(" none") for line in validation_lines(result.policy))


def test_without_a_clip_model_documents_are_as_before(drop_validation: ValidationResult) -> None:
    assert "clip" not in drop_validation.policy.dumps()
    assert not any("CLIP" in line for line in validation_lines(drop_validation.policy))
    assert ClipEvaluation.load(None, None) is None


def test_pictures_without_prompts_have_no_score(evaluation: ClipEvaluation) -> None:
    pictures = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    without, some = evaluation.run(pictures, ["", "", ""]), evaluation.run(pictures, ["", "a cat", ""])
    assert without.quality.score is None and without.quality.frechet is not None
    assert some.quality.score is not None and some.quality.score.mean == some.scores[1]
    assert evaluation.comparison(without, some).score_difference is None


def test_pictures_that_are_sorted_by_prompt_are_no_further_from_the_reference() -> None:
    """Two prompts, the pictures of one after those of the other: blocks hold pictures of both."""

    class Pixels(ClipModel):
        def embed_pictures(self, pictures: torch.Tensor) -> torch.Tensor:
            return pictures.flatten(1)

        def embed_prompts(self, prompts: Sequence[str]) -> torch.Tensor:
            return torch.ones(len(prompts), 3)

    model = Pixels(network=None, tokenizer=None, preprocessing=None, digest="")  # type: ignore[arg-type]
    noise = torch.randn(2, 200, 3, 1, 1, generator=torch.Generator().manual_seed(0)) / 4
    centres = torch.arange(200).div(100, rounding_mode="floor").mul(2).sub(1)[:, None, None, None]
    pictures, other = noise + centres
    mixed = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    kid = ClipEvaluation(model=model, reference=other.flatten(1)[mixed]).run(pictures, ["a"] * 200).quality.kid
    assert kid is not None and abs(kid.mean) < 0.5, "sorted blocks are at about 3"


def test_few_pictures_have_no_kid(evaluation: ClipEvaluation) -> None:
    pictures = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert evaluation.run(pictures, ["a"] * 3).quality.kid is None
    one = evaluation.run(pictures[:1], ["a"]).quality
    assert one.frechet is None and one.score is not None


def test_folders_that_cannot_be_used(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"not a picture")
    (tmp_path / "empty").mkdir()
    cases = {
        (tmp_path / "nowhere", None): "--clip: .* is not a folder",
        (None, tmp_path / "bad"): "--reference: pictures are compared in CLIP's features; give --clip",
        (clip, tmp_path / "nowhere"): "--reference: .* cannot be read as a folder",
        (clip, tmp_path / "empty"): "--reference: .* holds no picture; give a folder of files .png, .jpg, .jpeg",
        (clip, tmp_path / "bad"): "--reference: .*a.png cannot be read as a picture",
    }
    for folders, message in cases.items():
        with pytest.raises(ConfigError, match=message) as error:
            ClipEvaluation.load(*folders)
        assert "\n" not in str(error.value)
