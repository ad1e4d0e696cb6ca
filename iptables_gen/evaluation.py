"""One packet at one hook of a dump, and the report of what its rules do: the `eval` command."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, Self, assert_never

from iptables_gen.dataplane import Dataplane, Hook, HookEntry
from iptables_gen.effects import (
    Accept,
    Assumed,
    Dnat,
    Drop,
    Effect,
    IpvsNoServer,
    IpvsSend,
    Masquerade,
    NoTrack,
    Path,
    Reject,
    Remember,
    RuleHit,
    SetMark,
    Snat,
    Undetermined,
    Verdict,
)
from iptables_gen.values import Family, format_endpoint, format_ip, parse_endpoint, parse_ip

CT_STATES: Final = ("NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED")
_PORTED: Final = ("tcp", "udp", "sctp", "udplite", "dccp")


class WordsError(ValueError):
    """A packet or an address on the command line that cannot be understood."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A packet as `view.PacketView` wants it."""

    family: Family
    protocol: str
    src: int
    dst: int
    sport: int = 0
    dport: int = 0
    mark: int = 0
    in_interface: str = ""
    out_interface: str = ""
    ct_state: str = "NEW"
    ct_dnat: bool = False
    ct_snat: bool = False
    ipvs: bool = False

    def __str__(self) -> str:
        """Return the packet as the command line writes it, with its mark when it has one."""
        source, target = _end(self.family, self.src, self.sport), _end(self.family, self.dst, self.dport)
        return f"{self.protocol} {source} > {target}" + (f" mark {self.mark:#x}" if self.mark else "")


def _end(family: Family, address: int, port: int) -> str:
    text = format_ip(family, address)
    return format_endpoint(text, port) if port else text


def packet_of(words: str, in_interface: str, out_interface: str, options: argparse.Namespace) -> Seen:
    """Return the packet of `PROTOCOL SOURCE[:PORT] > TARGET[:PORT]`; v6 addresses with a port stand in brackets.

    Raises:  WordsError for anything else.
    """
    parts = words.split()
    if len(parts) != 4 or parts[2] != ">":
        raise WordsError(f"packet {words!r}: write it as 'tcp 10.0.0.1:1234 > 10.96.0.10:80'")
    try:
        (family, src, sport), (other, dst, dport) = _place(parts[1]), _place(parts[3])
        mark = int(options.mark, 0)
    except ValueError as error:
        raise WordsError(f"packet {words!r}: {error}") from error
    if family != other:
        raise WordsError(f"packet {words!r}: one address is IPv4, the other IPv6")
    if not 0 <= mark < 1 << 32:
        raise WordsError(f"mark {options.mark} does not fit 32 bits")
    protocol = {"icmp6": "ipv6-icmp", "icmpv6": "ipv6-icmp"}.get(parts[0].lower(), parts[0].lower())
    if protocol in _PORTED and not dport:
        raise WordsError(f"packet {words!r}: {protocol} needs a destination port")
    state = (options.ct_state, options.ct_dnat, options.ct_snat)
    return Seen(family, protocol, src, dst, sport, dport, mark, in_interface, out_interface, *state)


def _place(text: str) -> tuple[Family, int, int]:
    """Return (family, address, port) of ADDR, ADDR:PORT or [V6]:PORT; the port is 0 when absent."""
    if text.startswith("[") or text.count(":") == 1:
        ip, port = parse_endpoint(text)
        if port > 65535:
            raise ValueError(f"{text!r}: a port is at most 65535")
        return *parse_ip(ip), port
    return *parse_ip(text), 0


@dataclass(frozen=True, slots=True)
class DumpHost:
    """The host of a dump as `view.HostView` wants it: it has the addresses of the command line, and loopback."""

    addresses: tuple[tuple[str, Family, int], ...] = ()

    @classmethod
    def of(cls, words: Sequence[str]) -> Self:
        """Return the host with addresses `[IFACE=]ADDR`.

        Raises:  WordsError for text that is no address.
        """
        found = []
        for word in words:
            interface, equals, address = word.rpartition("=")
            try:
                found.append((interface if equals else "", *parse_ip(address.partition("/")[0])))
            except ValueError as error:
                raise WordsError(f"--local {word}: {error}") from error
        return cls(tuple(found))

    def address_type(self, family: Family, address: int) -> str:
        """Return LOCAL for the host's own and loopback addresses, else the type that the address itself tells."""
        if any((family, address) == known[1:] for known in self.addresses):
            return "LOCAL"
        if family == 6:
            return {0: "UNSPEC", 1: "LOCAL"}.get(address, "MULTICAST" if address >> 120 == 0xFF else "UNICAST")
        if address >> 24 == 127:
            return "LOCAL"
        if address in (0, 0xFFFF_FFFF):
            return "BROADCAST" if address else "UNSPEC"
        return "MULTICAST" if address >> 28 == 0xE else "UNICAST"

    def primary_address(self, family: Family, interface: str) -> int | None:
        """Return the first address given for the interface."""
        return next((known[2] for known in self.addresses if known[:2] == (interface, family)), None)

    def affinity_age(self, table: str, family: Family, address: int) -> float | None:
        """Return None: every client is new."""
        return None


