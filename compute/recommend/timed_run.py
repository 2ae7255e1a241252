"""Timed runs: pictures sampled by one sampler and schedule, with the seconds that they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from compute.models.long_prompts import without_repeated_warnings
from compute.models.model import Model
from compute.models.other_stage import OtherStage
from compute.policy.liveness import ResolvedSchedule
from compute.policy.quality import RunName
from compute.recommend.timing import now
from store.records import Condition
from store.sampler import SamplerSettings


@dataclass(frozen=True, kw_only=True)
class Run:
    """One way to sample a picture: a sampler and a resolved schedule, or full compute without one.

    Of a cascade, `previous` is the way in which the stage before is run. The time of a picture then includes it;
    without `previous` it is that of the stage alone.
    """

    name: RunName
    sampler: SamplerSettings
    resolved: ResolvedSchedule | None = None
    previous: OtherStage | None = None


@dataclass(kw_only=True)
class RunOutput:
    """The pictures that a run has sampled so far, by batch, and the seconds a picture of each batch."""

    batches: list[Float[Tensor, "B 3 H W"]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def pictures(self) -> Float[Tensor, "conditions 3 H W"]:
        """The pictures of all batches, in [-1, 1]."""
        return torch.cat(self.batches)

    def sample(self, model: Model, run: Run, conditions: Sequence[Condition]) -> None:
        """Sample one more batch."""
        inputs = model.inputs(conditions) if run.previous is None else None
        with without_repeated_warnings(model.pipe, [condition.prompt for condition in conditions]):
            start = now(model.device)
            if run.previous is not None:
                inputs = run.previous.sampled(conditions)
            pictures = model.run(conditions, run.sampler, run.resolved, inputs=inputs)
            self.seconds.append((now(model.device) - start) / len(conditions))
        self.batches.append(pictures.cpu())


def steps_in_equal_time(model: Model, full: Run, policy: Run, conditions: Sequence[Condition]) -> int:
    """Return the number of steps to ask for so that full compute takes the policy's time, at least 2.

    Both are run twice, which also warms the machine up.
    """
    outputs = RunOutput(), RunOutput()
    for _ in range(2):
        for run, output in zip((full, policy), outputs, strict=True):
            output.sample(model, run, conditions)
    share = min(outputs[1].seconds) / min(outputs[0].seconds)
    return max(2, min(full.sampler.asked_steps, round(share * full.sampler.asked_steps)))
