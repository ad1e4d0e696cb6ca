"""What a base chain does to all packets that look alike to it: walked once, then remembered.

A plan is a base chain as packets of one dispatch key see it (the same Service, say). Within a plan a packet's class is
its key: the values of the fields that some rule reads, addresses reduced to which of the rules' networks they are in.
What else a rule asks (the host, a set, a table of clients) is asked again for every packet, in the order in which the
walk asked: the answers are the branches of a small tree.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from operator import attrgetter

from iptables_gen.effects import Path
from iptables_gen.view import HostView, PacketView
from iptables_gen.xtables.matches.addresses import Address
from iptables_gen.xtables.program import Codes, Step

Paths = tuple[Path, ...]
Read = Callable[[PacketView, HostView], Hashable]
KeyOf = Callable[[PacketView], Hashable]


class Branch:
    """A question whose answer decides what follows: `children` by answer."""

    __slots__ = ("children", "read")

    def __init__(self, read: Read) -> None:
        self.read = read
        self.children: dict[Hashable, Node] = {}


Node = Branch | Paths


class Networks:
    """The networks that rules ask of one address: single addresses, and (mask, network) of the others."""

    __slots__ = ("nets", "singles")

    def __init__(self) -> None:
        self.singles: set[int] = set()
        self.nets: dict[tuple[int, int], None] = {}

    def add(self, clause: Address) -> None:
        """Add the network of a clause."""
        if clause.single:
            self.singles.add(clause.address)
        else:
            self.nets[clause.mask, clause.address] = None

    def classifier(self) -> Callable[[int], int] | None:
        """Return a function from an address to its class; None when no rule asks."""
        singles, nets = frozenset(self.singles), tuple(self.nets)
        if not singles and not nets:
            return None
        if len(nets) == 1:
            mask, network = nets[0]
            return lambda value: -1 - value if value in singles else value & mask == network

        def classify(value: int) -> int:
            if value in singles:
                return -1 - value
            bits = 0
            for mask, network in nets:
                bits = bits << 1 | (value & mask == network)
            return bits

        return classify


class Plan:
    """A base chain for one dispatch key: `views` are the dispatch chains' steps that can match."""

    __slots__ = ("key", "memo", "views")

    def __init__(self, views: Mapping[str, tuple[Step, ...]], key: KeyOf) -> None:
        self.views, self.key = views, key
        self.memo: dict[Hashable, Node] = {}


def make_plan(codes: Codes, base: str, views: Mapping[str, tuple[Step, ...]], fixed: frozenset[str]) -> Plan:
    """Return the plan of a base chain; the fields in *fixed* are the same for all its packets."""
    fields: set[str] = set()
    networks = {"src": Networks(), "dst": Networks()}
    seen, waiting = {base}, [base]
    while waiting:
        name = waiting.pop()
        view = views.get(name)
        for step in (codes.steps(name) or ()) if view is None else view:
            fields |= step.shape.reads
            for clause in step.addresses:
                networks[clause.end].add(clause)
            if step.jump is not None and step.jump not in seen:
                seen.add(step.jump)
                waiting.append(step.jump)
    ends = {end: None if end in fixed or end in fields else networks[end].classifier() for end in networks}
    return Plan(views, _key_function(tuple(sorted(fields - fixed - {"?"})), ends["src"], ends["dst"]))


def _key_function(fields: tuple[str, ...], src: Callable[[int], int] | None, dst: Callable[[int], int] | None) -> KeyOf:
    """Return the function from a packet to its class, as short as what has to be asked."""
    values: KeyOf | None = attrgetter(*fields) if fields else None
    if src is None and dst is None:
        return values or (lambda packet: None)
    if values is None:
        if dst is None and src is not None:
            return lambda packet: src(packet.src)
        if src is None and dst is not None:
            return lambda packet: dst(packet.dst)
        values = _nothing
    first, second, rest = src or _zero, dst or _zero, values
    return lambda packet: (first(packet.src), second(packet.dst), rest(packet))


def _nothing(packet: PacketView) -> None:
    return None


def _zero(value: int) -> int:
    return 0
