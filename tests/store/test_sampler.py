"""The settings of samplers: old documents keep their form, equal samplers are equal records."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from store.sampler import SamplerSettings


def settings(**fields: Any) -> SamplerSettings:
    return SamplerSettings.model_validate(fields)


def test_old_documents_keep_their_form() -> None:
    old = {"name": "ddim", "steps": 20, "eta": 0.5, "spacing": "trailing"}
    assert settings(**old).model_dump(mode="json") == old
    assert settings(name="ddpm", steps=5).model_dump() == {
        "name": "ddpm",
        "steps": 5,
        "eta": 0.0,
        "spacing": "linspace",
    }


def test_the_steps_asked_for_stand_where_they_are_not_those_made() -> None:
    heun = settings(name="HeunDiscreteScheduler", num_inference_steps=6)
    assert (heun.steps, heun.asked_steps, heun.num_inference_steps) == (6, 6, None)
    made = heun.making(11)
    assert (made.steps, made.asked_steps) == (11, 6)
    assert made.making(11) == made and heun.making(6) == heun
    assert SamplerSettings.model_validate_json(made.model_dump_json()) == made
    assert made.asking(3) == settings(name="HeunDiscreteScheduler", steps=3)


def test_custom_timesteps_count_as_asked_steps() -> None:
    custom = settings(name="DDPMScheduler", timesteps=[900, 500, 20])
    assert custom.steps == 3
    assert custom.asking(7).timesteps is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "euler", "steps": 3}, "ddpm or ddim is accepted, or the class of a diffusers scheduler"),
        ({"name": "os.system", "steps": 3}, "ddpm or ddim is accepted"),
        ({"name": "DDIMScheduler"}, "Field required"),
        ({"name": "DDIMScheduler", "steps": 3, "eta": 0.5}, "spacing and eta belong to ddpm and ddim"),
        ({"name": "DDIMScheduler", "steps": 3, "timesteps": [1], "sigmas": [1]}, "give one of the two"),
        ({"name": "ddim", "steps": 3, "options": {"clip_sample": True}}, "belong to diffusers schedulers, not to ddim"),
        ({"name": "ddim", "steps": 3, "spacing": "linspace"}, "spacing of ddim is trailing or leading"),
        ({"name": "DDIMScheduler", "steps": 3, "options": {"a": {"b": 1}}}, "options"),
        ({"name": "DDIMScheduler", "steps": 3, "sigmas": [float("inf")]}, "finite"),
    ],
)
def test_settings_that_make_no_sense_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(**fields)
