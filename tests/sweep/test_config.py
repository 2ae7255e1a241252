"""Configurations: whatever stands in the file, it is a checked record or one line a mistake."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from compute.config.schema import ConfigError, SweepConfig, error_lines, load_config, parse_seeds, read_prompts
from compute.config.schema import PromptFile as File
from store.records import Window

GOOD: dict[str, Any] = {"prompts": ["a cat"], "actions": ["bypass"]}


def problems(tmp_path: Path, settings: Any) -> list[str]:
    """The lines that a configuration is refused with, without the file's name."""
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(settings, allow_unicode=True))
    with pytest.raises(ConfigError) as refusal:
        load_config(path)
    lines = str(refusal.value).split("\n")
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    ({"promts": ["a"]}, ["promts: is no setting; accepted: model, stage"]),
    ({"Model": "x"}, ["Model: is no setting"]),
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
    ({"sampler": {"name": "euler", "steps": 5}}, ["sampler.name: Input should be 'ddpm' or 'ddim'"]),
    ({"sampler": {"name": "ddim", "steps": 5, "speed": 3}}, ["sampler.speed: is no setting"]),
    ({"keep": {"x_t": "some"}}, ["keep.x_t: write all, final, or a number k for every k-th step (given: some)"]),
    ({"keep": {"x_t": 0}}, ["keep.x_t: Input should be greater than or equal to 1"]),
    ({"gpus_per_worker": 1.5}, ["gpus_per_worker: a share of one GPU (0.001 to 1) or a whole number"]),
    ({"guidance": float("nan")}, ["guidance: Input should be"]),
    ({"guidance": "strong"}, ["guidance: Input should be a valid number"]),
    ({"conditions_per_unit": 0}, ["conditions_per_unit: Input should be greater than or equal to 1"]),
    ({"workers": 0, "retries": -1}, ["workers: Input should be", "retries: Input should be"]),
]


@pytest.mark.parametrize(("change", "lines"), MISTAKES, ids=[str(change) for change, _ in MISTAKES])
def test_one_line_a_mistake(tmp_path: Path, change: dict[str, Any], lines: list[str]) -> None:
    found = problems(tmp_path, GOOD | change)
    assert len(found) == len(lines)
    for line, begin in zip(found, lines, strict=True):
        assert line.startswith(begin), line
        assert len(line) < 500


def test_mistakes_are_told_all_at_once(tmp_path: Path) -> None:
    changes: dict[str, Any] = {}
    for change, _ in MISTAKES:
        changes = change | changes
    assert len(problems(tmp_path, GOOD | changes)) >= len(changes)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    assert problems(tmp_path, {"model": "x"}) == ["prompts: Field required", "actions: Field required"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no settings"),
        ("- a\n- b\n", "holds no settings"),
        ("prompts: [a\nactions: b", "is not YAML in line"),
        ("prompts: !!python/object/apply:os.system ['true']", "is not YAML"),
        ("a: \0", "is not YAML"),
        ("when: 2020-99-99", "is not YAML: month must be in 1..12"),
        (f"seeds: {'9' * 5000}", "is not YAML: Exceeds the limit"),
        ("[" * 3000 + "]" * 3000, "is not YAML"),
        ("? [a]\n: b", "is not YAML"),
        ("1: 2\nprompts: [a]\nactions: [zero]", "1: Keys should be strings"),
    ],
)
def test_files_that_hold_no_settings(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refusal:
        load_config(path)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 500


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, says in (
        (tmp_path / "missing.yaml", "No such file"),
        (tmp_path, "Is a directory"),
        (tmp_path / ("x" * 300), "File name too long"),
        (Path("/dev/zero"), "larger than 1 MiB"),
    ):
        with pytest.raises(ConfigError, match=says):
            load_config(path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load_config(tmp_path / "binary.yaml")


def test_a_bomb_of_aliases_is_refused_quickly(tmp_path: Path) -> None:
    levels = "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40))
    path = tmp_path / "config.yaml"
    path.write_text(f"a0: &a0 [lol]\n{levels}\nprompts: *a39\nactions: *a39\nseeds: *a39\n")
    with pytest.raises(ConfigError) as refusal:
        load_config(path)
    assert all(len(line) < 500 for line in str(refusal.value).split("\n"))


def test_a_number_too_long_to_print_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"prompts: [a]\nactions: [zero]\nseeds: [0x{'f' * 5000}]\n")
    with pytest.raises(ConfigError, match=r"seeds\.0: .*more than 40 digits"):
        load_config(path)


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
def test_any_mapping_is_valid_or_refused_in_lines(data: dict[Any, Any], near: bool) -> None:
    try:
        config = SweepConfig.model_validate({**GOOD, **data} if near else data)
    except ValidationError as error:
        lines = error_lines(error, SweepConfig)
        assert lines
        for line in lines:
            assert line.isprintable() or "\n" not in line
            assert ": " in line and len(line) < 700
    else:
        assert SweepConfig.model_validate(config.model_dump(mode="json")) == config


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_a_config_or_a_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError):
        load_config(path)


