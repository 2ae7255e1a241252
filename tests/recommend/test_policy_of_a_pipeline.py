"""A policy that was made for a pipeline object is sampled and validated with the model that it is for."""

from __future__ import annotations

import pytest
import torch

import skipscope
from compute.policy.liveness import resolve
from compute.policy.skip_policy import PolicyError, SkipPolicy
from compute.recommend.policy_model import load_for
from store.records import Condition

PROMPT = "a cat on a blue background"


@pytest.fixture(scope="module")
def policy() -> SkipPolicy:
    pipe = skipscope.load_model("glide-mini").pipe
    return skipscope.methods.whole_steps(pipe, timesteps=(999, 600, 300, 40), interval=2, start=1, sampler="ddim")


def test_its_timesteps_are_sampled_as_by_the_pipeline(policy: SkipPolicy) -> None:
    loaded = load_for(policy, model="glide-mini")
    schedule = resolve(loaded.graph, policy.schedule)
    condition = Condition(prompt=PROMPT, seed=3, guidance=policy.guidance)
    pictures = (loaded.run([condition], policy.sampler, schedule) + 1) / 2
    arguments = skipscope.set_sampler(policy, loaded.pipe)
    with skipscope.applied(policy, loaded.pipe):
        by_pipeline = loaded.pipe(PROMPT, seed=3, output_type="pt", **arguments).images
    torch.testing.assert_close(pictures, by_pipeline, atol=1e-5, rtol=1e-5)


def test_another_model_and_none_are_refused(policy: SkipPolicy) -> None:
    with pytest.raises(PolicyError, match="was made for a pipeline object, a GlidePipeline: give --model"):
        load_for(policy)
    with pytest.raises(PolicyError, match="weights: the policy is for GlidePipeline"):
        load_for(policy, model="sd-mini")
