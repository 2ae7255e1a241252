"""Plans over a tiny UNet: 6 steps, 3 windows, 6 conditions in 2 batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compute.config.schema import SweepConfig
from compute.policy.graph import ComponentGraph
from compute.sweep.plan.plan import Plan, make_plan
from compute.sweep.plan.settings import settings_of
from store.records import Ablation

STEPS = 6


def plan_of(graph: ComponentGraph, **changes: Any) -> Plan:
    fields: dict[str, Any] = {
        "sampler": {"name": "ddim", "steps": STEPS}, "prompts": ["a", "b", "c"], "seeds": [0, 1],
        "conditions_per_unit": 4, "windows": {"count": 3}, "actions": ["bypass", "zero", "reuse"],
    }  # fmt: skip
    config = SweepConfig.model_validate(fields | changes)
    return make_plan(config, settings_of(config, "digest", {"beta": 1, "_name": "x"}, {}), graph, Path("."))


def ablations_in(plan: Plan) -> list[Ablation]:
    """The ablations of the plan's units, controls apart."""
    return [
        unit.intervention for unit in plan.units if unit.role == "ablation" and isinstance(unit.intervention, Ablation)
    ]
