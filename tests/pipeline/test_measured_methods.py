"""Methods that decide by measured changes, and the measurement."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch

import skipscope
from compute.pipeline.run_steps import FollowError
from compute.policy.methods.changes import FeatureChanges
from compute.policy.schedule import ScheduleError
from tests.pipeline.computed_components import ALL, ATTENTIONS, computed
from tests.pipeline.tiny_pipelines import call, stable_diffusion

STEPS = 6


@pytest.fixture(scope="module")
def pipe() -> Any:
    return stable_diffusion()


def changes_of(numbers: dict[str, tuple[float, ...]], lags: int = 1) -> FeatureChanges:
    """Return changes whose change over several steps is the sum of those over one."""
    steps = len(next(iter(numbers.values()))) + 1
    changes = {
        name: tuple(tuple(sum(row[step : step + lag]) for step in range(steps - lag)) for lag in range(1, lags + 1))
        for name, row in numbers.items()
    }
    return FeatureChanges(steps=steps, changes=changes, distances=(0.1,) * steps)


def test_block_caching_rests_until_the_changes_add_up(pipe: Any) -> None:
    numbers = dict.fromkeys(ATTENTIONS, (0.3, 0.2, 0.2, 0.4))
    policy = skipscope.methods.block_caching(pipe, steps=5, changes=changes_of(numbers), threshold=0.5)
    # 0.3, 0.5 rest; 0.7 is over the threshold and begins anew; 0.4 rests
    assert computed(policy, pipe) == [ALL, ALL - ATTENTIONS, ALL - ATTENTIONS, ALL, ALL - ATTENTIONS]


def test_smoothcache_rests_a_kind_as_far_as_its_mean_change_reaches(pipe: Any) -> None:
    small, large = sorted(ATTENTIONS)[:1], sorted(ATTENTIONS)[1:]
    numbers = dict.fromkeys(small, (0.1, 0.1, 0.6, 0.1, 0.1, 0.1)) | dict.fromkeys(large, (0.3,) * 6)
    measured = changes_of(numbers, lags=2)
    for threshold, resting in ((0.31, {1, 4}), (0.51, {1, 2, 4, 5})):  # the mean change is 0.25, once 0.375
        policy = skipscope.methods.smoothcache(
            pipe, steps=7, changes=measured, threshold=threshold, lookahead=2, kinds=["attention"]
        )
        expected = [ALL - ATTENTIONS if step in resting else ALL for step in range(7)]
        assert computed(policy, pipe) == expected, "the last step is computed"


def test_adaptive_diffusion_drops_steps_where_distances_bend_little(pipe: Any) -> None:
    distances = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.9, 0.3, 0.2, 0.1)
    measured = FeatureChanges(steps=10, changes={}, distances=distances)
    policy = skipscope.methods.adaptive_diffusion(pipe, steps=10, changes=measured, threshold=0.01)
    # after steps 3, 4 and 5 the last three distances lie on a line; the bend at 6 is in the next three; 9 is the last
    assert [step for step in range(10) if policy.schedule.at(step)] == [4, 5, 6]
    straight = FeatureChanges(steps=14, changes={}, distances=tuple(2.0 - 0.1 * step for step in range(14)))
    policy = skipscope.methods.adaptive_diffusion(pipe, steps=14, changes=straight, most=3)
    assert [step for step in range(14) if policy.schedule.at(step)] == [4, 5, 6, 7, 8, 10, 11, 12]


def test_measured_changes_are_relative_l1_distances() -> None:
    pipe = stable_diffusion()
    changes = skipscope.methods.measured_changes(pipe, lambda: call(pipe, num_inference_steps=STEPS))
    outputs: list[torch.Tensor] = []
    hook = pipe.unet.mid_block.resnets[0].register_forward_hook(lambda *values: outputs.append(values[-1].clone()))
    states: list[torch.Tensor] = []
    keep = {"callback_on_step_end": lambda pipe, step, t, values: states.append(values["latents"].clone()) or values}
    call(pipe, num_inference_steps=STEPS, **keep)
    hook.remove()
    for lag in (1, 2, 3):
        expected = [
            float((outputs[step + lag] - outputs[step]).abs().sum() / outputs[step + lag].abs().sum())
            for step in range(STEPS - lag)
        ]
        assert changes.of("mid_block.resnets.0", STEPS, lag) == pytest.approx(expected, rel=1e-5)
    assert changes.distances[1:] == pytest.approx(
        [float((after - before).abs().mean()) for before, after in pairwise(states)], rel=1e-5
    )
    assert set(changes.changes) == set(skipscope.read_graph(pipe.unet).names) - {
        name for name in skipscope.read_graph(pipe.unet).names if name == "unet" or name.startswith("skip:")
    }


def test_changes_of_other_runs_are_refused(pipe: Any) -> None:
    changes = changes_of(dict.fromkeys(ALL, (0.1,) * 5), lags=3)
    with pytest.raises(ScheduleError, match="they are of 6 steps, and the run has 5"):
        skipscope.methods.block_caching(pipe, steps=5, changes=changes, threshold=0.1)
    with pytest.raises(ScheduleError, match="was measured over 3 steps, and 4 are needed"):
        skipscope.methods.smoothcache(pipe, steps=STEPS, changes=changes, threshold=0.1, lookahead=4)
    with pytest.raises(FollowError, match="it made 3 steps; more than 3, the lags, are needed"):
        skipscope.methods.measured_changes(pipe, lambda: call(pipe, num_inference_steps=3))
