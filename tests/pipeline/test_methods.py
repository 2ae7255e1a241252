"""Published methods as policies: what runs at each step, by hand, and each once from noise to picture."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import skipscope
from compute.pipeline import applied
from compute.policy.liveness import resolve
from compute.policy.methods.changes import FeatureChanges
from compute.policy.methods.registry import METHODS
from compute.policy.schedule import ScheduleError
from compute.policy.skip_policy import PolicyError, SkipPolicy
from tests.pipeline.computed_components import ALL, ATTENTIONS, CROSS, DEEP_UP, LAST, OUTER, SELF, computed
from tests.pipeline.tiny_glide import tiny_glide
from tests.pipeline.tiny_pipelines import call, stable_diffusion

STEPS = 6


@pytest.fixture(scope="module")
def pipe() -> Any:
    return stable_diffusion()


@pytest.fixture(scope="module")
def changes(pipe: Any) -> FeatureChanges:
    return skipscope.methods.measured_changes(pipe, lambda: call(pipe, num_inference_steps=STEPS))


def test_deepcache_computes_the_outer_layers_between_full_steps(pipe: Any) -> None:
    outer = {"down_blocks.0.resnets.0", "down_blocks.0.attentions.0"} | OUTER | LAST
    assert computed(skipscope.methods.deepcache(pipe, steps=5, interval=2, branch=1), pipe) == [
        *(ALL, outer, ALL, outer, ALL)
    ]
    assert computed(skipscope.methods.deepcache(pipe, steps=4, interval=3), pipe) == [ALL, LAST, LAST, ALL]


def test_uneven_deepcache_lies_densest_around_its_center(pipe: Any) -> None:
    ran = computed(skipscope.methods.deepcache_uneven(pipe, steps=20, interval=3, center=6, power=1.6), pipe)
    assert [step for step, names in enumerate(ran) if names == ALL] == [0, 3, 5, 7, 9, 12, 16]


def test_faster_diffusion_runs_the_decoder_alone_between_key_steps(pipe: Any) -> None:
    decoder = DEEP_UP | OUTER | LAST
    policy = skipscope.methods.faster_diffusion(pipe, steps=5, keys=[0, 1, 4])
    assert computed(policy, pipe) == [ALL, ALL, decoder, decoder, ALL]
    published = skipscope.methods.faster_diffusion(pipe, steps=50).schedule
    assert [step for step in range(50) if not published.at(step)] == [0, 1, 2, 3, 5, 10, 15, 25, 35]


def test_clockwork_computes_the_full_resolution_between_full_steps(pipe: Any) -> None:
    outer = {"down_blocks.0.resnets.0", "down_blocks.0.attentions.0"} | OUTER | LAST
    assert computed(skipscope.methods.clockwork(pipe, steps=4, clock=3), pipe) == [ALL, outer, outer, ALL]


def test_cachify_runs_the_last_decoder_block_at_odd_steps(pipe: Any) -> None:
    policy = skipscope.methods.cachify(pipe, steps=4)
    assert computed(policy, pipe) == [ALL, OUTER | LAST, ALL, OUTER | LAST]
    assert "skip:conv_in" not in policy.schedule.components, "the input convolution is no block, and its skip is fresh"


def test_tgate_rests_cross_attention_from_the_gate_on(pipe: Any) -> None:
    policy = skipscope.methods.tgate(pipe, steps=8, gate=5, self_interval=3, late_interval=2, warm_up=1)
    ran = computed(policy, pipe, CROSS | SELF)
    assert [names >= CROSS for names in ran] == [True] * 5 + [False] * 3
    assert not any(CROSS & names for names in ran[5:])
    # before the gate: up to the warm-up, multiples of 3, and the step before the gate; then multiples of 2
    assert [step for step, names in enumerate(ran) if names >= SELF] == [0, 1, 3, 4, 6]


def test_taylorseer_forecasts_between_full_steps(pipe: Any) -> None:
    policy = skipscope.methods.taylorseer(pipe, steps=8, interval=3, order=2, first=2)
    full = [not policy.schedule.at(step) for step in range(8)]
    assert full == [True, True, False, False, True, False, False, True]
    orders = {step: {action.order for action in policy.schedule.at(step).values()} for step in (2, 3, 5, 6)}
    assert orders == {2: {1}, 3: {1}, 5: {2}, 6: {2}}, "two full steps lie before step 2, three before step 5"
    plain_layers = {"down_blocks.0.downsamplers.0", "up_blocks.0.upsamplers.0"}
    ran = computed(policy, pipe, ALL - plain_layers)
    assert [names == ALL - plain_layers for names in ran] == full
    deep = computed(skipscope.methods.taylorseer(pipe, steps=4, interval=2, first=2, branch=0), pipe)
    assert deep == [ALL, ALL, LAST, ALL]


def test_a_whole_step_rests_between_computed_ones(pipe: Any) -> None:
    policy = skipscope.methods.whole_steps(pipe, steps=8, interval=3, start=2, order=2, space="x0")
    assert [step for step in range(8) if policy.schedule.at(step)] == [3, 4, 6, 7]
    assert len(computed(policy, pipe)) == 4
    assert [policy.schedule.action(step, "unet").order for step in (3, 6)] == [2, 2]


def test_sada_interpolates_the_clean_picture_in_its_last_phase(pipe: Any) -> None:
    policy = skipscope.methods.sada(pipe, steps=10, start=4, interval=2)
    assert {step: str(policy.schedule.action(step, "unet")) for step in (4, 6, 8)} == dict.fromkeys(
        (4, 6, 8), "reuse (order 2, x0)"
    )
    assert len(computed(policy, pipe)) == 7


def test_eliminations_leave_out_what_they_name(pipe: Any) -> None:
    policy = skipscope.methods.eliminations(pipe, steps=4, components=["kind:attention"], start=1, stop=3)
    assert computed(policy, pipe) == [ALL, ALL - ATTENTIONS, ALL - ATTENTIONS, ALL]


def test_identities_have_timesteps_and_components_of_their_own(pipe: Any) -> None:
    left_out = [[], ["mid_block.*"], []]
    policy = skipscope.methods.identities(pipe, left_out=left_out, timesteps=(950, 400, 20), sampler="ddim")
    gone = {name for name in ALL if name.startswith("mid_block")}
    assert computed(policy, pipe) == [ALL, ALL - gone, ALL] and policy.timesteps == (950, 400, 20)
    with pytest.raises(ScheduleError, match=r"down_blocks.0.downsamplers.0 can't be left out"):
        skipscope.methods.identities(pipe, left_out=[["down_blocks.0.downsamplers.0"], []])
    with pytest.raises(ScheduleError, match="3 lists are given; one for each of 2 steps"):
        skipscope.methods.identities(pipe, left_out=left_out, timesteps=(950, 20), sampler="ddim")


@pytest.mark.parametrize("cost", [0.4, 0.8])
def test_a_random_schedule_has_its_cost_and_its_seed(pipe: Any, cost: float) -> None:
    policies = [skipscope.methods.random_schedule(pipe, steps=STEPS, cost=cost, seed=seed) for seed in (1, 1, 2)]
    assert policies[0] == policies[1] and policies[0].rules != policies[2].rules
    graph = skipscope.read_graph(pipe.unet)
    resolved = resolve(graph, policies[0].schedule)
    assert abs(resolved.total_flops / (STEPS * graph.total_flops) - cost) <= 0.02


@pytest.mark.parametrize("name", METHODS)
def test_every_method_of_the_registry_samples_on_both_kinds_of_network(
    pipe: Any, tiny_unet: Any, changes: FeatureChanges, name: str
) -> None:
    method = METHODS[name]
    for given in (pipe, tiny_glide(tiny_unet)):
        policy = first_possible(method.name, given, changes)
        arguments = skipscope.set_sampler(policy, given)
        text = {"prompt": "a cat", "output_type": "np"} | ({"height": 16, "width": 16} if given is pipe else {})
        with applied(policy, given):
            assert torch.isfinite(torch.from_numpy(given(**text, **arguments).images)).all()
        assert policy.provenance["method"].startswith(name)


def first_possible(name: str, pipe: Any, changes: FeatureChanges) -> SkipPolicy:
    """Return the policy of a method's first combination that does something in a short run."""
    measured = {"changes": changes}
    if METHODS[name].needs and "unet" in dir(pipe) and not isinstance(pipe, type(stable_diffusion())):
        run = lambda: pipe("a cat", num_inference_steps=STEPS, output_type="np")  # noqa: E731
        measured = {"changes": skipscope.methods.measured_changes(pipe, run)}
    own: dict[str, Any] = measured if METHODS[name].needs and name != "identities" else {}
    if name == "identities":
        return skipscope.methods.identities(pipe, left_out=[[], ["mid_block.*"], []])
    more = [{"threshold": 9.0, "most": 4}] if name == "adaptive_diffusion" else []  # random weights bend much
    for parameters in [*METHODS[name].combinations(), *more]:
        try:
            policy: SkipPolicy = getattr(skipscope.methods, name)(pipe, steps=STEPS, **own, **parameters)
        except ScheduleError:
            continue
        if policy.rules:
            return policy
    raise AssertionError(f"{name} does nothing in {STEPS} steps")


