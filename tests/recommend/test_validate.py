"""Validation: whole runs side by side on unseen prompts, what is written down, and its pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from compute import progress
from compute.config.schema import ConfigError
from compute.images import image_of
from compute.models.judges import judge_for
from compute.models.mini.scenes.scene import UnreadableCaption, captions
from compute.models.model import Model
from compute.policy.liveness import resolve
from compute.policy.picture_grid import PICTURE_TEXT_KEY
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import PolicyError, PolicyModel, Prediction, SkipPolicy, rules_of
from compute.recommend.evaluation_conditions import search_conditions, unseen_conditions
from compute.recommend.policy_model import check_same_run, load_for
from compute.recommend.validation import Validated, as_json, summary_lines, validate
from compute.recommend.validation_picture import COLUMNS, picture_grid
from compute.statistics.estimate import Estimate
from compute.unet import parameter_digests
from store.errors import SkipscopeError
from store.records import Action, Condition
from store.sampler import SamplerSettings
from store.sweep_store import SweepStore

STEPS = 5
DDPM = SamplerSettings(name="ddpm", steps=STEPS)
DROP = Schedule(steps=STEPS, actions={2: {"unet": Action(name="reuse", space="x0")}, 4: {"unet": Action(name="reuse")}})


def policy_for(model: Model, schedule: Schedule, *, prompts: Sequence[str] = ()) -> SkipPolicy:
    return SkipPolicy(
        name="tested",
        model=PolicyModel(
            name=str(model.source.folder), weights=model.source.digest, unet=parameter_digests(model.unet)
        ),
        sampler=SamplerSettings(name="ddpm", steps=STEPS, spacing="linspace"),
        guidance=3.0,
        rules=rules_of(schedule),
        prediction=Prediction(
            metric="mse", speedup=1.5, damage=Estimate(mean=0, low=0, high=0), conditions=1, prompts=tuple(prompts)
        ),
    )


def conditions_of(count: int) -> list[Condition]:
    prompts = captions("held-out", count, 7)
    return [Condition(prompt=prompt, seed=40 + i, guidance=3.0) for i, prompt in enumerate(prompts)]


def validated(model: Model, schedule: Schedule, count: int = 5, batch: int = 2) -> Validated:
    with progress.bar("validate", count) as bar:
        return validate(
            policy_for(model, schedule), model, conditions_of(count), said=("some", "40 on"), batch=batch, bar=bar
        )


@pytest.fixture(scope="module")
def nothing(model: Model) -> Validated:
    """The validation of a policy that computes everything."""
    torch.set_num_threads(1)
    return validated(model, Schedule.empty(STEPS))


@pytest.fixture(scope="module")
def dropped(model: Model) -> Validated:
    """The validation of a policy that drops two steps of five."""
    torch.set_num_threads(1)
    return validated(model, DROP, count=21, batch=8)


def test_a_policy_that_changes_nothing_has_no_damage_and_the_same_pictures(nothing: Validated) -> None:
    validation = nothing.policy.validation
    assert validation is not None
    zero = Estimate(mean=0, low=0, high=0)
    assert set(validation.policy.damage) == {"mse", "ssim", "haarpsi"}
    assert validation.policy.damage["mse"] == zero
    assert all(damage.high < 1e-12 for damage in validation.policy.damage.values()), "but for rounding in their sums"
    assert set(validation.fidelity_difference) == {"objects", "relation", "background", "all"}
    assert all(difference == zero for difference in validation.fidelity_difference.values())
    assert torch.equal(nothing.pictures["full"], nothing.pictures["policy"])


def test_damage_is_the_loss_over_that_of_another_seed(dropped: Validated, model: Model) -> None:
    conditions = conditions_of(21)
    full = model.pictures(conditions, DDPM)
    ours = model.pictures(conditions, DDPM, resolve(model.graph, DROP))
    other = model.pictures([condition.reseeded() for condition in conditions], DDPM)
    losses = [float((drawn - full).double().square().mean()) for drawn in (ours, other)]
    assert dropped.policy.validation is not None
    found = dropped.policy.validation.policy.damage
    assert found["mse"].mean == pytest.approx(losses[0] / losses[1], rel=1e-4)
    assert all(0 < damage.low <= damage.mean <= damage.high < 1.5 for damage in found.values())


def test_pictures_are_those_of_whole_runs_in_the_order_of_the_conditions(dropped: Validated, model: Model) -> None:
    assert dropped.conditions == tuple(conditions_of(21))
    for name, resolved in (("full", None), ("policy", resolve(model.graph, DROP))):
        expected = model.pictures(dropped.conditions, DDPM, resolved)
        assert torch.allclose(dropped.pictures[name], expected, atol=1e-4)  # type: ignore[index]


def test_fewer_steps_are_beside_it_and_have_no_damage(dropped: Validated) -> None:
    validation = dropped.policy.validation
    assert validation is not None
    fewer, full = validation.run("fewer_steps"), validation.run("full")
    assert fewer is not None and full is not None
    assert 2 <= fewer.steps <= STEPS
    assert (full.steps, validation.policy.steps) == (STEPS, STEPS)
    assert fewer.damage == full.damage == {}
    assert full.speedup == Estimate(mean=1, low=1, high=1)
    assert dropped.pictures["fewer_steps"].shape == dropped.pictures["full"].shape


def test_what_is_measured_is_written_down(dropped: Validated, model: Model, tmp_path: Path) -> None:
    validation = dropped.policy.validation
    assert validation is not None
    assert (validation.conditions, validation.batch, validation.rounds) == (21, 8, 3)
    assert (validation.dtype, validation.threads) == ("float32", torch.get_num_threads())
    assert all(run.seconds_per_picture > 0 and run.speedup.mean > 0 for run in validation.runs)
    assert all(run.kid is not None and run.kid.low <= run.kid.mean <= run.kid.high for run in validation.runs)
    dropped.policy.save(tmp_path / "policy.json")
    assert SkipPolicy.load(tmp_path / "policy.json") == dropped.policy
    assert dropped.policy.digest == policy_for(model, DROP).digest
    assert json.loads(json.dumps(as_json(dropped.policy)))["policy"] == "tested"


def test_fidelity_is_what_the_judge_says_paired_by_condition(dropped: Validated, model: Model) -> None:
    judge, prompts = judge_for(model.source), [condition.prompt for condition in dropped.conditions]
    validation = dropped.policy.validation
    assert judge is not None and validation is not None
    said = {name: judge.fidelity(dropped.pictures[name], prompts) for name in ("full", "policy", "fewer_steps")}
    for run in validation.runs:
        for aspect, share in run.fidelity.items():
            assert share.mean == pytest.approx(float(said[run.name][aspect].mean()), abs=1e-6)
    for aspect, difference in validation.fidelity_difference.items():
        expected = float((said["policy"][aspect] - said["full"][aspect]).mean())
        assert difference.mean == pytest.approx(expected, abs=1e-6)


def test_a_summary_names_all_runs(dropped: Validated) -> None:
    lines = summary_lines(dropped.policy)
    assert lines[0].startswith("tested: 21 conditions (some; seeds 40 on), float32, batch 8, ")
    assert [line.split()[0] for line in lines[2:5]] == ["full", "policy", "fewer"]
    assert sum("damage by" in line for line in lines) == 3
    assert len(lines[-1]) < 100 and "policy - full" in lines[-1]


def test_prompts_that_took_part_in_the_search_are_refused(model: Model) -> None:
    conditions = conditions_of(3)
    policy = policy_for(model, DROP, prompts=[conditions[1].prompt])
    with (
        progress.bar("validate", 3) as bar,
        pytest.raises(PolicyError, match=r"^prompts: .* took part in the search") as refusal,
    ):
        validate(policy, model, conditions, said=("", ""), batch=2, bar=bar)
    assert conditions[1].prompt in str(refusal.value) and "\n" not in str(refusal.value)


def test_prompts_that_the_judge_cannot_read_are_refused_before_anything_is_drawn(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compute.models.model.Model.pictures", lambda *_: pytest.fail("it was drawn"))
    conditions = [*conditions_of(2), Condition(prompt="cat blue", seed=0, guidance=3.0)]
    with progress.bar("validate", 3) as bar, pytest.raises(UnreadableCaption, match="'cat blue' is not one"):
        validate(policy_for(model, DROP), model, conditions, said=("", ""), batch=2, bar=bar)


def test_without_a_judge_there_is_no_fidelity(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compute.recommend.validation.judge_for", lambda _: None)
    conditions = [Condition(prompt="cat blue", seed=0, guidance=3.0)]
    with progress.bar("validate", 1) as bar:
        found = validate(policy_for(model, DROP), model, conditions, said=("one", "0"), batch=2, bar=bar).policy
    assert found.validation is not None
    assert found.validation.fidelity_difference == {}
    assert all(run.fidelity == {} and run.kid is None for run in found.validation.runs)
    assert sum("no judge" in line for line in summary_lines(found)) == 3


def test_the_runs_take_turns(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that slows down slows them all: each is the first in a third of the rounds."""
    order: list[str] = []

    def noted(
        model: Model, conditions: Sequence[Condition], sampler: SamplerSettings, resolved: object = None
    ) -> object:
        name = "policy" if resolved else "full" if sampler.steps == STEPS else "fewer"
        order.append("other" if conditions[0].seed > 1000 else name)
        return torch.rand(len(conditions), 3, 16, 16)

    monkeypatch.setattr("compute.models.model.Model.pictures", noted)
    monkeypatch.setattr("compute.recommend.validation._fewer_steps", lambda *_: 3)
    validated(model, DROP, count=6, batch=2)
    rounds = [order[i : i + 4] for i in range(0, 12, 4)]
    assert rounds == [
        ["full", "policy", "fewer", "other"],
        ["policy", "fewer", "full", "other"],
        ["fewer", "full", "policy", "other"],
    ]


