"""The model of a policy: found by its name or folder, and refused if it or the run is another one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compute.models.model import Model
from compute.pipeline.applied import applied
from compute.policy.graph_document import read_stored_graph
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import PolicyError, SkipPolicy
from compute.recommend.policy_model import check_same_run, load_for
from store.errors import SkipscopeError
from tests.recommend.validations import DROP_TWO, STEPS, policy_for

EXAMPLE = Path(__file__).parents[2] / "dashboard" / "example"


def test_a_model_with_other_weights_is_refused(model: Model) -> None:
    policy = policy_for(model, DROP_TWO)
    other = policy.model_copy(update={"model": policy.model.model_copy(update={"weights": "0" * 64})})
    with pytest.raises(PolicyError, match=r"is for weights 000000000000 of .*: give --model the folder") as refusal:
        load_for(other)
    assert "\n" not in str(refusal.value)
    with pytest.raises(PolicyError, match=r"'glide-mini' here has"):
        load_for(policy, model="glide-mini")
    assert load_for(policy).source.digest == model.source.digest


def test_bundled_policies_fit_the_bundled_model() -> None:
    """Policies of earlier releases are for weights that this release still has, and can be applied to them."""
    policies = [SkipPolicy.load(path) for path in sorted((EXAMPLE / "policies").glob("*.json"))]
    model = load_for(policies[0])
    assert model.graph == read_stored_graph(EXAMPLE)
    for policy in policies:
        assert policy.model.weights == model.source.digest
        with applied(policy, model.pipe):
            pass


def test_a_model_that_does_not_exist_is_refused(model: Model) -> None:
    policy = policy_for(model, DROP_TWO)
    gone = policy.model_copy(update={"model": policy.model.model_copy(update={"name": "/nowhere/model"})})
    with pytest.raises(SkipscopeError, match=r"model: '/nowhere/model' is no pipeline"):
        load_for(gone)


@pytest.mark.parametrize(
    "sampler",
    [
        {"name": "ddpm", "steps": 5, "spacing": "trailing"},
        {"name": "ddpm", "steps": 5, "spacing": "linspace", "eta": 0.5},
        {"name": "ddpm", "steps": 1, "spacing": "linspace"},
        {"name": "ddim", "steps": 5, "spacing": "linspace"},
    ],
)
def test_an_impossible_sampler_is_refused_in_one_line(model: Model, sampler: dict[str, object]) -> None:
    document = json.loads(policy_for(model, Schedule.empty(STEPS)).dumps()) | {"sampler": sampler}
    with pytest.raises(PolicyError, match=r"^policy: sampler: ") as refusal:
        SkipPolicy.loads(json.dumps(document))
    assert "\n" not in str(refusal.value)


def test_another_run_than_the_policys_is_refused(model: Model) -> None:
    policy = policy_for(model, DROP_TWO)
    check_same_run(policy, steps=None, guidance=None, sampler=None)
    check_same_run(policy, steps=5, guidance=3.0, sampler="ddpm")
    asked: list[dict[str, object]] = [{"steps": 6}, {"guidance": 2.0}, {"sampler": "ddim"}]
    for change in asked:
        (name,) = change
        with pytest.raises(PolicyError, match=rf"^--{name}: .* is asked for and the policy is for"):
            check_same_run(policy, **{"steps": None, "guidance": None, "sampler": None, **change})  # type: ignore[arg-type]
