"""Loads the model of a policy, and checks that a run is the one that the policy is for."""

from __future__ import annotations

import torch

from compute.models.loading import load_model
from compute.models.model import Model
from compute.models.source import ModelSource
from compute.pipeline.applied import check_weights
from compute.policy.skip_policy import PolicyError, SkipPolicy
from compute.unet.blocks import uncompiled


def load_for(policy: SkipPolicy, *, model: str | None = None, device: str | None = None) -> Model:
    """Load the model that a policy is for, by the policy's name of it, or `model`: a name or a folder.

    A policy that was made for a pipeline object knows its network's weights alone, and names the pipeline's class.
    Raises PolicyError for other weights than the policy's, ModelNotFound for a model that is missing or damaged.
    """
    of_network = policy.model.weights in policy.model.unet.values()
    if of_network and model is None:
        raise PolicyError(
            f"policy {policy.name!r} was made for a pipeline object, a {policy.model.name}: give --model, the name or "
            "the folder of its model"
        )
    source = ModelSource.find(model or policy.model.name, policy.model.stage)
    if source.digest != policy.model.weights and not of_network:
        raise PolicyError(
            f"policy {policy.name!r} is for weights {policy.model.weights[:12]} of {policy.model.name!r}; "
            f"{source.name!r} here has {source.digest[:12]}: give --model the folder with those weights, or sweep this "
            "model and ask for a recommendation"
        )
    loaded = load_model(
        source, device=device or ("cuda" if torch.cuda.is_available() else "cpu"), call=dict(policy.call)
    )
    if of_network:
        check_weights(policy, uncompiled(loaded.unet))
    return loaded


def check_same_run(
    policy: SkipPolicy, *, steps: int | None, guidance: float | None, sampler: str | None, stage: str | None = None
) -> None:
    """Check options of the command line against the policy's own run; None is accepted. Raises PolicyError."""
    own = {"steps": policy.sampler.steps, "guidance": policy.guidance, "sampler": policy.sampler.name}
    own["stage"] = policy.model.stage
    given = {"steps": steps, "guidance": guidance, "sampler": sampler, "stage": stage}
    for name, value in given.items():
        if value is not None and value != own[name]:
            raise PolicyError(
                f"--{name}: {value} is asked for and the policy is for {own[name]}: leave --{name} out, or make a "
                "policy for it with a sweep of its own"
            )
