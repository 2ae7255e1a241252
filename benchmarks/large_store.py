"""Writes a synthetic sweep of many units for measurements of the dashboard: real files, made-up numbers.

    python -m benchmarks.large_store DIR [--units 10000]

The plan is a real one (glide-mini's components in many windows, with several actions) and every shard is sealed by the
store's own functions, so that all pages open. No model runs: pictures are scenes blended with another scene, metrics
follow a formula. `sweep.json` says so in its provenance.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from compute.config.schema import SweepConfig
from compute.metrics.registry import metrics
from compute.models.mini.scenes.render import render_batch
from compute.models.mini.scenes.scene import Scene
from compute.models.model import load_model
from compute.models.source import ModelSource
from compute.policy.graph import Component, ComponentGraph
from compute.policy.graph_document import write_graph
from compute.progress import bar
from compute.provenance import provenance
from compute.sweep.plan import make_plan, settings_of
from store.errors import SkipscopeError
from store.folder.files import replace_file
from store.folder.header import SweepHeader
from store.folder.layout import CATALOGUE, MANIFEST
from store.index.receipt import receipt_of
from store.metric import MetricInfo, MetricValues
from store.records import Ablation, PromptSwitch, Reseed, Unit
from store.shard.encoding import encode_shard
from store.shard.payload import DistanceName, UnitPayload, check_payload
from store.sweep_store import SweepStore

SYNTHETIC = "made-up numbers for measuring the dashboard; no model was run"
STEPS = 50
SIZE = 32
EVERY = 10
"""Every so many steps a `pred_x0` is kept, of baselines every one."""
_BATCH = 4
_OF_ONE_BATCH = 8000  # units, about
_METRICS = ("mse", "ssim", "haarpsi", "fidelity_all")
_LEVELS = 12  # of damage, that pictures are blended for
_RESEED = 0.2  # mean squared error between two seeds
_LEAST_UNITS = 200
Floats = npt.NDArray[np.float64]
Pictures = npt.NDArray[np.float32]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write and say how long it took."""
    parser = argparse.ArgumentParser(description=f"{__doc__.splitlines()[0]} ({SYNTHETIC})")
    parser.add_argument("folder", type=Path, metavar="DIR", help="a new folder for the synthetic sweep")
    parser.add_argument("--units", type=int, default=10_000, help=f"{_LEAST_UNITS} or more (default: 10000)")
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    try:
        store = make_large_store(options.folder, options.units)
    except SkipscopeError as error:
        parser.error(str(error))
    seconds = time.perf_counter() - began
    print(f"{store.root}: {len(store.header.plan)} units, {SYNTHETIC}; {seconds:.0f} s")


