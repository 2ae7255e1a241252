"""Settings of a UNet that are no weights and change its numbers: the scales of LoRA adapters, and FreeU."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

FREEU = ("s1", "s2", "b1", "b2")
"""The attributes of a decoder block for which FreeU writes into its input."""


def numeric_settings(unet: nn.Module) -> list[str]:
    """Return a line for each setting that takes effect, in the order of the modules; none for a plain UNet."""
    return [f"{path} {line}" for path, module in unet.named_modules() for line in _lines(module)]


def _lines(module: nn.Module) -> Iterator[str]:
    attributes = vars(module)
    freeu = {name: attributes[name] for name in FREEU if isinstance(attributes.get(name), int | float)}
    yield from (f"{name}={float(value)!r}" for name, value in freeu.items())
    scaling = attributes.get("scaling")  # of a layer of peft, by adapter
    if isinstance(scaling, dict) and not getattr(module, "disable_adapters", False):
        active = getattr(module, "active_adapters", ())
        merged = getattr(module, "merged_adapters", ())
        yield from (f"{name}={float(scaling[name])!r}" for name in active if name in scaling and name not in merged)
