"""The scene judge: a small CNN that reads from a picture which objects stand where on which background.

It answers with `Reading`s; `fidelity` compares a reading with what a caption asked for. Pictures that show no clear
object are read as "unclear": the judge is trained on blends and broken sprites too, so that it does not guess.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from compute.models.mini.scenes.scene import AXES, BACKGROUNDS, OBJECTS, Axis, Scene, UnreadableCaption

JUDGE_FILE = Path(__file__).parents[1] / "weights" / "judge.safetensors"
NOBODY = "nobody"  # the second slot of a single object
UNCLEAR = "unclear"  # something that is no object of this world
_SLOT = [*OBJECTS, NOBODY, UNCLEAR]
_BACKGROUNDS = list(BACKGROUNDS)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a picture shows: objects in reading order (left or upper one first), how they stand, the background."""

    axis: Axis
    first: str
    second: str | None
    background: str


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """Shares between 0 and 1 of what the caption asked for that a picture shows."""

    objects: float  # share of the caption's objects that are there; an extra object counts as one that is missing
    relation: float  # 1 where the objects stand as the caption says
    background: float
    all: float  # 1 where everything is right


def fidelity(reading: Reading, scene: Scene) -> Fidelity:
    """How far a picture's reading is what the scene's caption says."""
    asked = [name for name in scene.slots if name is not None]
    seen = [name for name in (reading.first, reading.second) if name is not None]
    objects = len(set(asked) & set(seen)) / max(len(asked), len(seen))
    placed = any(a == s for a, s in zip(scene.slots, (reading.first, reading.second), strict=True))
    relation = float(reading.axis == scene.axis and placed)
    background = float(reading.background == scene.background)
    whole = (reading.axis, reading.first, reading.second) == (scene.axis, *scene.slots) and background == 1
    return Fidelity(objects=objects, relation=relation, background=background, all=float(whole))


class Judge(nn.Module):
    """Reads (B, 3, 32, 32) pictures in [-1, 1]; larger ones are averaged down."""

    side = 32

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        sizes = (3, width, 2 * width, 4 * width)
        self.stages = nn.Sequential(*(_stage(i, o) for i, o in zip(sizes, sizes[1:], strict=False)))
        self.features = nn.Linear(sizes[-1] * 16, 256)
        self.axis = nn.Linear(256, len(AXES))
        self.slots = nn.Linear(256, 2 * len(_SLOT))
        self.background = nn.Linear(256, len(_BACKGROUNDS))

    def embed(self, pictures: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 256"]:
        """Features before the last layer: where the distance between sets of pictures (KID) is taken."""
        small = F.adaptive_avg_pool2d(pictures, self.side)
        return F.relu(self.features(self.stages(small).flatten(1)))

    def forward(self, pictures: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of axis (B, 3), of the two slots (B, 2, objects + 2), of the background (B, 8)."""
        h = self.embed(pictures)
        return self.axis(h), self.slots(h).unflatten(1, (2, -1)), self.background(h)

    @torch.inference_mode()
    def read(self, pictures: Float[Tensor, "B 3 H W"]) -> list[Reading]:
        """What each picture shows."""
        axis, slots, background = (logits.argmax(-1).tolist() for logits in self(pictures.float()))
        return [
            Reading(
                axis=AXES[a],
                first=_SLOT[s[0]],
                second=None if _SLOT[s[1]] == NOBODY else _SLOT[s[1]],
                background=_BACKGROUNDS[b],
            )
            for a, s, b in zip(axis, slots, background, strict=True)
        ]

    def fidelity(self, pictures: Float[Tensor, "B 3 H W"], prompts: Sequence[str]) -> dict[str, Float[Tensor, "B"]]:
        """Each share of `Fidelity` for every picture; NaN where the prompt is no caption of this world."""
        rows = []
        for reading, prompt in zip(self.read(pictures), prompts, strict=True):
            try:
                rows.append(astuple(fidelity(reading, Scene.parse(prompt))))
            except UnreadableCaption:
                rows.append((float("nan"),) * len(fields(Fidelity)))
        columns = torch.tensor(rows).reshape(len(rows), len(fields(Fidelity))).T
        return {field.name: column for field, column in zip(fields(Fidelity), columns, strict=True)}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its weights."""
        whole = hashlib.sha256()
        for name, value in sorted(self.state_dict().items()):
            whole.update(f"{name} {tuple(value.shape)}".encode() + value.cpu().numpy().tobytes())
        return whole.hexdigest()

    def save(self, path: Path) -> None:
        """Write the weights as safetensors, in half precision."""
        save_file({name: value.half().contiguous() for name, value in self.state_dict().items()}, path)

    @staticmethod
    def load(path: Path = JUDGE_FILE) -> Judge:
        """The bundled judge, ready to read."""
        judge = Judge()
        judge.load_state_dict({name: value.float() for name, value in load_file(path).items()})
        return judge.eval().requires_grad_(False)


def _stage(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.GroupNorm(8, outputs), nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1), nn.GroupNorm(8, outputs), nn.ReLU(),
        nn.MaxPool2d(2),
    )  # fmt: skip


def targets(scenes: Sequence[Scene | None]) -> tuple[Tensor, Tensor]:
    """Axis (B,) and slots (B, 2) as indices; None is a picture whose objects are unclear."""
    axis = [0 if scene is None else AXES.index(scene.axis) for scene in scenes]
    slots = [
        [_SLOT.index(UNCLEAR)] * 2 if s is None else [_SLOT.index(s.slots[0]), _SLOT.index(s.slots[1] or NOBODY)]
        for s in scenes
    ]
    return torch.tensor(axis), torch.tensor(slots)
