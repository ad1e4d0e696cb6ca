"""Where the cards of a picture stand: columns left to right, few crossings, straight edges, no overlap.

All lengths are CSS pixels; y grows downwards. A monospaced letter is taken as 0.61 of its size wide.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from netsim.report.lane_lines import HookBox, Line, beneath
from netsim.report.lanes import Band, Card, Edge, Ending, Lanes

TITLE, TEXT, SMALL = 13.0, 11.0, 9.5
"""Letter sizes."""
PAD = 10.0
MIN_WIDTH, MAX_WIDTH, MIN_BOX = 130.0, 360.0, 170.0
BOX_GAP, CARD_GAP, DETOUR = 16.0, 26.0, 30.0
LINE, SUBLINE, BOX_HEAD = 15.0, 12.0, 20.0
MIN_GAP, BEND = 84.0, 44.0
"""The least distance of columns; how much of it an edge needs to change its height."""
MOST_LABELS = 12
"""Where more edges than this meet, they stand close together, without labels."""
MOST_LINES = 14
"""So many lines of one hook are drawn; the page lists the others."""


def cells(text: str) -> int:
    """Return how many columns of a monospaced font a text takes: wide East Asian letters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)


def text_width(text: str, size: float) -> float:
    """Return the width of a text."""
    return cells(text) * size * 0.61


def clip(text: str, width: float, size: float) -> str:
    """Return a text that fits, its middle left out when it is too long: both ends of a name tell names apart."""
    most = int(width / (size * 0.61))
    if cells(text) <= most:
        return text
    head, tail = (most - 1 + 1) // 2, (most - 1) // 2
    return f"{_cut(text, head)}…{_cut(text[::-1], tail)[::-1]}"


def _cut(text: str, most: int) -> str:
    kept, used = [], 0
    for letter in text:
        used += cells(letter)
        if used > most:
            break
        kept.append(letter)
    return "".join(kept)


@dataclass(frozen=True, slots=True)
class Placed:
    """A card with its place; a detour (card None) is where an edge passes a column."""

    key: str
    column: int
    card: Card | None
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Routed:
    """An edge with its points: from card to card, two for every column it passes.

    `labelled`: whether there is room at its target to say what changed.
    """

    edge: Edge
    points: tuple[tuple[float, float], ...]
    labelled: bool = True


