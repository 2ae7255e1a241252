"""Shards that are not what was written: one panel says what to do, and nothing in them is shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dashboard.data.checked_units import CheckedReader, DamagedShard
from store.sweep_store import SweepStore
from tests.dashboard.opened_page import OpenPage, line, markup, text
from tests.dashboard.stores import ABLATED, ABLATIONS, BASELINE, CONDITIONS

Harm = Callable[[Path], None]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def flip(path: Path) -> None:
    """Change a bit of the last picture, as a failing disk does: HDF5 opens the file without a word."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


HARMS = pytest.mark.parametrize("harm", [truncate, flip])


@HARMS
def test_a_damaged_shard_is_not_shown(open_page: OpenPage, sweep: SweepStore, harm: Harm) -> None:
    broken = sweep.shard_path(ABLATIONS[0].key)
    harm(broken)
    app = open_page("evidence", sweep.root, component=ABLATED[0][0], window="0-2")
    assert not app.exception
    shown = line(app)
    assert shown.count("A shard is damaged") == 1 and shown.count(broken.stem[:12]) == 1
    assert f"skipscope store prune {sweep.root} --damaged" in shown
    assert not re.search("[0-9a-f]{64}", text(app))
    assert shown.count("Its shard is damaged") == len(CONDITIONS)
    assert "Ablated</figcaption>" not in markup(app)
    whole = open_page("evidence", sweep.root, component=ABLATED[0][0], window="3-5")
    assert "Baseline</figcaption>" in markup(whole)


@HARMS
@pytest.mark.parametrize("page", ["overview", "phases", "evidence"])
def test_a_damaged_baseline_has_one_panel(open_page: OpenPage, sweep: SweepStore, page: str, harm: Harm) -> None:
    harm(sweep.shard_path(BASELINE.key))
    app = open_page(page, sweep.root)
    assert not app.exception
    assert line(app).count("A shard is damaged") == 1 and not re.search("[0-9a-f]{64}", text(app))


def test_a_flipped_shard_is_noticed_after_it_was_read(sweep: SweepStore) -> None:
    reader = CheckedReader(sweep.root)
    for _ in range(2):
        reader.unit(BASELINE.key).close()
    flip(sweep.shard_path(BASELINE.key))
    for _ in range(2):
        with pytest.raises(DamagedShard):
            reader.unit(BASELINE.key)
