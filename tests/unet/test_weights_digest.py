"""Digests of weights depend on the values in one dtype, change with any of them, and are computed once."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from compute.unet import WeightsError, parameter_digest, parameter_digests
from compute.unet import weights_digest as weights
from compute.unet.weights_digest import DTYPES, dtype_name
from tests.unet.tiny import make_unet


def small_module() -> nn.Module:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    module.register_buffer("scale", torch.ones(()))
    return module


def test_a_unet_is_recognised_in_each_dtype() -> None:
    unet = make_unet()
    digests = parameter_digests(unet)
    assert sorted(digests) == sorted(DTYPES)
    assert len(set(digests.values())) == 3
    for name, dtype in DTYPES.items():
        rounded = copy.deepcopy(unet).to(dtype)
        assert dtype_name(rounded) == name
        assert parameter_digest(rounded, dtype) == digests[name]
    kept = copy.deepcopy(unet).half()
    kept.conv_out.float()
    assert dtype_name(kept) == "float16"


CHANGES: dict[str, Callable[[Any], Any]] = {
    "a value": lambda module: module[0].weight.data.view(-1)[3:4].add_(1e-7),
    "a buffer": lambda module: module[1].running_mean.add_(1),
    "an integer buffer": lambda module: module[1].num_batches_tracked.add_(1),
    "a number without a shape": lambda module: module.scale.mul_(2),
    "a shape": lambda module: setattr(module[0], "weight", nn.Parameter(module[0].weight.reshape(3, 4))),
    "a name": lambda module: module.append(nn.Identity()) and module.add_module("other", module._modules.pop("0")),
    "one more": lambda module: module.append(nn.Linear(1, 1)),
    "swapped values": lambda module: module[0].bias.data.copy_(module[0].bias.data.flip(0)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_changes_the_digest(change: str) -> None:
    module = small_module()
    before = parameter_digest(module, torch.float32)
    other = copy.deepcopy(module)
    assert parameter_digest(other, torch.float32) == before
    other = copy.deepcopy(module)
    CHANGES[change](other)
    assert parameter_digest(other, torch.float32) != before


def test_a_digest_is_computed_once_and_again_after_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[torch.dtype] = []
    original = weights._digest
    monkeypatch.setattr(weights, "_digest", lambda unet, dtype: computed.append(dtype) or original(unet, dtype))
    module = small_module()
    first = [parameter_digest(module, dtype) for dtype in (torch.float32, torch.float16, torch.float32, torch.float16)]
    assert computed == [torch.float32, torch.float16]
    assert first[:2] == first[2:]
    with torch.no_grad():
        module[0].weight.mul_(2)  # type: ignore[index, operator]
    written = parameter_digest(module, torch.float32)
    module[0].weight = nn.Parameter(module[0].weight / 2)  # type: ignore[index, operator]
    replaced = parameter_digest(module, torch.float32)
    assert first[0] == replaced != written
    assert len(computed) == 4


def test_digests_of_inference_tensors_are_computed_every_time() -> None:
    with torch.inference_mode():
        module = small_module()
        before = parameter_digest(module, torch.float32)
        module[0].weight.mul_(2)  # type: ignore[index, operator]
        assert parameter_digest(module, torch.float32) != before


def test_the_layout_in_memory_does_not_matter() -> None:
    module = nn.Conv2d(3, 4, 3)
    other = copy.deepcopy(module).to(memory_format=torch.channels_last)
    assert parameter_digest(other, torch.float32) == parameter_digest(module, torch.float32)


def test_weights_without_a_digest_are_refused() -> None:
    with pytest.raises(WeightsError, match="the UNet's are float16; load it in float32 to take its digests"):
        parameter_digests(small_module().half())
    with pytest.raises(WeightsError, match=r"the UNet's are float64; one of float32, float16, bfloat16 is accepted"):
        parameter_digests(small_module().double())
    with pytest.raises(WeightsError, match=r"0\.bias is on the meta device; apply the policy before offloading"):
        parameter_digest(small_module().to("meta"), torch.float32)


@pytest.mark.parametrize("size", [(4,), (700, 33), (6, 5, 300, 1), (1025, 512)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_write_goes_unnoticed(size: tuple[int, ...], dtype: torch.dtype) -> None:
    """Torch does not count writes through `.data`, such as a copy of an average of weights."""
    module = nn.Module()
    module.weight = nn.Parameter(torch.randn(size).to(dtype))
    if len(size) == 4:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    seen = {parameter_digest(module, dtype)}
    data = module.weight.data
    for change in (
        lambda: data.view(torch.uint8).view(-1)[-1].bitwise_xor_(1) if data.is_contiguous() else data[-1].mul_(2),
        lambda: data[0].add_(1),
        lambda: data.copy_(data.flip(0)),
        lambda: data.copy_(0.9 * data + 0.1),
        lambda: data.neg_(),
    ):
        change()  # type: ignore[no-untyped-call]
        seen.add(parameter_digest(module, dtype))
    assert len(seen) == 6


def test_weights_that_share_memory_at_odd_places() -> None:
    memory = torch.randn(9000)
    module = nn.Module()
    module.weight = nn.Parameter(memory[1:8001])
    before = parameter_digest(module, torch.float32)
    memory[8000] += 1
    assert parameter_digest(module, torch.float32) != before
