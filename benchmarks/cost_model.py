"""How well the cost model predicts: random policies, predicted and measured, with a fixed seed.

    python -m benchmarks.cost_model [--policies 30] [--threads N] [--batch 4] [--json]

The model is measured first; then each policy and full compute are run in turn. A report, never a test.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from compute.models.model import Model, load_model
from compute.policy.graph import UNET, ComponentGraph
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.schedule import Schedule, ScheduleError
from compute.provenance import provenance
from compute.recommend.timing import measure_cost, now
from store.records import Action, Condition
from store.sampler import SamplerSettings

GUIDANCE = 3.0
_ROUNDS = 3


def random_schedule(graph: ComponentGraph, steps: int, rng: np.random.Generator) -> ResolvedSchedule:
    """A schedule that drops steps, reuses and bypasses components, each with a probability drawn first."""
    shares = rng.uniform(0, 0.5, size=3)
    while True:
        rows: dict[int, dict[str, Action]] = {}
        for step in range(2, steps):
            if rng.random() < shares[0]:
                rows[step] = {UNET: Action(name="reuse", space="x0", order=1)}
            else:
                rows[step] = dict(_row(graph, rng, float(shares[1]), float(shares[2])))
        try:
            return resolve(graph, Schedule(steps=steps, actions=rows))
        except ScheduleError:  # a reuse of what was dead before: draw again
            continue


def _row(graph: ComponentGraph, rng: np.random.Generator, reused: float, bypassed: float) -> dict[str, Action]:
    row: dict[str, Action] = {}
    if rng.random() < reused:
        names = [c.name for c in graph.components if c.kind == "upsampler"]
        row[names[rng.integers(len(names))]] = Action(name="reuse")
    for component in graph.components:
        if "bypass" in component.actions and component.name not in row and rng.random() < bypassed * 0.3:
            row[component.name] = Action(name="bypass")
    return row


def report(*, policies: int, threads: int, batch: int = 4, steps: int = 25, seed: int = 0) -> dict[str, Any]:
    """Predicted and measured seconds a picture of every policy, and the errors' median."""
    torch.set_num_threads(threads)
    model = load_model("glide-mini")
    sampler = SamplerSettings(name="ddpm", steps=steps)
    rng = np.random.default_rng(seed)
    drawn = [random_schedule(model.graph, steps, rng) for _ in range(policies)]
    cost = measure_cost(model, sampler, batch=batch, guidance=GUIDANCE)
    conditions = [Condition(prompt="a cat on a blue background", seed=i, guidance=GUIDANCE) for i in range(batch)]
    full_predicted = cost.seconds(resolve(model.graph, Schedule.empty(steps)))
    rows = []
    for resolved in drawn:
        full, own = _alternated(model, sampler, conditions, resolved)
        predicted = cost.seconds(resolved)
        rows.append(
            {
                "predicted": predicted / batch,
                "measured": own / batch,
                "error": abs(predicted / own - 1),
                "speedup_predicted": full_predicted / predicted,
                "speedup_measured": full / own,
                "speedup_error": abs((full_predicted / predicted) / (full / own) - 1),
            }
        )
    return {
        "policies": policies,
        "seed": seed,
        "batch": batch,
        "threads": threads,
        "dtype": "float32",
        "median_error": float(np.median([row["error"] for row in rows])),
        "median_speedup_error": float(np.median([row["speedup_error"] for row in rows])),
        "rows": rows,
        "provenance": provenance(),
    }


def _alternated(
    model: Model, sampler: SamplerSettings, conditions: Sequence[Condition], resolved: ResolvedSchedule
) -> tuple[float, float]:
    """Seconds of full compute and of the policy: medians over rounds in turn."""
    device = model.device
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(_ROUNDS):
        for seconds, plan in zip(took, (None, resolved), strict=True):
            began = now(device)
            model.pictures(conditions, sampler, plan)
            seconds.append(now(device) - began)
    return float(np.median(took[0])), float(np.median(took[1]))


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policies", type=int, default=30)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = report(policies=arguments.policies, threads=arguments.threads, batch=arguments.batch)
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    print(f"{'predicted':>10} {'measured':>10} {'error':>7}   speedup: {'predicted':>9} {'measured':>9}   (ms/picture)")
    for row in found["rows"]:
        print(
            f"{row['predicted'] * 1e3:>10.1f} {row['measured'] * 1e3:>10.1f} {row['error']:>7.1%}            "
            f"{row['speedup_predicted']:>9.2f} {row['speedup_measured']:>9.2f}"
        )
    print(
        f"median error: {found['median_error']:.1%} of the time, {found['median_speedup_error']:.1%} of the speedup "
        f"({found['policies']} policies, seed {found['seed']}, batch {found['batch']}, {found['threads']} threads)"
    )


if __name__ == "__main__":
    main()
