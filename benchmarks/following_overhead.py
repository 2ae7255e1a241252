"""What following a pipeline costs: runs of glide-mini under an empty policy beside plain runs, in turn.

A report, not a test: `python -m benchmarks.following_overhead [--model NAME|DIR] [--json]`. Each round times one run of
either kind, in alternating order, and the ratio is taken within a round, so that a machine that slows down slows both.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

import numpy as np
import torch

from compute.models.loading import load_model
from compute.models.model import Model
from compute.pipeline import applied
from compute.pipeline.call import call_arguments
from compute.pipeline.for_pipeline import policy_for_pipeline
from compute.provenance import provenance
from store.records import Condition
from store.sampler import SamplerSettings

_PROMPT = "a cat on a blue background"


def measure(model: str, *, steps: int, batch: int, rounds: int, threads: int) -> dict[str, Any]:
    """Return the report as plain data."""
    torch.set_num_threads(threads)
    loaded = load_model(model)
    plain, followed = _times(loaded, steps, batch, rounds)
    extra = (followed / plain - 1)[1:]  # the first round warms up
    return {
        "benchmark": "following overhead",
        "model": model,
        "steps": steps,
        "batch": batch,
        "threads": threads,
        "rounds": rounds,
        "milliseconds_per_plain_step": float(np.median(plain[1:])) / steps * 1000,
        "overhead": {"median": float(np.median(extra)), "low": float(extra.min()), "high": float(extra.max())},
        "provenance": provenance(),
    }


def _times(model: Model, steps: int, batch: int, rounds: int) -> tuple[Any, Any]:
    """Return the seconds of plain and of followed runs, a pair a round."""
    pipe, sampler = model.pipe, SamplerSettings(name=model.own_sampler, steps=steps)
    conditions = [Condition(prompt=_PROMPT, seed=seed, guidance=model.default_guidance) for seed in range(batch)]
    arguments = call_arguments(pipe, sampler, conditions, {})
    policy = policy_for_pipeline(pipe, rules=(), steps=steps, guidance=model.default_guidance)

    def run() -> float:
        began = time.perf_counter()
        pipe(**arguments)
        return time.perf_counter() - began

    def run_followed() -> float:
        with applied(policy, pipe):
            return run()

    pairs = []
    for number in range(rounds + 1):
        if number % 2:
            followed = run_followed()
            pairs.append((run(), followed))
        else:
            pairs.append((run(), run_followed()))
    plain, followed_times = np.array(pairs).T
    return plain, followed_times


def main(arguments: list[str] | None = None) -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="glide-mini")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    options = vars(parser.parse_args(arguments))
    as_json = options.pop("json")
    report = measure(options.pop("model"), **options)
    if as_json:
        print(json.dumps(report, indent=1))
        return
    overhead = report["overhead"]
    print(
        f"{report['model']}: a plain step takes {report['milliseconds_per_plain_step']:.1f} ms; following adds "
        f"{overhead['median']:.2%} [{overhead['low']:.2%}, {overhead['high']:.2%}] over {report['rounds']} rounds "
        f"(batch {report['batch']}, {report['threads']} threads)"
    )


if __name__ == "__main__":
    main()
