"""The judge of each model's pictures."""

from __future__ import annotations

import json

from compute.metrics.judge import Judge
from compute.models.mini.glide_mini import vocabulary
from compute.models.mini.judge.scene_judge import JUDGE_FILE, SceneJudge
from compute.models.source import ModelSource


def judge_for(source: ModelSource) -> Judge | None:
    """Return the judge of a model's pictures, or None where there is none.

    The scene judge serves the models that were trained on its scenes, which have the vocabulary of their captions.
    """
    config = json.loads((source.folder / "text_encoder" / "config.json").read_text(encoding="utf-8"))
    return SceneJudge.load() if config.get("vocabulary") == vocabulary() and JUDGE_FILE.is_file() else None
