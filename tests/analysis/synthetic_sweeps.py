"""Sweeps made without a model: tables of chosen numbers, and stores whose trajectories turn at chosen steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from compute.analysis.impact.ablation_impact import AblationImpact, Impact
from compute.statistics.estimate import Estimate
from store.folder.header import SweepHeader
from store.index.catalogue import CatalogueRow
from store.index.table import Table, make_table
from store.metric import MetricInfo, MetricValues
from store.records import (
    Ablation,
    Action,
    Condition,
    Intervention,
    PromptSwitch,
    Reseed,
    Role,
    Unit,
    Window,
    content_key,
)
from store.shard.payload import UnitPayload
from store.sweep_reader import SweepReader
from store.sweep_store import SweepStore

MSE = MetricInfo(name="mse", direction="lower", low=0, high=4, label="mean squared error")
SSIM = MetricInfo(name="ssim", direction="higher", low=-1, high=1)
PSNR = MetricInfo(name="psnr", direction="higher", low=0, high=100)
FIDELITY = MetricInfo(name="fidelity_all", direction="higher", low=0, high=1, paired=False)
INFOS = {info.name: info for info in (MSE, SSIM, PSNR, FIDELITY)}
NULL = Ablation(components=(), window=Window(start=2, stop=4), action=Action(name="compute"))


def conditions(count: int, first_seed: int = 0) -> tuple[Condition, ...]:
    return tuple(Condition(prompt=f"a cat {i}", seed=first_seed + i, guidance=3.0) for i in range(count))


def ablation(component: str, start: int = 0, stop: int = 2, action: str = "bypass") -> Ablation:
    return Ablation(
        components=(component,),
        window=Window(start=start, stop=stop),
        action=Action.model_validate({"name": action}),
    )


def unit_of(
    role: Role, intervention: Intervention | None, of: Sequence[Condition], baseline: Unit | None = None
) -> Unit:
    said = None if intervention is None else intervention.model_dump(mode="json")
    key = content_key([role, said, [c.model_dump(mode="json") for c in of]])
    return Unit(
        key=key,
        role=role,
        baseline=None if baseline is None else baseline.key,
        intervention=intervention,
        conditions=tuple(of),
    )


def row_of(unit: Unit, values: Mapping[str, Sequence[float]]) -> CatalogueRow:
    infos = tuple(INFOS[name] for name in sorted(values))
    columns = tuple(tuple(None if v != v else float(v) for v in values[info.name]) for info in infos)
    return CatalogueRow(
        unit=unit, sha256="0" * 64, steps=4, start=0, seconds=1, unet_evaluations=4, infos=infos, values=columns
    )


Numbers = Mapping[str, Sequence[float]]


def table_of(
    baseline: Numbers,
    reseed: Numbers,
    ablations: Mapping[Ablation, Numbers],
    null: Numbers | None = None,
    of: Sequence[Condition] | None = None,
) -> Table:
    """A table of one batch, from each unit's numbers by metric."""
    batch = conditions(len(next(iter(reseed.values())))) if of is None else of
    own = unit_of("baseline", None, batch)
    rows = [row_of(own, baseline), row_of(unit_of("control", Reseed(offset=7), batch, own), reseed)]
    if null is not None:
        rows.append(row_of(unit_of("control", NULL, batch, own), null))
    rows += [row_of(unit_of("ablation", what, batch, own), numbers) for what, numbers in ablations.items()]
    return make_table(rows)


def impact_with(*means: tuple[str, Window, float], scale: str = "damage", told: bool = False, count: int = 3) -> Impact:
    """An impact of chosen damages, the same for each of some conditions."""
    some = tuple(
        AblationImpact(
            ablation=Ablation(components=(name,), window=window, action=Action(name="bypass")),
            kind="resnet",
            level=0,
            effect=Estimate(mean=mean, low=mean - 0.01, high=mean + 0.01),
            conditions=count,
            values=(mean,) * count,
            keys=("0" * 64,) * count,
            p_value=1.0,
            distinguishable=told,
        )
        for name, window, mean in means
    )
    return Impact(
        path="x",
        metric="mse",
        label="mean squared error",
        scale=scale,  # type: ignore[arg-type]
        higher_is_worse=scale == "damage",
        null=Estimate(mean=0, low=0, high=0),
        reseed=0.2,
        conditions=conditions(count),
        reseeds=(0.2,) * count,
        ablations=some,
    )


