"""Dispatch chains: long chains whose rules ask for one address, port or interface each (KUBE-SERVICES, cali-to-wl-…).

Such a chain is indexed, so that a packet meets only the rules it can match. All rules that can match are kept, in
order: leaving the others out changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from iptables_gen.xtables.ir import Match
from iptables_gen.xtables.matches.addresses import Address, Interface, Protocol
from iptables_gen.xtables.matches.transport import ANY, PortMatch, TcpMatch
from iptables_gen.xtables.program import Codes, Step

FIELDS: Final = ("protocol", "src", "dst", "dport", "in_interface", "out_interface")
"""Attributes of PacketView that an index can use, in the order of every key."""

_LONG: Final = 16
"""A chain of more rules may be worth an index."""

Values = tuple[object, ...]


def asked(step: Step) -> dict[str, object]:
    """Return the fields of which the rule asks one exact value."""
    found: dict[str, object] = {}
    for test in step.tests:
        found.update(_exact(test))
    return found


def _exact(test: Match) -> Iterable[tuple[str, object]]:
    if isinstance(test, Address):
        return ((test.end, test.address),) if test.single and not test.negated else ()
    if isinstance(test, Protocol):
        return (("protocol", test.name),) if not test.negated and test.name != "all" else ()
    if isinstance(test, (TcpMatch, PortMatch)):
        single = test.dport != ANY and test.dport[0] == test.dport[1] and not test.not_dport
        return (("protocol", test.name), *((("dport", test.dport[0]),) if single else ()))
    if isinstance(test, Interface) and not test.negated and not test.name.endswith("+"):
        return (("in_interface" if test.end == "in" else "out_interface", test.name),)
    return ()


@dataclass(frozen=True, slots=True)
class Dispatch:
    """An index of one chain: for each set of fields, positions of rules by the values they ask; `rest` ask none."""

    steps: tuple[Step, ...]
    groups: Mapping[tuple[str, ...], Mapping[Values, tuple[int, ...]]]
    rest: tuple[int, ...]

    @property
    def fields(self) -> frozenset[str]:
        """Return the fields that the index uses."""
        return frozenset(field for fields in self.groups for field in fields)

    def known(self, field: str) -> frozenset[object]:
        """Return every value that a rule asks of a field."""
        return frozenset(
            values[fields.index(field)] for fields, found in self.groups.items() if field in fields for values in found
        )

    def select(self, packet: Mapping[str, object]) -> tuple[Step, ...]:
        """Return the steps that a packet with these field values can match, in order."""
        positions = list(self.rest)
        for fields, found in self.groups.items():
            positions += found.get(tuple([packet.get(field) for field in fields]), ())
        return tuple([self.steps[position] for position in sorted(positions)])


def index(steps: tuple[Step, ...]) -> Dispatch:
    """Return the index of a chain."""
    groups: dict[tuple[str, ...], dict[Values, list[int]]] = {}
    rest: list[int] = []
    for position, step in enumerate(steps):
        wanted = asked(step)
        if not wanted:
            rest.append(position)
            continue
        fields = tuple(field for field in FIELDS if field in wanted)
        group = groups.setdefault(fields, {})
        group.setdefault(tuple([wanted[field] for field in fields]), []).append(position)
    frozen = {fields: {values: tuple(at) for values, at in group.items()} for fields, group in groups.items()}
    return Dispatch(steps, frozen, tuple(rest))


def _worth_it(steps: tuple[Step, ...]) -> bool:
    shaped = sum(1 for step in steps if asked(step).keys() - {"protocol"})
    return len(steps) > _LONG and shaped * 2 > len(steps)


def find_dispatch(codes: Codes, base: str) -> dict[str, Dispatch]:
    """Return the index of every dispatch chain that a base chain can lead to.

    Behind a dispatch chain only long chains are looked at: it may have as many targets as a cluster has Services.
    """
    found: dict[str, Dispatch] = {}
    seen, waiting = {base}, [base]
    while waiting:
        name = waiting.pop()
        steps = codes.steps(name) or ()
        wide = _worth_it(steps)
        if wide:
            found[name] = index(steps)
        for target in Counter(step.jump for step in steps if step.jump):
            if target not in seen and (not wide or _promising(codes, target)):
                seen.add(target)
                waiting.append(target)
    return found


def _promising(codes: Codes, name: str) -> bool:
    size = codes.size(name)
    if size <= _LONG:
        return False
    middle = codes.chains[name].rules[size // 2]
    return bool(asked(codes.step(middle)).keys() - {"protocol"})
