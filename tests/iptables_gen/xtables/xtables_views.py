"""Packets, hosts and small rulesets for the tests of xtables."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path as FilePath
from typing import Any

from iptables_gen.dataplane import Hook, HookEntry
from iptables_gen.effects import Path, RuleHit
from iptables_gen.values import Family, parse_ip
from iptables_gen.xtables.evaluate import XtablesDataplane
from iptables_gen.xtables.text import parse

HERE = FilePath(__file__).parent
RECORDED = HERE.parents[1] / "conformance" / "kube-proxy"


@dataclass(frozen=True)
class Seen:
    """A packet view; fields beyond the protocol's are those that some matches look for."""

    family: Family = 4
    protocol: str = "tcp"
    src: int = 0
    dst: int = 0
    sport: int = 40000
    dport: int = 80
    mark: int = 0
    in_interface: str = ""
    out_interface: str = ""
    ct_state: str = "NEW"
    ct_dnat: bool = False
    ct_snat: bool = False
    ipvs: bool = False


@dataclass(frozen=True)
class Bridged(Seen):
    physdev_in: str = ""
    physdev_out: str = ""
    ct_mark: int | None = None
    ct_reply: bool | None = None
    ct_orig_src: int | None = None
    ct_orig_dst: int | None = None
    ct_orig_sport: int | None = None
    ct_orig_dport: int | None = None
    ipvs_vaddr: int | None = None
    ipvs_vport: int | None = None


def packet(src: str = "10.244.1.9", dst: str = "10.96.0.10", **fields: Any) -> Seen:
    family, source = parse_ip(src)
    kind = Bridged if fields.keys() - Seen.__dataclass_fields__.keys() else Seen
    protocol = fields.pop("protocol", "tcp")
    if protocol in ("icmp", "ipv6-icmp"):
        fields = {"sport": 0, "dport": 0, **fields}
    return kind(family=family, src=source, dst=parse_ip(dst)[1], protocol=protocol, **fields)


@dataclass(frozen=True)
class Host:
    local: frozenset[str] = frozenset({"192.168.10.1", "127.0.0.1", "fd00:192:168:10::1", "::1"})
    ages: tuple[tuple[str, str, float], ...] = ()
    addresses: dict[str, str] = field(default_factory=dict)

    def address_type(self, family: Family, address: int) -> str:
        if any((family, address) == parse_ip(text) for text in self.local):
            return "LOCAL"
        multicast = address >> 28 == 0xE if family == 4 else address >> 120 == 0xFF
        return "MULTICAST" if multicast else "UNICAST"

    def primary_address(self, family: Family, interface: str) -> int | None:
        found = self.addresses.get(interface)
        return None if found is None else parse_ip(found)[1]

    def affinity_age(self, table: str, family: Family, address: int) -> float | None:
        known = {(name, parse_ip(text)): age for name, text, age in self.ages}
        return known.get((table, (family, address)))


HOST = Host()


def dataplane(text: str, family: Family = 4, **options: Any) -> XtablesDataplane:
    return XtablesDataplane(parse(text, family=family), **options)


def entry(plane: XtablesDataplane, table: str, hook: str) -> HookEntry:
    return next(one for one in plane.hooks() if (one.table, one.hook) == (table, Hook[hook]))


def run(
    text: str, seen: Seen | None = None, table: str = "filter", hook: str = "INPUT", host: Host = HOST
) -> tuple[Path, ...]:
    """Return the paths of a packet through one base chain; asked twice, the second time from memory."""
    base = entry(dataplane(text, (seen or packet()).family), table, hook)
    first = base.run(seen or packet(), host)
    assert base.run(seen or packet(), host) == first
    assert sum(path.weight for path in first) == 1
    return first


def rules(path: Path) -> list[str]:
    return [effect.rule.text for effect in path.effects if isinstance(effect, RuleHit)]


def labels(path: Path) -> list[str]:
    return [effect.verdict for effect in path.effects if isinstance(effect, RuleHit)]


def share(path: Path) -> Fraction:
    """Return the product of the choices that a path's hits show."""
    product = Fraction(1)
    for effect in path.effects:
        product *= effect.choice if isinstance(effect, RuleHit) else 1
    return product
