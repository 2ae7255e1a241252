"""Runs policies on shared conditions and keeps what they made; what is kept is not run again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from compute.metrics.judge import Aspect, Judge
from compute.models.long_prompts import without_repeated_warnings
from compute.models.model import Model
from compute.pipeline.run_steps import is_same_timestep
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.skip_policy import PolicyError, SkipPolicy
from compute.progress import Bar
from compute.recommend.bench.results import Outcome, ResultFolder
from compute.recommend.timing import now
from store.records import Condition, content_key

NUMERICS = 1
"""Part of every key: a change in what an outcome holds must change it."""


class Engine:
    """Runs policies for one loaded model, `batch` pictures at once, and judges their pictures.

    An outcome's key holds the policy's digest (with the weights and the sampler), the batch's conditions, the dtype and
    the judge: whatever changes its numbers, and nothing else. Noise depends on seed and step alone, so policies with
    the same steps share all of it, and others the initial noise.
    """

    def __init__(self, model: Model, results: ResultFolder, *, batch: int, judge: Judge | None) -> None:
        self.model, self.judge, self.batch = model, judge, batch
        self._results = results
        self._resolved: dict[str, ResolvedSchedule] = {}
        self._costs: dict[str, float] = {}

    def evaluations(self, policy: SkipPolicy) -> float:
        """Return a policy's cost for a picture: FLOPs by the graph, divided by those of a full step."""
        return self.resolved(policy).total_flops / self.model.graph.total_flops

    def resolved(self, policy: SkipPolicy) -> ResolvedSchedule:
        """Return the plan of each step of a policy. Raises PolicyError for one of another model or other steps."""
        digest = policy.digest
        if digest not in self._resolved:
            self._check(policy)
            self._resolved[digest] = resolve(self.model.graph, policy.schedule)
        return self._resolved[digest]

    def left(self, policies: Sequence[SkipPolicy], conditions: Sequence[Condition]) -> int:
        """Return the evaluations of all pictures that are still to be run."""
        missing = list(self._missing(policies, conditions))
        return round(sum(self._costs[digest] * len(rows) for digest, _, rows in missing))

    def run(self, policies: Sequence[SkipPolicy], conditions: Sequence[Condition], bar: Bar) -> None:
        """Run what is not kept yet: batch by batch, all policies in turn. Each outcome is kept as it comes.

        `bar` counts evaluations. Interrupted, it loses the batch that was running.
        """
        for digest, policy, rows in self._missing(policies, conditions):
            self._results.write(self._key(digest, rows), self._sample(policy, rows))
            bar.advance(policy.name, count=round(self._costs[digest] * len(rows)))

    def outcome(self, policy: SkipPolicy, conditions: Sequence[Condition]) -> Outcome:
        """Return what a policy makes of conditions; what is not kept yet is run."""
        parts, digest = [], policy.digest
        for rows in self._batches(conditions):
            key = self._key(digest, rows)
            part = self._results.read(key)
            if part is None:
                part = self._sample(policy, rows)
                self._results.write(key, part)
            parts.append(part)
        return Outcome.joined(parts)

    def pictures(self, policy: SkipPolicy, conditions: Sequence[Condition]) -> Float[Tensor, "B 3 H W"]:
        """Sample the pictures of one batch, in [-1, 1], without keeping anything."""
        rows = [condition.model_copy(update={"guidance": policy.guidance}) for condition in conditions]
        resolved = self.resolved(policy) if policy.rules else None
        model = self.model.given(policy.call, self.model.previous) if policy.call != self.model.call else self.model
        with without_repeated_warnings(model.pipe, [condition.prompt for condition in rows]):
            return model.run(rows, policy.sampler, resolved)

    def _sample(self, policy: SkipPolicy, conditions: Sequence[Condition]) -> Outcome:
        start = now(self.model.device)
        sampled = self.pictures(policy, conditions)
        seconds = now(self.model.device) - start
        pictures = ((sampled.cpu().float() + 1) * 127.5).round().clamp(0, 255).byte()
        rounded = as_tensor(pictures.numpy())
        fidelity: Mapping[Aspect, Tensor] = {}
        features = torch.empty(len(rounded), 0)
        if self.judge is not None:
            features = self.judge.embed(rounded)
            fidelity = self.judge.fidelity(rounded, [condition.prompt for condition in conditions])
        return Outcome(
            pictures=pictures.numpy(),
            features=features.numpy(),
            fidelity={aspect: values.float().numpy() for aspect, values in fidelity.items()},
            seconds=np.array([seconds / len(conditions)]),
        )

    def _missing(
        self, policies: Sequence[SkipPolicy], conditions: Sequence[Condition]
    ) -> Iterator[tuple[str, SkipPolicy, Sequence[Condition]]]:
        """Yield what is not kept yet: the digests of policies, the policies and batches of conditions."""
        different = {policy.digest: policy for policy in policies}
        self._costs.update({digest: self.evaluations(policy) for digest, policy in different.items()})
        for rows in self._batches(conditions):
            for digest, policy in different.items():
                if self._key(digest, rows) not in self._results:
                    yield digest, policy, rows

    def _batches(self, conditions: Sequence[Condition]) -> list[Sequence[Condition]]:
        return [conditions[start : start + self.batch] for start in range(0, len(conditions), self.batch)]

    def _key(self, digest: str, conditions: Sequence[Condition]) -> str:
        return content_key(
            {
                "numerics": NUMERICS,
                "policy": digest,
                "conditions": [[condition.prompt, condition.seed] for condition in conditions],
                "dtype": str(self.model.dtype),
                "judge": None if self.judge is None else self.judge.digest,
            }
        )

    def _check(self, policy: SkipPolicy) -> None:
        """Raise PolicyError for a policy whose run is not one of this model by its sampler alone."""
        source = self.model.source
        if policy.model.weights != source.digest:
            raise PolicyError(
                f"policy {policy.name!r}: is for weights {policy.model.weights[:12]} of {policy.model.name!r}; "
                f"{source.name!r} here has {source.digest[:12]}: give policies of the bench's model"
            )
        if policy.previous is not None:
            raise PolicyError(f"policy {policy.name!r}: is for a cascade; a bench runs policies of one stage")
        made = self.model.probe(policy.sampler, policy.guidance).steps.timesteps
        own = made if policy.timesteps is None else policy.timesteps
        if len(own) != len(made) or not all(map(is_same_timestep, own, made)) or len(made) != policy.sampler.steps:
            raise PolicyError(
                f"policy {policy.name!r}: its sampler makes other steps in a run of {source.name!r} than it says: give "
                "policies that were made for this pipeline's own call"
            )


def as_tensor(pictures: np.ndarray) -> Float[Tensor, "N 3 H W"]:
    """Return pictures of 8 bits as a tensor in [-1, 1]."""
    return torch.from_numpy(pictures).float() / 127.5 - 1
