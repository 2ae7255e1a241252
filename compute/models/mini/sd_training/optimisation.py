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

_LEAST_SIDE = 8  # channels on each side of a matrix that Muon trains


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long a stage of the training is, and how fast it learns."""

    iterations: int
    batch: int
    """Scenes in an iteration."""
    learning_rate: float
    """Of AdamW, which trains biases, norms, embeddings and the layers to and from few channels."""
    matrix_learning_rate: float
    """Of Muon, which trains all other weights."""
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

    def share_at(self, iteration: int) -> float:
        """Return which share of the learning rates an iteration has, counted from 0."""
        left = (1 - iteration / self.iterations) / (1 - self.decay_from)
        return min(1.0, (iteration + 1) / self.warmup, max(0.0, left))


def _matrices(modules: nn.Module) -> list[Tensor]:
    """Return the weights of the linear layers and convolutions that have no side of few channels."""
    layers = [module for module in modules.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    return [layer.weight for layer in layers if min(layer.weight.shape[:2]) >= _LEAST_SIDE]


class Optimisation:
    """The modules that a stage trains, the moving average of their weights, the optimisers, and the iterations done."""

    def __init__(self, modules: nn.ModuleDict, pace: Pace) -> None:
        self.modules, self.pace, self.iteration = modules, pace, 0
        self.average = {name: value.detach().clone() for name, value in modules.state_dict().items()}
        # Two threads within every operation wait for each other at every one, which on a busy machine is far slower. So
        # all of a step runs in these, each of which computes alone.
        self._threads = ThreadPoolExecutor(pace.shards, initializer=torch.set_num_threads, initargs=(1,))
        weights = _matrices(modules)
        # Muon takes matrices: a convolution's weights are one, with a row for each channel that it puts out.
        self._matrices = [(weight, nn.Parameter(weight.detach().flatten(1))) for weight in weights]
        self.optimisers = [*self._muons(), self._adam_w(weights)]

    def _muons(self) -> list[torch.optim.Muon]:
        """Return Muon for the matrices, dealt out to as many as there are threads."""
        parts = [self._matrices[first :: self.pace.shards] for first in range(self.pace.shards)]
        return [
            torch.optim.Muon(
                [matrix for _, matrix in part],
                lr=self.pace.matrix_learning_rate,
                weight_decay=self.pace.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
            for part in parts
            if part
        ]

    def _adam_w(self, without: list[Tensor]) -> torch.optim.AdamW:
        chosen = {id(weight) for weight in without}
        others = [weight for weight in self.modules.parameters() if id(weight) not in chosen]
        return torch.optim.AdamW(
            others, lr=self.pace.learning_rate, betas=(0.9, 0.99), weight_decay=self.pace.weight_decay, fused=True
        )

    @property
    def finished(self) -> bool:
        """Whether the stage's last iteration is done."""
        return self.iteration >= self.pace.iterations

    def step(self, loss_of: Callable[[slice], Float[Tensor, ""]]) -> float:
        """Take the step of one iteration, and return its loss: the mean of those of the shards, given their rows."""
        losses = list(self._threads.map(lambda rows: self._differentiate(loss_of, rows), self.pace.rows))
        self._threads.submit(torch.nn.utils.clip_grad_norm_, self.modules.parameters(), 1.0).result()
        for weight, matrix in self._matrices:
            matrix.grad = None if weight.grad is None else weight.grad.flatten(1)
        share = self.pace.share_at(self.iteration)
        list(self._threads.map(lambda optimiser: _update(optimiser, share), self.optimisers))
        self.modules.zero_grad(set_to_none=True)
        self.iteration += 1
        self._threads.submit(self._update_average).result()
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

    def restart_average(self) -> None:
        """Let the average begin with the weights as they are now."""
        for name, value in self.modules.state_dict().items():
            self.average[name].copy_(value)

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
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
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
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.iteration = state["iteration"]
        return True


def checkpoint_iteration(path: Path) -> int:
    """Return the number of iterations done in a saved state, 0 where there is none."""
    return int(torch.load(path, weights_only=True, mmap=True)["iteration"]) if path.exists() else 0


def _update(optimiser: torch.optim.Optimizer, share: float) -> None:
    """Take an optimiser's step with a share of its learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = share * optimiser.defaults["lr"]
    optimiser.step()
