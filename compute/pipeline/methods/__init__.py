"""Published methods and plain sampling as policies for a pipeline.

Each function takes the pipeline, the number of `steps` and the method's own parameters, and, by name, what the run is
otherwise like: `sampler` with its `options`, `timesteps` or `sigmas` (see `plain`); or the arguments of the pipeline's
`call`, for the sampler that it has; `guidance`; and the policy's `name`.
"""

from compute.pipeline.methods.elimination import eliminations, identities, random_schedule
from compute.pipeline.methods.measured import adaptive_diffusion, block_caching, measured_changes, smoothcache
from compute.pipeline.methods.plain import plain
from compute.pipeline.methods.reuse import (
    cachify,
    clockwork,
    deepcache,
    deepcache_uneven,
    faster_diffusion,
    taylorseer,
    tgate,
)
from compute.pipeline.methods.schedules import ays, step_costs
from compute.pipeline.methods.whole_steps import sada, whole_steps

__all__ = [
    "adaptive_diffusion",
    "ays",
    "block_caching",
    "cachify",
    "clockwork",
    "deepcache",
    "deepcache_uneven",
    "eliminations",
    "faster_diffusion",
    "identities",
    "measured_changes",
    "plain",
    "random_schedule",
    "sada",
    "smoothcache",
    "step_costs",
    "taylorseer",
    "tgate",
    "whole_steps",
]
