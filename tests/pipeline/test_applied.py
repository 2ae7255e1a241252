"""A policy on somebody else's pipeline: what our own loop gives, refusals before anything is drawn askew, no trace."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from compute.pipeline import (
    TextEncoding,
    applied,
    initial_noise,
    make_scheduler,
    sample,
    step_generators,
)
from compute.policy.graph import ComponentGraph
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule, ScheduleError
from compute.policy.skip_policy import PolicyError, SkipPolicy
from compute.unet import ExecutionError, UnsupportedUNet, executing, parameter_digests
from store.records import Action
from store.sampler import SamplerSettings
from tests.pipeline.pipelines import SEEDS, ForeignPipeline, ddim, ddpm
from tests.policy.graphs import step_actions
from tests.policy.policies import DIGESTS, policy_of
from tests.unet.tiny import make_unet

STEPS = 8
SHAPE = (3, 8, 8)
DEEP = "up_blocks.1.upsamplers.0"
REUSE = Action(name="reuse")
SCHEDULES = {
    f"unet {space} order {order}": Schedule(
        steps=STEPS,
        actions={step: {"unet": Action(name="reuse", space=space, order=order)} for step in (2, 4, 5, 7)},  # type: ignore[arg-type]
    )
    for space in ("eps", "x0")
    for order in (0, 1)
} | {
    "nothing": Schedule.empty(STEPS),
    "deepcache": Schedule(steps=STEPS, actions={step: {DEEP: REUSE} for step in (1, 3, 4, 6)}),
    "bypass": Schedule(
        steps=STEPS, actions={step: {"mid_block.attentions.0": Action(name="bypass")} for step in range(3, 8)}
    ),
    "delta": Schedule(steps=STEPS, actions={2: {"mid_block.resnets.0": Action(name="reuse_delta")}}),
    "all": Schedule(
        steps=STEPS, actions={3: {DEEP: REUSE}, 4: {"unet": Action(name="reuse", space="x0")}, 6: {DEEP: REUSE}}
    ),
}
DROPPED = "unet x0 order 0"


@pytest.fixture(scope="module")
def digests(unet: nn.Module) -> dict[str, str]:
    return dict(parameter_digests(unet))


@pytest.fixture
def pipe(unet: nn.Module) -> ForeignPipeline:
    return ForeignPipeline(unet, ddpm())


Policies = Callable[..., SkipPolicy]


@pytest.fixture(scope="module")
def policy(digests: dict[str, str]) -> Policies:
    """Makes a policy for the tiny UNet: of a schedule's name, or of a schedule."""

    def make(schedule: str | Schedule = DROPPED, **changes: Any) -> SkipPolicy:
        given = SCHEDULES[schedule] if isinstance(schedule, str) else schedule
        return policy_of(given, **({"unet": digests} | changes))

    return make


def embeddings() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    rows = 2 * len(SEEDS)
    return {
        "encoder_hidden_states": torch.randn(rows, 5, 32, generator=generator),
        "class_labels": torch.randn(rows, 128, generator=generator),
    }


def draw(pipe: ForeignPipeline, **arguments: Any) -> Tensor:
    given = {"noise": lambda step: step_generators(SEEDS, step), "num_inference_steps": STEPS} | arguments
    return pipe(embeddings(), initial_noise(SEEDS, SHAPE), **given)  # type: ignore[no-any-return]


def own_loop(unet: Any, graph: ComponentGraph, policy: SkipPolicy, sampler: str = "ddpm") -> Tensor:
    """What the project's own loop gives under the policy's schedule."""
    text = TextEncoding(sequence=embeddings()["encoder_hidden_states"], pooled=embeddings()["class_labels"])
    scheduler = make_scheduler({}, SamplerSettings.model_validate({"name": sampler, "steps": STEPS}))
    x_t = initial_noise(SEEDS, SHAPE)
    with executing(unet, resolve(graph, policy.schedule)) as execution:
        for step in sample(unet, scheduler, text, x_t, seeds=SEEDS, guidance=3.0, execution=execution):
            x_t = step.x_next
    return x_t


@pytest.mark.parametrize("name", SCHEDULES)
def test_it_is_our_own_loop(
    unet: Any, graph: ComponentGraph, pipe: ForeignPipeline, policy: Policies, name: str
) -> None:
    made = policy(name)
    expected = own_loop(unet, graph, made)
    with applied(made, pipe):
        found = [draw(pipe), draw(pipe), draw(pipe, scheduler="deep copy")]
    assert all(torch.equal(one, expected) for one in found)
    assert torch.equal(draw(pipe), expected) == (name == "nothing"), "afterwards everything is computed"


