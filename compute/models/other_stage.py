"""A stage of a cascade as it runs where another stage is swept or measured."""

from __future__ import annotations

import hashlib
import inspect
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from compute.images import image_of
from compute.models.source import StageRun
from compute.pipeline.call import call_parameters
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule
from store.records import Condition
from store.sampler import SamplerSettings

if TYPE_CHECKING:
    from compute.models.model import Model

_KEPT_BYTES = 256 << 20  # of pictures; one of 1024 pixels a side has 3 MB
_DEFAULT_STEPS = 50  # diffusers' own, for a pipeline that does not say
StagePictures = UInt8[np.ndarray, "B _ _ 3"]
"""Pictures as one stage hands them to the next: with 8 bits a channel, as GLIDE's own code and others' do.

Their height and width have no names, because those of the stage's own pictures, which stand beside them, differ.
"""


class OtherStage:
    """A stage that is not the one that is swept: at full compute, or under a schedule.

    Its model is loaded when it is first needed. The latest pictures are kept.
    """

    def __init__(self, run: StageRun, load: Callable[[], Model], schedule: Schedule | None = None) -> None:
        self.run, self._load, self._schedule = run, load, schedule
        self._kept: OrderedDict[Condition, UInt8[np.ndarray, "h w 3"]] = OrderedDict()

    @cached_property
    def model(self) -> Model:
        """The stage's model."""
        return self._load()

    @cached_property
    def guidance(self) -> float:
        """The guidance scale that the stage runs with."""
        return self.model.default_guidance if self.run.guidance is None else self.run.guidance

    @cached_property
    def sampler(self) -> SamplerSettings:
        """The sampler that the stage runs with, with the number of steps that it really makes."""
        sampler = self.run.sampler
        if sampler is None:
            sampler = SamplerSettings(name=self.model.own_sampler, steps=_default_steps(self.model.pipe))
        return self.model.resolved(sampler, self.guidance)

    def blank_pictures(self, count: int) -> StagePictures:
        """Return grey pictures of the stage's size."""
        _, height, width = self.model.probe(self.sampler, self.guidance).picture_shape
        return np.full((count, height, width, 3), 128, np.uint8)

    def sampled(self, conditions: Sequence[Condition], inputs: StagePictures | None = None) -> StagePictures:
        """Sample the stage's picture for each condition's prompt and seed, with the stage's own guidance.

        `inputs` are the pictures of the stage before it, sampled where they are not given.
        """
        own = [condition.model_copy(update={"guidance": self.guidance}) for condition in conditions]
        resolved = None if self._schedule is None else resolve(self.model.graph, self._schedule)
        return stage_pictures(self.model.run(own, self.sampler, resolved, inputs=inputs))

    def pictures(self, conditions: Sequence[Condition]) -> StagePictures:
        """Return what `sampled` returns, from the kept pictures where they hold it."""
        missing = [condition for condition in dict.fromkeys(conditions) if condition not in self._kept]
        if missing:
            self._kept.update(zip(missing, self.sampled(missing), strict=True))
        pictures = np.stack([self._kept[condition] for condition in conditions])
        for condition in conditions:
            self._kept.move_to_end(condition)
        while len(self._kept) > _KEPT_BYTES // pictures[0].nbytes:
            self._kept.popitem(last=False)
        return pictures


def stage_pictures(pictures: Float[Tensor, "B 3 H W"]) -> StagePictures:
    """Return pictures in [-1, 1] as a stage hands them on."""
    return np.stack([np.asarray(image_of(picture)) for picture in pictures.float().cpu().numpy()])


def images_of(pictures: StagePictures) -> list[Image.Image]:
    """Return pictures as the images that every pipeline accepts."""
    return [Image.fromarray(picture) for picture in pictures]


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
