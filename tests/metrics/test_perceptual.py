"""LPIPS with a random trunk that the tests make, so that nothing is downloaded."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import compute.torchvision_ops  # noqa: F401  (lpips imports torchvision)
from compute.metrics import MetricError, Sources, metrics
from compute.metrics.perceptual import TRUNK_FILE, TRUNK_VARIABLE


@pytest.fixture(scope="module")
def reference() -> Any:
    """Return the package's LPIPS with a random trunk."""
    import lpips

    with torch.random.fork_rng(), warnings.catch_warnings():
        torch.manual_seed(5)
        warnings.simplefilter("ignore")
        return lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)


@pytest.fixture(scope="module")
def trunk(reference: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the trunk of `reference` under torchvision's names, and return the file."""
    path = tmp_path_factory.mktemp("trunk") / "trunk.pth"
    state = {f"features.{name.split('.', 1)[1]}": value for name, value in reference.net.state_dict().items()}
    torch.save(state | {"classifier.1.weight": torch.zeros(1)}, path)
    return path


@pytest.fixture(autouse=True)
def _no_trunk_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TRUNK_VARIABLE, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a download was attempted")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


def pictures(seed: int, side: int = 32) -> torch.Tensor:
    return torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_lpips_equals_the_packages(reference: Any, trunk: Path) -> None:
    a, b = pictures(1), pictures(2)
    values = metrics(["lpips"], Sources(lpips_trunk=trunk)).compute(a, b, [""] * 3)["lpips"]
    with torch.no_grad():
        expected = reference(a, b).flatten()
    assert values == pytest.approx(expected.numpy(), rel=1e-5)
    assert (values > 0).all()


def test_a_picture_has_no_distance_to_itself(trunk: Path) -> None:
    a = pictures(1)
    assert metrics(["lpips"], Sources(lpips_trunk=trunk)).compute(a, a, [""] * 3)["lpips"].tolist() == [0, 0, 0]


def test_without_a_trunk_lpips_is_absent_with_the_reason() -> None:
    available = metrics(["lpips", "mse"])
    assert TRUNK_VARIABLE in available.absent["lpips"]
    assert TRUNK_FILE in available.absent["lpips"]
    assert "\n" not in available.absent["lpips"]
    assert set(available.compute(pictures(1), pictures(2), [""] * 3)) == {"mse"}
    assert available.descriptors["lpips"].info.weights is None
    assert available.descriptors["lpips"].info.name == "lpips"


def test_the_trunk_is_found_in_the_environment_or_in_the_hubs_cache(
    trunk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TRUNK_VARIABLE, str(trunk))
    from_environment = metrics(["lpips"])
    monkeypatch.delenv(TRUNK_VARIABLE)
    cached = tmp_path / "hub" / "checkpoints" / TRUNK_FILE
    cached.parent.mkdir(parents=True)
    cached.write_bytes(trunk.read_bytes())
    from_cache = metrics(["lpips"])
    assert from_environment.absent == from_cache.absent == {}
    weights = from_environment.descriptors["lpips"].info.weights
    assert weights
    assert weights == from_cache.descriptors["lpips"].info.weights


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not a file"),
        (b"no weights", "can't be read"),
        ({"features.0.weight": 1}, "missing or of another shape"),
    ],
)
def test_with_another_file_as_trunk_lpips_is_absent(content: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        torch.save({name: torch.zeros(value) for name, value in content.items()}, path)
    absent = metrics(["lpips"], Sources(lpips_trunk=path)).absent["lpips"]
    assert message in absent
    assert "\n" not in absent


def test_pictures_too_small_for_its_trunk_are_refused(trunk: Path) -> None:
    ready = metrics(["lpips"], Sources(lpips_trunk=trunk))
    with pytest.raises(MetricError, match="lpips needs at least 31x31 pixels, not 16x16"):
        ready.compute(pictures(1, 16), pictures(2, 16), [""] * 3)
    assert ready.compute(pictures(1, 31), pictures(2, 31), [""] * 3)["lpips"].shape == (3,)


def test_loading_does_not_change_the_global_generator(trunk: Path) -> None:
    before = torch.random.get_rng_state()
    metrics(["lpips"], Sources(lpips_trunk=trunk))
    assert torch.equal(torch.random.get_rng_state(), before)
