"""The agreement of the scene judge with labels that a person gave to generated pictures.

`labels/pictures.png` is a sheet of 100 pictures from a half-trained glide-mini, with noise and blends. `labels.json`
holds for each the fields of a `DetectedScene` as a person saw it who did not know the prompt: an object that could not
be recognised is "unclear".
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

from compute.models.mini.judge.scene_fidelity import UNCLEAR, DetectedScene
from compute.models.mini.judge.scene_judge import SceneJudge
from compute.statistics.proportion import Proportion

LABELS = Path(__file__).parent / "labels"
_COLUMNS = 10
_TITLES = {
    "axis": "arrangement",
    "objects": "objects",
    "background": "background",
    "all": "everything",
    "clear": "everything, where objects are recognisable",
}


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """The proportions of labelled pictures in which the judge detects what the label says."""

    axis: Proportion
    objects: Proportion
    background: Proportion
    all: Proportion
    clear: Proportion
    """Of `all`, on the pictures whose label has no unclear object."""

    def as_json(self) -> dict[str, Any]:
        """Return the proportions by field, as dictionaries."""
        return asdict(self)

    def describe(self) -> str:
        """Return the proportions as a table for a terminal."""
        width = max(map(len, _TITLES.values()))
        heading = (
            f"The judge against labels made by eye on {self.all.count} generated pictures (agreement, 95% interval)"
        )
        proportions = {title: getattr(self, name) for name, title in _TITLES.items()}
        return "\n".join([heading, *(f"  {title:<{width}}  {p}  n={p.count}" for title, p in proportions.items())])


def load_labelled_pictures() -> tuple[Float[Tensor, "B 3 32 32"], list[DetectedScene]]:
    """Return the labelled pictures, in [-1, 1], and their labels."""
    with Image.open(LABELS / "pictures.png") as image:
        sheet = np.asarray(image.convert("RGB"), np.float32) / 127.5 - 1
    labels = json.loads((LABELS / "labels.json").read_text(encoding="utf-8"))
    side = sheet.shape[1] // _COLUMNS
    tiles = [sheet[i // _COLUMNS * side :, i % _COLUMNS * side :][:side, :side] for i in range(len(labels))]
    pictures = torch.from_numpy(np.stack(tiles).transpose(0, 3, 1, 2).copy())
    return pictures, [DetectedScene(**label) for label in labels]


def agreement() -> Agreement:
    """Compare what the bundled judge detects in the labelled pictures with their labels."""
    pictures, labels = load_labelled_pictures()
    pairs = list(zip(SceneJudge.load().detect(pictures), labels, strict=True))
    matches = {
        "axis": [detected.axis == label.axis for detected, label in pairs],
        "objects": [(detected.first, detected.second) == (label.first, label.second) for detected, label in pairs],
        "background": [detected.background == label.background for detected, label in pairs],
        "all": [detected == label for detected, label in pairs],
        "clear": [detected == label for detected, label in pairs if UNCLEAR not in (label.first, label.second)],
    }
    return Agreement(**{name: Proportion.of([float(v) for v in values]) for name, values in matches.items()})
