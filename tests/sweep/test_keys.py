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


def keys_of(config: Path) -> list[str]:
    return [unit.key for unit in prepare(load_config(config), config.parent).plan.units]


@pytest.mark.parametrize(
    ("name", "count", "first", "last", "digest"),
    [
        (
            "demo",
            330,
            "a9e7ebe4ecf9333743e59d50a117586e49cc52e60110cab586105e3b3273c308",
            "f0b93f7ead716bd5ff1fb2d6865f5b6affbd24c4e54cfe789b13eb4918a9835e",
            "d0df0d2b93949c2e684af89538f505e7731a49ed1298d2ae27412f80267aeeea",
        ),
        (
            "example",
            237,
            "0caa086bd4aa6df99979df0fd271b30dfb151af3debf67c7995a34ef6668143c",
            "cb0fa32095f0cba3d300c626ff9defb5c5ceefbe6d3f297b2caec03dd94548a7",
            "25dc057103969b1e3f736f9858c8278e8ff792b1f7284c5dadeee9ca001c096b",
        ),
    ],
)
def test_the_keys_of_a_configuration_never_change(name: str, count: int, first: str, last: str, digest: str) -> None:
    """`digest` is the SHA-256 of all keys in the plan's order. A store from before a change must still resume."""
    keys = keys_of(CONFIGS / f"{name}.yaml")
    assert (len(keys), keys[0], keys[-1]) == (count, first, last)
    assert hashlib.sha256("\n".join(keys).encode()).hexdigest() == digest


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
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