@dataclass(frozen=True, slots=True)
class BandLayout:
    """A band with places; `top` to `bottom` is what it takes of the picture's height."""

    cards: tuple[Placed, ...]
    edges: tuple[Routed, ...]
    top: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the columns stand."""

    lefts: tuple[float, ...]
    widths: tuple[float, ...]

    @property
    def right(self) -> float:
        """Return where the last column ends."""
        return self.lefts[-1] + self.widths[-1]


def lay_out(picture: Lanes, left: float, top: float) -> tuple[Columns, tuple[BandLayout, ...]]:
    """Return the places of everything; bands stand below each other."""
    bands = [band for band in (picture.there, picture.back) if band is not None]
    columns = _columns(bands, len(picture.columns), left)
    placed: list[BandLayout] = []
    for band in bands:
        placed.append(_place(band, columns, top))
        top = placed[-1].bottom + 56
    return columns, tuple(placed)


def _columns(bands: Sequence[Band], count: int, left: float) -> Columns:
    widths = [MIN_WIDTH] * count
    gaps = [MIN_GAP] * count
    for band in bands:
        where = {card.key: card.column for card in band.cards}
        for card in band.cards:
            widths[card.column] = max(widths[card.column], card_width(card))
        for edge in band.edges:
            # The label stands before the target: left of it on the way there, right of it on the way back.
            gap = min(where[edge.target], where[edge.target] - (where[edge.source] < where[edge.target]))
            gaps[gap] = max(gaps[gap], label_width(edge) + BEND + 40)
    lefts = [left]
    for wide, gap_width in zip(widths[:-1], gaps[:-1], strict=True):
        lefts.append(lefts[-1] + wide + gap_width)
    return Columns(tuple(lefts), tuple(widths))


def label_width(edge: Edge) -> float:
    """Return how wide the label of an edge is."""
    return max((text_width(text, SMALL) for text in edge_label(edge)), default=0.0)


def edge_label(edge: Edge) -> tuple[str, ...]:
    """Return what is written at an edge, above it."""
    return edge.changes


def card_width(card: Card) -> float:
    """Return how wide a card wants to be."""
    texts = [(card.title, TITLE * 1.05), *((line, SMALL) for line in card.lines)]
    texts += [(text, TEXT) for ending in card.endings for text in (ending.title + " " * 8, *ending.lines)]
    wide = max(text_width(text, size) for text, size in texts) + 2 * PAD + 8
    inside = max((_line_width(line) for box in card.boxes for line in box.lines), default=0.0) + 2 * PAD
    return min(MAX_WIDTH, max(wide, inside, MIN_WIDTH, MIN_BOX + 2 * PAD if card.boxes else 0))


def _line_width(line: Line) -> float:
    """Return how wide a line wants to be, with room for its weight."""
    return max(text_width(line.effect, TEXT) + 70, text_width(beneath(line), SMALL)) + 24


def box_height(box: HookBox) -> float:
    """Return how high the box of a hook is."""
    shown = min(len(box.lines), MOST_LINES)
    return BOX_HEAD + shown * (LINE + SUBLINE) + (LINE if len(box.lines) > shown else 0) + 5


def ending_lines(ending: Ending, width: float) -> list[str]:
    """Return the lines of an ending, wrapped."""
    from textwrap import wrap

    most = int((width - 2 * PAD - 12) / (SMALL * 0.61))
    together = " ".join(ending.lines)
    if len(ending.lines) == 2 and cells(together) <= most:
        return [together]
    return [part for line in ending.lines for part in wrap(line, most)[:4]]


def ending_height(ending: Ending, width: float) -> float:
    """Return how high the block of an ending is."""
    return 21 + len(ending_lines(ending, width)) * 13 + 3


def card_height(card: Card, width: float, ports: float = 0) -> float:
    """Return how high a card is; `ports` is what its edges need."""
    height = 28.0 + 13 * len(card.lines)
    height += sum(box_height(box) + BOX_GAP for box in card.boxes)
    height += sum(ending_height(ending, width) + 6 for ending in card.endings)
    return max(height + 8, ports)


def _port_step(edges: Sequence[Edge]) -> float:
    """Return the distance of ports, so that the labels of edges do not touch."""
    rows = max((len(edge_label(edge)) for edge in edges), default=0)
    if len(edges) > MOST_LABELS:
        return 7.0
    return 24 + 12.5 * rows if len(edges) > 1 else 0


@dataclass(slots=True)
class _Item:
    """A card or detour while places are sought; `y` is its middle."""

    key: str
    column: int
    card: Card | None
    height: float
    y: float = 0.0


@dataclass(frozen=True, slots=True)
class _Segment:
    """A piece of an edge between neighbouring columns."""

    source: str
    target: str
    edge: Edge


def _place(band: Band, columns: Columns, top: float) -> BandLayout:
    items, segments = _items(band, columns)
    order = _ordered(items, segments, len(columns.lefts))
    _settle(items, segments, order)
    shift = top - min(item.y - item.height / 2 for item in items.values())
    for item in items.values():
        item.y = round(item.y + shift, 1)
    return BandLayout(
        tuple(_placed(item, columns) for item in items.values()),
        tuple(_routed(edge, items, segments, columns) for edge in band.edges),
        top,
        max(item.y + item.height / 2 for item in items.values()),
    )


def _placed(item: _Item, columns: Columns) -> Placed:
    x, width = columns.lefts[item.column], columns.widths[item.column]
    return Placed(item.key, item.column, item.card, x, item.y - item.height / 2, width, item.height)


def _items(band: Band, columns: Columns) -> tuple[dict[str, _Item], list[_Segment]]:
    """Return cards and detours, and the pieces of edges between them."""
    incoming = {card.key: [edge for edge in band.edges if edge.target == card.key] for card in band.cards}
    items = {
        card.key: _Item(card.key, card.column, card, _height(card, incoming[card.key], columns)) for card in band.cards
    }
    segments: list[_Segment] = []
    # Items are entered in the order in which edges meet them: that is their first order in a column.
    cards, items = items, {}
    for number, edge in enumerate(band.edges):
        start, end = cards[edge.source].column, cards[edge.target].column
        step = 1 if end > start else -1
        stops = [edge.source]
        items.setdefault(edge.source, cards[edge.source])
        for column in range(start + step, end, step):
            key = f"detour {number}@{column}"
            items[key] = _Item(key, column, None, DETOUR)
            stops.append(key)
        items.setdefault(edge.target, cards[edge.target])
        segments += [_Segment(a, b, edge) for a, b in pairwise((*stops, edge.target))]
    return items or cards, segments


def _height(card: Card, incoming: Sequence[Edge], columns: Columns) -> float:
    ports = _port_step(incoming) * len(incoming) + 16
    return card_height(card, columns.widths[card.column], ports if len(incoming) > 1 else 0)


def _ordered(items: Mapping[str, _Item], segments: Sequence[_Segment], count: int) -> list[list[str]]:
    """Return the keys of every column from top to bottom, neighbours near each other (barycentre method)."""
    order = [[key for key, item in items.items() if item.column == column] for column in range(count)]
    for sweep in range(4):
        columns = range(count) if sweep % 2 == 0 else range(count - 1, -1, -1)
        for column in columns:
            other = column - 1 if sweep % 2 == 0 else column + 1
            if not 0 <= other < count:
                continue
            rank = {key: index for index, key in enumerate(order[other])}
            near = {key: _mean([rank[k] for k in _neighbours(key, segments) if k in rank]) for key in order[column]}
            places = {key: index for index, key in enumerate(order[column])}
            order[column].sort(key=lambda key: (places[key] if near[key] is None else near[key], places[key]))
    return order


def _neighbours(key: str, segments: Iterable[_Segment]) -> list[str]:
    return [s.target if s.source == key else s.source for s in segments if key in (s.source, s.target)]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _settle(items: Mapping[str, _Item], segments: Sequence[_Segment], order: Sequence[Sequence[str]]) -> None:
    """Give every item the place nearest to its neighbours that keeps the column's order and distances."""
    for column in order:
        _spread([items[key] for key in column], lambda item: item.y)
    for sweep in range(6):
        for column in order if sweep % 2 == 0 else reversed(order):
            wanted = {key: _wanted(key, items, segments) for key in column}
            _spread([items[key] for key in column], lambda item, wanted=wanted: wanted[item.key])  # type: ignore[misc]


