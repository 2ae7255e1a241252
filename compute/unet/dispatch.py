"""The replacements of the modules' forward methods, which follow the plan of the current step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_unflatten

from compute.policy.graph import SKIP_PREFIX, ComponentGraph
from compute.policy.liveness import StepPlan
from compute.unet.arguments import SkipsArgument, main_input, skips_argument
from compute.unet.blocks import ComponentModule, component_modules
from compute.unet.cache import ExecutionError
from compute.unet.execution import Execution
from compute.unet.shortcut import shortcut
from compute.unet.trace import TracedLeaf, tensor_of

Forward = Callable[..., Any]
Replacement = Callable[..., Any]


def dispatchers(unet: nn.Module, execution: Execution) -> Iterator[tuple[str, nn.Module, Replacement]]:
    """Yield the modules that need a dispatcher under the schedule, each with `replacement(original, *args, **kwargs)`.

    The first is the UNet itself, with an empty path. Raises ExecutionError where the schedule was resolved for another
    UNet.
    """
    graph, modules = execution.resolved.graph, dict(unet.named_modules())
    components = component_modules(unet)
    _check_components(components, modules, graph)
    plans = [plan for plan in execution.resolved.steps if plan.unet is None]
    dead: set[str] = set().union(*(plan.dead for plan in plans)) - graph.parents.keys()  # a dead part is not called
    touched = dead.union(*(names for plan in plans for names in (plan.actions, plan.writes)))
    yield "", unet, partial(_run_unet, execution)
    for name in graph.nodes:
        if name in touched and name in components:
            yield name, modules[name], partial(_run_component, execution, components[name])
        elif name in touched and name in modules:
            yield name, modules[name], partial(_run_structure, execution, name)
    skips_touched = any(name.startswith(SKIP_PREFIX) for name in touched)
    for block in _blocks(modules, graph):
        takes_skips = block.skips is not None and skips_touched
        if takes_skips or any(block.is_idle(plan) for plan in plans):
            yield block.path, modules[block.path], partial(_run_block, execution, block)


def _check_components(
    components: Mapping[str, ComponentModule], modules: Mapping[str, nn.Module], graph: ComponentGraph
) -> None:
    """Raise ExecutionError where the UNet lacks a component. What else differs shows when the UNet is called."""
    of_graph = {component.name for component in graph.components if component.kind not in ("skip", "unet", "guidance")}
    layers = {structure.name for structure in graph.structures if structure.kind in ("convolution", "layer")}
    if missing := (of_graph - components.keys()) | (layers - modules.keys()):
        raise ExecutionError(f"the schedule was resolved for another UNet: this one lacks {min(missing)}")


@dataclass(frozen=True, kw_only=True)
class _Block:
    """A module with components inside: the nodes in it, where it takes its skip connections, and its modules."""

    path: str
    nodes: tuple[str, ...]
    skips: SkipsArgument | None
    modules: Mapping[str, nn.Module]

    def is_idle(self, plan: StepPlan) -> bool:
        """Return whether no node of the block needs its input: each is dead or reuses an earlier step's output."""
        return all(
            name in plan.dead or (name in plan.actions and not plan.actions[name].properties.needs_input)
            for name in self.nodes
        )


def _blocks(modules: Mapping[str, nn.Module], graph: ComponentGraph) -> Iterator[_Block]:
    paths = [name for name in graph.nodes if name in modules and name not in graph.parents]
    around: dict[str, list[str]] = {}
    for name in paths:
        path = name
        while path := path.rpartition(".")[0]:
            around.setdefault(path, []).append(name)
    for path, nodes in around.items():
        module = modules[path]
        if not isinstance(module, (nn.ModuleList, nn.ModuleDict)):
            yield _Block(path=path, nodes=tuple(nodes), skips=skips_argument(module), modules=modules)


def _run_unet(execution: Execution, original: Forward, *args: Any, **kwargs: Any) -> Any:
    execution.begin_call(args, kwargs)
    return original(*args, **kwargs)


