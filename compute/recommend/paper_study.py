"""The seed paper's study (arXiv 2312.14965) on any model: its claims beside what a sweep of eliminations shows.

The paper removes blocks, attention and skip connections of GLIDE's UNet over windows of time steps, and removes what
turns out redundant to save about 27% of the inference time. docs/paper.md says how what it leaves open is read here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from compute.analysis.impact.ablation_impact import AblationImpact, Impact
from compute.analysis.impact.component_kinds import group_name
from compute.analysis.impact.group_curves import mean_change, mean_impact
from compute.analysis.phases.phase_evidence import Phases
from compute.analysis.report.findings import NEGLIGIBLE
from compute.analysis.report.sentences import steps_text
from compute.policy.quality import Validation
from compute.policy.skip_policy import SkipPolicy
from store.records import Window

PAPER = "arXiv 2312.14965"
TIME_SAVED = 0.27
"""The share of the inference time that the paper saves."""
LEAST_SPEEDUP = 1 / (1 - TIME_SAVED)
_TOLERATED = -0.02  # of whole prompts that are right: what counts as minimal degradation
Agrees = Literal["yes", "no", "cannot be told"]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim of the paper, what was found here, and whether the two agree."""

    claim: str
    here: str
    agrees: Agrees


@dataclass(frozen=True, kw_only=True)
class PaperStudy:
    """The paper's study on one model."""

    model: str
    claims: tuple[Claim, ...]
    groups: dict[str, dict[str, str]]
    """The damage of components that are eliminated together, by group and by window."""
    redundant: dict[str, tuple[str, ...]]
    """By window, the components whose elimination does less than NEGLIGIBLE damage."""

    def as_json(self) -> dict[str, Any]:
        """Return the study as a JSON object."""
        return {"paper": PAPER, **asdict(self)}


def paper_study(model: str, impact: Impact, phases: Phases, policy: SkipPolicy) -> PaperStudy:
    """Compare the paper's claims with a sweep's impact (by a metric with a damage scale), its phases, and a policy.

    `policy` eliminates components, saves TIME_SAVED of the time by the cost model, and has been validated.
    """
    assert policy.validation is not None, "the policy has been validated"
    single = [a for a in impact.ablations if len(a.ablation.components) == 1]
    together = [a for a in impact.ablations if len(a.ablation.components) > 1]
    redundant = {steps_text(window): _redundant(single, window) for window in impact.windows}
    return PaperStudy(
        model=model,
        claims=(
            _phases_claim(phases),
            _change_claim(replace(impact, ablations=tuple(single))),
            _redundancy_claim(single, redundant),
            *_time_claims(policy.validation),
        ),
        groups=_groups(together),
        redundant=redundant,
    )


def _phases_claim(phases: Phases) -> Claim:
    claim = "A composition phase comes first, a denoising phase after it."
    if (boundary := phases.boundary) is None:
        return Claim(claim=claim, here=phases.missing or "No boundary is found.", agrees="cannot be told")
    inside = boundary.low > 0 and boundary.high < phases.steps
    return Claim(
        claim=claim,
        here=f"A switched prompt decides the picture up to step {boundary.shown('.1f')} of {phases.steps}.",
        agrees="yes" if inside else "cannot be told",
    )


def _change_claim(impact: Impact) -> Claim:
    first, last = impact.windows[0], impact.windows[-1]
    early, late = impact.only(windows=(first,)), impact.only(windows=(last,))
    change = mean_change(early, late)
    return Claim(
        claim="What a component does for the picture depends on the time step.",
        here=f"An elimination in {steps_text(first)} does a damage of {mean_impact(early)} on average, in "
        f"{steps_text(last)} {mean_impact(late)}.",
        agrees="yes" if change.low > 0 or change.high < 0 else "cannot be told",
    )


def _redundant(single: Sequence[AblationImpact], window: Window) -> tuple[str, ...]:
    return tuple(a.ablation.components[0] for a in single if a.ablation.window == window and a.effect.high < NEGLIGIBLE)


def _redundancy_claim(single: Sequence[AblationImpact], redundant: dict[str, tuple[str, ...]]) -> Claim:
    count = len({a.ablation.components for a in single})
    shares = ", ".join(f"{len(names)} in {window}" for window, names in redundant.items())
    return Claim(
        claim="Some components are redundant at some time steps.",
        here=f"Of {count} components, eliminated alone, these do less than {NEGLIGIBLE} damage: {shares}.",
        agrees="yes" if any(redundant.values()) else "no",
    )


def _time_claims(validation: Validation) -> Iterator[Claim]:
    """Yield the paper's claim about time and quality, and what it does not compare: fewer steps in the same time."""
    own, full, fewer = validation.policy, validation.run("full"), validation.run("fewer_steps")
    saved = 1 - 1 / own.speedup.mean
    here = f"{saved:.0%} less time ({own.speedup.shown('.2f')}x), damage {own.damage['mse']} by mse"
    difference = validation.fidelity_difference.get("all")
    agrees: Agrees = "cannot be told" if saved >= TIME_SAVED else "no"
    if difference is not None and full is not None:
        here += (
            f"; whole prompt right {own.fidelity['all'].shown('.1%')}, full compute "
            f"{full.fidelity['all'].shown('.1%')} (difference {difference.shown('+.1%')})"
        )
        agrees = _about_quality(difference.low, difference.high) if saved >= TIME_SAVED else "no"
    yield Claim(
        claim=f"Eliminations save about {TIME_SAVED:.0%} of the inference time with minimal degradation.",
        here=f"{here}; {validation.conditions} prompts that the search did not see.",
        agrees=agrees,
    )
    if fewer is not None:
        right = f", whole prompt right {fewer.fidelity['all'].shown('.1%')}" if "all" in fewer.fidelity else ""
        yield Claim(
            claim="(The paper does not compare with fewer steps.)",
            here=f"Full compute with {fewer.steps} steps takes {fewer.speedup.shown('.2f')}x{right}.",
            agrees="cannot be told",
        )


def _about_quality(low: float, high: float) -> Agrees:
    """Return whether a difference of fidelity, given by its interval, is a minimal degradation."""
    if low >= _TOLERATED:
        return "yes"
    return "no" if high < _TOLERATED else "cannot be told"


def _groups(together: Sequence[AblationImpact]) -> dict[str, dict[str, str]]:
    rows: dict[str, dict[str, str]] = {}
    for a in together:
        name = f"{group_name(a.ablation.components)}, {a.ablation.action}"
        rows.setdefault(name, {})[steps_text(a.ablation.window)] = str(a.effect)
    return rows
