"""Calls of the UNet that are not those of the step that is reused, and calls of other threads, are refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from compute.pipeline import applied
from compute.pipeline.run_steps import FollowError
from compute.policy.schedule import Schedule
from compute.unet import ExecutionError
from tests.pipeline.pipelines import (
    REUSE,
    STEPS,
    MakePolicy,
    OtherPipeline,
    embeddings,
    run_pipeline,
)
from tests.unet.tiny import DEEP

EVERY_SECOND = Schedule(steps=STEPS, actions={step: {DEEP: REUSE} for step in range(1, STEPS, 2)})


class ChangingPipeline(OtherPipeline):
    """A pipeline that predicts the noise of each step as a test says: `predict(step, call, x_t, t, embeddings)`."""

    predict: Any = None

    def _guided(self, embeddings: dict[str, Tensor], x_t: Tensor, t: Tensor, calls: int) -> Tensor:
        step = self.used.timesteps.tolist().index(int(t))
        guided: Tensor = self.predict(step, super()._guided, x_t, t, embeddings)
        return guided


def half(pipe: Any, x_t: Tensor, t: Tensor, given: dict[str, Tensor], which: int) -> Tensor:
    """Call the UNet with one half of the guidance."""
    output: Tensor = pipe.unet(x_t, t, **{name: value.chunk(2)[which] for name, value in given.items()}).sample
    return output


def refusal(pipe: Any, made: Any, predict: Any) -> str:
    pipe.predict = predict
    with pytest.raises((ExecutionError, FollowError)) as caught, applied(made, pipe):
        run_pipeline(pipe)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def changing(pipe: OtherPipeline) -> ChangingPipeline:
    return ChangingPipeline(pipe.unet, pipe.scheduler)


@pytest.fixture
def made(policy: MakePolicy) -> Any:
    return policy(EVERY_SECOND)


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("step", [2, 3])
def test_one_more_call_at_a_step_is_refused(changing: Any, made: Any, place: str, step: int) -> None:
    def predict(index: int, guided: Any, x_t: Tensor, t: Tensor, given: Any) -> Tensor:
        if index == step and place == "before":
            guided(given, x_t + 1, t, 1)
        output: Tensor = guided(given, x_t, t, 1)
        if index == step and place == "after":
            guided(given, x_t + 1, t, 1)
        return output

    line = refusal(changing, made, predict)
    assert "step 3" in line and "step 2, which it reuses" in line and "call it equally often at every step" in line


def test_calls_from_a_callback_at_the_end_of_a_step_are_refused(pipe: OtherPipeline, made: Any) -> None:
    def at_step(step: int, x_t: Tensor) -> None:
        if step == 1:
            t = pipe.used.timesteps[step + 1]
            pipe.unet(torch.cat([x_t] * 2), t, **embeddings())

    refused = pytest.raises(ExecutionError, match="called once at step 3, and was 2 times at step 2")
    with refused, applied(made, pipe):
        run_pipeline(pipe, at_step=at_step)


def test_guidance_in_two_calls_that_become_one_is_refused(changing: Any, made: Any) -> None:
    def predict(index: int, guided: Any, x_t: Tensor, t: Tensor, given: Any) -> Tensor:
        if index < 3:
            output: Tensor = guided(given, x_t, t, 2)
            return output
        return half(changing, x_t, t, given, 1)

    assert "call 0 of the UNet at step 3 has the prompts, or the half of the guidance, of another place" in refusal(
        changing, made, predict
    )


@pytest.mark.parametrize("which", [0, 1])
def test_guidance_that_ends_after_one_of_two_calls_is_refused(changing: Any, made: Any, which: int) -> None:
    """Also where the half that remains is the one that was called first: then the numbers of calls tell."""

    def predict(index: int, guided: Any, x_t: Tensor, t: Tensor, given: Any) -> Tensor:
        output: Tensor = guided(given, x_t, t, 2) if index < 3 else half(changing, x_t, t, given, which)
        return output

    assert "step 2, which it reuses" in refusal(changing, made, predict)


def test_guidance_in_another_order_is_refused(changing: Any, made: Any) -> None:
    def swapped(given: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: torch.cat(value.chunk(2)[::-1]) for name, value in given.items()}

    for calls in (1, 2):

        def predict(index: int, guided: Any, x_t: Tensor, t: Tensor, given: Any, calls: int = calls) -> Tensor:
            output: Tensor = guided(swapped(given) if index == 5 else given, x_t, t, calls)
            return output

        assert "call 0 of the UNet at step 5 has the prompts" in refusal(changing, made, predict)


def test_halves_in_one_buffer_are_told_apart(changing: Any, made: Any) -> None:
    buffer: dict[str, Tensor] = {}

    def predict(index: int, guided: Any, x_t: Tensor, t: Tensor, given: Any) -> Tensor:
        outputs = []
        for which in (1, 0) if index == 1 else (0, 1):
            for name, value in given.items():
                buffer.setdefault(name, torch.empty_like(value.chunk(2)[0])).copy_(value.chunk(2)[which])
            outputs.append(changing.unet(x_t, t, **buffer).sample)
        return outputs[0]

    assert "call 0 of the UNet at step 1 has the prompts" in refusal(changing, made, predict)


def test_a_batch_that_is_halved_is_refused(changing: Any, made: Any) -> None:
    def predict(index: int, guided: Any, x_t: Tensor, t: Tensor, given: Any) -> Tensor:
        output: Tensor = guided(given, x_t, t, 1) if index < 5 else half(changing, x_t, t, given, 0)
        return output

    assert "samples have shape (2, 3, 8, 8) at step 5 and had (4, 3, 8, 8) at step 4" in refusal(
        changing, made, predict
    )


def test_an_argument_that_comes_or_goes_is_refused(changing: Any, made: Any) -> None:
    def predict(index: int, guided: Any, x_t: Tensor, t: Tensor, given: Any) -> Tensor:
        mask = {"encoder_attention_mask": torch.ones(4, 5, dtype=torch.bool)} if index < 5 else {}
        output: Tensor = guided({**given, **mask}, x_t, t, 1)
        return output

    assert "the UNet is given encoder_attention_mask at only one of the two: step 5, and step 4" in refusal(
        changing, made, predict
    )


def test_calls_at_another_timestep_are_refused(changing: Any, made: Any) -> None:
    def predict(index: int, guided: Any, x_t: Tensor, t: Tensor, given: Any) -> Tensor:
        times = torch.stack([t, t, t, t - 1]) if index == 4 else t
        output: Tensor = guided(given, x_t, times, 1)
        return output

    assert "during step 4, which is at" in refusal(changing, made, predict)


def test_what_fits_is_carried_out(changing: Any, made: Any, pipe: OtherPipeline) -> None:
    """New tensors of equal values, other prompts from a step on, and a call more at every step."""
    with applied(made, pipe):
        expected = run_pipeline(pipe)
    outputs = []
    for calls, new in ((1, 0), (2, 0), (1, 1)):

        def predict(
            index: int, guided: Any, x_t: Tensor, t: Tensor, given: Any, calls: int = calls, new: int = new
        ) -> Tensor:
            if calls == 2:
                guided(given, x_t + 1, t.repeat(4), 1)
            given = {name: value + new * (index > 4) for name, value in given.items()}
            output: Tensor = guided(given, x_t, t.clone(), 1)
            return output

        changing.predict = predict
        with applied(made, changing):
            outputs.append(run_pipeline(changing))
    assert torch.equal(outputs[0], expected) and torch.equal(outputs[1], expected)
    assert outputs[2].isfinite().all() and not torch.equal(outputs[2], expected)


def in_thread(work: Callable[[], Any]) -> BaseException | None:
    """Return what `work` raises in a thread of its own."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised[0] if raised else None


