"""Lets torchvision import beside a CPU build of torch.

torchvision's wheels on PyPI are built against CUDA: beside a CPU torch their compiled operators do not load, and then
`import torchvision` fails at the operators it describes, and with it diffusers and lpips, which import it. They never
call those operators, so declaring them is enough. Nothing is declared where the real ones load.
"""

from __future__ import annotations

import importlib.util

import torch

_DECLARED = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def _real_operators_load() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.submodule_search_locations is None:
        return True  # no torchvision, nothing to mend
    library = importlib.util.find_spec("torchvision._C") if torch.version.cuda else None
    return library is not None


def declare_missing() -> torch.library.Library | None:
    """The library with the declared operators, which must be kept alive; None where nothing had to be declared."""
    if _real_operators_load() or hasattr(torch.ops.torchvision, "nms"):
        return None
    library = torch.library.Library("torchvision", "DEF")
    for schema in _DECLARED.values():
        library.define(schema)
    return library


_KEPT_ALIVE = declare_missing()
