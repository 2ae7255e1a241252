"""Stable Diffusion, text to image, with DeepCache as a policy.

Usage: python docs/examples/stable_diffusion.py FOLDER
"""

import argparse
import time

import numpy as np
import torch

from skipscope import applied, methods
from diffusers import StableDiffusionPipeline

parser = argparse.ArgumentParser()
parser.add_argument("folder", help="of a Stable Diffusion pipeline")
parser.add_argument("--prompt", default="a photograph of a red kite over the sea")
parser.add_argument("--steps", type=int, default=50)
parser.add_argument("--size", type=int, default=512)
args = parser.parse_args()

gpu = torch.cuda.is_available()
pipe = StableDiffusionPipeline.from_pretrained(args.folder, torch_dtype=torch.float16 if gpu else torch.float32)
pipe.to("cuda" if gpu else "cpu")


def sample(steps: int = args.steps) -> tuple[np.ndarray, float]:
    """Return a picture and the seconds that it took."""
    generator = torch.Generator().manual_seed(0)
    began = time.perf_counter()
    result = pipe(
        args.prompt, height=args.size, width=args.size, num_inference_steps=steps, generator=generator, output_type="np"
    )
    return result.images[0], time.perf_counter() - began


policy = methods.deepcache(pipe, steps=args.steps, interval=3)
sample(steps=2)  # the first call is slower
full, full_seconds = sample()
with applied(policy, pipe):
    fast, seconds = sample()
print(f"full compute {full_seconds:.2f} s, {policy.name} {seconds:.2f} s, difference {np.abs(fast - full).mean():.4f}")
