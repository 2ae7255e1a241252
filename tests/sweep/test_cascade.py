"""Sweeps of a cascade's second stage: a base model and a refiner, each an ordinary pipeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from compute.analysis.impact.ablation_impact import impact_of
from compute.models.cascade import CascadeError
from compute.models.loading import load_model
from compute.models.model import Model
from compute.models.source import ModelNotFound, ModelSource
from compute.pipeline.call import CallError
from compute.sweep.launch import sweep
from store.care.verify import verify
from store.errors import SkipscopeError
from store.records import Condition, PromptSwitch, Reseed
from store.sampler import SamplerSettings
from store.sweep_store import SweepStore
from tests.sweep.cascades import BASE_RUN, make_cascade, write_cascade

CONFIG: dict[str, Any] = {
    "stage": "refiner",
    "sampler": {"name": "EulerAncestralDiscreteScheduler", "num_inference_steps": 4},
    "call": {"strength": 0.8},
    "prompts": ["a cat", "a dog on grass"],
    "components": ["mid_block.resnets.0", "unet"],
    "windows": {"count": 2},
    "keep": {"precision": "float32"},
    "actions": ["bypass", "reuse"],
    "prompt_switch": {"every": 2},
    "conditions_per_unit": 2,
}


@pytest.fixture(scope="module")
def cascade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cascade(tmp_path_factory.mktemp("cascade"))


def config(tmp_path: Path, model: Path, **changes: Any) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"model": str(model), **CONFIG, **changes}))
    return path


@pytest.fixture(scope="module")
def swept(cascade: Path, tmp_path_factory: pytest.TempPathFactory) -> SweepStore:
    """A sweep of the refiner."""
    folder = tmp_path_factory.mktemp("swept")
    assert sweep(config(folder, cascade), folder / "store", address="serial").failed == 0
    return SweepStore.open(folder / "store")


def base_pictures(cascade: Path, conditions: tuple[Condition, ...]) -> np.ndarray:
    """Return what the base alone makes of conditions, as a PNG would hold it."""
    base = load_model(str(cascade), call=BASE_RUN["call"])
    own = [condition.model_copy(update={"guidance": 2.0}) for condition in conditions]
    pictures = base.run(own, SamplerSettings(name="DDIMScheduler", steps=3))
    return ((pictures.permute(0, 2, 3, 1).clamp(-1, 1) + 1) * 127.5).round().byte().numpy()


def test_baselines_hold_the_pictures_that_they_were_given(cascade: Path, swept: SweepStore) -> None:
    (baseline,) = (unit for unit in swept.header.plan if unit.role == "baseline")
    with swept.read(baseline.key) as reader:
        assert reader.inputs is not None
        np.testing.assert_array_equal(reader.inputs, base_pictures(cascade, baseline.conditions))
    assert swept.header.settings["stage"] == "refiner"
    assert swept.header.settings["previous"]["guidance"] == 2.0
    assert not verify(swept)


def test_the_null_ablation_has_no_damage_and_others_have(swept: SweepStore) -> None:
    impact = impact_of(swept, "mse")
    assert impact.null is not None and impact.null.mean == 0
    assert any(ablation.effect.mean > 0 for ablation in impact.ablations)


@pytest.mark.parametrize("kind", [Reseed, PromptSwitch])
def test_controls_and_switches_are_given_their_baselines_pictures(swept: SweepStore, cascade: Path, kind: type) -> None:
    """Another seed or prompt is that of the swept stage; its input pictures stay the same."""
    unit = next(unit for unit in swept.header.plan if isinstance(unit.intervention, kind))
    (baseline,) = (each for each in swept.header.plan if each.key == unit.baseline)
    model = load_model(ModelSource.find(str(cascade), "refiner"), call=CONFIG["call"])
    if isinstance(unit.intervention, Reseed):
        conditions = [condition.reseeded(unit.intervention.offset) for condition in unit.conditions]
    else:
        pairs = zip(unit.conditions, unit.intervention.prompts, strict=True)
        conditions = [condition.model_copy(update={"prompt": prompt}) for condition, prompt in pairs]
    sampler = SamplerSettings.model_validate(swept.header.settings["sampler"])
    with swept.read(unit.key) as reader, swept.read(baseline.key) as baseline_reader:
        expected = model.run(conditions, sampler, inputs=baseline_reader.inputs).numpy()
        other = model.run(conditions, sampler).numpy()  # given the base's pictures of the other seed or prompt
        np.testing.assert_allclose(reader.final, expected, atol=1e-6)
        assert np.abs(reader.final - other).max() > 1e-5


def test_the_stages_have_independent_noise(cascade: Path) -> None:
    model, generators = load_model(ModelSource.find(str(cascade), "refiner"), call=CONFIG["call"]), []
    condition = Condition(prompt="a cat", seed=3, guidance=3.0)
    sampler = model.resolved(SamplerSettings.model_validate(CONFIG["sampler"]), 3.0)
    original = model.pipe.prepare_latents

    def kept(*args: Any, **kwargs: Any) -> Any:
        generators.extend(value[0] for value in args if isinstance(value, list))
        return original(*args, **kwargs)

    model.pipe.prepare_latents = kept
    model.run([condition], sampler)
    from compute.pipeline.noise import initial_generators

    assert generators[0].initial_seed() != initial_generators([3])[0].initial_seed()


def test_a_model_keeps_the_pictures_of_the_stage_before(cascade: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, runs = load_model(ModelSource.find(str(cascade), "refiner")), []
    original = Model.run

    def counted(self: Model, conditions: Any, *args: Any, **kwargs: Any) -> Any:
        runs.append((self.source.stage, len(conditions)))
        return original(self, conditions, *args, **kwargs)

    monkeypatch.setattr(Model, "run", counted)
    conditions = [Condition(prompt="a cat", seed=seed, guidance=3.0) for seed in (0, 1, 0)]
    first = model.inputs(conditions)
    again = model.inputs(conditions[::-1])
    assert first is not None and again is not None
    np.testing.assert_array_equal(first, again[::-1])
    assert runs == [("base", 2)]


def test_another_run_of_the_base_is_another_sweep(cascade: Path, swept: SweepStore, tmp_path: Path) -> None:
    write_cascade(tmp_path, BASE_RUN | {"guidance": 4.0}, pipelines=cascade)
    with pytest.raises(SkipscopeError, match="holds a sweep with another previous"):
        sweep(config(tmp_path, tmp_path), swept.root, address="serial")


WRONG: list[tuple[dict[str, Any], type[SkipscopeError], str]] = [
    ({"stage": "upsampler"}, CascadeError, "stage: .* has no stage 'upsampler'; it has base, refiner"),
    ({"call": {"image": 1}}, CallError, "call.image: the stage 'base' makes it; leave it out"),
]


@pytest.mark.parametrize(("changes", "error", "message"), WRONG, ids=lambda value: str(value)[:30])
def test_wrong_stages_are_refused(
    cascade: Path, tmp_path: Path, changes: dict[str, Any], error: type[SkipscopeError], message: str
) -> None:
    with pytest.raises(error, match=message):
        sweep(config(tmp_path, cascade, **changes), tmp_path / "store", address="serial")
    assert not (tmp_path / "store").exists()


def test_a_stage_that_takes_no_picture_cannot_follow_another(cascade: Path, tmp_path: Path) -> None:
    (tmp_path / "pipeline").symlink_to(cascade / "base")
    stages = [{"name": name, "folder": "pipeline", **BASE_RUN} for name in ("base", "refiner")]
    (tmp_path / "cascade.json").write_text(json.dumps({"stages": stages}))
    with pytest.raises(CallError, match="stage: a StableDiffusionPipeline takes no image"):
        sweep(config(tmp_path, tmp_path, call=BASE_RUN["call"]), tmp_path / "store", address="serial")


DAMAGED = {
    "not JSON": ("{", CascadeError, "is not JSON"),
    "no stages": ("{}", CascadeError, "stages: Field required"),
    "unknown field": ('{"stages": [{"name": "a", "folder": "base", "code": 1}]}', CascadeError, "is no field"),
    "twice": ('{"stages": [{"name": "a", "folder": "x"}, {"name": "a", "folder": "y"}]}', CascadeError, "same name"),
    "missing": ('{"stages": [{"name": "a", "folder": "nowhere"}]}', ModelNotFound, "nowhere' is no pipeline"),
}


@pytest.mark.parametrize(("text", "error", "message"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_cascade_is_refused(tmp_path: Path, text: str, error: type[SkipscopeError], message: str) -> None:
    (tmp_path / "cascade.json").write_text(text)
    with pytest.raises(error, match=message) as caught:
        ModelSource.find(str(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["../{name}", "inner/../../{name}", "{path}", "~/{name}"])
def test_a_cascade_names_no_folder_outside_its_own(cascade: Path, tmp_path: Path, form: str) -> None:
    (tmp_path / "elsewhere").symlink_to(cascade / "base")
    own = tmp_path / "cascade"
    (own / "inner").mkdir(parents=True)
    folder = form.format(name="elsewhere", path=cascade / "base")
    (own / "cascade.json").write_text(json.dumps({"stages": [{"name": "base", "folder": folder}]}))
    with pytest.raises(CascadeError, match=r"folder: '.*' lies outside the cascade's own folder; name a folder in it"):
        ModelSource.find(str(own))


def test_the_dashboard_says_how_the_stages_before_ran(swept: SweepStore) -> None:
    from dashboard.data.sweep import open_sweep
    from dashboard.views.overview.sweep_facts import sweep_facts

    facts = dict(sweep_facts(open_sweep(swept.root)))
    assert facts["Stages before"] == "base (DDIM, 3 steps, guidance 2.0)"
    assert facts["Model"].endswith(", refiner stage")
