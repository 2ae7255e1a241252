"""Sweeps as a whole: plan, execution, resuming, extending, and what a shard holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from compute.analysis.impact.ablation_impact import impact_of
from compute.config.schema import load_config
from compute.pipeline.noise import initial_noise
from compute.pipeline.sampling import sample
from compute.policy.liveness import resolve
from compute.sweep import start
from compute.sweep.plan import schedule_of
from compute.unet import executing
from store.care.verify import verify
from store.errors import NotASweep
from store.records import Ablation, Reseed
from store.sweep_reader import sweep_table
from store.sweep_store import SweepStore
from tests.faults.sweeps import assert_same
from tests.sweep.run_sweep import sweep
from tests.sweep.small_config import CONFIG

STEPS = 4


@pytest.fixture(scope="module")
def swept(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SweepStore]:
    """A configuration and its finished serial sweep, for reading only."""
    folder = tmp_path_factory.mktemp("swept")
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({"model": str(tiny_model), **CONFIG}))
    return config, sweep(config, folder / "store")


def test_everything_planned_is_there_and_verifies(swept: tuple[Path, SweepStore]) -> None:
    _, store = swept
    counts = store.status_counts()
    assert counts.done == counts.planned > 20
    assert verify(store) == []
    assert store.driver().state == "stopped"


def test_the_null_ablation_has_zero_damage_and_another_seed_has_not(swept: tuple[Path, SweepStore]) -> None:
    _, store = swept
    impact = impact_of(store)
    assert impact.null.mean == impact.null.high == 0
    assert impact.reseed > 0.01
    for unit in store.header.plan:
        if isinstance(unit.intervention, Ablation) and not unit.intervention.components:
            with store.read(unit.key) as reader:
                assert all((values == (name.endswith("cosine"))).all() for name, values in reader.distances.items())


def test_ablations_do_harm(swept: tuple[Path, SweepStore]) -> None:
    _, store = swept
    assert all(a.damage.mean > 0 for a in impact_of(store).ablations)


def test_an_ablated_run_equals_one_from_the_first_step(swept: tuple[Path, SweepStore]) -> None:
    """Starting from the baseline's stored state changes nothing: the same ablation run through from noise."""
    config, store = swept
    prepared = start.prepare(load_config(config), config.parent)
    model, steps = prepared.model, prepared.config.sampler.steps
    scheduler = model.scheduler(prepared.config.sampler)
    late = [u for u in store.header.plan if u.role == "ablation" and u.intervention.window.start > 0]  # type: ignore[union-attr]
    torch.set_num_threads(1)
    for unit in late:
        resolved = resolve(model.graph, schedule_of(unit.intervention, steps))
        seeds = [condition.seed for condition in unit.conditions]
        text = model.encode(tuple(condition.prompt for condition in unit.conditions))
        x_t = initial_noise(seeds, model.state_shape)
        guidance = torch.tensor([condition.guidance for condition in unit.conditions])
        with executing(model.unet, resolved) as execution:
            *_, last = sample(model.unet, scheduler, text, x_t, seeds=seeds, guidance=guidance, execution=execution)
        with store.read(unit.key) as reader:
            assert np.array_equal(reader.final, last.x_next.clamp(-1, 1).numpy()), str(unit.intervention)


def test_running_again_does_nothing(swept: tuple[Path, SweepStore]) -> None:
    config, store = swept
    before = {key: path.stat().st_mtime_ns for key, path in store.shards()}
    again = sweep(config, store.root)
    assert {key: path.stat().st_mtime_ns for key, path in again.shards()} == before


def test_ray_equals_serial(swept: tuple[Path, SweepStore], tmp_path: Path) -> None:
    config, store = swept
    assert_same(store.root, sweep(config, tmp_path / "ray", address="local", workers=2).root)


def test_extending_keeps_what_is_there(tiny_model: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    small = {**CONFIG, "model": str(tiny_model), "components": ["mid_block.resnets.0"], "actions": ["bypass"]}
    config.write_text(yaml.safe_dump(small))
    first = {key: path.stat().st_mtime_ns for key, path in sweep(config, tmp_path / "store").shards()}
    config.write_text(yaml.safe_dump({**small, "components": ["skip:conv_in"], "actions": ["zero"]}))
    extended = sweep(config, tmp_path / "store")
    after = {key: path.stat().st_mtime_ns for key, path in extended.shards()}
    assert first.items() < after.items()
    assert extended.status_counts().left == 0
    replanned = sweep(config, tmp_path / "store", replan=True)
    assert replanned.status_counts().unplanned == len(after) - len(replanned.header.plan) > 0


def test_another_sampler_is_refused_in_the_same_store(swept: tuple[Path, SweepStore], tmp_path: Path) -> None:
    config, store = swept
    other = tmp_path / "config.yaml"
    other.write_text(
        yaml.safe_dump({**yaml.safe_load(config.read_text()), "sampler": {"name": "ddim", "steps": STEPS}})
    )
    with pytest.raises(NotASweep, match=r"another .*sampler.*use another --store"):
        sweep(other, store.root)


def test_metrics_added_later_equal_those_of_the_sweep(swept: tuple[Path, SweepStore], tmp_path: Path) -> None:
    config, store = swept
    bare = tmp_path / "config.yaml"
    bare.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "metrics": ["psnr"]}))
    later = sweep(bare, tmp_path / "store")
    units, absent = start.measure(later, CONFIG["metrics"])
    assert (units, absent) == (len(later.header.plan), {})
    for name in CONFIG["metrics"]:
        values = [
            {
                (t["key"][row], t["condition"][row]): t[name][row]
                for row in range(t.rows)
                if t["role"][row] != "baseline"
            }
            for t in (sweep_table(store), sweep_table(later))
        ]
        assert values[0] == values[1]
        assert values[0]
    assert verify(later) == []


def test_keys_are_the_same_in_another_process(swept: tuple[Path, SweepStore]) -> None:
    config, store = swept
    program = (
        "import sys; from pathlib import Path; from compute.config.schema import load_config;"
        "from compute.sweep import start;"
        "p = Path(sys.argv[1]); print(*[u.key for u in start.prepare(load_config(p), p.parent).plan.units])"
    )
    found = subprocess.run([sys.executable, "-c", program, str(config)], capture_output=True, text=True, check=True)
    assert found.stdout.split() == [unit.key for unit in store.header.plan]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"metrics": ["ssim"]}, True),
        ({"keep": {"x_t": "final"}}, True),
        ({"workers": 3, "retries": 0}, True),
        ({"guidance": 2.5}, False),
        ({"seeds": [4]}, False),
        ({"dtype": "bfloat16"}, False),
        ({"conditions_per_unit": 3}, False),
    ],
)
def test_keys_depend_on_what_changes_numbers_and_on_nothing_else(
    swept: tuple[Path, SweepStore], change: dict[str, Any], same: bool, tmp_path: Path
) -> None:
    config, store = swept
    changed = tmp_path / "config.yaml"
    changed.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), **change}))
    keys = {unit.key for unit in start.prepare(load_config(changed), tmp_path).plan.units}
    assert (keys == store.header.units.keys()) if same else not keys & store.header.units.keys()


def test_what_is_kept_follows_the_config(tiny_model: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    keep = {"x_t": 2, "pred_x0": "final", "precision": "float32"}
    config.write_text(yaml.safe_dump({**CONFIG, "model": str(tiny_model), "keep": keep, "actions": ["zero"]}))
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
