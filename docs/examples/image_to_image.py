"""Stable Diffusion, image to image, with a policy written by hand: every second late step is dropped.

Usage: python docs/examples/image_to_image.py FOLDER PICTURE
"""

import argparse
import time

import numpy as np
import torch
from PIL import Image

from skipscope import SkipPolicy, applied
from diffusers import StableDiffusionImg2ImgPipeline

parser = argparse.ArgumentParser()
parser.add_argument("folder", help="of a Stable Diffusion pipeline")
parser.add_argument("picture", help="to start from")
parser.add_argument("--prompt", default="a watercolour of a harbour at dawn")
parser.add_argument("--steps", type=int, default=50)
parser.add_argument("--size", type=int, default=512)
args = parser.parse_args()

pipe = StableDiffusionImg2ImgPipeline.from_pretrained(args.folder)
pipe.to("cuda" if torch.cuda.is_available() else "cpu")
start = Image.open(args.picture).convert("RGB").resize((args.size, args.size))
call = {"prompt": args.prompt, "image": start, "strength": 0.6, "num_inference_steps": args.steps}

# Of the scheduler's steps a run makes the last 60%: with `call` the policy is for those.
made = SkipPolicy.for_pipeline(pipe, steps=args.steps, rules=[], call=call).sampler.steps
dropped = [
    {"components": "unet", "window": [step, step + 1], "action": {"name": "reuse", "space": "x0", "order": 1}}
    for step in range(made // 2 + 1, made - 1, 2)
]
policy = SkipPolicy.for_pipeline(pipe, steps=args.steps, rules=dropped, call=call, name="late steps dropped")


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
