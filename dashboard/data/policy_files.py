"""The policies of a sweep, read without trusting them: the files, what a budget allows, the component graph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compute.policy.graph import ComponentGraph
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.skip_policy import SkipPolicy
from store.errors import SkipscopeError, StoreError
from store.folder.documents import document_names, read_document

FILE_LIMIT = 500
BUDGET_LIMIT = 100.0
DEFAULT_BUDGET = 0.01
_LINE_LIMIT = 400
_DIGITS = (1, 1.5, 2, 3, 5, 7)


@dataclass(frozen=True, kw_only=True)
class PolicyFile:
    """A file of the store's policies folder: its policy, or the one line that says why it is none."""

    stem: str
    data: bytes
    policy: SkipPolicy | None = None
    problem: str = ""

    @property
    def validated(self) -> bool:
        """Whether it may be offered."""
        return self.policy is not None and self.policy.validation is not None


def policy_files(root: Path) -> tuple[PolicyFile, ...]:
    """Every policy file of a store by name, FILE_LIMIT at most. Raises StoreError where the folder can't be read."""
    try:
        names = document_names(root, "policies", ".json")
    except OSError as error:
        raise StoreError(f"{root}: its policies cannot be listed: {error.strerror or error}") from error
    return tuple(_policy_file(root, name) for name in names[:FILE_LIMIT])


def _policy_file(root: Path, name: str) -> PolicyFile:
    try:
        return read_policy(name, read_document(root, "policies", name))
    except SkipscopeError as error:
        return PolicyFile(stem=name.removesuffix(".json"), data=b"", problem=one_line(error))


def read_policy(name: str, data: bytes) -> PolicyFile:
    """A policy file of that name from its bytes. Raises nothing: a file that is no policy says why."""
    stem = name.removesuffix(".json")
    try:
        return PolicyFile(stem=stem, data=data, policy=SkipPolicy.loads(data, name))
    except SkipscopeError as error:
        return PolicyFile(stem=stem, data=data, problem=one_line(error).removeprefix(f"{name}: "))


def one_line(error: Exception) -> str:
    """An error's first line without control characters and of a length that a page can show."""
    first, *others = str(error).splitlines() or [""]
    text = " ".join("".join(character if character.isprintable() else " " for character in first).split())
    text = f"{text} (and {len(others)} more)".strip() if others else text
    return text if len(text) <= _LINE_LIMIT else text[: _LINE_LIMIT - 1] + "…"


def resolved_on(graph: ComponentGraph, policy: SkipPolicy) -> ResolvedSchedule:
    """What the policy runs, reads and keeps. Raises SkipscopeError where it does not fit the graph."""
    return resolve(graph, policy.schedule)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a budget allows: the fastest policy within it, and the least harmful one there is."""

    fastest: PolicyFile | None
    least: PolicyFile | None


def damage_by(file: PolicyFile, metric: str) -> float | None:
    """A validated policy's mean damage by a metric, where it was measured."""
    if file.policy is None or file.policy.validation is None:
        return None
    damage = file.policy.validation.policy.damage.get(metric)
    return None if damage is None else damage.mean


def within(files: tuple[PolicyFile, ...], metric: str, budget: float) -> Choice:
    """The fastest validated policy whose mean damage by a metric is within a budget."""
    known = [(damage, file) for file in files if (damage := damage_by(file, metric)) is not None]
    allowed = [file for damage, file in known if damage <= budget]
    return Choice(
        fastest=max(allowed, key=_speedup, default=None),
        least=min(known, key=lambda item: item[0], default=(0.0, None))[1],
    )


def budgets(files: tuple[PolicyFile, ...], metric: str, asked: str | None = None) -> list[float]:
    """Budgets to choose from, even by ratio: from just below the least damage there is to just above the greatest.

    What an address asks for is one of them if it is a number from 0 to BUDGET_LIMIT. Empty without a measured damage.
    """
    known = [damage for file in files if (damage := damage_by(file, metric)) is not None]
    if not known:
        return []
    grid = [float(f"{digit}e{power}") for power in range(-6, 3) for digit in _DIGITS]
    low = max((value for value in grid if value < min(known)), default=0.0)
    high = min((value for value in grid if value >= max(known)), default=BUDGET_LIMIT)
    found = {low, high, *(value for value in grid if low <= value <= high)}
    return sorted(found | _asked(asked))


def _asked(text: str | None) -> set[float]:
    try:
        value = float(text or "nan")
    except ValueError:
        return set()
    return {value} if 0 <= value <= BUDGET_LIMIT and f"{value:g}" == text else set()


def _speedup(file: PolicyFile) -> float:
    assert file.policy is not None and file.policy.validation is not None, "only validated policies have a speedup"
    return file.policy.validation.policy.speedup.mean
