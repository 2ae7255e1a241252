"""Prompt fidelity of a model on many prompts of a split, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from PIL import Image, ImageDraw

from compute.config.errors import ConfigError
from compute.images import INK, PAPER, font, image_of, save_png, wrapped
from compute.models.judges import judge_for
from compute.models.mini.scenes.scene import Scene, Split, captions
from compute.models.model import load_model
from compute.models.source import ModelSource
from compute.progress import bar
from compute.provenance import provenance
from store.errors import SkipscopeError
from store.records import Condition
from store.sampler import SamplerSettings

_BATCH = 50
_FIRST_SEED = 1_000_000  # far from the seeds that sweeps and demos use
_Z = 1.959964


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of pictures with its 95% interval (Wilson's for whole pictures, normal for means of shares)."""

    mean: float
    low: float
    high: float
    count: int

    @staticmethod
    def of(values: Sequence[float]) -> Share:
        n, mean = len(values), float(np.mean(values)) if len(values) else float("nan")
        centre = (mean + _Z**2 / (2 * n)) / (1 + _Z**2 / n) if n else mean
        half = _Z / (1 + _Z**2 / n) * float(np.sqrt(mean * (1 - mean) / n + _Z**2 / (4 * n**2))) if n else mean
        return Share(mean=mean, low=centre - half, high=centre + half, count=n)

    def __str__(self) -> str:
        return f"{self.mean:6.1%} [{self.low:.1%}, {self.high:.1%}]"


@dataclass(frozen=True, kw_only=True)
class FidelityReport:
    """Prompt fidelity as the judge reads it."""

    model: str
    weights: str
    split: str
    sampler: dict[str, Any]
    guidance: float
    shares: dict[str, Share]
    provenance: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def describe(self) -> str:
        width = max(map(len, self.shares))
        steps = f"{self.sampler['steps']} {self.sampler['name']} steps, guidance {self.guidance:g}"
        lines = [
            f"{self.model} on {self.shares['all'].count} {self.split} prompts, {steps} (share right, 95% interval)"
        ]
        return "\n".join(
            lines + [f"  {name:<{width}}  {share}  n={share.count}" for name, share in self.shares.items()]
        )


def evaluate_fidelity(
    name: str, split: str, *, count: int, sampler: SamplerSettings, guidance: float, sheet: Path | None = None
) -> FidelityReport:
    """Draw `count` captions of a split, one picture each with a seed of its own, and let the judge read them."""
    if split not in get_args(Split):
        raise ConfigError(f"--split: {split!r} is no split; accepted: {', '.join(get_args(Split))}")
    source = ModelSource.find(name)
    model, judge = load_model(source), judge_for(source)
    if judge is None:
        raise SkipscopeError(
            f"--model: no scene judge reads what {name!r} draws; prompt fidelity is there for glide-mini"
        )
    prompts = captions(split, count, seed=1)  # type: ignore[arg-type]
    conditions = [Condition(prompt=p, seed=_FIRST_SEED + i, guidance=guidance) for i, p in enumerate(prompts)]
    rows: dict[str, list[float]] = {}
    shown: list[torch.Tensor] = []
    with bar("fidelity", count, unit="picture") as progress:
        for start in range(0, count, _BATCH):
            batch = conditions[start : start + _BATCH]
            pictures = model.pictures(batch, sampler)
            for aspect, values in judge.fidelity(pictures, [c.prompt for c in batch]).items():
                rows.setdefault(aspect, []).extend(values.tolist())
            shown.append(pictures)
            progress.advance(f"all right so far {np.mean(rows['all']):.1%}", count=len(batch))
    if sheet is not None:
        write_captioned(torch.cat(shown)[:40], prompts[:40], sheet)
    single = [Scene.parse(prompt).second is None for prompt in prompts]
    shares = {aspect: Share.of(values) for aspect, values in rows.items()}
    shares["all, one object"] = Share.of([v for v, alone in zip(rows["all"], single, strict=True) if alone])
    shares["all, two objects"] = Share.of([v for v, alone in zip(rows["all"], single, strict=True) if not alone])
    return FidelityReport(
        model=name,
        weights=source.digest,
        split=split,
        sampler=sampler.model_dump(mode="json"),
        guidance=guidance,
        shares=shares,
        provenance=provenance(),
    )


def write_captioned(pictures: torch.Tensor, prompts: Sequence[str], path: Path, *, columns: int = 8) -> None:
    """A sheet of pictures with their prompts below."""
    side, text, gap = 112, 46, 10
    rows = -(-len(prompts) // columns)
    sheet = Image.new("RGB", (columns * (side + gap) + gap, rows * (side + text + gap) + gap), PAPER)
    ink, small = ImageDraw.Draw(sheet), font(11)
    for i, (picture, prompt) in enumerate(zip(pictures.numpy(), prompts, strict=True)):
        left, top = gap + i % columns * (side + gap), gap + i // columns * (side + text + gap)
        sheet.paste(image_of(picture, side), (left, top))
        ink.multiline_text((left, top + side + 3), wrapped(prompt, side, small), fill=INK, font=small, spacing=1)
    save_png(sheet, path)
