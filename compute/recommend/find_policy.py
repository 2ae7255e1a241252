"""Recommends and validates skip policies: the search and the validation as one function each."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from compute.policy.skip_policy import SkipPolicy
from compute.progress import bar
from compute.recommend import validation
from compute.recommend.clip_evaluation import ClipEvaluation
from compute.recommend.evaluation_conditions import search_conditions, unseen_conditions
from compute.recommend.goal import goals_of
from compute.recommend.policy_model import load_for
from compute.recommend.recommender import Recommender
from store.sweep_store import SweepStore


def recommend(
    store: str | os.PathLike[str],
    *,
    max_damage: float | None = None,
    min_speedup: float | None = None,
    metric: str = "mse",
    prompts: Path | Sequence[str] | None = None,
    seeds: str | Sequence[int] | None = None,
    count: int | None = None,
    split: str = "held-out",
) -> SkipPolicy:
    """Search the sweep in the folder `store` for a skip policy, running candidates from noise to picture.

    Give one of `max_damage` (the fastest policy whose damage is at most this; 1 is the distance between two seeds) and
    `min_speedup` (the least damage at this speedup or above). `metric` is what damage is computed from. Candidates are
    run on the sweep's own prompts; or on `prompts` (a list, or a text file's Path), each with every one of `seeds` (0
    to 7 unless given); or on `count` captions of glide-mini's `split`, `held-out` or `train`. Progress is reported on
    standard error.

    The policy is not validated: see `validate`. Raises SkipscopeError for a store or an argument that cannot be used,
    and for a goal that no policy meets.
    """
    (goal,) = goals_of(metric, None if max_damage is None else repr(float(max_damage)), min_speedup)
    opened = SweepStore.open(store)
    conditions = search_conditions(opened, prompts=prompts, seeds=seeds, split=split, count=count)
    return Recommender(opened, metric=metric, report=_report, conditions=conditions).recommend(goal)


def validate(
    policy: SkipPolicy,
    *,
    prompts: Path | Sequence[str] | None = None,
    seeds: str | Sequence[int] | None = None,
    split: str = "held-out",
    count: int = 64,
    batch: int = 8,
    model: str | os.PathLike[str] | None = None,
    clip: str | os.PathLike[str] | None = None,
    reference: str | os.PathLike[str] | None = None,
) -> SkipPolicy:
    """Return the policy with its measured speed and quality, on prompts that took no part in the search for it.

    Every condition is run at full compute; by the policy; at full compute with as many steps as fit into the policy's
    time; and at full compute with another seed, whose distance is damage 1. `prompts` and `seeds` are as for
    `recommend`; without prompts, `count` captions of glide-mini's `split` are used. `batch` pictures are sampled at
    once. `model` is the folder of the policy's model; by default the model is found by its name. With `clip`, the
    folder of a transformers CLIPModel, the CLIP score is measured; with `reference`, a folder of pictures, the distance
    to them in CLIP's features. Progress is reported on standard error.

    Raises SkipscopeError for weights other than the policy's, for prompts that the search has used, and for folders
    that cannot be used.
    """
    by_clip = ClipEvaluation.load(*(None if path is None else Path(path) for path in (clip, reference)))
    loaded = load_for(policy, model=None if model is None else os.fspath(model))
    evaluation = unseen_conditions(policy, loaded.source, prompts=prompts, seeds=seeds, split=split, count=count)
    with bar(f"validate {policy.name}", len(evaluation.conditions), unit="picture") as progress:
        return validation.validate(policy, loaded, evaluation, batch=batch, bar=progress, clip=by_clip).policy


def _report(line: str) -> None:
    print(line, file=sys.stderr)
