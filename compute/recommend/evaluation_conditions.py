"""What policies are run on: by a search on some prompts, by a validation on others that the search never saw."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from compute.config.schema import ConfigError, PromptFile, parse_seeds, read_prompts
from compute.models.judges import judge_for
from compute.models.mini.scenes.scene import Split, captions
from compute.models.source import ModelSource
from compute.policy.skip_policy import SkipPolicy
from store.records import Condition
from store.sweep_store import SweepStore

PromptLines = Path | Sequence[str]
"""A text file with a prompt a line, or the prompts themselves."""
SeedNumbers = str | Sequence[int]
""" "0:8" (half-open), "3" or "1,5,9", or the seeds themselves."""
_CONDITION_LIMIT = 100_000


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Which captions are drawn, and their first seed, far from those of sweeps, of `fidelity` and of each other."""

    captions: int
    first_seed: int


VALIDATION = Draw(captions=2, first_seed=2_000_000)
SEARCH = Draw(captions=3, first_seed=3_000_000)


def search_conditions(
    store: SweepStore, *, prompts: PromptLines | None, seeds: SeedNumbers | None, split: str, count: int | None
) -> list[Condition] | None:
    """What a search runs its candidates on, where more than the sweep's own conditions is asked for; else None."""
    if prompts is not None and count is not None:
        raise ConfigError("--prompts, --count: give one of the two")
    if prompts is None and count is None:
        if seeds is not None:
            raise ConfigError("--seeds: belongs to --prompts; without it the sweep's own prompts are run")
        return None
    source = ModelSource.find(str(store.header.config.get("model", "")))
    guidance = next(c.guidance for unit in store.header.plan for c in unit.conditions)
    found, _ = conditions_for(
        source, guidance, prompts=prompts, seeds=seeds, split=split, count=count or 1, draw=SEARCH
    )
    return found


def unseen_conditions(
    policy: SkipPolicy,
    source: ModelSource,
    *,
    prompts: PromptLines | None,
    seeds: SeedNumbers | None,
    split: str,
    count: int,
) -> tuple[list[Condition], tuple[str, str]]:
    """What to validate a policy on, and in words its prompts and seeds. See `conditions_for`."""
    seen = set() if policy.prediction is None else set(policy.prediction.prompts)
    return conditions_for(
        source,
        policy.guidance,
        prompts=prompts,
        seeds=seeds,
        split=split,
        count=count,
        draw=VALIDATION,
        seen=seen,
    )


def conditions_for(
    source: ModelSource,
    guidance: float,
    *,
    prompts: PromptLines | None,
    seeds: SeedNumbers | None,
    split: str,
    count: int,
    draw: Draw,
    seen: Set[str] = frozenset(),
) -> tuple[list[Condition], tuple[str, str]]:
    """Conditions to run policies on, and in words their prompts and seeds.

    Every prompt of a file or list with every seed; without prompts `count` captions of one of glide-mini's splits, each
    with a seed of its own. Raises ConfigError.
    """
    if prompts is not None:
        numbers = _seeds("0:8" if seeds is None else seeds)
        lines, of_a_file = _prompt_lines(prompts), " of a file" if isinstance(prompts, Path) else ""
        if len(lines) * len(numbers) > _CONDITION_LIMIT:
            raise ConfigError(f"--prompts, --seeds: {len(lines)} prompts of {len(numbers)} seeds each are too many")
        found = [Condition(prompt=line, seed=seed, guidance=guidance) for line in lines for seed in numbers]
        if len(set(found)) != len(found):
            raise ConfigError("--prompts, --seeds: the same prompt and seed stand there twice; each is run once")
        return found, (f"{len(lines)} prompts{of_a_file}", _in_words(numbers))
    if seeds is not None:
        raise ConfigError("--seeds: belongs to --prompts; without it each prompt has a seed of its own")
    if judge_for(source) is None:
        raise ConfigError(
            f"--prompts: {source.name!r} draws no scenes with known captions; give a file, a prompt a line"
        )
    if split not in get_args(Split):
        raise ConfigError(f"--split: {split!r} is no split; accepted: {', '.join(get_args(Split))}")
    unseen = _unseen(split, count, draw, seen)  # type: ignore[arg-type]  # checked just above
    found = [Condition(prompt=prompt, seed=draw.first_seed + i, guidance=guidance) for i, prompt in enumerate(unseen)]
    return found, (
        f"glide-mini's {split} split",
        f"{draw.first_seed} to {draw.first_seed + len(found) - 1}, one a prompt",
    )


def _unseen(split: Split, count: int, draw: Draw, seen: Set[str]) -> list[str]:
    """The first `count` captions of a draw that are none of those seen. Raises ConfigError where there are too few."""
    amount, most = count, 50 * (count + len(seen))
    while True:
        found = [prompt for prompt in captions(split, amount, draw.captions) if prompt not in seen]
        if len(found) >= count:
            return found[:count]
        if amount == most:
            raise ConfigError(f"--count: the search has seen most {split} captions; {len(found)} others were found")
        amount = min(2 * amount + len(seen), most)


def _prompt_lines(prompts: PromptLines) -> list[str]:
    if isinstance(prompts, Path):
        return read_prompts(PromptFile(file=str(prompts.absolute())), Path())
    if isinstance(prompts, str) or not prompts:
        raise ConfigError("prompts: give a list of prompts, or the Path of a text file with a prompt a line")
    return list(prompts)


def _seeds(given: SeedNumbers) -> list[int]:
    try:
        numbers = parse_seeds(given) if isinstance(given, str) else list(given)
    except ConfigError as error:
        raise ConfigError(f"--{error}") from None
    if not all(0 <= seed < 2**63 for seed in numbers):
        raise ConfigError(f"--seeds: {str(given)[:60]!r}: seeds from 0 to {2**63 - 1} are accepted")
    return numbers


def _in_words(seeds: Sequence[int]) -> str:
    listed = ", ".join(map(str, seeds))
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return listed if len(listed) <= 60 else f"{len(seeds)} between {min(seeds)} and {max(seeds)}"
