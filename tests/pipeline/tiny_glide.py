"""A GLIDE pipeline of random weights around the tiny UNet of the tests."""

from __future__ import annotations

from typing import Any

from compute.models.glide.pipeline import GlidePipeline
from compute.models.glide.text_transformer import TextTransformer
from compute.pipeline.exact_ddpm import ExactDDPMScheduler
from tests.pipeline.tiny_pipelines import randomised


def tiny_glide(unet: Any) -> Any:
    """Return a pipeline that samples 16x16 pictures of `a cat`, with GLIDE's learned sigma."""
    text = TextTransformer(vocabulary=["a", "cat"], length=4, width=32, layers=1, heads=1, pooled=128)
    scheduler = ExactDDPMScheduler(
        beta_schedule="squaredcos_cap_v2", variance_type="learned_range", timestep_spacing="linspace"
    )
    pipe = GlidePipeline(text_encoder=randomised(text, 1), unet=unet, scheduler=scheduler)
    pipe.set_progress_bar_config(disable=True)
    return pipe