@pytest.mark.parametrize("name", SCHEDULES)
def test_guidance_in_two_calls(
    unet: Any, graph: ComponentGraph, pipe: ForeignPipeline, policy: Policies, name: str
) -> None:
    made = policy(name)
    with applied(made, pipe):
        found = draw(pipe, calls=2)
    torch.testing.assert_close(found, own_loop(unet, graph, made), atol=1e-4, rtol=1e-4)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_policy_is_our_own_loop(
    unet: Any, graph: ComponentGraph, pipe: ForeignPipeline, policy: Policies, data: st.DataObject
) -> None:
    rows = {step: data.draw(step_actions(graph, order=1)) for step in range(2, STEPS) if data.draw(st.booleans())}
    made = policy(Schedule(steps=STEPS, actions=rows))
    try:
        expected = own_loop(unet, graph, made)
    except ScheduleError:
        with pytest.raises(PolicyError, match=r"rules: "), applied(made, pipe):
            pass
        return
    with applied(made, pipe):
        assert torch.equal(draw(pipe), expected)


@pytest.mark.parametrize("name", SCHEDULES)
def test_ddim(unet: Any, graph: ComponentGraph, policy: Policies, name: str) -> None:
    """Plain diffusers' DDIM; ours does the same, with its own coefficients' rounding."""
    pipe, made = ForeignPipeline(unet, ddim()), policy(name, sampler="ddim")
    with applied(made, pipe):
        found = draw(pipe, use_clipped_model_output=True)
    torch.testing.assert_close(found, own_loop(unet, graph, made, "ddim"), atol=2e-3, rtol=2e-3)


def test_the_unet_does_not_run_at_dropped_steps(unet: Any, pipe: ForeignPipeline, policy: Policies) -> None:
    ran: list[int] = []
    hook = unet.conv_in.register_forward_hook(lambda *_: ran.append(1))
    try:
        with applied(policy(), pipe):
            for calls in (1, 2):
                draw(pipe, calls=calls)
    finally:
        hook.remove()
    assert len(ran) == 4 + 2 * 4, "4 of 8 steps run"


def test_a_dropped_output_is_not_a_number(pipe: ForeignPipeline, policy: Policies) -> None:
    """Who looks at the UNet's output at a dropped step must not take it for one; it has the type that was asked for."""
    seen: list[Any] = []
    hook = pipe.unet.register_forward_hook(lambda _, given, output: seen.append(output))
    with applied(policy(), pipe):
        draw(pipe)
        draw(pipe, calls=2)
    hook.remove()
    assert [step for step, output in enumerate(seen[:STEPS]) if output[0].isnan().all()] == [2, 4, 5, 7]
    assert {type(output) for output in seen[:STEPS]} == {tuple}
    assert len({type(output) for output in seen[STEPS:]} | {tuple}) == 2
    assert {output[0].shape for output in seen[:STEPS]} == {(4, 6, 8, 8)}


def test_pictures_in_half_precision(policy: Policies) -> None:
    """The scheduler's input and output keep the pipeline's dtype; the weights are recognised in it."""
    half = make_unet().to(torch.bfloat16)
    pipe = ForeignPipeline(half, ddpm())
    with applied(policy(), pipe):
        found = pipe(
            {name: value.bfloat16() for name, value in embeddings().items()},
            initial_noise(SEEDS, SHAPE, dtype=torch.bfloat16),
            noise=lambda step: step_generators(SEEDS, step),
            num_inference_steps=STEPS,
        )
    assert found.dtype == torch.bfloat16
    assert found.isfinite().all()


