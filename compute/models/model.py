"""The interface of a loaded model. Modules outside models/ and pipeline/ use a pipeline through it alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from compute.models.other_stage import OtherStage, StagePictures, images_of, stage_seed
from compute.models.source import ModelSource
from compute.pipeline.call import CallError, call_arguments, call_parameters, default_guidance, pictures_of
from compute.pipeline.encoder_cache import EncoderCache
from compute.pipeline.exact_ddpm import ExactDDPMScheduler
from compute.pipeline.follow import RunFollower, following
from compute.pipeline.followed_step import Replay, Step
from compute.pipeline.noise import initial_noise
from compute.pipeline.probe import RUN_ERRORS, Probe, probe, refusal
from compute.pipeline.schedulers import make_scheduler
from compute.policy.graph import ComponentGraph
from compute.policy.liveness import ResolvedSchedule
from compute.unet import executing
from compute.unet.graph_reader import read_graph_of_call
from store.records import Condition
from store.sampler import SamplerSettings

_PROBED_STEPS = 10  # enough for every scheduler


@dataclass(frozen=True, kw_only=True)
class Model:
    """A loaded pipeline, the source that it was loaded from, and further arguments of its calls.

    `previous` is the stage of a cascade whose pictures the pipeline is given as its `image`.
    """

    source: ModelSource
    pipe: Any
    call: Mapping[str, Any] = field(default_factory=dict)
    previous: OtherStage | None = None
    base_scheduler: Mapping[str, Any]
    """The configuration of the scheduler that the pipeline was loaded with: what the model was trained with."""
    _probes: dict[str, Probe] = field(default_factory=dict, repr=False, compare=False)
    _schedulers: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def unet(self) -> Any:
        """The network that actions are executed on."""
        return self.pipe.unet

    @property
    def takes_prompts(self) -> bool:
        """Whether the pipeline reads a text."""
        return "prompt" in call_parameters(self.pipe)

    @property
    def device(self) -> torch.device:
        """The device of the network's weights."""
        device: torch.device = self.pipe.unet.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """The data type of the network's weights."""
        dtype: torch.dtype = self.pipe.unet.dtype
        return dtype

    @property
    def own_sampler(self) -> str:
        """The name of the sampler that the pipeline was loaded with: GLIDE's is `ddpm`, others go by their class."""
        name = str(self.base_scheduler["_class_name"])
        is_glide = name == "DDPMScheduler" and self.base_scheduler.get("variance_type") == "learned_range"
        return "ddpm" if is_glide or name == ExactDDPMScheduler.__name__ else name

    @property
    def default_guidance(self) -> float:
        """The guidance scale of the pipeline's call where none is given; 1 for a pipeline without guidance."""
        return default_guidance(self.pipe)

    def given(self, call: Mapping[str, Any], previous: OtherStage | None) -> Model:
        """Return the same loaded pipeline with other arguments of its calls, and another stage before it."""
        return replace(self, call=dict(call), previous=previous, _probes={})

    @cached_property
    def _encoders(self) -> EncoderCache:
        return EncoderCache(self.pipe)

    @cached_property
    def graph(self) -> ComponentGraph:
        """The network's component graph, as it runs in the pipeline's own call."""
        if not self._probes:
            self.probe(SamplerSettings(name=self.own_sampler, steps=_PROBED_STEPS), guidance=3.0)
        arguments = next(iter(self._probes.values())).unet_arguments
        return read_graph_of_call(self.unet, arguments.args, dict(arguments.kwargs))

    def guides_in_one_batch(self, sampler: SamplerSettings, guidance: float) -> bool:
        """Return whether a run guides by two halves of one batch, so that guidance can rest at a step."""
        return self.probe(sampler, guidance).guides_in_one_batch

    def scheduler(self, sampler: SamplerSettings) -> Any:
        """Return the scheduler of a sampler. Raises SamplerError for a sampler that is not allowed."""
        key = sampler.model_dump_json()
        if key not in self._schedulers:
            self._schedulers[key] = make_scheduler(self.base_scheduler, sampler)
        return self._schedulers[key]

    def probe(self, sampler: SamplerSettings, guidance: float) -> Probe:
        """Return what a run without the UNet shows: the steps that it really makes, and the shapes of its tensors.

        Raises SkipscopeError for a sampler or a call that the pipeline does not accept.
        """
        key = f"{sampler.model_dump_json()} {guidance}"
        if key not in self._probes:
            condition = Condition(prompt="", seed=0, guidance=guidance)
            self.pipe.scheduler = self.scheduler(sampler)
            pictures = None if self.previous is None else images_of(self.previous.blank_pictures(1))
            arguments = call_arguments(self.pipe, sampler, [condition], self.call, pictures=pictures)
            try:
                self._probes[key] = probe(self.pipe, self.unet, lambda: pictures_of(self.pipe(**arguments)))
            except RUN_ERRORS as error:
                raise CallError(
                    f"call: the {type(self.pipe).__name__} refuses a run with a {type(self.pipe.scheduler).__name__} "
                    f"and the arguments {', '.join(arguments)}: {refusal(error)}"
                ) from error
        return self._probes[key]

    def resolved(self, sampler: SamplerSettings, guidance: float) -> SamplerSettings:
        """Return a sampler with the number of steps that a run really makes."""
        return sampler.making(len(self.probe(sampler, guidance).steps))

    def inputs(self, conditions: Sequence[Condition]) -> StagePictures | None:
        """Return the pictures of the stage before this one for conditions, or None for a first stage."""
        return None if self.previous is None else self.previous.pictures(conditions)

    @torch.inference_mode()
    def run(
        self,
        conditions: Sequence[Condition],
        sampler: SamplerSettings,
        resolved: ResolvedSchedule | None = None,
        *,
        replay: Replay | None = None,
        inputs: StagePictures | None = None,
        on_step: Callable[[Step], None] | None = None,
        on_begin: Callable[[], None] | None = None,
    ) -> Float[Tensor, "B 3 H W"]:
        """Sample the pictures of conditions, which share one guidance scale, by the pipeline's own call; in [-1, 1].

        Noise depends on seed and step alone. Without a schedule all components are computed. With `replay` the run
        continues from its last step. `inputs` are the pictures of the cascade's stage before this one, which are
        sampled where they are not given. `on_begin` is called before the first call of the UNet, `on_step` at the end
        of each step. Raises UnreadablePrompt for a prompt that the text encoder cannot represent.
        """
        pictures = self.inputs(conditions) if inputs is None else inputs
        conditions = [
            condition.model_copy(update={"seed": stage_seed(condition.seed, self.source.number)})
            for condition in conditions
        ]
        seeds = [condition.seed for condition in conditions]
        shown = self.probe(sampler, conditions[0].guidance)
        self.pipe.scheduler = self.scheduler(sampler)
        latents = initial_noise(seeds, shown.state_shape, dtype=shown.state_dtype, device=self.device)
        images = None if pictures is None else images_of(pictures)
        arguments = call_arguments(self.pipe, sampler, conditions, self.call, latents, images)
        with nullcontext() if resolved is None else executing(self.unet, resolved) as execution:
            follower = RunFollower(
                self.pipe,
                execution=execution,
                replay=replay,
                seeds=seeds,
                on_step=on_step,
                on_begin=None if on_begin is None else lambda steps, scheduler: on_begin(),
            )
            with self._encoders.used(), following(self.pipe, self.unet, follower):
                sampled = pictures_of(self.pipe(**arguments))
        return torch.from_numpy(sampled).permute(0, 3, 1, 2).contiguous() * 2 - 1

    def call_unet(self, sampler: SamplerSettings, guidance: float, batch: int) -> None:
        """Call the UNet once as a run of `batch` conditions does, with the inputs of a run's first call."""
        arguments = self.probe(sampler, guidance).unet_arguments.repeated(batch)
        self.unet(*arguments.args, **arguments.kwargs)
