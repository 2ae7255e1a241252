"""A sweep's configuration: YAML in, a checked record out. Unknown keys and wrong values are one line each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from compute.config.messages import error_lines as error_lines
from store.errors import SkipscopeError
from store.records import Action, Condition, Record, Window
from store.sampler import SamplerSettings

_SIZE_LIMIT = 1 << 20


_CONDITION_LIMIT = 1_000_000


class ConfigError(SkipscopeError):
    """A configuration that cannot be used; the text names the field and what is accepted, a line a mistake."""


def parse_seeds(text: str) -> list[int]:
    """Seeds from "0:8" (half-open) or "3" or "1,5,9". Raises ConfigError."""
    try:
        if ":" in text:
            start, stop = (int(part) for part in text.split(":"))
            if not 0 <= start < stop or stop - start > _CONDITION_LIMIT:
                raise ValueError
            return list(range(start, stop))
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f'seeds: {text[:60]!r} is not understood; write "0:8" (0 to 7), "3" or "1,5,9"') from None


def _seeds(given: Any) -> Any:
    """Seeds as "0:8", or a single one."""
    if isinstance(given, str):
        try:
            return parse_seeds(given)
        except ConfigError as error:
            raise ValueError(str(error).removeprefix("seeds: ")) from None
    return [given] if isinstance(given, int) and not isinstance(given, bool) else given


def _pair(given: Any) -> Any:
    """A window as [start, stop]."""
    if isinstance(given, list | tuple):
        if len(given) != 2:
            raise ValueError("write a window as [start, stop]")
        return {"start": given[0], "stop": given[1]}
    return given


def _kind_of_prompts(given: Any) -> str | None:
    if isinstance(given, list | tuple):
        return "<list>"
    if isinstance(given, PromptSplit) or (isinstance(given, dict) and "split" in given):
        return "<split>"
    return "<file>" if isinstance(given, dict | PromptFile) else None


def _kind_of_windows(given: Any) -> str | None:
    if isinstance(given, list | tuple):
        return "<list>"
    return "<count>" if isinstance(given, dict | WindowCount) else None


def _kind_of_switches(given: Any) -> str | None:
    if isinstance(given, list | tuple):
        return "<list>"
    return "<every>" if isinstance(given, dict | SwitchEvery) else None


def _kind_of_kept(given: Any) -> str | None:
    if isinstance(given, int) and not isinstance(given, bool):
        return "<every>"
    return "<word>" if given in ("all", "final") else None


def _gpus(share: float) -> float:
    if share != int(share) and (share > 1 or share < 0.001):
        raise ValueError("a share of one GPU (0.001 to 1) or a whole number of them is accepted")
    return share


class PromptFile(Record):
    """Prompts from a text file, one a line; a relative path is relative to the configuration's folder."""

    file: str


class PromptSplit(Record):
    """Captions drawn from one of glide-mini's splits."""

    split: Literal["train", "held-out"]
    count: Annotated[int, Field(ge=1, le=100_000)]
    seed: Annotated[int, Field(ge=0)] = 0


class WindowCount(Record):
    """The steps divided into so many windows of equal length."""

    count: Annotated[int, Field(ge=1)]


class SwitchEvery(Record):
    """A prompt switch at every k-th step, from step 0 on."""

    every: Annotated[int, Field(ge=1)]


class SweptAction(Record):
    """An action, and the components that it is tried on: all that admit it, unless patterns say otherwise."""

    action: Action
    components: tuple[str, ...] = ("*",)

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        """`bypass`, or {name: reuse, order: 1, components: [...]}."""
        if isinstance(data, str):
            return {"action": {"name": data}}
        if isinstance(data, dict) and "name" in data:
            own = {key: data[key] for key in ("components", "lengths") if key in data}
            return {"action": {key: value for key, value in data.items() if key not in own}, **own}
        return data

    @field_validator("action")
    @classmethod
    def _changes_something(cls, action: Action) -> Action:
        if action.name == "compute":
            raise ValueError("compute is what every component does anyway; the null ablation is always swept")
        return action


