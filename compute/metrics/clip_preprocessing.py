"""CLIP's preprocessing of pictures, on tensors of any device: resize, crop the centre, normalise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from compute.metrics.metric import AbsentError

_BICUBIC = 3  # Pillow's number for it, which a processor's configuration holds
_STAGES = ("do_resize", "do_rescale", "do_normalize")


@dataclass(frozen=True, kw_only=True)
class ClipPreprocessing:
    """The settings of a CLIP image processor: sizes in pixels, mean and deviation of pixels in [0, 1] by channel."""

    shortest_edge: int | None
    """The shorter side after resizing in proportion; None where pictures are resized to `size`."""
    size: tuple[int, int]
    """Height and width that the model reads, to which the centre is cropped."""
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of(cls, processor: Any) -> ClipPreprocessing:
        """Return the settings of a `CLIPImageProcessor`. Raises AbsentError for stages that are not CLIP's."""
        left_out = [stage for stage in _STAGES if not getattr(processor, stage)]
        if left_out or int(processor.resample) != _BICUBIC or abs(processor.rescale_factor * 255 - 1) > 1e-6:
            raise AbsentError("its image processor is not CLIP's: bicubic resizing, rescaling, normalisation")
        resized, cropped = dict(processor.size), dict(processor.crop_size or {})
        edge = resized.get("shortest_edge")
        target = cropped if processor.do_center_crop else resized
        if not target.get("height") or not target.get("width"):
            raise AbsentError("its image processor gives pictures of no fixed size: height and width are needed")
        size = (int(target["height"]), int(target["width"]))
        fits = size == (resized.get("height"), resized.get("width")) if edge is None else edge >= max(size)
        if not fits:
            raise AbsentError(f"its image processor crops to {size[0]}x{size[1]}, which is not what it resizes to")
        return cls(
            shortest_edge=edge, size=size, mean=tuple(processor.image_mean), deviation=tuple(processor.image_std)
        )

    def __call__(self, pictures: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 h w"]:
        """Return what the model reads of pictures in [-1, 1], in float32.

        As for transformers' processor, pixels are rounded to 8 bits before, while and after they are resized.
        """
        height, width = self._resized(*pictures.shape[-2:])
        levels = ((pictures.float() + 1) * 127.5).round().clamp(0, 255)
        levels = _interpolate(_interpolate(levels, (levels.shape[-2], width)), (height, width))
        top, left = (height - self.size[0]) // 2, (width - self.size[1]) // 2
        cropped = levels[..., top : top + self.size[0], left : left + self.size[1]] / 255
        mean, deviation = (torch.tensor(v, device=levels.device).view(3, 1, 1) for v in (self.mean, self.deviation))
        return (cropped - mean) / deviation

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width after resizing, the longer side rounded down."""
        if self.shortest_edge is None:
            return self.size
        edge = self.shortest_edge
        return (edge, int(edge * width / height)) if height <= width else (int(edge * height / width), edge)


def _interpolate(levels: Float[Tensor, "B 3 H W"], size: tuple[int, int]) -> Float[Tensor, "B 3 h w"]:
    """Resize 8-bit pixels along one axis; a cubic goes beyond them, and Pillow clips it after each axis."""
    if levels.shape[-2:] == size:
        return levels
    return F.interpolate(levels, size, mode="bicubic", antialias=True).round().clamp(0, 255)
