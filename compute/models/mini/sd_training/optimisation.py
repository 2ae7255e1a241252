"""The state of a stage of the training: weights, their moving average, the optimiser; saved to a file and resumed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long a stage of the training is, and how fast it learns."""

    iterations: int
    batch: int
    """Scenes in an iteration."""
    learning_rate: float
    warmup: int = 200
    """Iterations in which the learning rate rises linearly."""
    decay_from: float = 0.6
    """The share of the iterations after which the learning rate falls linearly to zero."""
    average: float = 0.999
    """The decay of the weights' moving average."""
    weight_decay: float = 0.01
    shards: int = 2
    """Equal parts of a batch, each computed by a thread of its own."""

    @property
    def rows(self) -> list[slice]:
        """The rows of a batch that each shard consists of."""
        size = self.batch // self.shards
        return [slice(start, start + size) for start in range(0, size * self.shards, size)]

    def learning_rate_at(self, iteration: int) -> float:
        """Return the learning rate of an iteration, counted from 0."""
        left = (1 - iteration / self.iterations) / (1 - self.decay_from)
        return self.learning_rate * min(1.0, (iteration + 1) / self.warmup, max(0.0, left))


class Optimisation:
    """The modules that a stage trains, the moving average of their weights, AdamW, and the iterations done."""

    def __init__(self, modules: nn.ModuleDict, pace: Pace) -> None:
        self.modules, self.pace, self.iteration = modules, pace, 0
        self.average = {name: value.detach().clone() for name, value in modules.state_dict().items()}
        # Two threads within every operation wait for each other at every one, which on a busy machine is far slower.
        self._threads = ThreadPoolExecutor(pace.shards, initializer=torch.set_num_threads, initargs=(1,))
        self.optimiser = torch.optim.AdamW(
            modules.parameters(), lr=pace.learning_rate, betas=(0.9, 0.99), weight_decay=pace.weight_decay, fused=True
        )

    @property
    def finished(self) -> bool:
        """Whether the stage's last iteration is done."""
        return self.iteration >= self.pace.iterations

    def step(self, loss_of: Callable[[slice], Float[Tensor, ""]]) -> float:
        """Take the step of one iteration, and return its loss: the mean of those of the shards, given their rows."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.pace.learning_rate_at(self.iteration)
        losses = list(self._threads.map(lambda rows: self._differentiate(loss_of, rows), self.pace.rows))
        torch.nn.utils.clip_grad_norm_(self.modules.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.iteration += 1
        self._update_average()
        return sum(losses)

    def _differentiate(self, loss_of: Callable[[slice], Float[Tensor, ""]], rows: slice) -> float:
        loss = loss_of(rows) / self.pace.shards
        # Two gradients have the same sum in either order, so two shards give the same weights whichever is first.
        loss.backward()
        return loss.item()

    @torch.no_grad()
    def _update_average(self) -> None:
        # The average of a young training forgets its first weights sooner.
        weight = 1 - min(self.pace.average, (1 + self.iteration) / (10 + self.iteration))
        state = self.modules.state_dict()
        moving = [name for name, value in self.average.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.average[name] for name in moving], [state[name] for name in moving], weight)

    def load_average(self, name: str, module: nn.Module) -> None:
        """Give `module` the averaged weights of the part `name` of the modules."""
        prefix = f"{name}."
        module.load_state_dict(
            {key.removeprefix(prefix): value for key, value in self.average.items() if key.startswith(prefix)}
        )

    def save(self, path: Path) -> None:
        """Write the state to a file, replacing an earlier one atomically."""
        state: dict[str, Any] = {
            "iteration": self.iteration,
            "modules": self.modules.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
        }
        path = path.resolve()  # a symbolic link stays
        temporary = path.with_suffix(".new")
        torch.save(state, temporary)
        temporary.replace(path)

    def resume(self, path: Path) -> bool:
        """Load the state of a file. Returns whether there is one."""
        if not path.exists():
            return False
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.modules.load_state_dict(state["modules"])
        self.average = {name: value.to(self.average[name].device) for name, value in state["average"].items()}
        self.optimiser.load_state_dict(state["optimiser"])
        self.iteration = state["iteration"]
        return True
