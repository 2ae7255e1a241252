"""A small sweep with made-up numbers: three components, two windows, three conditions, six steps."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from store.folder.header import SweepHeader
from store.metric import MetricInfo, MetricValues
from store.records import Ablation, Action, Condition, Intervention, Reseed, Unit, Window, content_key
from store.shard.payload import DistanceName, UnitPayload
from store.sweep_store import SweepStore

STEPS = 6
SIZE = 4
HOSTILE = "<img src=x onerror=alert(1)> *bold* [link](http://x) $x$ `code` :red[x]"
CONDITIONS = tuple(Condition(prompt=prompt, seed=7, guidance=3.0) for prompt in ("a cat", "a red key", HOSTILE))
WINDOWS = (Window(start=0, stop=3), Window(start=3, stop=6))
BYPASS, ZERO = Action(name="bypass"), Action(name="zero")
ABLATED = (
    ("down_blocks.0.resnets.0", BYPASS),
    ("mid_block.attentions.0", BYPASS),
    ("skip:down_blocks.0.resnets.0", ZERO),
)


def _unit(role: Any, baseline: str | None, intervention: Intervention | None) -> Unit:
    content = None if intervention is None else intervention.model_dump(mode="json")
    return Unit(
        key=content_key([role, content]), role=role, baseline=baseline, intervention=intervention, conditions=CONDITIONS
    )


BASELINE = _unit("baseline", None, None)
NULL = _unit("control", BASELINE.key, Ablation(components=(), window=WINDOWS[1], action=Action(name="compute")))
RESEED = _unit("control", BASELINE.key, Reseed(offset=5))
ABLATIONS = tuple(
    _unit("ablation", BASELINE.key, Ablation(components=(name,), window=window, action=action))
    for name, action in ABLATED
    for window in WINDOWS
)
PLAN = (BASELINE, NULL, RESEED, *ABLATIONS)
SETTINGS = {"sampler": {"name": "ddpm", "steps": STEPS}, "stage": "base", "model": "0" * 64, "dtype": "float32"}
CONFIG = {"model": "tiny", "metrics": ["mse", "lpips", "fidelity_all"], "keep": {"x_t": "all", "pred_x0": "all"}}


def payload(unit: Unit, *, keep: bool = True) -> UnitPayload:
    """Random pictures and numbers, the same for the same unit; without `keep` it has final pictures only."""
    rng = np.random.default_rng(int(unit.key[:8], 16))
    window = getattr(unit.intervention, "window", None)
    start, count = window.start if window else 0, len(unit.conditions)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    mse = np.zeros(count) if unit.key in (BASELINE.key, NULL.key) else rng.uniform(0.01, 0.2, count)
    distances: dict[DistanceName, np.ndarray] = {}
    if unit.role != "baseline":
        distances = {"x_t_rel_l2": np.abs(normal(STEPS - start, count)), "pred_x0_cosine": normal(STEPS - start, count)}
    states = {
        "x_t": normal(STEPS + 1 - start, count, 3, SIZE, SIZE),
        "x_t_steps": tuple(range(start, STEPS + 1)),
        "pred_x0": normal(STEPS - start, count, 3, SIZE, SIZE),
        "pred_x0_steps": tuple(range(start, STEPS)),
    }
    return UnitPayload(
        steps=STEPS,
        start=start,
        final=np.clip(normal(count, 3, SIZE, SIZE), -1, 1),
        **(states if keep else {}),
        distances=distances,
        metrics=(
            MetricValues(info=MetricInfo(name="mse", direction="lower", low=0, label="mean squared error"), values=mse),
            MetricValues(info=MetricInfo(name="lpips", direction="lower", low=0), absent="its trunk is missing"),
            MetricValues(
                info=MetricInfo(name="fidelity_all", direction="higher", low=0, high=1, paired=False),
                values=rng.integers(0, 2, count).astype(float),
            ),
        ),
        seconds=0.5,
        unet_evaluations=STEPS - start,
    )


def make_store(path: Path, *, plan: tuple[Unit, ...] = PLAN, done: int = len(PLAN), keep: bool = True) -> SweepStore:
    """Make a sweep of which the first `done` units are finished, and whose driver stopped."""
    header = SweepHeader(config=CONFIG, settings=SETTINGS, plan=plan, provenance={"skipscope": "0", "torch": "0"})
    store = SweepStore.create(path, header)
    with store.drive("a test"):
        for unit in plan[:done]:
            store.record(store.write(unit, payload(unit, keep=keep)))
    return store


def kill_driver(store: SweepStore) -> None:
    """Leave a store as a driver does that is killed."""
    path = store.root / "driver.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "running", "pid": 2**22 + 1, "reason": ""}))


def file_digests(root: Path) -> dict[str, str]:
    """The SHA-256 of every file in a folder, by its path."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
