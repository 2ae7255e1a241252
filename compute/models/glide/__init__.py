"""GLIDE as diffusers pipelines."""

from compute import torchvision_ops as torchvision_ops  # before diffusers is imported
from compute.models.glide.inpainting import GlideInpaintPipeline, GlideUpsamplerInpaintPipeline
from compute.models.glide.pipeline import GlidePipeline
from compute.models.glide.respacing import respaced_timesteps
from compute.models.glide.upsampler import GlideUpsamplerPipeline

__all__ = [
    "GlideInpaintPipeline",
    "GlidePipeline",
    "GlideUpsamplerInpaintPipeline",
    "GlideUpsamplerPipeline",
    "respaced_timesteps",
]
