"""How far the scene judge agrees with a person on generated pictures, which are not as clean as real scenes.

`labels/pictures.png` is a sheet of 100 pictures that a half-trained and the final glide-mini drew; `labels/labels.json`
says what a person saw in each, without knowing its prompt: objects in reading order ("unclear" for what could not be
told), how they stand, and the background.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from compute.models.mini.evaluate import Share
from compute.models.mini.judge import UNCLEAR, Judge, Reading

LABELS = Path(__file__).parent / "labels"
_COLUMNS = 10


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Shares of labelled pictures that the judge reads as the person did."""

    axis: Share
    objects: Share
    background: Share
    all: Share
    clear: Share
    """Of everything, on the pictures whose objects the person could tell."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def describe(self) -> str:
        titles = {
            "axis": "arrangement", "objects": "objects", "background": "background", "all": "everything",
            "clear": "everything, where the person could tell the objects",
        }  # fmt: skip
        width = max(map(len, titles.values()))
        lines = [f"The judge against a person on {self.all.count} generated pictures (agreement, 95% interval)"]
        return "\n".join(
            lines + [f"  {titles[name]:<{width}}  {(share := getattr(self, name))}  n={share.count}" for name in titles]
        )


def labelled() -> tuple[Float[Tensor, "B 3 32 32"], list[Reading]]:
    """The labelled pictures, in [-1, 1], and what the person saw."""
    with Image.open(LABELS / "pictures.png") as image:
        sheet = np.asarray(image.convert("RGB"), np.float32) / 127.5 - 1
    labels = json.loads((LABELS / "labels.json").read_text(encoding="utf-8"))
    side = sheet.shape[1] // _COLUMNS
    cells = [sheet[i // _COLUMNS * side :, i % _COLUMNS * side :][:side, :side] for i in range(len(labels))]
    pictures = torch.from_numpy(np.stack(cells).transpose(0, 3, 1, 2).copy())
    return pictures, [Reading(**label) for label in labels]


def agreement() -> Agreement:
    """Let the bundled judge read the labelled pictures."""
    pictures, seen = labelled()
    pairs = list(zip(Judge.load().read(pictures), seen, strict=True))
    same = {
        "axis": [judge.axis == person.axis for judge, person in pairs],
        "objects": [(judge.first, judge.second) == (person.first, person.second) for judge, person in pairs],
        "background": [judge.background == person.background for judge, person in pairs],
        "all": [judge == person for judge, person in pairs],
        "clear": [judge == person for judge, person in pairs if UNCLEAR not in (person.first, person.second)],
    }
    return Agreement(**{name: Share.of([float(v) for v in values]) for name, values in same.items()})
