"""The stages of a cascade that come after a model, which take its pictures to the cascade's end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from compute.models.loading import load_model
from compute.models.model import Model
from compute.models.other_stage import OtherStage, stage_pictures
from compute.models.source import StageRun, stage_runs
from store.records import Condition


class LaterStages:
    """The stages of a model's cascade that come after it, at full compute. They are loaded at once."""

    def __init__(self, model: Model) -> None:
        self._stages = tuple(_later(model))

    def __bool__(self) -> bool:
        return bool(self._stages)

    @property
    def last(self) -> str:
        """The name of the last stage."""
        return self._stages[-1].run.source.stage

    def pictures(self, conditions: Sequence[Condition], pictures: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 h w"]:
        """Return what the last stage makes of the model's pictures of conditions, in [-1, 1]."""
        handed_on = stage_pictures(pictures)
        for stage in self._stages:
            handed_on = stage.sampled(conditions, handed_on)
        return torch.from_numpy(handed_on).permute(0, 3, 1, 2) / 127.5 - 1


def _later(model: Model) -> Iterator[OtherStage]:
    """Yield the later stages. Each is loaded with the one before it, which says how large its pictures are."""
    before = OtherStage(StageRun(source=model.source), lambda: model)
    for run in list(stage_runs(model.source.name))[model.source.number + 1 :]:
        loaded = load_model(run.source, device=model.device, dtype=model.dtype, call=run.call, previous=before)
        before = OtherStage(run, lambda loaded=loaded: loaded)  # type: ignore[misc]
        yield before
