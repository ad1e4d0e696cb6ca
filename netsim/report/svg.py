"""Lanes as a picture without dependencies: every text is escaped, nothing in it can run, the same answer same bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from textwrap import wrap

from netsim.errors import printable
from netsim.report.lane_layout import (
    BOX_GAP,
    BOX_HEAD,
    LINE,
    MOST_LINES,
    PAD,
    SMALL,
    SUBLINE,
    TEXT,
    TITLE,
    BandLayout,
    Columns,
    Placed,
    Routed,
    box_height,
    clip,
    edge_label,
    ending_height,
    ending_lines,
    label_width,
    lay_out,
    share_width,
    text_width,
)
from netsim.report.lane_lines import HookBox, Line, beneath
from netsim.report.lanes import Card, Ending, Lanes, weight
from netsim.report.trace_text import lookup_lines

MARGIN = 28.0
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
INK, DIM, RULE = "#1a202c", "#5a6578", "#d5dbe3"
STATES = {"good": ("#e9f7ef", "#2f855a"), "bad": ("#fdecea", "#c53030"), "mixed": ("#fff6df", "#b7791f")}
"""State -> light and dark colour."""
VERDICTS = {"REACHABLE": "#2f855a", "PARTIAL": "#b7791f", "UNDETERMINED": "#6b46c1"}
KINDS = {
    "jump": "#a0aec0",
    "mark": "#b7791f",
    "dnat": "#2b6cb0",
    "snat": "#6b46c1",
    "drop": "#c53030",
    "accept": "#2f855a",
    "kernel": "#4a5568",
    "other": "#a0aec0",
}
LEGEND = (("dnat", "destination changed"), ("snat", "source changed"), ("mark", "mark"), ("drop", "dropped or refused"))
HOSTS = {"node": "#f7f9fc", "pod": "#fbf8ff", "router": "#f7f7f7", "outside": "#f7f7f7", "more": "#ffffff"}


def verdict_colour(verdict: str) -> str:
    """Return the colour of a verdict."""
    return VERDICTS.get(verdict, "#c53030")


def safe(text: str) -> str:
    """Return a text for XML: control characters spelled out, markup escaped."""
    return escape(printable(text), quote=True)


Links = Callable[[Card, HookBox, Line], str]
"""A line of a card -> the value of its `data-rule` attribute."""


@dataclass(slots=True)
class Pen:
    """What is drawn so far. `links`: what lines lead to; they can then be focused and clicked."""

    links: Links | None = None
    parts: list[str] = field(default_factory=list)

    def add(self, part: str) -> None:
        """Draw an element."""
        self.parts.append(part)

    def text(
        self,
        x: float,
        y: float,
        what: str,
        size: float = TEXT,
        ink: str = INK,
        *,
        bold: bool = False,
        end: bool = False,
    ) -> None:
        """Write a text on one line, its baseline at y; `end` puts its end at x."""
        extra = (' font-weight="bold"' if bold else "") + (' text-anchor="end"' if end else "")
        self.add(f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{ink}"{extra}>{safe(what)}</text>')

    def rect(self, x: float, y: float, w: float, h: float, fill: str, stroke: str = "none", radius: float = 6) -> None:
        """Draw a box."""
        size = f'width="{w:g}" height="{h:g}" rx="{radius:g}"'
        self.add(f'<rect x="{x:g}" y="{y:g}" {size} fill="{fill}" stroke="{stroke}"/>')


def svg(picture: Lanes, *, links: Links | None = None) -> str:
    """Return the picture as one `<svg>` element, ending in a line break."""
    pen = Pen(links)
    # The heading is as wide as the picture, which is as wide as its columns.
    columns, _ = lay_out(picture, MARGIN, 0)
    width = max(columns.right + MARGIN, 640)
    top = _heading(pen, picture, width)
    columns, bands = lay_out(picture, MARGIN, top + 44)
    bottom = bands[-1].bottom
    _draw_columns(pen, picture.columns, columns, top, bottom + 14)
    for band, name in zip(bands, ("the way there", "the way of the answer"), strict=False):
        _draw_band(pen, band, name if len(bands) > 1 else "", answer=name != "the way there")
    height = _footer(pen, picture, bottom + 34, width) + 8
    label, role = safe(_label(picture)), "group" if links else "img"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" font-family="{FONT}" role="{role}" aria-label="{label}">'
    )
    return "\n".join((head, f"<title>{label}</title>", _background(), *pen.parts, "</svg>")) + "\n"


def _background() -> str:
    return '<rect width="100%" height="100%" fill="#ffffff"/>'


def _label(picture: Lanes) -> str:
    answer = picture.answer
    return f"{answer.asked.source} to {answer.asked.target}: {answer.verdict} {answer.code}"


def _heading(pen: Pen, picture: Lanes, width: float) -> float:
    """Draw verdict, sentence and query; return where they end."""
    answer, asked = picture.answer, picture.answer.asked
    word = f"{answer.verdict} {answer.code}" if answer.code != "OK" else answer.verdict
    wide = text_width(word, TITLE) + 24
    pen.rect(MARGIN, 20, wide, 26, verdict_colour(answer.verdict), radius=13)
    pen.text(MARGIN + 12, 37.5, word, TITLE, "#ffffff", bold=True)
    y = 37.5
    for line in wrap(answer.summary, max(20, int((width - 2 * MARGIN - wide - 14) / (TITLE * 0.61)))):
        pen.text(MARGIN + wide + 14, y, line, TITLE)
        y += 18
    y = max(y, 55.5) + 9
    via = f" via {asked.via}" if asked.via else ""
    lines = [f"{asked.source} → {asked.target}{via} ({asked.protocol}), kube-proxy mode {asked.mode}"]
    lines += list(lookup_lines(answer.lookup)) if answer.lookup is not None else []
    lines += [step.text for step in answer.http]
    lines += dict.fromkeys(f"TLS {step.certificate}" for step in answer.http if step.certificate)
    for line in lines:
        pen.text(MARGIN, y, clip(line, width - 2 * MARGIN, TEXT), TEXT, DIM)
        y += 16
    return y + 6


def _draw_columns(pen: Pen, titles: Sequence[str], columns: Columns, top: float, bottom: float) -> None:
    for title, left, width in zip(titles, columns.lefts, columns.widths, strict=True):
        pen.rect(left - 12, top, width + 24, bottom - top, "#fafbfc", "#edf0f4", 10)
        pen.text(left, top + 19, title.upper(), SMALL, DIM, bold=True)


def _draw_band(pen: Pen, band: BandLayout, name: str, *, answer: bool) -> None:
    pen.add(f'<g class="{"back" if answer else "there"}">')
    if name and answer:
        left = min(placed.x for placed in band.cards)
        pen.text(left, band.top - 22, name, TEXT, DIM, bold=True)
    for routed in band.edges:
        _draw_wire(pen, routed, dashed=answer)
    for placed in band.cards:
        if placed.card is not None:
            _draw_card(pen, placed, placed.card)
    for routed in band.edges:
        if routed.labelled:
            _draw_label(pen, routed)
    pen.add("</g>")


def _draw_wire(pen: Pen, routed: Routed, *, dashed: bool) -> None:
    colour = STATES[routed.edge.state][1]
    points = routed.points
    forward = points[-1][0] > points[0][0]
    tip_x, tip_y = points[-1]
    back = -9 if forward else 9
    path = [f"M{points[0][0]:g},{points[0][1]:g}"]
    room = label_width(routed.edge) + 20
    for index, ((x1, y1), (x2, y2)) in enumerate(pairwise((*points[:-1], (tip_x + back, tip_y)))):
        # The label at the target stands beside a straight piece: the bend comes before it.
        last = index == len(points) - 2
        end = x2 - (room if forward else -room) if last else x2
        middle = (x1 + end) / 2
        bend = f"C{middle:g},{y1:g} {middle:g},{y2:g} {end:g},{y2:g}"
        path.append(f"L{x2:g},{y2:g}" if y1 == y2 else f"{bend} L{x2:g},{y2:g}")
    dash = ' stroke-dasharray="7 4"' if dashed else ""
    width = share_width(routed.edge.share)
    pen.add(f'<path d="{" ".join(path)}" fill="none" stroke="{colour}" stroke-width="{width:g}"{dash}/>')
    spread = 4 + width / 2
    pen.add(
        f'<path d="M{tip_x:g},{tip_y:g} l{back - 1:g},{-spread:g} v{2 * spread:g} z" fill="{colour}" stroke="none"/>'
    )


def _draw_label(pen: Pen, routed: Routed) -> None:
    edge = routed.edge
    (before, _), (x, y) = routed.points[-2:]
    forward = x > before
    at = x - 16 if forward else x + 16
    rows = edge_label(edge)
    for index, row in enumerate(rows):
        pen.text(at, y - 7 - 12 * (len(rows) - 1 - index), row, SMALL, _change_ink(row), end=forward)
    if edge.share != 1:
        pen.text(at, y + 14, weight(edge.share), SMALL, DIM, end=forward)


def _change_ink(row: str) -> str:
    return KINDS["dnat"] if row.startswith("dst") else KINDS["snat"]


def _draw_card(pen: Pen, placed: Placed, card: Card) -> None:
    states = {ending.state for ending in card.endings}
    stroke = STATES[next(iter(states))][1] if len(states) == 1 else "#8a96a8" if not states else STATES["mixed"][1]
    pen.add(f'<g class="card"><title>{safe("; ".join((card.title, *card.lines)))}</title>')
    if card.kind == "more":
        pen.rect(placed.x + 5, placed.y + 5, placed.width, placed.height, "#ffffff", stroke, 9)
    pen.rect(placed.x, placed.y, placed.width, placed.height, HOSTS.get(card.kind, "#ffffff"), stroke, 9)
    x, y, inner = placed.x + PAD, placed.y + 19, placed.width - 2 * PAD
    pen.text(x, y, clip(card.title, inner, TITLE * 1.05), TITLE, bold=True)
    for line in card.lines:
        y += 13
        pen.text(x, y, clip(line, inner, SMALL), SMALL, DIM)
    y += 10
    pen.add("</g>")
    for index, box in enumerate(card.boxes):
        if index:
            _draw_descent(pen, placed.x + placed.width / 2, y - BOX_GAP, card.boxes[index - 1])
        _draw_box(pen, x, y, inner, box, card)
        y += box_height(box) + BOX_GAP
    y = y - BOX_GAP + 8 if card.boxes else y
    for ending in card.endings:
        _draw_ending(pen, x, y, inner, ending, card)
        y += ending_height(ending, placed.width) + 6


def _draw_descent(pen: Pen, x: float, y: float, above: HookBox) -> None:
    """Draw the arrow from a hook to the next one below, with the mark that the packet carries now."""
    pen.add(f'<path d="M{x:g},{y + 1:g} v{BOX_GAP - 6:g} m-3.5,-4 l3.5,4.5 l3.5,-4.5" fill="none" stroke="#8a96a8"/>')
    marks = {line.effect for line in above.lines if line.kind == "mark"}
    if len(marks) == 1:
        pen.text(x + 8, y + 11, next(iter(marks)), 8.5, KINDS["mark"])


def _draw_box(pen: Pen, x: float, y: float, width: float, box: HookBox, card: Card) -> None:
    pen.rect(x, y, width, box_height(box), "#ffffff", RULE, 5)
    tables = ", ".join(dict.fromkeys(step.table for line in box.lines for step in line.steps if step.table))
    pen.text(x + 8, y + 14, box.hook, SMALL, INK, bold=True)
    room = width - text_width(box.hook, SMALL) - 26
    pen.text(x + width - 8, y + 14, clip(tables, room, SMALL), SMALL, DIM, end=True)
    y += BOX_HEAD
    for line in box.lines[:MOST_LINES]:
        link = "" if pen.links is None else _link(pen.links(card, box, line), line)
        _draw_line(pen, link, x, y, width, line, card)
        y += LINE + SUBLINE
    if len(box.lines) > MOST_LINES:
        pen.text(x + 14, y + 9, f"… and {len(box.lines) - MOST_LINES} more", SMALL, DIM)


def _link(target: str, line: Line) -> str:
    label = safe(f"{line.chain} {line.effect}".strip())
    return f' tabindex="0" role="button" data-rule="{safe(target)}" aria-label="{label}"'


def _draw_line(pen: Pen, link: str, x: float, y: float, width: float, line: Line, card: Card) -> None:
    shown = weight(line.share) if line.share != card.share else ""
    room = width - 22 - (text_width(shown, SMALL) + 8 if shown else 0)
    pen.add(f'<g class="line"{link}><title>{safe(hover(line))}</title>')
    pen.rect(x + 3, y - 1, width - 6, LINE + SUBLINE - 1, "#ffffff", radius=3)
    pen.rect(x + 4, y, 3, LINE + SUBLINE - 4, KINDS[line.kind], radius=1.5)
    pen.text(x + 13, y + 10.5, clip(line.effect, room, TEXT), TEXT, KINDS["drop"] if line.kind == "drop" else INK)
    if shown:
        pen.text(x + width - 8, y + 10.5, shown, SMALL, DIM, end=True)
    pen.text(x + 13, y + 21.5, clip(beneath(line), width - 22, SMALL - 0.5), SMALL - 0.5, DIM)
    pen.add("</g>")


def hover(line: Line) -> str:
    """Return what is shown over a line: the rules in full and their origin."""
    rules = [step.text if step.rule is None else step.rule.text for step in line.steps]
    return " · ".join((*rules, *([str(line.origin)] if line.origin else [])))


def _draw_ending(pen: Pen, x: float, y: float, width: float, ending: Ending, card: Card) -> None:
    light, dark = STATES[ending.state]
    height = ending_height(ending, width + 2 * PAD)
    pen.rect(x, y, width, height, light, dark, 5)
    pen.text(x + 8, y + 14, clip(ending.title, width - 16, TEXT), TEXT, dark, bold=True)
    if ending.share != card.share:
        pen.text(x + width - 8, y + 14, weight(ending.share), SMALL, DIM, end=True)
    for index, line in enumerate(ending_lines(ending, width + 2 * PAD)):
        pen.text(x + 8, y + 27 + 13 * index, line, SMALL, INK)


def _footer(pen: Pen, picture: Lanes, y: float, width: float) -> float:
    """Write hints and the legend; return where they end."""
    for hint in picture.answer.hints:
        for line in wrap(f"{hint.code}: {hint.text}", int((width - 2 * MARGIN) / (TEXT * 0.61))):
            pen.text(MARGIN, y, line, TEXT)
            y += 15
    x = MARGIN
    for kind, text in LEGEND:
        pen.rect(x, y - 7, 8, 8, KINDS[kind], radius=2)
        pen.text(x + 13, y, text, SMALL, DIM)
        x += 30 + text_width(text, SMALL)
    return y + 12
