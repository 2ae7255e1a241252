"""Content keys: pinned, the same in every process, and a function of what changes numbers alone."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from compute.config.loading import load_config
from compute.sweep.prepare import prepare
from tests.sweep.small_config import CONFIG, write_config

CONFIGS = Path(__file__).parents[2] / "configs"


def keys_of(config: Path, *without: str) -> list[str]:
    """Return the keys of a configuration's units, but those of ablations of the components `without`."""
    units = prepare(load_config(config), config.parent).plan.units
    return [unit.key for unit in units if getattr(unit.intervention, "components", None) not in [(w,) for w in without]]


@pytest.mark.parametrize(
    ("name", "count", "first", "last", "digest"),
    [
        (
            "demo",
            330,
            "d5cff1081358b283cc865d47e4057483b6a64daf215f4b674acbf6f6cc920d95",
            "6879a6d4f5b46f8df4c36572df3a27423e2cf77d1e85656286a8d6632382500f",
            "be24ea1588d58b78c94cbf9899350232a38a131130eb0332358002dbade39ac2",
        ),
        (
            "example",
            237,
            "e6e579e116beaafcde6f722de2a94e2515a21c2fc0268dfe89bf1dabe6525915",
            "e1a10a8a44f57ff677a2f440038070aeaf88d5a9295f19d966a886364972aa1e",
            "19ee5702ddf110329fe4d631e36feba9e4c6706fe57ab0e56f5543d340e091c6",
        ),
    ],
)
def test_the_keys_of_a_configuration_never_change(name: str, count: int, first: str, last: str, digest: str) -> None:
    """`digest` is the SHA-256 of all keys in the plan's order. A store from before a change must still resume.

    `guidance` became a component later: its units are further ones.
    """
    keys = keys_of(CONFIGS / f"{name}.yaml", "guidance")
    assert (len(keys), keys[0], keys[-1]) == (count, first, last)
    assert hashlib.sha256("\n".join(keys).encode()).hexdigest() == digest


@pytest.mark.parametrize(
    "path", sorted(path for path in CONFIGS.glob("*.yaml") if "bench" not in path.stem), ids=lambda path: path.stem
)
def test_every_example_has_a_plan(path: Path) -> None:
    keys = keys_of(path)
    assert len(set(keys)) == len(keys) > 100


def test_keys_are_the_same_in_another_process(config_file: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from compute.config.loading import load_config;"
        "from compute.sweep.prepare import prepare;"
        "p = Path(sys.argv[1]); print(*[u.key for u in prepare(load_config(p), p.parent).plan.units])"
    )
    output = subprocess.run(
        [sys.executable, "-c", program, str(config_file)], capture_output=True, text=True, check=True
    )
    assert output.stdout.split() == keys_of(config_file)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"metrics": ["ssim"]}, True),
        ({"keep": {"x_t": "final"}}, True),
        ({"workers": 3, "retries": 0}, True),
        ({"guidance": 2.5}, False),
        ({"seeds": [4]}, False),
        ({"dtype": "bfloat16"}, False),
        ({"conditions_per_unit": 3}, False),
    ],
)
def test_keys_depend_on_what_changes_numbers_and_on_nothing_else(
    config_file: Path, tiny_model: Path, change: dict[str, Any], same: bool, tmp_path: Path
) -> None:
    keys = set(keys_of(config_file))
    changed = set(keys_of(write_config(tmp_path / "changed.yaml", tiny_model, **{**CONFIG, **change})))
    assert (keys == changed) if same else not keys & changed
