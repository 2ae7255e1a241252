"""After a policy was applied, and beside other code's methods, the pipeline is as before."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor

from compute.pipeline import applied
from compute.pipeline.run_steps import FollowError
from compute.policy.skip_policy import PolicyError
from compute.unet import ExecutionError
from tests.pipeline.pipelines import DROPPED, SCHEDULES, STEPS, MakePolicy, OtherPipeline, ddpm, run_pipeline
from tests.unet.tiny import make_unet


def state(pipe: OtherPipeline) -> dict[str, list[tuple[str, int]]]:
    """Return the names and identities of the attributes of scheduler and modules, in order.

    Those that every run of a pipeline changes are left out.
    """
    own = [
        (key, id(value))
        for key, value in pipe.scheduler.__dict__.items()
        if key not in ("timesteps", "num_inference_steps")
    ]
    return {"scheduler": own} | {
        path: [(key, id(value)) for key, value in module.__dict__.items()] for path, module in pipe.unet.named_modules()
    }


class Stop(Exception):
    """Raised inside the context on purpose."""


@pytest.mark.parametrize("where", ["nowhere", "body", "run", "refusal"])
def test_the_pipeline_is_restored_exactly(pipe: OtherPipeline, policy: MakePolicy, where: str) -> None:
    run_pipeline(pipe)
    before = state(pipe)

    def stop(*_: Any) -> None:
        raise Stop

    for _ in range(2):
        try:
            with applied(policy(), pipe) as execution:
                run_pipeline(
                    pipe,
                    at_step=stop if where == "run" else None,
                    num_inference_steps=9 if where == "refusal" else STEPS,
                )
                assert execution.peak_cache_bytes >= execution.cache_bytes == 0
                if where == "body":
                    raise Stop
        except (Stop, PolicyError):
            assert where != "nowhere"
        assert state(pipe) == before


def test_an_interrupted_run_does_not_affect_the_next_one(pipe: OtherPipeline, policy: MakePolicy) -> None:
    def stop(step: int, _: Tensor) -> None:
        if step == 4:
            raise Stop

    with applied(policy(), pipe):
        whole = run_pipeline(pipe)
        with pytest.raises(Stop):
            run_pipeline(pipe, at_step=stop)
        assert torch.equal(run_pipeline(pipe), whole)


def test_other_methods_are_called_and_stay(pipe: OtherPipeline, policy: MakePolicy) -> None:
    """Methods that other code has set on scheduler and UNet are called, and stay in place afterwards."""
    called: list[str] = []

    def set_method(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def method(*args: Any, **kwargs: Any) -> Any:
            called.append(name)
            return original(*args, **kwargs)

        owner.__dict__[name] = method

    set_method(pipe.scheduler, "step")
    set_method(pipe.scheduler, "set_timesteps")
    set_method(pipe.unet, "forward")
    try:
        before = state(pipe)
        with applied(policy(), pipe):
            run_pipeline(pipe)
        assert state(pipe) == before
        assert [called.count(name) for name in ("set_timesteps", "step", "forward")] == [1, 8, 4]
    finally:
        del pipe.unet.__dict__["forward"]


def test_signatures_are_kept(pipe: OtherPipeline, policy: MakePolicy) -> None:
    names = ("step", "set_timesteps")
    before = [inspect.signature(getattr(pipe.scheduler, name)) for name in names]
    with applied(policy(), pipe):
        assert [inspect.signature(getattr(pipe.scheduler, name)) for name in names] == before
        assert pipe.scheduler.step.__name__ == "step"


def test_a_deep_copy_of_the_scheduler_is_independent_and_usable_afterwards(
    pipe: OtherPipeline, policy: MakePolicy
) -> None:
    plain = run_pipeline(pipe)
    pipe.scheduler.set_timesteps(3)
    with applied(policy(), pipe):
        run_pipeline(pipe, scheduler="deep copy")
        kept = pipe.used
        assert len(pipe.scheduler.timesteps) == 3
    pipe.scheduler = kept
    assert torch.equal(run_pipeline(pipe), plain)


def test_nesting_is_refused(unet: Any, pipe: OtherPipeline, policy: MakePolicy) -> None:
    other = OtherPipeline(make_unet(), pipe.scheduler)
    with applied(policy(), pipe):
        with pytest.raises((FollowError, ExecutionError), match="leave that context"), applied(policy(), pipe):
            pass
        with pytest.raises(FollowError, match="its scheduler is followed already"), applied(policy(), other):
            pass
        with (
            pytest.raises(FollowError, match="its UNet is followed already"),
            applied(policy(), OtherPipeline(unet, ddpm())),
        ):
            pass
        with applied(policy(), OtherPipeline(make_unet(), ddpm())) as execution:
            assert execution.resolved.schedule == SCHEDULES[DROPPED]
    with applied(policy(), other):
        pass
