"""LPIPS by the `lpips` package.

Its trunk, an AlexNet trained on ImageNet, is read from a file and never downloaded.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from compute.file_digest import file_digest
from compute.metrics.metric import AbsentError, Family, Metric, paired
from store.metric import MetricInfo

TRUNK_VARIABLE = "SKIPSCOPE_LPIPS_TRUNK"
TRUNK_FILE = "alexnet-owt-7be5be79.pth"
"""The name of the trunk in the cache of PyTorch's hub; it contains the first digits of its SHA-256."""

METRICS = (
    Metric(
        info=MetricInfo(name="lpips", direction="lower", low=0, label="LPIPS (AlexNet)"),
        smallest=31,  # AlexNet's second pooling needs three positions
    ),
)


def load(trunk: Path | None = None, device: torch.device | str = "cpu") -> Family:
    """Return the family of LPIPS (version 0.1, AlexNet), computed on `device`.

    The trunk is the file `trunk`, else that of the environment variable SKIPSCOPE_LPIPS_TRUNK, else the one in the
    cache of PyTorch's hub. Raises AbsentError where there is none and where it is not torchvision's AlexNet.
    """
    path = _trunk_path(trunk)
    network = _lpips_network(_trunk_weights(path)).to(device)

    def lpips_distance(pictures: Float[Tensor, "B 3 H W"], baseline: Float[Tensor, "B 3 H W"]) -> Float[Tensor, " B"]:
        distance: Tensor = network(pictures.to(device, torch.float32), baseline.to(device, torch.float32))
        return distance.flatten()

    return paired({"lpips": lpips_distance}, weights=file_digest(path))


def _trunk_path(trunk: Path | None) -> Path:
    named = trunk or (Path(os.environ[TRUNK_VARIABLE]) if os.environ.get(TRUNK_VARIABLE) else None)
    path = named or Path(torch.hub.get_dir()) / "checkpoints" / TRUNK_FILE
    if path.is_file():
        return path
    if named:
        raise AbsentError(f"its trunk {named} is not a file")
    raise AbsentError(
        f"its trunk is not on this machine and is never downloaded unasked: set {TRUNK_VARIABLE} to torchvision's "
        f"{TRUNK_FILE}, or put that file into {path.parent}"
    )


def _trunk_weights(path: Path) -> Mapping[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load passes on any exception of its unpickler
        raise AbsentError(f"its trunk {path} can't be read: {type(error).__name__}") from error
    if not isinstance(state, Mapping):
        raise AbsentError(f"its trunk {path} is not a state dict")
    return state


def _lpips_network(state: Mapping[str, Tensor]) -> Any:
    """Return the LPIPS network with the package's calibration and the trunk's weights in `state`."""
    import compute.torchvision_ops  # noqa: F401  (lpips imports torchvision)
    import lpips  # isort: skip

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lpips calls torchvision with a deprecated argument
        network = lpips.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
    for name, parameter in network.net.named_parameters():
        source = f"features.{name.split('.', 1)[1]}"  # slice3.6.weight is torchvision's features.6.weight
        if source not in state or state[source].shape != parameter.shape:
            raise AbsentError(f"its trunk is not torchvision's AlexNet: {source} is missing or of another shape")
        parameter.data.copy_(state[source])
    return network.eval().requires_grad_(False)
