"""YAML means what it says: the core schema of YAML 1.2, no repeated keys, no conversion of one kind into another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from compute.config.errors import ConfigError
from compute.config.loading import load_config
from compute.config.schema import SweepConfig
from compute.config.strict_yaml import YamlRefused, parse

VALID = "actions: [bypass]\n"
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cf")), max_size=20)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**39), 10**39)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def loaded(tmp_path: Path, text: str) -> SweepConfig:
    path = tmp_path / "config.yaml"
    path.write_text(VALID + text, encoding="utf-8")
    return load_config(path)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1:10", "1:10"),
        ("010", 10),
        ("[08, 010]", [8, 10]),
        ("0o10", 8),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("yes", "yes"),
        ("Off", "Off"),
        ("n", "n"),
        ("TRUE", True),
        ("tRUE", "tRUE"),
        ("~", None),
        ("2001-02-03", "2001-02-03"),
        ("190:20:30.15", "190:20:30.15"),
        ("=", "="),
        ("!!str 010", "010"),
        ('"010"', "010"),
    ],
)
def test_plain_words_are_those_of_yaml_1_2(word: str, value: Any) -> None:
    read = parse(f"a: {word}")["a"]
    assert read == value and type(read) is type(value)


@given(JSON_VALUES)
def test_json_is_yaml(value: Any) -> None:
    assert parse(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seeds: 1:10", {"seeds": tuple(range(1, 10))}),
        ("seeds: [08, 010]", {"seeds": (8, 10)}),
        ("sampler: {name: ddpm, steps: 010}", {"steps": 10}),
        ("prompts: [no, 'off', 1e, 2020-01-01]", {"prompts": ("no", "off", "1e", "2020-01-01")}),
        ("guidance: 3", {"guidance": 3.0}),
        ("seeds: &s [1, 2]\nprompt_switch: *s", {"seeds": (1, 2), "prompt_switch": (1, 2)}),
        ("call: {clip: 'no', flag: true, list: [1, 2.5]}", {"call": {"clip": "no", "flag": True, "list": (1, 2.5)}}),
    ],
)  # fmt: skip
def test_configurations_mean_what_they_say(tmp_path: Path, text: str, expected: dict[str, Any]) -> None:
    config = loaded(tmp_path, text)
    for name, value in expected.items():
        assert (config.sampler.steps if name == "steps" else getattr(config, name)) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("guidance: yes", "guidance: Input should be a valid number (given: yes)"),
        ("guidance: true", "guidance: Input should be a valid number (given: True)"),
        ("guidance: '3'", "guidance: Input should be a valid number"),
        ("sampler: {name: ddpm, steps: '25'}", "sampler.steps: Input should be a valid integer"),
        ("sampler: {name: ddpm, steps: 25.0}", "sampler.steps: Input should be a valid integer"),
        ("sampler: {name: ddpm, steps: 0x1_9}", "sampler.steps: Input should be a valid integer"),
        ("workers: true", "workers: Input should be a valid integer"),
        ("seeds: [1.0]", "seeds.0: Input should be a valid integer"),
        ("seeds: [true]", "seeds.0: Input should be a valid integer"),
        ("seeds: 1_0:1_2", "seeds: '1_0:1_2' is not understood"),
        ("windows: [['0', 2]]", "windows.0.start: Input should be a valid integer"),
        ("windows: {count: 5.0}", "windows.count: Input should be a valid integer"),
        ("prompt_switch: {every: true}", "prompt_switch.every: Input should be a valid integer"),
        ("sampler: {name: ddim, steps: 3, eta: '1'}", "sampler.eta: Input should be a valid number"),
        ("keep: {x_t: 2.0}", "keep.x_t: write all, final, or a number"),
        ("screen: [{name: reuse, order: true}]", "screen.0.action.order: 0, 1 or 2"),
        ("screen: [{name: reuse, order: 1.0}]", "screen.0.action.order: 0, 1 or 2"),
        ("seeds: [0]\nseeds: [1]", "line 3: the field 'seeds' appears twice"),
        ("actions: [zero]", "line 2: the field 'actions' appears twice"),
        ("call: {a: 1, 'a': 1}", "line 2: the field 'a' appears twice"),
        ("sampler: &s {name: ddpm, steps: 3}\nkeep: {<<: *s}", "line 3: merge keys (<<)"),
        ("call: {flag: no}", "line 2: no is text in YAML 1.2"),
        ("call:\n  flags: [1, On]", "line 3: On is text in YAML 1.2"),
        ("seeds: &a [*a]", "line 2: it contains itself"),
        ("seeds: !!int '1:10'", "line 2: '1:10' is no int of YAML 1.2"),
        ("guidance: 1e999", "line 2: a number that is too large"),
        ("prompts: !!set {a}", "line 2: the tag '!!set' is not accepted"),
        ('prompts: ["a\\0b"]', "line 2: a text holds a control character"),
        ('prompts: ["a\\ud800"]', "line 2: a text holds half a surrogate pair"),
        ('prompts: ["a\\nb"]', "line 2: a text holds a control character"),
        (
            "prompts:\n  - |\n    a cat\n",
            "line 3: a text holds a control character; printable text is accepted; a block",
        ),
        ('prompts: ["a\\u2028b"]', "line 2: a text holds a control character"),
        ('model: "a\\x1b[31m"', "line 2: a text holds a control character"),
        ("prompts: {file: a}\nprompts: {file: b}", "line 3: the field 'prompts' appears twice"),
    ],
)
def test_what_could_mean_something_else_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        loaded(tmp_path, text)
    assert f"config.yaml: {message}" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_document_of_yaml_1_1_is_refused() -> None:
    with pytest.raises(YamlRefused, match=r"is of YAML 1\.1; YAML 1\.2 is accepted"):
        parse("%YAML 1.1\n---\na: yes")
    assert parse("%YAML 1.2\n---\na: yes") == {"a": "yes"}


@given(st.lists(TEXT, min_size=1, max_size=5))
def test_prompts_that_pyyaml_writes_as_text_are_read_as_text(prompts: list[str]) -> None:
    assert parse(yaml.safe_dump(prompts, default_style='"', allow_unicode=True)) == prompts


def test_prompts_of_python_are_checked_too() -> None:
    for prompt in ("a\0b", "a\nb", "a\ud800", "a\x9bm"):
        with pytest.raises(ValueError, match=r"control character|surrogate|unicode"):
            SweepConfig.model_validate({"actions": ["bypass"], "prompts": [prompt]})
