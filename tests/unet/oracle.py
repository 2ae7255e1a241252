"""The slow oracle: runs every module at every step, substitutes outputs afterwards, and looks at what mattered.

It knows nothing of graphs or plans. Residual branches are silenced by zeroing the weights of their last layer, outputs
replaced by forward hooks, skips by replacing the decoder block's input. What an output depends on is read off autograd:
a tensor without a gradient did not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from torch import nn

from compute.policy.schedule import Schedule
from store.records import Action
from tests.unet.tiny import BATCH, SIZE, inputs

Values = dict[str, torch.Tensor]
Remembered = tuple[int, Callable[[], torch.Tensor], Callable[[], torch.Tensor]]
Part = Literal[1, 2]
"""What of a remembered step is read: its value or its residual."""


@dataclass(kw_only=True)
class Seen:
    """One pass: the output, every component's value as it was used, and the components that the output depends on."""

    output: torch.Tensor
    values: Values
    mattered: set[str]


@dataclass(kw_only=True)
class Pass:
    """One forward pass in which every module runs and some values are replaced."""

    replace: Mapping[str, torch.Tensor]
    add: Mapping[str, torch.Tensor]
    values: Values = field(default_factory=dict)
    skip_names: list[str] = field(default_factory=list)

    def use(self, name: str, value: torch.Tensor) -> torch.Tensor:
        value = (self.replace[name].expand_as(value) if name in self.replace else value + self.add.get(name, 0)) * 1
        if not value.requires_grad:
            value.requires_grad_()
        self.values[name] = value
        return value

    def on_module(self, path: str) -> Any:
        return lambda module, args, output: self.use(path, output)

    def on_up_block(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        given = list(kwargs["res_hidden_states_tuple"])
        names = [self.skip_names.pop() for _ in given][::-1]
        kwargs["res_hidden_states_tuple"] = tuple(self.use(*one) for one in zip(names, given, strict=True))
        return args, kwargs


def components(unet: Any) -> list[str]:
    """The paths of all modules that are components, found by where they hang."""
    parts = (".resnets.", ".attentions.", ".downsamplers.", ".upsamplers.")
    return [path for path, _ in unet.named_modules() if any(path[:-1].endswith(part) for part in parts)]


def skips(unet: Any) -> list[str]:
    """The skips in the order in which the encoder emits them."""
    names = ["conv_in"]
    for index, block in enumerate(unet.down_blocks):
        kind = "attentions" if hasattr(block, "attentions") else "resnets"
        names += [f"down_blocks.{index}.{kind}.{layer}" for layer in range(len(block.resnets))]
        names += [f"down_blocks.{index}.downsamplers.0"] if block.downsamplers else []
    return ["skip:" + name for name in names]


@contextmanager
def silenced(unet: Any, paths: Sequence[str]) -> Iterator[None]:
    """Zeroes the last layer of the residual branch of some modules."""
    modules = dict(unet.named_modules())
    lasts = [modules[p].to_out[0] if ".attentions." in p else modules[p].conv2 for p in paths]
    saved = [(last, last.weight.data, last.bias.data) for last in lasts]
    for last, weight, bias in saved:
        last.weight.data, last.bias.data = torch.zeros_like(weight), torch.zeros_like(bias)
    try:
        yield
    finally:
        for last, weight, bias in saved:
            last.weight.data, last.bias.data = weight, bias


def look(
    unet: Any,
    step: int,
    replace: Mapping[str, torch.Tensor] | None = None,
    add: Mapping[str, torch.Tensor] | None = None,
    silent: Sequence[str] = (),
    batch: int = BATCH,
    size: int = SIZE,
) -> Seen:
    """Runs everything at a step with some values replaced or added to and some residual branches silenced."""
    one = Pass(replace=replace or {}, add=add or {}, skip_names=skips(unet))
    with ExitStack() as stack:
        stack.enter_context(silenced(unet, silent))
        modules = dict(unet.named_modules())
        for path in ["conv_in", *components(unet)]:
            stack.enter_context(_removing(modules[path].register_forward_hook(one.on_module(path))))
        for block in unet.up_blocks:
            stack.enter_context(_removing(block.register_forward_pre_hook(one.on_up_block, with_kwargs=True)))
        with torch.enable_grad():
            output = unet(**inputs(step, batch, size)).sample
            names = list(one.values)
            found: Sequence[Any] = torch.autograd.grad(
                output.sum(), [one.values[name] for name in names], allow_unused=True
            )
    return Seen(
        output=output.detach(),
        values={name: value.detach() for name, value in one.values.items()},
        mattered={name for name, gradient in zip(names, found, strict=True) if gradient is not None},
    )


@contextmanager
def _removing(handle: Any) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()


def run_everything(unet: Any, schedule: Schedule, batch: int = BATCH, size: int = SIZE) -> list[Seen | None]:
    """Every step of a schedule with all modules running; None where `unet` is reused.

    A value is reused from the last earlier steps at which it was computed and mattered.
    """
    shapes = look(unet, 0, batch=batch, size=size).values
    history: dict[str, list[Remembered]] = {}
    seen: list[Seen | None] = []
    for step in range(schedule.steps):
        row = schedule.at(step)
        if "unet" in row:
            seen.append(None)
            continue
        replace: Values = {name: torch.zeros_like(shapes[name]) for name in row if row[name].name == "zero"}
        replace |= {name: line(row[name], step, history, name, 1) for name in row if row[name].name == "reuse"}
        add = {name: line(row[name], step, history, name, 2) for name in row if row[name].name == "reuse_delta"}
        silent = [name for name in row if row[name].name in ("bypass", "reuse_delta")]
        look_again = partial(look, unet, step, replace, add, batch=batch, size=size)
        one = look_again(silent)
        for name in one.mattered - set(row):
            residual = partial(_residual, name, one, look_again, silent)
            history.setdefault(name, []).append((step, partial(one.values.__getitem__, name), residual))
        seen.append(one)
    return seen


def _residual(name: str, full: Seen, look_again: Callable[[list[str]], Seen], silent: list[str]) -> torch.Tensor:
    """What a component added to its shortcut: its value less that of another pass in which it was silent too."""
    return full.values[name] - look_again([*silent, name]).values[name]


def line(action: Action, step: int, history: Mapping[str, list[Remembered]], name: str, part: Part) -> torch.Tensor:
    """The last value of a component, or the line through the last two at a step; NaN where there are none to read."""
    known = history.get(name, [])[-action.order - 1 :]
    if len(known) <= action.order:
        return torch.tensor(torch.nan)
    value = known[-1][part]()
    if action.order:
        value = torch.lerp(known[0][part](), value, (step - known[0][0]) / (known[1][0] - known[0][0]))
    return value
