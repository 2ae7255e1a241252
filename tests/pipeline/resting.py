"""Policies whose guidance rests, and a slow reference that always runs the whole batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from compute.pipeline.for_pipeline import policy_for_pipeline
from compute.policy.extrapolation import extrapolated
from compute.policy.rules import rules_of
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import SkipPolicy
from store.records import Action

REST = Action(name="reuse")
LINE = Action(name="reuse", order=1)
NONE = Action(name="bypass")


def resting(
    pipe: Any, actions: Mapping[int, Mapping[str, Action]], steps: int = 5, guidance: float = 5.0
) -> SkipPolicy:
    """Return a policy with these actions by step."""
    plain = policy_for_pipeline(pipe, rules=(), steps=steps, guidance=guidance)
    return plain.model_copy(update={"rules": rules_of(Schedule(steps=plain.sampler.steps, actions=actions))})


@contextmanager
def rows_seen(unet: Any) -> Iterator[list[int]]:
    """Yield the number of rows that the network's first convolution is given in each call."""
    rows: list[int] = []
    hook = unet.conv_in.register_forward_hook(lambda module, args, output: rows.append(len(output)))
    try:
        yield rows
    finally:
        hook.remove()


@contextmanager
def whole_batches(unet: Any, rests: Mapping[int, Action], conditional: int = 1) -> Iterator[None]:
    """Make every call of the UNet, one a step, run the whole batch; at steps that rest the other half is replaced."""
    forward: Callable[..., Any] = unet.forward
    differences: dict[int, Tensor] = {}
    step = -1

    def run(*args: Any, **kwargs: Any) -> Any:
        nonlocal step
        step += 1
        output = forward(*args, **kwargs)[0]
        halves = list(output.chunk(2))
        own, other = halves[conditional], halves[1 - conditional]
        action = rests.get(step)
        if action is None:
            differences[step] = own - other
        elif action.name == "bypass":
            halves[1 - conditional] = own
        elif action.order == 0:
            halves[1 - conditional] = own - differences[max(differences)]
        else:
            earlier, latest = sorted(differences)[-2:]
            line = extrapolated(step, (latest, earlier), (differences[latest], differences[earlier]))
            halves[1 - conditional] = own - line
        return (torch.cat(halves),)

    own_forward = unet.__dict__.get("forward")
    unet.forward = run
    try:
        yield
    finally:
        del unet.forward
        if own_forward is not None:
            unet.forward = own_forward
