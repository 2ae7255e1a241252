"""The calls of a UNet within each step of a run, compared with those of the steps that a step reuses.

What a component computed is kept by the number of the call within its step. So a step may read it only where its calls
are those of the step that it reads: as many, with arguments of the same form, and with the same half of the guidance at
the same place.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from compute.policy.graph import UNET
from compute.policy.liveness import ResolvedSchedule
from compute.unet.cache import ExecutionError
from compute.unet.call_traces import form_of, freeu_of

_VARIADIC, _KEYWORDS = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
_RESIDUAL = "residual"
"""In the names of the arguments for ControlNets and adapters, whose values change from step to step."""


@dataclass(frozen=True, kw_only=True)
class _Conditioning:
    """A tensor that tells the rows of a batch apart, and a copy of its values: pipelines may write into it later."""

    tensor: Tensor
    version: int | None
    values: Tensor

    @classmethod
    def of(cls, tensor: Tensor) -> _Conditioning:
        return cls(tensor=tensor, version=_version(tensor), values=tensor.detach().clone())

    def is_same(self, tensor: Tensor) -> bool:
        """Return whether a tensor is the same memory and unchanged, which shows without reading it.

        In inference mode torch does not count changes: then memory of the CPU is read, and that of a GPU trusted.
        """
        own, version = self.tensor, _version(tensor)
        if version != self.version or (version is None and tensor.device.type == "cpu"):
            return False
        return tensor is own or (
            (tensor.data_ptr(), tensor.stride(), tensor.dtype) == (own.data_ptr(), own.stride(), own.dtype)
        )


@dataclass(frozen=True, kw_only=True)
class _Call:
    """One call: the form of each argument, and what tells the rows of its batch apart."""

    form: Mapping[str, Any]
    conditioning: tuple[_Conditioning, ...]


class StepCalls:
    """The calls of the steps of one run."""

    def __init__(self, resolved: ResolvedSchedule) -> None:
        self._sources = {
            plan.step: sorted({step for name, steps in plan.sources.items() if name != UNET for step in steps})
            for plan in resolved.steps
            if plan.unet is None
        }
        self._read = {source for sources in self._sources.values() for source in sources}
        self._calls: dict[int, list[_Call]] = {}
        self._made: dict[int, int] = {}

    def clear(self) -> None:
        """Prepare for a new run."""
        self._calls, self._made = {}, {}

    def add(self, step: int, unet: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Record the next call of a step. Raises ExecutionError where it isn't that of a step which the step reuses."""
        number = self._made.get(step, 0)
        sources = self._sources.get(step, [])
        if sources or step in self._read:
            names = _parameters(type(unet).forward)
            arguments = _named(names, args, kwargs)
            form = {name: _form(value) for name, value in arguments.items()} | {"FreeU": freeu_of(unet)}
            tensors = _conditioning(arguments, names[:2])
            for source in sources:
                self._compare(step, number, source, form, tensors)
            if step in self._read:
                call = _Call(form=form, conditioning=tuple(map(_Conditioning.of, tensors)))
                self._calls.setdefault(step, []).append(call)
        self._made[step] = number + 1

    def end(self, step: int) -> None:
        """Raise ExecutionError where a step that ends had another number of calls than one that it reuses."""
        made = self._made.get(step, 0)
        for source in self._sources.get(step, []) if made else []:
            if source in self._made and self._made[source] != made:
                raise ExecutionError(_count_message(step, _times(made), source, _times(self._made[source])))

    def _compare(
        self, step: int, number: int, source: int, form: Mapping[str, Any], tensors: tuple[Tensor, ...]
    ) -> None:
        calls = self._calls.get(source)
        if calls is None:
            return  # the cache says that this run has not computed it
        if number >= len(calls):
            raise ExecutionError(_count_message(step, f"more than {_times(number)}", source, _times(len(calls))))
        earlier = calls[number]
        if earlier.form != form:
            raise ExecutionError(_form_message(step, form, source, earlier.form))
        if all(kept.is_same(tensor) for kept, tensor in zip(earlier.conditioning, tensors, strict=True)):
            return
        if _rows_moved(calls, number, tensors):
            raise ExecutionError(
                f"call {number} of the UNet at step {step} has the prompts, or the half of the guidance, of another "
                f"place at step {source}, which it reuses: call the UNet in the same order at every step, and only "
                "for the picture"
            )


