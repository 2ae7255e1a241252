"""Sweeps of pipelines of Stable Diffusion's family and of an unconditional one, from their folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from compute.analysis.impact.ablation_impact import impact_of
from compute.analysis.phases.phase_evidence import phases_of
from compute.config.errors import ConfigError
from compute.metrics.registry import MetricError
from compute.models.loading import load_model
from compute.models.source import ModelNotFound
from compute.pipeline.call import CallError
from compute.pipeline.schedulers import SamplerError
from compute.sweep.launch import sweep
from compute.sweep.prepare import prepare
from store.care.verify import verify
from store.errors import SkipscopeError
from store.records import Ablation
from store.sweep_reader import SweepReader
from store.sweep_store import SweepStore
from tests.pipeline.tiny_pipelines import PIPELINES, picture

BASE: dict[str, Any] = {
    "sampler": {"name": "EulerAncestralDiscreteScheduler", "num_inference_steps": 4},
    "prompts": ["a cat", "a dog on grass"],
    "components": ["mid_block.*", "skip:conv_in", "unet"],
    "windows": {"count": 2},
    "actions": ["bypass", "zero", "reuse"],
    "conditions_per_unit": 2,
}
SIZE = {"height": 16, "width": 16}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a kind of pipeline, saved once."""
    root = tmp_path_factory.mktemp("pipelines")

    def saved(kind: str) -> Path:
        path = root / kind.replace(" ", "-")
        if not path.exists():
            PIPELINES[kind]().save_pretrained(path)
        return path

    return saved


def config(tmp_path: Path, model: Path, **changes: Any) -> Path:
    fields = {"model": str(model), **BASE, **changes}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in fields.items() if value is not None}))
    return path


