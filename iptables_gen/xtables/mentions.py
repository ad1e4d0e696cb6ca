"""Which addresses the rules of a table tell apart, so that packets they cannot tell apart may share work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from iptables_gen.dataplane import Mentions
from iptables_gen.values import BITS, Family, net_mask, parse_net
from iptables_gen.xtables.ir import AnyRule, Match, Row, Rule, Target
from iptables_gen.xtables.matches.addresses import Address
from iptables_gen.xtables.matches.chance import RecentMatch
from iptables_gen.xtables.matches.host import AddrtypeMatch, PhysdevMatch
from iptables_gen.xtables.matches.misc import IpvsMatch, SetMatch
from iptables_gen.xtables.program import Codes
from iptables_gen.xtables.targets.verdicts import JumpTarget
from iptables_gen.xtables.templates import typed, typed_template

HARMLESS = (AddrtypeMatch, RecentMatch, PhysdevMatch)
"""Matches that tell no addresses apart. The engine puts address types and remembered clients into a packet's class
itself, and packets of one class come by the same bridge port."""


class Shape(NamedTuple):
    """What rows of one template ask of an address, each with its own arguments."""

    made: tuple[Callable[[tuple[str, ...]], Match], ...]


def mentions_of(codes: Codes, field: str) -> Mentions | None:
    """Return the addresses that any rule of the table tells apart in `src` or `dst`; None when that cannot be said."""
    singles: set[int] = set()
    networks: dict[tuple[int, int], None] = {}
    for part in _parts(codes):
        if isinstance(part, Address):
            if part.end == field and part.mask == (1 << BITS[codes.family]) - 1:
                singles.add(part.address)
            elif part.end == field:
                networks[part.mask, part.address] = None
        elif isinstance(part, SetMatch | IpvsMatch):
            told = _of_set(codes, part, field) if isinstance(part, SetMatch) else _of_virtual_address(part)
            if told is None:
                return None
            singles |= told.singles
            networks |= dict.fromkeys(told.networks)
        elif not isinstance(part, HARMLESS) and {field, "?"} & set(_reads(part)):
            return None
    return Mentions(frozenset(singles), tuple(networks))


def _of_set(codes: Codes, match: SetMatch, field: str) -> Mentions | None:
    """Return what an ipset tells apart; None when its entries are not known."""
    ask: Callable[[str, tuple[str, ...], str], Mentions | None] | None = getattr(codes.sets, "mentions", None)
    return None if ask is None else ask(match.name, match.flags, field)


def _of_virtual_address(match: IpvsMatch) -> Mentions:
    """Return the virtual address asked for: what was dialled decides, whatever the packet's addresses are by now."""
    networks = [parse_net(value) for option, value, _ in match.conditions if option == "--vaddr"]
    return Mentions(networks=tuple((net_mask(family, prefix), base) for family, base, prefix in networks))


def _reads(part: Match | Target) -> tuple[str, ...]:
    reads: Callable[[], tuple[str, ...]] | None = getattr(part, "reads", None)
    return ("?",) if reads is None else reads()


def _parts(codes: Codes) -> Iterator[Match | Target]:
    shapes: dict[int, Shape] = {}
    for chain in codes.chains.values():
        for rule in chain.rules:
            yield from _of_rule(rule, shapes, codes.family)


def _of_rule(rule: AnyRule, shapes: dict[int, Shape], family: Family) -> Iterable[Match | Target]:
    if not isinstance(rule, Row):
        return _of_typed(rule)
    shape = shapes.get(id(rule.template))
    if shape is None:
        shape = shapes[id(rule.template)] = _shape(rule, family)
        return _of_typed(typed(rule, family))
    return [make(rule.args) for make in shape.made] if shape.made else ()


def _of_typed(rule: Rule) -> tuple[Match | Target, ...]:
    jumps = rule.target is None or isinstance(rule.target, JumpTarget)
    return rule.matches if jumps or rule.target is None else (*rule.matches, rule.target)


def _shape(row: Row, family: Family) -> Shape:
    """Return how the clauses of a template that an address argument fills are made; the others never differ."""
    slots = typed_template(row.template, family).matches
    holed = [slot.make for slot in slots if slot.fixed is None]
    return Shape(tuple([make for make in holed if isinstance(make(row.args), Address)]))