def _rows_moved(calls: list[_Call], number: int, tensors: tuple[Tensor, ...]) -> bool:
    """Return whether a row of a call has another value than at its place in the step that it reuses, found elsewhere.

    A value that the other step has nowhere is new (a prompt that a callback changed): it is no mistaken place.
    """
    own = [kept.values for kept in calls[number].conditioning]
    for row in range(len(tensors[0])):
        given = [tensor[row] for tensor in tensors]
        if _equal(given, [values[row] for values in own]):
            continue
        for call in calls:
            kept = [conditioning.values for conditioning in call.conditioning]
            if [value.shape[1:] for value in kept] != [tensor.shape[1:] for tensor in tensors]:
                continue
            if any(_equal(given, [values[other] for values in kept]) for other in range(len(kept[0]))):
                return True
    return False


def _equal(a: Iterable[Tensor], b: Iterable[Tensor]) -> bool:
    return all(torch.equal(left, right.to(left)) for left, right in zip(a, b, strict=True))


def _conditioning(arguments: Mapping[str, Any], own: Sequence[str]) -> tuple[Tensor, ...]:
    """Return the tensors that have a row for each row of the sample and that tell these apart.

    `own` are the names of the network's input and of the timestep.
    """
    rows = len(arguments[own[0]] if own and own[0] in arguments else next(iter(arguments.values())))
    given = [value for name, value in arguments.items() if name not in own and _RESIDUAL not in name]
    tensors = (leaf for leaf in tree_flatten(given)[0] if isinstance(leaf, Tensor))
    return tuple(tensor for tensor in tensors if tensor.ndim and len(tensor) == rows)


def _named(names: Sequence[str], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that are given, by name; those of a call in the order of a network's parameters."""
    numbered = (*names, *(f"argument {number}" for number in range(len(names), len(args))))
    given = dict(zip(numbered, args, strict=False)) | dict(kwargs)
    ordered = dict.fromkeys((*(name for name in names if name in given), *given))
    return {name: given[name] for name in ordered if given[name] is not None and name != "return_dict"}


@lru_cache(maxsize=64)
def _parameters(forward: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of a network's arguments; the first two are its input and the timestep."""
    own = list(inspect.signature(forward).parameters.values())[1:]
    return tuple(parameter.name for parameter in own if parameter.kind not in (_VARIADIC, _KEYWORDS))


def _form(value: Any) -> Any:
    leaves, spec = tree_flatten(value)
    return spec, tuple(map(form_of, leaves))


def _version(tensor: Tensor) -> int | None:
    """Return a number that changes when a tensor is written in place; None where torch does not count."""
    return None if tensor.is_inference() else tensor._version


def _count_message(step: int, made: str, source: int, earlier: str) -> str:
    return (
        f"the UNet is called {made} at step {step}, and was {earlier} at step {source}, which it reuses: call it "
        "equally often at every step, and not from a callback"
    )


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _form_message(step: int, form: Mapping[str, Any], source: int, earlier: Mapping[str, Any]) -> str:
    name = next(name for name in {**form, **earlier} if form.get(name) != earlier.get(name))
    if name == next(iter(form)):
        shapes = [tuple(part[name][1][0][0]) for part in (form, earlier)]
        return (
            f"samples have shape {shapes[0]} at step {step} and had {shapes[1]} at step {source}, which it reuses: "
            "keep the batch as it is within a run (guidance that ends in the middle halves it)"
        )
    how = "with another form" if name in form and name in earlier else "at only one of the two"
    return (
        f"the UNet is given {name} {how}: step {step}, and step {source}, which it reuses: keep its arguments as they "
        "are within a run, or let no reuse cross the change"
    )
