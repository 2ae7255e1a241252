"""The judge of each model's pictures."""

from __future__ import annotations

from compute.metrics.judge import Judge
from compute.models.mini.judge.scene_judge import JUDGE_FILE, SceneJudge
from compute.models.mini.scene_models import is_scene_model
from compute.models.source import ModelSource


def judge_for(source: ModelSource) -> Judge | None:
    """Return the judge of a model's pictures, or None where there is none.

    The scene judge serves the models that were trained on its scenes, which have the vocabulary of their captions.
    """
    return SceneJudge.load() if JUDGE_FILE.is_file() and is_scene_model(source.folder) else None
