"""Validates a policy: whole runs on prompts that the search did not use, timed in turn with full compute.

Every condition is run four times: at full compute; by the policy; at full compute with as many steps as fit into the
policy's time; and at full compute with another seed, whose distance is 1 on the damage scale. The first three are timed
in one process, in another order each round. Damage is paired by condition and noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from compute.metrics.judge import Judge
from compute.models.equal_prompts import check_different, token_key
from compute.models.judges import judge_for
from compute.models.long_prompts import long_prompts
from compute.models.model import Model
from compute.models.unreadable_prompts import check_prompts
from compute.policy.liveness import resolve
from compute.policy.quality import EndQuality, RunName, RunQuality, Validation
from compute.policy.skip_policy import PolicyError, SkipPolicy
from compute.progress import Bar
from compute.provenance import provenance
from compute.recommend.clip_evaluation import ClipEvaluation, ClipRun
from compute.recommend.evaluation_conditions import EvaluationConditions
from compute.recommend.picture_quality import damage_of, end_qualities, fidelity_by_aspect
from compute.recommend.stages_under_policy import earlier_stages
from compute.recommend.timed_run import Run, RunOutput, steps_in_equal_time
from compute.recommend.timing import device_name
from compute.statistics.estimate import Estimate, mean_of, ratio_of
from store.records import Condition


@dataclass(frozen=True, kw_only=True)
class ValidationResult:
    """A validated policy, with its pictures by run, in [-1, 1]."""

    policy: SkipPolicy
    conditions: tuple[Condition, ...]
    pictures: Mapping[RunName, Float[Tensor, "conditions 3 H W"]]


def validate(
    policy: SkipPolicy,
    model: Model,
    evaluation: EvaluationConditions,
    *,
    batch: int,
    bar: Bar,
    clip: ClipEvaluation | None = None,
) -> ValidationResult:
    """Compare a policy with full compute, sampling `batch` pictures at once; by CLIP, too, where `clip` is given.

    Raises PolicyError for a prompt that the search used, UnreadableCaption for one that the model's judge can't read.
    """
    conditions = evaluation.conditions
    prompts = [condition.prompt for condition in conditions]
    check_prompts(model.pipe.components, prompts)
    check_different(model.pipe.components, prompts, "--prompts")
    _check_unseen(policy, prompts, model)
    judge = judge_for(model.source)
    if judge is not None:
        judge.check_prompts(prompts)
    if (long := long_prompts(model.pipe.components, prompts)) is not None:
        bar.print(str(long))
    runs = _compared_runs(policy, model, conditions[:batch])
    batches = [conditions[i : i + batch] for i in range(0, len(conditions), batch)]
    outputs, reseeded = _run_in_turn(model, runs, batches, bar)
    ends = end_qualities(model, {name: output.pictures for name, output in outputs.items()}, reseeded, batches, judge)
    clip_runs = {} if clip is None else {name: clip.run(output.pictures, prompts) for name, output in outputs.items()}
    validation = Validation(
        prompts=evaluation.prompts,
        seeds=evaluation.seeds,
        conditions=len(conditions),
        batch=batch,
        rounds=len(batches),
        dtype=str(model.dtype).removeprefix("torch."),
        device=device_name(model.device),
        threads=torch.get_num_threads(),
        runs=tuple(_qualities(runs, outputs, reseeded, conditions, judge, clip_runs, ends)),
        fidelity_difference=_difference(outputs, conditions, judge),
        clip=None if clip is None else clip.comparison(clip_runs["policy"], clip_runs["full"]),
        provenance=provenance(),
    )
    return ValidationResult(
        policy=policy.model_copy(update={"validation": validation}),
        conditions=conditions,
        pictures={run.name: outputs[run.name].pictures for run in runs},
    )


def _compared_runs(policy: SkipPolicy, model: Model, conditions: Sequence[Condition]) -> list[Run]:
    """Return full compute, the policy, and full compute with as many steps as fit into the policy's time."""
    full = Run(name="full", sampler=policy.sampler, previous=earlier_stages(policy, model, full=True))
    own = Run(
        name="policy",
        sampler=policy.sampler,
        resolved=resolve(model.graph, policy.schedule),
        previous=earlier_stages(policy, model, full=False),
    )
    steps = steps_in_equal_time(model, full, own, conditions)
    fewer = Run(
        name="fewer_steps",
        sampler=model.resolved(policy.sampler.asking(steps), policy.guidance),
        previous=earlier_stages(policy, model, full=True, steps_share=steps / policy.sampler.asked_steps),
    )
    return [full, own, fewer]


