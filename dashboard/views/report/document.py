"""The report as one HTML document: read without a network, a server or a script, and the same for the same store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from streamlit.logger import set_log_level

from dashboard.data.sweep import Sweep, open_sweep
from dashboard.data.verdicts import headline_impact, verdicts_of
from dashboard.views.overview.sweep_facts import sweep_facts
from dashboard.views.overview.sweep_state import config_file
from dashboard.views.report.finding_sections import findings_html, impact_html, phases_html, verdict_html
from dashboard.views.report.html_parts import Figures, download, facts_html, heading, paragraph, text_html
from dashboard.views.report.picture_sections import pairs_html
from dashboard.views.report.policy_sections import policies_html
from dashboard.widgets.escaping import escape_html
from store.errors import SkipscopeError
from store.folder.files import save_file

_STYLE = Path(__file__).parents[2] / "theme" / "report.css"
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "script-src 'none'; object-src 'none'"
)
"""What a browser lets the document do: show its own style and the pictures that stand in it."""
_RECORD_CHARACTERS = 20_000


def write_report(folder: Path, path: Path) -> None:
    """Write the report of a sweep's folder to a file, whole or not at all. Raises SkipscopeError."""
    set_log_level("ERROR")  # Streamlit warns at each cache that no page is shown
    save_file(path, report_html(open_sweep(folder)).encode("utf-8"))


def report_html(sweep: Sweep) -> str:
    """Return the report. What cannot be read is named in its section. Raises SkipscopeError without a readable plan."""
    title = f"Skipscope report: {sweep.path.name}"
    sections = "\n".join(part for part in _sections(sweep) if part)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape_html(_POLICY)}">'
        '<meta name="referrer" content="no-referrer">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape_html(title)}</title><style>{_STYLE.read_text(encoding='utf-8')}</style></head>\n"
        f"<body><main>{heading(title, 1)}{paragraph(_state(sweep), 'muted')}\n"
        f"{sections}\n</main></body></html>\n"
    )


def _state(sweep: Sweep) -> str:
    counts = sweep.status().counts
    model = str(sweep.header.config.get("model", ""))[:120]
    return f"{model}: {counts.done} of {counts.planned} planned units are done, {counts.failed} failed."


def _sections(sweep: Sweep) -> list[str]:
    figures = Figures()
    impact, why = headline_impact(sweep)
    parts = [verdict_html(verdicts_of(sweep, impact))]
    if impact is None:
        parts.append(heading("Findings") + paragraph(why or "No ablation is finished so far.", "problem"))
    else:
        parts.append(_section("Findings", lambda: findings_html(sweep, impact, figures)))
    parts.append(_section("Phases", lambda: phases_html(sweep.phases(), figures)))
    if impact is not None:
        parts.append(_section("Impact", lambda: impact_html(sweep, impact, figures)))
        parts.append(_section("Pictures", lambda: pairs_html(sweep, impact)))
    parts.append(_section("Policies", lambda: policies_html(sweep, figures)))
    parts.append(_provenance(sweep))
    return parts


def _section(title: str, build: Callable[[], str]) -> str:
    """A section, or its title with what prevents it."""
    try:
        return build()
    except (SkipscopeError, OSError) as error:
        return heading(title) + paragraph(str(error), "problem")


def _provenance(sweep: Sweep) -> str:
    header = sweep.header
    record = {"settings": header.settings, "provenance": header.provenance}
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False)[:_RECORD_CHARACTERS]
    config = config_file(header.config)
    return "".join(
        [
            heading("What was swept"),
            facts_html(sweep_facts(sweep)),
            heading("Provenance", 3),
            f'<pre tabindex="0">{text_html(text)}</pre>',
            download("sweep.yaml: the sweep's configuration", "sweep.yaml", config, "application/yaml"),
        ]
    )
