"""Stable Diffusion XL with DeepCache as a policy, which is saved and loaded again.

Usage: python docs/examples/stable_diffusion_xl.py FOLDER
"""

import argparse
import time

import numpy as np
import torch

from skipscope import SkipPolicy, applied, methods
from diffusers import StableDiffusionXLPipeline

parser = argparse.ArgumentParser()
parser.add_argument("folder", help="of a Stable Diffusion XL pipeline")
parser.add_argument("--prompt", default="an astronaut on a horse, oil on canvas")
parser.add_argument("--steps", type=int, default=30)
parser.add_argument("--size", type=int, default=1024)
parser.add_argument("--policy", default="deepcache.json", help="the file to write")
args = parser.parse_args()

gpu = torch.cuda.is_available()
pipe = StableDiffusionXLPipeline.from_pretrained(args.folder, torch_dtype=torch.float16 if gpu else torch.float32)
pipe.to("cuda" if gpu else "cpu")
methods.deepcache(pipe, steps=args.steps, interval=2, branch=1).save(args.policy)


def sample() -> tuple[np.ndarray, float]:
    """Return a picture and the seconds that it took."""
    generator = torch.Generator().manual_seed(0)
    began = time.perf_counter()
    result = pipe(
        args.prompt, height=args.size, width=args.size, num_inference_steps=args.steps, generator=generator,
        output_type="np",
    )  # fmt: skip
    return result.images[0], time.perf_counter() - began


policy = SkipPolicy.load(args.policy)
sample()  # the first call is slower
full, full_seconds = sample()
with applied(policy, pipe):
    fast, seconds = sample()
print(f"full compute {full_seconds:.2f} s, {policy.name} {seconds:.2f} s, difference {np.abs(fast - full).mean():.4f}")
