"""An unconditional DDPM with a policy written by hand: after the first quarter every second step is dropped.

Usage: python docs/examples/unconditional_ddpm.py FOLDER
"""

import argparse
import time

import numpy as np
import torch

from skipscope import SkipPolicy, applied
from diffusers import DDPMPipeline

parser = argparse.ArgumentParser()
parser.add_argument("folder", help="of a DDPM pipeline")
parser.add_argument("--steps", type=int, default=250)
args = parser.parse_args()

pipe = DDPMPipeline.from_pretrained(args.folder)
pipe.to("cuda" if torch.cuda.is_available() else "cpu")
dropped = [
    {"components": "unet", "window": [step, step + 1], "action": {"name": "reuse", "space": "x0", "order": 1}}
    for step in range(max(args.steps // 4, 2), args.steps - 1, 2)
]
policy = SkipPolicy.for_pipeline(pipe, steps=args.steps, rules=dropped, name="every second step dropped")


def sample(steps: int = args.steps) -> tuple[np.ndarray, float]:
    """Return a picture and the seconds that it took."""
    generator = torch.Generator().manual_seed(0)
    began = time.perf_counter()
    result = pipe(num_inference_steps=steps, generator=generator, output_type="np")
    return result.images[0], time.perf_counter() - began


sample(steps=2)  # the first call is slower
full, full_seconds = sample()
with applied(policy, pipe):
    fast, seconds = sample()
print(f"full compute {full_seconds:.2f} s, {policy.name} {seconds:.2f} s, difference {np.abs(fast - full).mean():.4f}")
