"""Draws docs/images/architecture.svg from the code's imports: `make architecture`.

A box is a room: a package, or a folder of one. An arrow leads from a room to one that imports it, which is the way that
data takes; arrows that follow from others are left out (transitive reduction). The packages stand above each
other, and so do the rooms of each by what they import.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
# The packages from the data's source to its end, each with its modules that are shown under another room's name, or are
# left out because all others use them.
PACKAGES: Mapping[str, Mapping[str, str | None]] = {
    "store": {
        **dict.fromkeys(("errors", "exit_status", "extras", "paths", "standard_streams", "cli"), None),
        **dict.fromkeys(("actions", "sampler", "metric"), "records"),
        **dict.fromkeys(("shard_store", "sweep_reader"), "sweep_store"),
    },
    "compute": dict.fromkeys(
        ("file_digest", "images", "progress", "provenance", "torchvision_ops", "user_cache"), None
    ),
    "dashboard": dict.fromkeys(("access", "navigation", "launch", "script"), "app"),
}
WHOLE = ("benchmarks", "skipscope")
COLORS = {
    "store": "#00805E",
    "compute": "#4F46B8",
    "dashboard": "#C65D00",
    "benchmarks": "#5B6472",
    "skipscope": "#5B6472",
}
WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 132, 34, 26, 36, 24


def room_of(module: str) -> str | None:
    """Return the room of a dotted module name; None for what is left out or not ours."""
    package, _, rest = module.partition(".")
    if package in WHOLE:
        return package
    name = rest.partition(".")[0]
    if package not in PACKAGES or name in ("", "__main__"):
        return None
    room = PACKAGES[package].get(name, name)
    return None if room is None else f"{package}.{room}"


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted names of modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms() -> dict[str, set[str]]:
    """Return for each room the rooms that it imports."""
    uses: dict[str, set[str]] = {}
    for package in (*PACKAGES, *WHOLE):
        for path in sorted((ROOT / package).rglob("*.py")):
            room = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
            if room is not None:
                found = {other for name in imported(path) if (other := room_of(name)) is not None}
                uses.setdefault(room, set()).update(found - {room})
    return {room: {other for other in others if other in uses} for room, others in uses.items()}


def reach(uses: Mapping[str, set[str]], room: str) -> set[str]:
    """Return all rooms that a room needs, directly or not. Raises ValueError for a circle."""
    found: set[str] = set()
    waiting = list(uses[room])
    while waiting:
        other = waiting.pop()
        if other == room:
            raise ValueError(f"{room} needs itself")
        if other not in found:
            found.add(other)
            waiting += uses[other]
    return found


def reduced(uses: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports that do not follow from others."""
    below = {room: reach(uses, room) for room in uses}
    return {
        room: {other for other in others if not any(other in below[third] for third in others)}
        for room, others in uses.items()
    }


def ranks(uses: Mapping[str, set[str]]) -> dict[str, int]:
    """Return the row of each room, from 0 at the bottom: packages above each other, within one by what a room needs."""
    row: dict[str, int] = {}
    first = 0
    for package in (*PACKAGES, *WHOLE):
        own = {room for room in uses if room.partition(".")[0] == package}
        while own - row.keys():
            ready = [room for room in own - row.keys() if uses[room] & own <= row.keys()]
            for room in ready:
                row[room] = max((row[other] + 1 for other in uses[room] & own), default=first)
        first = 1 + max((row[room] for room in own), default=first)
    return row


def places(uses: Mapping[str, set[str]]) -> dict[str, tuple[float, float]]:
    """Return the centre of each room's box; within a row, rooms stand near those that they import."""
    rows: dict[int, list[str]] = {}
    for room, rank in ranks(uses).items():
        rows.setdefault(rank, []).append(room)
    widest = max(len(row) for row in rows.values())
    centre: dict[str, tuple[float, float]] = {}
    for rank in sorted(rows):
        order = sorted((_mean_x(room, uses, centre), room) for room in rows[rank])
        left = MARGIN + (widest - len(order)) * (WIDTH + GAP_X) / 2
        if len(order) == 1:  # single boxes stand to either side in turn, so that an arrow past one is seen
            left += (WIDTH + GAP_X) * (0.4 if rank % 2 else -0.4)
        for number, (_, room) in enumerate(order):
            x = left + number * (WIDTH + GAP_X) + WIDTH / 2
            centre[room] = (x, MARGIN + (max(rows) - rank) * (HEIGHT + GAP_Y) + HEIGHT / 2)
    return centre


def _mean_x(room: str, uses: Mapping[str, set[str]], centre: Mapping[str, tuple[float, float]]) -> float:
    below = [centre[other][0] for other in uses[room] if other in centre]
    return sum(below) / len(below) if below else 0.0


def _arrow(source: tuple[float, float], target: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = source, target
    start, end = y1 - HEIGHT / 2, y2 + HEIGHT / 2
    bend = (start - end) / 2
    curve = f"{x1:.1f} {start - bend:.1f} {x2:.1f} {end + bend:.1f} {x2:.1f} {end:.1f}"
    return f'<path d="M{x1:.1f} {start:.1f}C{curve}" fill="none" stroke="#9BA4B2" marker-end="url(#tip)"/>'


def _box(room: str, x: float, y: float) -> str:
    package, _, name = room.partition(".")
    color, middle = COLORS[package], f'x="{x:.1f}" text-anchor="middle"'
    return (
        f'<rect x="{x - WIDTH / 2:.1f}" y="{y - HEIGHT / 2:.1f}" width="{WIDTH}" height="{HEIGHT}" rx="6" '
        f'fill="#FFFFFF" stroke="{color}" stroke-width="1.5"/>'
        f'<text {middle} y="{y - 3:.1f}" font-size="9" fill="{color}">{escape(package)}</text>'
        f'<text {middle} y="{y + 10:.1f}" fill="#1B1F26">{escape(name or package)}</text>'
    )


def picture() -> str:
    """Return the SVG."""
    uses = reduced(rooms())
    where = places(uses)
    width = max(x for x, _ in where.values()) + WIDTH / 2 + MARGIN
    height = max(y for _, y in where.values()) + HEIGHT / 2 + MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        'font-family="sans-serif" font-size="12" role="img" aria-label="The rooms of the code and what they import">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#9BA4B2"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#FFFFFF"/>',
    ]
    for room in sorted(uses):
        lines += [_arrow(where[other], where[room]) for other in sorted(uses[room])]
    lines += [_box(room, *where[room]) for room in sorted(where)]
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
