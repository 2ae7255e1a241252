"""Guidance is swept like any other component where a model guides in one batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from compute.analysis.impact.ablation_impact import impact_of
from compute.config.errors import ConfigError
from compute.config.loading import load_config
from compute.config.swept_action import SweptAction
from compute.models.loading import load_model
from compute.policy.graph_document import read_stored_graph
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule
from compute.sweep.prepare import Prepared, prepare
from store.records import Ablation, Action, Condition, Window
from store.sampler import SamplerSettings
from store.sweep_store import SweepStore
from tests.sweep.run_sweep import sweep
from tests.sweep.small_config import CONFIG, write_config

SWEPT: dict[str, Any] = {
    **CONFIG,
    "prompts": CONFIG["prompts"][:2],
    "components": ["guidance"],
    "actions": ["bypass", "reuse"],
    "screen": [{"name": "reuse", "components": ["guidance"], "lengths": [1]}],
    "metrics": ["mse"],
    "keep": {"precision": "float32"},
}


def prepared(tiny_model: Path, folder: Path, **fields: Any) -> Prepared:
    path = write_config(folder / "config.yaml", tiny_model, **{**SWEPT, **fields})
    return prepare(load_config(path), folder)


def ablations(made: Prepared) -> set[Ablation]:
    return {unit.intervention for unit in made.plan.units if isinstance(unit.intervention, Ablation)}


@pytest.fixture(scope="module")
def finished(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> SweepStore:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("guidance")
    return sweep(write_config(folder / "config.yaml", tiny_model, **SWEPT), folder / "store")


def test_guidance_is_among_all_components_and_no_other_key_changes(tiny_model: Path, tmp_path: Path) -> None:
    fields: dict[str, Any] = {"components": ["*"], "actions": ["bypass"], "screen": []}
    everything = prepared(tiny_model, tmp_path, **fields)
    parts = {"components": ["down_blocks.*", "mid_block.*", "up_blocks.*"]}
    without = prepared(tiny_model, tmp_path, **fields | parts)
    added = ablations(everything) - ablations(without)
    assert {(item.components, item.action.name) for item in added} == {(("guidance",), "bypass")}
    assert len(added) == 2, "in each window"
    assert {unit.key for unit in without.plan.units} < {unit.key for unit in everything.plan.units}
    assert set(Action(name="reuse").model_dump(mode="json")) == {"name", "order", "space"}, "what keys are made of"


def test_all_together_leaves_guidance_out(tiny_model: Path, tmp_path: Path) -> None:
    together: dict[str, Any] = {"components": ["*"], "screen": []}
    actions = [{"name": "bypass", "together": True}]
    planned = ablations(prepared(tiny_model, tmp_path, **together, actions=actions))
    assert not any("guidance" in ablation.components for ablation in planned)


def test_without_guidance_it_is_no_component(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="guidance can't rest: a GlidePipeline at guidance 1 does not"):
        prepared(tiny_model, tmp_path, guidance=1.0)
    everything = prepared(tiny_model, tmp_path, guidance=1.0, components=["*"], actions=["bypass"], screen=[])
    assert not any("guidance" in item.components for item in ablations(everything))


def test_a_sweep_of_guidance(finished: SweepStore, tiny_model: Path) -> None:
    """The null ablation is exact, and leaving guidance out changes most."""
    impact = impact_of(finished, "mse")
    assert {a.ablation.components for a in impact.ablations} == {("guidance",)}
    assert impact.null is not None and impact.null.mean == 0
    graph = read_stored_graph(finished.root)
    assert graph is not None and "guidance" in graph.names
    damages = {(a.ablation.action.name, str(a.ablation.window)): a.effect.mean for a in impact.ablations}
    assert all(damage > 0 for damage in damages.values())
    assert damages["bypass", "0-1"] > damages["reuse", "1-1"]


def test_a_stored_ablation_is_that_of_a_whole_run(finished: SweepStore, tiny_model: Path) -> None:
    model = load_model(str(tiny_model))
    sampler = SamplerSettings.model_validate(finished.header.settings["sampler"])
    rest = Ablation(components=("guidance",), window=Window(start=2, stop=4), action=Action(name="reuse"))
    unit = next(unit for unit in finished.header.plan if unit.intervention == rest)
    resolved = resolve(model.graph, Schedule.from_ablation(rest, sampler.steps))
    pictures = model.run(list(unit.conditions), sampler, resolved)
    with finished.read(unit.key) as reader:
        torch.testing.assert_close(torch.from_numpy(reader.final), pictures, atol=1e-4, rtol=1e-4)


def test_glide_without_guidance_at_any_step_is_a_scale_of_one(tiny_model: Path) -> None:
    """GLIDE's conditional half is the first, and sigma is learned."""
    model, sampler = load_model(str(tiny_model)), SamplerSettings(name="ddpm", steps=4)
    guided = [Condition(prompt=prompt, seed=seed, guidance=3.0) for seed, prompt in enumerate(SWEPT["prompts"])]
    rest = Schedule(steps=4, actions={step: {"guidance": Action(name="bypass")} for step in range(4)})
    unguided = [condition.model_copy(update={"guidance": 1.0}) for condition in guided]
    pictures = model.run(guided, sampler, resolve(model.graph, rest))
    torch.testing.assert_close(pictures, model.run(unguided, sampler), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(pictures, model.run(guided, sampler), atol=1e-3)


def test_weights_are_read_from_a_configuration() -> None:
    swept = SweptAction.model_validate({"name": "reuse", "weights": [2, -1], "components": ["guidance"]})
    assert swept.action == Action(name="reuse", weights=(2, -1))
