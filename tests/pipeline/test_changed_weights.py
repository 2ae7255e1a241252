"""Weights that other code changes while a policy is applied are noticed when the next run begins."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from compute.pipeline import applied
from compute.policy.skip_policy import PolicyError
from tests.pipeline.pipelines import MakePolicy, OtherPipeline, ddpm, run_pipeline
from tests.unet.tiny import make_unet


def average(unet: Any) -> None:
    """Copy an average of weights, as training code does."""
    for parameter in unet.parameters():
        parameter.data.copy_(0.99 * parameter.data)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "an average": average,
    "one value through .data": lambda unet: unet.conv_out.bias.data.view(-1)[:1].add_(1e-6),
    "through numpy": lambda unet: unet.conv_in.weight.detach().numpy().__setitem__((0, 0, 0, 0), 1.0),
    "exchanged rows": lambda unet: unet.conv_in.weight.data.copy_(unet.conv_in.weight.data.flip(0)),
    "another module": lambda unet: (
        setattr(unet, "conv_out", copy.deepcopy(unet.conv_out).float().requires_grad_(False))
        or unet.conv_out.weight.zero_()
    ),
}


@pytest.mark.parametrize("name", ["unet x0 order 0", "deepcache"])
@pytest.mark.parametrize("change", CHANGES)
def test_changed_weights_are_refused(policy: MakePolicy, change: str, name: str) -> None:
    pipe = OtherPipeline(make_unet(), ddpm())
    made = policy(name)
    with applied(made, pipe):
        run_pipeline(pipe)
        with torch.no_grad():
            CHANGES[change](pipe.unet)
        with pytest.raises(PolicyError, match=r"weights: the policy is for .*, this UNet has others"):
            run_pipeline(pipe)
    with pytest.raises(PolicyError, match="this UNet has others"), applied(made, pipe):
        pass
