"""Impact: how much each ablation changes the picture, on the damage scale, with intervals over conditions.

Damage is the mean distance of ablated pictures to their baselines, divided by the mean distance between two seeds of
the same prompts: 0 is identical, 1 is as different as another seed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from store.errors import SkipscopeError
from store.records import KINDS, Window
from store.sweep_store import SweepStore
from store.table import Table, sweep_table

Floats = npt.NDArray[np.float64]
BOOTSTRAP_SAMPLES = 2000
CONFIDENCE = 0.95


class NoImpact(SkipscopeError):
    """A sweep that has nothing yet from which impact could be computed."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over conditions with its bootstrap interval (CONFIDENCE, percentile)."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, kw_only=True)
class AblationImpact:
    """The damage of one ablation."""

    components: str
    action: str
    window: Window
    damage: Estimate
    conditions: int


@dataclass(frozen=True, kw_only=True)
class Impact:
    """All of a sweep's ablations on the damage scale, beside the two controls."""

    path: str
    metric: str
    null: Estimate
    """Damage of the null ablation: what the method itself adds. It should be 0."""
    reseed: float
    """Mean distance between two seeds, in the metric's own unit: 1 on the damage scale."""
    ablations: tuple[AblationImpact, ...]

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows that were swept, in order."""
        return tuple(sorted({a.window for a in self.ablations}, key=lambda window: (window.start, window.stop)))

    def in_window(self, window: Window) -> list[AblationImpact]:
        """The ablations of a window, most harmful first."""
        return sorted((a for a in self.ablations if a.window == window), key=lambda a: -a.damage.mean)

    def as_json(self) -> dict[str, Any]:
        """As `summary --json` prints it."""
        null = asdict(self.null) if np.isfinite(self.null.mean) else None  # JSON has no NaN
        return {
            **{key: value for key, value in asdict(self).items() if key not in ("ablations", "null")},
            "null": null,
            "ablations": [{**asdict(a), "window": [a.window.start, a.window.stop]} for a in self.ablations],
        }


def impact_of(store: SweepStore, metric: str = "mse") -> Impact:
    """The impact of every finished ablation by a paired metric where lower is better.

    The interval takes the conditions, paired with their reseeds, as the sample; it does not cover the choice of model.
    Raises NoImpact where metric, ablations or the reseed control are missing.
    """
    table = sweep_table(store)
    if not (table["role"] != "baseline").any():
        raise NoImpact(f"{store.root}: has no finished control or ablation yet; run the sweep on, then ask again")
    if metric not in table.metrics or table.metrics[metric].direction != "lower" or not table.metrics[metric].paired:
        usable = [name for name, info in table.metrics.items() if info.direction == "lower" and info.paired]
        raise NoImpact(f"--metric: {metric!r} gives no distance here; accepted: {', '.join(usable) or 'none yet'}")
    own = _by_condition(table, metric, table["intervention"] == "reseed")
    if not own:
        raise NoImpact(f"{store.root}: has no finished control yet; run the sweep on, then ask again")
    groups = _groups(table)
    ablations = []
    null = Estimate(mean=float("nan"), low=float("nan"), high=float("nan"))
    for (components, action, start, stop), rows in groups.items():
        values = _by_condition(table, metric, rows)
        shared = sorted(values.keys() & own.keys())
        if not shared:
            continue
        damage = damage_of(np.array([values[c] for c in shared]), np.array([own[c] for c in shared]))
        if not components:
            null = damage
            continue
        window = Window(start=start, stop=stop)
        ablations.append(
            AblationImpact(components=components, action=action, window=window, damage=damage, conditions=len(shared))
        )
    if not ablations:
        raise NoImpact(f"{store.root}: has no finished ablation yet; run the sweep on, then ask again")
    return Impact(
        path=str(store.root),
        metric=metric,
        null=null,
        reseed=float(np.mean(list(own.values()))),
        ablations=tuple(ablations),
    )


def damage_of(distances: Floats, reseeds: Floats, *, seed: int = 0) -> Estimate:
    """Ratio of means with a percentile bootstrap over conditions, which are drawn in pairs."""
    if len(distances) == 0:
        return Estimate(mean=float("nan"), low=float("nan"), high=float("nan"))
    drawn = np.random.default_rng(seed).integers(len(distances), size=(BOOTSTRAP_SAMPLES, len(distances)))
    ratios = distances[drawn].mean(1) / np.maximum(reseeds[drawn].mean(1), 1e-12)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    mean = float(distances.mean() / max(float(reseeds.mean()), 1e-12))
    return Estimate(mean=mean, low=float(low), high=float(high))


def kind_of(component: str) -> str:
    """A component's kind, by its name alone."""
    if component == "unet":
        return "unet"
    if component.startswith("skip:"):
        return "skip"
    part = component.split(".")[-2]
    return next((kind for kind in KINDS if part.startswith(kind)), part)


def _groups(table: Table) -> dict[tuple[str, str, int, int], npt.NDArray[np.int64]]:
    """Row numbers of each ablation, in the table's order."""
    found: dict[tuple[str, str, int, int], list[int]] = {}
    for row in np.flatnonzero(table["intervention"] == "ablation"):
        action = table["action"][row]
        details = [f"order {table['order'][row]}"] if table["order"][row] else []
        details += [table["space"][row]] if table["space"][row] else []
        name = action + (f" ({', '.join(details)})" if details else "")
        key = (table["components"][row], name, int(table["window_start"][row]), int(table["window_stop"][row]))
        found.setdefault(key, []).append(int(row))
    return {key: np.array(rows) for key, rows in found.items()}


def _by_condition(table: Table, metric: str, rows: npt.NDArray[Any]) -> dict[tuple[str, int, float], float]:
    """The metric's value for each (prompt, seed, guidance), where it is there."""
    columns = (table["prompt"][rows], table["seed"][rows], table["guidance"][rows], table[metric][rows])
    return {
        (prompt, int(seed), float(guidance)): float(value)
        for prompt, seed, guidance, value in zip(*columns, strict=True)
        if np.isfinite(value)
    }
