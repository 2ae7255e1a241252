"""Writes a synthetic sweep of many units, for measurements of the dashboard: real files, made-up numbers.

    python -m benchmarks.large_store DIR [--units 10000]

The plan is a real one (glide-mini's components in many windows, with several actions) and every shard is encoded by the
store's own functions, so that all pages open. No model runs (see `benchmarks.synthetic_units`). The provenance in
`sweep.json` names the sweep synthetic.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.synthetic_units import EVERY, METRICS, STEPS, SyntheticUnits
from compute.config.schema import SweepConfig
from compute.models.loading import load_model
from compute.models.source import ModelSource
from compute.policy.graph import ComponentGraph
from compute.policy.graph_document import write_graph
from compute.progress import bar
from compute.provenance import provenance
from compute.sweep.plan.plan import make_plan
from compute.sweep.plan.settings import settings_of
from store.errors import SkipscopeError
from store.folder.files import replace_file
from store.folder.header import SweepHeader
from store.folder.layout import CATALOGUE, MANIFEST
from store.index.receipt import receipt_of
from store.records import Unit
from store.shard.encoding import encode_shard
from store.shard.payload import UnitPayload, check_payload
from store.sweep_store import SweepStore

SYNTHETIC = "made-up numbers for measuring the dashboard; no model was run"
_BATCH = 4
_UNITS_OF_A_BATCH = 8000  # about as many as the configuration gives for one batch of conditions
_LEAST_UNITS = 200


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the sweep and print how long it took."""
    parser = argparse.ArgumentParser(description=f"{__doc__.splitlines()[0]} ({SYNTHETIC})")
    parser.add_argument("folder", type=Path, metavar="DIR", help="a new folder for the synthetic sweep")
    parser.add_argument("--units", type=int, default=10_000, help=f"{_LEAST_UNITS} or more (default: 10000)")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    try:
        store = make_large_store(options.folder, options.units)
    except SkipscopeError as error:
        parser.error(str(error))
    seconds = time.perf_counter() - start
    print(f"{store.root}: {len(store.header.plan)} units, {SYNTHETIC}; {seconds:.0f} s")


def make_large_store(folder: Path, units: int) -> SweepStore:
    """Write a finished synthetic sweep. Raises SkipscopeError for too few units, NotASweep, StoreFull."""
    store, graph = make_planned_store(folder, units)
    synthetic, lines = SyntheticUnits.of(graph), []
    with store.drive("a benchmark"), bar("write", units) as progress:
        for unit in store.header.plan:
            lines.append(_write(store, unit, synthetic.payload(unit)))
            progress.advance()
        for name, rows in zip((MANIFEST, CATALOGUE), zip(*lines, strict=True), strict=True):
            replace_file(store.root / name, "".join(f"{row}\n" for row in rows).encode("ascii"))
    return store


def make_planned_store(folder: Path, units: int) -> tuple[SweepStore, ComponentGraph]:
    """Write a synthetic sweep of which no unit is done, and return the network's graph, too. Raises as above."""
    if units < _LEAST_UNITS:
        raise SkipscopeError(f"--units: {units} units do not hold this plan; {_LEAST_UNITS} or more are accepted")
    source = ModelSource.find("glide-mini")
    config, model = _config(-(-units // _UNITS_OF_A_BATCH)), load_model(source)
    settings = settings_of(config, source.digest, dict(model.base_scheduler), {})
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
    return store, model.graph


def _write(store: SweepStore, unit: Unit, payload: UnitPayload) -> tuple[str, str]:
    """Write a shard and return its lines of manifest and catalogue.

    As `store.write` and `store.record` do, but without a sync for each file, which would take most of the time.
    """
    check_payload(unit, payload)
    data = encode_shard(unit, payload, store.header.settings_digest)
    receipt = receipt_of(data, unit, payload)
    (store.root / receipt.manifest.path).write_bytes(data)
    return receipt.manifest.line(), receipt.catalogue.line()


def _config(batches: int) -> SweepConfig:
    """Return a sweep of each component at each step with three actions, and in longer windows with a fourth."""
    return SweepConfig.model_validate(
        {
            "sampler": {"name": "ddpm", "steps": STEPS},
            "prompts": {"split": "held-out", "count": _BATCH * batches},
            "conditions_per_unit": _BATCH,
            "windows": {"count": STEPS},
            "actions": ["bypass", "zero", {"name": "reuse"}],
            "screen": [{"name": "reuse", "order": 1, "lengths": [1, 2, 4]}],
            "prompt_switch": {"every": 2},
            "metrics": list(METRICS),
            "keep": {"x_t": "final", "pred_x0": EVERY},
        }
    )


def _first(plan: Sequence[Unit], units: int) -> tuple[Unit, ...]:
    """Return the first units of a plan in its order; only ablations are left out. Raises SkipscopeError."""
    others = sum(unit.role != "ablation" for unit in plan)
    ablations = [unit.key for unit in plan if unit.role == "ablation"]
    if not 0 < units - others <= len(ablations):
        raise SkipscopeError(f"--units: {units}; {others + 1} to {others + len(ablations)} are accepted here")
    kept = set(ablations[: units - others])
    return tuple(unit for unit in plan if unit.role != "ablation" or unit.key in kept)


if __name__ == "__main__":
    main()
