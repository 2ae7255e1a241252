"""Teaches the text transformer to read: who stands where, said from the caption alone.

The diffusion loss teaches words slowly, because at most noise levels the picture itself already says what it shows. So
the text transformer first learns, in a minute, to say each word's role and what stands at each place, and keeps saying
it while the UNet trains. The heads that say it are thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compute.models.glide.text_transformer import TextTransformer
from compute.models.mini.scenes.scene import BACKGROUNDS, OBJECTS, Scene

PLACES = ("alone", "left", "right", "top", "bottom")
ROLES = ("other", *PLACES, "background")
_OBJECTS, _BACKGROUNDS = list(OBJECTS), list(BACKGROUNDS)
_IGNORED = -100


def places(scene: Scene) -> tuple[tuple[str, str], ...]:
    """(place, object) for each object of the scene."""
    names = {"alone": ("alone",), "horizontal": ("left", "right"), "vertical": ("top", "bottom")}[scene.axis]
    return tuple((place, name) for place, name in zip(names, scene.slots, strict=False) if name is not None)


@dataclass(frozen=True, kw_only=True)
class ReadingTargets:
    """What the captions of a batch say."""

    at_place: Tensor  # (B, 5) object at each place, len(OBJECTS) for nobody
    background: Tensor  # (B,)
    role: Tensor  # (B, L) index in ROLES, ignored where there is no word


def reading_targets(scenes: Sequence[Scene], length: int, device: torch.device | str = "cpu") -> ReadingTargets:
    """The true readings of the scenes' captions."""
    at_place = torch.full((len(scenes), len(PLACES)), len(_OBJECTS))
    background = torch.tensor([_BACKGROUNDS.index(scene.background) for scene in scenes])
    role = torch.full((len(scenes), length), _IGNORED)
    for row, scene in enumerate(scenes):
        where = {name: place for place, name in places(scene)}
        for name, place in where.items():
            at_place[row, PLACES.index(place)] = _OBJECTS.index(name)
        words = scene.caption.split()
        for column, word in enumerate(words):
            said = "background" if column == len(words) - 2 else where.get(word, "other")
            role[row, column] = ROLES.index(said)
    return ReadingTargets(at_place=at_place.to(device), background=background.to(device), role=role.to(device))


class ReadingHeads(nn.Module):
    """Linear readings of the pooled vector (objects by place, background) and of each word (its role)."""

    def __init__(self, text: TextTransformer) -> None:
        super().__init__()
        self.at_place = nn.Linear(text.config.pooled, len(PLACES) * (len(_OBJECTS) + 1))
        self.background = nn.Linear(text.config.pooled, len(_BACKGROUNDS))
        self.role = nn.Linear(text.config.width, len(ROLES))

    def loss(self, sequence: Tensor, pooled: Tensor, targets: ReadingTargets) -> Tensor:
        """Mean cross-entropy of the readings."""
        at_place = self.at_place(pooled).unflatten(1, (len(PLACES), -1)).flatten(0, 1)
        return (
            F.cross_entropy(at_place.float(), targets.at_place.flatten()) * len(PLACES)
            + F.cross_entropy(self.background(pooled).float(), targets.background)
            + F.cross_entropy(self.role(sequence).flatten(0, 1).float(), targets.role.flatten(), ignore_index=_IGNORED)
        )
