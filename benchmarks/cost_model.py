"""The error of the cost model: predicted and measured time of random policies, with a fixed seed.

    python -m benchmarks.cost_model [--policies 30] [--threads N] [--batch 4] [--json]

The components are timed first; then each policy and full compute are run in turn.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from compute.models.loading import load_model
from compute.models.model import Model
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
    """Return a schedule that drops steps, and reuses and bypasses components, with random probabilities."""
    dropped, reused, bypassed = rng.uniform(0, 0.5, size=3).tolist()
    while True:
        rows: dict[int, dict[str, Action]] = {}
        for step in range(2, steps):
            if rng.random() < dropped:
                rows[step] = {UNET: Action(name="reuse", space="x0", order=1)}
            else:
                rows[step] = _random_row(graph, rng, reused, bypassed)
        try:
            return resolve(graph, Schedule(steps=steps, actions=rows))
        except ScheduleError:  # a component is reused that was dead in every step before: try again
            continue


def _random_row(graph: ComponentGraph, rng: np.random.Generator, reused: float, bypassed: float) -> dict[str, Action]:
    row: dict[str, Action] = {}
    if rng.random() < reused:
        names = graph.of_kind("upsampler")
        row[names[rng.integers(len(names))]] = Action(name="reuse")
    for component in graph.components:
        if "bypass" in component.actions and component.name not in row and rng.random() < bypassed * 0.3:
            row[component.name] = Action(name="bypass")
    return row


def report(*, policies: int, threads: int, batch: int = 4, steps: int = 25, seed: int = 0) -> dict[str, Any]:
    """Return the predicted and measured seconds a picture of every policy, and the medians of the errors."""
    torch.set_num_threads(threads)
    model = load_model("glide-mini")
    sampler = SamplerSettings(name="ddpm", steps=steps)
    rng = np.random.default_rng(seed)
    schedules = [random_schedule(model.graph, steps, rng) for _ in range(policies)]
    cost = measure_cost(model, sampler, batch=batch, guidance=GUIDANCE)
    conditions = [Condition(prompt="a cat on a blue background", seed=i, guidance=GUIDANCE) for i in range(batch)]
    full_predicted = cost.seconds(resolve(model.graph, Schedule.empty(steps)))
    rows = []
    for resolved in schedules:
        full, own = _run_in_turn(model, sampler, conditions, resolved)
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


def _run_in_turn(
    model: Model, sampler: SamplerSettings, conditions: Sequence[Condition], resolved: ResolvedSchedule
) -> tuple[float, float]:
    """Return the seconds of full compute and of the policy, as medians over rounds in turn."""
    full: list[float] = []
    policy: list[float] = []
    for _ in range(_ROUNDS):
        for seconds, plan in ((full, None), (policy, resolved)):
            start = now(model.device)
            model.run(conditions, sampler, plan)
            seconds.append(now(model.device) - start)
    return float(np.median(full)), float(np.median(policy))


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policies", type=int, default=30)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = report(policies=arguments.policies, threads=arguments.threads, batch=arguments.batch)
    if arguments.json:
        print(json.dumps(result, indent=1))
        return
    print(f"{'predicted':>10} {'measured':>10} {'error':>7}   speedup: {'predicted':>9} {'measured':>9}   (ms/picture)")
    for row in result["rows"]:
        print(
            f"{row['predicted'] * 1e3:>10.1f} {row['measured'] * 1e3:>10.1f} {row['error']:>7.1%}            "
            f"{row['speedup_predicted']:>9.2f} {row['speedup_measured']:>9.2f}"
        )
    print(
        f"median error: {result['median_error']:.1%} of the time, {result['median_speedup_error']:.1%} of the speedup "
        f"({result['policies']} policies, seed {result['seed']}, batch {result['batch']}, {result['threads']} threads)"
    )


if __name__ == "__main__":
    main()