def test_the_grid_holds_the_pictures_as_they_are(dropped: Validated) -> None:
    with Image.open(BytesIO(picture_grid(dropped.pictures, dropped.conditions))) as grid:
        about = json.loads(grid.text[PICTURE_TEXT_KEY])  # type: ignore[attr-defined]
        pixels = np.asarray(grid.convert("RGB"))
    assert about["tile"] == [16, 16]
    assert about["rows"] == ["full", "policy", "fewer_steps"]
    assert about["conditions"] == [{"prompt": c.prompt, "seed": c.seed} for c in dropped.conditions[:COLUMNS]]
    assert pixels.shape == (3 * 16, COLUMNS * 16, 3)
    for row, name in enumerate(about["rows"]):
        for column in range(COLUMNS):
            tile = pixels[16 * row : 16 * (row + 1), 16 * column : 16 * (column + 1)]
            assert np.array_equal(tile, np.asarray(image_of(dropped.pictures[name][column].numpy())))


def test_a_grid_of_few_pictures_is_as_wide_as_they_are(nothing: Validated) -> None:
    with Image.open(BytesIO(picture_grid(nothing.pictures, nothing.conditions))) as grid:
        assert grid.size == (5 * 16, 3 * 16)
        assert len(json.loads(grid.text[PICTURE_TEXT_KEY])["conditions"]) == 5  # type: ignore[attr-defined]


