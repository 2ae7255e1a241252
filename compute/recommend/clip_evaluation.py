"""What a CLIP model says of a validation's runs: how well they show their prompts, how near they are to a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from compute.config.errors import ConfigError
from compute.images import read_picture
from compute.metrics.clip import clip_score, named_folder
from compute.metrics.clip_model import BATCH, ClipModel
from compute.metrics.metric import AbsentError
from compute.metrics.population import frechet_distance, kid_blocks
from compute.policy.quality import ClipComparison, ClipQuality
from compute.progress import bar
from compute.statistics.estimate import Estimate, Floats, mean_of
from store.errors import SkipscopeError

_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True, kw_only=True)
class ClipRun:
    """A run's quality by CLIP, and its score by condition, NaN for a condition without a prompt."""

    quality: ClipQuality
    scores: Floats


@dataclass(frozen=True, kw_only=True)
class ClipEvaluation:
    """A CLIP model, and the features of reference pictures if there are some, in random order."""

    model: ClipModel
    reference: Float[Tensor, "N D"] | None = None

    @classmethod
    def load(cls, clip: Path | None, reference: Path | None) -> ClipEvaluation | None:
        """Load the CLIP model of a folder, by default that of the environment, and embed a folder's pictures.

        Returns None where no model is named. Raises ConfigError for a folder that can't be used, and for reference
        pictures without a model.
        """
        if (folder := named_folder(clip)) is None:
            if reference is not None:
                raise ConfigError("--reference: pictures are compared in CLIP's features; give --clip its folder, too")
            return None
        paths = None if reference is None else _picture_paths(reference)
        try:
            model = ClipModel.load(folder, "cuda" if torch.cuda.is_available() else "cpu")
        except AbsentError as error:
            raise ConfigError(f"--clip: {error}") from error
        return cls(model=model, reference=None if paths is None else _shuffled(_embedded(model, paths)))

    def run(self, pictures: Float[Tensor, "conditions 3 H W"], prompts: Sequence[str]) -> ClipRun:
        """Measure the pictures of a run, in [-1, 1]."""
        features = self.model.embed_pictures(pictures)
        scores = clip_score(features, self.model.embed_prompts(prompts)).cpu().numpy()
        scores[[not prompt.strip() for prompt in prompts]] = np.nan
        return ClipRun(quality=self._quality(features.cpu(), scores), scores=scores)

    def comparison(self, policy: ClipRun, full: ClipRun) -> ClipComparison:
        """Return what the runs were measured with, and the difference of their scores."""
        return ClipComparison(
            weights=self.model.digest,
            reference=None if self.reference is None else len(self.reference),
            score_difference=_mean_of_defined(policy.scores - full.scores),
        )

    def _quality(self, features: Float[Tensor, "conditions D"], scores: Floats) -> ClipQuality:
        score, reference = _mean_of_defined(scores), self.reference
        if reference is None or min(len(features), len(reference)) < 2:
            return ClipQuality(score=score)
        # conditions are sorted by prompt, and a block of few prompts is further from the reference than all are
        blocks = kid_blocks(_shuffled(features), reference)
        return ClipQuality(
            score=score,
            kid=mean_of(np.array(blocks)) if blocks else None,
            frechet=frechet_distance(features, reference),
        )


def _mean_of_defined(values: Floats) -> Estimate | None:
    defined = values[~np.isnan(values)]
    return mean_of(defined) if len(defined) else None


def _shuffled(rows: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
    """Return the rows in an order that depends on their number alone."""
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]


def _picture_paths(folder: Path) -> list[Path]:
    """Return the pictures of a folder, by name. Raises ConfigError."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    except OSError as error:
        raise ConfigError(f"--reference: {folder} cannot be read as a folder: {error.strerror}") from error
    if not paths:
        raise ConfigError(f"--reference: {folder} holds no picture; give a folder of files {', '.join(_SUFFIXES)}")
    return paths


def _embedded(model: ClipModel, paths: Sequence[Path]) -> Float[Tensor, "N D"]:
    """Return the features of pictures of any size."""
    features = []
    with bar("reference", len(paths), unit="picture") as progress:
        for start in range(0, len(paths), BATCH):
            batch = [model.preprocessing(_picture(path)) for path in paths[start : start + BATCH]]
            features.append(model.embed_preprocessed(torch.cat(batch)).cpu())
            progress.advance(count=len(batch))
    return torch.cat(features)


def _picture(path: Path) -> Float[Tensor, "1 3 H W"]:
    """Read a picture, in [-1, 1]. Raises ConfigError."""
    try:
        pixels = np.array(read_picture(path))
    except SkipscopeError as error:
        raise ConfigError(f"--reference: {path} cannot be read as a picture: {error}") from error
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