def test_two_threads_are_refused_and_the_first_ends_as_alone(pipe: OtherPipeline, made: Any) -> None:
    errors: list[BaseException | None] = []

    def at_step(step: int, x_t: Tensor) -> None:
        if step == 2:
            errors.append(in_thread(lambda: run_pipeline(pipe)))
            errors.append(in_thread(lambda: pipe.unet(torch.cat([x_t] * 2), 500, **embeddings())))
            errors.append(in_thread(lambda: pipe.scheduler.step(x_t, 500, x_t)))

    with applied(made, pipe):
        expected = run_pipeline(pipe)
        assert torch.equal(run_pipeline(pipe, at_step=at_step), expected)
    assert len(errors) == 3
    for error in errors:
        assert isinstance(error, FollowError)
        assert "two threads sample with it at once" in str(error) and "\n" not in str(error)


def test_threads_may_take_turns_also_after_a_run_that_failed(pipe: OtherPipeline, made: Any) -> None:
    class Stop(Exception):
        pass

    def at_step(step: int, x_t: Tensor) -> None:
        raise Stop

    with applied(made, pipe):
        expected = run_pipeline(pipe)
        results: list[Tensor] = []
        assert in_thread(lambda: results.append(run_pipeline(pipe))) is None
        with pytest.raises(Stop):
            run_pipeline(pipe, at_step=at_step)
        assert isinstance(in_thread(lambda: run_pipeline(pipe, at_step=at_step)), Stop)
        results.append(run_pipeline(pipe))
    assert all(torch.equal(result, expected) for result in results)
