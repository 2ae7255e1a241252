"""Times the components of a model on this machine, for the cost model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from compute.models.model import Model
from compute.pipeline.followed_step import Step
from compute.policy.cost import CostModel, NetworkCost
from compute.policy.graph import GUIDANCE, UNET, ComponentGraph
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule
from compute.provenance import provenance
from compute.unet.arguments import main_input
from compute.unet.blocks import ComponentModule, component_modules
from compute.unet.shortcut import has_shortcut, shortcut
from store.records import Action, Condition
from store.sampler import SamplerSettings

_NO_MODULES = ("unet", "skip", "concat", "embedding", "input")
Times = dict[str, list[float]]
"""Seconds of each call, by the path of the module."""


def now(device: torch.device) -> float:
    """Return the time in seconds, after waiting for the work that was queued on the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def device_name(device: torch.device) -> str:
    """Return what measured times are of: the GPU's name, or the processor's and its cores."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"{device.type} ({provenance()['machine']}, {provenance()['cores']} cores)"


def measure_cost(model: Model, sampler: SamplerSettings, *, batch: int, guidance: float, repeats: int = 9) -> CostModel:
    """Measure the cost model for runs of `batch` pictures with a sampler, as medians over `repeats` steps.

    Two whole steps are timed in the pipeline's own loop: one that calls the UNet, and one that drops it; where guidance
    can rest a third, at which it does. The network's own share is their difference minus the seconds of the components.
    The seconds of a run that no step counts are those before the first call of the UNet, such as encoding the prompt,
    and after the last step, such as decoding.
    """
    full = Schedule.empty(sampler.steps)
    drop = {UNET: Action(name="reuse", space="x0")}
    dropped = Schedule(steps=sampler.steps, actions=dict.fromkeys(range(1, sampler.steps), drop))
    timed = _TimedRuns(model=model, sampler=sampler, batch=batch, guidance=guidance, repeats=repeats)
    dropped_seconds = timed.steps(dropped)
    step = _median(dropped_seconds) if sampler.steps > 1 else 0.0
    whole, half = _network_cost(timed, full, step), None
    if model.guides_in_one_batch(sampler, guidance):
        unguided = {GUIDANCE: Action(name="bypass")}
        half = _network_cost(
            timed, Schedule(steps=sampler.steps, actions=dict.fromkeys(range(sampler.steps), unguided)), step
        )
    return CostModel(
        batch=batch,
        run=timed.outside_steps(dropped),
        step=step,
        network=whole.network,
        computed=whole.computed,
        bypassed=whole.bypassed,
        half=half,
    )


def _network_cost(timed: _TimedRuns, schedule: Schedule, step: float) -> NetworkCost:
    """Return the seconds of the network's parts under a schedule of equal steps, of each of which `step` is not its."""
    model = timed.model
    module_times: Times = {}
    with _modules_timed(_timed_modules(model.unet, model.graph), module_times, model.device):
        seconds = timed.steps(schedule)
    shortcut_times: Times = {}
    with _shortcuts_timed(model.unet, shortcut_times, model.device):
        timed.steps(schedule)
    computed = _by_node({path: _median(times) for path, times in module_times.items()}, model.graph)
    return NetworkCost(
        network=max(0.0, _median(seconds) - step - sum(computed.values())),
        computed=computed,
        bypassed={path: _median(times) for path, times in shortcut_times.items()},
    )


class _Enough(Exception):
    """Ends a run whose further steps need not be timed."""


