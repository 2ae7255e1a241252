"""The auxiliary task of the text transformer: to predict from a caption what it says.

The diffusion loss teaches the meaning of words slowly, because at most noise levels the noisy picture itself shows what
is in it. So the text transformer first learns, in about a minute, to predict each word's role and the object in each
position, and the loss of this task remains a part of the loss while the UNet is trained. The prediction heads are not
part of the trained pipeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from compute.models.glide.text_transformer import TextTransformer
from compute.models.mini.scenes.scene import BACKGROUNDS, OBJECTS, Scene

POSITIONS = ("alone", "left", "right", "top", "bottom")
ROLES = ("other", *POSITIONS, "background")
_POSITIONS_OF_AXIS = {"alone": ("alone",), "horizontal": ("left", "right"), "vertical": ("top", "bottom")}
_OBJECTS, _BACKGROUNDS = list(OBJECTS), list(BACKGROUNDS)
_NO_WORD = -100


@dataclass(frozen=True, kw_only=True)
class CaptionLabels:
    """The correct predictions for a batch of captions."""

    object_at: Int[Tensor, "B 5"]
    """The index in OBJECTS of the object in each of POSITIONS, len(OBJECTS) where there is none."""
    background: Int[Tensor, " B"]
    """The index in BACKGROUNDS."""
    role: Int[Tensor, "B L"]
    """The index in ROLES of each word, -100 after the caption's end."""


def caption_labels(scenes: Sequence[Scene], length: int, device: torch.device | str = "cpu") -> CaptionLabels:
    """Return the labels of the scenes' captions, for sequences of `length` words."""
    object_at = torch.full((len(scenes), len(POSITIONS)), len(_OBJECTS))
    background = torch.tensor([_BACKGROUNDS.index(scene.background) for scene in scenes])
    role = torch.full((len(scenes), length), _NO_WORD)
    for row, scene in enumerate(scenes):
        pairs = zip(_POSITIONS_OF_AXIS[scene.axis], scene.slots, strict=False)
        position_of = {name: position for position, name in pairs if name is not None}
        for name, position in position_of.items():
            object_at[row, POSITIONS.index(position)] = _OBJECTS.index(name)
        words = scene.caption.split()
        for column, word in enumerate(words):
            is_background = column == len(words) - 2
            role[row, column] = ROLES.index("background" if is_background else position_of.get(word, "other"))
    return CaptionLabels(object_at=object_at.to(device), background=background.to(device), role=role.to(device))


class CaptionHeads(nn.Module):
    """Linear heads that predict the objects and the background from the pooled vector, and roles from the sequence."""

    def __init__(self, text: TextTransformer) -> None:
        super().__init__()
        # The name of the parameters in existing checkpoints.
        self.at_place = nn.Linear(text.config.pooled, len(POSITIONS) * (len(_OBJECTS) + 1))
        self.background = nn.Linear(text.config.pooled, len(_BACKGROUNDS))
        self.role = nn.Linear(text.config.width, len(ROLES))

    def loss(
        self, sequence: Float[Tensor, "B L D"], pooled: Float[Tensor, "B E"], labels: CaptionLabels
    ) -> Float[Tensor, ""]:
        """Return the sum of the mean cross-entropies; that of the objects counts once per position."""
        object_at = self.at_place(pooled).unflatten(1, (len(POSITIONS), -1)).flatten(0, 1)
        roles = self.role(sequence).flatten(0, 1)
        return (
            F.cross_entropy(object_at.float(), labels.object_at.flatten()) * len(POSITIONS)
            + F.cross_entropy(self.background(pooled).float(), labels.background)
            + F.cross_entropy(roles.float(), labels.role.flatten(), ignore_index=_NO_WORD)
        )
