"""What an upsampler adds to the base's pictures of scenes: whether they stay right, and whether they are sharper."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from compute.metrics.pixel import haarpsi
from compute.metrics.population import frechet_distance
from compute.models.judges import judge_for
from compute.models.loading import load_model
from compute.models.mini.captioned_sheet import write_captioned_sheet
from compute.models.mini.judge.scene_judge import SceneJudge
from compute.models.mini.scenes.render import render_batch
from compute.models.mini.scenes.scene import SPLITS, Scene, captions
from compute.models.mini.training.low_resolution import enlarged, reduced
from compute.models.other_stage import stage_pictures
from compute.models.source import StageRun, stage_run
from compute.progress import bar
from compute.provenance import provenance
from compute.statistics.estimate import Estimate, bounded, mean_of
from compute.statistics.proportion import Proportion
from store.errors import SkipscopeError
from store.records import Condition

_BATCH = 25
_FIRST_SEED = 1_000_000  # sweeps and demos use small seeds
_RENDERED_SEED = 22
_ON_SHEET = 8

Pictures = Float[Tensor, "B 3 H W"]


@dataclass(frozen=True, kw_only=True)
class UpsamplerQuality:
    """What was measured of a cascade's last stage; differences are paired by prompt, intervals hold 95%."""

    model: str
    weights: str
    split: str
    count: int
    steps: int
    right: dict[str, Proportion]
    """The share of pictures that show the whole prompt, according to the judge: `base` and `upsampler`."""
    right_difference: Estimate
    haarpsi: dict[str, Estimate]
    """The similarity of rendered scenes to what `bilinear` and `upsampler` make of them at low resolution."""
    haarpsi_difference: Estimate
    detail: dict[str, Estimate]
    """The mean size of what a picture's low resolution lacks, for `bilinear`, `upsampler` and `rendered` pictures."""
    frechet: dict[str, float]
    """The Fréchet distance from rendered pictures in the judge's features of windows: `bilinear` and `upsampler`."""
    provenance: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return the record as a JSON object."""
        return {name: _plain(value) for name, value in vars(self).items()}

    def describe(self) -> str:
        """Return the record as lines for a terminal."""
        right, similar, detail = (
            self.right,
            self.haarpsi,
            {name: found.shown(".4f") for name, found in self.detail.items()},
        )
        lines = (
            f"{self.model} on {self.count} {self.split} prompts, {self.steps} steps of its last stage (95% intervals)",
            f"whole prompt right    {right['upsampler']}, the base alone {right['base']}",
            f"  difference          {self.right_difference.shown('+.1%')}",
            f"HaarPSI to the scene  {similar['upsampler']}, bilinear {similar['bilinear']}",
            f"  difference          {self.haarpsi_difference.shown('+.3f')}",
            f"fine detail           {detail['upsampler']}, bilinear {detail['bilinear']}",
            f"  of rendered scenes  {detail['rendered']}",
            f"Fréchet distance      {self.frechet['upsampler']:.2f}, bilinear {self.frechet['bilinear']:.2f}",
        )
        return "\n  ".join(lines)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, Estimate):
        return value.model_dump()
    return asdict(value) if isinstance(value, Proportion) else value


def upsampler_quality(name: str, split: str, *, count: int, sheet: Path | None = None) -> UpsamplerQuality:
    """Sample the first `count` captions of a split by a cascade, and enlarge rendered scenes of the same captions.

    `split` is one of SPLITS; each caption has a seed of its own. The first pictures are written to `sheet`, a PNG.
    Raises SkipscopeError for an unknown split, and for a model that is no cascade of scenes.
    """
    if split not in SPLITS:
        raise SkipscopeError(f"--split: {split!r} is no split; accepted: {', '.join(SPLITS)}")
    run = stage_run(name)
    judge = judge_for(run.source)
    if run.source.previous is None or run.sampler is None or not isinstance(judge, SceneJudge):
        raise SkipscopeError(f"--model: {name[:200]!r} is no cascade of scenes; glide-mini-64 is one")
    prompts = captions(split, count, seed=1)
    shown = _Pictures(*(torch.cat(batches) for batches in zip(*_sampled(run, prompts), strict=True)))
    if sheet is not None:
        write_captioned_sheet(*_sheet(shown, prompts), sheet, columns=_ON_SHEET)
    right = {
        name: judge.fidelity(part, prompts)["all"].double().numpy()
        for name, part in (("base", shown.base), ("upsampler", shown.sampled))
    }
    similar = {
        "bilinear": haarpsi(enlarged(reduced(shown.rendered)), shown.rendered).numpy(),
        "upsampler": haarpsi(shown.restored, shown.rendered).numpy(),
    }
    parts = {"bilinear": enlarged(shown.base), "upsampler": shown.sampled, "rendered": shown.rendered}
    windows = {name: _window_features(judge, part) for name, part in parts.items()}
    return UpsamplerQuality(
        model=run.source.name,
        weights=run.source.digest,
        split=split,
        count=count,
        steps=run.sampler.steps,
        right={name: Proportion.of(values.tolist()) for name, values in right.items()},
        right_difference=bounded(mean_of(right["upsampler"] - right["base"]), count, least=-1.0),
        haarpsi={name: mean_of(values) for name, values in similar.items()},
        haarpsi_difference=mean_of(similar["upsampler"] - similar["bilinear"]),
        detail={name: mean_of(_detail(part)) for name, part in parts.items()},
        frechet={name: frechet_distance(windows[name], windows["rendered"]) for name in ("bilinear", "upsampler")},
        provenance=provenance(),
    )


class _Pictures(NamedTuple):
    """Pictures of the same prompts, in [-1, 1]."""

    base: Float[Tensor, "B 3 h w"]
    sampled: Pictures
    """By the upsampler, from those of the base."""
    rendered: Pictures
    restored: Pictures
    """By the upsampler, from the rendered ones at low resolution."""


def _sampled(run: StageRun, prompts: list[str]) -> Iterator[_Pictures]:
    """Yield the pictures of prompts, in batches."""
    assert run.sampler is not None
    model = load_model(run.source, call=run.call)
    guidance = model.default_guidance if run.guidance is None else run.guidance
    rng = np.random.default_rng(_RENDERED_SEED)
    with bar("upsampler", len(prompts), unit="prompt") as progress:
        for start in range(0, len(prompts), _BATCH):
            batch = prompts[start : start + _BATCH]
            conditions = [
                Condition(prompt=prompt, seed=_FIRST_SEED + start + i, guidance=guidance)
                for i, prompt in enumerate(batch)
            ]
            base = model.inputs(conditions)
            assert base is not None
            side = model.probe(run.sampler, guidance).picture_shape[-1]
            rendered = torch.from_numpy(render_batch([Scene.parse(prompt) for prompt in batch], rng, side))
            yield _Pictures(
                torch.from_numpy(base).permute(0, 3, 1, 2) / 127.5 - 1,
                model.run(conditions, run.sampler, inputs=base),
                rendered,
                model.run(conditions, run.sampler, inputs=stage_pictures(reduced(rendered))),
            )
            progress.advance(count=len(batch))


def _sheet(shown: _Pictures, prompts: list[str]) -> tuple[Pictures, list[str]]:
    """Return rows of the first prompts' pictures, and their captions."""
    rows = {
        "base, bilinear": enlarged(shown.base),
        "base, upsampler": shown.sampled,
        "scene, bilinear": enlarged(reduced(shown.rendered)),
        "scene, upsampler": shown.restored,
        "scene": shown.rendered,
    }
    texts = [f"{row}: {prompt}" for row in rows for prompt in prompts[:_ON_SHEET]]
    return torch.cat([part[:_ON_SHEET] for part in rows.values()]), texts


def _detail(pictures: Pictures) -> Float[np.ndarray, " B"]:
    """Return the mean absolute difference of each picture from its low resolution, enlarged."""
    return (pictures - enlarged(reduced(pictures))).abs().flatten(1).mean(1).double().numpy()


@torch.inference_mode()
def _window_features(judge: SceneJudge, pictures: Pictures) -> Float[Tensor, "N D"]:
    """Return the judge's features of windows of its own size: of whole pictures it sees no detail."""
    tiles = pictures.unfold(2, judge.side, judge.side).unfold(3, judge.side, judge.side)  # (B, 3, rows, columns, h, w)
    return judge.embed(tiles.permute(0, 2, 3, 1, 4, 5).flatten(0, 2))
