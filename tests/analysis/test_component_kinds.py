"""Short names of components that are ablated together."""

from __future__ import annotations

import pytest

from compute.analysis.impact.component_kinds import group_name

NAMES = [
    (("mid_block.resnets.0",), "mid_block.resnets.0"),
    (("a.resnets.0", "b.resnets.0"), "a.resnets.0 + b.resnets.0"),
    (
        ("up_blocks.0.resnets.0", "up_blocks.0.resnets.1", "up_blocks.0.resnets.10"),
        "up_blocks.0.resnets.* (3 together)",
    ),
    (("up_blocks.0.resnets.0", "up_blocks.1.attentions.0", "up_blocks.10.resnets.0"), "up_blocks.* (3 together)"),
    (("down_blocks.0.resnets.0", "mid_block.resnets.0", "up_blocks.0.resnets.0"), "kind:resnet (3 together)"),
    (("skip:conv_in", "skip:down_blocks.0.resnets.0", "skip:down_blocks.1.resnets.0"), "kind:skip (3 together)"),
    (("down_blocks.0.attentions.0", "mid_block.resnets.0", "up_blocks.0.resnets.0"), "3 components"),
]


@pytest.mark.parametrize(("components", "name"), NAMES, ids=[name for _, name in NAMES])
def test_names(components: tuple[str, ...], name: str) -> None:
    assert group_name(components) == name
