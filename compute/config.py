"""A sweep's configuration: YAML in, a checked record out. Unknown keys and wrong values are one line each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from compute.diffusion.samplers import SamplerConfig
from store.errors import SkipscopeError
from store.records import Action, Condition, Record, Window

_SIZE_LIMIT = 1 << 20


class ConfigError(SkipscopeError):
    """A configuration that cannot be used; the text names the field and what is accepted, a line a mistake."""


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
            action = {key: value for key, value in data.items() if key != "components"}
            return {"action": action, **{key: data[key] for key in ("components",) if key in data}}
        return data


class Kept(Record):
    """Which states a run keeps: `all`, `final` (none but the picture), or every k-th step; and how precisely.

    Baselines always keep all states exactly, because ablated runs start from them.
    """

    x_t: Literal["all", "final"] | Annotated[int, Field(ge=1)] = "all"
    pred_x0: Literal["all", "final"] | Annotated[int, Field(ge=1)] = "all"
    precision: Literal["float32", "float16"] = "float16"


class SweepConfig(Record):
    """What to sweep, on what, and how.

    Everything down to `conditions_per_unit` can change numbers and is part of the units' keys; what follows can not.
    """

    model: str = "glide-mini"
    stage: Literal["base"] = "base"
    sampler: SamplerConfig = SamplerConfig(name="ddpm", steps=25)
    guidance: Annotated[float, Field(ge=0, le=100)] = 3.0
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    prompts: PromptFile | PromptSplit | Annotated[tuple[str, ...], Field(min_length=1)]
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**63)], ...], Field(min_length=1)] = (0,)
    components: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)
    windows: WindowCount | Annotated[tuple[Window, ...], Field(min_length=1)] = WindowCount(count=5)
    actions: Annotated[tuple[SweptAction, ...], Field(min_length=1)]
    conditions_per_unit: Annotated[int, Field(ge=1, le=4096)] = 8

    metrics: tuple[str, ...] = ("mse", "rel_l2", "ssim", "haarpsi")
    keep: Kept = Kept()
    workers: Annotated[int, Field(ge=1)] | None = None
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0
    threads_per_worker: Annotated[int, Field(ge=1)] | None = None
    retries: Annotated[int, Field(ge=0, le=100)] = 2

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        """Windows as pairs, seeds as "0:8"."""
        if not isinstance(data, dict):
            return data
        data = dict(data)
        if isinstance(data.get("windows"), list):
            data["windows"] = [
                {"start": w[0], "stop": w[1]} if isinstance(w, list) and len(w) == 2 else w for w in data["windows"]
            ]
        if isinstance(data.get("seeds"), str):
            data["seeds"] = parse_seeds(data["seeds"])
        return data

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

    def conditions(self, folder: Path) -> tuple[Condition, ...]:
        """Every prompt with every seed; prompt files are looked for in `folder`."""
        return tuple(
            Condition(prompt=prompt, seed=seed, guidance=self.guidance)
            for prompt in read_prompts(self.prompts, folder)
            for seed in self.seeds
        )


def parse_seeds(text: str) -> list[int]:
    """Seeds from "0:8" (half-open) or "3" or "1,5,9". Raises ConfigError."""
    try:
        if ":" in text:
            start, stop = (int(part) for part in text.split(":"))
            if not 0 <= start < stop or stop - start > 1_000_000:
                raise ValueError
            return list(range(start, stop))
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f'seeds: {text[:60]!r} is not understood; write "0:8" (0 to 7), "3" or "1,5,9"') from None


def read_prompts(prompts: PromptFile | PromptSplit | tuple[str, ...], folder: Path) -> list[str]:
    """The prompts themselves. Raises ConfigError for a file that is missing, empty or not text."""
    if isinstance(prompts, tuple):
        return list(prompts)
    if isinstance(prompts, PromptSplit):
        from compute.models.mini.scenes import captions

        return captions(prompts.split, prompts.count, prompts.seed)
    path = folder / Path(prompts.file).expanduser()
    try:
        lines = [line.strip() for line in _read_text(path).splitlines()]
    except OSError as error:
        raise ConfigError(
            f"prompts.file: {path} cannot be read: {error.strerror}; give a text file, a prompt a line"
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
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}: is not YAML{where}: {getattr(error, 'problem', error)}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: holds no settings; write for instance `model: glide-mini`")
    try:
        return SweepConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{path}: {line}" for line in error_lines(error, SweepConfig))) from None


def error_lines(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """One line for each mistake: the field, what was wrong, what is accepted."""
    lines = []
    for mistake in error.errors():
        field = ".".join(str(part) for part in mistake["loc"] if not str(part)[:1].isupper() and "[" not in str(part))
        if mistake["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields) if "." not in field else "see docs/configuration.md"
            lines.append(f"{field}: is no setting; accepted: {known}")
        else:
            given = repr(mistake["input"])
            shown = "" if mistake["type"] == "missing" else f" (given: {given[:60]}{'…' if len(given) > 60 else ''})"
            lines.append(f"{field}: {mistake['msg'].removeprefix('Value error, ')}{shown}")
    return list(dict.fromkeys(lines))


def _read_text(path: Path) -> str:
    if path.is_file() and path.stat().st_size > _SIZE_LIMIT:
        raise ConfigError(f"{path}: is larger than 1 MiB; that is no configuration or list of prompts")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text") from None
