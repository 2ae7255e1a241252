"""Configuration files: each is a validated record, or an error with one line for each mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.config.errors import ConfigError
from compute.config.loading import load_config
from tests.config.minimal_config import MINIMAL


def error_lines_of(tmp_path: Path, values: Any) -> list[str]:
    """The lines of the error for a configuration, without the file's name."""
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(values, allow_unicode=True))
    with pytest.raises(ConfigError) as error:
        load_config(path)
    lines = str(error.value).split("\n")
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    ({"promts": ["a"]}, ["promts: is no field; accepted: model, stage"]),
    ({"Model": "x"}, ["Model: is no field"]),
    (
        {"prompts": 5},
        ["prompts: write a list of prompts, {file: prompts.txt}, or {split: held-out, count: 8} (given: 5)"],
    ),
    ({"prompts": []}, ["prompts: Tuple should have at least 1 item"]),
    ({"prompts": [1]}, ["prompts.0: Input should be a valid string (given: 1)"]),
    (
        {"prompts": {"split": "test", "count": 3}},
        ["prompts.split: Input should be 'train' or 'held-out' (given: test)"],
    ),
    ({"prompts": {"file": 3}}, ["prompts.file: Input should be a valid string"]),
    ({"seeds": "8:0"}, ["seeds: '8:0' is not understood"]),
    ({"seeds": [-1]}, ["seeds.0: Input should be greater than or equal to 0 (given: -1)"]),
    ({"seeds": []}, ["seeds: Tuple should have at least 1 item"]),
    ({"windows": {"count": 0}}, ["windows.count: Input should be greater than or equal to 1 (given: 0)"]),
    ({"windows": [[3, 3]]}, ["windows.0: window [3, 3) is empty"]),
    ({"windows": [[3]]}, ["windows.0: write a window as [start, stop] (given: [3])"]),
    ({"windows": "all"}, ["windows: write {count: 5}, or a list of windows [start, stop] (given: all)"]),
    ({"actions": ["bypas"]}, ["actions.0.action.name: Input should be 'compute', 'bypass', 'zero'"]),
    ({"actions": ["compute"]}, ["actions.0.action: compute is what every component does anyway"]),
    ({"actions": [{"name": "bypass", "order": 1}]}, ["actions.0.action: order belongs to reuse and reuse_delta"]),
    ({"sampler": {"name": "ddpm", "steps": 0}}, ["sampler.steps: Input should be greater than or equal to 1"]),
    (
        {"sampler": {"name": "euler", "steps": 5}},
        ["sampler.name: ddpm or ddim is accepted, or the class of a"],
    ),
    ({"sampler": {"name": "ddim", "steps": 5, "speed": 3}}, ["sampler.speed: is no field"]),
    ({"keep": {"x_t": "some"}}, ["keep.x_t: write all, final, or a number k for every k-th step (given: some)"]),
    ({"keep": {"x_t": 0}}, ["keep.x_t: Input should be greater than or equal to 1"]),
    ({"gpus_per_worker": 1.5}, ["gpus_per_worker: a share of one GPU (0.001 to 1) or a whole number"]),
    ({"guidance": float("nan")}, ["guidance: Input should be"]),
    ({"guidance": "strong"}, ["guidance: Input should be a valid number"]),
    ({"conditions_per_unit": 0}, ["conditions_per_unit: Input should be greater than or equal to 1"]),
    ({"workers": 0, "retries": -1}, ["workers: Input should be", "retries: Input should be"]),
]
SWITCH_AND_SCREEN_MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"prompt_switch": 3},
        ["prompt_switch: write {every: 1}, or a list of steps [0, 5, 10] (given: 3)"],
    ),
    ({"prompt_switch": "all"}, ["prompt_switch: write {every: 1}, or a list of steps"]),
    ({"prompt_switch": []}, ["prompt_switch: Tuple should have at least 1 item"]),
    ({"prompt_switch": [-1]}, ["prompt_switch.0: Input should be greater than or equal to 0 (given: -1)"]),
    ({"prompt_switch": [1.5]}, ["prompt_switch.0: Input should be a valid integer"]),
    ({"prompt_switch": {"every": 0}}, ["prompt_switch.every: Input should be greater than or equal to 1"]),
    ({"prompt_switch": {"evry": 2}}, ["prompt_switch.every: Field required", "prompt_switch.evry: is no field"]),
    ({"screen": ["compute"]}, ["screen.0.action: compute is what every component does anyway"]),
    ({"screen": [{"name": "reuse", "lengths": [0]}]}, ["screen.0.lengths.0: Input should be greater than or equal"]),
    ({"screen": [{"name": "reuse", "lengths": []}]}, ["screen.0.lengths: Tuple should have at least 1 item"]),
    ({"screen": [{"name": "reuse", "length": 2}]}, ["screen.0.action.length: is no field"]),
    ({"actions": [{"name": "bypass", "lengths": [1]}]}, ["actions.0.lengths: is no field"]),
    ({"screening": ["reuse"]}, ["screening: is no field; accepted: model, stage"]),
]
ALL_MISTAKES = [*MISTAKES, *SWITCH_AND_SCREEN_MISTAKES]


@pytest.mark.parametrize(("change", "expected"), ALL_MISTAKES, ids=[str(change) for change, _ in ALL_MISTAKES])
def test_each_mistake_is_one_line(tmp_path: Path, change: dict[str, Any], expected: list[str]) -> None:
    lines = error_lines_of(tmp_path, MINIMAL | change)
    assert len(lines) == len(expected)
    for line, beginning in zip(lines, expected, strict=True):
        assert line.startswith(beginning), line
        assert len(line) < 500


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    changes: dict[str, Any] = {}
    for change, _ in MISTAKES:
        changes = change | changes
    assert len(error_lines_of(tmp_path, MINIMAL | changes)) >= len(changes)


def test_missing_fields_are_named(tmp_path: Path) -> None:
    assert error_lines_of(tmp_path, {"model": "x"}) == ["actions: Field required"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no configuration"),
        ("- a\n- b\n", "holds no configuration"),
        ("prompts: [a\nactions: b", "is not YAML in line"),
        ("prompts: !!python/object/apply:os.system ['true']", "line 1: the tag '!!python/object/apply:os.system'"),
        ("a: \0", "is not YAML"),
        (f"seeds: {'9' * 5000}", "line 1: a number of more than 40 digits"),
        ("[" * 3000 + "]" * 3000, "is not YAML"),
        ("? [a]\n: b", "line 1: Keys should be strings"),
        ("1: 2\nprompts: [a]\nactions: [zero]", "1: Keys should be strings"),
    ],
)
def test_a_file_without_a_configuration_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "missing.yaml", "No such file"),
        (tmp_path, "Is a directory"),
        (tmp_path / ("x" * 300), "File name too long"),
        (Path("/dev/zero"), "larger than 1 MiB"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_config(path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load_config(tmp_path / "binary.yaml")


def test_nested_aliases_are_refused_quickly(tmp_path: Path) -> None:
    """A "billion laughs" file: each alias stands for nine of the one before."""
    levels = "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40))
    path = tmp_path / "config.yaml"
    path.write_text(f"a0: &a0 [lol]\n{levels}\nprompts: *a39\nactions: *a39\nseeds: *a39\n")
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert all(len(line) < 500 for line in str(error.value).split("\n"))


def test_a_number_too_long_to_print_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"prompts: [a]\nactions: [zero]\nseeds: [0x{'f' * 5000}]\n")
    with pytest.raises(ConfigError, match="line 3: a number of more than 40 digits"):
        load_config(path)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_arbitrary_text_raises_only_config_errors(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError):
        load_config(path)
