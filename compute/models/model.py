"""The interface of a loaded model. Modules outside models/ and pipeline/ use a pipeline through it alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from diffusers.utils.logging import disable_progress_bar
from jaxtyping import Float
from torch import Tensor

from compute.models.glide import GlidePipeline
from compute.models.source import ModelNotFound, ModelSource
from compute.pipeline.noise import initial_noise
from compute.pipeline.sampling import Step, TextEncoding, sample
from compute.pipeline.schedulers import Scheduler, make_scheduler
from compute.policy.graph import ComponentGraph
from compute.policy.liveness import ResolvedSchedule
from compute.unet import Execution, executing, read_graph
from store.records import Condition
from store.sampler import SamplerSettings


@dataclass(frozen=True, kw_only=True)
class Model:
    """A loaded pipeline and the source that it was loaded from."""

    source: ModelSource
    pipe: GlidePipeline

    @property
    def unet(self) -> Any:
        """The network that actions are executed on."""
        return self.pipe.unet

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
    def state_shape(self) -> tuple[int, int, int]:
        """The shape of `x_t` without its batch axis: (C, H, W)."""
        size = int(self.pipe.unet.config.sample_size)
        return int(self.pipe.unet.config.in_channels), size, size

    @cached_property
    def graph(self) -> ComponentGraph:
        """The network's component graph."""
        return read_graph(self.unet, sequence_length=self.pipe.text_encoder.config.length)

    def scheduler(self, sampler: SamplerSettings) -> Scheduler:
        """Return a scheduler with its timesteps set. Raises SamplerError for a sampler that is not allowed."""
        return make_scheduler(self.pipe.scheduler.config, sampler)

    @torch.inference_mode()
    def encode(self, prompts: Sequence[str]) -> TextEncoding:
        """Return the encoding of prompts, followed by as many rows of the empty prompt's, which guidance needs.

        Raises UnreadablePrompt for a prompt that the text encoder cannot represent.
        """
        sequence, pooled = self.pipe.encode([*prompts, *[""] * len(prompts)])
        return TextEncoding(sequence=sequence, pooled=pooled)

    def noise(self, seeds: Sequence[int]) -> Float[Tensor, "B C H W"]:
        """Return `x_t` of step 0 for each seed, float32, on the model's device."""
        return initial_noise(seeds, self.state_shape, device=self.device)

    def call_unet(self, x_t: Float[Tensor, "rows C H W"], t: int, text: TextEncoding) -> Float[Tensor, "rows K H W"]:
        """Return the output of one forward pass at timestep `t`, without guidance; `text` has as many rows as `x_t`."""
        timestep = torch.tensor(t, device=x_t.device)
        output: Tensor = self.unet(
            x_t, timestep, encoder_hidden_states=text.sequence, class_labels=text.pooled, return_dict=False
        )[0]
        return output

    def steps(
        self,
        conditions: Sequence[Condition],
        scheduler: Scheduler,
        text: TextEncoding,
        x_t: Float[Tensor, "B C H W"],
        *,
        start: int = 0,
        stop: int | None = None,
        execution: Execution | None = None,
    ) -> Iterator[Step]:
        """Run steps `start` to `stop` - 1 of conditions from `x_t`, the input of step `start`, and yield each.

        Seeds and guidance are the conditions'; `text` need not be the encoding of their prompts. See
        `compute.pipeline.sampling.sample`.
        """
        return sample(
            self.unet,
            scheduler,
            text,
            x_t,
            seeds=[condition.seed for condition in conditions],
            guidance=torch.tensor([condition.guidance for condition in conditions]),
            start=start,
            stop=stop,
            execution=execution,
        )

    def decode(self, x_t: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 3 H W"]:
        """Return the pictures of final `x_t`, in [-1, 1]."""
        return x_t.clamp(-1, 1)

    def pictures(
        self, conditions: Sequence[Condition], sampler: SamplerSettings, resolved: ResolvedSchedule | None = None
    ) -> Float[Tensor, "B 3 H W"]:
        """Sample the pictures of conditions, in [-1, 1]. Without a schedule all components are computed."""
        scheduler = self.scheduler(sampler)
        text = self.encode([condition.prompt for condition in conditions])
        x_t = self.noise([condition.seed for condition in conditions])
        with nullcontext() if resolved is None else executing(self.unet, resolved) as execution:
            for step in self.steps(conditions, scheduler, text, x_t, execution=execution):
                x_t = step.x_next
        return self.decode(x_t)


def load_model(
    model: str | ModelSource, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Model:
    """Load a model by its name, its folder or its source, for inference.

    Raises ModelNotFound where there is no such model, where its files are damaged, and where they have changed since
    the source was made.
    """
    source = ModelSource.find(model) if isinstance(model, str) else model
    source.check_unchanged()
    loading = {"local_files_only": True, "use_safetensors": True, "low_cpu_mem_usage": False, "dtype": dtype}
    disable_progress_bar()
    try:
        pipe = GlidePipeline.from_pretrained(source.folder, **loading)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        problem = str(error).splitlines()[0][:200]
        raise ModelNotFound(f"model: {source.folder} cannot be loaded: {problem}") from error
    for part in (pipe.unet, pipe.text_encoder):
        part.to(device).eval().requires_grad_(False)
    return Model(source=source, pipe=pipe)
