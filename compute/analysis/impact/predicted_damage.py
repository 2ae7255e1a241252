"""What single ablations lead to expect of a whole policy: a prediction, never a measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compute.analysis.impact.ablation_impact import AblationImpact, Impact
from compute.policy.liveness import ResolvedSchedule
from store.records import Action

CAUTION = (
    "Predicted: the sum of what each action did alone, a window's damage shared evenly by its steps. Together they may "
    "do more or less; only a validation measures it."
)


@dataclass(frozen=True, kw_only=True)
class PredictedDamage:
    """The sum of the means of single damages, and of the upper ends of their intervals.

    `measured` counts the actions (a component at a step) that it covers; `unmeasured` those of each component that no
    ablation of the sweep tried at their step.
    """

    damage: float
    high: float
    measured: int
    unmeasured: Mapping[str, int]


def predicted_damage(impact: Impact, resolved: ResolvedSchedule) -> PredictedDamage:
    """Return what an impact that is damage predicts of a schedule; actions of dead components count for nothing.

    Of several windows at a step the one counts whose middle is nearest. Raises ValueError for another scale.
    """
    if impact.scale != "damage":
        raise ValueError(f"damage is predicted from damage; {impact.metric} has none")
    tried: dict[tuple[str, Action], list[AblationImpact]] = {}
    for ablation in impact.ablations:
        if len(ablation.ablation.components) == 1:
            tried.setdefault((ablation.ablation.components[0], ablation.ablation.action), []).append(ablation)
    damage = high = 0.0
    measured = 0
    unmeasured: dict[str, int] = {}
    for plan in resolved.steps:
        for name, action in plan.actions.items():
            own = _nearest(tried.get((name, action), []), plan.step)
            if own is None:
                unmeasured[name] = unmeasured.get(name, 0) + 1
                continue
            length = own.ablation.window.stop - own.ablation.window.start
            damage += max(0.0, own.effect.mean) / length
            high += max(0.0, own.effect.high) / length
            measured += 1
    return PredictedDamage(damage=damage, high=high, measured=measured, unmeasured=unmeasured)


def _nearest(ablations: list[AblationImpact], step: int) -> AblationImpact | None:
    there = [ablation for ablation in ablations if step in ablation.ablation.window]
    return min(there, key=lambda a: abs(a.ablation.window.start + a.ablation.window.stop - 1 - 2 * step), default=None)
