"""CLIP score: how well a picture shows its prompt, according to a CLIP model of the user's."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from compute.metrics.clip_model import ClipModel
from compute.metrics.metric import AbsentError, Batch, Family, Metric
from store.metric import MetricInfo

CLIP_VARIABLE = "SKIPSCOPE_CLIP"
_PROMPTS_KEPT = 16  # units whose prompts' features are kept: a sweep's units share few sets of prompts

METRICS = (
    Metric(info=MetricInfo(name="clip_score", direction="higher", low=0, high=100, paired=False, label="CLIP score")),
)


def load(folder: Path | None = None, device: torch.device | str = "cpu") -> Family:
    """Return the family of the CLIP score, computed on `device`.

    The model is that of `folder`, else that of the environment variable SKIPSCOPE_CLIP. Raises AbsentError where
    neither is given, and where it can't be loaded.
    """
    if (named := named_folder(folder)) is None:
        raise AbsentError(
            "it needs CLIP's weights, which are never downloaded: give --clip the folder of a transformers CLIPModel "
            f"with its processor, or set {CLIP_VARIABLE}"
        )
    model = ClipModel.load(named, device)
    features_of = lru_cache(_PROMPTS_KEPT)(model.embed_prompts)

    def compute(names: Sequence[str], batch: Batch) -> Mapping[str, Tensor]:
        scores = clip_score(model.embed_pictures(batch.pictures), features_of(batch.prompts))
        empty = torch.tensor([not prompt.strip() for prompt in batch.prompts], device=scores.device)
        return {"clip_score": scores.masked_fill(empty, torch.nan)}

    return Family(compute=compute, weights=model.digest)


def clip_score(pictures: Float[Tensor, "B D"], prompts: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
    """Return 100 * max(cosine, 0) of the features of pictures and of their prompts, 0 to 100.

    It is the CLIP score of Hessel et al. (arXiv 2104.08718) with a factor of 100, as torchmetrics has it; theirs is
    2.5, so this is 40 times their number.
    """
    return 100 * F.cosine_similarity(pictures.double(), prompts.double(), dim=1).clamp(0, 1)


def named_folder(folder: Path | None) -> Path | None:
    """Return the folder that is named by an argument, else by the environment variable, or None."""
    variable = os.environ.get(CLIP_VARIABLE)
    return folder or (Path(variable) if variable else None)
