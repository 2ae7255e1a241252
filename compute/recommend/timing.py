"""Times a model's components on this machine: what the cost model predicts from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from compute.models.model import Model
from compute.pipeline.sampling import TextEncoding
from compute.policy.cost import CostModel
from compute.policy.graph import UNET
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule
from compute.unet import executing
from compute.unet.blocks import Layer, Layout, read_blocks
from compute.unet.graph_reader import concat_name
from compute.unet.shortcut import shortcut
from store.records import Action, Condition
from store.sampler import SamplerSettings

Times = dict[str, list[float]]


def now(device: torch.device) -> float:
    """Seconds of a clock, after all that was started on the device has ended."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@torch.inference_mode()
def measure_cost(model: Model, sampler: SamplerSettings, *, batch: int, guidance: float, repeats: int = 9) -> CostModel:
    """The cost model of a model, for runs of `batch` pictures with this sampler: medians over `repeats` passes.

    Two whole steps, one that calls the UNet and one that drops it, are timed in the sampling loop; what the components
    leave of their difference is the network's own share.
    """
    layouts = tuple(read_blocks(model.unet))
    runs: list[float] = []
    text = _encoded(model, batch, runs, repeats)
    times: Times = {}
    with _timed(_parts(model.unet, layouts), times, model.device):
        full = _loop(model, sampler, text, batch, guidance, Schedule.empty(sampler.steps), repeats)
    bypassed: Times = {}
    with _shortcuts_timed(layouts, bypassed, model.device):
        _loop(model, sampler, text, batch, guidance, Schedule.empty(sampler.steps), repeats)
    drop = {UNET: Action(name="reuse", space="x0")}
    dropped = Schedule(steps=sampler.steps, actions=dict.fromkeys(range(1, sampler.steps), drop))
    without = _loop(model, sampler, text, batch, guidance, dropped, repeats)
    step = _median(without[1:] or without) if sampler.steps > 1 else 0.0
    computed = _by_node({name: _median(found) for name, found in times.items()}, layouts)
    return CostModel(
        batch=batch,
        run=_median(runs),
        step=step,
        network=max(0.0, _median(full) - step - sum(computed.values())),
        computed=computed,
        bypassed={name: _median(found) for name, found in bypassed.items()},
    )


def _encoded(model: Model, batch: int, runs: list[float], repeats: int) -> TextEncoding:
    device = model.device
    for _ in range(repeats):
        began = now(device)
        text = model.encode([""] * batch)
        model.noise(range(batch))
        runs.append(now(device) - began)
    return text


def _loop(
    model: Model,
    sampler: SamplerSettings,
    text: TextEncoding,
    batch: int,
    guidance: float,
    plan: Schedule,
    repeats: int,
) -> list[float]:
    """Seconds of the first steps of a run, after one to get warm."""
    conditions = [Condition(prompt="", seed=seed, guidance=guidance) for seed in range(batch)]
    scheduler, x_t = model.scheduler(sampler), model.noise(range(batch))
    stop = min(sampler.steps, repeats + 1)
    took, began = [], now(model.device)
    with executing(model.unet, resolve(model.graph, plan)) as execution:
        for _ in model.steps(conditions, scheduler, text, x_t, stop=stop, execution=execution):
            took.append(now(model.device) - began)
            began = now(model.device)
    return took[1:] if len(took) > 1 else took


def _parts(unet: Any, layouts: Sequence[Layout]) -> Iterator[tuple[str, nn.Module]]:
    yield "conv_in", unet.conv_in
    yield "conv_out", unet.conv_out
    for layout in layouts:
        yield layout.path, layout.module
        yield from ((layer.path, layer.module) for layer in layout.layers)


@contextmanager
def _timed(parts: Iterator[tuple[str, nn.Module]], times: Times, device: torch.device) -> Iterator[None]:
    """Notes the seconds of each call of the modules while the context lasts."""
    hooks: list[Any] = []
    began: dict[str, float] = {}

    def before(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            began[name] = now(device)

        return hook

    def after(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            times.setdefault(name, []).append(now(device) - began[name])

        return hook

    try:
        for name, module in parts:
            hooks += [module.register_forward_pre_hook(before(name)), module.register_forward_hook(after(name))]
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _shortcuts_timed(layouts: Sequence[Layout], times: Times, device: torch.device) -> Iterator[None]:
    """Runs and times the path around each residual branch beside the component itself."""

    def hook_of(layer: Layer) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            began = now(device)
            shortcut(layer, inputs[0])
            times.setdefault(layer.path, []).append(now(device) - began)

        return hook

    layers = [layer for layout in layouts for layer in layout.layers if layer.has_shortcut]
    hooks = [layer.module.register_forward_pre_hook(hook_of(layer)) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _by_node(seconds: dict[str, float], layouts: Sequence[Layout]) -> dict[str, float]:
    """What a block takes beyond its layers belongs to its concatenations, where it has any."""
    found = {name: seconds[name] for name in ("conv_in", "conv_out")}
    for layout in layouts:
        own = {layer.path: seconds[layer.path] for layer in layout.layers}
        concats = [concat_name(layer.path) for layer in layout.layers if layer.takes_skip]
        rest = max(0.0, seconds[layout.path] - sum(own.values()))
        found |= own | {name: rest / len(concats) for name in concats}
    return found


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else 0.0