KINDS: dict[str, dict[str, Any]] = {
    "text to image": {
        "call": SIZE,
        "prompt_switch": {"every": 2},
        "sampler": {"name": "DPMSolverMultistepScheduler", "num_inference_steps": 4},
    },
    "image to image": {"call": {"image": {"file": "start.png"}, "strength": 0.5}},
    "XL": {"call": SIZE | {"negative_prompt": "a dog"}},
    "unconditional": {
        "prompts": None,
        "seeds": [0, 1],
        "sampler": {"name": "DDPMScheduler", "num_inference_steps": 4},
        "metrics": ["mse", "rel_l2"],
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_sweep(kind: str, folder: Callable[[str], Path], tmp_path: Path) -> None:
    picture().save(tmp_path / "start.png")
    path = config(tmp_path, folder(kind), **KINDS[kind])
    result = sweep(path, tmp_path / "store", address="serial")
    assert result.failed == 0
    store = SweepStore.open(tmp_path / "store")
    assert not verify(store)
    steps = 2 if kind == "image to image" else 4
    assert store.header.config["sampler"]["steps"] == steps
    impact = impact_of(store, "mse")
    assert impact.null is not None and impact.null.mean == 0
    for ablation in impact.ablations:
        assert np.isfinite(ablation.effect.mean)
    assert any(ablation.effect.mean > 0 for ablation in impact.ablations)
    again = sweep(path, tmp_path / "store", address="serial")
    assert (again.executed, again.resumed) == (0, result.executed)
    if "prompt_switch" in KINDS[kind]:
        assert phases_of(SweepReader(tmp_path / "store")).boundary is not None
    baseline = next(unit for unit in store.header.plan if unit.role == "baseline")
    with store.read(baseline.key) as reader:
        payload = reader.payload()
    assert payload.output is not None and payload.output.shape[:2] == (steps, 2)
    assert payload.final.shape[1] == 3


def test_a_late_run_equals_the_whole_run(folder: Callable[[str], Path], tmp_path: Path) -> None:
    """A unit is continued from the stored outputs; run from noise without them it gives the same picture."""
    path = config(tmp_path, folder("text to image"), call=SIZE, seeds=[5])
    sweep(path, tmp_path / "store", address="serial")
    store = SweepStore.open(tmp_path / "store")
    from compute.config.loading import load_config

    torch.set_num_threads(1)
    prepared = prepare(load_config(path), tmp_path)
    for unit in store.header.plan:
        if isinstance(unit.intervention, Ablation) and unit.intervention.window.start:
            resolved = prepared.plan.runs.of(unit.intervention).resolved
            whole = prepared.model.run(unit.conditions, prepared.config.sampler, resolved)
            with store.read(unit.key) as reader:
                np.testing.assert_allclose(reader.final, whole.numpy(), atol=2e-3, err_msg=str(unit.intervention))


def test_not_a_number_fails_its_units_alone(folder: Callable[[str], Path], tmp_path: Path) -> None:
    """With a weight that overflows under one ablation only, the sweep goes on and says which step and prompt."""
    pipe = PIPELINES["text to image"]()
    with torch.no_grad():
        pipe.unet.mid_block.resnets[0].conv2.bias.fill_(torch.inf)
    pipe.save_pretrained(tmp_path / "overflowing")
    path = config(tmp_path, tmp_path / "overflowing", call=SIZE)
    result = sweep(path, tmp_path / "store", address="serial")
    assert result.failed
    store = SweepStore.open(tmp_path / "store")
    reasons = {failure.reason for failure in store.failures().values()}
    assert any(
        "step 0: the state after it holds NaN" in reason and "'a cat' and seed 0" in reason for reason in reasons
    )


WRONG: list[tuple[dict[str, Any], type[SkipscopeError], str]] = [
    (
        {"sampler": {"name": "EulerScheduler", "steps": 4}},
        SamplerError,
        "sampler.name: diffusers has no EulerScheduler",
    ),
    (
        {"sampler": {"name": "DDIMScheduler", "steps": 4, "options": {"karras": True}}},
        SamplerError,
        "sampler.options: a DDIMScheduler has no 'karras'; it has beta_end",
    ),
    (
        {"call": {"hight": 16}},
        CallError,
        "call.hight: a StableDiffusionPipeline has no such argument; near",
    ),
    ({"call": {"latents": 1}}, CallError, "call.latents: a run sets it itself; the field seeds determines it"),
    ({"call": SIZE | {"height": 13}}, CallError, "call: the StableDiffusionPipeline refuses a run"),
    ({"call": {"image": {"file": "missing.png"}}}, ConfigError, "call.image.file: .*missing.png' cannot be read"),
    (
        {"sampler": {"name": "DDIMScheduler", "sigmas": [3.0, 0.0]}},
        CallError,
        "call: the StableDiffusionPipeline refuses a run with a DDIMScheduler",
    ),
]


@pytest.mark.parametrize(("changes", "error", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_wrong_configurations_are_refused_before_anything_is_written(
    folder: Callable[[str], Path], tmp_path: Path, changes: dict[str, Any], error: type[SkipscopeError], message: str
) -> None:
    path = config(tmp_path, folder("text to image"), **changes)
    with pytest.raises(error, match=message) as caught:
        sweep(path, tmp_path / "store", address="serial")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "store").exists()


def test_prompts_of_a_model_without_text_are_refused(folder: Callable[[str], Path], tmp_path: Path) -> None:
    path = config(tmp_path, folder("unconditional"), sampler={"name": "DDPMScheduler", "steps": 4})
    with pytest.raises(ConfigError, match="prompts: a DDPMPipeline takes none"):
        sweep(path, tmp_path / "store", address="serial")


def test_a_metric_that_needs_larger_pictures_is_refused(folder: Callable[[str], Path], tmp_path: Path) -> None:
    fields = KINDS["unconditional"] | {"metrics": ["mse", "haarpsi"]}
    with pytest.raises(MetricError, match="metrics: haarpsi needs at least 16x16 pixels, not 8x8"):
        sweep(config(tmp_path, folder("unconditional"), **fields), tmp_path / "store", address="serial")
    assert not (tmp_path / "store").exists()


def test_a_missing_prompt_is_refused(folder: Callable[[str], Path], tmp_path: Path) -> None:
    path = config(tmp_path, folder("text to image"), prompts=None, call=SIZE)
    with pytest.raises(ConfigError, match="prompts: is missing"):
        sweep(path, tmp_path / "store", address="serial")


def test_other_folders_are_refused(folder: Callable[[str], Path], tmp_path: Path) -> None:
    import json
    import shutil

    def changed(name: str, **parts: Any) -> Path:
        path = tmp_path / name
        shutil.copytree(folder("text to image"), path)
        index = json.loads((path / "model_index.json").read_text())
        (path / "model_index.json").write_text(json.dumps(index | parts))
        return path

    cases = {
        changed("class", _class_name="NoSuchPipeline"): "cannot be loaded",
        changed("library", unet=["nowhere", "Network"]): "cannot be loaded",
        changed("vae alone", _class_name="AutoencoderKL"): "cannot be loaded",
    }
    (unweighted := changed("unweighted")).joinpath("unet", "diffusion_pytorch_model.safetensors").unlink()
    cases[unweighted] = "cannot be loaded"
    (tmp_path / "empty").mkdir()
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "model_index.json").write_text("[]")
    cases |= {tmp_path / "empty": "is no pipeline", tmp_path / "list": "is no index of a diffusers pipeline"}
    for path, message in cases.items():
        with pytest.raises(ModelNotFound, match=message) as caught:
            load_model(str(path))
        assert "\n" not in str(caught.value)


def test_half_precision_weights_of_one_variant(folder: Callable[[str], Path], tmp_path: Path) -> None:
    pipe = PIPELINES["text to image"]()
    pipe.save_pretrained(tmp_path / "half", variant="fp16")
    model = load_model(str(tmp_path / "half"))
    assert model.dtype == torch.float32
    assert model.source.digest != load_model(str(folder("text to image"))).source.digest