def report(planes: Iterable[Dataplane], hook: Hook, packet: Seen, host: DumpHost, table: str = "") -> Iterator[str]:
    """Yield the lines of the answer: every outcome with its weight, what met the packet, and the packet after it."""
    entries = [entry for plane in planes if plane.family == packet.family for entry in plane.hooks()]
    here = sorted((one for one in entries if one.hook is hook and table in ("", one.table)), key=_priority)
    yield f"{packet}  at {hook.value}" + (f" of {table}" if table else "")
    if not here:
        yield "no base chain with rules is hooked there"
    for weight, verdict, after, effects in _run(here, packet, host):
        yield ""
        yield f"{weight}  {verdict_text(verdict)}  {after}"
        yield from (f"    {effect_text(effect, packet.family)}" for effect in effects)


def _priority(entry: HookEntry) -> int:
    return entry.priority


Outcome = tuple[Fraction, Verdict, Seen, tuple[Effect, ...]]


def _run(entries: Sequence[HookEntry], packet: Seen, host: DumpHost) -> list[Outcome]:
    outcomes: list[Outcome] = [(Fraction(1), Accept(), packet, ())]
    for entry in entries:
        outcomes = [after for outcome in outcomes for after in _through(entry, outcome, host)]
    return outcomes


def _through(entry: HookEntry, outcome: Outcome, host: DumpHost) -> Iterator[Outcome]:
    weight, verdict, packet, effects = outcome
    translated = packet.ct_dnat if entry.hook in (Hook.PREROUTING, Hook.OUTPUT) else packet.ct_snat
    if not isinstance(verdict, Accept) or (entry.nat and (packet.ct_state != "NEW" or translated)):
        yield outcome
        return
    for path in entry.run(packet, host):
        yield weight * path.weight, path.verdict, _applied(packet, path), (*effects, *path.effects)


def _applied(packet: Seen, path: Path) -> Seen:
    for effect in path.effects:
        match effect:
            case SetMark(value):
                packet = replace(packet, mark=value)
            case Dnat(address, port):
                dst, dport = packet.dst if address is None else address, packet.dport if port is None else port
                packet = replace(packet, dst=dst, dport=dport, ct_dnat=True)
            case Snat(address, port):
                packet = replace(packet, src=address, sport=packet.sport if port is None else port, ct_snat=True)
            case NoTrack():
                packet = replace(packet, ct_state="UNTRACKED")
            case RuleHit() | Masquerade() | Remember() | Assumed():
                pass
            case _:
                assert_never(effect)
    return packet


def verdict_text(verdict: Verdict) -> str:
    """Return a verdict as one word, with what belongs to it."""
    match verdict:
        case Accept():
            return "ACCEPT"
        case Drop(policy):
            return "DROP (policy)" if policy else "DROP"
        case Reject(kind):
            return f"REJECT ({kind})"
        case Undetermined(rule, reason):
            return f"UNDETERMINED ({reason}; {rule.table}: {rule.text})"
        case IpvsSend(_, port, label):
            return f"IPVS {label or port}"
        case IpvsNoServer(label):
            return f"IPVS without server {label}".rstrip()
        case _:
            assert_never(verdict)


def effect_text(effect: Effect, family: Family) -> str:
    """Return an effect as one line."""
    match effect:
        case RuleHit(rule, verdict, choice):
            share = "" if choice == 1 else f" [{choice}]"
            return f"{rule.table}: {rule.text}  => {verdict}{share}"
        case SetMark(value):
            return f"mark becomes {value:#x}"
        case Dnat(address, port):
            return f"destination becomes {_part(family, address, port)}"
        case Snat(address, port):
            return f"source becomes {_part(family, address, port)}"
        case Masquerade():
            return "source becomes the address of the outgoing interface"
        case Remember(table, address, _, _):
            return f"{format_ip(family, address)} is remembered in {table}"
        case NoTrack():
            return "not tracked"
        case Assumed(code, text):
            return f"assumed ({code}): {text}"
        case _:
            assert_never(effect)


def _part(family: Family, address: int | None, port: int | None) -> str:
    if address is None:
        return f"port {port}"
    return _end(family, address, port or 0)
