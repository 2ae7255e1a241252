"""The stage of a cascade that runs before a model and makes its input pictures."""

from __future__ import annotations

import hashlib
import inspect
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from compute.images import image_of
from compute.models.source import StageRun
from compute.pipeline.call import call_parameters
from store.records import Condition
from store.sampler import SamplerSettings

if TYPE_CHECKING:
    from compute.models.model import Model

_KEPT_BYTES = 256 << 20  # of pictures; one of 1024 pixels a side has 3 MB
_DEFAULT_STEPS = 50  # diffusers' own, for a pipeline that does not say
InputPictures = UInt8[np.ndarray, "B h w 3"]


class PreviousStage:
    """Samples a model's input pictures by the stage before it, at full compute; the latest are kept.

    Pictures have 8 bits a channel, as GLIDE's and others' own code hands them from stage to stage. The model of the
    stage is loaded when a picture of it is first needed.
    """

    def __init__(self, run: StageRun, load: Callable[[], Model]) -> None:
        self._run, self._load = run, load
        self._kept: OrderedDict[Condition, UInt8[np.ndarray, "h w 3"]] = OrderedDict()

    @cached_property
    def model(self) -> Model:
        """The stage's model."""
        return self._load()

    @cached_property
    def guidance(self) -> float:
        """The guidance scale that the stage runs with."""
        return self.model.default_guidance if self._run.guidance is None else self._run.guidance

    @cached_property
    def sampler(self) -> SamplerSettings:
        """The sampler that the stage runs with, with the number of steps that it really makes."""
        sampler = self._run.sampler
        if sampler is None:
            sampler = SamplerSettings(name=self.model.own_sampler, steps=_default_steps(self.model.pipe))
        return self.model.resolved(sampler, self.guidance)

    @property
    def picture_shape(self) -> tuple[int, ...]:
        """The shape of the stage's pictures: (3, height, width)."""
        return self.model.probe(self.sampler, self.guidance).picture_shape

    def blank_pictures(self, count: int) -> InputPictures:
        """Return grey pictures of the stage's size."""
        _, height, width = self.picture_shape
        return np.full((count, height, width, 3), 128, np.uint8)

    def pictures(self, conditions: Sequence[Condition]) -> InputPictures:
        """Return the stage's picture for each condition's prompt and seed, sampled by this stage's own guidance."""
        own = [condition.model_copy(update={"guidance": self.guidance}) for condition in conditions]
        missing = [condition for condition in dict.fromkeys(own) if condition not in self._kept]
        if missing:
            for condition, picture in zip(missing, self.model.run(missing, self.sampler), strict=True):
                self._kept[condition] = np.asarray(image_of(picture.cpu().numpy()))
        pictures = np.stack([self._kept[condition] for condition in own])
        for condition in own:
            self._kept.move_to_end(condition)
        while len(self._kept) > _KEPT_BYTES // pictures[0].nbytes:
            self._kept.popitem(last=False)
        return pictures


def stage_seed(seed: int, number: int) -> int:
    """Return the seed of a cascade's stage `number` (0 is the first), so that the stages' noise is independent.

    The first stage's is `seed` itself: its pictures are those of a sweep of that stage alone.
    """
    if number == 0:
        return seed
    digest = hashlib.sha256(f"skipscope-stage-1/{seed}/{number}".encode("ascii")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _default_steps(pipe: Any) -> int:
    default = call_parameters(pipe)["num_inference_steps"].default
    return _DEFAULT_STEPS if default is inspect.Parameter.empty or default is None else int(default)
