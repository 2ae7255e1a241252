"""Lets torchvision import beside a CPU build of torch.

torchvision's wheels on PyPI are built against CUDA: beside a CPU torch their compiled operators do not load, and then
`import torchvision` fails at the operators it describes, and with it diffusers and lpips, which import it. They never
call those operators, so declaring them is enough. Nothing is declared where the real ones load.
"""

from __future__ import annotations

import sys

import torch

_DECLARED = tuple(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor" for name in ("nms", "qnms"))


def declare_missing() -> torch.library.Library | None:
    """The library with the declared operators, which must be kept alive; None where nothing had to be declared."""
    try:
        import torchvision  # noqa: F401
    except ImportError:
        return None
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
    else:
        return None
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]  # half imported
    library = torch.library.Library("torchvision", "DEF")
    for schema in _DECLARED:
        library.define(schema)
    return library


_KEPT_ALIVE = declare_missing()