def test_a_model_with_other_weights_is_refused(model: Model) -> None:
    policy = policy_for(model, DROP)
    other = policy.model_copy(update={"model": policy.model.model_copy(update={"weights": "0" * 64})})
    with pytest.raises(PolicyError, match=r"is for weights 000000000000 of .*: give --model the folder") as refusal:
        load_for(other)
    assert "\n" not in str(refusal.value)
    with pytest.raises(PolicyError, match=r"'glide-mini' here has"):
        load_for(policy, model="glide-mini")
    assert load_for(policy).source.digest == model.source.digest


def test_a_model_that_is_not_there_is_refused(model: Model) -> None:
    policy = policy_for(model, DROP)
    gone = policy.model_copy(update={"model": policy.model.model_copy(update={"name": "/nowhere/model"})})
    with pytest.raises(SkipscopeError, match=r"model: '/nowhere/model' is no pipeline"):
        load_for(gone)


@pytest.mark.parametrize(
    "sampler",
    [
        {"name": "ddpm", "steps": 5, "spacing": "trailing"},
        {"name": "ddpm", "steps": 5, "spacing": "linspace", "eta": 0.5},
        {"name": "ddpm", "steps": 1, "spacing": "linspace"},
        {"name": "ddim", "steps": 5, "spacing": "linspace"},
    ],
)
def test_a_sampler_that_there_is_none_of_is_one_line(model: Model, sampler: dict[str, object]) -> None:
    document = json.loads(policy_for(model, Schedule.empty(STEPS)).dumps()) | {"sampler": sampler}
    with pytest.raises(PolicyError, match=r"^policy: sampler: ") as refusal:
        SkipPolicy.loads(json.dumps(document))
    assert "\n" not in str(refusal.value)


def test_another_run_than_the_policys_is_refused(model: Model) -> None:
    policy = policy_for(model, DROP)
    check_same_run(policy, steps=None, guidance=None, sampler=None)
    check_same_run(policy, steps=5, guidance=3.0, sampler="ddpm")
    asked: list[dict[str, object]] = [{"steps": 6}, {"guidance": 2.0}, {"sampler": "ddim"}]
    for change in asked:
        (name,) = change
        with pytest.raises(PolicyError, match=rf"^--{name}: .* is asked for and the policy is for"):
            check_same_run(policy, **{"steps": None, "guidance": None, "sampler": None, **change})  # type: ignore[arg-type]


def test_captions_of_a_split_leave_the_searchs_prompts_alone(model: Model) -> None:
    seen = captions("held-out", 20, 2)[:5]
    policy = policy_for(model, DROP, prompts=seen)
    found, said = unseen_conditions(policy, model.source, prompts=None, seeds=None, split="held-out", count=15)
    assert not {condition.prompt for condition in found} & set(seen)
    assert len(found) == 15 and len({condition.seed for condition in found}) == 15
    assert {condition.guidance for condition in found} == {policy.guidance}
    assert said == ("glide-mini's held-out split", "2000000 to 2000014, one a prompt")


