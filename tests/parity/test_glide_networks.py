"""The converted networks and the tokenizer compute what OpenAI's package computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from compute.models.glide.convert.vocabulary import find_tokenizer
from compute.models.glide.respacing import RespacingError, respaced_timesteps
from tests.parity.official_glide import OPTIONS, PROMPTS, converted

bpe = pytest.importorskip("glide_text2im.tokenizer.bpe")
respace = pytest.importorskip("glide_text2im.respace")
TOLERANCE = 1e-4
TIMESTEPS = torch.tensor([3, 500, 999])


@pytest.mark.parametrize("kind", OPTIONS)
@torch.no_grad()
def test_text_transformer(kind: str, glide_folder: Path) -> None:
    stages = converted(kind, glide_folder)
    expected = stages.official.get_text_emb(**stages.text(PROMPTS))
    sequence, pooled = stages.pipe.encode(PROMPTS)
    torch.testing.assert_close(sequence, expected["xf_out"].permute(0, 2, 1), atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(pooled, expected["xf_proj"], atol=TOLERANCE, rtol=0)
    assert not torch.allclose(pooled[0], pooled[1], atol=1e-2)


@pytest.mark.parametrize("kind", OPTIONS)
@torch.no_grad()
def test_unet(kind: str, glide_folder: Path) -> None:
    stages = converted(kind, glide_folder)
    side, generator = stages.pipe.side, torch.Generator().manual_seed(1)
    x_t, condition, further = torch.randn(3, 3, side, side, generator=generator), [], {}
    if "inpaint" in kind:
        picture = torch.rand(3, 3, side, side, generator=generator) * 2 - 1
        mask = (torch.rand(3, 1, side, side, generator=generator) > 0.5).float()
        further |= {"inpaint_image": picture, "inpaint_mask": mask}
        condition += [picture * mask, mask]
    if "upsample" in kind:
        further["low_res"] = torch.rand(3, 3, side // 4, side // 4, generator=generator) * 2 - 1
        condition.append(F.interpolate(further["low_res"], (side, side), mode="bilinear", align_corners=False))
    expected = stages.official(x_t, TIMESTEPS, **stages.text(PROMPTS), **further)
    sequence, pooled = stages.pipe.encode(PROMPTS)
    rows = torch.cat([x_t, *condition], dim=1)
    output = stages.pipe.unet(rows, TIMESTEPS, encoder_hidden_states=sequence, class_labels=pooled).sample
    assert expected.std() > 0.03
    torch.testing.assert_close(output, expected, atol=TOLERANCE, rtol=0)


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
@settings(max_examples=300, deadline=None)
def test_tokens_of_any_text(text: str) -> None:
    assert TOKENIZER(text, verbose=False)["input_ids"] == ENCODER.encode(text)


@pytest.mark.parametrize(
    "text",
    [
        *PROMPTS,
        "ΑΣ İ ß ﬁ",
        "<|endoftext|> is text",
        "a\n\t b\u00a0c  ",
        "日本語 🎉",
        "I'LL we'Ve IT'S 12345",
        "\x00\x1f",
    ],
)
def test_tokens_of_difficult_texts(text: str) -> None:
    assert TOKENIZER(text)["input_ids"] == ENCODER.encode(text)


def test_the_vocabulary_follows_from_the_merges() -> None:
    assert TOKENIZER.get_vocab() == ENCODER.encoder
    files = Path(bpe.__file__).parent
    again = find_tokenizer(files / "vocab.bpe.gz", files / "encoder.json.gz", ENCODER.n_vocab)
    assert again.get_vocab() == ENCODER.encoder
    assert again("an oil painting")["input_ids"] == ENCODER.encode("an oil painting")


ENCODER = bpe.get_encoder()
TOKENIZER = find_tokenizer(None, None, ENCODER.n_vocab)
NAMED = ["100", "27", "fast27", "ddim50", "1", "2", "250", "1000", "10,10,3,2,2", "7,1,30", "ddim1000"]


@pytest.mark.parametrize("respacing", NAMED)
def test_every_named_respacing(respacing: str) -> None:
    assert respaced_timesteps(respacing) == sorted(respace.space_timesteps(1000, respacing), reverse=True)


@given(total=st.integers(1, 1200), counts=st.lists(st.integers(1, 400), min_size=1, max_size=6), ddim=st.booleans())
@settings(max_examples=200, deadline=None)
def test_any_respacing(total: int, counts: list[int], ddim: bool) -> None:
    respacing = f"ddim{counts[0]}" if ddim else ",".join(map(str, counts))
    try:
        expected = sorted(respace.space_timesteps(total, respacing), reverse=True)
    except ValueError:
        with pytest.raises(RespacingError, match="respacing: "):
            respaced_timesteps(respacing, total)
    else:
        assert respaced_timesteps(respacing, total) == expected
