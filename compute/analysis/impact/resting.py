"""What can rest: the components whose removal changes nothing that matters in a range of steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compute.analysis.impact.ablation_impact import AblationImpact, Impact
from store.records import Components, Window

_LEAST_CONDITIONS = 2
"""One condition has no interval, so nothing is known of its upper end."""
TOGETHER = "Each was left out alone; what leaving out all of them at once does is not measured."


@dataclass(frozen=True, kw_only=True)
class Rest:
    """Components that can rest, one at a time, in the windows that lie within a range of steps.

    `passed` are the ablations whose damage is below `threshold` by the upper end of the interval in every one of the
    `windows`, one for each component and window; `tried` counts the components that were removed in all of them.
    """

    windows: tuple[Window, ...]
    threshold: float
    passed: tuple[AblationImpact, ...]
    tried: int

    @property
    def components(self) -> tuple[Components, ...]:
        """The components that passed, the least harmful first."""
        return tuple(dict.fromkeys(ablation.ablation.components for ablation in self.passed))

    @property
    def steps(self) -> Window | None:
        """The steps that the windows cover; None without a window."""
        if not self.windows:
            return None
        return Window(start=self.windows[0].start, stop=max(window.stop for window in self.windows))


def resting(impact: Impact, *, start: int, stop: int, threshold: float) -> Rest:
    """Return what can rest in the windows of removals within steps `start` to `stop` - 1.

    The impact must be damage. A component must pass in every such window, and have been removed in all of them.
    Raises ValueError for another scale.
    """
    if impact.scale != "damage":
        raise ValueError(f"what can rest is a question of damage; {impact.metric} has none")
    windows = tuple(window for window in impact.main_windows if start <= window.start and window.stop <= stop)
    by_component: dict[Components, list[AblationImpact]] = {}
    for ablation in impact.only(windows=windows).ablations:
        if ablation.ablation.action.properties.removes:
            by_component.setdefault(ablation.ablation.components, []).append(ablation)
    whole = {names: own for names, own in by_component.items() if _covers(own, windows)}
    passed = [own for own in whole.values() if all(_passes(ablation, threshold) for ablation in own)]
    passed.sort(key=lambda own: max(ablation.effect.high for ablation in own))
    return Rest(
        windows=windows,
        threshold=threshold,
        passed=tuple(ablation for own in passed for ablation in own),
        tried=len(whole),
    )


def _covers(ablations: Sequence[AblationImpact], windows: Sequence[Window]) -> bool:
    tried = {(a.ablation.window.start, a.ablation.window.stop) for a in ablations}
    return len(tried) == len(windows) > 0


def _passes(ablation: AblationImpact, threshold: float) -> bool:
    return ablation.conditions >= _LEAST_CONDITIONS and ablation.effect.high < threshold
