"""Metrics by name: which are known, which are available, and their values for a batch of pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from compute.metrics import clip, perceptual, pixel, semantic
from compute.metrics.judge import Judge
from compute.metrics.metric import AbsentError, Batch, Family, Metric, MetricError
from compute.metrics.metric_weights import MetricWeights


@dataclass(frozen=True, kw_only=True)
class Sources(MetricWeights):
    """What some metrics need besides the pictures."""

    judge: Judge | None = None
    """The judge that prompt fidelity is computed with."""
    device: torch.device | str = "cpu"
    """The device that LPIPS and the CLIP score are computed on."""


# The metrics of each family, and a function that returns the family or raises AbsentError.
_FAMILIES: tuple[tuple[tuple[Metric, ...], Callable[[Sources], Family]], ...] = (
    (pixel.METRICS, lambda sources: pixel.load()),
    (perceptual.METRICS, lambda sources: perceptual.load(sources.lpips_trunk, sources.device)),
    (semantic.METRICS, lambda sources: semantic.load(sources.judge)),
    (clip.METRICS, lambda sources: clip.load(sources.clip, sources.device)),
)

KNOWN: tuple[str, ...] = tuple(metric.name for known, _ in _FAMILIES for metric in known)
"""The names of all metrics, whether they are available or not."""


def metrics(names: Sequence[str], sources: Sources | None = None) -> MetricSet:
    """Return the metrics of these names; those that are not available are marked as absent, with the reason.

    Raises MetricError for an unknown name.
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
    """Metrics that can be computed for any number of batches. Nothing of a batch is kept."""

    def __init__(
        self,
        families: Sequence[tuple[Family, tuple[str, ...]]],
        descriptors: Mapping[str, Metric],
        absent: Mapping[str, str],
    ) -> None:
        self._families = tuple(families)
        self.descriptors: dict[str, Metric] = dict(descriptors)
        """The description of each metric, absent ones included, by name."""
        self.absent: dict[str, str] = dict(absent)
        """The reason why a metric is not available, by name."""

    @torch.inference_mode()
    def compute(
        self, pictures: Float[Tensor, "B C H W"], baseline: Float[Tensor, "N C H W"], prompts: Sequence[str]
    ) -> dict[str, Float64[np.ndarray, " B"]]:
        """Return the available metrics of each picture, compared with the baseline of its condition or with its prompt.

        `pictures` and `baseline` have the same shape (B, 3, H, W). Pixels are clipped to [-1, 1], as in a file.

        Raises MetricError where shapes or the number of prompts do not match, and for pictures that are too small or
        contain NaN or infinity.
        """
        self._check(pictures, baseline, prompts)
        batch = Batch(pictures=pictures.clamp(-1, 1), baseline=baseline.clamp(-1, 1), prompts=tuple(prompts))
        values: dict[str, Float64[np.ndarray, " B"]] = {}
        for family, names in self._families:
            for name, tensor in family.compute(names, batch).items():
                values[name] = tensor.double().cpu().numpy()
        return values

    def check_size(self, size: tuple[int, ...]) -> None:
        """Raise MetricError for a metric that is available and needs larger pictures than `size` (height, width)."""
        for name, metric in self.descriptors.items():
            side = metric.smallest
            if name not in self.absent and min(size) < side:
                raise MetricError(f"metrics: {name} needs at least {side}x{side} pixels, not {size[0]}x{size[1]}")

    def _check(self, pictures: Tensor, baseline: Tensor, prompts: Sequence[str]) -> None:
        shape = tuple(pictures.shape)
        if baseline.shape != shape or len(shape) != 4 or shape[1] != 3:
            raise MetricError(
                f"metrics: pictures are {shape} and baselines {tuple(baseline.shape)}; both must be (B, 3, H, W)"
            )
        if len(prompts) != shape[0]:
            raise MetricError(f"metrics: {len(prompts)} prompts for {shape[0]} pictures; give one a picture")
        self.check_size(shape[2:])
        for description, tensor in (("pictures", pictures), ("baselines", baseline)):
            rows = (~tensor.isfinite().flatten(1).all(1)).nonzero().flatten().tolist()
            if rows:
                raise MetricError(f"metrics: {description} hold NaN or infinity in rows {rows}; a run went wrong")
