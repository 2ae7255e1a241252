"""Stable Diffusion, inpainting, with a policy written by hand: the deepest blocks rest in the second half.

Usage: python docs/examples/inpainting.py FOLDER PICTURE MASK
"""

import argparse
import time

import numpy as np
import torch
from PIL import Image

from skipscope import SkipPolicy, applied
from diffusers import StableDiffusionInpaintPipeline

parser = argparse.ArgumentParser()
parser.add_argument("folder", help="of a Stable Diffusion inpainting pipeline")
parser.add_argument("picture", help="to paint into")
parser.add_argument("mask", help="white where to paint")
parser.add_argument("--prompt", default="a tabby cat on a bench")
parser.add_argument("--steps", type=int, default=50)
parser.add_argument("--size", type=int, default=512)
args = parser.parse_args()

pipe = StableDiffusionInpaintPipeline.from_pretrained(args.folder)
pipe.to("cuda" if torch.cuda.is_available() else "cpu")
size = (args.size, args.size)
picture, mask = Image.open(args.picture).convert("RGB").resize(size), Image.open(args.mask).convert("L").resize(size)
call = {
    "prompt": args.prompt, "image": picture, "mask_image": mask, "height": args.size, "width": args.size,
    "num_inference_steps": args.steps, "strength": 1.0,
}  # fmt: skip
rest = {"components": ["mid_block.*"], "window": [args.steps // 2, args.steps], "action": "bypass"}
policy = SkipPolicy.for_pipeline(pipe, steps=args.steps, rules=[rest], call=call, name="middle block at rest")


def sample() -> tuple[np.ndarray, float]:
    """Return a picture and the seconds that it took."""
    generator = torch.Generator().manual_seed(0)
    began = time.perf_counter()
    result = pipe(**call, generator=generator, output_type="np")
    return result.images[0], time.perf_counter() - began


sample()  # the first call is slower
full, full_seconds = sample()
with applied(policy, pipe):
    fast, seconds = sample()
print(f"full compute {full_seconds:.2f} s, {policy.name} {seconds:.2f} s, difference {np.abs(fast - full).mean():.4f}")
