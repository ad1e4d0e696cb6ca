"""What the rules behind a base chain read of a packet: fields, and the addresses that they tell apart.

A survey is a superset: it looks at every chain that the base chain may lead to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from iptables_gen.dataplane import Mentions
from iptables_gen.nft.expressions import Bitwise, Concat, Constant, Ct, Fib, Meta, Numgen, Operand, Payload
from iptables_gen.nft.ir import Chain, Table
from iptables_gen.nft.literals import Address, Interval, Literal, Prefix
from iptables_gen.nft.matches import Match, Right, Tuple, Vmap
from iptables_gen.nft.sets import AnonymousSet, Decision, Element, SetReference
from iptables_gen.nft.statements import Assign, Lookup, Nat, Redirect, Statement, UpdateSet, VerdictStatement
from iptables_gen.values import net_mask, parse_ip

UNKNOWN_READ = "?"
"""Stands for something that no class of packets can be built on: the rule has to be asked for every packet."""
_META = {
    "mark": "mark",
    "l4proto": "protocol",
    "iifname": "in_interface",
    "iif": "in_interface",
    "oifname": "out_interface",
    "oif": "out_interface",
}
_SIDES = {"saddr": "src", "daddr": "dst"}


@dataclass(slots=True)
class Survey:
    """What is read. `typed` holds the addresses (`src`, `dst`) whose type the host is asked for.

    `hairpins`: some rule asks for packets whose source is their destination, naming each (they are not in `singles`).
    """

    fields: set[str] = field(default_factory=set)
    typed: set[str] = field(default_factory=set)
    singles: dict[str, set[int]] = field(default_factory=lambda: {"src": set(), "dst": set()})
    networks: dict[str, dict[tuple[int, int], None]] = field(default_factory=lambda: {"src": {}, "dst": {}})
    hairpins: bool = False

    def mentions(self, side: str) -> Mentions | None:
        """Return the addresses told apart on one side, None when they cannot be named."""
        if side in self.fields or UNKNOWN_READ in self.fields:
            return None
        return Mentions(frozenset(self.singles[side]), tuple(self.networks[side]))

    def tell_apart(self, side: str, literals: Iterable[Literal]) -> None:
        """Add what an address is compared with."""
        for literal in literals:
            match literal:
                case Address():
                    self.singles[side].add(literal.value)
                case Prefix(network, length):
                    family, value = parse_ip(network)
                    self.networks[side][net_mask(family, length), value] = None
                case Interval(Address() as low, Address() as high) if high.value - low.value < 1024:
                    self.singles[side].update(range(low.value, high.value + 1))
                case _:
                    self.fields.add(side)


def survey(table: Table, base: Chain) -> Survey:
    """Return what the rules behind a base chain read."""
    found = Survey()
    seen, waiting = {base.name}, [base.name]
    while waiting:
        chain = table.chains.get(waiting.pop())
        for rule in chain.rules if chain is not None else ():
            for statement in rule.statements:
                _statement(found, table, statement)
                for name in _targets(table, statement):
                    if name not in seen:
                        seen.add(name)
                        waiting.append(name)
    return found


def _targets(table: Table, statement: Statement) -> Iterator[str]:
    """Yield the chains a statement may lead to."""
    match statement:
        case VerdictStatement(decision) if decision.chain:
            yield decision.chain
        case Vmap(_, source):
            for element in _elements(table, source):
                if isinstance(element.data, Decision) and element.data.chain:
                    yield element.data.chain


def _elements(table: Table, source: AnonymousSet | SetReference) -> tuple[Element, ...]:
    if isinstance(source, AnonymousSet):
        return source.elements
    found = table.sets.get(source.name)
    return found.elements if found is not None else ()


def _statement(found: Survey, table: Table, statement: Statement) -> None:
    match statement:
        case Match(left, right):
            _operand(found, left, _columns(table, right))
        case Vmap(key, source):
            _operand(found, key, [element.key for element in _elements(table, source)])
        case Nat(address=Lookup(key, source)):
            _operand(found, key, [element.key for element in _elements(table, source)])
        case Assign(_, value):
            _operand(found, value, None)
        case UpdateSet(key=key):
            # That the effect names the client itself is the walk's business: it is never remembered.
            _operand(found, key, [])
        case Redirect():
            found.fields.add(UNKNOWN_READ)


def _columns(table: Table, right: Right) -> list[tuple[Literal, ...]]:
    match right:
        case AnonymousSet() | SetReference():
            return [element.key for element in _elements(table, right)]
        case Tuple(parts):
            return [parts]
        case Address() | Prefix() | Interval():
            return [(right,)]
        case _:
            return []


def _operand(found: Survey, operand: Operand, keys: list[tuple[Literal, ...]] | None) -> None:
    """Add what an operand reads; `keys` are what it is compared with, None when its value is used."""
    parts = operand.parts if isinstance(operand, Concat) else (operand,)
    if keys and _only_hairpins(parts, keys):
        found.hairpins = True
        keys = []
    for place, part in enumerate(parts):
        column = None if keys is None else [key[place] for key in keys if place < len(key)]
        _part(found, part, column)


def _only_hairpins(parts: tuple[Operand, ...], keys: list[tuple[Literal, ...]]) -> bool:
    """Whether source and destination are both looked up, and are the same single address in every key."""
    places = {part.name: place for place, part in enumerate(parts) if isinstance(part, Payload)}
    if "saddr" not in places or "daddr" not in places:
        return False
    source, target = places["saddr"], places["daddr"]
    return all(isinstance(key[source], Address) and key[source] == key[target] for key in keys)


def _part(found: Survey, part: Operand, column: list[Literal] | None) -> None:
    match part:
        case Payload(header, name) if header in ("ip", "ip6") and name in _SIDES:
            found.fields.add("family")
            if column is None:
                found.fields.add(_SIDES[name])
            else:
                found.tell_apart(_SIDES[name], column)
        case Payload(_, name):
            found.fields |= {"family", "protocol", *({name} & {"sport", "dport"})}
        case Meta(key):
            found.fields.add(_META.get(key, "family"))
        case Ct("state"):
            found.fields.add("ct_state")
        case Ct("status"):
            found.fields |= {"ct_dnat", "ct_snat"}
        case Fib(keys, "type") if keys in (("saddr",), ("daddr",)):
            found.fields.add("family")
            found.typed.add(_SIDES[keys[0]])
        case Bitwise(left):
            _operand(found, left, None)
        case Concat():
            _operand(found, part, None)
        case Ct() | Fib() | Numgen() | Constant():
            pass
