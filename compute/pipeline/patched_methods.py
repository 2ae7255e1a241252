"""The methods that replace those of a pipeline under a policy: its scheduler's two methods and its UNet's forward.

Each calls the original, and `functools.update_wrapper` gives it the original's signature, which pipelines inspect.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

import torch
from torch import Tensor

from compute.pipeline.policy_run import PolicyRun


class PatchedSchedulerMethod:
    """A scheduler's `set_timesteps` or `step` that also informs a run.

    A deep copy of the scheduler, which some pipelines make, has patched methods that inform the same run.
    """

    __wrapped__: Any

    def __init__(self, run: PolicyRun, scheduler: Any, name: str) -> None:
        self._run, self._scheduler, self._name = run, scheduler, name
        functools.update_wrapper(self, getattr(scheduler, name))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        original = self.__wrapped__
        if not self._run.active:
            return original(*args, **kwargs)
        if self._name == "step":
            return self._step(*args, **kwargs)
        result = original(*args, **kwargs)
        self._run.begin(self._scheduler)
        return result

    def _step(self, *args: Any, **kwargs: Any) -> Any:
        signature = inspect.signature(type(self._scheduler).step)
        call = signature.bind(self._scheduler, *args, **kwargs)
        arguments = call.arguments
        arguments["model_output"] = self._run.scheduler_input(
            self._scheduler,
            arguments["model_output"],
            int(arguments["timestep"]),
            arguments["sample"],
            self._eta(signature, arguments),
        )
        result = self.__wrapped__(*call.args[1:], **call.kwargs)
        self._run.end_step()
        return result

    def _eta(self, signature: inspect.Signature, arguments: dict[str, Any]) -> float:
        """Return DDIM's eta at this step: the argument, else the method's default, else the scheduler's attribute."""
        if "eta" not in signature.parameters:
            return 0.0
        eta = arguments.get("eta", signature.parameters["eta"].default)
        return float(self._scheduler.eta if eta is None else eta)

    def __deepcopy__(self, memo: dict[int, Any]) -> PatchedSchedulerMethod:
        return PatchedSchedulerMethod(self._run, memo.get(id(self._scheduler), self._scheduler), self._name)


class PatchedUNetForward:
    """A UNet's forward that does not run the UNet, and returns NaN, at steps that reuse the whole UNet."""

    __wrapped__: Any

    def __init__(self, run: PolicyRun, unet: Any) -> None:
        self._run, self._unet = run, unet
        functools.update_wrapper(self, unet.forward)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._run.active or not self._run.drops_unet:
            return self.__wrapped__(*args, **kwargs)
        arguments = inspect.signature(type(self._unet).forward).bind(self._unet, *args, **kwargs).arguments
        sample: Tensor = arguments["sample"]
        shape = (len(sample), int(self._unet.config.out_channels), *sample.shape[2:])
        output = sample.new_full(shape, torch.nan)
        if not arguments.get("return_dict", True):
            return (output,)
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput

        return UNet2DConditionOutput(sample=output)
