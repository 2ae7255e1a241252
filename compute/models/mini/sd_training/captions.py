"""The auxiliary task of the text encoder: to tell from a caption's padding what the caption says.

As with glide-mini, the diffusion loss alone teaches the meaning of words slowly. In a CLIP text encoder a token sees
only those before it, so the tokens that follow a caption are the ones that can tell what the whole of it says. The last
three, which are padding after every caption, learn to tell one thing each, in linear heads that are not part of the
pipeline; the UNet then finds each at a fixed place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from compute.models.mini.scenes.scene import AXES, BACKGROUNDS, OBJECTS, Scene
from compute.models.mini.sd_mini import TEXT_WIDTH

_OBJECTS, _BACKGROUNDS = list(OBJECTS), list(BACKGROUNDS)


@dataclass(frozen=True, kw_only=True)
class SceneLabels:
    """What a batch of captions says, as indices."""

    axis: Int[Tensor, " B"]
    """In AXES."""
    slots: Int[Tensor, "B 2"]
    """In OBJECTS, in reading order; len(OBJECTS) where there is no second object."""
    background: Int[Tensor, " B"]
    """In BACKGROUNDS."""


def scene_labels(scenes: Sequence[Scene], device: torch.device | str = "cpu") -> SceneLabels:
    """Return what the captions of scenes say."""
    slots = [[len(_OBJECTS) if name is None else _OBJECTS.index(name) for name in scene.slots] for scene in scenes]
    return SceneLabels(
        axis=torch.tensor([AXES.index(scene.axis) for scene in scenes], device=device),
        slots=torch.tensor(slots, device=device),
        background=torch.tensor([_BACKGROUNDS.index(scene.background) for scene in scenes], device=device),
    )


class CaptionHeads(nn.Module):
    """Linear heads: the last three tokens tell the first object, the second (both with the axis), the background."""

    def __init__(self) -> None:
        super().__init__()
        self.slots = nn.ModuleList(nn.Linear(TEXT_WIDTH, len(_OBJECTS) + 1) for _ in range(2))
        self.axes = nn.ModuleList(nn.Linear(TEXT_WIDTH, len(AXES)) for _ in range(2))
        self.background = nn.Linear(TEXT_WIDTH, len(_BACKGROUNDS))

    def loss(self, sequence: Float[Tensor, "B L D"], labels: SceneLabels) -> Float[Tensor, ""]:
        """Return the sum of the five mean cross-entropies."""
        loss = F.cross_entropy(self.background(sequence[:, -1]).float(), labels.background)
        for slot, (objects, axes) in enumerate(zip(self.slots, self.axes, strict=True)):
            token = sequence[:, slot - 3]
            loss = loss + F.cross_entropy(objects(token).float(), labels.slots[:, slot])
            loss = loss + F.cross_entropy(axes(token).float(), labels.axis)
        return loss