def test_every_line_of_a_file_is_drawn_with_every_seed(model: Model, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("a cat on a blue background\n\na key on a red background\n")
    policy = policy_for(model, DROP)
    found, said = unseen_conditions(policy, model.source, prompts=file, seeds="4,9", split="held-out", count=64)
    assert [(c.prompt[:5], c.seed) for c in found] == [("a cat", 4), ("a cat", 9), ("a key", 4), ("a key", 9)]
    assert said == ("2 prompts of a file", "4, 9")
    default, said = unseen_conditions(policy, model.source, prompts=file, seeds=None, split="held-out", count=64)
    assert (len(default), said[1]) == (16, "0 to 7")
    _, said = unseen_conditions(
        policy, model.source, prompts=file, seeds=",".join(map(str, range(0, 999, 3))), split="", count=1
    )
    assert said[1] == "333 between 0 and 996", "it stands in the policy, in at most 200 characters"


@pytest.mark.parametrize(
    ("lines", "seeds", "split", "says"),
    [
        (None, "3", "held-out", "--seeds: belongs to --prompts"),
        (None, None, "test", "--split: 'test' is no split; accepted: train, held-out"),
        ("a cat\na cat\n", "3", "held-out", "the same prompt and seed stand there twice"),
        ("a cat\n", "3,3", "held-out", "the same prompt and seed stand there twice"),
        ("a cat\n", "x", "held-out", "--seeds: 'x' is not understood"),
        ("a cat\n", "", "held-out", "--seeds: '' is not understood"),
        ("a cat\n", "-1", "held-out", "--seeds: '-1': seeds from 0 to"),
        ("a cat\n", str(2**63), "held-out", "seeds from 0 to"),
        ("a cat\nb\n", "0:1000000", "held-out", "2 prompts of 1000000 seeds each are too many"),
        ("\n", "3", "held-out", "holds no prompt"),
        ("", "3", "held-out", "holds no prompt"),
    ],
)
def test_conditions_that_are_none(
    model: Model, tmp_path: Path, lines: str | None, seeds: str | None, split: str, says: str
) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text(lines or "")
    prompts = None if lines is None else file
    with pytest.raises(ConfigError) as refusal:
        unseen_conditions(policy_for(model, DROP), model.source, prompts=prompts, seeds=seeds, split=split, count=3)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_where_the_search_has_seen_all_captions_there_is_a_line(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "compute.recommend.evaluation_conditions.captions", lambda _, count, seed: ["a", "b", "a", "c"] * count
    )
    policy = policy_for(model, DROP, prompts=["a", "b"])
    found, _ = unseen_conditions(policy, model.source, prompts=None, seeds=None, split="held-out", count=30)
    assert [condition.prompt for condition in found] == ["c"] * 30
    seen = policy_for(model, DROP, prompts=["a", "b", "c"])
    with pytest.raises(
        ConfigError, match=r"^--count: the search has seen most held-out captions; 0 others were found$"
    ):
        unseen_conditions(seen, model.source, prompts=None, seeds=None, split="held-out", count=3)


def test_a_search_and_its_validation_draw_different_pictures(model: Model, swept: SweepStore) -> None:
    ours = search_conditions(swept, prompts=None, seeds=None, split="held-out", count=20)
    assert ours is not None and len(set(ours)) == 20
    policy = policy_for(model, DROP, prompts=[condition.prompt for condition in ours])
    theirs, _ = unseen_conditions(policy, model.source, prompts=None, seeds=None, split="held-out", count=20)
    assert not {condition.prompt for condition in ours} & {condition.prompt for condition in theirs}
    assert not {condition.seed for condition in ours} & {condition.seed for condition in theirs}


def test_what_a_search_runs_its_candidates_on(swept: SweepStore, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("a fox on a pink background\n")
    assert search_conditions(swept, prompts=None, seeds=None, split="held-out", count=None) is None
    own = search_conditions(swept, prompts=file, seeds="2,7", split="held-out", count=None)
    assert own == [Condition(prompt="a fox on a pink background", seed=seed, guidance=3.0) for seed in (2, 7)]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"prompts": file, "count": 3}, "--prompts, --count: give one of the two"),
        ({"seeds": "3"}, "--seeds: belongs to --prompts"),
        ({"count": 3, "split": "test"}, "--split: 'test' is no split"),
        ({"count": 3, "seeds": "1"}, "--seeds: belongs to --prompts"),
    ]
    for change, says in wrong:
        with pytest.raises(ConfigError, match=says):
            search_conditions(swept, **{"prompts": None, "seeds": None, "split": "held-out", "count": None, **change})
