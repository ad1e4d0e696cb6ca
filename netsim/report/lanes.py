"""An answer as lanes: hosts left to right, boxes for the hooks where something happened, edges between them.

What several outcomes share is drawn once; every card, line and edge carries the probability that a packet comes by.
The way of the answer is a second set of cards in the same columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from iptables_gen.values import format_ip
from netsim.hosts.model import Host
from netsim.report.lane_lines import Detail, HookBox, Line, changes, lines_of, merged
from netsim.trace.answer import Answer, Asked, Outcome
from netsim.trace.passage import Delivered, Sent
from netsim.trace.summary import reason
from netsim.trace.walk import Hop

State = Literal["good", "bad", "mixed"]
MOST_SERVERS = 16
"""So many pods are drawn in the last column; the others share one card."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How outcomes end at a card: `state` says how it is coloured, `lines` what is known of it."""

    share: Fraction
    state: State
    title: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """One host on the way, of all outcomes that come by at the same place of their way."""

    key: str
    column: int
    kind: str
    title: str
    lines: tuple[str, ...]
    share: Fraction
    boxes: tuple[HookBox, ...] = ()
    endings: tuple[Ending, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """The wire between two cards; `changes` is what the first host changed in the header."""

    source: str
    target: str
    share: Fraction
    state: State
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Band:
    """The cards and edges of one direction; columns count from the client's."""

    cards: tuple[Card, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Lanes:
    """The whole picture: what was asked and found, the way there, and the way of the answer (None: not drawn)."""

    answer: Answer
    columns: tuple[str, ...]
    there: Band
    back: Band | None = None


def lanes(answer: Answer, *, detail: Detail = "summary", back: bool = False) -> Lanes:
    """Return an answer as lanes; the answer's way is drawn when asked for, or when it is what fails."""
    width = max((1, *(max(len(o.hops), len(o.back)) for o in answer.outcomes)))
    forward = [_forward(outcome, width, detail) for outcome in answer.outcomes]
    drawn = [o for o in answer.outcomes if o.back and (back or o.code == "ASYMMETRIC_RETURN")]
    backward = [_backward(outcome, width, detail) for outcome in drawn]
    there = _band(_collapsed(forward), answer.asked)
    return Lanes(
        answer,
        tuple(_column_titles(there, width)),
        there,
        _band(_collapsed(backward), answer.asked) if drawn else None,
    )


@dataclass(frozen=True, slots=True)
class Visit:
    """One outcome's stay at one host."""

    key: str
    column: int
    hop: Hop | None
    lines: tuple[tuple[str, Line], ...] = ()
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Way:
    """One outcome's way in one direction."""

    outcome: Outcome
    visits: tuple[Visit, ...]
    answer: bool = False

    @property
    def state(self) -> State:
        """Return good when the connection works."""
        return "good" if self.outcome.disposition == "DELIVERED" else "bad"


def _forward(outcome: Outcome, width: int, detail: Detail) -> Way:
    if not outcome.hops:
        return Way(outcome, (Visit("client@0", 0, None),))
    columns = list(range(len(outcome.hops)))
    last = outcome.hops[-1]
    if len(columns) > 1 and last.machine.host.kind in ("pod", "outside"):
        columns[-1] = width - 1
    return Way(outcome, tuple(_visits(outcome.hops, columns, detail)))


def _backward(outcome: Outcome, width: int, detail: Detail) -> Way:
    forward = _forward(outcome, width, "minimal")
    known = {visit.hop.machine.name: visit.column for visit in forward.visits if visit.hop}
    columns, above = [], forward.visits[-1].column + 1
    for index, hop in enumerate(outcome.back):
        remaining = len(outcome.back) - index - 1
        wanted = min(known.get(hop.machine.name, above - 1), above - 1)
        above = max(wanted, remaining) if wanted < remaining else wanted
        columns.append(above)
    return Way(outcome, tuple(_visits(outcome.back, columns, detail)), answer=True)


def _visits(hops: Sequence[Hop], columns: Sequence[int], detail: Detail) -> Iterator[Visit]:
    for hop, column in zip(hops, columns, strict=True):
        key = f"{hop.machine.name}@{column}"
        yield Visit(key, column, hop, tuple(lines_of(hop, detail=detail)), changes(hop.packet, hop.out))


def _collapsed(ways: Sequence[Way]) -> list[Way]:
    """Give the pods beyond the first MOST_SERVERS one card together."""
    ends = dict.fromkeys(v.key for way in ways for v in way.visits if v.hop and _is_server(v.hop.machine.host))
    if len(ends) <= MOST_SERVERS + 1:
        return list(ways)
    extra = set(list(ends)[MOST_SERVERS:])

    def shown(visit: Visit) -> Visit:
        return Visit(f"more@{visit.column}", visit.column, None) if visit.key in extra else visit

    return [Way(way.outcome, tuple(shown(visit) for visit in way.visits), way.answer) for way in ways]


def _is_server(host: Host) -> bool:
    return host.kind in ("pod", "outside")


def _band(ways: Sequence[Way], asked: Asked) -> Band:
    stays: dict[str, list[tuple[Way, Visit]]] = {}
    for way in ways:
        for visit in way.visits:
            stays.setdefault(visit.key, []).append((way, visit))
    cards = tuple(_card(key, found, asked) for key, found in stays.items())
    return Band(cards, tuple(_edges(ways)))


def _card(key: str, stays: Sequence[tuple[Way, Visit]], asked: Asked) -> Card:
    hops = [visit.hop for _, visit in stays if visit.hop]
    ending = [way for way, visit in stays if visit is way.visits[-1]]
    share = sum((way.outcome.probability for way, _ in stays), Fraction(0))
    host = hops[0].machine.host if hops else None
    many = not hops and key.startswith("more@")
    title = f"{len(stays)} more" if many else host.name if host else asked.source
    return Card(
        key,
        stays[0][1].column,
        "more" if many else host.kind if host else "outside",
        "/".join(host.pod) if host and host.pod else title,
        tuple(_about(host, hops, stays, asked)),
        share,
        merged([(way.outcome.probability, visit.lines) for way, visit in stays]),
        tuple(_endings(ending, asked, many=many)),
    )


def _about(host: Host | None, hops: Sequence[Hop], stays: Sequence[tuple[Way, Visit]], asked: Asked) -> Iterator[str]:
    if host is None:
        return
    if host.kind == "pod" and host.node:
        yield f"pod on {host.node}"
    ports = dict.fromkeys(hop.port for hop in hops if hop.port)
    outs = dict.fromkeys(hop.passage.end.interface for hop in hops if isinstance(hop.passage.end, Sent))
    words = [f"in {_few(ports)}"] * bool(ports) + [f"out {_few(outs)}"] * bool(outs)
    if host.kind in ("node", "router") and words:
        yield ", ".join(words)
    starts = {visit.hop.packet for way, visit in stays if visit.hop and visit is way.visits[0] and not way.answer}
    for packet in sorted(starts):
        yield f"{packet.source_text}"
        yield f"dials {packet.destination_text}/{packet.protocol}"


def _few(words: Iterable[str], most: int = 3) -> str:
    listed = list(words)
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")


def _endings(ways: Sequence[Way], asked: Asked, *, many: bool) -> Iterator[Ending]:
    found: dict[tuple[State, str, tuple[str, ...]], Fraction] = {}
    for way in ways:
        outcome = way.outcome
        title, lines = (_answered if way.answer else _ended)(outcome, asked)
        key = (way.state, title, () if many else lines)
        found[key] = found.get(key, Fraction(0)) + outcome.probability
    for (state, title, lines), share in found.items():
        yield Ending(share, state, title, lines)


def _ended(outcome: Outcome, asked: Asked) -> tuple[str, tuple[str, ...]]:
    place = outcome.endpoint or outcome.reached
    lines = [place.text] if place else []
    if outcome.disposition == "DELIVERED":
        if outcome.endpoint is not None and outcome.server_sees is not None:
            lines.append(f"sees {format_ip(outcome.endpoint.family, outcome.server_sees)}")
        return ("DELIVERED" if outcome.code == "OK" else f"DELIVERED {outcome.code}"), tuple(lines)
    lines.append(reason(outcome, asked))
    return f"{outcome.disposition} {outcome.code}", tuple(lines)


def _answered(outcome: Outcome, asked: Asked) -> tuple[str, tuple[str, ...]]:
    packet = outcome.back[-1].out
    source = f"from {packet.source_text}"
    if outcome.code == "ASYMMETRIC_RETURN":
        return "ANSWER LOST", (source, reason(outcome, asked))
    arrived = isinstance(outcome.back[-1].passage.end, Delivered)
    return ("ANSWER ARRIVES" if outcome.disposition == "DELIVERED" else "ERROR ARRIVES") if arrived else "ANSWER", (
        source,
    )


@dataclass(slots=True)
class _Wire:
    share: Fraction = Fraction(0)
    good: Fraction = Fraction(0)
    changes: dict[str, list[str]] = field(default_factory=dict)


def _edges(ways: Sequence[Way]) -> Iterator[Edge]:
    wires: dict[tuple[str, str], _Wire] = {}
    for way in ways:
        for visit, following in zip(way.visits, way.visits[1:], strict=False):
            wire = wires.setdefault((visit.key, following.key), _Wire())
            share = way.outcome.probability
            wire.share += share
            wire.good += share if way.state == "good" else 0
            for word, text in (change.split(" ", 1) for change in visit.changes):
                wire.changes.setdefault(word, []).append(text)
    for (source, target), wire in wires.items():
        state: State = "good" if wire.good == wire.share else "bad" if not wire.good else "mixed"
        yield Edge(source, target, wire.share, state, tuple(_summed(wire)))


def _summed(wire: _Wire) -> Iterator[str]:
    for word, texts in wire.changes.items():
        different = list(dict.fromkeys(texts))
        yield f"{word} {different[0]}" if len(different) == 1 else f"{word} ⇒ one of {len(different)}"


def _column_titles(band: Band, width: int) -> Iterator[str]:
    for column in range(width):
        kinds = [card.kind for card in band.cards if card.column == column]
        delivered = any(e.state == "good" for card in band.cards if card.column == column for e in card.endings)
        if column == 0:
            yield "client"
        elif column == width - 1 and delivered:
            yield "server"
        else:
            named = [kind for kind in ("router", "node", "pod", "outside") if kind in kinds]
            yield " / ".join(named)


def weight(share: Fraction) -> str:
    """Return a probability as people read it: `1/3`, or a percentage where the fraction is long."""
    return str(share) if share.denominator <= 9999 else f"≈{float(share):.2%}"
