"""Runs a sweep from a configuration to its end, with progress on standard error."""

from __future__ import annotations

import os
from pathlib import Path

from compute.config.schema import SweepConfig, load_config
from compute.progress import bar
from compute.sweep import start
from compute.sweep.plan import Plan
from compute.sweep.run import SweepResult

_LISTED = 3  # ablations left out of the plan that are listed one by one


def sweep(
    config: SweepConfig | str | os.PathLike[str],
    store: str | os.PathLike[str],
    *,
    address: str = "local",
    workers: int | None = None,
    replan: bool = False,
    lpips_trunk: str | os.PathLike[str] | None = None,
) -> SweepResult:
    """Run a sweep into the folder `store`: start it, resume it, or extend it by what the configuration adds.

    `config` is a YAML file's path or a configuration. A prompt file that it names is relative to the YAML file's
    folder; without a YAML file, to the working folder. `address` is `serial` (this process), `local` (a Ray of its own
    on this machine), `auto` or a Ray cluster's HOST:PORT; `workers` replaces the configuration's number of worker
    processes. With `replan` the store plans only what `config` names. `lpips_trunk` is the file with the weights of
    LPIPS's trunk; without one that metric is absent.

    Units that fail are counted in the result, not raised. Raises SkipscopeError, before anything is written, for a
    configuration, address or store that cannot be used; and where the sweep has to stop.
    """
    folder = Path()
    if not isinstance(config, SweepConfig):
        folder = Path(config).absolute().parent
        config = load_config(Path(config))
    start.check_place(config, address)
    prepared = start.prepare(config, folder)
    opened = start.open_or_create(Path(store), prepared, replan=replan)
    counts = opened.status_counts()
    trunk = None if lpips_trunk is None else Path(lpips_trunk)
    with bar("sweep", counts.planned, done=counts.done) as progress:
        for line in _left_out(prepared.plan):
            progress.tell(line)
        return start.run(prepared, opened, progress, address=address, workers=workers, lpips_trunk=trunk)


def _left_out(plan: Plan) -> list[str]:
    """Why some ablations are not in the plan, a line each; many are summed up."""
    lines = [f"left out: {ablation}: {reason}" for ablation, reason in plan.impossible.items()]
    more = len(lines) - _LISTED
    return lines if more <= 0 else [*lines[:_LISTED], f"left out: {more} more ablations of that kind"]
