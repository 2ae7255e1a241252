"""`paper`: the seed paper's study on a tiny model, and what is not done twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from compute.policy.skip_policy import SkipPolicy
from tests.cli.fork_server import ForkServer

STUDY = {
    "components": ["mid_block.*", "up_blocks.*", "skip:*"],
    "actions": [
        "bypass",
        "zero",
        {"name": "bypass", "components": ["up_blocks.*"], "together": True},
        {"name": "zero", "components": ["skip:*"], "together": True},
    ],
    "prompt_switch": {"every": 1},
}


def test_the_study(write: Callable[..., Path], commands: ForkServer, tmp_path: Path) -> None:
    config, store = write(**STUDY), tmp_path / "store"
    arguments = ("paper", config, "--store", store, "--address", "serial", "--count", "3")
    result = commands.run(*arguments)
    assert result.status == 0, result.stderr
    policy = SkipPolicy.load(store / "policies" / "paper.json")
    assert policy.validation is not None and policy.validation.conditions == 3
    assert {rule.action.name for rule in policy.rules} <= {"bypass", "zero"}, "eliminations alone, as in the paper"
    assert policy.prediction is not None and policy.prediction.speedup >= 1 / 0.73
    for text in ("composition phase", "depends on the time step", "redundant", "27% of the inference time"):
        assert text in result.stdout
    assert f"{policy.validation.policy.speedup.shown('.2f')}x" in result.stdout
    assert "up_blocks.* (" in result.stdout and "kind:skip (" in result.stdout

    written = (store / "policies" / "paper.json").stat().st_mtime_ns
    again = commands.run(*arguments, "--json")
    assert again.status == 0, again.stderr
    assert (store / "policies" / "paper.json").stat().st_mtime_ns == written, "neither searched nor validated again"
    study = json.loads(again.stdout)
    assert [claim["agrees"] for claim in study["claims"]].count("cannot be told") >= 1
    assert {claim["agrees"] for claim in study["claims"]} <= {"yes", "no", "cannot be told"}
    assert set(study["redundant"]) == {"steps 0-1", "steps 2-3"}
    assert all(set(windows) == {"steps 0-1", "steps 2-3"} for windows in study["groups"].values())
