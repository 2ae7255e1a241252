"""The tiny UNet of the tests of compute/unet, a pipeline with it, and policies for it."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from compute.policy.schedule import Schedule
from compute.policy.skip_policy import SkipPolicy
from compute.unet import parameter_digests
from tests.pipeline.pipelines import DROPPED, SCHEDULES, MakePolicy, OtherPipeline, ddpm
from tests.policy.policies import policy_of
from tests.unet.conftest import graph as graph
from tests.unet.conftest import unet as unet


@pytest.fixture(scope="module")
def digests(unet: nn.Module) -> dict[str, str]:
    return dict(parameter_digests(unet))


@pytest.fixture
def pipe(unet: nn.Module) -> OtherPipeline:
    return OtherPipeline(unet, ddpm())


@pytest.fixture(scope="module")
def policy(digests: dict[str, str]) -> MakePolicy:
    """Return a function that makes a policy for the tiny UNet from a schedule or from the name of one."""

    def make(schedule: str | Schedule = DROPPED, **changes: Any) -> SkipPolicy:
        actions = SCHEDULES[schedule] if isinstance(schedule, str) else schedule
        return policy_of(actions, **({"unet": digests} | changes))

    return make
