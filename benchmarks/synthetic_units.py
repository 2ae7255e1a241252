"""Made-up units of a sweep: pictures are scenes blended with another scene, metrics follow a formula."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from compute.metrics.registry import metrics
from compute.models.mini.scenes.render import render_batch
from compute.models.mini.scenes.scene import Scene
from compute.policy.graph import Component, ComponentGraph
from store.metric import MetricInfo, MetricValues
from store.records import Ablation, PromptSwitch, Reseed, Unit
from store.shard.payload import DistanceName, UnitPayload

METRICS = ("mse", "ssim", "haarpsi", "fidelity_all")
STEPS = 50
SIZE = 32
EVERY = 10
"""Ablations keep `pred_x0` at every EVERY-th step, baselines at every step."""
_LEVELS = 12  # of damage, for which pictures are blended
_RESEED_ERROR = 0.2  # mean squared error between two seeds
Floats = npt.NDArray[np.float64]
Pictures = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class SyntheticUnits:
    """Payloads whose damage depends on a component's level and the steps of the window, and all else on the damage."""

    components: Mapping[str, Component]
    deepest: int
    infos: Mapping[str, MetricInfo]

    @classmethod
    def of(cls, graph: ComponentGraph) -> SyntheticUnits:
        """Return the synthetic units of a component graph."""
        descriptors = metrics(METRICS).descriptors
        return cls(
            components={component.name: component for component in graph.components},
            deepest=max(component.level for component in graph.components),
            infos={name: metric.info for name, metric in descriptors.items()},
        )

    def payload(self, unit: Unit) -> UnitPayload:
        """Return the pictures, distances and metrics of a unit; they are the same in every process."""
        rng = np.random.default_rng(int(unit.key[:12], 16))
        start = _first_step(unit)
        damage = self._damage(unit) * rng.lognormal(0, 0.4, len(unit.conditions))
        prompts = tuple(condition.prompt for condition in unit.conditions)
        final, predicted = _pictures(prompts, round(_LEVELS * min(1.0, float(damage.mean()))))
        kept = [step for step in range(start, STEPS) if unit.role == "baseline" or step % EVERY == 0]
        return UnitPayload(
            steps=STEPS,
            start=start,
            final=final,
            pred_x0=predicted[kept] if kept else None,
            pred_x0_steps=tuple(kept),
            distances={} if unit.role == "baseline" else _distances(damage, start),
            metrics=self._metrics(unit, damage, rng),
            seconds=0.1,
            unet_evaluations=STEPS - start,
        )

    def _damage(self, unit: Unit) -> float:
        intervention = unit.intervention
        if isinstance(intervention, Reseed):
            return 1.0
        if isinstance(intervention, PromptSwitch):
            return 1.2 / (1 + math.exp((intervention.step - 0.3 * STEPS) / 3))
        if not isinstance(intervention, Ablation) or not intervention.components:
            return 0.0
        component = self.components[intervention.components[0]]
        depth = component.level / max(1, self.deepest)
        own = 0.05 + (int(unit.key[:4], 16) % 97) / 97
        steps = (np.arange(intervention.window.start, intervention.window.stop) + 0.5) / STEPS
        early, late = np.exp(-steps / 0.12).sum(), np.exp((steps - 1) / 0.15).sum()
        strength = 0.1 if intervention.action.reads_cache else 1.0
        return float(0.5 * own * strength * (depth * early + (1 - depth) * 0.3 * late))

    def _metrics(self, unit: Unit, damage: Floats, rng: np.random.Generator) -> tuple[MetricValues, ...]:
        fidelity = (rng.random(len(damage)) > 0.1 + 0.5 * np.minimum(damage, 1)).astype(np.float64)
        numbers = {
            "mse": _RESEED_ERROR * damage,
            "ssim": 1 / (1 + 3 * damage),
            "haarpsi": 1 / (1 + 2 * damage),
            "fidelity_all": fidelity,
        }
        return tuple(
            MetricValues(info=info, values=numbers[name])
            for name, info in self.infos.items()
            if unit.role != "baseline" or not info.paired
        )


def _first_step(unit: Unit) -> int:
    """Return the first step that a unit runs."""
    intervention = unit.intervention
    if isinstance(intervention, PromptSwitch):
        return intervention.step
    if not isinstance(intervention, Ablation):
        return 0
    action = intervention.action
    return max(0, intervention.window.start - (1 + action.order if action.reads_cache else 0))


def _distances(damage: Floats, start: int) -> dict[DistanceName, Pictures]:
    """Return distances (STEPS - start, B) that grow from nothing to that of the final picture."""
    far = np.sqrt(damage)[None] * np.linspace(0, 1, STEPS - start)[:, None]
    near = 1 / (1 + far)
    rows: dict[DistanceName, Floats] = {"x_t_rel_l2": far, "x_t_cosine": near, "pred_x0_rel_l2": far}
    return {name: values.astype(np.float32) for name, values in (rows | {"pred_x0_cosine": near}).items()}


@lru_cache(maxsize=4 * _LEVELS)
def _pictures(prompts: tuple[str, ...], level: int) -> tuple[Pictures, npt.NDArray[np.float16]]:
    """Return the final pictures (B, 3, H, W) of a level of damage, and noisy predictions of them at every step."""
    scenes = [Scene.parse(prompt) for prompt in prompts]
    own, other = (render_batch(scenes, np.random.default_rng(seed), SIZE) for seed in (0, 1))
    share = level / _LEVELS
    final = ((1 - share) * own + share * other).astype(np.float32)
    noise = np.random.default_rng(2).normal(size=final.shape)
    left = np.exp(-np.arange(STEPS) / (0.2 * STEPS))[:, None, None, None, None]
    predicted = np.clip((1 - left) * final + left * noise, -1, 1).round(2)
    return final, predicted.astype(np.float16)
