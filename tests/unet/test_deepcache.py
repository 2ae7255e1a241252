"""DeepCache as a schedule gives the pictures of the published package."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from DeepCache import DeepCacheSDHelper
from torch import Tensor

from compute.policy.graph import ComponentGraph
from compute.policy.liveness import resolve
from compute.policy.methods.deepcache import deepcache
from compute.policy.schedule import ScheduleError
from compute.unet import executing, read_graph
from tests.unet.sd import make_sd_unet

from diffusers import DDIMScheduler  # isort: skip

STEPS, TOLERANCE = 8, 1e-5
LAYOUT: dict[str, Any] = {
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "block_out_channels": (16, 32, 32),
}


@pytest.fixture(scope="module")
def unet() -> Any:
    return make_sd_unet(**LAYOUT)


@pytest.fixture(scope="module")
def graph(unet: Any) -> ComponentGraph:
    return read_graph(unet)


def sample(unet: Any, begin_step: Any = lambda step: None, scheduler: Any = None) -> Tensor:
    """Return a guided run's picture, by the loop of diffusers' pipelines."""
    scheduler = scheduler or make_scheduler()
    generator = torch.Generator().manual_seed(0)
    x_t = torch.randn(1, 4, 8, 8, generator=generator)
    text = torch.randn(2, 5, 32, generator=generator)
    for step, t in enumerate(scheduler.timesteps):
        begin_step(step)
        with torch.no_grad():
            eps = unet(torch.cat([x_t, x_t]), t, encoder_hidden_states=text, return_dict=False)[0]
        without, with_text = eps.chunk(2)
        x_t = scheduler.step(without + 5 * (with_text - without), t, x_t).prev_sample
    return x_t


def make_scheduler() -> Any:
    scheduler: Any = DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False)
    scheduler.set_timesteps(STEPS)
    return scheduler


def with_package(unet: Any, interval: int, branch: int) -> Tensor:
    scheduler = make_scheduler()
    helper = DeepCacheSDHelper(pipe=SimpleNamespace(unet=unet, scheduler=scheduler))
    helper.set_params(cache_interval=interval, cache_branch_id=branch)
    helper.enable()
    try:
        return sample(unet, scheduler=scheduler)
    finally:
        helper.disable()
        for module in unet.modules():  # the package leaves bound methods behind
            module.__dict__.pop("forward", None)


@pytest.mark.parametrize("interval", [2, 3, 5])
@pytest.mark.parametrize("branch", [0, 1, 4])
def test_the_pictures_are_those_of_the_package(unet: Any, graph: ComponentGraph, interval: int, branch: int) -> None:
    expected = with_package(unet, interval, branch)
    schedule = deepcache(graph, steps=STEPS, interval=interval, branch=branch)
    resolved = resolve(graph, schedule)
    with executing(unet, resolved) as execution:
        picture = sample(unet, execution.begin_step)
    assert (picture - expected).abs().max() <= TOLERANCE
    assert (picture - sample(unet)).abs().max() > 1e-3 * expected.abs().max(), "the schedule does something"
    assert resolved.total_flops < 0.99 * STEPS * graph.total_flops


def test_an_outer_branch_costs_less_than_a_deeper_one(graph: ComponentGraph) -> None:
    flops = [
        resolve(graph, deepcache(graph, steps=4, interval=2, branch=branch)).total_flops
        for branch in range(len(graph.of_kind("skip")))
    ]
    assert flops == sorted(flops)
    assert flops[0] < 0.8 * 4 * graph.total_flops


def test_every_step_is_full_at_interval_one(graph: ComponentGraph) -> None:
    assert deepcache(graph, steps=5, interval=1).is_empty


def test_what_the_network_lacks_is_refused(graph: ComponentGraph) -> None:
    with pytest.raises(ScheduleError, match=r"branch 9: this network has 0 to 8"):
        deepcache(graph, steps=4, interval=2, branch=9)
    with pytest.raises(ScheduleError, match="interval 0: a full step every 1 or more"):
        deepcache(graph, steps=4, interval=0)
