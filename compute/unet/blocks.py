"""Which modules of a UNet are components, and of which kind.

A module is recognised by the diffusers class that it is an instance of, wherever it stands; where a class is unknown,
by the list of its block that holds it. Nothing is assumed about the order in which modules run: `compute.unet.tracer`
finds that out. Another class is one more entry here, and one in `compute.unet.shortcut` if its residual is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from store.actions import PART_KINDS, Kind
from store.errors import SkipscopeError


class UnsupportedUNet(SkipscopeError):
    """A UNet that cannot be read; the message names the module's path and class, and what was wrong."""


_KINDS: Mapping[str, Kind] = {
    "ResnetBlock2D": "resnet",
    "ResnetBlockCondNorm2D": "resnet",
    "SpatioTemporalResBlock": "resnet",
    "TemporalConvLayer": "resnet",
    "Kandinsky3ResNetBlock": "resnet",
    "Attention": "attention",
    "KAttentionBlock": "attention",
    "Transformer2DModel": "attention",
    "DualTransformer2DModel": "attention",
    "TransformerTemporalModel": "attention",
    "TransformerSpatioTemporalModel": "attention",
    "AnimateDiffTransformer3D": "attention",
    "Kandinsky3AttentionBlock": "attention",
    "Downsample2D": "downsampler",
    "FirDownsample2D": "downsampler",
    "KDownsample2D": "downsampler",
    "Upsample2D": "upsampler",
    "FirUpsample2D": "upsampler",
    "KUpsample2D": "upsampler",
}
_KINDS_OF_LISTS: Mapping[str, Kind] = {
    "resnets": "resnet",
    "temp_convs": "resnet",
    "attentions": "attention",
    "temp_attentions": "attention",
    "motion_modules": "attention",
    "downsamplers": "downsampler",
    "upsamplers": "upsampler",
}
TRANSFORMER_BLOCKS = ("BasicTransformerBlock", "TemporalBasicTransformerBlock")
_PART_NAMES: Mapping[str, Kind] = {"attn1": "self_attention", "attn2": "cross_attention", "ff": "feed_forward"}


@dataclass(frozen=True, kw_only=True)
class ComponentModule:
    """A module that is a component: its path in the UNet, and its kind.

    `block` is the transformer block whose part the module is; None for a component that is no part.
    """

    path: str
    kind: Kind
    module: nn.Module
    block: nn.Module | None = None

    @property
    def is_part(self) -> bool:
        """Whether the module lies inside another component."""
        return self.kind in PART_KINDS


def uncompiled(unet: nn.Module) -> nn.Module:
    """Return the UNet beneath `torch.compile(unet)`, or the UNet itself."""
    network: Any = getattr(unet, "_orig_mod", unet)
    return network


def is_instance(module: nn.Module, *names: str) -> bool:
    """Return whether a module's class or one of its bases has one of the names.

    Names, because the classes that matter are spread over diffusers' modules and some move between its versions.
    """
    return any(base.__name__ in names for base in type(module).__mro__)


def component_modules(unet: nn.Module) -> dict[str, ComponentModule]:
    """Return the component modules of a UNet by path, parts included, in the order of `named_modules`.

    A child of the UNet without a resnet, such as an image projection, has no components, whatever else it is made of.
    """
    found: dict[str, ComponentModule] = {}
    for name, child in unet.named_children():
        in_child: dict[str, ComponentModule] = {}
        _find(nn.ModuleDict({name: child}), "", in_child)
        if name in in_child or any(component.kind == "resnet" for component in in_child.values()):
            found |= in_child
    return found


def _find(module: nn.Module, path: str, found: dict[str, ComponentModule]) -> None:
    for name, child in module.named_children():
        child_path = f"{path}.{name}" if path else name
        kind = _kind_of(child, in_list=path.rsplit(".", 1)[-1])
        if kind is None:
            _find(child, child_path, found)
            continue
        found[child_path] = ComponentModule(path=child_path, kind=kind, module=child)
        found.update((part.path, part) for part in _parts(child_path, child))


def _kind_of(module: nn.Module, in_list: str) -> Kind | None:
    """Return the kind of a module; None for one that is no component. `in_list` is the name of the list it lies in."""
    if is_instance(module, "Identity"):
        return None
    if getattr(module, "down", None) is True:  # a ResNet block that resamples
        return "downsampler"
    if getattr(module, "up", None) is True:
        return "upsampler"
    for base in type(module).__mro__:
        if base.__name__ in _KINDS:
            return _KINDS[base.__name__]
    return _KINDS_OF_LISTS.get(in_list)


def _parts(path: str, component: nn.Module) -> Iterator[ComponentModule]:
    """Yield the attentions and feed-forwards of the transformer blocks inside a component.

    By its name `attn2` is cross-attention; the tracer corrects the kind by what the module is called with.
    """
    for block_path, block in component.named_modules(prefix=path):
        if is_instance(block, *TRANSFORMER_BLOCKS):
            for name, kind in _PART_NAMES.items():
                part: Any = getattr(block, name, None)
                if isinstance(part, nn.Module):
                    yield ComponentModule(path=f"{block_path}.{name}", kind=kind, module=part, block=block)
