"""Where the parts of a network stand in its drawing: the U of a UNet, from its component graph.

Columns are in network order, rows are resolutions, so that the encoder leads down on the left and the decoder up on the
right. A skip connection is a bridge above the row that it leads to, the longer the higher. The parts of a transformer
stand below it, a row for each of its blocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from compute.policy.graph import UNET, ComponentGraph
from dashboard.charts.network.folding import Bridge, Fold, fold

Point = tuple[float, float]
TileSort = Literal["component", "block", "part", "skip", "network", "end"]
_TILE, _PART, _LANE, _GAP, _NETWORK = 30.0, 9.0, 12.0, 18.0, 18.0  # heights in pixels
_HALF = 0.42  # of a tile's width, in columns
_NETWORK_HALF = 2.0


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A tile of the drawing: `x` in columns, `y` in pixels from the top.

    `members` are the components that it stands for: several for a folded block, none for an end of the network, which
    no schedule can act on.
    """

    name: str
    sort: TileSort
    members: tuple[str, ...]
    left: float
    right: float
    top: float
    bottom: float

    @property
    def middle(self) -> Point:
        """The middle of the tile."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line along which a tensor flows; `skip` names the tile on it, or is "" on the main path."""

    points: tuple[Point, ...]
    skip: str = ""


@dataclass(frozen=True, kw_only=True)
class NetworkLayout:
    """The drawing: `rows` has the middle of each resolution's row with its label; `height` is in pixels."""

    tiles: tuple[Tile, ...]
    lines: tuple[Line, ...]
    rows: tuple[tuple[float, str], ...]
    columns: int
    height: float


def network_layout(
    graph: ComponentGraph, *, folded: Collection[str] = (), parts: Collection[str] = ()
) -> NetworkLayout:
    """Return the drawing of a network whose blocks `folded` are one tile each.

    Of the parts of transformers that are not folded, those in `parts` are drawn.
    """
    folds = fold(graph, folded)
    shown = _shown_parts(graph, folds.columns, parts)
    tops, height = _tops(folds.columns, folds.bridges, shown)
    tiles = [_network(graph, len(folds.columns))] if UNET in graph.names else []
    by_name: dict[str, Tile] = {}
    for place, column in enumerate(folds.columns):
        tile = _column_tile(column, place, tops[column.level])
        by_name[column.name] = tile
        tiles += [tile, *_part_tiles(tile, shown.get(column.name, ()))]
    lines = [Line(points=(by_name[source].middle, by_name[target].middle)) for source, target in folds.edges]
    lanes: Counter[int] = Counter()
    for bridge in sorted(folds.bridges, key=lambda b: by_name[b.target].left - by_name[b.source].left):
        level = next(column.level for column in folds.columns if column.name == bridge.target)
        lanes[level] += 1
        line = _bridge_line(bridge, by_name, tops[level] - lanes[level] * _LANE)
        lines.append(line)
        tiles.append(_bridge_tile(bridge, line))
    return NetworkLayout(
        tiles=tuple(tiles),
        lines=tuple(lines),
        rows=tuple((top + _TILE / 2, _row_label(graph, level)) for level, top in tops.items()),
        columns=len(folds.columns),
        height=height,
    )


def _shown_parts(
    graph: ComponentGraph, columns: Sequence[Fold], parts: Collection[str]
) -> Mapping[str, list[list[str]]]:
    """Return the rows of parts below each column that is a single transformer: one for each of its blocks."""
    wanted = set(parts)
    shown: dict[str, list[list[str]]] = {}
    for column in columns:
        rows: dict[str, list[str]] = {}
        for name in graph.parts.get(column.name, ()):
            if name in wanted:
                rows.setdefault(name.rpartition(".")[0], []).append(name)
        if rows:
            shown[column.name] = list(rows.values())
    return shown


def _tops(
    columns: Sequence[Fold], bridges: Sequence[Bridge], parts: Mapping[str, list[list[str]]]
) -> tuple[dict[int, float], float]:
    """Return the top of each level's tiles, and the height of all."""
    levels = {column.name: column.level for column in columns}
    lanes = Counter(levels[bridge.target] for bridge in bridges)
    tops: dict[int, float] = {}
    y = _NETWORK + _GAP / 2
    for level in sorted(set(levels.values())):
        tops[level] = y + lanes[level] * _LANE + _LANE / 2
        rows = max((len(parts.get(column.name, ())) for column in columns if column.level == level), default=0)
        y = tops[level] + _TILE + rows * _PART + (_GAP if rows == 0 else _GAP + 2)
    return tops, y


def _network(graph: ComponentGraph, columns: int) -> Tile:
    middle = (columns - 1) / 2
    half = min(_NETWORK_HALF, columns / 2)
    return Tile(
        name=UNET, sort="network", members=(UNET,), left=middle - half, right=middle + half, top=0, bottom=_NETWORK
    )


def _column_tile(column: Fold, place: int, top: float) -> Tile:
    sort: TileSort = "end" if not column.members else "block" if column.folded else "component"
    inset = 7.0 if sort == "end" else 0.0
    return Tile(
        name=column.name,
        sort=sort,
        members=column.members,
        left=place - _HALF,
        right=place + _HALF,
        top=top + inset,
        bottom=top + _TILE - inset,
    )


def _part_tiles(tile: Tile, rows: Sequence[Sequence[str]]) -> list[Tile]:
    tiles = []
    for number, row in enumerate(rows):
        width = (tile.right - tile.left) / len(row)
        top = tile.bottom + 2 + number * _PART
        for place, name in enumerate(row):
            left = tile.left + place * width
            tiles.append(
                Tile(
                    name=name,
                    sort="part",
                    members=(name,),
                    left=left,
                    right=left + width,
                    top=top,
                    bottom=top + _PART,
                )
            )
    return tiles


def _bridge_line(bridge: Bridge, tiles: Mapping[str, Tile], lane: float) -> Line:
    source, target = tiles[bridge.source], tiles[bridge.target]
    (start, _), (end, _) = source.middle, target.middle
    leave = source.top if source.top >= lane else source.bottom
    return Line(points=((start, leave), (start, lane), (end, lane), (end, target.top)), skip=bridge.name)


def _bridge_tile(bridge: Bridge, line: Line) -> Tile:
    (start, lane), (end, _) = line.points[1:3]
    middle, half = (start + end) / 2, _LANE / 2 - 1
    return Tile(
        name=bridge.name,
        sort="skip",
        members=bridge.members,
        left=middle - _HALF,
        right=middle + _HALF,
        top=lane - half,
        bottom=lane + half,
    )


def _row_label(graph: ComponentGraph, level: int) -> str:
    """Return the resolution of a level: each is half of the one above."""
    _, height, width = graph.input_shape
    return f"{max(1, height >> level)}×{max(1, width >> level)}"


def segments(layout: NetworkLayout) -> list[tuple[Point, Point, str]]:
    """Return the straight pieces of all lines: from, to, and the skip connection's tile."""
    return [(start, end, line.skip) for line in layout.lines for start, end in pairwise(line.points)]
