"""Policies of a cascade's stages: recommended, put together, validated at the cascade's end, applied."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from compute import progress
from compute.cli.main import app
from compute.models.later_stages import LaterStages
from compute.models.loading import load_model
from compute.models.model import Model
from compute.models.other_stage import OtherStage, stage_pictures
from compute.policy.liveness import resolve
from compute.policy.rules import rules_of
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import PolicyError, PolicyModel, SkipPolicy
from compute.recommend.find_policy import recommend
from compute.recommend.policy_model import load_for
from compute.recommend.stages_under_policy import earlier_stages
from compute.recommend.validation import ValidationResult, validate
from compute.unet import parameter_digests
from store.records import Action, Condition
from store.sampler import SamplerSettings
from tests.recommend.validations import evaluation_of
from tests.sweep.cascades import BASE_RUN, make_cascade
from tests.sweep.run_sweep import sweep

STEPS = {"base": 3, "refiner": 4}
CALL = {"base": BASE_RUN["call"], "refiner": {"strength": 1.0}}
CONDITIONS = [Condition(prompt=prompt, seed=seed, guidance=2.0) for seed in (3, 4) for prompt in ("a cat", "a dog")]


@pytest.fixture(scope="module")
def cascade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return make_cascade(tmp_path_factory.mktemp("cascade"))


def policy_of(cascade: Path, stage: str) -> SkipPolicy:
    """Return a policy of a stage that reuses the UNet at step 1."""
    model = load_model(str(cascade), stage=stage)
    schedule = Schedule(steps=STEPS[stage], actions={1: {"unet": Action(name="reuse")}})
    return SkipPolicy(
        name=stage,
        model=PolicyModel(
            name=str(cascade), weights=model.source.digest, stage=stage, unet=parameter_digests(model.unet)
        ),
        sampler=SamplerSettings(name="DDIMScheduler", steps=STEPS[stage]),
        timesteps=model.probe(SamplerSettings(name="DDIMScheduler", steps=STEPS[stage]), 2.0).steps.timesteps,
        call=CALL[stage],
        guidance=2.0,
        rules=rules_of(schedule),
    )


@pytest.fixture(scope="module")
def policies(cascade: Path) -> dict[str, SkipPolicy]:
    return {stage: policy_of(cascade, stage) for stage in STEPS}


def validated(policy: SkipPolicy) -> ValidationResult:
    with progress.bar("validate", len(CONDITIONS)) as bar:
        return validate(policy, load_for(policy), evaluation_of(CONDITIONS), batch=2, bar=bar)


def run(policy: SkipPolicy, *, full: bool, inputs: np.ndarray | None = None) -> torch.Tensor:
    """Return the pictures of a policy's own stage for two batches of two conditions."""
    model: Model = load_for(policy)
    resolved = None if full else resolve(model.graph, policy.schedule)
    halves = [slice(0, 2), slice(2, 4)]
    return torch.cat(
        [
            model.run(CONDITIONS[half], policy.sampler, resolved, inputs=None if inputs is None else inputs[half])
            for half in halves
        ]
    )


def test_a_first_stage_is_also_measured_at_the_cascades_end(policies: dict[str, SkipPolicy]) -> None:
    result = validated(policies["base"])
    validation = result.policy.validation
    assert validation is not None and validation.policy.end is not None
    assert validation.policy.end.stage == "refiner"
    full, own = (run(policies["base"], full=value) for value in (True, False))
    torch.testing.assert_close(result.pictures["policy"], own, atol=1e-5, rtol=0)
    later = LaterStages(load_for(policies["base"]))
    ends = [later.pictures(CONDITIONS, pictures) for pictures in (full, own)]
    loss = float((ends[1] - ends[0]).double().square().mean())
    damage = validation.policy.end.damage["mse"]
    assert loss > 0 and damage.mean > 0
    assert validation.run("full").end.damage == {}  # type: ignore[union-attr]
    read = SkipPolicy.loads(result.policy.dumps())
    assert read == result.policy


def test_a_last_stage_has_no_later_one(policies: dict[str, SkipPolicy]) -> None:
    validation = validated(policies["refiner"]).policy.validation
    assert validation is not None and all(run.end is None for run in validation.runs)


def test_both_stages_under_their_policies(policies: dict[str, SkipPolicy]) -> None:
    """Full compute is that of both stages, and the policy's pictures are made from the base's under its policy."""
    both = policies["refiner"].after(policies["base"])
    assert [policy.model.stage for policy in both.stages] == ["base", "refiner"]
    assert SkipPolicy.loads(both.dumps()) == both
    assert both.digest != policies["refiner"].digest
    result = validated(both)
    for name, full in (("full", True), ("policy", False)):
        inputs = stage_pictures(run(policies["base"], full=full))
        expected = run(policies["refiner"], full=full, inputs=inputs)
        torch.testing.assert_close(result.pictures[name], expected, atol=1e-5, rtol=0)  # type: ignore[index]
    validation = result.policy.validation
    assert validation is not None and validation.run("fewer_steps") is not None


