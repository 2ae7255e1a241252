"""The commands that sample pictures: `sample`, `fidelity`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compute.cli.options import AsJson

if TYPE_CHECKING:
    from store.sampler import SamplerSettings

commands = typer.Typer()


@commands.command()
def sample(
    prompt: Annotated[str, typer.Option(help="What the picture shows.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The PNG to write.")],
    model: Annotated[str | None, typer.Option("--model", help="A bundled model, or a pipeline's folder.")] = None,
    stage: Annotated[str | None, typer.Option(help="A stage of a cascade; the last unless given.")] = None,
    policy: Annotated[Path | None, typer.Option(help="A skip policy; sampler, steps and guidance are its own.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1)] = 0,
    steps: Annotated[
        int | None, typer.Option(min=1, max=1000, help="25, or those of the cascade's stage, unless given.")
    ] = None,
    guidance: Annotated[
        float | None, typer.Option(min=0, max=100, help="The pipeline's own unless given; 3 for glide-mini.")
    ] = None,
    sampler: Annotated[
        str | None, typer.Option(help="ddpm, ddim or a diffusers scheduler class; the model's own unless given.")
    ] = None,
) -> None:
    """Sample one picture, at full compute or under a skip policy."""
    from compute.images import image_of, save_png
    from compute.models.loading import load_model
    from compute.models.source import stage_run
    from compute.policy.liveness import resolve
    from compute.sweep.plan.conditions import check_prompt
    from store.records import Condition

    check_prompt(prompt, "--prompt")
    if policy is None:
        run = stage_run(model or "glide-mini", stage)
        loaded = load_model(run.source, call=run.call)
        own_guidance = loaded.default_guidance if run.guidance is None else run.guidance
        guidance = own_guidance if guidance is None else guidance
        settings = run.sampler if sampler is None and steps is None else None
        settings = settings or _sampler_settings(sampler or loaded.own_sampler, steps or 25)
        pictures = loaded.run([Condition(prompt=prompt, seed=seed, guidance=guidance)], settings)
    else:
        from compute.models.later_stages import LaterStages
        from compute.policy.skip_policy import SkipPolicy
        from compute.recommend.policy_model import check_same_run, load_for
        from compute.recommend.stages_under_policy import earlier_stages

        skip_policy = SkipPolicy.load(policy)
        check_same_run(skip_policy, steps=steps, guidance=guidance, sampler=sampler, stage=stage)
        loaded = load_for(skip_policy, model=model)
        conditions = [Condition(prompt=prompt, seed=seed, guidance=skip_policy.guidance)]
        before = earlier_stages(skip_policy, loaded, full=False)
        pictures = loaded.run(
            conditions,
            skip_policy.sampler,
            resolve(loaded.graph, skip_policy.schedule),
            inputs=None if before is None else before.sampled(conditions),
        )
        if stage is None and (later := LaterStages(loaded)):
            pictures = later.pictures(conditions, pictures)
    save_png(image_of(pictures[0].cpu().numpy()), output)
    print(output)


@commands.command()
def fidelity(
    model: Annotated[str, typer.Option("--model", help="A bundled model, or a pipeline's folder.")] = "glide-mini",
    stage: Annotated[str | None, typer.Option(help="A stage of a cascade; the first unless given.")] = None,
    split: Annotated[str, typer.Option(help="held-out or train.")] = "held-out",
    count: Annotated[int, typer.Option(min=1, max=100_000, help="Prompts, each with a seed of its own.")] = 1000,
    steps: Annotated[int, typer.Option(min=1, max=1000)] = 25,
    guidance: Annotated[float, typer.Option(min=0, max=100)] = 3.0,
    sampler: Annotated[str, typer.Option(help="ddpm, ddim or a diffusers scheduler class.")] = "ddpm",
    sheet: Annotated[Path | None, typer.Option(help="Write the first pictures with captions (PNG) here.")] = None,
    json_: AsJson = False,
) -> None:
    """Prompt fidelity at full compute: the share of pictures that show what their prompt says, with intervals."""
    from compute.models.mini.fidelity import evaluate_fidelity
    from compute.models.source import ModelSource

    report = evaluate_fidelity(
        ModelSource.find(model, stage),
        split,
        count=count,
        sampler=_sampler_settings(sampler, steps),
        guidance=guidance,
        sheet=sheet,
    )
    print(json.dumps(report.as_json(), indent=1) if json_ else report.describe())


def _sampler_settings(name: str, steps: int) -> SamplerSettings:
    """Return the sampler of the options --sampler and --steps. Raises ConfigError."""
    from pydantic import ValidationError

    from compute.config.errors import ConfigError
    from compute.config.messages import error_lines
    from store.sampler import SamplerSettings

    try:
        return SamplerSettings.model_validate({"name": name, "steps": steps})
    except ValidationError as error:
        lines = error_lines(error, SamplerSettings, whole="settings")
        raise ConfigError("; ".join(f"--sampler: {line}" for line in lines)) from None
