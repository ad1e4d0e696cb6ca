"""A trace as one self-contained page: the picture, and every rule and its manifest line behind a click.

The page loads nothing, and its policy (CSP) lets only its own script and style run, each named by its hash: a name in a
manifest cannot become part of the page's code. Without JavaScript everything is in the lists below the picture.
"""

from __future__ import annotations

import base64
import hashlib
import sys
from collections.abc import Callable, Iterator
from html import escape
from importlib.resources import files
from itertools import count
from typing import NamedTuple

from iptables_gen.origin import Origin
from netsim.errors import printable
from netsim.packet.packet import Packet
from netsim.report.lane_lines import HookBox, Line, beneath, line_of
from netsim.report.lanes import Band, Card, Lanes, lanes, weight
from netsim.report.svg import svg
from netsim.report.trace_text import answer_text
from netsim.trace.answer import Lookup
from netsim.trace.steps import Step


class Excerpt(NamedTuple):
    """A few lines of a manifest; `first` is the number of the first, `line` of the one that matters."""

    first: int
    line: int
    lines: tuple[str, ...]


Excerpts = Callable[[str, int], Excerpt | None]
"""(file, line) -> the lines around it, None when they cannot be read."""


def html(picture: Lanes, excerpts: Excerpts = lambda file, line: None) -> str:
    """Return the page, ending in a line break."""
    answer = picture.answer
    every = lanes(answer, detail="full", back=picture.back is not None, most=sys.maxsize)
    numbers = _numbered(every)

    def leads_to(card: Card, box: HookBox, line: Line) -> str:
        found = (numbers.get(_key(card, box, step)) for step in line.steps)
        return " ".join(str(number) for number in found if number is not None)

    script, style = _resource("page.js"), _resource("page.css")
    policy = f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; base-uri 'none'"
    title = _safe(f"{answer.asked.source} to {answer.asked.target}: {answer.verdict} {answer.code}")
    text = answer_text(answer, detail="summary", back=picture.back is not None, color=False)
    parts = (
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>",
        f"<style>{style}</style></head><body>",
        f"<h1>{title}</h1>",
        f'<div class="picture">\n{svg(picture, links=leads_to)}</div>',
        "<main>",
        *_lookup(answer.lookup),
        *_rules(every, excerpts),
        f'<h2>In words</h2><pre id="words">{_lines(text)}</pre>',
        *_remarks(picture),
        "</main>",
        '<aside id="panel" aria-live="polite" aria-label="The rules behind a line" hidden>'
        '<button type="button">Close</button><h2></h2><div class="more"></div></aside>',
        f"<script>{script}</script>",
        "</body></html>",
    )
    return "\n".join(parts) + "\n"


