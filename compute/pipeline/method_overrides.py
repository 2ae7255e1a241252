"""What shadows a pipeline's methods under a policy: `set_timesteps` and `step` of its scheduler, its UNet's forward."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import torch
from torch import Tensor

from compute.pipeline.policy_run import PipelineRun


class SchedulerMethod:
    """A scheduler's `set_timesteps` or `step` that also tells a run.

    Pipelines look at the signature, which `inspect` finds through `__wrapped__`. A deep copy of the scheduler, which
    some pipelines make, has methods of its own that tell the same run.
    """

    __wrapped__: Any

    def __init__(self, run: PipelineRun, scheduler: Any, name: str) -> None:
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
        given = call.arguments
        given["model_output"] = self._run.output(
            self._scheduler, given["model_output"], int(given["timestep"]), given["sample"], self._eta(signature, given)
        )
        result = self.__wrapped__(*call.args[1:], **call.kwargs)
        self._run.end_step()
        return result

    def _eta(self, signature: inspect.Signature, given: dict[str, Any]) -> float:
        """DDIM's share of fresh noise at this step: as given, else the method's default, else the scheduler's own."""
        if "eta" not in signature.parameters:
            return 0.0
        eta = given.get("eta", signature.parameters["eta"].default)
        return float(self._scheduler.eta if eta is None else eta)

    def __deepcopy__(self, memo: dict[int, Any]) -> SchedulerMethod:
        return SchedulerMethod(self._run, memo.get(id(self._scheduler), self._scheduler), self._name)


class UNetForward:
    """A UNet's forward that rests, and puts out NaN, where a run reuses the whole UNet."""

    __wrapped__: Any

    def __init__(self, run: PipelineRun, unet: Any) -> None:
        self._run, self._unet = run, unet
        functools.update_wrapper(self, unet.forward)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._run.active or not self._run.drops_unet:
            return self.__wrapped__(*args, **kwargs)
        given = inspect.signature(type(self._unet).forward).bind(self._unet, *args, **kwargs).arguments
        sample: Tensor = given["sample"]
        nothing = sample.new_full((len(sample), int(self._unet.config.out_channels), *sample.shape[2:]), torch.nan)
        return _unet_output(nothing) if given.get("return_dict", True) else (nothing,)


def _unet_output(sample: Tensor) -> Any:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput

    return UNet2DConditionOutput(sample=sample)
