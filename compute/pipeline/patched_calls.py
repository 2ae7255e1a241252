"""The methods that replace those of a followed pipeline: its scheduler's two methods and its UNet's forward.

Each calls the original, and `functools.update_wrapper` gives it the original's signature, which pipelines inspect.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Never, Protocol

import torch
from diffusers.utils import BaseOutput
from torch import Tensor

from compute.pipeline.run_steps import FollowError

NOT_PICKLED = "cannot be pickled while its runs are followed: leave the context first"


@dataclass(frozen=True, kw_only=True)
class UNetArguments:
    """The arguments of one call of a UNet."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def sample(self) -> Tensor:
        """The network's input, with the batch axis first."""
        sample: Tensor = self.args[0] if self.args else self.kwargs["sample"]
        return sample

    @property
    def timestep(self) -> Tensor | float:
        """The training timestep, or one for each row."""
        timestep: Tensor | float = self.args[1] if len(self.args) > 1 else self.kwargs["timestep"]
        return timestep

    def repeated(self, times: int) -> UNetArguments:
        """Return the arguments of a batch `times` as large: every tensor with one entry a row has its rows repeated."""
        return self._changed(lambda value: value.repeat(times, *[1] * (value.ndim - 1)))

    def half(self, which: int) -> UNetArguments:
        """Return the arguments of the first (0) or second (1) half of the batch, of every tensor with one entry a row.

        Raises FollowError for a text with another number of rows, whose halves are not known.
        """
        text = self.kwargs.get("encoder_hidden_states", self.args[2] if len(self.args) > 2 else None)
        rows = len(self.sample)
        if isinstance(text, Tensor) and len(text) != rows:
            raise FollowError(
                f"guidance: the UNet's encoder_hidden_states have {len(text)} rows and its sample {rows}, so the rows "
                "of the conditional half are not known; pipelines with a text for each row are supported"
            )
        return self._changed(lambda value: value.chunk(2)[which])

    def _changed(self, change: Callable[[Tensor], Tensor]) -> UNetArguments:
        """Return the arguments after a change of every tensor with one entry a row."""
        rows = len(self.sample)
        return UNetArguments(
            args=tuple(_changed(value, rows, change) for value in self.args),
            kwargs={name: _changed(value, rows, change) for name, value in self.kwargs.items()},
        )


def _changed(value: Any, rows: int, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value) if value.ndim and len(value) == rows else value
    if isinstance(value, dict):
        return {key: _changed(part, rows, change) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_changed(part, rows, change) for part in value)
    return value


@dataclass
class KnownOutput(BaseOutput):
    """The output of a UNet that did not run, or of which a half did."""

    sample: Tensor


