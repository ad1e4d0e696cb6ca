"""Lanes as a Graphviz graph: a cluster a host, a node a hook; `dot -Tsvg` draws it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from netsim.errors import printable
from netsim.report.lane_layout import share_width
from netsim.report.lane_lines import beneath
from netsim.report.lanes import Band, Card, Edge, Lanes, weight
from netsim.report.svg import STATES, verdict_colour

FONT = 'fontname="monospace"'
Names = dict[str, int]


def dot(picture: Lanes) -> str:
    """Return the graph, ending in a line break."""
    answer, asked = picture.answer, picture.answer.asked
    via = f" via {asked.via}" if asked.via else ""
    title = f"{answer.verdict} {answer.code}: {answer.summary}\n{asked.source} -> {asked.target}{via}, {asked.mode}"
    lines = [
        "digraph trace {",
        f"  graph [rankdir=LR, compound=true, labelloc=t, fontsize=14, {FONT}, label={quoted(title)}, "
        f'fontcolor="{verdict_colour(answer.verdict)}"];',
        f"  node [shape=box, style=filled, fillcolor=white, fontsize=10, {FONT}];",
        f"  edge [fontsize=9, {FONT}];",
        *_band(picture.there, "there"),
        *(_band(picture.back, "back") if picture.back is not None else ()),
        "}",
    ]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Return a text as a quoted DOT string: line breaks stay breaks, nothing else in it means anything."""
    rows = [printable(row).replace("\\", "\\\\").replace('"', '\\"') for row in text.split("\n")]
    return '"' + "\\l".join(rows) + ('\\l"' if len(rows) > 1 else '"')


def _band(band: Band, name: str) -> Iterator[str]:
    numbers = {card.key: index for index, card in enumerate(band.cards)}
    for card in band.cards:
        yield from _card(card, f"{name}_{numbers[card.key]}")
    cards = {card.key: card for card in band.cards}
    for edge in band.edges:
        tail = f"{name}_{numbers[edge.source]}"
        head = f"{name}_{numbers[edge.target]}"
        yield _edge(edge, tail, head, cards[edge.source], answer=name == "back")


def _card(card: Card, name: str) -> Iterator[str]:
    """Yield a cluster: the host's own node, then its hooks, then how outcomes end."""
    yield f"  subgraph cluster_{name} {{"
    yield f'    label={quoted("")}; style=rounded; color="#8a96a8";'
    rows = "\n".join((card.title, *card.lines))
    yield f'    {name} [label={quoted(rows)}, shape=plaintext, fillcolor="#f7f9fc"];'
    for index, box in enumerate(card.boxes):
        lines = [box.hook]
        for line in box.lines:
            share = f"  {weight(line.share)}" if line.share != card.share else ""
            lines.append(f"{line.effect}{share}  ({beneath(line)})")
        yield f"    {name}_h{index} [label={quoted(chr(10).join(lines))}];"
    for index, ending in enumerate(card.endings):
        light, dark = STATES[ending.state]
        share = f" {weight(ending.share)}" if ending.share != card.share else ""
        label = quoted("\n".join((f"{ending.title}{share}", *ending.lines)))
        yield f'    {name}_e{index} [label={label}, fillcolor="{light}", color="{dark}"];'
    yield "  }"
    yield from _inside(card, name)


def _inside(card: Card, name: str) -> Iterator[str]:
    stops = stops_of(card, name)
    for tail, head in pairwise(stops):
        yield f'  {tail} -> {head} [color="#8a96a8"];'
    for index in range(len(card.endings)):
        yield f'  {stops[-1]} -> {name}_e{index} [color="#8a96a8", arrowhead=none];'


def stops_of(card: Card, name: str) -> Sequence[str]:
    """Return the names of a card's nodes in the order in which a packet comes by."""
    return [name, *(f"{name}_h{index}" for index in range(len(card.boxes)))]


def _edge(edge: Edge, tail: str, head: str, source: Card, *, answer: bool) -> str:
    share = [weight(edge.share)] if edge.share != 1 else []
    label = quoted("\n".join((*edge.changes, *share)))
    style = ", style=dashed" if answer else ""
    colour = STATES[edge.state][1]
    leaving = stops_of(source, tail)[-1]
    return f'  {leaving} -> {head} [label={label}, color="{colour}", penwidth={share_width(edge.share):g}{style}];'
