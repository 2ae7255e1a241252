"""The registry of metrics."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from compute.metrics import KNOWN, MetricError, Sources, metrics
from compute.metrics.judge import Judge
from store.metric import MetricValues

A, B = (torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1 for seed in (0, 1))


class BrightnessJudge(Judge):
    """A judge of backgrounds alone: they are right where the picture is bright and its prompt has the word."""

    digest = "abc"

    def __init__(self) -> None:
        self.calls = 0

    def fidelity(self, pictures: Tensor, prompts: Sequence[str]) -> Mapping[str, Tensor]:
        self.calls += 1
        bright = pictures.mean((1, 2, 3)) > 0
        right = bright == torch.tensor(["bright" in prompt for prompt in prompts])
        return {
            "objects": torch.zeros(len(prompts)),
            "relation": torch.full((len(prompts),), torch.nan),
            "background": right.float(),
            "all": torch.zeros(len(prompts)),
        }


def test_metrics_work_in_a_process_with_no_other_imports() -> None:
    program = (
        "import torch; from compute.metrics import metrics; x = torch.zeros(1, 3, 32, 32); "
        "print(metrics(['ssim', 'haarpsi']).compute(x, x, ['']))"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert "ssim" in process.stdout


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(MetricError) as error:
        metrics(["mse", "fid"])
    assert "'fid' is not known" in str(error.value)
    assert all(name in str(error.value) for name in KNOWN)
    assert "\n" not in str(error.value)


def test_each_metric_has_a_value_per_picture() -> None:
    values = metrics(["psnr", "mse"]).compute(A, B, ["", ""])
    assert set(values) == {"psnr", "mse"}
    assert all(value.dtype == np.float64 and value.shape == (2,) for value in values.values())


def test_prompt_fidelity_is_the_judges_in_a_single_call() -> None:
    judge = BrightnessJudge()
    names = ["fidelity_background", "fidelity_all", "fidelity_relation"]
    ready = metrics(names, Sources(judge=judge))
    bright, dark = torch.ones(1, 3, 8, 8), -torch.ones(1, 3, 8, 8)
    values = ready.compute(torch.cat([bright, dark]), torch.cat([dark, dark]), ["a bright room", "a bright room"])
    assert values["fidelity_background"].tolist() == [1, 0]
    assert set(values) == set(names)
    assert judge.calls == 1
    assert np.isnan(values["fidelity_relation"]).all()
    assert not ready.descriptors["fidelity_all"].info.paired
    assert ready.descriptors["fidelity_all"].info.weights == "abc"


def test_without_a_judge_fidelity_is_absent() -> None:
    ready = metrics(["fidelity_all", "mse"])
    assert ready.absent == {"fidelity_all": "it needs a scene judge, and this model has none"}
    assert set(ready.compute(A, B, ["", ""])) == {"mse"}


def test_the_store_accepts_every_metric_with_values_or_a_reason() -> None:
    ready = metrics([name for name in KNOWN if name not in ("lpips", "clip_score")], Sources(judge=BrightnessJudge()))
    values = ready.compute(A, B, ["", ""])
    for name, metric in ready.descriptors.items():
        kept = MetricValues(info=metric.info, values=values[name])
        np.testing.assert_array_equal(kept.values, values[name])
    missing = metrics(["fidelity_all"])
    MetricValues(info=missing.descriptors["fidelity_all"].info, absent=missing.absent["fidelity_all"])


def test_a_metric_set_keeps_nothing_of_a_batch() -> None:
    ready = metrics(["rel_l2", "ssim", "haarpsi"])
    first = ready.compute(A, B, ["", ""])
    ready.compute(B, B, ["", ""])
    again = ready.compute(A, B, ["", ""])
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_pixels_beyond_the_range_are_clipped() -> None:
    beyond = A * 1.5
    expected = metrics(["mse"]).compute(beyond.clamp(-1, 1), B, ["", ""])
    assert metrics(["mse"]).compute(beyond, B, ["", ""])["mse"].tolist() == expected["mse"].tolist()


@pytest.mark.parametrize(
    ("pictures", "baseline", "prompts", "message"),
    [
        (A, B[:1], ["", ""], r"pictures are \(2, 3, 32, 32\) and baselines \(1, 3, 32, 32\)"),
        (A[:, :1], B[:, :1], ["", ""], r"both must be \(B, 3, H, W\)"),
        (A, B, [""], "1 prompts for 2 pictures"),
        (A[..., :8, :8], B[..., :8, :8], ["", ""], "haarpsi needs at least 16x16 pixels, not 8x8"),
        (A, torch.stack([B[0], B[1] * torch.nan]), ["", ""], r"baselines hold NaN or infinity in rows \[1\]"),
        (torch.stack([A[0] / 0, A[1]]), B, ["", ""], r"pictures hold NaN or infinity in rows \[0\]"),
    ],
)
def test_pictures_that_cannot_be_measured_are_refused(
    pictures: Tensor, baseline: Tensor, prompts: list[str], message: str
) -> None:
    with pytest.raises(MetricError, match=message):
        metrics(["haarpsi"]).compute(pictures, baseline, prompts)
