"""What happens to a pipeline within the context: copies of it, pickles, other caches; and the context entered twice."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import pytest
import torch

from compute.pipeline import applied
from compute.pipeline.run_steps import FollowError
from compute.policy.skip_policy import PolicyError
from compute.unet import ExecutionError
from tests.pipeline.pipelines import SCHEDULES, MakePolicy, OtherPipeline, run_pipeline

NAMES = ["deepcache", "unet x0 order 0"]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """A schedule that acts on modules, and one that drops steps."""
    return str(request.param)


def test_a_deep_copy_of_the_pipeline_is_a_pipeline_of_its_own(
    pipe: OtherPipeline, policy: MakePolicy, name: str
) -> None:
    made, plain = policy(SCHEDULES[name]), run_pipeline(pipe)
    with applied(made, pipe) as execution:
        expected = run_pipeline(pipe)
        copied = copy.deepcopy(pipe)
        assert torch.equal(run_pipeline(copied), plain)  # it follows nothing
        assert torch.equal(run_pipeline(pipe), expected)
    run = weakref.ref(execution)
    del execution
    gc.collect()
    assert run() is None  # and keeps nothing
    assert torch.equal(run_pipeline(copied), plain)
    with applied(made, copied):
        assert torch.equal(run_pipeline(copied), expected)


def test_a_copy_of_the_scheduler_that_outlives_the_run_can_be_used(
    pipe: OtherPipeline, policy: MakePolicy, name: str
) -> None:
    made, plain = policy(SCHEDULES[name]), run_pipeline(pipe)
    with applied(made, pipe):
        expected = run_pipeline(pipe)
        scheduler = copy.deepcopy(pipe.scheduler)
    pipe.scheduler = scheduler
    assert torch.equal(run_pipeline(pipe), plain)
    with applied(made, pipe):
        assert torch.equal(run_pipeline(pipe), expected)
    assert "step" not in scheduler.__dict__ and "set_timesteps" not in scheduler.__dict__


def test_a_pickle_is_refused_in_one_line(pipe: OtherPipeline, policy: MakePolicy, name: str) -> None:
    with applied(policy(SCHEDULES[name]), pipe):
        for part in (pipe.unet, pipe.scheduler):
            with pytest.raises((FollowError, ExecutionError), match=r"cannot be pickled .* leave the context first"):
                pickle.dumps(part)
    assert pickle.dumps(pipe.unet) and pickle.dumps(pipe.scheduler)


def test_the_context_may_be_entered_again_but_not_twice_at_once(
    pipe: OtherPipeline, policy: MakePolicy, name: str
) -> None:
    context, plain = applied(policy(SCHEDULES[name]), pipe), run_pipeline(pipe)
    with context:
        expected = run_pipeline(pipe)
        with pytest.raises(FollowError, match="leave the context before entering it again"):
            context.__enter__()
        assert torch.equal(run_pipeline(pipe), expected)
    assert torch.equal(run_pipeline(pipe), plain)
    with context:
        assert torch.equal(run_pipeline(pipe), expected)

    @context
    def sampled() -> torch.Tensor:
        return run_pipeline(pipe)

    assert torch.equal(sampled(), expected) and torch.equal(sampled(), expected)


def with_diffusers_hook(unet: Any) -> None:
    from diffusers.hooks import PyramidAttentionBroadcastConfig, apply_pyramid_attention_broadcast

    config = PyramidAttentionBroadcastConfig(
        cross_attention_block_skip_range=2,
        current_timestep_callback=lambda: 500,
        cross_attention_block_identifiers=[""],
    )
    apply_pyramid_attention_broadcast(unet, config)


def with_deepcache(unet: Any) -> None:
    def wrapped_forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    wrapped_forward.__module__ = "DeepCache.extension.deepcache"
    unet.down_blocks[0].forward = wrapped_forward


@pytest.mark.parametrize(
    ("turn_on", "cache"), [(with_diffusers_hook, "diffusers' pyramid"), (with_deepcache, "DeepCache")]
)
def test_another_cache_is_named(pipe: OtherPipeline, policy: MakePolicy, turn_on: Any, cache: str) -> None:
    made = policy(SCHEDULES["deepcache"])
    pipe.unet = copy.deepcopy(pipe.unet)
    turn_on(pipe.unet)
    with pytest.raises(PolicyError, match=rf"pipe\.unet\..*another cache is on \({cache}.*turn it off first"):
        applied(made, pipe).__enter__()
