"""An answer as lanes: hosts left to right, boxes for the hooks where something happened, edges between them.

What several outcomes share is drawn once; every card, line and edge carries the probability that a packet comes by.
The way of the answer is a second set of cards in the same columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Literal

from iptables_gen.values import format_ip
from netsim.hosts.model import Host
from netsim.report.lane_lines import Detail, HookBox, Line, changes, lines_of, merged
from netsim.trace.answer import Answer, Asked, Outcome
from netsim.trace.passage import Delivered, Sent
from netsim.trace.summary import reason
from netsim.trace.walk import Hop

State = Literal["good", "bad", "mixed"]
MOST_CARDS = 16
"""So many hosts are drawn in one column; the others share one card."""


MOST_ENDINGS = 4
"""So many ways to end are drawn at one card."""
MOST_STARTS = 2
"""So many packets are named that a host sends."""


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


def lanes(answer: Answer, *, detail: Detail = "summary", back: bool = False, most: int = MOST_CARDS) -> Lanes:
    """Return an answer as lanes; the answer's way is drawn when asked for, or when it is what fails.

    most: so many hosts of one column get a card of their own.
    """
    drawn = [o for o in answer.outcomes if o.back and (back or o.code == "ASYMMETRIC_RETURN")]
    bases = _bases(answer.outcomes, drawn)
    forward = [_forward(outcome, bases, detail) for outcome in answer.outcomes]
    backward = [_backward(outcome, bases, detail) for outcome in drawn]
    there = _band(_collapsed(forward, most), answer.asked)
    return Lanes(
        answer,
        tuple(_column_titles(there, bases)),
        there,
        _band(_collapsed(backward, most), answer.asked) if drawn else None,
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


def _legs(hops: Sequence[Hop]) -> list[list[Hop]]:
    """Split a way at the proxies on it: a packet ends there, and another one begins."""
    legs: list[list[Hop]] = [[]]
    for hop in hops:
        if legs[-1] and not isinstance(legs[-1][-1].passage.end, Sent):
            legs.append([])
        legs[-1].append(hop)
    return legs


def _bases(there: Sequence[Outcome], back: Sequence[Outcome]) -> list[int]:
    """Return the columns in which the legs of ways begin and end: a proxy has one column whatever the way to it."""
    lengths: dict[int, int] = {0: 0}
    for number, leg in (pair for outcome in there for pair in enumerate(_legs(outcome.hops))):
        lengths[number] = max(lengths.get(number, 0), len(leg) - 1)
    for number, leg in (pair for outcome in back for pair in _legs_back(outcome)):
        lengths[number] = max(lengths.get(number, 0), len(leg) - 1)
    return [0, *accumulate(lengths[number] for number in sorted(lengths))]


def _legs_back(outcome: Outcome) -> Iterator[tuple[int, list[Hop]]]:
    """Yield the legs of an answer with the number of the leg there that each answers."""
    last = len(_legs(outcome.hops)) - 1
    for index, leg in enumerate(_legs(outcome.back)):
        yield max(last - index, 0), leg


def _forward(outcome: Outcome, bases: Sequence[int], detail: Detail) -> Way:
    if not outcome.hops:
        return Way(outcome, (Visit("client@0", 0, None),))
    columns: list[int] = []
    for leg, base, end in zip(_legs(outcome.hops), bases, bases[1:], strict=False):
        columns += range(base, base + len(leg))
        if len(leg) > 1 and _is_server(leg[-1].machine.host):
            columns[-1] = end
    return Way(outcome, tuple(_visits(outcome.hops, columns, detail)))


def _backward(outcome: Outcome, bases: Sequence[int], detail: Detail) -> Way:
    legs = _legs(outcome.hops)
    there = _forward(outcome, bases, "minimal")
    names = [hop.machine.name for leg in legs for hop in leg]
    owners = [number for number, leg in enumerate(legs) for _ in leg]
    known = {(o, name): v.column for o, name, v in zip(owners, names, there.visits, strict=True)}
    columns: list[int] = []
    for number, leg in _legs_back(outcome):
        wanted = [known.get((number, hop.machine.name), bases[number]) for hop in leg]
        columns += _descending(wanted, bases[number], bases[number + 1])
    return Way(outcome, tuple(_visits(outcome.back, columns, detail, "answer ")), answer=True)


def _descending(wanted: Sequence[int], low: int, high: int) -> Iterator[int]:
    """Yield columns from high to low, each the wanted one where that leaves room for those that follow."""
    above = high + 1
    for index, column in enumerate(wanted):
        above = max(min(column, above - 1), low + len(wanted) - 1 - index)
        yield above


def _visits(hops: Sequence[Hop], columns: Sequence[int], detail: Detail, prefix: str = "") -> Iterator[Visit]:
    for hop, column in zip(hops, columns, strict=True):
        key = f"{prefix}{hop.machine.name}@{column}"
        yield Visit(key, column, hop, tuple(lines_of(hop, detail=detail)), changes(hop.packet, hop.out))


def _collapsed(ways: Sequence[Way], most: int) -> list[Way]:
    """Give the hosts of a column beyond the first *most* one card together; nodes, which are high, beyond half."""
    columns: dict[tuple[int, int], dict[str, None]] = {}
    for visit in (visit for way in ways for visit in way.visits):
        limit = most // 2 if visit.hop is not None and visit.hop.machine.has_programs else most
        columns.setdefault((visit.column, limit), {})[visit.key] = None
    extra = {key for (_, n), keys in columns.items() if len(keys) > n + 1 for key in list(keys)[n:]}

    def shown(visit: Visit) -> Visit:
        return replace(visit, key=f"more@{visit.column}", lines=()) if visit.key in extra else visit

    return [replace(way, visits=tuple(map(shown, way.visits))) for way in ways] if extra else list(ways)


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
    ways = {id(way): way for way, _ in stays}
    share = sum((way.outcome.probability for way in ways.values()), Fraction(0))
    host = hops[0].machine.host if hops else None
    if key.startswith("more@"):
        title = f"{len({hop.machine.name for hop in hops})} more"
        return Card(key, stays[0][1].column, "more", title, (), share, (), tuple(_endings(ending, asked, many=True)))
    title = host.name if host else asked.source
    return Card(
        key,
        stays[0][1].column,
        host.kind if host else "outside",
        "/".join(host.pod) if host and host.pod else title,
        tuple(_about(host, hops, stays, asked)),
        share,
        merged([(way.outcome.probability, visit.lines) for way, visit in stays]),
        tuple(_endings(ending, asked)),
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
    starts = sorted({visit.hop.packet for way, visit in stays if visit.hop and not visit.hop.port and not way.answer})
    for packet in starts[:MOST_STARTS]:
        yield packet.source_text
        yield f"dials {packet.destination_text}/{packet.protocol}"
    if len(starts) > MOST_STARTS:
        yield f"and {len(starts) - MOST_STARTS} more"


def _few(words: Iterable[str], most: int = 3) -> str:
    listed = list(words)
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")


def _endings(ways: Sequence[Way], asked: Asked, *, many: bool = False) -> Iterator[Ending]:
    found: dict[tuple[State, str, tuple[str, ...]], Fraction] = {}
    for way in ways:
        outcome = way.outcome
        title, lines = (_answered if way.answer else _ended)(outcome, asked)
        key = (way.state, title, () if many else lines)
        found[key] = found.get(key, Fraction(0)) + outcome.probability
    listed = [Ending(share, *key) for key, share in found.items()]
    yield from _few_endings(listed) if len(listed) > MOST_ENDINGS else listed


def _few_endings(listed: Sequence[Ending]) -> Iterator[Ending]:
    """Yield the first endings, then one for the others of each state."""
    shown, rest = listed[: MOST_ENDINGS - 1], listed[MOST_ENDINGS - 1 :]
    yield from shown
    for state in dict.fromkeys(ending.state for ending in rest):
        same = [ending for ending in rest if ending.state == state]
        share = sum((ending.share for ending in same), Fraction(0))
        yield Ending(share, state, f"{same[0].title} and {len(same) - 1} more")


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
        for visit, following in pairwise(way.visits):
            if visit.key == following.key:
                continue
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


def _column_titles(band: Band, bases: Sequence[int]) -> Iterator[str]:
    width, proxies = bases[-1] + 1, bases[1:-1]
    for column in range(width):
        kinds = [card.kind for card in band.cards if card.column == column]
        delivered = any(e.state == "good" for card in band.cards if card.column == column for e in card.endings)
        if column == 0:
            yield "client"
        elif column == width - 1 and delivered:
            yield "server"
        elif column in proxies:
            yield "proxy"
        else:
            named = [kind for kind in ("router", "node", "pod", "outside") if kind in kinds]
            yield " / ".join(named)


def weight(share: Fraction) -> str:
    """Return a probability as people read it: `1/3`, or a percentage where the fraction is long."""
    return str(share) if share.denominator <= 9999 else f"≈{float(share):.2%}"