@given(st.integers(0, 10**6), st.integers(1, 50))
def test_seed_ranges_are_half_open(start: int, count: int) -> None:
    assert parse_seeds(f"{start}:{start + count}") == list(range(start, start + count))


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=5))
def test_seeds_may_be_listed(seeds: list[int]) -> None:
    assert parse_seeds(",".join(map(str, seeds))) == seeds
    assert SweepConfig.model_validate({**GOOD, "seeds": seeds}).seeds == tuple(seeds)


@pytest.mark.parametrize("text", ["", ":", "3:", ":3", "3:3", "4:1", "-1:2", "1:2:3", "a", "1,,2", "0:2000000", "1.5"])
def test_seeds_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match='write "0:8"'):
        parse_seeds(text)


def test_a_single_seed_needs_no_list() -> None:
    assert SweepConfig.model_validate({**GOOD, "seeds": 7}).seeds == (7,)


@given(st.integers(1, 200), st.data())
def test_counted_windows_divide_the_steps(steps: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, steps))
    config = SweepConfig.model_validate(
        {**GOOD, "sampler": {"name": "ddim", "steps": steps}, "windows": {"count": count}}
    )
    windows = config.window_list()
    assert len(windows) == count
    assert [step for window in windows for step in range(window.start, window.stop)] == list(range(steps))
    lengths = [window.stop - window.start for window in windows]
    assert max(lengths) - min(lengths) <= 1


@given(st.integers(1, 50), st.integers(0, 60), st.integers(0, 60))
def test_windows_lie_within_the_steps(steps: int, start: int, stop: int) -> None:
    data = {**GOOD, "sampler": {"name": "ddim", "steps": steps}, "windows": [[start, stop]]}
    if stop <= start:
        with pytest.raises(ValidationError, match="is empty"):
            SweepConfig.model_validate(data)
    elif stop <= steps:
        assert SweepConfig.model_validate(data).window_list() == (Window(start=start, stop=stop),)
    else:
        with pytest.raises(ConfigError, match=re.escape(f"0 <= start < stop <= {steps} is accepted")):
            SweepConfig.model_validate(data).window_list()


def test_more_windows_than_steps() -> None:
    config = SweepConfig.model_validate({**GOOD, "sampler": {"name": "ddim", "steps": 3}, "windows": {"count": 4}})
    with pytest.raises(ConfigError, match=r"windows\.count: 4 windows of 3 steps; at most 3 is accepted"):
        config.window_list()


def test_prompt_files(tmp_path: Path) -> None:
    (tmp_path / "some.txt").write_text("\ufeffa cat\n\n  a dog  \r\n", encoding="utf-8")
    assert read_prompts(File(file="some.txt"), tmp_path) == ["a cat", "a dog"]
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xff")
    for name, says in (
        ("missing.txt", "cannot be read: No such file"),
        ("empty.txt", "holds no prompt; write one a line"),
        ("binary.txt", "is not UTF-8 text"),
        (".", "cannot be read: Is a directory"),
        ("~nobody-of-this-name/x", "cannot be read"),
        ("a\0b", "cannot be read"),
        ("/dev/zero", "larger than 1 MiB"),
    ):
        with pytest.raises(ConfigError, match=says) as refusal:
            read_prompts(File(file=name), tmp_path)
        assert str(refusal.value).startswith("prompts.file: ")


def test_more_conditions_than_memory_holds(tmp_path: Path) -> None:
    config = SweepConfig.model_validate({**GOOD, "prompts": ["a", "b"], "seeds": "0:1000000"})
    with pytest.raises(ConfigError, match="2 prompts of 1000000 seeds"):
        config.conditions(tmp_path)
