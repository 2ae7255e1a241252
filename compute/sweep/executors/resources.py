"""The resources of a sweep's workers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import torch

from compute.config.schema import SweepConfig
from compute.sweep.executors.executor import ON_THIS_MACHINE, SweepStopped


@dataclass(frozen=True, kw_only=True)
class Resources:
    """How many workers there are; the CPU threads, the GPUs and the device of each."""

    workers: int
    threads: int
    gpus: float = 0
    device: Literal["cpu", "cuda"] = "cpu"

    @classmethod
    def of(cls, config: SweepConfig, address: str, workers: int | None = None) -> Resources:
        """Return what a configuration asks for at an executor's address; `workers` replaces the configured number.

        Raises SweepStopped for GPUs that this machine does not have, where the address is on this machine.
        """
        if config.gpus_per_worker > 0 and address in ON_THIS_MACHINE and not torch.cuda.is_available():
            raise SweepStopped(
                f"gpus_per_worker: {config.gpus_per_worker:g} is asked for and this machine has no GPU; "
                "0 selects the CPU"
            )
        count = workers or config.workers or _default_workers(config)
        cores = os.cpu_count() or 1
        on_gpu = config.gpus_per_worker > 0 or (address == "serial" and torch.cuda.is_available())
        return cls(
            workers=count,
            threads=config.threads_per_worker or max(1, cores if address == "serial" else cores // count),
            gpus=config.gpus_per_worker,
            device="cuda" if on_gpu else "cpu",
        )


def _default_workers(config: SweepConfig) -> int:
    """Return as many as fit on the GPUs; on the CPU, one for every `threads_per_worker` cores, 2 by default."""
    if config.gpus_per_worker > 0 and torch.cuda.is_available():
        return max(1, int(torch.cuda.device_count() / config.gpus_per_worker))
    return max(1, (os.cpu_count() or 1) // (config.threads_per_worker or 2))