class ScreenedAction(SweptAction):
    """An action tried in every short window of some lengths: with length 1 at each step by itself.

    It is the evidence that a search for policies needs for actions that reuse. Where such an action has nothing to
    read yet, in the first steps, it is left out.
    """

    lengths: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (1,)


Prompts = Annotated[
    Annotated[PromptFile, Tag("<file>")]
    | Annotated[PromptSplit, Tag("<split>")]
    | Annotated[tuple[str, ...], Field(min_length=1), Tag("<list>")],
    Discriminator(
        _kind_of_prompts,
        custom_error_type="prompts",
        custom_error_message="write a list of prompts, {file: prompts.txt}, or {split: held-out, count: 8}",
    ),
]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1), BeforeValidator(_seeds)]
Windows = Annotated[
    Annotated[WindowCount, Tag("<count>")]
    | Annotated[tuple[Annotated[Window, BeforeValidator(_pair)], ...], Field(min_length=1), Tag("<list>")],
    Discriminator(
        _kind_of_windows,
        custom_error_type="windows",
        custom_error_message="write {count: 5}, or a list of windows [start, stop]",
    ),
]
States = Annotated[
    Annotated[Literal["all", "final"], Tag("<word>")] | Annotated[int, Field(ge=1), Tag("<every>")],
    Discriminator(
        _kind_of_kept,
        custom_error_type="states",
        custom_error_message="write all, final, or a number k for every k-th step",
    ),
]


SwitchSteps = Annotated[
    Annotated[SwitchEvery, Tag("<every>")]
    | Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), Tag("<list>")],
    Discriminator(
        _kind_of_switches,
        custom_error_type="prompt_switch",
        custom_error_message="write {every: 1}, or a list of steps [0, 5, 10]",
    ),
]


class Kept(Record):
    """Which states a run keeps: `all`, `final` (none but the picture), or every k-th step; and how precisely.

    Baselines always keep all states exactly, because ablated runs start from them. `8-bit` rounds pictures (`pred_x0`
    and the final one) to steps of 1/128, about as a PNG does, and stores `x_t` as float16.
    """

    x_t: States = "all"
    pred_x0: States = "all"
    precision: Literal["float32", "float16", "8-bit"] = "float16"


