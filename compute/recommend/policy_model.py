"""From a policy to the model and the sampler that it is for, or a refusal that says how to go on."""

from __future__ import annotations

import torch

from compute.models.model import Model, load_model
from compute.models.source import ModelSource
from compute.policy.skip_policy import PolicyError, SkipPolicy


def load_for(policy: SkipPolicy, *, model: str | None = None, device: str | None = None) -> Model:
    """The model that a policy is for, by its name or from a folder. Raises PolicyError for other weights."""
    source = ModelSource.find(model or policy.model.name)
    if source.digest != policy.model.weights:
        raise PolicyError(
            f"policy {policy.name!r} is for weights {policy.model.weights[:12]} of {policy.model.name!r}; "
            f"{source.name!r} here has {source.digest[:12]}: give --model the folder with those weights, or sweep this "
            "model and ask for a recommendation"
        )
    return load_model(source, device=device or ("cuda" if torch.cuda.is_available() else "cpu"))


def check_same_run(policy: SkipPolicy, *, steps: int | None, guidance: float | None, sampler: str | None) -> None:
    """Raises PolicyError where somebody asks for another run than the policy's; None asks for nothing."""
    own = {"steps": policy.sampler.steps, "guidance": policy.guidance, "sampler": policy.sampler.name}
    asked = {"steps": steps, "guidance": guidance, "sampler": sampler}
    for name, value in asked.items():
        if value is not None and value != own[name]:
            raise PolicyError(
                f"--{name}: {value} is asked for and the policy is for {own[name]}: leave --{name} away, or make a "
                "policy for it with a sweep of its own"
            )
