"""A packet and a host for tests of rule evaluation, as plain as the protocols allow."""

from __future__ import annotations

from dataclasses import dataclass, field

from iptables_gen.values import Family, parse_ip


@dataclass(frozen=True)
class FakePacket:
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
class FakeHost:
    local: frozenset[int] = frozenset()
    ages: dict[tuple[str, int], float] = field(default_factory=dict)

    def address_type(self, family: Family, address: int) -> str:
        return "LOCAL" if address in self.local else "UNICAST"

    def primary_address(self, family: Family, interface: str) -> int | None:
        return parse_ip("192.0.2.1")[1] if family == 4 else None

    def affinity_age(self, table: str, family: Family, address: int) -> float | None:
        return self.ages.get((table, address))


def packet(src: str = "10.0.0.9", dst: str = "10.0.0.1", **values: object) -> FakePacket:
    family, source = parse_ip(src)
    return FakePacket(family=family, src=source, dst=parse_ip(dst)[1], **values)  # type: ignore[arg-type]


def ip(text: str) -> int:
    return parse_ip(text)[1]