def state(pipe: ForeignPipeline) -> dict[str, list[tuple[str, int]]]:
    """Attributes of scheduler and modules by identity and order, but for what any run of a pipeline changes."""
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
def test_nothing_is_left_behind(pipe: ForeignPipeline, policy: Policies, where: str) -> None:
    draw(pipe)
    before = state(pipe)

    def stop(*_: Any) -> None:
        raise Stop

    for _ in range(2):
        try:
            with applied(policy(), pipe) as execution:
                draw(
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


def test_a_run_that_broke_off_leaves_the_next_one_whole(pipe: ForeignPipeline, policy: Policies) -> None:
    def stop(step: int, _: Tensor) -> None:
        if step == 4:
            raise Stop

    with applied(policy(), pipe):
        whole = draw(pipe)
        with pytest.raises(Stop):
            draw(pipe, at_step=stop)
        assert torch.equal(draw(pipe), whole)


def test_beside_foreign_methods(pipe: ForeignPipeline, policy: Policies) -> None:
    """Methods that somebody has put on scheduler and UNet are called through, and are there again afterwards."""
    called: list[str] = []

    def put(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def foreign(*args: Any, **kwargs: Any) -> Any:
            called.append(name)
            return original(*args, **kwargs)

        owner.__dict__[name] = foreign

    put(pipe.scheduler, "step")
    put(pipe.scheduler, "set_timesteps")
    put(pipe.unet, "forward")
    try:
        before = state(pipe)
        with applied(policy(), pipe):
            draw(pipe)
        assert state(pipe) == before
        assert [called.count(name) for name in ("set_timesteps", "step", "forward")] == [1, 8, 4]
    finally:
        del pipe.unet.__dict__["forward"]


def test_signatures_are_as_before(pipe: ForeignPipeline, policy: Policies) -> None:
    names = ("step", "set_timesteps")
    before = [inspect.signature(getattr(pipe.scheduler, name)) for name in names]
    with applied(policy(), pipe):
        assert [inspect.signature(getattr(pipe.scheduler, name)) for name in names] == before
        assert pipe.scheduler.step.__name__ == "step"


def test_a_copied_scheduler_is_its_own_and_outlives_the_context(pipe: ForeignPipeline, policy: Policies) -> None:
    plain = draw(pipe)
    pipe.scheduler.set_timesteps(3)
    with applied(policy(), pipe):
        draw(pipe, scheduler="deep copy")
        kept = pipe.used
        assert len(pipe.scheduler.timesteps) == 3
    pipe.scheduler = kept
    assert torch.equal(draw(pipe), plain)


def test_nesting_is_refused(unet: Any, pipe: ForeignPipeline, policy: Policies) -> None:
    other = ForeignPipeline(make_unet(), pipe.scheduler)
    with applied(policy(), pipe):
        with pytest.raises((PolicyError, ExecutionError), match="leave that context"), applied(policy(), pipe):
            pass
        with pytest.raises(PolicyError, match="its scheduler already follows a policy"), applied(policy(), other):
            pass
        with pytest.raises(ExecutionError, match="this UNet already"), applied(policy(), ForeignPipeline(unet, ddpm())):
            pass
        with applied(policy(), ForeignPipeline(make_unet(), ddpm())) as execution:
            assert execution.resolved.schedule == SCHEDULES[DROPPED]
    with applied(policy(), other):
        pass


def refused(made: SkipPolicy, pipe: Any, **arguments: Any) -> str:
    """The one line that a policy is refused with, before or when the pipeline draws."""
    with pytest.raises(PolicyError) as caught, applied(made, pipe):
        draw(pipe, **arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_other_weights_are_refused(pipe: ForeignPipeline, policy: Policies) -> None:
    assert refused(policy(unet=DIGESTS), pipe).startswith(
        "weights: the policy is for tiny (float32 0123456789ab), this UNet has others ("
    )
    other = make_unet()
    with torch.no_grad():
        other.conv_out.bias[0] += 1e-6
    assert refused(policy(), ForeignPipeline(other, ddpm())).endswith("load that model, or make a policy for this one")
    assert "the policy knows them in bfloat16; load the pipeline so, not in float32" in refused(
        policy(unet={"bfloat16": DIGESTS["bfloat16"]}), pipe
    )


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(1, 40))
def test_another_number_of_steps_is_refused_and_the_way_out_works(
    pipe: ForeignPipeline, policy: Policies, steps: int
) -> None:
    assume(steps != STEPS)
    made = policy("bypass")
    line = refused(made, pipe, num_inference_steps=steps)
    assert line == (
        f"steps: the policy is for 8 steps, this run has {steps}: run with num_inference_steps=8, "
        f"or make one for {steps} steps: policy.resampled({steps})"
    )
    if steps > 1:
        with applied(made.resampled(steps), pipe):
            assert draw(pipe, num_inference_steps=steps).isfinite().all()


def test_other_schedulers_are_refused(unet: Any, pipe: ForeignPipeline, policy: Policies) -> None:
    import diffusers

    line = refused(policy(), ForeignPipeline(unet, ddim()))
    assert "the policy is for ddpm, pipe.scheduler is a DDIMScheduler: give the pipeline a DDPMScheduler" in line
    pndm: Any = diffusers.PNDMScheduler
    assert "pipe.scheduler is a PNDMScheduler" in refused(policy(), ForeignPipeline(unet, pndm()))
    line = refused(policy(), ForeignPipeline(unet, ddpm(timestep_spacing="leading")))
    assert "for linspace spacing, where step 0 is at timestep 999; in this run it is at 875" in line
    assert "timestep_spacing to 'linspace'" in line
    custom = [999, 800, 700, 600, 500, 300, 100, 0]
    assert "where step 1 is at timestep 856; in this run it is at 800" in refused(policy(), pipe, timesteps=custom)
    assert "prediction_type is 'v_prediction'" in refused(
        policy(), ForeignPipeline(unet, ddpm(prediction_type="v_prediction"))
    )
    made = policy("bypass", sampler="ddim")
    assert "ddim with eta 0, this run has 0.5" in refused(made, ForeignPipeline(unet, ddim()), eta=0.5)
    with pytest.raises(PolicyError, match="spacing of ddim is trailing or leading, not linspace"):
        SkipPolicy.loads(made.dumps().replace('"trailing"', '"linspace"'))


def test_the_policys_own_timesteps_may_be_given(pipe: ForeignPipeline, policy: Policies) -> None:
    with applied(policy(), pipe):
        expected = draw(pipe)
        timesteps = pipe.scheduler.timesteps.tolist()
        assert torch.equal(draw(pipe, timesteps=timesteps), expected)


def test_runs_that_the_policy_cannot_follow_are_refused(pipe: ForeignPipeline, policy: Policies) -> None:
    assert "its step 0 is at timestep 714, the policy's at 999: a policy is for whole runs" in refused(
        policy("nothing"), pipe, first=2
    )
    assert "the UNet was called outside a run; the policy follows pipe.scheduler" in refused(
        policy(), pipe, scheduler="new"
    )
    with applied(policy(), pipe):
        draw(pipe)
        with pytest.raises(PolicyError, match="the scheduler stepped outside a run"):
            pipe.scheduler.step(torch.zeros(1, 6, 8, 8), 0, torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            {"up_blocks.7.resnets.0": REUSE},
            "rules: no component is called 'up_blocks.7.resnets.0'; near names: up_blocks.",
        ),
        ({"skip:conv_in": Action(name="bypass")}, "rules: skip:conv_in can't bypass at step 0"),
        ({"unet": REUSE}, "rules: unet can't reuse (eps) at step 0: no step before it computes unet"),
    ],
)
def test_rules_that_the_unet_cannot_carry_out_are_refused(
    pipe: ForeignPipeline, policy: Policies, row: dict[str, Action], says: str
) -> None:
    assert refused(policy(Schedule(steps=STEPS, actions={0: row})), pipe).startswith(says)