def _check_unseen(policy: SkipPolicy, prompts: Sequence[str], model: Model) -> None:
    if policy.prediction is None:
        return
    key = token_key(model.pipe.components)
    seen = {key(prompt) for prompt in policy.prediction.prompts}
    if (prompt := next((prompt for prompt in prompts if key(prompt) in seen), None)) is not None:
        raise PolicyError(f"prompts: {prompt[:80]!r} took part in the search for this policy; give other prompts")


def _run_in_turn(
    model: Model, runs: Sequence[Run], batches: Sequence[Sequence[Condition]], bar: Bar
) -> tuple[dict[RunName, RunOutput], RunOutput]:
    """Return the outputs of the runs by name, and that of full compute (the first run) with other seeds.

    A machine that slows down slows all runs, because each is the first in a third of the batches.
    """
    outputs = {run.name: RunOutput() for run in runs}
    reseeded = RunOutput()
    for number, conditions in enumerate(batches):
        first = number % len(runs)
        for run in (*runs[first:], *runs[:first]):
            outputs[run.name].sample(model, run, conditions)
        reseeded.sample(model, runs[0], [condition.reseeded() for condition in conditions])
        speedup = sum(outputs["full"].seconds) / sum(outputs["policy"].seconds)
        bar.advance(f"{speedup:.2f}x so far", count=len(conditions))
    return outputs, reseeded


def _qualities(
    runs: Sequence[Run],
    outputs: Mapping[RunName, RunOutput],
    reseeded: RunOutput,
    conditions: Sequence[Condition],
    judge: Judge | None,
    clip_runs: Mapping[RunName, ClipRun],
    ends: Mapping[RunName, EndQuality],
) -> list[RunQuality]:
    prompts = [condition.prompt for condition in conditions]
    full = outputs["full"]
    qualities = []
    for run in runs:
        own = outputs[run.name]
        fidelity = {} if judge is None else fidelity_by_aspect(judge, own.pictures, prompts)
        qualities.append(
            RunQuality(
                name=run.name,
                steps=run.sampler.steps,
                seconds_per_picture=float(np.median(own.seconds)),
                speedup=ratio_of(np.array(full.seconds), np.array(own.seconds)),
                damage=damage_of(own.pictures, full.pictures, reseeded.pictures) if run.name == "policy" else {},
                fidelity={aspect: mean_of(values) for aspect, values in fidelity.items()},
                kid=None if judge is None else _kid(judge, own.pictures, prompts),
                clip=clip_runs[run.name].quality if clip_runs else None,
                end=ends.get(run.name),
            )
        )
    return qualities


def _difference(
    outputs: Mapping[RunName, RunOutput], conditions: Sequence[Condition], judge: Judge | None
) -> dict[str, Estimate]:
    """Return, by aspect, the policy's fidelity minus full compute's."""
    if judge is None:
        return {}
    prompts = [condition.prompt for condition in conditions]
    policy = fidelity_by_aspect(judge, outputs["policy"].pictures, prompts)
    full = fidelity_by_aspect(judge, outputs["full"].pictures, prompts)
    return {aspect: mean_of(policy[aspect] - full[aspect]) for aspect in policy}


def _kid(judge: Judge, pictures: Tensor, prompts: Sequence[str]) -> Estimate | None:
    """KID to real scenes of the same captions, one for each picture."""
    blocks = judge.kid_to_real(pictures, prompts)
    return mean_of(np.array(blocks)) if blocks else None