def seen(share: float) -> float:
    """The factor that makes a picture alike to itself by `share`: 2w / (1 + w²) = share."""
    return 0.0 if share == 0 else (1 - np.sqrt(max(0.0, 1 - share**2))) / share


def picture(seed: int, coarse: float, fine: float, size: int = 16) -> np.ndarray:
    """(3, size, size): a plain colour, all low-pass, times `coarse`, and a checkerboard, high-pass, times `fine`."""
    rng = np.random.default_rng(seed)
    colour = rng.uniform(0.3, 0.6, (3, 1, 1)) * rng.choice([-1, 1], (3, 1, 1))
    board = (np.indices((size, size)).sum(0) % 2 * 2 - 1) * 0.3
    return (coarse * colour + fine * board).astype(np.float32)


def bend(steps: int, at: int, height: float = 0.9) -> np.ndarray:
    """A curve from 0 that rises straight to `height` at a step and from there straight to 1."""
    return np.interp(np.arange(steps), [0, at, steps - 1], [0, height, 1])


def made_sweep(
    root: Path,
    *,
    steps: int = 12,
    bends: tuple[int, int] = (2, 7),
    turns: Sequence[int] = (5, 5, 5),
    judged: Sequence[int] | None = None,
    switched: Sequence[int] | None = None,
    batch: int = 2,
    kept: bool = True,
    reseed: bool = True,
    right: Sequence[bool] | None = None,
) -> SweepReader:
    """A sweep whose parts bend at steps `bends`, and whose condition i obeys the other prompt before step `turns[i]`.

    The judge sees the first prompt from step `judged[i]` on and the other before `turns[i]`; None is no judge.
    `right` says of each condition whether the judge finds its baseline right.
    """
    everyone = conditions(len(turns))
    switched = range(steps) if switched is None else switched
    work: list[tuple[Unit, UnitPayload]] = []
    for first in range(0, len(everyone), batch):
        rows = range(first, min(first + batch, len(everyone)))
        own = unit_of("baseline", None, [everyone[i] for i in rows])
        verdicts = () if right is None else _fidelity([float(right[i]) for i in rows])
        work.append((own, _baseline_payload(rows, steps, bends, kept, verdicts)))
        if reseed:
            another = np.stack([picture(i, 0.2, 1) for i in rows])
            work.append((unit_of("control", Reseed(offset=7), own.conditions, own), _payload(another, steps)))
        for step in switched:
            finals = np.stack([picture(i, 1 if step >= turns[i] else -1, 1) for i in rows])
            switch = PromptSwitch(step=step, prompts=tuple(f"a dog {i}" for i in rows))
            metrics = () if judged is None else _verdicts(step, [turns[i] for i in rows], [judged[i] for i in rows])
            work.append((unit_of("switch", switch, own.conditions, own), _payload(finals, steps, metrics)))
    store = SweepStore.create(root, SweepHeader(plan=tuple(sorted((u for u, _ in work), key=lambda u: u.role))))
    with store.drive("a test"):
        for unit, payload in work:
            store.record(store.write(unit, payload))
    return SweepReader(root)


def _fidelity(values: Sequence[float]) -> tuple[MetricValues, ...]:
    return (MetricValues(info=FIDELITY, values=np.array(values)),)


def _baseline_payload(
    rows: range, steps: int, bends: tuple[int, int], kept: bool, metrics: tuple[MetricValues, ...]
) -> UnitPayload:
    coarse, fine = (bend(steps, at) for at in bends)
    predicted = np.stack([np.stack([picture(i, seen(coarse[s]), seen(fine[s])) for i in rows]) for s in range(steps)])
    final = np.stack([picture(i, 1, 1) for i in rows])
    if not kept:
        return _payload(final, steps, metrics)
    return UnitPayload(steps=steps, final=final, pred_x0=predicted, pred_x0_steps=tuple(range(steps)), metrics=metrics)


def _payload(final: np.ndarray, steps: int, metrics: tuple[MetricValues, ...] = ()) -> UnitPayload:
    return UnitPayload(steps=steps, final=final, metrics=metrics)


def _verdicts(step: int, turns: Sequence[int], judged: Sequence[int]) -> tuple[MetricValues, ...]:
    first = np.array([float(step >= at) for at in judged])
    other = np.array([float(step < at) for at in turns])
    info = {"direction": "higher", "low": 0, "high": 1, "paired": False}
    return tuple(
        MetricValues(info=MetricInfo.model_validate({"name": name, **info}), values=values)
        for name, values in (("fidelity_all", first), ("fidelity_other_all", other))
    )
