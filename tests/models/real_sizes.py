"""Measures a UNet of a published model's real size, with random weights, on the CPU; prints a JSON document.

Usage: python -m tests.models.real_sizes sd15|sdxl-base [--forward]
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor

import compute.torchvision_ops  # noqa: F401  (diffusers imports torchvision)
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.methods.deepcache import deepcache
from compute.policy.schedule import Schedule
from compute.unet import executing, parameter_digest, read_graph
from tests.unet.narrow import CONFIGS

from diffusers import UNet2DConditionModel  # isort: skip

LATENT, STEPS, INTERVAL = 16, 4, 2


def network(name: str, *, filled: bool) -> Any:
    """Return the UNet of a configuration on the meta device, or filled with random numbers."""
    config = json.loads((CONFIGS / f"{name}.json").read_text())
    with torch.device("meta"):
        unet: Any = UNet2DConditionModel.from_config(config).eval().requires_grad_(False)
    if not filled:
        return unet
    assert not list(unet.buffers()), "to_empty would leave buffers without values"
    unet.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    for key, parameter in unet.named_parameters():
        centre = 1.0 if "norm" in key and key.endswith("weight") else 0.0
        parameter.uniform_(centre - 0.03, centre + 0.03, generator=generator)
    return unet


class Stopwatch:
    """CPU seconds of this process by name, which other programs on the same cores hardly change; the median of each."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}

    def measure(self, name: str, run: Callable[[], Any]) -> Any:
        """Return what `run` returns, and keep its seconds."""
        began = time.process_time()
        result = run()
        self._seconds.setdefault(name, []).append(time.process_time() - began)
        return result

    def medians(self) -> dict[str, float]:
        """Return the median of each name's seconds."""
        return {name: round(median(seconds), 3) for name, seconds in self._seconds.items()}


def peak_memory() -> float:
    """Return the largest resident memory of this process so far, in GiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3)


def sampled(unet: Any, watch: Stopwatch, kind: str, resolved: ResolvedSchedule | None = None) -> list[Tensor]:
    """Return the outputs of the steps of a guided run: plain, or by a schedule."""
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(2, 4, LATENT, LATENT, generator=generator)
    text = torch.randn(2, 77, unet.config.cross_attention_dim, generator=generator)
    outputs: list[Tensor] = []
    with nullcontext() if resolved is None else executing(unet, resolved) as execution:
        for index in range(STEPS):
            if execution is not None:
                execution.begin_step(index)
            call = partial(unet, latents + index / 10, 900 - 100 * index, text, return_dict=False)
            is_cached = kind == "DeepCache" and index % INTERVAL != 0
            outputs += watch.measure(f"{kind}, a reusing step" if is_cached else f"{kind}, a full step", call)
    return outputs


@torch.inference_mode()
def figures(name: str, *, forward: bool) -> dict[str, Any]:
    """Return the figures of a network; `forward` also runs it."""
    watch = Stopwatch()
    document: dict[str, Any] = {"torch": torch.__version__, "threads": torch.get_num_threads(), "latent": LATENT}
    document["GiB, imports"] = peak_memory()
    unet = watch.measure("network", lambda: network(name, filled=forward))
    document["GiB, network"] = peak_memory()
    graph = watch.measure("reading", lambda: read_graph(unet, sequence_length=77))
    document |= {"GiB, read": peak_memory(), "parameters": sum(p.numel() for p in unet.parameters())}
    document |= {"components": len(graph.names), "GFLOP": round(graph.total_flops / 1e9)}
    cached = resolve(graph, deepcache(graph, steps=STEPS, interval=INTERVAL))
    document["GFLOP, a reusing step"] = round(cached.flops(1) / 1e9)
    if forward:
        watch.measure("digest", lambda: parameter_digest(unet, torch.float32))
        sampled(unet, Stopwatch(), "warm-up")
        plain = sampled(unet, watch, "plain")
        empty = sampled(unet, watch, "empty", resolve(graph, Schedule(steps=STEPS, actions={})))
        reused = sampled(unet, watch, "DeepCache", cached)
        document["empty is bit-identical"] = all(map(torch.equal, plain, empty))
        same = [torch.equal(*outputs) for outputs in zip(plain, reused, strict=True)]
        document["DeepCache's steps that are bit-identical"] = [index for index in range(STEPS) if same[index]]
        document["finite"] = all(bool(output.isfinite().all()) for output in [*plain, *reused])
    return document | {"GiB, all": peak_memory(), "CPU seconds": watch.medians()}


if __name__ == "__main__":
    print(json.dumps(figures(sys.argv[1], forward="--forward" in sys.argv), indent=1))
