"""The prompt switches of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from compute.config.errors import ConfigError
from compute.config.field_types import SwitchEvery
from compute.config.schema import SweepConfig
from store.records import Condition, PromptSwitch


def switch_steps(config: SweepConfig) -> tuple[int, ...]:
    """Return the steps at which the prompt is switched, ascending. Raises ConfigError for one outside the run.

    If there are any, step 0 is among them: a switch there gives the other prompt's baseline from the same noise.
    """
    steps = config.sampler.steps
    if config.prompt_switch is None:
        return ()
    if isinstance(config.prompt_switch, SwitchEvery):
        return tuple(range(0, steps, config.prompt_switch.every))
    for i, step in enumerate(config.prompt_switch):
        if step >= steps:
            raise ConfigError(f"prompt_switch.{i}: step {step} of {steps}; 0 to {steps - 1} are accepted")
    return tuple(sorted({0, *config.prompt_switch}))


def switches_of(
    config: SweepConfig, batches: Sequence[tuple[Condition, ...]]
) -> Iterator[tuple[PromptSwitch, tuple[Condition, ...]]]:
    """Yield each switch with its batch. Every prompt is switched to the sweep's next one, the last to the first.

    Raises ConfigError for a sweep of one prompt, and for a step outside the run.
    """
    prompts = list(dict.fromkeys(condition.prompt for batch in batches for condition in batch))
    steps = switch_steps(config)
    if steps and len(prompts) < 2:
        raise ConfigError("prompt_switch: there is one prompt and nothing to switch to; give two or more prompts")
    following = dict(zip(prompts, [*prompts[1:], *prompts[:1]], strict=True))
    for step in steps:
        for batch in batches:
            yield PromptSwitch(step=step, prompts=tuple(following[c.prompt] for c in batch)), batch
