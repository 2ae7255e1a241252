"""The verdicts: the answers to the three questions that people come with, for the Overview's cards and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from compute.analysis.impact.ablation_impact import Impact, NoImpact
from compute.analysis.impact.resting import TOGETHER
from compute.analysis.report.findings import NEGLIGIBLE, too_early
from compute.analysis.report.phase_sentences import evidence_name
from compute.analysis.report.policy_verdict import policy_verdict
from compute.statistics.estimate import Estimate
from dashboard.data.policy_budget import DEFAULT_BUDGET, choose_within, damage_by, damage_metrics, policy_runs
from dashboard.data.rest import default_start, removal_windows, rest_of
from dashboard.data.sweep import Sweep
from dashboard.words.component_labels import ablated_label
from dashboard.words.formatting import window_label
from dashboard.words.metric_labels import metric_in_sentence
from store.errors import SkipscopeError

_NAMED = 4
_METRIC = "mse"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer to one question, with its interval, in a few words; what it rests on; and where its evidence is."""

    question: str
    answer: str
    interval: str = ""
    details: str
    page: str
    link: str
    choices: Mapping[str, str] = field(default_factory=dict)


def headline_impact(sweep: Sweep) -> tuple[Impact | None, str]:
    """Return the impact that findings are stated from, or None with the reason if there is one to state."""
    names = sweep.metrics
    if not names:
        return None, ""
    if early := too_early(sweep.coverage):
        return None, f"{early} The page Impact shows what is done."
    try:
        return sweep.impact(_METRIC if _METRIC in names else names[0]), ""
    except NoImpact as reason:
        return None, f"{reason}."


def verdicts_of(sweep: Sweep, impact: Impact | None) -> tuple[Verdict, ...]:
    """Return the three verdicts, or none before there is anything to judge; `impact` is None before there is enough."""
    if not sweep.runs.by_ablation and not sweep.policies:
        return ()
    return composition_verdict(sweep), rest_verdict(sweep, impact), policy_verdict_of(sweep)


def composition_verdict(sweep: Sweep) -> Verdict:
    """Return where composition ends, by the causal evidence."""
    question, link = "Where does composition end?", "See both kinds of evidence"
    try:
        phases = sweep.phases()
    except SkipscopeError as reason:
        return Verdict(question=question, answer="Not known", details=f"{reason}", page="phases", link=link)
    boundary = phases.boundary
    if boundary is None:
        details = phases.missing or "At all the steps that were tried, the same prompt wins."
        return Verdict(question=question, answer="Not known", details=details, page="phases", link=link)
    share = boundary.mean / phases.steps
    return Verdict(
        question=question,
        answer=f"At step {boundary.mean:.1f} of {phases.steps}",
        interval=_brackets(boundary),
        details=f"After {share:.0%} of the run, another prompt no longer decides what the picture shows (judged by: "
        f"{evidence_name(phases.evidence)}, {phases.conditions} conditions).",
        page="phases",
        link=link,
    )


def rest_verdict(sweep: Sweep, impact: Impact | None) -> Verdict:
    """Return which components can rest from the end of composition on."""
    question, link = "What can rest from there on?", "See them in the map"
    if impact is None or impact.scale != "damage":
        details = "Too few ablations are finished." if impact is None else "Damage was not measured."
        return Verdict(question=question, answer="Not known", details=details, page="impact", link=link)
    if not removal_windows(sweep, impact.metric):
        return Verdict(question=question, answer="Not known", details="Nothing was removed.", page="impact", link=link)
    start = default_start(sweep, impact.metric)
    rest = rest_of(sweep, impact.metric, start=start, stop=sweep.steps, threshold=NEGLIGIBLE)
    covered = window_label(rest.steps) if rest.steps else "no window"
    names = [ablated_label(components).full for components in rest.components]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    named = f" {', '.join(names[:_NAMED])}{more}." if names else ""
    return Verdict(
        question=question,
        answer=f"{len(names)} of {rest.tried} components",
        interval=f"in {covered}",
        details=f"Damage below {NEGLIGIBLE:g} in every window, by the interval's upper end over "
        f"{len(impact.conditions)} conditions{':' if named else '.'}{named} {TOGETHER}",
        page="impact",
        link=link,
        choices={"metric": impact.metric, "rest_from": str(start), "rest_below": f"{NEGLIGIBLE:g}"},
    )


def policy_verdict_of(sweep: Sweep) -> Verdict:
    """Return the best policy for the default budget, beside its rival."""
    question, link = "Which policy is best?", "Compare policies"
    files = [file for file in sweep.policies if file.validated]
    metric = next(iter(damage_metrics(policy_runs(files))), None)
    if metric is None:
        details = "No policy was validated yet; the page Policies has the commands."
        return Verdict(question=question, answer="Not known", details=details, page="policies", link=link)
    choice = choose_within(files, metric, DEFAULT_BUDGET)
    chosen, budget = choice.recommended, f"damage {DEFAULT_BUDGET:g} by {metric_in_sentence(metric)}"
    if chosen is None:
        least = choice.nearest
        damage = None if least is None else damage_by(least, metric)
        details = f"The least damage of a validated policy is {damage or 0:.3g}."
        return Verdict(question=question, answer=f"None within {budget}", details=details, page="policies", link=link)
    assert chosen.policy is not None and chosen.policy.validation is not None
    validation = chosen.policy.validation
    return Verdict(
        question=f"Which policy is best within {budget}?",
        answer=f"{chosen.policy.name}: {validation.policy.speedup.mean:.2f}x",
        interval=_brackets(validation.policy.speedup, ".2f"),
        details=policy_verdict(validation),
        page="policies",
        link=link,
        choices={"budget": f"{DEFAULT_BUDGET:g}"},
    )


def _brackets(estimate: Estimate, form: str = ".1f") -> str:
    return f"[{estimate.low:{form}}, {estimate.high:{form}}]"
