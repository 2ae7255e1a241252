"""Text encoders answer equal prompts from the cache, and are restored."""

from __future__ import annotations

import torch

from compute.pipeline.encoder_cache import EncoderCache
from tests.pipeline.tiny_pipelines import call, stable_diffusion, xl


def test_prompts_are_encoded_once_and_pictures_are_the_same() -> None:
    for make in (stable_diffusion, xl):
        pipe = make()
        calls: list[int] = []
        hook = (
            pipe.text_encoder.text_model.register_forward_hook(lambda *_, calls=calls: calls.append(1))
            if hasattr(pipe.text_encoder, "text_model")
            else pipe.text_encoder.encoder.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        )
        plain, cache = call(pipe), EncoderCache(pipe)
        once = len(calls)
        for _ in range(3):
            with cache.used():
                assert torch.equal(call(pipe), plain)
        assert len(calls) == 2 * once, "the first call encodes the prompts, the others do not"
        with cache.used():
            other = call(pipe, ("a dog on grass", "a cat"))
        assert not torch.equal(other, plain)
        assert "forward" not in pipe.text_encoder.__dict__
        hook.remove()
