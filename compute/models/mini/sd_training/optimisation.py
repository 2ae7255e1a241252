"""The state of a stage of the training: weights, their moving average, the optimiser; saved to a file and resumed."""

from __future__ import annotations

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

    def learning_rate_at(self, iteration: int) -> float:
        """Return the learning rate of an iteration, counted from 0."""
        left = (1 - iteration / self.iterations) / (1 - self.decay_from)
        return self.learning_rate * min(1.0, (iteration + 1) / self.warmup, max(0.0, left))


class Optimisation:
    """The modules that a stage trains, the moving average of their weights, AdamW, and the iterations done."""

    def __init__(self, modules: nn.ModuleDict, pace: Pace) -> None:
        self.modules, self.pace, self.iteration = modules, pace, 0
        self.average = {name: value.detach().clone() for name, value in modules.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            modules.parameters(), lr=pace.learning_rate, betas=(0.9, 0.99), weight_decay=pace.weight_decay, fused=True
        )

    @property
    def finished(self) -> bool:
        """Whether the stage's last iteration is done."""
        return self.iteration >= self.pace.iterations

    def step(self, loss: Float[Tensor, ""]) -> None:
        """Take the step of one iteration by the gradient of its loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.pace.learning_rate_at(self.iteration)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.modules.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.iteration += 1
        self._update_average()

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