def make_large_store(folder: Path, units: int) -> SweepStore:
    """A finished synthetic sweep of so many units. Raises SkipscopeError for too few, NotASweep, StoreFull."""
    if units < _LEAST_UNITS:
        raise SkipscopeError(f"--units: {units} units do not hold this plan; {_LEAST_UNITS} or more are accepted")
    source = ModelSource.find("glide-mini")
    config, model = _config(-(-units // _OF_ONE_BATCH)), load_model(source)
    settings = settings_of(config, source.digest, dict(model.pipe.scheduler.config))
    plan = make_plan(config, settings, model.graph, Path())
    store = SweepStore.create(
        folder,
        SweepHeader(
            config=config.model_dump(mode="json"),
            settings=settings,
            plan=_first(plan.units, units),
            provenance={**provenance(), "model": source.name, "synthetic": SYNTHETIC},
        ),
    )
    write_graph(store.root, model.graph)
    synthetic, lines = _Synthetic.of(model.graph), []
    with store.drive("a benchmark"), bar("write", units) as progress:
        for unit in store.header.plan:
            lines.append(_written(store, unit, synthetic.payload(unit)))
            progress.advance()
        for name, rows in zip((MANIFEST, CATALOGUE), zip(*lines, strict=True), strict=True):
            replace_file(store.root / name, "".join(f"{row}\n" for row in rows).encode("ascii"))
    return store


def _written(store: SweepStore, unit: Unit, payload: UnitPayload) -> tuple[str, str]:
    """Write a shard; returns its lines of manifest and catalogue.

    What `store.write` and `store.record` do, but without a sync for each file, which would take most of the time.
    """
    check_payload(unit, payload)
    data = encode_shard(unit, payload, store.header.settings_digest)
    receipt = receipt_of(data, unit, payload)
    (store.root / receipt.manifest.path).write_bytes(data)
    return receipt.manifest.line(), receipt.catalogue.line()


def _config(batches: int) -> SweepConfig:
    """Every component at every step by itself with three actions, in longer windows with a fourth."""
    return SweepConfig.model_validate(
        {
            "sampler": {"name": "ddpm", "steps": STEPS},
            "prompts": {"split": "held-out", "count": _BATCH * batches},
            "conditions_per_unit": _BATCH,
            "windows": {"count": STEPS},
            "actions": ["bypass", "zero", {"name": "reuse"}],
            "screen": [{"name": "reuse", "order": 1, "lengths": [1, 2, 4]}],
            "prompt_switch": {"every": 2},
            "metrics": list(_METRICS),
            "keep": {"x_t": "final", "pred_x0": EVERY},
        }
    )


def _first(plan: Sequence[Unit], units: int) -> tuple[Unit, ...]:
    """So many units of a plan in its order, ablations left out rather than anything else."""
    others = sum(unit.role != "ablation" for unit in plan)
    ablations = [unit.key for unit in plan if unit.role == "ablation"]
    if not 0 < units - others <= len(ablations):
        raise SkipscopeError(f"--units: {units}; {others + 1} to {others + len(ablations)} are accepted here")
    kept = set(ablations[: units - others])
    return tuple(unit for unit in plan if unit.role != "ablation" or unit.key in kept)


@dataclass(frozen=True, kw_only=True)
class _Synthetic:
    """Makes payloads up: damage by a component's level and the steps of the window, the rest from damage."""

    components: Mapping[str, Component]
    deepest: int
    infos: Mapping[str, MetricInfo]

    @classmethod
    def of(cls, graph: ComponentGraph) -> _Synthetic:
        described = metrics(_METRICS).descriptors
        return cls(
            components={component.name: component for component in graph.components},
            deepest=max(component.level for component in graph.components),
            infos={name: metric.info for name, metric in described.items()},
        )

    def payload(self, unit: Unit) -> UnitPayload:
        """Pictures, distances and metrics of a unit, the same in every process."""
        rng = np.random.default_rng(int(unit.key[:12], 16))
        start = _start(unit)
        damage = self._damage(unit) * rng.lognormal(0, 0.4, len(unit.conditions))
        prompts = tuple(condition.prompt for condition in unit.conditions)
        final, predicted = _pictures(prompts, round(_LEVELS * min(1.0, float(damage.mean()))))
        kept = [step for step in range(start, STEPS) if unit.role == "baseline" or step % EVERY == 0]
        return UnitPayload(
            steps=STEPS,
            start=start,
            final=final,
            pred_x0=predicted[kept] if kept else None,
            pred_x0_steps=tuple(kept),
            distances={} if unit.role == "baseline" else _distances(damage, start),
            metrics=self._metrics(unit, damage, rng),
            seconds=0.1,
            unet_evaluations=STEPS - start,
        )

    def _damage(self, unit: Unit) -> float:
        what = unit.intervention
        if isinstance(what, Reseed):
            return 1.0
        if isinstance(what, PromptSwitch):
            return 1.2 / (1 + math.exp((what.step - 0.3 * STEPS) / 3))
        if not isinstance(what, Ablation) or not what.components:
            return 0.0
        component = self.components[what.components[0]]
        depth = component.level / max(1, self.deepest)
        own = 0.05 + (int(unit.key[:4], 16) % 97) / 97
        steps = (np.arange(what.window.start, what.window.stop) + 0.5) / STEPS
        early, late = np.exp(-steps / 0.12).sum(), np.exp((steps - 1) / 0.15).sum()
        gentle = 0.1 if what.action.reads_cache else 1.0
        return float(0.5 * own * gentle * (depth * early + (1 - depth) * 0.3 * late))

    def _metrics(self, unit: Unit, damage: Floats, rng: np.random.Generator) -> tuple[MetricValues, ...]:
        error = _RESEED * damage
        right = (rng.random(len(damage)) > 0.1 + 0.5 * np.minimum(damage, 1)).astype(np.float64)
        numbers = {"mse": error, "ssim": 1 / (1 + 3 * damage), "haarpsi": 1 / (1 + 2 * damage), "fidelity_all": right}
        return tuple(
            MetricValues(info=info, values=numbers[name])
            for name, info in self.infos.items()
            if unit.role != "baseline" or not info.paired
        )


def _start(unit: Unit) -> int:
    """The first step that such a unit runs."""
    what = unit.intervention
    if isinstance(what, PromptSwitch):
        return what.step
    if not isinstance(what, Ablation):
        return 0
    return max(0, what.window.start - (1 + what.action.order if what.action.reads_cache else 0))


def _distances(damage: Floats, start: int) -> dict[DistanceName, Pictures]:
    """(STEPS - start, B) each: nothing at first, then towards the final picture's distance."""
    far = np.sqrt(damage)[None] * np.linspace(0, 1, STEPS - start)[:, None]
    near = 1 / (1 + far)
    rows: dict[DistanceName, Floats] = {"x_t_rel_l2": far, "x_t_cosine": near, "pred_x0_rel_l2": far}
    return {name: values.astype(np.float32) for name, values in (rows | {"pred_x0_cosine": near}).items()}


@lru_cache(maxsize=4 * _LEVELS)
def _pictures(prompts: tuple[str, ...], level: int) -> tuple[Pictures, npt.NDArray[np.float16]]:
    """Final pictures (B, 3, H, W) of a level of damage, and predictions of them at every step, blurred by noise."""
    scenes = [Scene.parse(prompt) for prompt in prompts]
    own, other = (render_batch(scenes, np.random.default_rng(seed), SIZE) for seed in (0, 1))
    share = level / _LEVELS
    final = ((1 - share) * own + share * other).astype(np.float32)
    noise = np.random.default_rng(2).normal(size=final.shape)
    left = np.exp(-np.arange(STEPS) / (0.2 * STEPS))[:, None, None, None, None]
    predicted = np.clip((1 - left) * final + left * noise, -1, 1).round(2)
    return final, predicted.astype(np.float16)


if __name__ == "__main__":
    main()
