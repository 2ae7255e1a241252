"""A step that only keeps an output of the whole network runs untouched, also where other steps act on its parts."""

from __future__ import annotations

import torch

from compute.pipeline import applied
from compute.policy.skip_policy import SkipPolicy
from tests.pipeline.tiny_pipelines import call, stable_diffusion


def test_a_step_whose_output_is_repeated_beside_a_skip_that_is_zero_later() -> None:
    pipe = stable_diffusion()
    repeated = {"components": ["unet"], "window": [2, 3], "action": {"name": "reuse", "space": "eps"}}
    zero = {"components": ["kind:skip"], "window": [4, 5], "action": "zero"}
    one, both = (SkipPolicy.for_pipeline(pipe, rules=rules, steps=5) for rules in ([repeated], [repeated, zero]))
    with applied(one, pipe):
        without = call(pipe, num_inference_steps=5)
    with applied(both, pipe):
        assert not torch.equal(call(pipe, num_inference_steps=5), without)
