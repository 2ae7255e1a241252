"""How far the scene judge agrees with labels made by eye on generated pictures, which are not as clean as real scenes.

`labels/pictures.png` is a sheet of 100 pictures that glide-mini drew when it was half trained, noise and blends
included; `labels/labels.json` says what was seen in each by somebody who did not know its prompt: objects in reading
order ("unclear" for what could not be told), how they stand, and the background.
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

from compute.models.mini.fidelity import Share
from compute.models.mini.judge.scene_judge import UNCLEAR, Judge, Reading

LABELS = Path(__file__).parent / "labels"
_COLUMNS = 10


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Shares of labelled pictures that the judge reads as they were labelled."""

    axis: Share
    objects: Share
    background: Share
    all: Share
    clear: Share
    """Of everything, on the pictures whose objects could be told by eye."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def describe(self) -> str:
        titles = {
            "axis": "arrangement", "objects": "objects", "background": "background", "all": "everything",
            "clear": "everything, where objects could be told",
        }  # fmt: skip
        width = max(map(len, titles.values()))
        lines = [
            f"The judge against labels made by eye on {self.all.count} generated pictures (agreement, 95% interval)"
        ]
        return "\n".join(
            lines + [f"  {titles[name]:<{width}}  {(share := getattr(self, name))}  n={share.count}" for name in titles]
        )


def labelled() -> tuple[Float[Tensor, "B 3 32 32"], list[Reading]]:
    """The labelled pictures, in [-1, 1], and their labels."""
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
        "axis": [judge.axis == label.axis for judge, label in pairs],
        "objects": [(judge.first, judge.second) == (label.first, label.second) for judge, label in pairs],
        "background": [judge.background == label.background for judge, label in pairs],
        "all": [judge == label for judge, label in pairs],
        "clear": [judge == label for judge, label in pairs if UNCLEAR not in (label.first, label.second)],
    }
    return Agreement(**{name: Share.of([float(v) for v in values]) for name, values in same.items()})