def _wanted(key: str, items: Mapping[str, _Item], segments: Sequence[_Segment]) -> float:
    near = _mean([items[other].y for other in _neighbours(key, segments)])
    return items[key].y if near is None else near


def _spread(column: Sequence[_Item], wanted: Callable[[_Item], float]) -> None:
    """Move a column's items to where they are wanted, in order and apart (isotonic regression: least squares)."""
    offsets, used = [], 0.0
    for above, item in zip((None, *column), column, strict=False):
        gap = 0.0 if above is None else above.height / 2 + CARD_GAP + item.height / 2
        used += gap
        offsets.append(used)
    blocks: list[tuple[float, int]] = []
    for item, offset in zip(column, offsets, strict=True):
        blocks.append((wanted(item) - offset, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, n), (b, m) = blocks[-2:]
            blocks[-2:] = [((a * n + b * m) / (n + m), n + m)]
    places = [value for value, count in blocks for _ in range(count)]
    for item, offset, place in zip(column, offsets, places, strict=True):
        item.y = place + offset


def _routed(edge: Edge, items: Mapping[str, _Item], segments: Sequence[_Segment], columns: Columns) -> Routed:
    own = [segment for segment in segments if segment.edge is edge]
    points: list[tuple[float, float]] = []
    for segment in own:
        source, target = items[segment.source], items[segment.target]
        forward = target.column > source.column
        points.append((_side(source, columns, right=forward), _port(segment, segments, items, leaving=True)))
        points.append((_side(target, columns, right=not forward), _port(segment, segments, items, leaving=False)))
    meeting = sum(segment.target == edge.target for segment in segments)
    return Routed(edge, tuple(points), meeting <= MOST_LABELS)


def _side(item: _Item, columns: Columns, *, right: bool) -> float:
    return columns.lefts[item.column] + (columns.widths[item.column] if right else 0)


def _port(segment: _Segment, segments: Sequence[_Segment], items: Mapping[str, _Item], *, leaving: bool) -> float:
    """Return the height at which an edge leaves or enters an item: sorted by where the others ends are."""
    key = segment.source if leaving else segment.target
    item = items[key]
    side = [s for s in segments if (s.source if leaving else s.target) == key]
    side.sort(key=lambda s: items[s.target if leaving else s.source].y)
    step = _port_step([s.edge for s in side])
    step = min(step, (item.height - 24) / len(side)) if leaving else step
    return round(item.y + (side.index(segment) - (len(side) - 1) / 2) * step, 1)


def share_width(share: Fraction) -> float:
    """Return how wide the line of an edge is: 1.4 pixels for nothing, 5.4 for certainty."""
    return round(1.4 + 4 * float(share), 2)
