"""Numbers that are not finite and texts without end, where the format has neither."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from store.errors import ShardDamaged, SweepDamaged
from store.index.catalogue import read_catalogue
from store.metric import REASON_LIMIT, MetricInfo, MetricValues
from store.records import PROMPT_LIMIT, Ablation, Action, Condition, Unit, Window
from store.sweep_reader import sweep_table
from store.sweep_store import SweepStore
from tests.store.test_hostile import attribute, replace_dataset, tamper

LONG = "x" * 60_000


@pytest.fixture
def unit(filled: SweepStore) -> Unit:
    """A finished unit."""
    return filled.header.plan[2]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["final", "x_t/values", "pred_x0/values", "distances/x_t_rel_l2"])
def test_arrays_that_are_not_finite_are_refused(filled: SweepStore, unit: Unit, name: str, value: float) -> None:
    def change(file: Any) -> None:
        values = file[name][()]
        values.flat[0] = value
        chunks = file[name].chunks
        replace_dataset(file, name, data=values, chunks=chunks)

    tamper(filled, unit, change)
    with filled.read(unit.key) as reader, pytest.raises(ShardDamaged, match=rf"{name.split('/')[0]}.*not finite"):
        reader.payload()


def rewritten(store: SweepStore, change: Callable[[dict[str, Any]], None]) -> None:
    """Change `sweep.json` and renew its checksum."""
    path = store.root / "sweep.json"
    document = json.loads(path.read_text())
    del document["sha256"]
    change(document)
    fields = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in document.items()]
    rest = (",\n".join(fields) + "\n}\n").encode()
    path.write_bytes(b'{"sha256": "' + hashlib.sha256(rest).hexdigest().encode() + b'",\n' + rest)


HEADERS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "NaN in the settings": (lambda header: header["settings"].update(eta=float("nan")), "is damaged"),
    "infinity in the configuration": (lambda header: header["config"].update(a=[float("inf")]), "is damaged"),
    "guidance": (lambda header: header["batches"][0][0].update(guidance=float("nan")), "guidance"),
    "a long prompt": (lambda header: header["batches"][0][0].update(prompt=LONG), "prompt: String should have at most"),
    "a long name": (
        lambda header: header["plan"][2]["intervention"].update(components=[LONG]),
        "components.0: String should have at most 200",
    ),
    "steps without end": (
        lambda header: header["plan"][2]["intervention"]["window"].update(stop=10**30),
        "acts in steps",
    ),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_with_such_values_is_damaged(filled: SweepStore, case: str) -> None:
    change, message = HEADERS[case]
    rewritten(filled, change)
    with pytest.raises(SweepDamaged, match=message) as caught:
        SweepStore.open(filled.root)
    assert len(str(caught.value)) < 1000 and "\n" not in str(caught.value)


ROWS = [
    {"seconds": -1.0},
    {"steps": 10**30},
    {"steps": 0},
    {"start": -1},
    {"start": 5},
    {"unet_evaluations": 10**30},
    {"values": ["x" * 60_000, "y"]},
    {"values": [["inf", 1.0], ["-inf", "-inf"]]},
]


@pytest.mark.parametrize("fields", ROWS)
def test_a_row_with_such_values_is_damaged_and_made_again(filled: SweepStore, fields: dict[str, Any]) -> None:
    path = filled.root / "catalogue"
    before, expected = path.read_bytes(), dict(sweep_table(filled).columns)
    first, *others = before.decode().splitlines()
    path.write_text("\n".join([json.dumps(json.loads(first) | fields), *others, ""]))
    assert read_catalogue(path, {})[1] == [1]
    again = sweep_table(filled)
    assert all(np.array_equal(again[name], expected[name], equal_nan=name in again.metrics) for name in expected)
    filled.rebuild()
    assert sorted(path.read_bytes().splitlines()) == sorted(before.splitlines())


@pytest.mark.parametrize("name", ["label", "weights", "version", "low", "absent"])
def test_a_metric_with_such_values_is_refused(filled: SweepStore, unit: Unit, name: str) -> None:
    value = np.nan if name == "low" else 0 if name == "version" else LONG
    tamper(filled, unit, attribute(name, value, "metrics/psnr"))
    with filled.read(unit.key) as reader, pytest.raises(ShardDamaged) as caught:
        reader.metrics  # noqa: B018
    assert len(str(caught.value)) < 1000


def test_limits_of_records() -> None:
    for make in (
        lambda: Condition(prompt="x" * (PROMPT_LIMIT + 1), seed=0, guidance=1.0),
        lambda: Ablation(components=("x" * 201,), window=Window(start=0, stop=1), action=Action(name="bypass")),
        lambda: MetricInfo(name="mse", direction="lower", label=LONG),
    ):
        with pytest.raises(ValidationError, match="at most"):
            make()
    reason = MetricValues(info=MetricInfo(name="mse", direction="lower"), absent=LONG).absent
    assert reason is not None and len(reason) == REASON_LIMIT


def test_a_prompt_in_a_file_is_named(tmp_path: Path) -> None:
    from compute.config.errors import ConfigError
    from compute.config.field_types import PromptFile
    from compute.sweep.plan.conditions import read_prompts

    (tmp_path / "prompts.txt").write_text(f"a cat\n{LONG}\n")
    with pytest.raises(ConfigError, match="line 2: the prompt has 60000 characters; at most 10000"):
        read_prompts(PromptFile(file="prompts.txt"), tmp_path)
