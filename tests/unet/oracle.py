"""A slow oracle for executed schedules: it runs every module at every step and replaces outputs afterwards.

It uses neither graphs nor plans, and finds components by the names of their parents. Residual branches are disabled by
zeroing the weights of their last layers, outputs are replaced by forward hooks, and skip connections by changing the
decoder block's input. Whether the output depends on a component is decided by autograd: a value without a gradient is
not needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any, Literal

import torch
from torch import Tensor, nn

from compute.policy.schedule import Schedule
from store.records import Action

Values = dict[str, Tensor]
HistoryEntry = tuple[int, Callable[[], Tensor], Callable[[], Tensor]]
"""A step, and functions that return a component's value and its residual at the step."""
Part = Literal[1, 2]
"""The index of the value, or of the residual, in a HistoryEntry."""
LISTS = "resnets|resnets_in|resnets_out|attentions|downsamplers|upsamplers|temp_convs|temp_attentions|motion_modules"
COMPONENT = re.compile(rf".*\.({LISTS})\.\d+|.*\.(resnet_down|resnet_up|upsampler)|transformer_in")
PART = re.compile(r"(.*?)\.(temporal_)?transformer_blocks\.\d+\.(attn1|attn2|ff)")
LAYER = re.compile(r"conv_in|.*\.skip_(conv|norm)")


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
    values: Values = field(default_factory=dict)
    sources: dict[int, str] = field(default_factory=dict)
    """The module whose output a tensor is, by the tensor's identity."""

    def record(self, name: str, value: Tensor) -> Tensor:
        value = (self.replace[name].expand_as(value) if name in self.replace else value + self.add.get(name, 0)) * 1
        if not value.requires_grad:
            value.requires_grad_()
        self.values[name] = value
        return value

    def module_hook(self, path: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> Any:
            tensor = output[0] if isinstance(output, tuple) else output
            recorded = self.record(path, tensor)
            self.sources[id(recorded)] = path
            return (recorded, *output[1:]) if isinstance(output, tuple) else recorded

        return hook

    def down_block_hook(self, module: nn.Module, args: Any, output: Any) -> None:
        """Name sums that a block makes of its last outputs after the last of them."""
        for tensor in output[1] if isinstance(output, tuple) else ():
            self.sources.setdefault(id(tensor), list(self.values)[-1])

    def up_block_hook(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        skips = kwargs.get("res_hidden_states_tuple", args[1] if len(args) > 1 else None)
        if not isinstance(skips, tuple):  # a block whose skip connections are concatenated outside of it
            return args, kwargs
        names = [f"skip:{self.sources[id(skip)]}" if skip is not None else "" for skip in skips]
        changed = tuple(self.record(name, skip) if name else skip for name, skip in zip(names, skips, strict=True))
        if "res_hidden_states_tuple" in kwargs:
            return args, kwargs | {"res_hidden_states_tuple": changed}
        return (args[0], changed, *args[2:]), kwargs


def components(unet: Any) -> list[str]:
    """Return the paths of all modules that are components or parts of one, by the names of their parents."""
    modules = {path: module for path, module in unet.named_modules() if not path.startswith(("add_", "encoder_hid"))}
    paths = [path for path, module in modules.items() if not isinstance(module, nn.Identity)]
    whole = [path for path in paths if COMPONENT.fullmatch(path)]
    return [path for path in paths if path in whole or (PART.fullmatch(path) and parent(path) in whole)]


def parent(path: str) -> str:
    """Return the component around a part of a transformer; "" for what is no part."""
    match = PART.fullmatch(path)
    return match[1] if match else ""


def last_layers(module: Any) -> list[Any]:
    """Return the layers at the end of a component's residual branches."""
    if hasattr(module, "spatial_res_block"):
        return [module.spatial_res_block.conv2, module.temporal_res_block.conv2]
    if hasattr(module, "attn2"):
        return [attention.to_out[0] for attention in (getattr(module, "attn1", None), module.attn2) if attention]
    for name in ("conv2", "proj_out"):
        if hasattr(module, name) and not hasattr(module, "conv4"):
            return [getattr(module, name)]
    if hasattr(module, "conv4"):
        return [module.conv4[-1]]
    return [module.net[-1] if hasattr(module, "net") else module.to_out[0]]


@contextmanager
def without_residuals(unet: Any, paths: Sequence[str]) -> Iterator[None]:
    """Zero the last layers of the residual branches of some modules within the context."""
    modules = dict(unet.named_modules())
    saved = [(layer, layer.weight.data, layer.bias.data) for path in paths for layer in last_layers(modules[path])]
    for layer, weight, bias in saved:
        layer.weight.data, layer.bias.data = torch.zeros_like(weight), torch.zeros_like(bias)
    try:
        yield
    finally:
        for layer, weight, bias in saved:
            layer.weight.data, layer.bias.data = weight, bias


def run_pass(
    unet: Any,
    inputs: Mapping[str, Any],
    replace: Mapping[str, Tensor] | None = None,
    add: Mapping[str, Tensor] | None = None,
    disabled: Sequence[str] = (),
) -> ForwardPass:
    """Run all modules, with some values replaced or added to and some residual branches disabled."""
    recorder = ValueRecorder(replace=replace or {}, add=add or {})
    with ExitStack() as stack:
        stack.enter_context(without_residuals(unet, disabled))
        modules = dict(unet.named_modules())
        for path in [*(path for path in modules if LAYER.fullmatch(path)), *components(unet)]:
            handle = modules[path].register_forward_hook(recorder.module_hook(path))
            stack.callback(handle.remove)
        for block in unet.down_blocks:
            stack.callback(block.register_forward_hook(recorder.down_block_hook).remove)
        for block in unet.up_blocks:
            stack.callback(block.register_forward_pre_hook(recorder.up_block_hook, with_kwargs=True).remove)
        with torch.enable_grad():
            output = unet(**inputs, return_dict=False)[0]
            values = recorder.values
            gradients: Sequence[Any] = torch.autograd.grad(output.sum(), list(values.values()), allow_unused=True)
    return ForwardPass(
        output=output.detach(),
        values={name: value.detach() for name, value in values.items()},
        needed={name for name, gradient in zip(values, gradients, strict=True) if gradient is not None},
    )


def run_everything(
    unet: Any, schedule: Schedule, inputs_at: Callable[[int], Mapping[str, Any]]
) -> list[ForwardPass | None]:
    """Run every step of a schedule with all modules; the result is None where `unet` is reused.

    A value is reused from the last earlier steps at which it was computed and needed. The parts of a component that is
    acted on are not needed, whatever their own action.
    """
    shapes = run_pass(unet, inputs_at(0)).values
    history: dict[str, list[HistoryEntry]] = {}
    passes: list[ForwardPass | None] = []
    for step in range(schedule.steps):
        acted = schedule.at(step)
        row = {name: action for name, action in acted.items() if parent(name) not in acted}
        if "unet" in row:
            passes.append(None)
            continue
        replace: Values = {name: torch.zeros_like(shapes[name]) for name in row if row[name].name == "zero"}
        replace |= {name: reused(row[name], step, history, name, 1) for name in row if row[name].name == "reuse"}
        add = {name: reused(row[name], step, history, name, 2) for name in row if row[name].name == "reuse_delta"}
        disabled = [name for name in row if row[name].name in ("bypass", "reuse_delta")]
        run_again = partial(run_pass, unet, inputs_at(step), replace, add)
        this = run_again(disabled)
        this = ForwardPass(
            output=this.output, values=this.values, needed={name for name in this.needed if parent(name) not in row}
        )
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
    """Return the polynomial through a component's last values at a step (Lagrange); NaN where there are too few."""
    entries = history.get(name, [])[-action.order - 1 :]
    if len(entries) <= action.order:
        return torch.tensor(torch.nan)
    steps = [entry[0] for entry in entries]
    weights = [prod((step - s) / (own - s) for s in steps if s != own) for own in steps]
    return sum((weight * entry[part]() for weight, entry in zip(weights, entries, strict=True)), torch.zeros(()))
