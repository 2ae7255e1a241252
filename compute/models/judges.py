"""Which judge reads what a model draws."""

from __future__ import annotations

import json

from compute.models.mini.glide_mini import vocabulary
from compute.models.mini.judge.scene_judge import JUDGE_FILE, Judge
from compute.models.source import ModelSource


def judge_for(source: ModelSource) -> Judge | None:
    """Return the scene judge where the model draws the scenes that it reads: for glide-mini, by its vocabulary."""
    config = json.loads((source.folder / "text_encoder" / "config.json").read_text(encoding="utf-8"))
    return Judge.load() if config.get("vocabulary") == vocabulary() and JUDGE_FILE.is_file() else None
