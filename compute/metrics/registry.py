"""Metrics by name: what is known, what can be had here, and their numbers for a batch of pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from compute.metrics import perceptual, pixel, semantic
from compute.metrics.metric import AbsentError, Batch, Family, Metric, MetricError


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What some metrics need beyond the pictures."""

    lpips_trunk: Path | None = None
    judge: semantic.Judge | None = None
    device: torch.device | str = "cpu"


# A family's metrics, and what makes them ready or raises AbsentError. A new family is one line here.
_FAMILIES: tuple[tuple[tuple[Metric, ...], Callable[[Sources], Family]], ...] = (
    (pixel.METRICS, lambda sources: pixel.load()),
    (perceptual.METRICS, lambda sources: perceptual.load(sources.lpips_trunk, sources.device)),
    (semantic.METRICS, lambda sources: semantic.load(sources.judge)),
)

KNOWN: tuple[str, ...] = tuple(metric.name for known, _ in _FAMILIES for metric in known)
"""The names of all metrics, had here or not."""


def metrics(names: Sequence[str], sources: Sources | None = None) -> MetricSet:
    """The metrics of these names. One that can't be had here is absent, with its reason; an unknown name is an error.

    Raises MetricError.
    """
    unknown = [name for name in names if name not in KNOWN]
    if unknown:
        raise MetricError(f"metrics: {unknown[0]!r} is not known; accepted are {', '.join(KNOWN)}")
    families: list[tuple[Family, tuple[str, ...]]] = []
    descriptors: dict[str, Metric] = {}
    absent: dict[str, str] = {}
    for known, load in _FAMILIES:
        wanted = {metric.name: metric for metric in known if metric.name in names}
        if not wanted:
            continue
        try:
            family = load(sources or Sources())
        except AbsentError as reason:
            absent |= dict.fromkeys(wanted, str(reason))
            descriptors |= wanted
        else:
            families.append((family, tuple(wanted)))
            descriptors |= {
                name: replace(metric, info=metric.info.model_copy(update={"weights": family.weights}))
                for name, metric in wanted.items()
            }
    return MetricSet(families, descriptors, absent)


class MetricSet:
    """Metrics that are ready to be computed. It keeps nothing of what it measured."""

    def __init__(
        self,
        families: Sequence[tuple[Family, tuple[str, ...]]],
        descriptors: Mapping[str, Metric],
        absent: Mapping[str, str],
    ) -> None:
        self._families = tuple(families)
        self.descriptors: dict[str, Metric] = dict(descriptors)
        """What the numbers of each asked metric mean, absent ones included."""
        self.absent: dict[str, str] = dict(absent)
        """Names that can't be had here, and why."""

    @torch.inference_mode()
    def compute(
        self, pictures: Float[Tensor, "B 3 H W"], baseline: Float[Tensor, "B 3 H W"], prompts: Sequence[str]
    ) -> dict[str, Float64[np.ndarray, " B"]]:
        """Each metric of each picture, against the baseline of its condition or its prompt.

        Pixels lie within [-1, 1]; what lies beyond is clipped, as a file would clip it.
        Raises MetricError for pictures that don't fit each other, are too small, or hold NaN or infinity.
        """
        batch = Batch(pictures=pictures, baseline=baseline, prompts=tuple(prompts))
        self._check(batch)
        batch = replace(batch, pictures=pictures.clamp(-1, 1), baseline=baseline.clamp(-1, 1))
        numbers: dict[str, Float64[np.ndarray, " B"]] = {}
        for family, wanted in self._families:
            for name, values in family.compute(wanted, batch).items():
                numbers[name] = values.double().cpu().numpy()
        return numbers

    def _check(self, batch: Batch) -> None:
        shape = tuple(batch.pictures.shape)
        if batch.baseline.shape != shape or len(shape) != 4 or shape[1] != 3:
            raise MetricError(
                f"metrics: pictures are {shape} and baselines {tuple(batch.baseline.shape)}; both must be (B, 3, H, W)"
            )
        if len(batch.prompts) != shape[0]:
            raise MetricError(f"metrics: {len(batch.prompts)} prompts for {shape[0]} pictures; give one a picture")
        for metric in self.descriptors.values():
            if metric.name not in self.absent and min(shape[2:]) < metric.smallest:
                side = metric.smallest
                raise MetricError(
                    f"metrics: {metric.name} needs at least {side}x{side} pixels, not {shape[2]}x{shape[3]}"
                )
        for what, values in (("pictures", batch.pictures), ("baselines", batch.baseline)):
            rows = (~values.isfinite().flatten(1).all(1)).nonzero().flatten().tolist()
            if rows:
                raise MetricError(f"metrics: {what} hold NaN or infinity in rows {rows}; a run went wrong")
