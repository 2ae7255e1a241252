"""The sample sheet of a sweep: each condition at full compute beside the most and the least harmful ablations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from compute.analysis.impact.ablation_impact import AblationImpact, Impact
from compute.analysis.impact.component_kinds import group_name
from compute.images import INK, PAPER, RULE, font, image_of, save_png, wrapped
from store.records import Ablation
from store.sweep_store import SweepStore

_SHOWN = 3
_SIDE = 128
_GAP = 8
_CAPTION = 300
_HEAD = 100


def write_sheet(store: SweepStore, impact: Impact, path: Path) -> None:
    """Write the PNG: a row a condition of the first batch. Raises SkipscopeError where it cannot be written."""
    columns = [("full compute", "", None), *_chosen(impact)]
    baseline = next(unit for unit in store.header.plan if unit.role == "baseline")
    pictures = [_pictures(store, baseline.key, ablation) for _, _, ablation in columns]
    rows = len(baseline.conditions)
    width = _CAPTION + len(columns) * (_SIDE + _GAP) + _GAP
    sheet = Image.new("RGB", (width, _HEAD + rows * (_SIDE + _GAP)), PAPER)
    ink = ImageDraw.Draw(sheet)
    for column, (title, damage, _) in enumerate(columns):
        left = _CAPTION + column * (_SIDE + _GAP)
        ink.multiline_text((left, 6), wrapped(title, _SIDE, font(13)), fill=INK, font=font(13), spacing=2)
        ink.text((left, _HEAD - 20), damage, fill=INK, font=font(13))
    ink.line([(_GAP, _HEAD - 3), (width - _GAP, _HEAD - 3)], fill=RULE)
    for row, condition in enumerate(baseline.conditions):
        top = _HEAD + row * (_SIDE + _GAP)
        ink.multiline_text(
            (_GAP, top + 4), wrapped(condition.prompt, _CAPTION - 3 * _GAP, font(17)), fill=INK, font=font(17)
        )
        ink.text((_GAP, top + _SIDE - 20), f"seed {condition.seed}", fill=INK, font=font(13))
        for column, shown in enumerate(pictures):
            sheet.paste(image_of(shown[row], _SIDE), (_CAPTION + column * (_SIDE + _GAP), top))
    save_png(sheet, path)


def _chosen(impact: Impact) -> list[tuple[str, str, AblationImpact]]:
    """The most harmful ablations, one a component, and the least harmful ones, one a window."""
    ranked = impact.only(windows=impact.main_windows).ranked()
    place = {id(a): number for number, a in enumerate(ranked)}
    worst = list({a.ablation.components: a for a in reversed(ranked)}.values())
    worst = sorted(worst, key=lambda a: place[id(a)])[:_SHOWN]
    best = sorted({a.ablation.window: a for a in ranked}.values(), key=lambda a: -place[id(a)])[:_SHOWN]
    return [(_title(a.ablation), f"{impact.scale} {a.effect.mean:.3f}", a) for a in [*worst, *best[::-1]]]


def _title(ablation: Ablation) -> str:
    return f"{ablation.action} {group_name(ablation.components)}, steps {ablation.window}"


def _pictures(store: SweepStore, baseline: str, shown: AblationImpact | None) -> npt.NDArray[np.float32]:
    """The final pictures of a batch: its baseline's, or one ablation's."""
    keys = (baseline,) if shown is None else shown.keys
    key = next((key for key in keys if key is not None and baseline in (key, store.header.units[key].baseline)), None)
    assert key is not None, "an impact is computed from units of the plan"
    with store.read(key) as reader:
        final: npt.NDArray[np.float32] = reader.final
    return final
