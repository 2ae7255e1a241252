"""The replacements of the modules' forward methods, which follow the plan of the current step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

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
    _check_same_components(layouts, execution.resolved.graph)
    plans = tuple({id(plan): plan for plan in execution.resolved.steps if plan.unet is None}.values())
    yield unet, partial(_run_unet, execution)
    if _needs_dispatcher(("conv_in",), plans):
        yield unet.conv_in, partial(_run_conv_in, execution)
    for layout in layouts:
        yield from _block_dispatchers(layout, execution, plans)


def _block_dispatchers(
    layout: Layout, execution: Execution, plans: tuple[StepPlan, ...]
) -> Iterator[tuple[nn.Module, Replacement]]:
    skips = _incoming_skips(layout, execution.resolved.graph)
    if _needs_dispatcher(skips, plans) or any(_is_idle(layout, plan) for plan in plans):
        yield (
            layout.module,
            partial(_run_up_block, execution, layout, skips) if skips else partial(_run_block, execution, layout),
        )
    for layer in layout.layers:
        if _needs_dispatcher((layer.path,), plans):
            yield layer.module, partial(_run_layer, execution, layer)


def _check_same_components(layouts: tuple[Layout, ...], graph: ComponentGraph) -> None:
    of_unet = {layer.path for layout in layouts for layer in layout.layers}
    of_schedule = {component.name for component in graph.components if component.kind not in ("skip", "unet")}
    if of_unet != of_schedule:
        name = sorted(of_unet ^ of_schedule)[0]
        raise ExecutionError(f"the schedule was resolved for another UNet: only one of the two has {name}")


def _needs_dispatcher(names: tuple[str, ...], plans: tuple[StepPlan, ...]) -> bool:
    """Return whether any step does anything with these nodes but to compute them."""
    return any(name in plan.dead or name in plan.actions or name in plan.writes for plan in plans for name in names)


def _incoming_skips(layout: Layout, graph: ComponentGraph) -> tuple[str, ...]:
    """Return the skip connections into a decoder block, in the order of its `res_hidden_states_tuple`.

    The block takes them from the end of the tuple, so that of its first resnet is the last.
    """
    concats = [concat_name(layer.path) for layer in layout.layers if layer.takes_skip]
    skips = [source for concat in concats for source in graph.inputs[concat] if source.startswith(SKIP_PREFIX)]
    return tuple(reversed(skips))


def _is_idle(layout: Layout, plan: StepPlan) -> bool:
    """Return whether no layer of a block needs its input: each is dead or reuses its output of an earlier step."""
    return all(
        layer.path in plan.dead or (layer.path in plan.actions and not plan.actions[layer.path].properties.needs_input)
        for layer in layout.layers
    )


def _run_unet(execution: Execution, original: Forward, sample: Tensor, *args: Any, **kwargs: Any) -> Any:
    execution.begin_call(sample)
    return original(sample, *args, **kwargs)


def _run_conv_in(execution: Execution, original: Forward, hidden_states: Tensor) -> Tensor:
    if "conv_in" in execution.plan.dead:
        return execution.dead_output("conv_in", hidden_states)
    return original(hidden_states)


def _run_layer(
    execution: Execution, layer: Layer, original: Forward, hidden_states: Tensor, *args: Any, **kwargs: Any
) -> Tensor:
    plan, name = execution.plan, layer.path
    if name in plan.dead:
        return execution.dead_output(name, hidden_states)
    action = plan.actions.get(name)
    if action is None:
        output: Tensor = original(hidden_states, *args, **kwargs)
        parts = plan.writes.get(name, frozenset())
        if "value" in parts:
            execution.write_cache(name, "value", output)
        if "delta" in parts:
            execution.write_cache(name, "delta", output - shortcut(layer, hidden_states))
        return output
    if not action.properties.runs_shortcut:
        return execution.read_cache(name, "value")
    around = shortcut(layer, hidden_states)
    part = action.properties.reads
    return around if part is None else around + execution.read_cache(name, part)


def _idle_layer_output(execution: Execution, layer: Layer, hidden_states: Tensor) -> Tensor:
    """Return the output of a layer in an idle block.

    A layer that reuses is called, and answers from the cache, so that other code's hooks on it see its output.
    """
    if layer.path in execution.plan.dead:
        return execution.dead_output(layer.path, hidden_states)
    output: Tensor = layer.module(hidden_states)
    return output


def _run_block(
    execution: Execution, layout: Layout, original: Forward, hidden_states: Tensor, *args: Any, **kwargs: Any
) -> Any:
    """Run an encoder or middle block, unless it is idle."""
    if not _is_idle(layout, execution.plan):
        return original(hidden_states, *args, **kwargs)
    output = _idle_layer_output(execution, layout.layers[-1], hidden_states)
    if layout.role == "mid":
        return output
    skip_sources = [layer for layer in layout.layers if layer.gives_skip]
    return output, tuple(_idle_layer_output(execution, layer, hidden_states) for layer in skip_sources)


def _run_up_block(
    execution: Execution,
    layout: Layout,
    skips: tuple[str, ...],
    original: Forward,
    hidden_states: Tensor,
    res_hidden_states_tuple: tuple[Tensor, ...],
    *args: Any,
    **kwargs: Any,
) -> Tensor:
    """Run a decoder block, unless it is idle, with its skip connections as the plan changes them."""
    if _is_idle(layout, execution.plan):
        return _idle_layer_output(execution, layout.layers[-1], hidden_states)
    values = tuple(_skip_value(execution, name, v) for name, v in zip(skips, res_hidden_states_tuple, strict=True))
    output: Tensor = original(hidden_states, values, *args, **kwargs)
    return output


def _skip_value(execution: Execution, name: str, value: Tensor) -> Tensor:
    """Return what enters the decoder's concatenation instead of the `value` that the encoder computed."""
    plan = execution.plan
    if name in plan.dead:
        return value.new_full((), torch.nan).expand(value.shape)
    action = plan.actions.get(name)
    if action is None:
        if name in plan.writes:
            execution.write_cache(name, "value", value)
        return value
    if action.properties.reads is None:
        return value.new_zeros(()).expand(value.shape)
    return execution.read_cache(name, "value")
