"""The ablations of a sweep: each action, in each window, on each component that admits it or on several together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from compute.config.errors import ConfigError
from compute.config.schema import SweepConfig
from compute.config.swept_action import ScreenedAction, SweptAction
from compute.policy.graph import GUIDANCE, ComponentGraph
from compute.sweep.plan.windows import ablation_windows, screening_windows
from store.records import Ablation, Window


def ablations_of(config: SweepConfig, graph: ComponentGraph) -> Iterator[Ablation]:
    """Yield the ablations of `config.actions`, valid or not, some perhaps twice.

    Raises ConfigError for an action that no selected component admits and for windows that don't fit the steps,
    UnknownComponent for a pattern without a match.
    """
    windows = ablation_windows(config)
    for swept in config.actions:
        yield from _of_action(swept, windows, config, graph)


def screening_of(config: SweepConfig, graph: ComponentGraph) -> Iterator[Ablation]:
    """Yield the ablations of `config.screen`; raises as `ablations_of` does."""
    for screened in config.screen:
        windows = screening_windows(screened, config.sampler.steps)
        yield from _of_action(screened, windows, config, graph)


def _of_action(
    swept: SweptAction, windows: Sequence[Window], config: SweepConfig, graph: ComponentGraph
) -> Iterator[Ablation]:
    names = _admitting_components(swept, config, graph)
    for components in [tuple(sorted(names))] if swept.together else [(name,) for name in names]:
        for window in windows:
            yield Ablation(components=components, window=window, action=swept.action)


def _admitting_components(swept: SweptAction, config: SweepConfig, graph: ComponentGraph) -> list[str]:
    selected = set(graph.match(swept.components))
    names = [
        name
        for name in graph.match(config.components)
        if name in selected and swept.action.name in graph.component(name).actions
    ]
    if swept.together and GUIDANCE not in swept.components:  # it is no part of the network that "*" takes together
        names = [name for name in names if name != GUIDANCE]
    if swept.action.space is not None or swept.action.state is not None:
        names = [name for name in names if graph.component(name).kind == "unet"]
    if swept.action.weights is not None:
        names = [name for name in names if graph.component(name).kind in ("unet", "guidance")]
    if not names:
        field = "screen" if isinstance(swept, ScreenedAction) else "actions"
        raise ConfigError(
            f"{field}: no selected component admits {swept.action}; docs/configuration.md has the table of actions"
        )
    return names