def _run_structure(execution: Execution, name: str, original: Forward, *args: Any, **kwargs: Any) -> Any:
    if name in execution.plan.dead:
        return execution.dead_output(name, main_input(args, kwargs).device)
    return original(*args, **kwargs)


def _run_component(
    execution: Execution, component: ComponentModule, original: Forward, *args: Any, **kwargs: Any
) -> Any:
    plan, name = execution.plan, component.path
    invocation = execution.next_invocation(component)
    if name in plan.dead:
        return execution.dead_output(name, main_input(args, kwargs).device, invocation)
    action = plan.actions.get(name)
    if action is None:
        output = original(*args, **kwargs)
        if name in plan.writes:
            _keep(execution, component, tensor_of(output), main_input(args, kwargs), invocation)
        return output
    form, part = execution.form(name, invocation), action.properties.reads
    if action.properties.runs_shortcut:
        value = shortcut(component, main_input(args, kwargs), form.tensor.shape)
        value = value if part is None else value + execution.read_cache(name, part, invocation)
    else:
        value = execution.read_cache(name, "value", invocation)
    return form.wrap(execution.unshared(name, value))


def _keep(
    execution: Execution, component: ComponentModule, output: Tensor, hidden_states: Tensor, invocation: int
) -> None:
    """Keep the parts of a component's output that later steps read."""
    name, parts = component.path, execution.plan.writes[component.path]
    if "value" in parts:
        execution.write_cache(name, "value", output, invocation)
    if "delta" in parts:
        delta = output - shortcut(component, hidden_states, tuple(output.shape))
        execution.write_cache(name, "delta", delta, invocation)


def _run_block(execution: Execution, block: _Block, original: Forward, *args: Any, **kwargs: Any) -> Any:
    """Run a block, unless it is idle, with its skip connections as the plan changes them."""
    plan = execution.plan
    if block.is_idle(plan):
        leaves = _idle_leaves(execution, block, main_input(args, kwargs))
        if leaves is not None:
            return tree_unflatten(leaves, execution.trace.blocks[block.path].spec)
    if block.skips is not None and plan.is_patched:
        names = execution.trace.blocks[block.path].skips
        values = zip(names, block.skips.get(args, kwargs), strict=True)
        changed = tuple(value if name is None else _skip_value(execution, name, value) for name, value in values)
        args, kwargs = block.skips.put(args, kwargs, changed)
    return original(*args, **kwargs)


def _idle_leaves(execution: Execution, block: _Block, hidden_states: Tensor) -> list[Any] | None:
    """Return the values that an idle block returns; None where one is more than an output of its components.

    A component that reuses is called, and answers from the cache, so that other code's hooks on it see its output.
    """
    dead, values = execution.plan.dead, dict[str, Tensor]()

    def value_of(leaf: TracedLeaf) -> Any:
        if leaf.form is None:
            return leaf.value
        if dead.issuperset(leaf.origins) and leaf.origins:
            value = leaf.form.nan(hidden_states.device)
            return value if leaf.node is None else execution.unshared(leaf.node, value)
        assert leaf.node is not None, "checked below"
        if leaf.node not in values:
            values[leaf.node] = tensor_of(block.modules[leaf.node](hidden_states))
        return values[leaf.node]

    leaves = execution.trace.blocks[block.path].leaves
    nodes = set(block.nodes)
    if any(leaf.form and leaf.node not in nodes and not dead.issuperset(leaf.origins or {""}) for leaf in leaves):
        return None
    return [value_of(leaf) for leaf in leaves]


def _skip_value(execution: Execution, name: str, value: Tensor) -> Tensor:
    """Return what enters the decoder's concatenation instead of the `value` that the encoder computed."""
    plan = execution.plan
    action = plan.actions.get(name)
    if name in plan.dead:
        form = value.new_full((), float("nan")).expand(value.shape)
    elif action is None:
        if name in plan.writes:
            execution.write_cache(name, "value", value)
        return value
    elif action.properties.reads is None:
        form = value.new_zeros(()).expand(value.shape)
    else:
        form = execution.read_cache(name, "value")
    return execution.unshared(name, form)
