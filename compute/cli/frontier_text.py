"""The text of `recommend` for budgets: what to run within each, and what was gained."""

from __future__ import annotations

from compute.policy.frontier_report import FrontierChoice, FrontierReport


def frontier_lines(report: FrontierReport) -> list[str]:
    """Return a line for each budget, with what is beaten and by how much."""
    lines = [
        f"{report.model}, guidance {report.guidance:g}: {len(report.candidates)} ways to sample were run, for "
        f"{report.spent:.0f} evaluations of the network; {report.loss}, 0 is best, on {report.conditions} conditions"
    ]
    for choice in report.choices:
        chosen = report.candidate(choice.chosen)
        lines.append(
            f"  {choice.budget:g} {report.unit}: {chosen.label}: {chosen.loss} "
            f"({chosen.evaluations:.2f} evaluations, {chosen.seconds:.3f} s){_verdict(choice, report)}"
        )
    return lines


def _verdict(choice: FrontierChoice, report: FrontierReport) -> str:
    """Return the comparison with full compute as the end of a line."""
    if choice.plain is None:
        return "; full compute by no solver fits"
    if choice.difference is None:
        return "; nothing else was better than full compute"
    beaten = f"{choice.plain} ({report.candidate(choice.plain).loss})"
    told = "" if choice.gains else ", which these conditions cannot tell from none"
    return f"; {choice.difference} against {beaten}{told}"
