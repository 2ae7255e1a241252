"""The checkpoints that OpenAI published, and the stage that each becomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from compute.models.cascade import Cascade, CascadeStage
from compute.models.glide.convert.checkpoint import Checkpoint
from compute.models.glide.convert.sizes import ConversionError
from compute.models.glide.inpainting import GlideInpaintPipeline, GlideUpsamplerInpaintPipeline
from compute.models.glide.pipeline import GlidePipeline
from compute.models.glide.respacing import FAST27, respaced_timesteps
from compute.models.glide.stage import GlideStage
from compute.models.glide.upsampler import GlideUpsamplerPipeline
from store.sampler import SamplerSettings


@dataclass(frozen=True, kw_only=True)
class StageKind:
    """What kind of checkpoint a stage is made from, and how it samples."""

    folder: str
    option: str
    """The command's, which names the checkpoint."""
    official: str
    """The checkpoint's name in openai/glide-text2im (`download.py`)."""
    pipeline: type[GlideStage]
    in_channels: int
    """Those of the UNet tell the kinds apart: `x_t`, the known picture with its mask, the low-resolution picture."""
    betas: Literal["squaredcos_cap_v2", "linear"]


STAGES = (
    StageKind(
        folder="base",
        option="--base",
        official="base",
        pipeline=GlidePipeline,
        in_channels=3,
        betas="squaredcos_cap_v2",
    ),
    StageKind(
        folder="upsampler",
        option="--upsample",
        official="upsample",
        pipeline=GlideUpsamplerPipeline,
        in_channels=6,
        betas="linear",
    ),
    StageKind(
        folder="inpaint",
        option="--inpaint",
        official="base-inpaint",
        pipeline=GlideInpaintPipeline,
        in_channels=7,
        betas="squaredcos_cap_v2",
    ),
    StageKind(
        folder="upsampler-inpaint",
        option="--upsample-inpaint",
        official="upsample-inpaint",
        pipeline=GlideUpsamplerInpaintPipeline,
        in_channels=10,
        betas="linear",
    ),
)


_BASE_STEPS = 100  # as in OpenAI's notebooks


def cascade_of(stages: Iterable[StageKind]) -> Cascade | None:
    """Return the cascade of base and upsampler, with the samplers of OpenAI's notebooks; None without both."""
    folders = {stage.folder for stage in stages}
    if not {"base", "upsampler"} <= folders:
        return None
    fast27 = tuple(float(t) for t in respaced_timesteps(FAST27))
    return Cascade(
        stages=(
            CascadeStage(
                name="base", folder="base", sampler=SamplerSettings(name="ddpm", steps=_BASE_STEPS), guidance=3.0
            ),
            CascadeStage(
                name="upsampler",
                folder="upsampler",
                sampler=SamplerSettings(name="ddpm", steps=len(fast27), timesteps=fast27),
                guidance=1.0,
            ),
        )
    )


def check_stages(checkpoints: Mapping[StageKind, Checkpoint]) -> None:
    """Raise ConversionError for a checkpoint of another kind, and for checkpoints that do not belong together."""
    for stage, checkpoint in checkpoints.items():
        channels = checkpoint.sizes.unet.in_channels
        if channels == stage.in_channels:
            continue
        other = next((kind for kind in STAGES if kind.in_channels == channels), None)
        what = f"; that is a checkpoint for {other.option}" if other else ""
        raise ConversionError(
            f"{checkpoint.name}: its UNet reads {channels} channels, a checkpoint for {stage.option} "
            f"{stage.in_channels}{what}"
        )
    _check_together(list(checkpoints.values()))


def _check_together(checkpoints: list[Checkpoint]) -> None:
    """Check that all read the same tokens, and that each upsampler's pictures are larger than each base's."""
    first = checkpoints[0]
    for checkpoint in checkpoints[1:]:
        tokens, others = checkpoint.sizes.text.vocabulary, first.sizes.text.vocabulary
        if tokens != others:
            raise ConversionError(f"{checkpoint.name}: reads {tokens} different tokens, {first.name} {others}")
    upsamplers = [checkpoint for checkpoint in checkpoints if checkpoint.sizes.unet.in_channels in (6, 10)]
    for upsampler in upsamplers:
        for base in checkpoints:
            side = base.sizes.unet.side
            if base not in upsamplers and side >= upsampler.sizes.unet.side:
                raise ConversionError(
                    f"{upsampler.name}: its pictures have {upsampler.sizes.unet.side} pixels a side, those of "
                    f"{base.name} {side}: it is no upsampler for this base"
                )
