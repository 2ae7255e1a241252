"""Sections of the report with pictures: ablations beside their baselines, policies beside full compute.

Pictures are reduced, and of each choice only the first conditions are shown, so that the file stays small.
"""

from __future__ import annotations

from compute.analysis.impact.ablation_impact import Impact
from dashboard.data.ablation_runs import AblationRun
from dashboard.data.impact_cells import Cell
from dashboard.data.sweep import Sweep
from dashboard.data.unit_data import final_pictures
from dashboard.data.validation_pictures import Tile, ValidationPictures
from dashboard.views.policies.run_labels import RUN_CAPTIONS, RUN_LABELS
from dashboard.views.report.html_parts import cards, heading, paragraph, picture, picture_card
from dashboard.widgets.images import data_url, pixels_of, reduced
from dashboard.words.action_labels import action_label
from dashboard.words.formatting import number_text, window_label
from dashboard.words.metric_labels import scale_label
from store.errors import SkipscopeError

_SIDE = 128  # pixels of a picture's longer side
_CONDITIONS = 4
_ABLATIONS = 6


def pairs_html(sweep: Sweep, impact: Impact) -> str:
    """Return the most harmful ablation of each main window, beside the baseline of the same noise."""
    most: dict[tuple[int, int], Cell] = {}
    main = set(impact.main_windows)
    for cell in sweep.cells(impact.metric):
        window = cell.ablation.window
        if window in main and cell.ablation in sweep.runs.by_ablation:
            most.setdefault((window.start, window.stop), cell)
    shown = [most[place] for place in sorted(most)][:_ABLATIONS]
    if not shown:
        return ""
    intro = "In each window the ablation that changes most, beside the baseline of the same prompt and noise."
    return "".join(
        [heading("Pictures"), paragraph(intro, "muted"), *(_pairs_of(sweep, impact, cell) for cell in shown)]
    )


def _pairs_of(sweep: Sweep, impact: Impact, cell: Cell) -> str:
    what = f"{cell.label.full} · {action_label(cell.ablation.action).lower()} · {window_label(cell.ablation.window)}"
    title = f"{what}: {scale_label(impact).lower()} {number_text(cell.mean)}"
    runs = sweep.runs.by_ablation[cell.ablation][:_CONDITIONS]
    return heading(title, 3) + cards([_pair(sweep, run) for run in runs])


def _pair(sweep: Sweep, run: AblationRun) -> str:
    condition = sweep.runs.conditions[run.condition]
    seed = f"Seed {condition.seed}"
    try:
        baseline, ablated = (pixels_of(final_pictures(sweep, key)[run.index]) for key in (run.baseline, run.key))
    except (SkipscopeError, OSError) as error:
        return picture_card([], condition.prompt, f"{seed}. Cannot be shown: {error}")
    both = [("Baseline", baseline), ("Ablated", ablated)]
    return picture_card([_picture(tile, name, condition.prompt) for name, tile in both], condition.prompt, seed)


def policy_pictures_html(pictures: ValidationPictures) -> str:
    """Return the pictures of a policy's validation."""
    some = []
    for index, (prompt, seed) in enumerate(pictures.conditions[:_CONDITIONS]):
        row = [
            _picture(tiles[index], RUN_CAPTIONS[run], f"{RUN_LABELS[run]}: {prompt}")
            for run, tiles in pictures.tiles.items()
        ]
        some.append(picture_card(row, prompt, f"Seed {seed}"))
    return cards(some)


def _picture(pixels: Tile, caption: str, alt: str) -> str:
    return picture(data_url(reduced(pixels, _SIDE)), caption, alt)
