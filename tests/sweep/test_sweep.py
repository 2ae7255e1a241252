"""Whole sweeps: execution, resuming, extending, and what a shard holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from compute.analysis.impact.ablation_impact import impact_of
from compute.config.loading import load_config
from compute.pipeline.noise import initial_noise
from compute.sweep.prepare import prepare
from store.care.verify import verify
from store.errors import NotASweep
from store.records import Ablation, Reseed
from store.sweep_store import SweepStore
from tests.pipeline.written_out import texts, written_out
from tests.sweep.run_sweep import sweep
from tests.sweep.small_config import CONFIG, STEPS, write_config
from tests.sweep.stores import assert_equal_stores

Swept = tuple[Path, SweepStore]


@pytest.fixture(scope="module")
def swept(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """A configuration and its finished serial sweep, for reading only."""
    folder = tmp_path_factory.mktemp("swept")
    config = write_config(folder / "config.yaml", tiny_model, **CONFIG)
    return config, sweep(config, folder / "store")


def modification_times(store: SweepStore) -> dict[str, int]:
    return {key: path.stat().st_mtime_ns for key, path in store.shards()}


def test_every_planned_unit_is_stored_and_verifies(swept: Swept) -> None:
    _, store = swept
    counts = store.status_counts()
    assert counts.done == counts.planned > 20
    assert verify(store) == []
    assert store.driver().state == "stopped"


def test_the_null_ablation_has_zero_damage_and_another_seed_has_not(swept: Swept) -> None:
    _, store = swept
    impact = impact_of(store)
    assert impact.null.mean == impact.null.high == 0
    assert impact.reseed > 0.01
    for unit in store.header.plan:
        if isinstance(unit.intervention, Ablation) and not unit.intervention.components:
            with store.read(unit.key) as reader:
                assert all((values == (name.endswith("cosine"))).all() for name, values in reader.distances.items())


def test_every_ablation_has_damage(swept: Swept) -> None:
    _, store = swept
    assert all(ablation.effect.mean > 0 for ablation in impact_of(store).ablations)


def test_an_ablated_run_equals_one_from_the_first_step(swept: Swept) -> None:
    """Starting from the baseline's stored state gives the same picture as the same ablation run from noise."""
    config, store = swept
    prepared = prepare(load_config(config), config.parent)
    model, runs = prepared.model, prepared.plan.runs
    scheduler = model.scheduler(prepared.config.sampler)
    late = [u for u in store.header.plan if u.role == "ablation" and u.intervention.window.start > 0]  # type: ignore[union-attr]
    torch.set_num_threads(1)
    for unit in late:
        resolved = runs.of(unit.intervention).resolved
        seeds = [condition.seed for condition in unit.conditions]
        text = texts(model.pipe, [condition.prompt for condition in unit.conditions])
        x_t, guidance = initial_noise(seeds, (3, 16, 16)), unit.conditions[0].guidance
        last = written_out(model.unet, scheduler, text, x_t, seeds=seeds, guidance=guidance, resolved=resolved)[-1]
        with store.read(unit.key) as reader:
            expected = last.clamp(-1, 1).numpy()
            np.testing.assert_allclose(reader.final, expected, atol=2e-3, err_msg=str(unit.intervention))


def test_running_again_does_nothing(swept: Swept) -> None:
    config, store = swept
    before = modification_times(store)
    assert modification_times(sweep(config, store.root)) == before


def test_ray_equals_serial(swept: Swept, tmp_path: Path) -> None:
    config, store = swept
    assert_equal_stores(store.root, sweep(config, tmp_path / "ray", address="local", workers=2).root)


def test_extending_keeps_finished_units(tiny_model: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    small = {**CONFIG, "components": ["mid_block.resnets.0"], "actions": ["bypass"]}
    write_config(config, tiny_model, **small)
    first = modification_times(sweep(config, tmp_path / "store"))
    write_config(config, tiny_model, **{**small, "components": ["skip:conv_in"], "actions": ["zero"]})
    extended = sweep(config, tmp_path / "store")
    after = modification_times(extended)
    assert first.items() < after.items()
    assert extended.status_counts().left == 0
    replanned = sweep(config, tmp_path / "store", replan=True)
    assert replanned.status_counts().unplanned == len(after) - len(replanned.header.plan) > 0


def test_another_sampler_is_refused_in_the_same_store(swept: Swept, tmp_path: Path) -> None:
    config, store = swept
    other = tmp_path / "config.yaml"
    other.write_text(
        yaml.safe_dump({**yaml.safe_load(config.read_text()), "sampler": {"name": "ddim", "steps": STEPS}})
    )
    with pytest.raises(NotASweep, match=r"another .*sampler.*use another --store"):
        sweep(other, store.root)


def test_a_shard_holds_the_states_that_the_config_keeps(tiny_model: Path, tmp_path: Path) -> None:
    keep = {"x_t": 2, "pred_x0": "final", "precision": "float32"}
    config = write_config(tmp_path / "config.yaml", tiny_model, **{**CONFIG, "keep": keep, "actions": ["zero"]})
    store = sweep(config, tmp_path / "store")
    for unit in store.header.plan:
        with store.read(unit.key) as reader:
            payload = reader.payload()
        if unit.role == "baseline":
            assert payload.x_t_steps == tuple(range(STEPS + 1))
            continue
        assert payload.pred_x0 is None
        assert payload.x_t is not None
        assert payload.x_t.dtype == np.float32
        assert payload.x_t_steps == tuple(s for s in range(payload.start, STEPS + 1) if s % 2 == 0)
        assert (payload.start == 0) == isinstance(unit.intervention, Reseed) or unit.intervention.window.start == 0  # type: ignore[union-attr]