def test_what_is_no_pipeline_or_no_unet_that_can_be_read(policy: Policies) -> None:
    class Empty:
        unet, scheduler = None, None

    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

    with pytest.raises(PolicyError, match="pipe: a Empty has no unet and scheduler"), applied(policy(), Empty()):
        pass
    other = Transformer()
    pipe = type("Pipe", (), {"unet": other, "scheduler": ddpm()})()
    made = policy(unet=parameter_digests(other))
    with pytest.raises(UnsupportedUNet, match="its unet is a Transformer"), applied(made, pipe):
        pass


def test_other_guidance_is_told_once(pipe: ForeignPipeline, policy: Policies) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with applied(policy(), pipe):
            draw(pipe, guidance_scale=3)
    with applied(policy(), pipe):
        with pytest.warns(UserWarning, match="guidance: the policy was made for 3, this run has 5"):
            draw(pipe, guidance_scale=5.0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            draw(pipe, guidance_scale=5.0)


def test_a_pipeline_that_tells_no_guidance(unet: Any, policy: Policies) -> None:
    class Silent(ForeignPipeline):
        guidance_scale = None  # type: ignore[assignment]

    pipe = Silent(unet, ddpm())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with applied(policy(), pipe):
            draw(pipe, guidance_scale=7.0)


def test_a_policy_survives_its_file(pipe: ForeignPipeline, policy: Policies) -> None:
    with applied(policy("all"), pipe):
        expected = draw(pipe)
    with applied(SkipPolicy.loads(policy("all").dumps()), pipe):
        assert torch.equal(draw(pipe), expected)
