"""The scene judge: a small CNN that recognises the objects, their arrangement and the background of a picture.

It is also trained on degraded pictures and on blends of two scenes, so that it reports an unclear object as unclear
instead of guessing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F

from compute.metrics.judge import ASPECTS, Aspect
from compute.metrics.population import kid_blocks
from compute.models.mini.judge.scene_fidelity import UNCLEAR, DetectedScene, fidelity
from compute.models.mini.scenes.render import render_batch
from compute.models.mini.scenes.scene import AXES, BACKGROUNDS, OBJECTS, Scene, UnreadableCaption
from store.folder.files import save_file

JUDGE_FILE = Path(__file__).parents[1] / "weights" / "judge.safetensors"
NO_OBJECT = "none"
SLOT_CLASSES = (*OBJECTS, NO_OBJECT, UNCLEAR)
"""The classes of a slot; the second slot of a single object has the class NO_OBJECT."""
_BACKGROUNDS = tuple(BACKGROUNDS)
_REAL_SCENES_SEED = 20231222


class SceneJudge(nn.Module):
    """The judge (`compute.metrics.judge.Judge`) of pictures of scenes. Pictures are in [-1, 1].

    Pictures of other sizes are resampled to `side` x `side` pixels by averaging.
    """

    side = 32

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        channels = (3, width, 2 * width, 4 * width)
        self.stages = nn.Sequential(*(_stage(inputs, outputs) for inputs, outputs in pairwise(channels)))
        self.features = nn.Linear(channels[-1] * 16, 256)
        self.axis = nn.Linear(256, len(AXES))
        self.slots = nn.Linear(256, 2 * len(SLOT_CLASSES))
        self.background = nn.Linear(256, len(_BACKGROUNDS))

    def embed(self, pictures: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 256"]:
        """Return the features before the last layer, in which the kernel distance is computed."""
        small = F.adaptive_avg_pool2d(pictures, self.side)
        return F.relu(self.features(self.stages(small).flatten(1)))

    def forward(
        self, pictures: Float[Tensor, "B 3 H W"]
    ) -> tuple[Float[Tensor, "B axes"], Float[Tensor, "B 2 classes"], Float[Tensor, "B backgrounds"]]:
        """Return the logits of AXES, of SLOT_CLASSES for both slots, and of BACKGROUNDS."""
        h = self.embed(pictures)
        return self.axis(h), self.slots(h).unflatten(1, (2, -1)), self.background(h)

    @torch.inference_mode()
    def detect(self, pictures: Float[Tensor, "B 3 H W"]) -> list[DetectedScene]:
        """Return what each picture shows."""
        axes, slots, backgrounds = (logits.argmax(-1).tolist() for logits in self(pictures.float()))
        names = [(SLOT_CLASSES[first], SLOT_CLASSES[second]) for first, second in slots]
        return [
            DetectedScene(
                axis=AXES[axis],
                first=first,
                second=None if second == NO_OBJECT else second,
                background=_BACKGROUNDS[background],
            )
            for axis, (first, second), background in zip(axes, names, backgrounds, strict=True)
        ]

    def check_prompts(self, prompts: Sequence[str]) -> None:
        """Raise UnreadableCaption for the first prompt that is not the caption of a scene."""
        for prompt in prompts:
            Scene.parse(prompt)

    def fidelity(
        self, pictures: Float[Tensor, "B 3 H W"], prompts: Sequence[str]
    ) -> Mapping[Aspect, Float[Tensor, " B"]]:
        """Return the `Fidelity` of every picture, by aspect; NaN where the prompt is not the caption of a scene."""
        rows = []
        for detected, prompt in zip(self.detect(pictures), prompts, strict=True):
            try:
                rows.append(astuple(fidelity(detected, Scene.parse(prompt))))
            except UnreadableCaption:
                rows.append((float("nan"),) * len(ASPECTS))
        columns = torch.tensor(rows).reshape(len(rows), len(ASPECTS)).T
        return dict(zip(ASPECTS, columns, strict=True))

    @torch.inference_mode()
    def confidence(self, pictures: Float[Tensor, "B 3 H W"], prompts: Sequence[str]) -> Float[Tensor, " B"]:
        """Return the probability that each picture shows its whole caption: the product of those of its parts.

        Raises UnreadableCaption for a prompt that is not a caption.
        """
        scenes = [Scene.parse(prompt) for prompt in prompts]
        axes, slots, backgrounds = (logits.log_softmax(-1) for logits in self(pictures.float()))
        parts = [
            (axes, [AXES.index(scene.axis) for scene in scenes]),
            (backgrounds, [_BACKGROUNDS.index(scene.background) for scene in scenes]),
            (slots[:, 0], [SLOT_CLASSES.index(scene.slots[0] or NO_OBJECT) for scene in scenes]),
            (slots[:, 1], [SLOT_CLASSES.index(scene.slots[1] or NO_OBJECT) for scene in scenes]),
        ]
        of_parts = [logs.gather(1, torch.tensor(classes, device=logs.device)[:, None]) for logs, classes in parts]
        return torch.cat(of_parts, dim=1).sum(1).exp()

    @torch.inference_mode()
    def kid_to_real(self, pictures: Float[Tensor, "B 3 H W"], prompts: Sequence[str]) -> list[float]:
        """Return the kernel distance of square `pictures` to rendered scenes of the same captions, in blocks.

        The scenes are rendered from a fixed seed. Raises UnreadableCaption for a prompt that is not a caption.
        """
        real = self.real_pictures(prompts, pictures.shape[-1], _REAL_SCENES_SEED)
        return kid_blocks(self.embed(pictures), self.embed(real))

    def real_pictures(self, prompts: Sequence[str], side: int, seed: int) -> Float[Tensor, "B 3 H W"]:
        """Return a rendered scene of each caption, `side` pixels square, which `seed` determines.

        Raises UnreadableCaption for a prompt that is not a caption.
        """
        scenes = [Scene.parse(prompt) for prompt in prompts]
        return torch.from_numpy(render_batch(scenes, np.random.default_rng(seed), side))

    @cached_property
    def digest(self) -> str:
        """The SHA-256 over the names, shapes and values of the weights."""
        digest = hashlib.sha256()
        for name, value in sorted(self.state_dict().items()):
            digest.update(f"{name} {tuple(value.shape)}".encode() + value.cpu().numpy().tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write the weights as safetensors, in half precision."""
        save_file(path, save({name: value.half().contiguous() for name, value in self.state_dict().items()}))

    @staticmethod
    def load(path: Path = JUDGE_FILE) -> SceneJudge:
        """Return the judge with the weights of a file, by default the bundled ones, for inference."""
        judge = SceneJudge()
        judge.load_state_dict({name: value.float() for name, value in load_file(path).items()})
        return judge.eval().requires_grad_(False)


def _stage(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.GroupNorm(8, outputs), nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1), nn.GroupNorm(8, outputs), nn.ReLU(),
        nn.MaxPool2d(2),
    )  # fmt: skip
