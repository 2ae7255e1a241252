"""What cannot be read is named with its path and class before anything runs; unknown modules can only be reused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule
from compute.unet import UnsupportedUNet, read_graph
from store.records import Action
from tests.unet.checks import check, run
from tests.unet.narrow import call_inputs, randomise
from tests.unet.sd import make_sd_unet

from diffusers import UNet2DModel  # isort: skip
from diffusers.models.resnet import ResnetBlock2D  # isort: skip


class DependsOnValues(nn.Module):
    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return hidden_states * hidden_states.mean().item()


class Scaled(nn.Module):
    """A block that diffusers does not have: its structure is not known, so it can be reused and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.7))

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return self.weight * hidden_states


class OwnTransformer(Scaled):
    """The same, with its output in a tuple as transformers return it."""

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        return (self.weight * hidden_states,)


class TwoTensors(Scaled):
    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        return hidden_states, hidden_states


class OwnResnet(ResnetBlock2D):
    """A subclass with a forward of its own, which may add no residual."""

    def forward(self, input_tensor: Tensor, temb: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        output: Tensor = super().forward(input_tensor, temb)
        return 2 * output


class OwnProcessor:
    """An attention processor of the user's own."""

    def __call__(self, attn: Any, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return hidden_states


def state(unet: nn.Module) -> list[tuple[str, int]]:
    return [(key, id(value)) for module in unet.modules() for key, value in module.__dict__.items()]


@pytest.mark.parametrize("bad", [DependsOnValues(), TwoTensors()])
def test_a_module_that_cannot_be_read_is_named(bad: nn.Module) -> None:
    unet = make_sd_unet()
    unet.mid_block.resnets[1] = bad
    before = state(unet)
    with pytest.raises(UnsupportedUNet) as caught:
        read_graph(unet)
    text = str(caught.value)
    assert text.startswith(f"mid_block.resnets.1 ({type(bad).__name__}) cannot be read: ")
    assert "\n" not in text
    assert state(unet) == before


def test_a_component_that_runs_twice_is_named() -> None:
    unet = make_sd_unet()
    unet.mid_block.resnets[0] = unet.mid_block.resnets[1]
    with pytest.raises(UnsupportedUNet, match=r"mid_block\.resnets\.\d \(ResnetBlock2D\) cannot be read: .* more than"):
        read_graph(unet)


def test_what_is_no_unet_is_refused() -> None:
    with pytest.raises(UnsupportedUNet, match="a Linear is no diffusers UNet"):
        read_graph(nn.Linear(1, 1))


def test_an_argument_that_is_not_known_is_named() -> None:
    class Other(type(make_sd_unet())):  # type: ignore[misc]
        def forward(self, sample: Tensor, timestep: Tensor, camera: Tensor) -> Tensor:
            return sample

    unet = make_sd_unet()
    unet.__class__ = Other
    with pytest.raises(UnsupportedUNet, match=r"\(Other\) cannot be read without .* argument camera is not known"):
        read_graph(unet)


@pytest.mark.parametrize("own", ["a block", "a subclass", "a processor"])
def test_a_module_of_the_users_own_is_reused_and_not_bypassed(own: str) -> None:
    unet = make_sd_unet()
    name = "mid_block.attentions.0" if own == "a block" else "mid_block.resnets.0"
    if own == "a block":
        unet.mid_block.attentions[0] = OwnTransformer()
    elif own == "a subclass":
        unet.mid_block.resnets[0].__class__ = OwnResnet
    else:
        name = "down_blocks.1.attentions.0"
        unet = _with_plain_attention()
    graph = read_graph(unet)
    assert graph.component(name).actions == ("compute", "reuse")
    resolved = resolve(graph, Schedule(steps=2, actions={1: {name: Action(name="reuse")}}))
    outputs = run(unet, resolved, lambda step: call_inputs(unet, 0))
    assert outputs[0] is not None
    assert outputs[1] is not None
    assert torch.equal(outputs[0], outputs[1])


def test_what_divides_its_sum_divides_its_shortcut() -> None:
    """The middle of an NCSN++ scales the sum of input and residual, in its ResNet blocks and its attention."""
    unet_class: Any = UNet2DModel
    layers = {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D")}
    unet = unet_class(block_out_channels=(16, 32), norm_num_groups=8, mid_block_scale_factor=1.4, **layers).eval()
    randomise(unet)
    graph = read_graph(unet, sample_size=8)
    names = graph.match(["mid_block.*", "down_blocks.1.attentions.*"])
    rows = {step: {name: Action(name="bypass")} for step, name in enumerate(names)}
    check(unet, graph, Schedule(steps=len(rows), actions=rows), lambda step: call_inputs(unet, step))


def _with_plain_attention() -> Any:
    unet = make_sd_unet(
        down_block_types=("DownBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "UpBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
    )
    unet.down_blocks[1].attentions[0].processor = OwnProcessor()
    return unet
