"""GLIDE's text transformer.

From a caption it computes a sequence for the UNet's cross-attention and a vector that is added to the time embedding.
Neither depends on the sampling step, so a prompt is encoded once. The layout is that of openai/glide-text2im
(`text2im_model.py`, `xf.py`): learned position embeddings, a learned padding embedding for each position after the
caption's end, full attention without a mask, a final layer norm, and a projection of the last position as the vector.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from store.errors import SkipscopeError


class UnreadablePrompt(SkipscopeError):
    """A prompt that has an unknown word or too many words."""


class TextBlock(nn.Module):
    """Self-attention and an MLP, each with pre-norm and a residual connection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, h: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        q, k, v = self.qkv(self.norm1(h)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, H, L, D/H)
        h = h + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        out: Tensor = h + self.fc2(F.gelu(self.fc1(self.norm2(h))))
        return out


class TextTransformer(ModelMixin, ConfigMixin):
    """The text encoder of GLIDE's UNet.

    `vocabulary` is a list of words, which are separated by white space and whose tokens are their indices, or the
    number of tokens where the pipeline has a tokenizer. `length` is the number of positions, `width` the width of the
    sequence (D), `pooled` that of the pooled vector (E).
    """

    @register_to_config
    def __init__(
        self,
        *,
        vocabulary: list[str] | int,
        length: int = 16,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        pooled: int = 256,
    ) -> None:
        super().__init__()
        words = [] if isinstance(vocabulary, int) else vocabulary
        self._token_of = {word: i for i, word in enumerate(words)}
        self.token_embedding = nn.Embedding(vocabulary if isinstance(vocabulary, int) else len(words), width)
        self.positional_embedding = nn.Parameter(torch.randn(length, width) * 0.02)
        self.padding_embedding = nn.Parameter(torch.randn(length, width) * 0.02)
        self.blocks = nn.ModuleList(TextBlock(width, heads) for _ in range(layers))
        self.final_norm = nn.LayerNorm(width)
        self.pooled_proj = nn.Linear(width, pooled)
        nn.init.normal_(self.token_embedding.weight, std=0.02)

    def tokenize(self, prompts: Sequence[str]) -> tuple[Int[Tensor, "B L"], Bool[Tensor, "B L"]]:
        """Return the tokens of prompts, and a mask that is true where there is a word, on this module's device.

        Raises UnreadablePrompt for an unknown word and for a prompt that is too long. No word is dropped silently, as
        that would change what is sampled.
        """
        if not self._token_of:
            raise UnreadablePrompt("prompt: this model has no words of its own; its pipeline needs its tokenizer")
        return padded([self._tokens(prompt) for prompt in prompts], self.config.length, self.device)

    def _tokens(self, prompt: str) -> list[int]:
        """Return the tokens of a prompt's words. Raises UnreadablePrompt."""
        words, length = prompt.split(), self.config.length
        if len(words) > length:
            raise UnreadablePrompt(f"prompt: {prompt[:80]!r} has {len(words)} words, this model reads {length}")
        for word in words:
            if word not in self._token_of:
                near = difflib.get_close_matches(word, self._token_of, n=3) or sorted(self._token_of)[:8]
                raise UnreadablePrompt(
                    f"prompt: this model does not know the word {word[:40]!r}; near: {', '.join(near)}"
                )
        return [self._token_of[word] for word in words]

    def forward(
        self, tokens: Int[Tensor, "B L"], mask: Bool[Tensor, "B L"]
    ) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B E"]]:
        """Return the sequence and the pooled vector of captions. Tokens are ignored where `mask` is false."""
        h = self.token_embedding(tokens) + self.positional_embedding
        h = torch.where(mask[..., None], h, self.padding_embedding.to(h.dtype))
        for block in self.blocks:
            h = block(h)
        h = self.final_norm(h)
        return h, self.pooled_proj(h[:, -1])


def padded(
    tokens: Sequence[Sequence[int]], length: int, device: torch.device
) -> tuple[Int[Tensor, "B L"], Bool[Tensor, "B L"]]:
    """Return tokens as rows of `length`, and a mask that is true where there is one; what is longer is cut."""
    rows = torch.zeros(len(tokens), length, dtype=torch.long)
    mask = torch.zeros(len(tokens), length, dtype=torch.bool)
    for row, found in enumerate(tokens):
        count = min(len(found), length)
        rows[row, :count] = torch.tensor(found[:count], dtype=torch.long)
        mask[row, :count] = True
    return rows.to(device), mask.to(device)
