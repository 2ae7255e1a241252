"""The bundled cascade: glide-mini and its upsampler, what it stores, samples, and lets be swept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from compute.metrics.pixel import haarpsi
from compute.models.judges import judge_for
from compute.models.loading import load_model
from compute.models.mini.scenes.render import render_batch
from compute.models.mini.scenes.scene import Scene, captions
from compute.models.mini.training.low_resolution import enlarged, reduced
from compute.models.mini.upsampler_quality import upsampler_quality
from compute.models.other_stage import stage_pictures
from compute.models.source import BUNDLED, GLIDE_MINI, GLIDE_MINI_64, ModelSource, stage_run
from compute.policy.skip_policy import PolicyModel, SkipPolicy
from compute.sweep.launch import sweep
from compute.unet import parameter_digests
from store.care.verify import verify
from store.errors import SkipscopeError
from store.records import Condition
from store.sampler import SamplerSettings
from store.sweep_store import SweepStore
from tests.cli.conftest import commands  # noqa: F401  (a fixture)
from tests.cli.fork_server import ForkServer

MEGABYTE = 1 << 20
CONFIG: dict[str, Any] = {
    "model": GLIDE_MINI_64,
    "stage": "upsampler",
    "sampler": {"name": "DDPMScheduler", "steps": 3},
    "guidance": 1.0,
    "prompts": ["a cat on a blue background"],
    "components": ["mid_block.attentions.0"],
    "windows": {"count": 1},
    "actions": ["bypass"],
    "conditions_per_unit": 1,
}


def few_steps(folder: Path) -> Path:
    """Write the bundled cascade to a folder with two steps for each stage."""
    cascade = json.loads((BUNDLED[GLIDE_MINI_64] / "cascade.json").read_text(encoding="utf-8"))
    for stage in cascade["stages"]:
        pipeline = BUNDLED[GLIDE_MINI_64] / stage["folder"]
        (folder / stage["name"]).symlink_to(pipeline.resolve())
        stage |= {"folder": stage["name"], "sampler": {"name": stage["sampler"]["name"], "steps": 2}}
    (folder / "cascade.json").write_text(json.dumps(cascade), encoding="utf-8")
    return folder


def test_its_base_is_glide_mini_and_its_weights_are_stored_once() -> None:
    base = ModelSource.find(GLIDE_MINI_64, "base")
    assert base.digest == ModelSource.find(GLIDE_MINI).digest
    assert base.folder.samefile(BUNDLED[GLIDE_MINI])
    files = [file for file in BUNDLED[GLIDE_MINI_64].rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 4 * MEGABYTE


def test_only_the_bundled_cascade_reaches_beside_itself(tmp_path: Path) -> None:
    shutil.copytree(BUNDLED[GLIDE_MINI_64], tmp_path / GLIDE_MINI_64)
    (tmp_path / GLIDE_MINI).symlink_to(BUNDLED[GLIDE_MINI])
    with pytest.raises(SkipscopeError, match=r"'\.\./glide-mini' lies outside the cascade's own folder"):
        ModelSource.find(str(tmp_path / GLIDE_MINI_64))


def test_it_enlarges_scenes_more_faithfully_than_bilinear() -> None:
    """A smoke test of the bundled weights; docs/glide-mini.md has the figures on 300 prompts."""
    run, prompts = stage_run(GLIDE_MINI_64), captions("held-out", 3, seed=5)
    assert run.sampler is not None
    judge = judge_for(run.source)
    scenes = torch.from_numpy(render_batch([Scene.parse(prompt) for prompt in prompts], np.random.default_rng(0), 64))
    conditions = [Condition(prompt=prompt, seed=i, guidance=1.0) for i, prompt in enumerate(prompts)]
    pictures = load_model(run.source).run(conditions, run.sampler, inputs=stage_pictures(reduced(scenes)))
    assert pictures.shape == scenes.shape
    assert haarpsi(pictures, scenes).mean() > haarpsi(enlarged(reduced(scenes)), scenes).mean()
    assert judge is not None and judge.fidelity(pictures, prompts)["all"].mean() == 1


def test_a_sweep_of_the_upsampler(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG | {"model": str(few_steps(tmp_path))}))
    result = sweep(tmp_path / "config.yaml", tmp_path / "store", address="serial")
    store = SweepStore.open(tmp_path / "store")
    assert (result.failed, list(verify(store))) == (0, [])
    changes = {}
    for unit in store.header.plan:
        with store.read(unit.key) as reader:
            assert reader.final.shape == (1, 3, 64, 64)
            if unit.role == "baseline":
                assert reader.inputs is not None and reader.inputs.shape == (1, 32, 32, 3)
                continue
            (metric,) = (metric for metric in reader.metrics if metric.info.name == "rel_l2")
            assert metric.values is not None
            changes[str(unit.intervention)] = float(metric.values[0])
    assert changes.pop("compute nothing in steps 1-2") == 0
    assert len(changes) == 2 and all(change > 0 for change in changes.values())

    from dashboard.data.sweep import open_sweep
    from dashboard.views.overview.sweep_facts import sweep_facts

    facts = dict(sweep_facts(open_sweep(store.root)))
    assert facts["Model"].endswith(", upsampler stage")
    assert facts["Stages before"] == "base (DDPM, 2 steps, linspace, guidance 3.0)"


def test_a_sample_under_a_policy_of_the_base_ends_with_the_upsampler(
    commands: ForkServer,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Unless a stage is named, as without a policy."""
    cascade = few_steps(tmp_path)
    base = load_model(GLIDE_MINI)
    policy = SkipPolicy(
        name="tested",
        model=PolicyModel(name=GLIDE_MINI, weights=base.source.digest, unet=parameter_digests(base.unet)),
        sampler=SamplerSettings(name="ddpm", steps=2),
        guidance=3.0,
        rules=(),
    )
    policy.save(tmp_path / "policy.json")
    options = ("--policy", tmp_path / "policy.json", "--model", cascade, "--prompt", "a cat on a blue background")
    for more, side in (((), 64), (("--stage", "base"), 32)):
        assert commands.run("sample", *options, *more, "-o", tmp_path / "a.png").status == 0
        with Image.open(tmp_path / "a.png") as picture:
            assert picture.size == (side, side)
    assert commands.run("sample", "--model", cascade, *options[4:], "-o", tmp_path / "b.png").status == 0
    with Image.open(tmp_path / "b.png") as picture:
        assert picture.size == (64, 64)


def test_the_quality_report(tmp_path: Path) -> None:
    report = upsampler_quality(str(few_steps(tmp_path)), "train", count=10, sheet=tmp_path / "sheet.png")
    assert (report.count, report.steps) == (10, 2)
    assert report.right_difference.mean == pytest.approx(report.right["upsampler"].mean - report.right["base"].mean)
    assert report.haarpsi_difference.mean == pytest.approx(
        report.haarpsi["upsampler"].mean - report.haarpsi["bilinear"].mean
    )
    assert 0.02 < report.detail["rendered"].mean < report.detail["bilinear"].mean, "two steps of the base leave noise"
    assert (tmp_path / "sheet.png").stat().st_size > 10_000
    assert json.loads(json.dumps(report.as_json()))["right"]["base"]["count"] == 10
    assert "Fréchet" in report.describe()
    with pytest.raises(SkipscopeError, match="'glide-mini' is no cascade of scenes; glide-mini-64 is one"):
        upsampler_quality(GLIDE_MINI, "train", count=10)
    with pytest.raises(SkipscopeError, match="--split: 'test' is no split; accepted: train, held-out"):
        upsampler_quality(GLIDE_MINI_64, "test", count=10)
