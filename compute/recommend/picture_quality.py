"""The quality of a validation's pictures: damage and fidelity, at the policy's own stage and at the cascade's end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from compute.metrics.judge import Judge
from compute.metrics.registry import Sources, metrics
from compute.models.later_stages import LaterStages
from compute.models.model import Model
from compute.policy.quality import EndQuality, RunName
from compute.recommend.timed_run import RunOutput
from compute.statistics.estimate import Estimate, Floats, mean_of, ratio_of
from store.records import Condition

DAMAGE_METRICS = ("mse", "ssim", "haarpsi")
Pictures = Float[Tensor, "conditions 3 H W"]


def damage_of(pictures: Pictures, full: Pictures, reseeded: Pictures) -> dict[str, Estimate]:
    """Return, by metric, the loss against full compute divided by the loss of another seed."""
    metric_set, prompts = metrics(DAMAGE_METRICS, Sources()), [""] * len(pictures)
    own, other = metric_set.compute(pictures, full, prompts), metric_set.compute(reseeded, full, prompts)
    return {
        name: ratio_of(metric.info.loss(own[name]), metric.info.loss(other[name]))
        for name, metric in metric_set.descriptors.items()
    }


def fidelity_by_aspect(judge: Judge, pictures: Pictures, prompts: Sequence[str]) -> dict[str, Floats]:
    """Return, by aspect, whether each picture shows what its prompt says."""
    verdicts = judge.fidelity(pictures, list(prompts))
    return {aspect: values.double().numpy() for aspect, values in verdicts.items()}


def end_qualities(
    model: Model,
    outputs: Mapping[RunName, Pictures],
    reseeded: RunOutput,
    batches: Sequence[Sequence[Condition]],
    judge: Judge | None,
) -> dict[RunName, EndQuality]:
    """Return each run's quality at the end of the model's cascade; nothing where no stage comes after the model's."""
    later = LaterStages(model)
    if not later:
        return {}

    def at_end(pictures: Pictures) -> Pictures:
        rows = pictures.split([len(batch) for batch in batches])
        return torch.cat([later.pictures(batch, part) for batch, part in zip(batches, rows, strict=True)])

    ends = {name: at_end(pictures) for name, pictures in outputs.items()}
    other_seed = at_end(reseeded.pictures)
    prompts = [condition.prompt for batch in batches for condition in batch]
    return {
        name: EndQuality(
            stage=later.last,
            damage=damage_of(pictures, ends["full"], other_seed) if name == "policy" else {},
            fidelity={}
            if judge is None
            else {aspect: mean_of(values) for aspect, values in fidelity_by_aspect(judge, pictures, prompts).items()},
        )
        for name, pictures in ends.items()
    }
