"""The two sets of conditions of a bench: calibration chooses, the held-out set reports; they share no prompt."""

from __future__ import annotations

from collections.abc import Sequence, Set
from pathlib import Path
from typing import Literal

from compute.config.bench_schema import BenchConfig, BenchPrompts
from compute.config.errors import ConfigError
from compute.config.field_types import PromptSplit
from compute.metrics.judge import Judge
from compute.models.equal_prompts import check_different, token_key
from compute.models.mini.scenes.scene import captions
from compute.models.model import Model
from compute.models.unreadable_prompts import check_prompts
from compute.policy.bench_report import BenchSet
from compute.policy.skip_policy import SkipPolicy
from compute.sweep.plan.conditions import read_prompts
from store.errors import SkipscopeError
from store.records import Condition, content_key

Field = Literal["calibration", "held_out"]
_MOST_DRAWN = 50  # captions drawn for one that is taken


def bench_conditions(
    config: BenchConfig, model: Model, judge: Judge | None, folder: Path, policies: Sequence[SkipPolicy] = ()
) -> tuple[tuple[Condition, ...], tuple[Condition, ...]]:
    """Return the conditions of the calibration and of the held-out set; prompt files lie in `folder`.

    Random captions may repeat within a set, with another seed each; the held-out ones took no part in the search for
    one of the `policies`. Raises ConfigError for prompts that are in both sets or that such a search has used, that the
    model takes for the same, or that it or the judge can't read.
    """
    searched = [prompt for policy in policies if policy.prediction for prompt in policy.prediction.prompts]
    calibration = _prompts("calibration", config.calibration, folder, seen=())
    held_out = _prompts("held_out", config.held_out, folder, seen=[*calibration, *searched])
    components = model.pipe.components
    key = token_key(components)
    used = {key(prompt) for prompt in searched}
    if (prompt := next((prompt for prompt in held_out if key(prompt) in used), None)) is not None:
        raise ConfigError(
            f"held_out.prompts: {prompt[:80]!r} took part in the search for one of the policies; give other prompts"
        )
    known = {key(prompt) for prompt in calibration}
    for field, prompts in {"calibration": calibration, "held_out": held_out}.items():
        check_prompts(components, prompts, f"{field}.prompts")
        check_different(components, prompts, f"{field}.prompts")
        try:
            if judge is not None:
                judge.check_prompts(prompts)
        except SkipscopeError as error:
            raise ConfigError(f"{field}.prompts: {error}") from None
    if (shared := next((prompt for prompt in held_out if key(prompt) in known), None)) is not None:
        raise ConfigError(
            f"held_out.prompts: {shared[:80]!r} is among calibration's, too: what chooses must not report; give others"
        )
    return _conditions(config.calibration, calibration, config), _conditions(config.held_out, held_out, config)


def described(prompts: BenchPrompts, conditions: Sequence[Condition]) -> BenchSet:
    """Return what a report says of a set."""
    asked = prompts.prompts
    where = f"glide-mini's {asked.split} captions" if isinstance(asked, PromptSplit) else f"{len(conditions)} prompts"
    return BenchSet(
        prompts=where,
        seeds=f"{conditions[0].seed} to {conditions[-1].seed}, one a prompt",
        conditions=len(conditions),
        digest=content_key([[condition.prompt, condition.seed] for condition in conditions]),
    )


def _prompts(field: Field, given: BenchPrompts, folder: Path, seen: Sequence[str]) -> list[str]:
    """Return the prompts of a set: those of a list or file, each once, or random captions, which may repeat."""
    asked = given.prompts
    if isinstance(asked, PromptSplit):
        return _captions(field, asked, frozenset(seen))
    try:
        return list(dict.fromkeys(read_prompts(asked, folder)))
    except ConfigError as error:
        raise ConfigError(f"{field}.{error}") from None


def _captions(field: Field, asked: PromptSplit, seen: Set[str]) -> list[str]:
    """Return random captions of the half of a split that belongs to a set.

    A caption's digest decides to which half it belongs. There are so few captions of a single object that otherwise the
    first set would leave none to the second.
    """
    amount = 3 * asked.count
    while amount <= _MOST_DRAWN * asked.count:
        drawn = captions(asked.split, amount, asked.seed)
        found = [prompt for prompt in drawn if _half(prompt) == field and prompt not in seen]
        if len(found) >= asked.count:
            return found[: asked.count]
        amount *= 2
    raise ConfigError(
        f"{field}.prompts.count: {asked.count} captions that the other set lacks were not found; ask for fewer"
    )


def _half(caption: str) -> Field:
    return "held_out" if int(content_key(caption), 16) % 2 else "calibration"


def _conditions(given: BenchPrompts, prompts: Sequence[str], config: BenchConfig) -> tuple[Condition, ...]:
    return tuple(
        Condition(prompt=prompt, seed=given.first_seed + i, guidance=config.guidance)
        for i, prompt in enumerate(prompts)
    )
