"""A small sweep, and payloads for its units."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from store.folder.header import SweepHeader
from store.metric import MetricInfo, MetricValues
from store.records import Ablation, Action, Condition, Reseed, Unit, Window, content_key
from store.shard.payload import DistanceName, UnitPayload
from store.sweep_store import SweepStore

STEPS = 4
CONDITIONS = tuple(Condition(prompt=f"a cat, “{seed}”", seed=seed, guidance=3.0) for seed in range(2))
BASELINE = Unit(key=content_key("baseline"), role="baseline", conditions=CONDITIONS)
CONTROL = Unit(
    key=content_key("control"),
    role="control",
    baseline=BASELINE.key,
    intervention=Reseed(offset=1000),
    conditions=CONDITIONS,
)


def make_ablation(number: int) -> Unit:
    """An ablation of a component that depends on `number`."""
    return Unit(
        key=content_key(["ablation", number]),
        role="ablation",
        baseline=BASELINE.key,
        intervention=Ablation(
            components=(f"down_blocks.{number}.resnets.0",),
            window=Window(start=1, stop=3),
            action=Action(name="bypass"),
        ),
        conditions=CONDITIONS,
    )


PLAN = (BASELINE, CONTROL, *(make_ablation(number) for number in range(3)))


def make_payload(unit: Unit, size: int = 8, seed: int = 0) -> UnitPayload:
    """A payload for a unit: all states and predictions, one metric with values and one absent."""
    rng = np.random.default_rng([seed, *bytes.fromhex(unit.key)[:4]])
    start = 0 if unit.role == "baseline" else 1
    batch = len(unit.conditions)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    distances: dict[DistanceName, np.ndarray] = {}
    if unit.role != "baseline":
        distances = {"x_t_rel_l2": normal(STEPS - start, batch), "pred_x0_cosine": normal(STEPS - start, batch)}
    lpips = MetricInfo(name="lpips", direction="lower", low=0)
    psnr = MetricInfo(name="psnr", version=2, direction="higher", low=0, label="PSNR (dB)")
    return UnitPayload(
        steps=STEPS,
        start=start,
        final=np.clip(normal(batch, 3, size, size), -1, 1),
        x_t=normal(STEPS + 1 - start, batch, 3, size, size),
        x_t_steps=tuple(range(start, STEPS + 1)),
        pred_x0=normal(STEPS - start, batch, 3, size, size).astype(np.float16),
        pred_x0_steps=tuple(range(start, STEPS)),
        distances=distances,
        metrics=(
            MetricValues(info=psnr, values=np.array([np.inf, 20.5])),
            MetricValues(info=lpips, absent="its weights are missing"),
        ),
        seconds=1.25,
        unet_evaluations=STEPS - start,
        provenance={"device": "cpu", "versions": {"numpy": np.__version__}},
    )


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder in memory if possible: the hundreds of fsyncs of these tests are slow on a busy disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture
def header() -> SweepHeader:
    """A plan of a baseline, a control and three ablations."""
    return SweepHeader(config={"steps": STEPS}, settings={"steps": STEPS}, plan=PLAN, provenance={"git": "abc"})


@pytest.fixture
def store(tmp_path: Path, header: SweepHeader) -> SweepStore:
    """A sweep without shards."""
    return SweepStore.create(tmp_path / "sweep", header)


@pytest.fixture
def payload() -> Callable[..., UnitPayload]:
    """The function `payload(unit, size=8, seed=0)`, which makes a payload for a unit."""
    return make_payload


@pytest.fixture
def ablation() -> Callable[[int], Unit]:
    """The function that makes an ablation from a number; 0, 1 and 2 are planned."""
    return make_ablation


@pytest.fixture
def filled(store: SweepStore) -> SweepStore:
    """A sweep whose units are all done and recorded."""
    with store.drive("a test"):
        for unit in store.header.plan:
            store.record(store.write(unit, make_payload(unit)))
    return store