class SweepConfig(Record):
    """What to sweep, on what, and how.

    Everything down to `conditions_per_unit` can change numbers and is part of the units' keys; what follows can not.
    """

    model: str = "glide-mini"
    stage: Literal["base"] = "base"
    sampler: SamplerSettings = SamplerSettings(name="ddpm", steps=25)
    guidance: Annotated[float, Field(ge=0, le=100)] = 3.0
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    prompts: Prompts
    seeds: Seeds = (0,)
    components: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)
    windows: Windows = WindowCount(count=5)
    actions: Annotated[tuple[SweptAction, ...], Field(min_length=1)]
    screen: tuple[ScreenedAction, ...] = ()
    prompt_switch: SwitchSteps | None = None
    conditions_per_unit: Annotated[int, Field(ge=1, le=4096)] = 8

    metrics: tuple[str, ...] = ("mse", "rel_l2", "ssim", "haarpsi")
    keep: Kept = Kept()
    workers: Annotated[int, Field(ge=1, le=4096)] | None = None
    gpus_per_worker: Annotated[float, Field(ge=0, le=64), AfterValidator(_gpus)] = 0
    threads_per_worker: Annotated[int, Field(ge=1, le=4096)] | None = None
    retries: Annotated[int, Field(ge=0, le=100)] = 2

    def window_list(self) -> tuple[Window, ...]:
        """The windows over this config's steps. Raises ConfigError for one that reaches beyond them."""
        steps = self.sampler.steps
        if isinstance(self.windows, WindowCount):
            count = self.windows.count
            if count > steps:
                raise ConfigError(f"windows.count: {count} windows of {steps} steps; at most {steps} is accepted")
            edges = [round(i * steps / count) for i in range(count + 1)]
            return tuple(Window(start=a, stop=b) for a, b in zip(edges, edges[1:], strict=False))
        for i, window in enumerate(self.windows):
            if window.stop > steps:
                raise ConfigError(
                    f"windows.{i}: [{window.start}, {window.stop}) reaches beyond the {steps} steps; "
                    f"0 <= start < stop <= {steps} is accepted"
                )
        return self.windows

    def screen_windows(self, screened: ScreenedAction) -> tuple[Window, ...]:
        """Every window of an action's lengths over this config's steps. Raises ConfigError for one that is too long."""
        steps = self.sampler.steps
        if max(screened.lengths) > steps:
            raise ConfigError(f"screen: length {max(screened.lengths)} of {steps} steps; at most {steps} is accepted")
        return tuple(
            Window(start=start, stop=start + length)
            for length in dict.fromkeys(screened.lengths)
            for start in range(steps - length + 1)
        )

    def switch_steps(self) -> tuple[int, ...]:
        """The steps at which the prompt is switched, ascending. Raises ConfigError for one outside the run."""
        steps = self.sampler.steps
        if self.prompt_switch is None:
            return ()
        if isinstance(self.prompt_switch, SwitchEvery):
            return tuple(range(0, steps, self.prompt_switch.every))
        for i, step in enumerate(self.prompt_switch):
            if step >= steps:
                raise ConfigError(f"prompt_switch.{i}: step {step} of {steps}; 0 to {steps - 1} are accepted")
        return tuple(sorted({0, *self.prompt_switch}))  # a switch at 0 is the other prompt's own baseline

    def conditions(self, folder: Path) -> tuple[Condition, ...]:
        """Every prompt with every seed; prompt files are looked for in `folder`. Raises ConfigError."""
        prompts = read_prompts(self.prompts, folder)
        if len(prompts) * len(self.seeds) > _CONDITION_LIMIT:
            raise ConfigError(
                f"prompts, seeds: {len(prompts)} prompts of {len(self.seeds)} seeds each are more than the "
                f"{_CONDITION_LIMIT} conditions that are accepted"
            )
        return tuple(
            Condition(prompt=prompt, seed=seed, guidance=self.guidance) for prompt in prompts for seed in self.seeds
        )


def read_prompts(prompts: PromptFile | PromptSplit | tuple[str, ...], folder: Path) -> list[str]:
    """The prompts themselves. Raises ConfigError for a file that is missing, empty or not text."""
    if isinstance(prompts, tuple):
        return list(prompts)
    if isinstance(prompts, PromptSplit):
        from compute.models.mini.scenes.scene import captions

        return captions(prompts.split, prompts.count, prompts.seed)
    path = folder / prompts.file
    try:
        path = folder / Path(prompts.file).expanduser()
        lines = [line.strip() for line in _read_text(path, "prompts.file: ").splitlines()]
    except (OSError, RuntimeError, ValueError) as error:  # ~somebody unknown, a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"prompts.file: {str(path)!r} cannot be read: {reason}; give a text file, a prompt a line"
        ) from None
    found = [line for line in lines if line]
    if not found:
        raise ConfigError(f"prompts.file: {path} holds no prompt; write one a line")
    return found


def load_config(path: Path) -> SweepConfig:
    """The configuration in a YAML file. Raises ConfigError with a line for each mistake."""
    try:
        data = yaml.safe_load(_read_text(path))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:  # of values that only look like YAML's
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        problem = (str(getattr(error, "problem", None) or error) or "nested too deeply").splitlines()[0]
        raise ConfigError(f"{path}: is not YAML{where}: {problem}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: holds no settings; write for instance `model: glide-mini`")
    try:
        return SweepConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{path}: {line}" for line in error_lines(error, SweepConfig))) from None


def _read_text(path: Path, field: str = "") -> str:
    with path.open("rb") as file:
        data = file.read(_SIZE_LIMIT + 1)
    if len(data) > _SIZE_LIMIT:
        raise ConfigError(f"{field}{path}: is larger than 1 MiB; that is no configuration or list of prompts")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{field}{path}: is not UTF-8 text") from None
