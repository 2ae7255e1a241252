"""Stable Diffusion with a ControlNet, and DeepCache as a policy: the ControlNet runs at every step all the same.

Usage: python docs/examples/controlnet.py FOLDER CONTROLNET PICTURE
"""

import argparse
import time

import numpy as np
import torch
from PIL import Image

from skipscope import applied, methods
from diffusers import ControlNetModel, StableDiffusionControlNetPipeline

parser = argparse.ArgumentParser()
parser.add_argument("folder", help="of a Stable Diffusion pipeline")
parser.add_argument("controlnet", help="folder of the ControlNet")
parser.add_argument("picture", help="what the ControlNet reads: edges, a depth map, a pose")
parser.add_argument("--prompt", default="a lighthouse in a storm")
parser.add_argument("--steps", type=int, default=50)
parser.add_argument("--size", type=int, default=512)
args = parser.parse_args()

controlnet = ControlNetModel.from_pretrained(args.controlnet)
pipe = StableDiffusionControlNetPipeline.from_pretrained(args.folder, controlnet=controlnet)
pipe.to("cuda" if torch.cuda.is_available() else "cpu")
control = Image.open(args.picture).convert("RGB").resize((args.size, args.size))
policy = methods.deepcache(pipe, steps=args.steps, interval=3)


def sample() -> tuple[np.ndarray, float]:
    """Return a picture and the seconds that it took."""
    generator = torch.Generator().manual_seed(0)
    began = time.perf_counter()
    result = pipe(args.prompt, image=control, num_inference_steps=args.steps, generator=generator, output_type="np")
    return result.images[0], time.perf_counter() - began


sample()  # the first call is slower
full, full_seconds = sample()
with applied(policy, pipe):
    fast, seconds = sample()
print(f"full compute {full_seconds:.2f} s, {policy.name} {seconds:.2f} s, difference {np.abs(fast - full).mean():.4f}")
