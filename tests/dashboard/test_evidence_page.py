"""The evidence page: conditions with a right baseline, and what a stage of a cascade was given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from compute.policy.graph_document import write_graph
from store.metric import MetricInfo, MetricValues
from store.sweep_store import SweepStore
from tests.dashboard.opened_page import OpenPage, charts, line, markup
from tests.dashboard.stores import ABLATED, BASELINE, CONDITIONS, PLAN, make_store, payload
from tests.dashboard.test_network_map import UNET_LIKE


def sweep_with(path: Path, *, right: tuple[int, ...] = (1, 0, 1), given: bool = False) -> SweepStore:
    """A finished sweep with these verdicts of its baselines, and with pictures that they were given."""
    store = make_store(path, done=0)
    info = MetricInfo(name="fidelity_all", direction="higher", low=0, high=1, paired=False)
    judged = MetricValues(info=info, values=np.array(right, dtype=float))
    own = payload(BASELINE)
    metrics = (*(values for values in own.metrics if values.info.name != "fidelity_all"), judged)
    inputs = np.full((len(CONDITIONS), 2, 2, 3), 9, np.uint8) if given else None
    with store.drive("a test"):
        store.record(store.write(BASELINE, replace(own, metrics=metrics, inputs=inputs)))
        for unit in PLAN[1:]:
            store.record(store.write(unit, payload(unit)))
    return store


def cards(shown: str) -> int:
    """The number of conditions' cards; the last one is the step that is shown in large."""
    return shown.count('class="sk-card"') - 1


def test_conditions_with_a_wrong_baseline_can_be_left_out(open_page: OpenPage, tmp_path: Path) -> None:
    root = sweep_with(tmp_path / "some").root
    app = open_page("evidence", root)
    assert not app.exception and cards(markup(app)) == 3 and "✗ baseline wrong" in markup(app)
    app = open_page("evidence", root, baselines="right")
    assert not app.exception and cards(markup(app)) == 2 and "✗ baseline wrong" not in markup(app)
    all_right = open_page("evidence", sweep_with(tmp_path / "all", right=(1, 1, 1)).root)
    assert "choice baselines" not in [group.key for group in all_right.get("button_group")]


def test_what_a_stage_was_given_is_shown(open_page: OpenPage, tmp_path: Path) -> None:
    app = open_page("evidence", sweep_with(tmp_path / "given", given=True).root)
    assert not app.exception and markup(app).count("Given</figcaption>") == len(CONDITIONS)
    assert "Given</figcaption>" not in markup(open_page("evidence", sweep_with(tmp_path / "none").root))


def test_the_component_is_framed_in_the_network(open_page: OpenPage, tmp_path: Path) -> None:
    store = sweep_with(tmp_path / "drawn")
    assert "no component graph" in line(open_page("evidence", store.root))
    write_graph(store.root, UNET_LIKE)
    app = open_page("evidence", store.root, component=ABLATED[1][0])
    assert not app.exception
    place = next(chart for chart in charts(app) if chart.key == "place")
    assert f'"tile": "{ABLATED[1][0]}", "path": "{ABLATED[1][0]}"' in place.proto.spec