@dataclass(frozen=True, kw_only=True)
class _TimedRuns:
    """Runs of a pipeline with the time of each of its steps."""

    model: Model
    sampler: SamplerSettings
    batch: int
    guidance: float
    repeats: int

    def steps(self, schedule: Schedule) -> list[float]:
        """Return the seconds of the first `repeats` steps after step 0, which warms up; of step 0 if there is no other.

        A step lasts from the end of the one before to its own end.
        """
        ends: list[float] = []

        def record(step: Step) -> None:
            ends.append(now(self.model.device))
            if len(ends) > self.repeats:
                raise _Enough

        start = now(self.model.device)
        with suppress(_Enough):
            self._run(schedule, record)
        seconds = [end - begin for begin, end in pairwise([start, *ends])]
        return seconds[1:] or seconds

    def outside_steps(self, schedule: Schedule) -> float:
        """Return the median seconds of a run before its first call of the UNet and after its last step."""
        device, seconds = self.model.device, []
        for _ in range(min(3, self.repeats)):
            begins: list[float] = []
            ends: list[float] = []
            start = now(device)
            self._run(schedule, partial(_note, ends, device), partial(_note, begins, device))
            seconds.append(now(device) - ends[-1] + begins[0] - start)
        return _median(seconds)

    def _run(
        self, schedule: Schedule, on_step: Callable[[Step], None], on_begin: Callable[[], None] | None = None
    ) -> None:
        conditions = [Condition(prompt="", seed=seed, guidance=self.guidance) for seed in range(self.batch)]
        resolved = resolve(self.model.graph, schedule)
        self.model.run(conditions, self.sampler, resolved, on_step=on_step, on_begin=on_begin)


def _note(times: list[float], device: torch.device, *_: Any) -> None:
    times.append(now(device))


def _timed_modules(unet: Any, graph: ComponentGraph) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules to time with their paths: those of the graph's nodes, and the blocks that these lie in."""
    modules = dict(unet.named_modules())
    nodes = _module_nodes(graph)
    for path in dict.fromkeys([*nodes, *(_block_of(name) for name in nodes if "." in name)]):
        yield path, modules[path]


def _module_nodes(graph: ComponentGraph) -> list[str]:
    """Return the nodes that are modules."""
    return [name for name, node in graph.nodes.items() if node.kind not in _NO_MODULES]


def _block_of(path: str) -> str:
    """Return the path of the block that a module lies in: `down_blocks.0`, `mid_block`."""
    first, second, *_ = path.split(".")
    return f"{first}.{second}" if second.isdigit() else first


@contextmanager
def _modules_timed(modules: Iterable[tuple[str, nn.Module]], times: Times, device: torch.device) -> Iterator[None]:
    """Add the seconds of each call of the modules to `times` while the context lasts."""
    hooks: list[Any] = []
    starts: dict[str, float] = {}

    def before(path: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            starts[path] = now(device)

        return hook

    def after(path: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            times.setdefault(path, []).append(now(device) - starts[path])

        return hook

    try:
        for path, module in modules:
            hooks += [module.register_forward_pre_hook(before(path)), module.register_forward_hook(after(path))]
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _shortcuts_timed(unet: nn.Module, times: Times, device: torch.device) -> Iterator[None]:
    """Run the shortcut of each residual component before the component itself, and add its seconds to `times`.

    That of a part of a transformer is zero, and takes no time.
    """

    def hook_of(component: ComponentModule) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            start = now(device)
            shortcut(component, main_input(args, kwargs), ())
            times.setdefault(component.path, []).append(now(device) - start)

        return hook

    residual = [c for c in component_modules(unet).values() if not c.is_part and has_shortcut(c)]
    hooks = [c.module.register_forward_pre_hook(hook_of(c), with_kwargs=True) for c in residual]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _by_node(seconds: dict[str, float], graph: ComponentGraph) -> dict[str, float]:
    """Return seconds by node of the component graph, those of a component without its parts.

    The seconds of a block beyond those of its components are shared by its concatenations; without any they are left
    out.
    """
    nodes = {name: seconds.get(name, 0.0) for name in _module_nodes(graph)}
    whole = [name for name in nodes if name not in graph.parents]
    concats = [name for name, node in graph.nodes.items() if node.kind == "concat" and "." in name]
    for block in {_block_of(name.removeprefix("concat:")) for name in concats}:
        inside = [name for name in concats if _block_of(name.removeprefix("concat:")) == block]
        rest = seconds.get(block, 0.0) - sum(nodes[name] for name in whole if name.startswith(block + "."))
        nodes |= dict.fromkeys(inside, max(0.0, rest) / len(inside))
    for name, parts in graph.parts.items():
        nodes[name] = max(0.0, nodes[name] - sum(nodes[part] for part in parts))
    return nodes


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else 0.0
