"""Validates a policy: whole runs on prompts that the search never saw, timed in turn with full compute.

Four runs of every condition: full compute, the policy, full compute with so many fewer steps that it takes the policy's
time, and full compute with another seed, whose distance is 1 on the damage scale. The first three are timed in one
process, in another order each round; damage is paired by condition and noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compute.metrics.population import kid_blocks
from compute.metrics.registry import Sources, metrics
from compute.models.judges import judge_for
from compute.models.mini.judge.scene_judge import Judge
from compute.models.mini.scenes.render import render_batch
from compute.models.mini.scenes.scene import Scene
from compute.models.model import Model
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.quality import RunName, RunQuality, Validation
from compute.policy.skip_policy import PolicyError, SkipPolicy
from compute.progress import Bar
from compute.provenance import provenance
from compute.recommend.timing import now
from compute.statistics.estimate import Estimate, Floats, mean_of, ratio_of
from store.records import Condition
from store.sampler import SamplerSettings

DAMAGE_METRICS = ("mse", "ssim", "haarpsi")
_SCENES_SEED = 20231222


@dataclass(frozen=True, kw_only=True)
class Run:
    """One way to draw a picture: a sampler, and a schedule or none."""

    name: RunName
    sampler: SamplerSettings
    resolved: ResolvedSchedule | None = None


@dataclass(kw_only=True)
class Drawn:
    """What a run has drawn so far: pictures by batch, and each batch's seconds."""

    pictures: list[Tensor] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def all(self) -> Tensor:
        """(conditions, 3, H, W)."""
        return torch.cat(self.pictures)


@dataclass(frozen=True, kw_only=True)
class Validated:
    """A validated policy, and its pictures by run."""

    policy: SkipPolicy
    conditions: tuple[Condition, ...]
    pictures: Mapping[RunName, Tensor]


def validate(
    policy: SkipPolicy, model: Model, conditions: Sequence[Condition], *, said: tuple[str, str], batch: int, bar: Bar
) -> Validated:
    """Compare a policy with full compute on these conditions; `said` describes their prompts and seeds.

    Raises PolicyError where a prompt took part in the search, UnreadableCaption where a judge could not read one.
    """
    _check_unseen(policy, conditions)
    judge = judge_for(model.source)
    if judge is not None:
        for condition in conditions:
            Scene.parse(condition.prompt)
    sampler, resolved = policy.sampler, resolve(model.graph, policy.schedule)
    runs = [Run(name="full", sampler=sampler), Run(name="policy", sampler=sampler, resolved=resolved)]
    fewer = _fewer_steps(model, runs, conditions[:batch])
    runs.append(Run(name="fewer_steps", sampler=sampler.model_copy(update={"steps": fewer})))
    drawn: dict[str, Drawn] = {run.name: Drawn() for run in runs}
    other = Drawn()
    batches = [conditions[i : i + batch] for i in range(0, len(conditions), batch)]
    for turn, some in enumerate(batches):
        for run in runs[turn % 3 :] + runs[: turn % 3]:
            _draw(model, run, some, drawn[run.name])
        _draw(model, runs[0], [condition.reseeded() for condition in some], other)
        bar.advance(_so_far(drawn), count=len(some))
    qualities = _qualities(runs, drawn, other, conditions, judge)
    validation = Validation(
        prompts=said[0],
        seeds=said[1],
        conditions=len(conditions),
        batch=batch,
        rounds=len(batches),
        dtype=str(model.dtype).removeprefix("torch."),
        device=_device_name(model.device),
        threads=torch.get_num_threads(),
        runs=tuple(qualities),
        fidelity_difference=_difference(drawn, conditions, judge),
        provenance=provenance(),
    )
    return Validated(
        policy=policy.model_copy(update={"validation": validation}),
        conditions=tuple(conditions),
        pictures={run.name: drawn[run.name].all for run in runs},
    )


def _check_unseen(policy: SkipPolicy, conditions: Sequence[Condition]) -> None:
    if policy.prediction is None:
        return
    seen = sorted({condition.prompt for condition in conditions} & set(policy.prediction.prompts))
    if seen:
        raise PolicyError(f"prompts: {seen[0][:80]!r} took part in the search for this policy; give other prompts")


def _draw(model: Model, run: Run, conditions: Sequence[Condition], into: Drawn) -> None:
    began = now(model.device)
    pictures = model.pictures(conditions, run.sampler, run.resolved)
    into.seconds.append((now(model.device) - began) / len(conditions))
    into.pictures.append(pictures.cpu())


def _fewer_steps(model: Model, runs: Sequence[Run], conditions: Sequence[Condition]) -> int:
    """Full compute's steps in the policy's time, from two runs of each that also warm the machine up."""
    full, policy = Drawn(), Drawn()
    for _ in range(2):
        _draw(model, runs[0], conditions, full)
        _draw(model, runs[1], conditions, policy)
    share = min(policy.seconds) / min(full.seconds)
    return max(2, min(runs[0].sampler.steps, round(share * runs[0].sampler.steps)))


