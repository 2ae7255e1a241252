"""The conditions and prompts that a search takes from its sweep."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import TypeAdapter, ValidationError

from compute.config.plain_text import Text
from compute.policy.quality import MAX_PROMPTS
from compute.recommend.goal import NoRecommendation
from store.records import Condition
from store.sweep_store import SweepStore

_MIN_CONDITIONS, _MAX_CONDITIONS = 18, 32
_SEED_STEP = 7919


def tuning_conditions(store: SweepStore) -> list[Condition]:
    """Return the sweep's conditions, then its prompts with further seeds: 18 to 32 in all."""
    own = list(dict.fromkeys(c for unit in store.header.plan if unit.role == "baseline" for c in unit.conditions))
    further = [
        condition.model_copy(update={"seed": condition.seed + _SEED_STEP * extra})
        for extra in range(1, -(-_MIN_CONDITIONS // len(own)))
        for condition in own
    ]
    return list(dict.fromkeys([*own, *further]))[:_MAX_CONDITIONS]


def search_prompts(store: SweepStore, conditions: Sequence[Condition]) -> tuple[str, ...]:
    """Return every prompt that a search uses: the sweep's, from which evidence comes, and those of `conditions`.

    Raises NoRecommendation for prompts that a policy file can't hold.
    """
    own = (condition for unit in store.header.plan for condition in unit.conditions)
    prompts = tuple(dict.fromkeys(condition.prompt for condition in (*own, *conditions)))
    if len(prompts) > MAX_PROMPTS:
        raise NoRecommendation(f"prompts: {len(prompts)} are too many for a policy; at most {MAX_PROMPTS} are accepted")
    for prompt in prompts:
        try:
            TypeAdapter(Text).validate_python(prompt)
        except ValidationError:
            raise NoRecommendation(
                f"prompts: {prompt[:60]!r} can't stand in a policy; at most 2000 printable characters are accepted"
            ) from None
    return prompts
