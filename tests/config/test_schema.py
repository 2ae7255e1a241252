"""The schema: any mapping is valid or refused in lines, valid records survive JSON, short forms of seeds, no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from compute.config.errors import ConfigError
from compute.config.messages import error_lines
from compute.config.schema import SweepConfig
from compute.config.seeds import parse_seeds
from tests.config.minimal_config import MINIMAL

ROOT = Path(__file__).parents[2]
KEYS = st.sampled_from([*SweepConfig.model_fields, "name", "steps", "count", "file", "split", "start", "action"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.binary(max_size=5), st.dates(),
    st.sampled_from(["all", "final", "ddim", "bypass", "reuse", "0:3", "float16", "*"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(KEYS, inner, max_size=4),
        st.dictionaries(SCALARS, inner, max_size=2),
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.one_of(KEYS, st.text(max_size=8), st.integers()), VALUES, max_size=8), st.booleans())
def test_any_mapping_is_valid_or_refused_in_lines(data: dict[Any, Any], almost_valid: bool) -> None:
    try:
        config = SweepConfig.model_validate({**MINIMAL, **data} if almost_valid else data)
    except ValidationError as error:
        lines = error_lines(error, SweepConfig)
        assert lines
        for line in lines:
            assert line.isprintable() or "\n" not in line
            assert ": " in line and len(line) < 700
    else:
        assert SweepConfig.model_validate(config.model_dump(mode="json")) == config


@given(st.integers(0, 10**6), st.integers(1, 50))
def test_seed_ranges_are_half_open(start: int, count: int) -> None:
    assert parse_seeds(f"{start}:{start + count}") == list(range(start, start + count))


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=5))
def test_seeds_can_be_listed(seeds: list[int]) -> None:
    assert parse_seeds(",".join(map(str, seeds))) == seeds
    assert SweepConfig.model_validate({**MINIMAL, "seeds": seeds}).seeds == tuple(seeds)


@pytest.mark.parametrize("text", ["", ":", "3:", ":3", "3:3", "4:1", "-1:2", "1:2:3", "a", "1,,2", "0:2000000", "1.5"])
def test_invalid_seeds_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match='write "0:8"'):
        parse_seeds(text)


def test_a_single_seed_needs_no_list() -> None:
    assert SweepConfig.model_validate({**MINIMAL, "seeds": 7}).seeds == (7,)


@pytest.mark.parametrize("module", ["schema", "loading"])
def test_the_configuration_imports_no_torch_and_no_model(module: str) -> None:
    program = f"import json, sys, compute.config.{module}; print(json.dumps(sorted(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    modules = json.loads(output.stdout)
    assert not [name for name in modules if name.split(".")[0] in ("torch", "diffusers", "ray", "h5py")]
    assert [name for name in modules if name.startswith("compute.")] and not [
        name for name in modules if name.startswith("compute.") and not name.startswith("compute.config")
    ]
