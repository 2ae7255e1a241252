"""The report's section on policies: their validation, their pictures, their files."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.data.policy_budget import damage_metrics, policy_runs
from dashboard.data.policy_files import PolicyFile
from dashboard.data.sweep import Sweep
from dashboard.theme.palette import LIGHT
from dashboard.views.policies.frontier_chart import frontier_chart
from dashboard.views.policies.quality_axes import SPEEDUP, measured_qualities
from dashboard.views.policies.validation_sentences import validation_sentences
from dashboard.views.policies.validation_tables import policy_rows, run_rows, setting_facts
from dashboard.views.report.html_parts import (
    Figures,
    bullets,
    csv_download,
    download,
    facts_html,
    heading,
    paragraph,
    table_html,
)
from dashboard.views.report.picture_sections import policy_pictures_html
from store.errors import SkipscopeError

_DETAILED = 8  # policies with all that was measured; the others are in the table
_MEASURES = ("damage", "fidelity")  # of the charts of time against quality
_FILE_BYTES = 1 << 23  # of all embedded policy files


def policies_html(sweep: Sweep, figures: Figures) -> str:
    """Return what was measured of each validated policy, the fastest first, with its file."""
    files = sorted((file for file in sweep.policies if file.validated), key=_speed, reverse=True)
    if not files:
        return heading("Policies") + paragraph("No policy was validated, so none is offered.")
    runs = policy_runs(files)
    metrics = damage_metrics(runs)
    parts = [heading("Policies")]
    by_measure = {axis.measure: axis for axis in reversed(measured_qualities(runs, metrics))}  # the first of each
    for quality in (by_measure[measure] for measure in _MEASURES if measure in by_measure):
        chart = frontier_chart(files, SPEEDUP, quality, "", LIGHT)
        parts.append(figures.figure(chart, f"Measured time against quality: {quality.label}. Lines are intervals."))
    rows = policy_rows(files, next(iter(metrics), None))
    parts += [table_html(rows, "Validated policies"), csv_download(rows, "policies")]
    parts += [_policy(sweep, file) for file in files[:_DETAILED]]
    if len(files) > _DETAILED:
        parts.append(paragraph(f"{len(files) - _DETAILED} more policies are in the table above.", "muted"))
    return "".join([*parts, heading("Policy files", 3), _files(files)])


def _policy(sweep: Sweep, file: PolicyFile) -> str:
    policy = file.policy
    assert policy is not None and policy.validation is not None, "only validated policies are shown"
    name = policy.name if policy.name == file.stem else f"{policy.name} ({file.stem})"
    return "".join(
        [
            heading(name, 3),
            bullets(validation_sentences(policy.validation)),
            table_html(run_rows(policy.validation), f"Validation of {file.stem}"),
            facts_html(setting_facts(policy, policy.validation)),
            _pictures(sweep, file.stem),
        ]
    )


def _pictures(sweep: Sweep, stem: str) -> str:
    try:
        pictures = sweep.validation_pictures(stem)
    except SkipscopeError as error:
        return paragraph(f"The pictures cannot be shown: {error}", "problem")
    return "" if pictures is None else policy_pictures_html(pictures)


def _files(files: Sequence[PolicyFile]) -> str:
    links, size = [], 0
    for file in files:
        size += len(file.data)
        if size > _FILE_BYTES:
            links.append(paragraph("The other files are too large to be embedded; the store has them.", "muted"))
            break
        links.append(download(f"{file.stem}.json", f"{file.stem}.json", file.data, "application/json"))
    intro = "Each link saves the file that `skipscope sample --policy` and `SkipPolicy.load` take."
    return paragraph(intro.replace("`", ""), "muted") + "".join(links)


def _speed(file: PolicyFile) -> float:
    assert file.policy is not None and file.policy.validation is not None, "only validated policies have a speed"
    return file.policy.validation.policy.speedup.mean
