"""Policy files: what is saved is read again, what is read fits the schema, anything else is refused in plain lines."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from compute.policy.json_schema import schema_text
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import PolicyError, Rule, SkipPolicy, policy_schema, rules_of
from compute.policy.strict_json import laid_out, parse
from store.errors import StoreError
from store.records import Action, Window
from tests.policy.policies import policies, policy_of, schedules

ROOT = Path(__file__).parents[2]
SCHEMA = jsonschema.Draft202012Validator(policy_schema())
X0 = Action(name="reuse", order=1, space="x0")
PLAIN = policy_of(
    Schedule(steps=25, actions={step: {"unet": X0} for step in (6, 7, 9)} | {12: {"mid_block": Action(name="bypass")}}),
    provenance={"made": "by hand"},
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def document(**changes: Any) -> dict[str, Any]:
    return json.loads(PLAIN.dumps()) | changes  # type: ignore[no-any-return]


def refusal(data: bytes | str | dict[str, Any]) -> str:
    """What a text is refused with: lines that name it, and that a terminal may be given."""
    text = json.dumps(data) if isinstance(data, dict) else data
    with pytest.raises(PolicyError) as caught:
        SkipPolicy.loads(text, where="it.json")
    lines = str(caught.value).split("\n")
    assert all(line.startswith("it.json: ") and line.isprintable() and len(line) < 500 for line in lines)
    return str(caught.value)


@settings(max_examples=60, deadline=None)
@given(policies())
def test_what_is_written_is_read_again_and_fits_the_schema(policy: SkipPolicy) -> None:
    text = policy.dumps()
    again = SkipPolicy.loads(text)
    assert again == policy
    assert again.dumps() == text
    assert again.digest == policy.digest
    SCHEMA.validate(json.loads(text))


@settings(max_examples=20, deadline=None)
@given(policies())
def test_files(tmp_path_factory: pytest.TempPathFactory, policy: SkipPolicy) -> None:
    folder = tmp_path_factory.mktemp("policies")
    policy.save(folder / "policy.json")
    policy.save(str(folder / "policy.json"))
    assert SkipPolicy.load(str(folder / "policy.json")) == policy
    assert [path.name for path in folder.iterdir()] == ["policy.json"], "nothing temporary is left"


def test_the_file_is_for_people() -> None:
    lines = PLAIN.dumps().splitlines()
    assert lines[0] == "{"
    assert '  "guidance": 3.0,' in lines
    action = '"action": {"name": "reuse", "order": 1, "space": "x0"}'
    assert f'    {{"components": ["unet"], "window": {{"start": 6, "stop": 8}}, {action}}},' in lines
    assert max(map(len, lines)) <= 125
    assert "null" not in PLAIN.dumps()


@settings(max_examples=100, deadline=None)
@given(json_values)
def test_the_layout_changes_nothing(value: Any) -> None:
    assume("inf" not in str(value))
    assert json.loads(laid_out(value)) == value


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in inner for found in [(*path, key), *places(item, (*path, key))]]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_document_fits_the_schema_or_is_refused(data: st.DataObject) -> None:
    policy = data.draw(policies())
    changed = json.loads(policy.dumps())
    path = data.draw(st.sampled_from(places(changed)))
    owner = changed
    for key in path[:-1]:
        owner = owner[key]
    value = data.draw(json_values | st.sampled_from(["\x1b[31m", "../../etc/passwd", 10**30, -1, 1e308, True]))
    how = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if how == "replace":
        owner[path[-1]] = value
    elif how == "remove":
        del owner[path[-1]]
    elif isinstance(owner, dict):
        owner[data.draw(st.text(max_size=5))] = value
    else:
        owner.append(value)
    text = json.dumps(changed, allow_nan=True)
    try:
        loaded = SkipPolicy.loads(text, where="it.json")
    except PolicyError:
        refusal(text)
    else:
        SCHEMA.validate(json.loads(text))
        assert SkipPolicy.loads(loaded.dumps()) == loaded


@settings(max_examples=100, deadline=None)
@given(st.binary() | st.text() | st.builds(json.dumps, json_values))
def test_anything_else_is_refused(data: bytes | str) -> None:
    refusal(data)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("", "is not JSON: line 1, column 1"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"\xef\xbb\xbf{}", "BOM"),
        ("[" * 10**6, "is nested too deeply"),
        ('{"a":' * 10**5, "is nested too deeply"),
        (" " * (1 << 20) + "{}", "larger than the 1 MiB"),
        ('{"format": 1, "format": 1}', "the field 'format' stands twice"),
        ('{"version": NaN}', "NaN is no number"),
        ('{"version": -Infinity}', "-Infinity is no number"),
        ('{"version": 1e999}', "1e999 is too large a number"),
        ('{"version": ' + "1" * 5000 + "}", "a number of 5000 digits; at most 40"),
        ('{"version": 0.' + "1" * 5000 + "}", "a number of 5002 digits; at most 40"),
        ("[1]", "format: a list is no skip policy; an object whose format is 'skipscope-policy' is accepted"),
        ({}, "format: nothing is no skip policy"),
        (document(format="\x1b[2J"), r"format: '\x1b[2J' is no skip policy"),
        (document(version=2), "is of version 2; this release reads version 1: upgrade skipscope"),
        (document(version=10**30), "upgrade skipscope"),
        (document(version=0), "version: 0 is no version of a skip policy; 1 is accepted"),
        (document(version=True), "version: True is no version"),
        (document(version="1"), "version: '1' is no version"),
        (document(path="/etc/passwd"), "path: is no field; accepted: format, version, name"),
        (document(guidance="3"), "guidance: Input should be a valid number (given: '3')"),
        (document(guidance=101), "guidance: Input should be less than or equal to 100 (given: 101)"),
        (document(name="../a"), "name: String should match pattern"),
        (document(rules=[{"components": ["unet"]}]), "rules.0.window: Field required"),
        (document(provenance={"made": "\x1b]0;"}), r"provenance.made: holds a control character; printable text"),
        (document(provenance={"\u202e": "x"}), "holds a control character"),
        (document(provenance={"made": "\ud800"}), "Invalid JSON"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else None,
)
def test_refusals(data: Any, says: str) -> None:
    assert says in refusal(data)


def rule(start: int, stop: int, **action: Any) -> dict[str, Any]:
    return {"components": ["unet"], "window": {"start": start, "stop": stop}, "action": {"name": "reuse"} | action}


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ([rule(0, 26)], "rules: window 0-25 lies outside the run: steps 0 to 24 exist"),
        ([rule(0, 10**30)], "lies outside the run"),
        ([rule(3, 3)], "rules.0.window: window [3, 3) is empty: stop must be greater than start"),
        ([rule(3, 5), rule(4, 6, order=1)], "rules: unet is to reuse and to reuse (order 1) at step 4"),
        ([rule(3, 5, name="compute")], "rules: compute is what every component does anyway: leave it out"),
        ([rule(3, 5, name="sleep")], "rules.0.action.name: Input should be 'compute', 'bypass'"),
        ([rule(3, 5, order=True)], "rules.0.action.order"),
        ([rule(0, 25) | {"components": [str(i) for i in range(10_000)]}] * 5, "rules: say more than 1000000 things"),
    ],
)
def test_refused_rules(rules: list[dict[str, Any]], says: str) -> None:
    assert says in refusal(document(rules=rules))


def test_many_mistakes_are_a_line_each_and_not_too_many() -> None:
    lines = refusal(document(rules=[rule(3, 3)] * 200, guidance=-1)).split("\n")
    assert 2 < len(lines) < 60
    assert "more mistakes" in lines[-1]


@pytest.mark.parametrize("name", ["missing.json", ".", "a\0b", "\x1b[31m.json", "x" * 5000])
def test_files_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(PolicyError, match=r"no such file|not a regular file|cannot be read") as caught:
        SkipPolicy.load(tmp_path / name)
    assert str(caught.value).isprintable()


def test_a_device_and_a_huge_file_are_refused_at_once(tmp_path: Path) -> None:
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(PolicyError, match="larger than the 1 MiB"):
        SkipPolicy.load(huge)
    with pytest.raises(PolicyError, match="not a regular file"):
        SkipPolicy.load("/dev/zero")


def test_a_link_to_a_policy_is_followed(tmp_path: Path) -> None:
    PLAIN.save(tmp_path / "one.json")
    (tmp_path / "two.json").symlink_to("one.json")
    assert SkipPolicy.load(tmp_path / "two.json") == PLAIN


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    rules = tuple(
        Rule(components=(f"{i:0200}",), window=Window(start=i % 20, stop=i % 20 + 1), action=X0) for i in range(5000)
    )
    with pytest.raises(PolicyError, match="a policy has at most 1048576"):
        PLAIN.model_copy(update={"rules": rules}).save(tmp_path / "policy.json")
    with pytest.raises(StoreError, match="cannot be written"):
        PLAIN.save(tmp_path / "missing" / "policy.json")
    assert list(tmp_path.iterdir()) == []


def test_the_published_schema_is_current() -> None:
    published = (ROOT / "docs" / "policy.schema.json").read_text()
    assert published == schema_text(), "python -m compute.policy.json_schema > docs/policy.schema.json"
    jsonschema.Draft202012Validator.check_schema(json.loads(published))


def test_the_schema_asks_for_format_and_version() -> None:
    for field in ("format", "version", "rules"):
        incomplete = document()
        del incomplete[field]
        assert not SCHEMA.is_valid(incomplete)
        refusal(incomplete)


@settings(max_examples=60, deadline=None)
@given(schedules())
def test_rules_say_what_the_schedule_says(schedule: Schedule) -> None:
    policy = policy_of(schedule)
    assert policy.schedule == schedule
    assert rules_of(policy.schedule) == policy.rules


@settings(max_examples=60, deadline=None)
@given(schedules(), st.integers(1, 40))
def test_resampled_steps_do_what_their_old_step_did(schedule: Schedule, steps: int) -> None:
    old = policy_of(schedule, sampler="ddim")
    new = old.resampled(steps)
    assert new.sampler.steps == new.schedule.steps == steps
    for step in range(steps):
        assert new.schedule.at(step) == schedule.at(int(step / steps * schedule.steps + 1e-9))
    assert new.schedule.at(0) == schedule.at(0)
    assert SkipPolicy.loads(new.dumps()) == new
    if steps % schedule.steps == 0:
        assert new.resampled(schedule.steps).schedule == schedule, "each old step's first new step stands for it"


@settings(max_examples=20, deadline=None)
@given(policies(), st.integers(1, 40))
def test_resampling_forgets_what_was_measured(policy: SkipPolicy, steps: int) -> None:
    if steps == 1 != policy.sampler.steps and policy.sampler.name == "ddpm":
        with pytest.raises(PolicyError, match="steps of ddpm is at least 2"):
            policy.resampled(steps)
        return
    before, new = copy.deepcopy(policy), policy.resampled(steps)
    assert policy == before
    if steps == policy.sampler.steps:
        assert new is policy
        return
    assert new.prediction is None
    assert new.validation is None
    assert new.provenance["resampled"].endswith(f"from {policy.sampler.steps} to {steps} steps")
    assert (new.model, new.guidance, new.name) == (policy.model, policy.guidance, policy.name)


def test_resampling_twice_is_told_and_nonsense_refused() -> None:
    assert PLAIN.resampled(50).resampled(10).provenance["resampled"] == "from 25 to 50 steps; from 50 to 10 steps"
    for steps in (0, -5, 1001):
        with pytest.raises(PolicyError, match=f"steps: {steps} is no number of steps; 1 to 1000 are accepted"):
            PLAIN.resampled(steps)


def test_the_digest_is_of_what_a_policy_does() -> None:
    renamed = PLAIN.model_copy(update={"name": "other", "provenance": {}})
    assert renamed.digest == PLAIN.digest
    assert PLAIN.model_copy(update={"guidance": 2.0}).digest != PLAIN.digest
    split = [rule(6, 7), rule(7, 8)], [rule(6, 8)]
    assert len({SkipPolicy.loads(json.dumps(document(rules=rules))).digest for rules in split}) == 1


def test_the_documented_example_is_a_policy_as_it_would_be_written() -> None:
    document = (ROOT / "docs" / "policy-format.md").read_text()
    example = document.split("```json\n")[1].split("```")[0]
    assert SkipPolicy.loads(example).dumps() == example


@pytest.mark.parametrize("record", ["SkipPolicy", *policy_schema()["$defs"]])
def test_every_field_is_documented(record: str) -> None:
    document = (ROOT / "docs" / "policy-format.md").read_text()
    schema = policy_schema()
    fields = (schema if record == "SkipPolicy" else schema["$defs"][record])["properties"]
    assert [field for field in fields if f"`{field}`" not in document] == []


def test_parsing_keeps_values() -> None:
    assert parse(b'{"a": [1, 2.5, "x", null, true]}') == {"a": [1, 2.5, "x", None, True]}