@dataclass(frozen=True, kw_only=True)
class UNetCall:
    """A call of a UNet with `channels` output channels, which has not been carried out yet."""

    arguments: UNetArguments
    forward: Callable[..., Any]
    channels: int

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the output."""
        sample = self.arguments.sample
        return len(sample), self.channels, *sample.shape[2:]

    def run(self) -> Any:
        """Return what the UNet puts out."""
        return self.forward(*self.arguments.args, **self.arguments.kwargs)

    def known(self, output: Tensor) -> Any:
        """Return a tensor in the form in which the UNet would put it out."""
        return KnownOutput(sample=output) if self.arguments.kwargs.get("return_dict", True) else (output,)

    def skipped(self) -> Any:
        """Return NaN in the place of the output, so that a read by mistake shows."""
        return self.known(self.arguments.sample.new_full(self.output_shape, torch.nan))


class Follower(Protocol):
    """What the patched methods tell; see `compute.pipeline.follow.RunFollower`."""

    active: bool

    def claim_run(self) -> None: ...
    def begin_run(self, scheduler: Any) -> None: ...
    def unet_output(self, call: UNetCall) -> Any: ...
    def scheduler_arguments(self, scheduler: Any, arguments: dict[str, Any]) -> None: ...
    def end_step(self, scheduler: Any, x_next: Tensor) -> None: ...


class PatchedSchedulerMethod:
    """A scheduler's `set_timesteps` or `step` that also informs a follower.

    A deep copy of the scheduler, which some pipelines make, has patched methods that inform the same follower; in a
    deep copy of the whole pipeline `pipe`, and once the follower is inactive, it has its own methods.
    """

    __wrapped__: Any

    def __init__(self, follower: Follower, scheduler: Any, name: str, pipe: Any = None) -> None:
        self._follower, self._scheduler, self._name, self._pipe = follower, scheduler, name, pipe
        functools.update_wrapper(self, getattr(scheduler, name))
        self._signature = inspect.signature(getattr(type(scheduler), name))  # others may have replaced the method

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        original = self.__wrapped__
        if not self._follower.active:
            return original(*args, **kwargs)
        if self._name == "step":
            return self._step(*args, **kwargs)
        self._follower.claim_run()
        result = original(*args, **kwargs)
        self._follower.begin_run(self._scheduler)
        return result

    def _step(self, *args: Any, **kwargs: Any) -> Any:
        call = self._signature.bind(self._scheduler, *args, **kwargs)
        if "generator" in self._signature.parameters:
            call.arguments.setdefault("generator", None)
        self._follower.scheduler_arguments(self._scheduler, call.arguments)
        result = self.__wrapped__(*call.args[1:], **call.kwargs)
        self._follower.end_step(self._scheduler, result[0])
        return result

    @property
    def active(self) -> bool:
        """Whether the run's follower still follows."""
        return self._follower.active

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        scheduler = memo.get(id(self._scheduler), self._scheduler)
        if id(self._pipe) in memo or not self._follower.active:
            return getattr(type(scheduler), self._name).__get__(scheduler)
        return PatchedSchedulerMethod(self._follower, scheduler, self._name, self._pipe)

    def __reduce__(self) -> Never:
        raise FollowError(f"pipe.scheduler {NOT_PICKLED}")


class PatchedUNetForward:
    """A UNet's forward whose output a follower says: at steps where it is known the UNet does not run.

    A deep copy of the UNet is not followed.
    """

    __wrapped__: Any

    def __init__(self, follower: Follower, unet: Any) -> None:
        self._follower, self._unet = follower, unet
        functools.update_wrapper(self, unet.forward)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._follower.active:
            return self.__wrapped__(*args, **kwargs)
        arguments, channels = UNetArguments(args=args, kwargs=kwargs), int(self._unet.config.out_channels)
        return self._follower.unet_output(UNetCall(arguments=arguments, forward=self.__wrapped__, channels=channels))

    def __reduce__(self) -> Never:
        raise FollowError(f"pipe.unet {NOT_PICKLED}")

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        copied = memo.get(id(self._unet))
        return self.__wrapped__ if copied is None else type(copied).forward.__get__(copied)


def patched_methods(follower: Follower, pipe: Any, unet: Any) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
    """Yield what is replaced while a pipeline is followed: an object, the name of its method, the new method."""
    yield unet, "forward", PatchedUNetForward(follower, unet)
    for name in ("set_timesteps", "step"):
        yield pipe.scheduler, name, PatchedSchedulerMethod(follower, pipe.scheduler, name, pipe)


def check_not_followed(scheduler: Any, unet: Any) -> None:
    """Raise FollowError where runs are followed already.

    What a deep copy of a scheduler, made during a run, still has of that run after its end is removed.
    """
    for name in ("set_timesteps", "step"):
        method = scheduler.__dict__.get(name)
        if isinstance(method, PatchedSchedulerMethod) and not method.active:
            del scheduler.__dict__[name]
    if isinstance(scheduler.__dict__.get("step"), PatchedSchedulerMethod):
        raise FollowError("pipe: its scheduler is followed already: leave that context before entering another")
    if isinstance(unet.__dict__.get("forward"), PatchedUNetForward):
        raise FollowError("pipe: its UNet is followed already: leave that context before entering another")
