"""Which components of the tiny Stable Diffusion a run computes at each step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

import skipscope
from compute.pipeline import applied
from compute.policy.skip_policy import SkipPolicy
from tests.pipeline.tiny_pipelines import call

ENCODER = {"down_blocks.0.resnets.0", "down_blocks.0.attentions.0", "down_blocks.0.downsamplers.0"}
DEEP = {"down_blocks.1.resnets.0", "mid_block.resnets.0", "mid_block.attentions.0", "mid_block.resnets.1"}
DEEP_UP = {"up_blocks.0.resnets.0", "up_blocks.0.resnets.1", "up_blocks.0.upsamplers.0"}
OUTER = {"up_blocks.1.resnets.0", "up_blocks.1.attentions.0"}
LAST = {"up_blocks.1.resnets.1", "up_blocks.1.attentions.1"}
ALL = ENCODER | DEEP | DEEP_UP | OUTER | LAST
ATTENTIONS = {name for name in ALL if "attentions" in name}
CROSS = {f"{name}.transformer_blocks.0.attn2" for name in ATTENTIONS}
SELF = {f"{name}.transformer_blocks.0.attn1" for name in ATTENTIONS}


@contextmanager
def watched(unet: Any, names: set[str]) -> Iterator[list[set[str]]]:
    """Yield a list to which each step's call of the UNet adds the components that computed something.

    A component is taken as computed where the first layer inside it ran: dead and reused modules never call theirs.
    """
    ran: list[set[str]] = []
    modules = dict(unet.named_modules())
    hooks = [unet.time_embedding.register_forward_hook(lambda *_: ran.append(set()))]
    for name in names:
        inner = next(
            layer for layer in modules[name].modules() if not list(layer.children()) and layer is not modules[name]
        )
        hooks.append(inner.register_forward_hook(lambda *_, name=name: ran[-1].add(name)))
    try:
        yield ran
    finally:
        for hook in hooks:
            hook.remove()


def computed(policy: SkipPolicy, pipe: Any, names: set[str] = ALL) -> list[set[str]]:
    """Return the components that a run under a policy computes at each step that calls the UNet."""
    arguments = skipscope.set_sampler(policy, pipe)
    with watched(pipe.unet, names) as ran, applied(policy, pipe):
        pictures = call(pipe, **({"num_inference_steps": None} | arguments))
    assert torch.isfinite(pictures).all()
    return ran
