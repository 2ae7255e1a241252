"""Policies to test with: one that is easy to read, and random ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from compute.policy.quality import ClipComparison, ClipQuality, Prediction, RunQuality, Validation
from compute.policy.rules import rules_of
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import PolicyModel, SkipPolicy
from compute.statistics.estimate import Estimate
from store.records import Action
from store.sampler import SamplerSettings

DIGEST = "0123456789abcdef" * 4
DIGESTS = {"float32": DIGEST, "float16": DIGEST[::-1], "bfloat16": "a" * 64}
X0 = Action(name="reuse", order=1, space="x0")


def policy_of(
    schedule: Schedule, *, unet: Mapping[str, str] = DIGESTS, sampler: str = "ddpm", **changes: Any
) -> SkipPolicy:
    """A policy with the rules of a schedule, for weights of these digests."""
    if schedule.steps == 1:  # DDPM has at least two
        sampler = "ddim"
    spacing = "linspace" if sampler == "ddpm" else "trailing"
    fields: dict[str, Any] = {
        "name": "tested",
        "model": PolicyModel(name="tiny", weights=DIGEST, unet=dict(unet)),  # type: ignore[arg-type]
        "sampler": SamplerSettings(name=sampler, steps=schedule.steps, spacing=spacing),  # type: ignore[arg-type]
        "guidance": 3.0,
        "rules": rules_of(schedule),
    }
    return SkipPolicy(**(fields | changes))


SIMPLE = policy_of(
    Schedule(steps=25, actions={step: {"unet": X0} for step in (6, 7, 9)} | {12: {"mid_block": Action(name="bypass")}}),
    provenance={"made": "by hand"},
)


def document(**changes: Any) -> dict[str, Any]:
    """The JSON document of SIMPLE with other fields."""
    return json.loads(SIMPLE.dumps()) | changes  # type: ignore[no-any-return]


def unet_rule(start: int, stop: int, **action: Any) -> dict[str, Any]:
    """A rule of `unet` in the steps [start, stop), as a JSON object."""
    return {"components": ["unet"], "window": {"start": start, "stop": stop}, "action": {"name": "reuse"} | action}


numbers = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(min_value=1e-300, allow_infinity=False)
plain = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp"]), min_size=1, max_size=20)
estimates = st.builds(Estimate, mean=numbers, low=numbers, high=numbers)
predictions = st.builds(Prediction, metric=plain, speedup=positive, damage=estimates, conditions=st.integers(1, 10**6))
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
actions = st.one_of(
    st.builds(Action, name=st.sampled_from(["bypass", "zero"])),
    st.builds(
        Action, name=st.just("reuse"), order=st.sampled_from([0, 1, 2]), space=st.sampled_from([None, "eps", "x0"])
    ),
    st.builds(Action, name=st.just("reuse_delta"), order=st.sampled_from([0, 1, 2])),
)


def _runs(name: str) -> st.SearchStrategy[RunQuality]:
    return st.builds(
        RunQuality,
        name=st.just(name),
        steps=st.integers(1, 1000),
        seconds_per_picture=positive,
        speedup=estimates,
        damage=st.dictionaries(plain, estimates, max_size=2),
        fidelity=st.dictionaries(plain, estimates, max_size=2),
        kid=st.none() | estimates,
    )


_clip_comparisons = st.builds(
    ClipComparison,
    weights=digests,
    reference=st.none() | st.integers(1, 10**6),
    score_difference=st.none() | estimates,
)
_clip_qualities = st.builds(
    ClipQuality,
    score=st.none() | estimates,
    kid=st.none() | estimates,
    frechet=st.none() | st.floats(0, allow_infinity=False),
)


def _with_clip(validation: Validation) -> st.SearchStrategy[Validation]:
    """The same validation, with what a CLIP model says of each run."""
    return st.builds(
        lambda comparison, qualities: validation.model_copy(
            update={
                "clip": comparison,
                "runs": tuple(
                    run.model_copy(update={"clip": quality})
                    for run, quality in zip(validation.runs, qualities, strict=True)
                ),
            }
        ),
        _clip_comparisons,
        st.lists(_clip_qualities, min_size=len(validation.runs), max_size=len(validation.runs)),
    )


_without_clip = st.builds(
    Validation,
    prompts=plain,
    seeds=plain,
    conditions=st.integers(1, 10**6),
    batch=st.integers(1, 4096),
    rounds=st.integers(1, 100),
    dtype=st.sampled_from(["float32", "bfloat16", "float16"]),
    device=plain,
    threads=st.integers(1, 512),
    runs=st.tuples(_runs("full"), _runs("policy")) | st.tuples(_runs("policy"), _runs("fewer_steps"), _runs("full")),
    fidelity_difference=st.dictionaries(plain, estimates, max_size=2),
    provenance=st.dictionaries(plain, plain, max_size=2),
)
validations = _without_clip | _without_clip.flatmap(_with_clip)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    """Any actions of any names: a file may name any component, only a graph can refuse it."""
    steps = draw(st.integers(1, 12))
    rows = st.dictionaries(plain, actions, max_size=3)
    return Schedule(steps=steps, actions=draw(st.dictionaries(st.integers(0, steps - 1), rows, max_size=6)))


@st.composite
def policies(draw: st.DrawFn) -> SkipPolicy:
    """Any policy."""
    return policy_of(
        draw(schedules()),
        unet=draw(st.dictionaries(st.sampled_from(sorted(DIGESTS)), digests)),
        sampler=draw(st.sampled_from(["ddpm", "ddim"])),
        name=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,79}", fullmatch=True)),
        guidance=draw(st.floats(0, 100)),
        prediction=draw(st.none() | predictions),
        validation=draw(st.none() | validations),
        provenance=draw(st.dictionaries(plain, plain, max_size=3)),
    )
