"""What each module does instead of its forward, by the plan of the step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

from compute.policy.graph import SKIP_PREFIX, ComponentGraph
from compute.policy.liveness import StepPlan
from compute.unet.blocks import Layer, Layout, read_blocks
from compute.unet.cache import ExecutionError
from compute.unet.execution import Execution
from compute.unet.graph_reader import concat_name
from compute.unet.shortcut import shortcut

Forward = Callable[..., Any]
Replacement = Callable[..., Any]


def dispatchers(unet: Any, execution: Execution) -> Iterator[tuple[nn.Module, Replacement]]:
    """Yield the modules that need a dispatcher under the schedule, each with `replacement(original, *args, **kwargs)`.

    Raises ExecutionError where the schedule was resolved for another UNet.
    """
    layouts = tuple(read_blocks(unet))
    _check_fits(layouts, execution.resolved.graph)
    plans = tuple({id(plan): plan for plan in execution.resolved.steps if plan.unet is None}.values())
    yield unet, partial(_unet, execution)
    if _touched(("conv_in",), plans):
        yield unet.conv_in, partial(_structure, execution, "conv_in")
    for layout in layouts:
        yield from _of_block(layout, execution, plans)


def _of_block(
    layout: Layout, execution: Execution, plans: tuple[StepPlan, ...]
) -> Iterator[tuple[nn.Module, Replacement]]:
    skips = _skips(layout, execution.resolved.graph)
    if _touched(skips, plans) or any(_is_idle(layout, plan) for plan in plans):
        yield (
            layout.module,
            partial(_up_block, execution, layout, skips) if skips else partial(_block, execution, layout),
        )
    for layer in layout.layers:
        if _touched((layer.path,), plans):
            yield layer.module, partial(_layer, execution, layer)


def _check_fits(layouts: tuple[Layout, ...], graph: ComponentGraph) -> None:
    modules = {layer.path for layout in layouts for layer in layout.layers}
    known = {component.name for component in graph.components if component.kind not in ("skip", "unet")}
    if modules != known:
        name = sorted(modules ^ known)[0]
        raise ExecutionError(f"the schedule was resolved for another UNet: only one of the two has {name}")


def _touched(names: tuple[str, ...], plans: tuple[StepPlan, ...]) -> bool:
    """Whether any step does more with these nodes than compute them."""
    return any(name in plan.dead or name in plan.actions or name in plan.writes for plan in plans for name in names)


def _skips(layout: Layout, graph: ComponentGraph) -> tuple[str, ...]:
    """The skip connections that a decoder block is given, in the order of its `res_hidden_states_tuple`.

    The block takes them from the tuple's end, so the first resnet's comes last.
    """
    concats = [concat_name(layer.path) for layer in layout.layers if layer.takes_skip]
    taken = [source for concat in concats for source in graph.inputs[concat] if source.startswith(SKIP_PREFIX)]
    return tuple(reversed(taken))


def _is_idle(layout: Layout, plan: StepPlan) -> bool:
    """Whether nothing in a block runs: every layer is dead or repeats what it put out before."""
    return all(
        layer.path in plan.dead or (layer.path in plan.actions and not plan.actions[layer.path].properties.needs_input)
        for layer in layout.layers
    )


def _unet(execution: Execution, original: Forward, sample: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    execution.begin_call(sample)
    return original(sample, *args, **kwargs)


def _structure(execution: Execution, name: str, original: Forward, hidden_states: torch.Tensor) -> torch.Tensor:
    return execution.dead(name, hidden_states) if name in execution.plan.dead else original(hidden_states)


def _layer(
    execution: Execution, layer: Layer, original: Forward, hidden_states: torch.Tensor, *args: Any, **kwargs: Any
) -> torch.Tensor:
    plan, name = execution.plan, layer.path
    if name in plan.dead:
        return execution.dead(name, hidden_states)
    action = plan.actions.get(name)
    if action is None:
        output: torch.Tensor = original(hidden_states, *args, **kwargs)
        _keep(execution, layer, hidden_states, output)
        return output
    reads = action.properties.reads
    if not action.properties.runs_shortcut:
        return execution.read(name, "value")
    around = shortcut(layer, hidden_states)
    return around if reads is None else around + execution.read(name, reads)


def _keep(execution: Execution, layer: Layer, hidden_states: torch.Tensor, output: torch.Tensor) -> None:
    parts = execution.plan.writes.get(layer.path, frozenset())
    if "value" in parts:
        execution.keep(layer.path, "value", output)
    if "delta" in parts:
        execution.keep(layer.path, "delta", output - shortcut(layer, hidden_states))


def _idle_value(execution: Execution, layer: Layer, like: torch.Tensor) -> torch.Tensor:
    """What a layer of an idle block puts out; one that reuses is called, so that foreign hooks on it see its value."""
    if layer.path in execution.plan.dead:
        return execution.dead(layer.path, like)
    output: torch.Tensor = layer.module(like)
    return output


def _block(
    execution: Execution, layout: Layout, original: Forward, hidden_states: torch.Tensor, *args: Any, **kwargs: Any
) -> Any:
    """An encoder or middle block, which is left out whole where nothing in it runs."""
    if not _is_idle(layout, execution.plan):
        return original(hidden_states, *args, **kwargs)
    output = _idle_value(execution, layout.layers[-1], hidden_states)
    if layout.role == "mid":
        return output
    return output, tuple(_idle_value(execution, layer, hidden_states) for layer in layout.layers if layer.gives_skip)


def _up_block(
    execution: Execution,
    layout: Layout,
    skips: tuple[str, ...],
    original: Forward,
    hidden_states: torch.Tensor,
    res_hidden_states_tuple: tuple[torch.Tensor, ...],
    *args: Any,
    **kwargs: Any,
) -> torch.Tensor:
    """A decoder block: left out whole where nothing in it runs, else given the skips that the plan asks for."""
    if _is_idle(layout, execution.plan):
        return _idle_value(execution, layout.layers[-1], hidden_states)
    given = tuple(_skip(execution, name, value) for name, value in zip(skips, res_hidden_states_tuple, strict=True))
    output: torch.Tensor = original(hidden_states, given, *args, **kwargs)
    return output


def _skip(execution: Execution, name: str, value: torch.Tensor) -> torch.Tensor:
    plan = execution.plan
    if name in plan.dead:
        return value.new_full((), torch.nan).expand(value.shape)
    action = plan.actions.get(name)
    if action is None:
        if name in plan.writes:
            execution.keep(name, "value", value)
        return value
    return value.new_zeros(()).expand(value.shape) if action.properties.reads is None else execution.read(name, "value")
