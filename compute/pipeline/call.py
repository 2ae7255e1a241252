"""The arguments of a pipeline's call, for whatever the pipeline accepts."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32
from torch import Tensor

from compute.pipeline.noise import initial_generators
from store.errors import SkipscopeError
from store.records import Condition
from store.sampler import SamplerSettings

_GIVEN = {
    "prompt": "prompts",
    "num_inference_steps": "sampler",
    "timesteps": "sampler",
    "sigmas": "sampler",
    "guidance_scale": "guidance",
    "generator": "seeds",
    "latents": "seeds",
    "output_type": "",
    "return_dict": "",
    "callback_on_step_end": "",
    "batch_size": "conditions_per_unit",
    "num_images_per_prompt": "",
}
"""Arguments that a run sets itself, and the field of the configuration that determines each."""
_PER_PICTURE = ("negative_prompt", "negative_prompt_2", "prompt_2", "image", "mask_image", "control_image")
"""Arguments of which pipelines want one for each prompt."""
_PICTURE_AXES = 4
STEP_LISTS: tuple[Literal["timesteps"], Literal["sigmas"]] = ("timesteps", "sigmas")
"""Arguments of a pipeline's call that list a run's steps, in place of their number."""


class CallError(SkipscopeError):
    """An argument of a pipeline's call that the pipeline does not have, or that is not the user's to set."""


def call_arguments(
    pipe: Any,
    sampler: SamplerSettings,
    conditions: Sequence[Condition],
    options: Mapping[str, Any],
    latents: Tensor | None = None,
    pictures: Sequence[Any] | None = None,
) -> dict[str, Any]:
    """Return the keyword arguments with which a pipeline samples conditions, which share one guidance scale.

    `options` are the user's further arguments, which `check_options` has accepted. Initial noise is `latents` where the
    pipeline accepts them, and else drawn from generators that depend on the seeds alone. `pictures`, one for each
    condition, are its `image` argument. Raises CallError for what the pipeline cannot be given.
    """
    accepted = call_parameters(pipe)
    guidances = {condition.guidance for condition in conditions}
    if len(guidances) != 1:
        raise CallError("guidance: conditions that are sampled together have one guidance scale")
    own: dict[str, Any] = {
        "generator": initial_generators([condition.seed for condition in conditions]),
        "guidance_scale": guidances.pop(),
        "output_type": "np",
    }
    if latents is not None:
        own["latents"] = latents
    if "prompt" in accepted:
        own["prompt"] = [condition.prompt for condition in conditions]
    elif any(condition.prompt for condition in conditions):
        raise CallError(f"prompts: a {type(pipe).__name__} takes none; leave prompts out")
    else:
        own["batch_size"] = len(conditions)
    given = {key: value for key, value in own.items() if key in accepted} | sampler_arguments(sampler, accepted, pipe)
    if pictures is not None:
        if "image" not in accepted:
            raise CallError(f"stage: a {type(pipe).__name__} takes no image, so it cannot follow another stage")
        given["image"] = list(pictures)
    repeated = {key: [value] * len(conditions) for key, value in options.items() if key in _PER_PICTURE}
    return {**given, **options, **repeated}


def sampler_arguments(sampler: SamplerSettings, accepted: Mapping[str, inspect.Parameter], pipe: Any) -> dict[str, Any]:
    """Return the arguments of a pipeline's call that set its steps, and DDIM's eta where the call would set it to 0.

    Raises CallError where the pipeline takes no list of steps.
    """
    eta = {"eta": sampler.eta} if sampler.eta and "eta" in accepted else {}
    for name in STEP_LISTS:
        numbers = getattr(sampler, name)
        if numbers is None:
            continue
        if name not in accepted:
            raise CallError(f"sampler.{name}: a {type(pipe).__name__} takes none; give num_inference_steps")
        return {name: plain_numbers(name, numbers), **eta}
    return {"num_inference_steps": sampler.asked_steps, **eta}


def plain_numbers(name: Literal["timesteps", "sigmas"], numbers: Sequence[float]) -> list[float]:
    """Return timesteps or sigmas as a scheduler takes them: timesteps are integers where they are whole."""
    whole = name == "timesteps" and all(number == int(number) for number in numbers)
    return [int(number) if whole else number for number in numbers]


def call_parameters(pipe: Any) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a pipeline's call by name."""
    return inspect.signature(type(pipe).__call__).parameters


def default_guidance(pipe: Any) -> float:
    """Return the guidance scale of a pipeline's call where none is given; 1 for a pipeline without guidance."""
    parameter = call_parameters(pipe).get("guidance_scale")
    return 1.0 if parameter is None or not isinstance(parameter.default, int | float) else float(parameter.default)


def check_options(pipe: Any, options: Mapping[str, Any]) -> None:
    """Raise CallError for an option that the pipeline's call lacks or that the run sets itself."""
    accepted = [name for name in call_parameters(pipe) if name != "self"]
    for option in options:
        if option in _GIVEN:
            field = _GIVEN[option]
            raise CallError(
                f"call.{option}: a run sets it itself" + (f"; the field {field} determines it" if field else "")
            )
        if option not in accepted:
            near = difflib.get_close_matches(option, accepted, n=3)
            hint = f"near names: {', '.join(near)}" if near else f"it has {', '.join(accepted)}"
            raise CallError(f"call.{option}: a {type(pipe).__name__} has no such argument; {hint}")


def pictures_of(result: Any) -> Float32[np.ndarray, "B H W 3"]:
    """Return the pictures of a pipeline's result, in [0, 1]; of single-channel pictures three equal channels.

    Raises CallError for a pipeline that makes something else.
    """
    if not hasattr(result, "images"):
        raise CallError(f"pipe: it returns a {type(result).__name__}; pipelines that return images are supported")
    pictures = np.stack([_array(image) for image in result.images])
    if pictures.ndim != _PICTURE_AXES:
        raise CallError(f"pipe: its images have the shape {pictures.shape[1:]}; (height, width, channels) is supported")
    return np.repeat(pictures, 3, axis=-1) if pictures.shape[-1] == 1 else pictures


def _array(image: Any) -> Float32[np.ndarray, "H W channels"]:
    array = np.asarray(image)
    unit = array.astype(np.float32) / 255 if array.dtype == np.uint8 else array.astype(np.float32)
    return unit[..., None] if unit.ndim == 2 else unit
