"""The conditions that policies are run on: a search on some prompts, a validation on others."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from compute.config.errors import ConfigError
from compute.config.field_types import PromptFile
from compute.config.seeds import parse_seeds
from compute.models.judges import judge_for
from compute.models.mini.scenes.scene import Split, captions
from compute.models.source import ModelSource
from compute.policy.skip_policy import SkipPolicy
from compute.sweep.plan.conditions import check_prompt, read_prompts
from store.records import Condition
from store.sweep_store import SweepStore

PromptLines = Path | Sequence[str]
"""A text file with a prompt a line, or the prompts themselves."""
SeedNumbers = str | Sequence[int]
""" "0:8" (half-open), "3" or "1,5,9", or the seeds themselves."""
_CONDITION_LIMIT = 100_000


@dataclass(frozen=True, kw_only=True)
class CaptionSet:
    """A random set of captions, by the seed that selects them, and the sampling seed of its first caption.

    The seeds are far from those of sweeps and of other sets.
    """

    caption_seed: int
    first_seed: int


VALIDATION = CaptionSet(caption_seed=2, first_seed=2_000_000)
SEARCH = CaptionSet(caption_seed=3, first_seed=3_000_000)


@dataclass(frozen=True, kw_only=True)
class EvaluationConditions:
    """Conditions to run policies on, with texts that describe their prompts and their seeds."""

    conditions: tuple[Condition, ...]
    prompts: str
    seeds: str


def search_conditions(
    store: SweepStore, *, prompts: PromptLines | None, seeds: SeedNumbers | None, split: str, count: int | None
) -> tuple[Condition, ...] | None:
    """Return the conditions that a search is asked to run candidates on, or None for the sweep's own.

    The arguments are as for `evaluation_conditions`. Raises ConfigError.
    """
    if prompts is not None and count is not None:
        raise ConfigError("--prompts, --count: give one of the two")
    if prompts is None and count is None:
        if seeds is not None:
            raise ConfigError("--seeds: belongs to --prompts; without it the sweep's own prompts are run")
        return None
    source = ModelSource.of_sweep(store.header)
    guidance = next(c.guidance for unit in store.header.plan for c in unit.conditions)
    return evaluation_conditions(
        source, guidance, prompts=prompts, seeds=seeds, split=split, count=count or 1, captions_of=SEARCH
    ).conditions


def unseen_conditions(
    policy: SkipPolicy,
    source: ModelSource,
    *,
    prompts: PromptLines | None,
    seeds: SeedNumbers | None,
    split: str,
    count: int,
) -> EvaluationConditions:
    """Return conditions to validate a policy on; captions that its search used are left out.

    The arguments are as for `evaluation_conditions`. Raises ConfigError.
    """
    seen = set() if policy.prediction is None else set(policy.prediction.prompts)
    return evaluation_conditions(
        source,
        policy.guidance,
        prompts=prompts,
        seeds=seeds,
        split=split,
        count=count,
        captions_of=VALIDATION,
        seen=seen,
    )


def evaluation_conditions(
    source: ModelSource,
    guidance: float,
    *,
    prompts: PromptLines | None,
    seeds: SeedNumbers | None,
    split: str,
    count: int,
    captions_of: CaptionSet,
    seen: Set[str] = frozenset(),
) -> EvaluationConditions:
    """Return every prompt with every seed, or without prompts `count` captions of one of glide-mini's splits.

    Each caption has a seed of its own, and captions in `seen` are left out. Raises ConfigError for options that do not
    belong together or are not understood, and for too few captions.
    """
    if prompts is not None:
        return _of_prompts(prompts, _seeds("0:8" if seeds is None else seeds), guidance)
    if seeds is not None:
        raise ConfigError("--seeds: belongs to --prompts; without it each prompt has a seed of its own")
    if judge_for(source) is None:
        raise ConfigError(f"--prompts: there are no captions for {source.name!r}; give a file with one prompt a line")
    if split not in get_args(Split):
        raise ConfigError(f"--split: {split!r} is no split; accepted: {', '.join(get_args(Split))}")
    unseen = _unseen_captions(split, count, captions_of, seen)  # type: ignore[arg-type]  # checked just above
    first = captions_of.first_seed
    return EvaluationConditions(
        conditions=tuple(
            Condition(prompt=prompt, seed=first + i, guidance=guidance) for i, prompt in enumerate(unseen)
        ),
        prompts=f"glide-mini's {split} split",
        seeds=f"{first} to {first + len(unseen) - 1}, one a prompt",
    )


def _of_prompts(prompts: PromptLines, seeds: Sequence[int], guidance: float) -> EvaluationConditions:
    lines, origin = _prompt_lines(prompts), " of a file" if isinstance(prompts, Path) else ""
    if len(lines) * len(seeds) > _CONDITION_LIMIT:
        raise ConfigError(f"--prompts, --seeds: {len(lines)} prompts of {len(seeds)} seeds each are too many")
    conditions = tuple(Condition(prompt=line, seed=seed, guidance=guidance) for line in lines for seed in seeds)
    if len(set(conditions)) != len(conditions):
        raise ConfigError("--prompts, --seeds: a prompt and seed are given twice; each pair is run once")
    return EvaluationConditions(
        conditions=conditions, prompts=f"{len(lines)} prompts{origin}", seeds=_seeds_text(seeds)
    )


def _unseen_captions(split: Split, count: int, captions_of: CaptionSet, seen: Set[str]) -> list[str]:
    """Return the first `count` captions of a set that are not in `seen`. Raises ConfigError if there are too few."""
    amount, limit = count, 50 * (count + len(seen))
    while True:
        unseen = [prompt for prompt in captions(split, amount, captions_of.caption_seed) if prompt not in seen]
        if len(unseen) >= count:
            return unseen[:count]
        if amount == limit:
            raise ConfigError(f"--count: the search has seen most {split} captions; {len(unseen)} others were found")
        amount = min(2 * amount + len(seen), limit)


def _prompt_lines(prompts: PromptLines) -> list[str]:
    if isinstance(prompts, Path):
        return read_prompts(PromptFile(file=str(prompts.absolute())), Path())
    if isinstance(prompts, str) or not prompts:
        raise ConfigError("prompts: give a list of prompts, or the Path of a text file with a prompt a line")
    for number, prompt in enumerate(prompts):
        check_prompt(prompt, f"prompts.{number}")
    return list(prompts)


def _seeds(given: SeedNumbers) -> list[int]:
    try:
        seeds = parse_seeds(given) if isinstance(given, str) else list(given)
    except ConfigError as error:
        raise ConfigError(f"--{error}") from None
    if not all(0 <= seed < 2**63 for seed in seeds):
        raise ConfigError(f"--seeds: {str(given)[:60]!r}: seeds from 0 to {2**63 - 1} are accepted")
    return seeds


def _seeds_text(seeds: Sequence[int]) -> str:
    """Describe seeds in at most 60 characters, or by their number and range."""
    listed = ", ".join(map(str, seeds))
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return listed if len(listed) <= 60 else f"{len(seeds)} between {min(seeds)} and {max(seeds)}"