def _so_far(drawn: Mapping[str, Drawn]) -> str:
    return f"{sum(drawn['full'].seconds) / sum(drawn['policy'].seconds):.2f}x so far"


def _qualities(
    runs: Sequence[Run],
    drawn: Mapping[str, Drawn],
    other: Drawn,
    conditions: Sequence[Condition],
    judge: Judge | None,
) -> list[RunQuality]:
    prompts = [condition.prompt for condition in conditions]
    full = drawn["full"]
    found = []
    for run in runs:
        mine = drawn[run.name]
        fidelity = {} if judge is None else _by_aspect(judge, mine.all, prompts)
        found.append(
            RunQuality(
                name=run.name,
                steps=run.sampler.steps,
                seconds_per_picture=float(np.median(mine.seconds)),
                speedup=ratio_of(np.array(full.seconds), np.array(mine.seconds)),
                damage=_damage(mine.all, full.all, other.all, prompts) if run.name == "policy" else {},
                fidelity={aspect: mean_of(values) for aspect, values in fidelity.items()},
                kid=None if judge is None else _kid(judge, mine.all, prompts),
            )
        )
    return found


def _damage(pictures: Tensor, full: Tensor, other: Tensor, prompts: Sequence[str]) -> dict[str, Estimate]:
    """By metric the loss against full compute, divided by another seed's."""
    wanted = metrics(DAMAGE_METRICS, Sources())
    ours, theirs = wanted.compute(pictures, full, prompts), wanted.compute(other, full, prompts)
    found = {}
    for name, metric in wanted.descriptors.items():
        found[name] = ratio_of(metric.info.loss(ours[name]), metric.info.loss(theirs[name]))
    return found


def _by_aspect(judge: Judge, pictures: Tensor, prompts: Sequence[str]) -> dict[str, Floats]:
    verdicts = judge.fidelity(pictures, list(prompts))
    return {aspect: values.double().numpy() for aspect, values in verdicts.items()}


def _difference(
    drawn: Mapping[str, Drawn], conditions: Sequence[Condition], judge: Judge | None
) -> dict[str, Estimate]:
    if judge is None:
        return {}
    prompts = [condition.prompt for condition in conditions]
    policy, full = (_by_aspect(judge, drawn[name].all, prompts) for name in ("policy", "full"))
    return {aspect: mean_of(policy[aspect] - full[aspect]) for aspect in policy}


@torch.inference_mode()
def _kid(judge: Judge, pictures: Tensor, prompts: Sequence[str]) -> Estimate | None:
    """KID to real scenes of the same captions, one for each picture."""
    rng = np.random.default_rng(_SCENES_SEED)
    real = torch.from_numpy(render_batch([Scene.parse(p) for p in prompts], rng, pictures.shape[-1]))
    blocks = kid_blocks(judge.embed(pictures), judge.embed(real))
    return mean_of(np.array(blocks)) if blocks else None


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"{device.type} ({provenance()['machine']}, {provenance()['cores']} cores)"


def summary_lines(policy: SkipPolicy) -> list[str]:
    """A validated policy in aligned lines, for a terminal."""
    validation = policy.validation
    assert validation is not None
    lines = [
        f"{policy.name}: {validation.conditions} conditions ({validation.prompts}; seeds {validation.seeds}), "
        f"{validation.dtype}, batch {validation.batch}, {validation.device}, {validation.threads} threads",
        f"  {'':<12} {'steps':>5}  {'s/picture':>9}  {'speedup':<21} {'whole prompt right':<24} KID to real scenes",
    ]
    for run in validation.runs:
        name = {"full": "full compute", "policy": "policy", "fewer_steps": "fewer steps"}[run.name]
        right = run.fidelity["all"].shown(".1%") if "all" in run.fidelity else "no judge"
        kid = str(run.kid) if run.kid is not None else "too few pictures" if run.fidelity else "no judge"
        speedup = run.speedup.shown(".2f")
        lines.append(f"  {name:<12} {run.steps:>5}  {run.seconds_per_picture:>9.3f}  {speedup:<21} {right:<24} {kid}")
    lines += [f"  damage by {metric}: {damage}" for metric, damage in validation.policy.damage.items()]
    if "all" in validation.fidelity_difference:
        lines.append(f"  whole prompt right, policy - full: {validation.fidelity_difference['all'].shown('+.1%')}")
    return lines


def as_json(policy: SkipPolicy) -> dict[str, Any]:
    """What `validate --json` prints."""
    assert policy.validation is not None
    return {"policy": policy.name, "digest": policy.digest, **policy.validation.model_dump(mode="json")}
