"""A slow oracle for executed schedules: it runs every module at every step and replaces outputs afterwards.

It uses neither graphs nor plans. Residual branches are disabled by zeroing the weights of their last layer, outputs are
replaced by forward hooks, and skip connections by changing the decoder block's input. Whether the output depends on a
component is decided by autograd: a value without a gradient is not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from compute.policy.schedule import Schedule
from store.records import Action
from tests.unet.tiny import BATCH, SIZE, inputs

Values = dict[str, Tensor]
HistoryEntry = tuple[int, Callable[[], Tensor], Callable[[], Tensor]]
"""A step, and functions that return a component's value and its residual at the step."""
Part = Literal[1, 2]
"""The index of the value, or of the residual, in a HistoryEntry."""


@dataclass(frozen=True, kw_only=True)
class ForwardPass:
    """The output of a pass, the value of every component, and the components that the output depends on."""

    output: Tensor
    values: Values
    needed: set[str]


@dataclass(kw_only=True)
class ValueRecorder:
    """Records the value of every component in a pass, after replacing some and adding to others."""

    replace: Mapping[str, Tensor]
    add: Mapping[str, Tensor]
    skip_names: list[str]
    values: Values = field(default_factory=dict)

    def record(self, name: str, value: Tensor) -> Tensor:
        value = (self.replace[name].expand_as(value) if name in self.replace else value + self.add.get(name, 0)) * 1
        if not value.requires_grad:
            value.requires_grad_()
        self.values[name] = value
        return value

    def module_hook(self, path: str) -> Any:
        return lambda module, args, output: self.record(path, output)

    def up_block_hook(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        skip_values = list(kwargs["res_hidden_states_tuple"])
        names = [self.skip_names.pop() for _ in skip_values][::-1]
        recorded = (self.record(name, value) for name, value in zip(names, skip_values, strict=True))
        kwargs["res_hidden_states_tuple"] = tuple(recorded)
        return args, kwargs


def components(unet: Any) -> list[str]:
    """Return the paths of all modules that are components, by the names of their parents."""
    parents = (".resnets.", ".attentions.", ".downsamplers.", ".upsamplers.")
    return [path for path, _ in unet.named_modules() if any(path[:-1].endswith(parent) for parent in parents)]


def skips(unet: Any) -> list[str]:
    """Return the skip connections in the order in which the encoder computes them."""
    names = ["conv_in"]
    for index, block in enumerate(unet.down_blocks):
        kind = "attentions" if hasattr(block, "attentions") else "resnets"
        names += [f"down_blocks.{index}.{kind}.{layer}" for layer in range(len(block.resnets))]
        names += [f"down_blocks.{index}.downsamplers.0"] if block.downsamplers else []
    return ["skip:" + name for name in names]


@contextmanager
def without_residuals(unet: Any, paths: Sequence[str]) -> Iterator[None]:
    """Zero the last layer of the residual branch of some modules within the context."""
    modules = dict(unet.named_modules())
    last_layers = [modules[path].to_out[0] if ".attentions." in path else modules[path].conv2 for path in paths]
    saved = [(layer, layer.weight.data, layer.bias.data) for layer in last_layers]
    for layer, weight, bias in saved:
        layer.weight.data, layer.bias.data = torch.zeros_like(weight), torch.zeros_like(bias)
    try:
        yield
    finally:
        for layer, weight, bias in saved:
            layer.weight.data, layer.bias.data = weight, bias


def run_pass(
    unet: Any,
    step: int,
    replace: Mapping[str, Tensor] | None = None,
    add: Mapping[str, Tensor] | None = None,
    disabled: Sequence[str] = (),
    batch: int = BATCH,
    size: int = SIZE,
) -> ForwardPass:
    """Run all modules at a step, with some values replaced or added to and some residual branches disabled."""
    recorder = ValueRecorder(replace=replace or {}, add=add or {}, skip_names=skips(unet))
    with ExitStack() as stack:
        stack.enter_context(without_residuals(unet, disabled))
        modules = dict(unet.named_modules())
        for path in ["conv_in", *components(unet)]:
            handle = modules[path].register_forward_hook(recorder.module_hook(path))
            stack.callback(handle.remove)
        for block in unet.up_blocks:
            handle = block.register_forward_pre_hook(recorder.up_block_hook, with_kwargs=True)
            stack.callback(handle.remove)
        with torch.enable_grad():
            output = unet(**inputs(step, batch, size)).sample
            values = recorder.values
            gradients: Sequence[Any] = torch.autograd.grad(output.sum(), list(values.values()), allow_unused=True)
    return ForwardPass(
        output=output.detach(),
        values={name: value.detach() for name, value in values.items()},
        needed={name for name, gradient in zip(values, gradients, strict=True) if gradient is not None},
    )


def run_everything(unet: Any, schedule: Schedule, batch: int = BATCH, size: int = SIZE) -> list[ForwardPass | None]:
    """Run every step of a schedule with all modules; the result is None where `unet` is reused.

    A value is reused from the last earlier steps at which it was computed and needed.
    """
    shapes = run_pass(unet, 0, batch=batch, size=size).values
    history: dict[str, list[HistoryEntry]] = {}
    passes: list[ForwardPass | None] = []
    for step in range(schedule.steps):
        row = schedule.at(step)
        if "unet" in row:
            passes.append(None)
            continue
        replace: Values = {name: torch.zeros_like(shapes[name]) for name in row if row[name].name == "zero"}
        replace |= {name: reused(row[name], step, history, name, 1) for name in row if row[name].name == "reuse"}
        add = {name: reused(row[name], step, history, name, 2) for name in row if row[name].name == "reuse_delta"}
        disabled = [name for name in row if row[name].name in ("bypass", "reuse_delta")]
        run_again = partial(run_pass, unet, step, replace, add, batch=batch, size=size)
        this = run_again(disabled)
        for name in this.needed - set(row):
            residual = partial(_residual, name, this, run_again, disabled)
            history.setdefault(name, []).append((step, partial(this.values.__getitem__, name), residual))
        passes.append(this)
    return passes


def _residual(
    name: str, full: ForwardPass, run_again: Callable[[list[str]], ForwardPass], disabled: list[str]
) -> Tensor:
    """Return what a component added to its shortcut: the change of its value when its residual is disabled, too."""
    return full.values[name] - run_again([*disabled, name]).values[name]


def reused(action: Action, step: int, history: Mapping[str, list[HistoryEntry]], name: str, part: Part) -> Tensor:
    """Return the last value of a component, or the line through the last two at a step; NaN where there are too few."""
    entries = history.get(name, [])[-action.order - 1 :]
    if len(entries) <= action.order:
        return torch.tensor(torch.nan)
    value = entries[-1][part]()
    if action.order:
        value = torch.lerp(entries[0][part](), value, (step - entries[0][0]) / (entries[1][0] - entries[0][0]))
    return value
