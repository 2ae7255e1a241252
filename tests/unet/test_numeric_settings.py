"""Settings of LoRA adapters and FreeU count as weights: a digest changes exactly where the UNet's numbers do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import LoraConfig

from compute.pipeline import applied
from compute.policy.skip_policy import PolicyError
from compute.unet import parameter_digest
from tests.pipeline.tiny_pipelines import call, randomised, stable_diffusion

from skipscope import SkipPolicy  # isort: skip


def with_adapters() -> Any:
    """A pipeline whose UNet has two adapters, of which the first is active at half its scale."""
    pipe = stable_diffusion()
    for name in ("first", "second"):
        pipe.unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"]), adapter_name=name)
    randomised(pipe.unet, 9)
    pipe.unet.set_adapters(["first"], [0.5])
    return pipe


CHANGES: dict[str, Callable[[Any], Any]] = {
    "the same": lambda unet: unet.set_adapters(["first"], [0.5]),
    "another scale": lambda unet: unet.set_adapters(["first"], [0.75]),
    "another adapter": lambda unet: unet.set_adapters(["second"], [0.5]),
    "both": lambda unet: unet.set_adapters(["first", "second"], [0.5, 0.5]),
    "off": lambda unet: unet.disable_lora(),
    "off and on": lambda unet: (unet.disable_lora(), unet.enable_lora()),
    "FreeU": lambda unet: unet.enable_freeu(0.9, 0.2, 1.2, 1.4),
    "FreeU on and off": lambda unet: (unet.enable_freeu(0.9, 0.2, 1.2, 1.4), unet.disable_freeu()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_setting_that_changes_the_numbers_is_refused(change: str) -> None:
    """As the weights are: on entry, and when the next run begins."""
    pipe = with_adapters()
    rules = [{"components": ["mid_block.*"], "window": [1, 2], "action": "bypass"}]
    policy = SkipPolicy.for_pipeline(pipe, steps=5, rules=rules)
    before, digest = call(pipe), parameter_digest(pipe.unet, torch.float32)
    with applied(policy, pipe):
        call(pipe)
        CHANGES[change](pipe.unet)
        changed = parameter_digest(pipe.unet, torch.float32) != digest
        if changed:
            with pytest.raises(PolicyError, match=r"weights: .* this UNet has others"):
                call(pipe)
        else:
            call(pipe)
    assert changed == (not torch.equal(call(pipe), before))


def test_values_of_freeu_count() -> None:
    pipe = stable_diffusion()
    digests = set()
    for scale in (1.2, 1.3):
        pipe.enable_freeu(s1=0.9, s2=0.2, b1=scale, b2=1.4)
        digests.add(parameter_digest(pipe.unet, torch.float32))
    pipe.disable_freeu()
    assert len(digests | {parameter_digest(pipe.unet, torch.float32)}) == 3