def test_a_method_takes_a_sampler_or_a_call(pipe: Any) -> None:
    policy = skipscope.methods.deepcache(pipe, steps=4, interval=2, sampler="EulerDiscreteScheduler", guidance=2.0)
    assert policy.sampler.name == "EulerDiscreteScheduler" and policy.guidance == 2.0
    computed(policy, pipe)
    with pytest.raises(PolicyError, match="call: give the pipeline its sampler first"):
        skipscope.methods.deepcache(pipe, steps=4, interval=2, sampler="ddim", call={"prompt": "a cat"})


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("deepcache", {"interval": 0}, "interval 0: a full step every 1 or more"),
        ("deepcache_uneven", {"interval": 2, "center": 9}, "center 9, power 1.4: a step of 0 to 5"),
        ("faster_diffusion", {"keys": [1, 2]}, "step 0 must be among them"),
        ("clockwork", {"clock": 0}, "interval 0: a full step"),
        ("tgate", {"gate": 6}, "a gate of 1 to 5"),
        ("taylorseer", {"interval": 2, "order": 3}, "orders 0 to 2"),
        ("sada", {"terms": 4}, "terms 4: 1 to 3"),
        ("eliminations", {"components": ["kind:attention"], "start": 6}, r"window \[6, 6\) lies outside"),
        ("eliminations", {"components": ["up_blocks.0.upsamplers.0"]}, "can't be left out: it has no path around it"),
        ("random_schedule", {"cost": 0.0}, "cost 0: over 0 and up to 1"),
    ],
)
def test_what_a_method_cannot_do_is_refused(pipe: Any, name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ScheduleError, match=message):
        getattr(skipscope.methods, name)(pipe, steps=STEPS, **parameters)
