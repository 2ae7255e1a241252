"""The interface of a judge, which compares pictures with what their prompts ask for. The models provide judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, get_args, runtime_checkable

from jaxtyping import Float
from torch import Tensor

Aspect = Literal["objects", "relation", "background", "all"]
ASPECTS: tuple[Aspect, ...] = get_args(Aspect)
"""The aspects of a prompt that pictures are compared with; `all` is the whole prompt."""


@runtime_checkable
class Judge(Protocol):
    """Recognises what pictures show. Pictures are in [-1, 1]."""

    @property
    def digest(self) -> str:
        """The SHA-256 of the judge's weights."""

    def check_prompts(self, prompts: Sequence[str]) -> None:
        """Raise a SkipscopeError for the first prompt that pictures cannot be compared with."""

    def fidelity(
        self, pictures: Float[Tensor, "B 3 H W"], prompts: Sequence[str]
    ) -> Mapping[Aspect, Float[Tensor, " B"]]:
        """Return for each aspect the share, 0 to 1, of it that each picture shows; NaN where it is not defined."""

    def embed(self, pictures: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """Return the features in which distances between sets of pictures are computed."""

    def real_pictures(self, prompts: Sequence[str], side: int, seed: int) -> Float[Tensor, "B 3 H W"]:
        """Return a real picture of each prompt, `side` pixels square, which `seed` determines."""

    def confidence(self, pictures: Float[Tensor, "B 3 H W"], prompts: Sequence[str]) -> Float[Tensor, " B"]:
        """Return the probability, as the judge sees it, that each picture shows its whole prompt."""

    def kid_to_real(self, pictures: Float[Tensor, "B 3 H W"], prompts: Sequence[str]) -> list[float]:
        """Return the kernel distance of `pictures` to real pictures of the same prompts, in blocks.

        The result is that of `compute.metrics.population.kid_blocks` on the judge's features: empty for few pictures.
        """