def test_a_stage_keeps_the_scheduler_that_it_was_loaded_with(policies: dict[str, SkipPolicy]) -> None:
    """Runs give the pipeline another scheduler; a stage that is made afterwards for a policy does not start from it."""
    both = policies["refiner"].after(policies["base"])
    model = load_for(both)
    before = earlier_stages(both, model, full=True)
    assert before is not None
    own = dict(before.model.base_scheduler)
    before.model.run(CONDITIONS[:1], SamplerSettings(name="EulerDiscreteScheduler", steps=3))
    again = earlier_stages(both, model, full=False)
    assert again is not None and again.model.base_scheduler == own
    assert type(again.model.pipe.scheduler).__name__ == "EulerDiscreteScheduler" != own["_class_name"]


def test_the_time_of_both_stages_is_measured(policies: dict[str, SkipPolicy], monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"sampled": 0, "pictures": 0}
    for name in counts:
        original = getattr(OtherStage, name)

        def counted(self: OtherStage, *args: object, name: str = name, original: object = original) -> object:
            counts[name] += 1
            return original(self, *args)  # type: ignore[operator]

        monkeypatch.setattr(OtherStage, name, counted)
    validated(policies["refiner"].after(policies["base"]))
    assert counts["pictures"] == 0, "kept pictures would leave the base's time out"
    counts["sampled"] = 0
    validated(policies["refiner"])
    assert counts["pictures"] > counts["sampled"]


def test_stages_that_do_not_belong_together_are_refused(policies: dict[str, SkipPolicy], cascade: Path) -> None:
    with pytest.raises(PolicyError, match="previous: the stages are refiner, refiner"):
        policies["refiner"].after(policies["refiner"])
    with pytest.raises(PolicyError, match="stage: the policy has none for 'upsampler'; it has base"):
        policies["base"].of_stage("upsampler")
    other = policies["base"].model_copy(
        update={"model": policies["base"].model.model_copy(update={"weights": "0" * 64})}
    )
    with pytest.raises(PolicyError, match="is for weights 000000000000 of the stage 'base'"):
        validated(policies["refiner"].after(other))
    alone = policies["base"].model_copy(update={"previous": policies["refiner"]})
    with pytest.raises(PolicyError, match="is for a cascade with the stage 'refiner' before 'base'"):
        validated(alone)


def test_the_commands(policies: dict[str, SkipPolicy], cascade: Path, tmp_path: Path) -> None:
    paths = {stage: tmp_path / f"{stage}.json" for stage in policies}
    for stage, policy in policies.items():
        policy.save(paths[stage])
    both, cli = tmp_path / "both.json", CliRunner()
    assert cli.invoke(app, ["combine", *map(str, paths.values()), "-o", str(both)]).exit_code == 0
    assert SkipPolicy.load(both) == policies["refiner"].after(policies["base"])
    pictures = {}
    for name, options in {
        "end": ["--model", str(cascade), "--steps", "4", "--sampler", "DDIMScheduler", "--guidance", "2"],
        "base": ["--model", str(cascade), "--stage", "base"],
        "both": ["--policy", str(both)],
        "refiner": ["--policy", str(paths["refiner"])],
    }.items():
        path = tmp_path / f"{name}.png"
        if name == "base":
            options += ["--steps", "4"]
        result = cli.invoke(app, ["sample", "--prompt", "a cat", "-o", str(path), *options])
        assert result.exit_code == 0 or name == "base", result.output
        pictures[name] = path.read_bytes() if path.exists() else b""
    assert pictures["end"] != pictures["both"] != pictures["refiner"]
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a dog\n")
    result = cli.invoke(app, ["validate", str(paths["base"]), "--prompts", str(prompts), "--seeds", "0:2"])
    assert result.exit_code == 0, result.output
    assert "after the stage refiner, damage by mse" in result.output
    document = json.loads(paths["base"].read_text())
    assert document["validation"]["runs"][1]["end"]["stage"] == "refiner"


def test_a_recommendation_for_a_stage(cascade: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "model": str(cascade),
                "stage": "refiner",
                "sampler": {"name": "DDIMScheduler", "steps": 4},
                "call": {"strength": 1.0},
                "prompts": ["a cat", "a dog"],
                "components": ["unet"],
                "windows": {"count": 4},
                "actions": ["reuse"],
                "screen": [{"name": "reuse", "components": ["unet"], "lengths": [1]}],
                "conditions_per_unit": 2,
            }
        )
    )
    sweep(config, tmp_path / "store")
    policy = recommend(tmp_path / "store", max_damage=1.0)
    assert policy.model.stage == "refiner"
    assert load_for(policy).source.stage == "refiner"


def test_a_sample_is_made_as_the_cascade_says(cascade: Path, tmp_path: Path) -> None:
    """Without --steps and --sampler a stage runs by its own in cascade.json."""
    cli, pictures = CliRunner(), []
    for options in ([], ["--sampler", "DDIMScheduler", "--steps", "3", "--guidance", "2"], ["--steps", "5"]):
        path = tmp_path / f"{len(pictures)}.png"
        arguments = ["sample", "--model", str(cascade), "--stage", "base", "--prompt", "a cat", "-o", str(path)]
        result = cli.invoke(app, [*arguments, *options])
        assert result.exit_code == 0, result.output
        pictures.append(path.read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]