def _resource(name: str) -> str:
    return files("netsim.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _safe(text: str) -> str:
    return escape(printable(text), quote=True)


def _lines(text: str) -> str:
    return "\n".join(_safe(line) for line in text.splitlines())


def _lookup(lookup: Lookup | None) -> Iterator[str]:
    if lookup is None:
        return
    found = ", ".join(lookup.addresses) or lookup.code
    yield f"<h2>Name resolution</h2><p>{_safe(lookup.name)} → {_safe(found)}</p>"
    if lookup.questions:
        yield "<table><tr><th>question</th><th>type</th><th>asked of</th><th>rcode</th><th>answers</th></tr>"
        for item in lookup.questions:
            cells = (item.name, item.type, item.server, item.rcode or "no answer", str(item.answers))
            yield "<tr>" + "".join(f"<td><code>{_safe(cell)}</code></td>" for cell in cells) + "</tr>"
        yield "</table>"


Key = tuple[object, ...]


def _key(card: Card, box: HookBox, step: Step) -> Key:
    rule = step.text if step.rule is None else step.rule.text
    return (card.key, box.hook, step.table, step.chain, rule, step.verdict, step.before, step.after)


def _bands(picture: Lanes) -> Iterator[tuple[str, Band]]:
    yield "The way there", picture.there
    if picture.back is not None:
        yield "The way of the answer", picture.back


def _numbered(every: Lanes) -> dict[Key, int]:
    """Return the number of every step, in the order of the lists."""
    steps = (
        _key(card, box, step)
        for _, band in _bands(every)
        for card in band.cards
        for box in card.boxes
        for line in box.lines
        for step in line.steps
    )
    return {key: number for number, key in enumerate(steps)}


def _rules(every: Lanes, excerpts: Excerpts) -> Iterator[str]:
    """Yield everything that happened, host by host, with all that is known of it."""
    numbers = count()
    for name, band in _bands(every):
        if any(card.boxes for card in band.cards):
            yield f"<h2>{name}, rule by rule</h2>"
        for card in band.cards:
            if card.boxes:
                yield f"<h3>{_safe(card.title)} <small>{_safe('; '.join(card.lines))}</small></h3>"
            for box in card.boxes:
                for line in box.lines:
                    yield _rule(next(numbers), card, box, line, excerpts)


def _rule(number: int, card: Card, box: HookBox, line: Line, excerpts: Excerpts) -> str:
    share = f'<span class="share">{_safe(weight(line.share))}</span>' if line.share != card.share else ""
    what = f'<span class="what">{_safe(f"{line.chain} {line.effect}".strip())}</span>'
    where = line.origin.where if line.origin is not None else None
    place = f' <span class="place">{_safe(line_of(where[0], where[1]))}</span>' if where else ""
    hook = f'<span class="hook">{_safe(box.hook)}</span>'
    steps = "".join(_step(step) for step in line.steps)
    origin = _origin(line, excerpts)
    return (
        f'<details id="rule-{number}"><summary class="rule">{share}{hook} {what}{place}</summary>'
        f'<div class="more">{steps}{origin}</div></details>'
    )


def _step(step: Step) -> str:
    rule = step.text if step.rule is None else step.rule.text
    rows = [("where", f"{step.hook} {step.table} {step.chain}".strip()), ("verdict", step.verdict)]
    rows += [("by chance", step.choice)] * (step.choice != "1")
    rows.append(("packet", header(step.before)))
    if header(step.before) != header(step.after):
        rows.append(("after it", header(step.after)))
    listed = "".join(f"<dt>{_safe(term)}</dt><dd><code>{_safe(text)}</code></dd>" for term, text in rows)
    return f"<pre>{_safe(rule)}</pre><dl>{listed}</dl>"


def header(packet: Packet) -> str:
    """Return what rules can change of a packet: addresses, ports, mark."""
    mark = f", mark {packet.mark:#x}" if packet.mark else ""
    return f"{packet.source_text} → {packet.destination_text}/{packet.protocol}{mark}"


def _origin(line: Line, excerpts: Excerpts) -> str:
    origins = dict.fromkeys(s.origin for s in line.steps if s.origin is not None and s.origin.kind)
    if origins:
        return "".join(_made_for(origin, excerpts) for origin in origins)
    if line.unexplained:
        return "<p>No manifest explains this rule: it is in the dump, and kube-proxy would not make it.</p>"
    program = next((step.program for step in line.steps if step.rule is not None), "")
    return f"<p>{_safe(program)}'s own rule, made for no object.</p>" if program else f"<p>{_safe(beneath(line))}</p>"


def _made_for(origin: Origin, excerpts: Excerpts) -> str:
    where = origin.where
    excerpt = excerpts(where[0], where[1]) if where else None
    shown = ""
    if excerpt is not None:
        rows = []
        for number, text in enumerate(excerpt.lines, excerpt.first):
            row = f"{number:>5}  {_safe(text)}"
            rows.append(f"<mark>{row}</mark>" if number == excerpt.line else row)
        shown = f"<pre>{chr(10).join(rows)}</pre>"
    return f'<p class="origin">made for <code>{_safe(str(origin))}</code></p>{shown}'


def _remarks(picture: Lanes) -> Iterator[str]:
    notes = [(note.code, note.text) for note in picture.answer.notes]
    if notes:
        yield "<h2>Notes</h2><table>"
        for code, text in notes:
            yield f"<tr><th><code>{_safe(code)}</code></th><td>{_safe(text)}</td></tr>"
        yield "</table>"
