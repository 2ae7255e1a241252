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
from compute.metrics.metric import Absent, Batch, Family, Metric, MetricError


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What some metrics need beyond the pictures."""

    lpips_trunk: Path | None = None
    judge: semantic.Judge | None = None
    device: torch.device | str = "cpu"


# A family of metrics: the names it knows, and what makes it ready or raises Absent. A new family is one line here.
_FAMILIES: tuple[tuple[tuple[str, ...], Callable[[Sources], Family]], ...] = (
    (("rel_l2", "mse", "psnr", "ssim", "haarpsi"), lambda sources: pixel.load()),
    (("lpips",), lambda sources: perceptual.load(sources.lpips_trunk, sources.device)),
    (tuple(f"fidelity_{aspect}" for aspect in semantic.ASPECTS), lambda sources: semantic.load(sources.judge)),
)

KNOWN: tuple[str, ...] = tuple(name for names, _ in _FAMILIES for name in names)
"""The names of all metrics, had here or not."""


def metrics(names: Sequence[str], sources: Sources | None = None) -> MetricSet:
    """The metrics of these names. One that can't be had here is absent, with its reason; an unknown name is an error.

    Raises MetricError.
    """
    unknown = [name for name in names if name not in KNOWN]
    if unknown:
        raise MetricError(f"metrics: {unknown[0]!r} is not known; accepted are {', '.join(KNOWN)}")
    families: dict[Family, tuple[str, ...]] = {}
    absent: dict[str, str] = {}
    for known, load in _FAMILIES:
        wanted = tuple(name for name in known if name in names)
        if not wanted:
            continue
        try:
            families[load(sources or Sources())] = wanted
        except Absent as reason:
            absent |= dict.fromkeys(wanted, str(reason))
    return MetricSet(families, absent)


class MetricSet:
    """Metrics that are ready to be computed. It keeps nothing of what it measured."""

    def __init__(self, families: Mapping[Family, tuple[str, ...]], absent: Mapping[str, str]) -> None:
        self._families = dict(families)
        self.absent: dict[str, str] = dict(absent)
        """Names that can't be had here, and why."""
        self.descriptors: dict[str, Metric] = {
            metric.name: metric
            for family, wanted in families.items()
            for metric in family.descriptors
            if metric.name in wanted
        }
        """What each computed metric's numbers mean."""

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
        for family, wanted in self._families.items():
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
            if min(shape[2:]) < metric.smallest:
                side = metric.smallest
                raise MetricError(
                    f"metrics: {metric.name} needs at least {side}x{side} pixels, not {shape[2]}x{shape[3]}"
                )
        for what, values in (("pictures", batch.pictures), ("baselines", batch.baseline)):
            rows = (~values.isfinite().flatten(1).all(1)).nonzero().flatten().tolist()
            if rows:
                raise MetricError(f"metrics: {what} hold NaN or infinity in rows {rows}; a run went wrong")
