"""Policies for a tiny model, conditions for it, and validations."""

from __future__ import annotations

from collections.abc import Sequence

from compute import progress
from compute.models.mini.scenes.scene import captions
from compute.models.model import Model
from compute.policy.quality import Prediction
from compute.policy.rules import rules_of
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import PolicyModel, SkipPolicy
from compute.recommend.evaluation_conditions import EvaluationConditions
from compute.recommend.validation import ValidationResult, validate
from compute.statistics.estimate import Estimate
from compute.unet import parameter_digests
from store.records import Action, Condition
from store.sampler import SamplerSettings

STEPS = 5
DDPM = SamplerSettings(name="ddpm", steps=STEPS)
DROP_TWO = Schedule(
    steps=STEPS, actions={2: {"unet": Action(name="reuse", space="x0")}, 4: {"unet": Action(name="reuse")}}
)


def policy_for(model: Model, schedule: Schedule, *, prompts: Sequence[str] = ()) -> SkipPolicy:
    """A policy of a schedule, whose search used some prompts."""
    return SkipPolicy(
        name="tested",
        model=PolicyModel(
            name=str(model.source.folder), weights=model.source.digest, unet=parameter_digests(model.unet)
        ),
        sampler=SamplerSettings(name="ddpm", steps=STEPS, spacing="linspace"),
        guidance=3.0,
        rules=rules_of(schedule),
        prediction=Prediction(
            metric="mse", speedup=1.5, damage=Estimate(mean=0, low=0, high=0), conditions=1, prompts=tuple(prompts)
        ),
    )


def conditions_of(count: int) -> list[Condition]:
    """Captions of glide-mini with seeds from 40 on."""
    prompts = captions("held-out", count, 7)
    return [Condition(prompt=prompt, seed=40 + i, guidance=3.0) for i, prompt in enumerate(prompts)]


def evaluation_of(conditions: Sequence[Condition]) -> EvaluationConditions:
    """Conditions as a validation takes them."""
    return EvaluationConditions(conditions=tuple(conditions), prompts="some", seeds="40 on")


def validated(model: Model, schedule: Schedule, count: int = 5, batch: int = 2) -> ValidationResult:
    """The validation of a policy of a schedule."""
    evaluation = evaluation_of(conditions_of(count))
    with progress.bar("validate", count) as bar:
        return validate(policy_for(model, schedule), model, evaluation, batch=batch, bar=bar)
