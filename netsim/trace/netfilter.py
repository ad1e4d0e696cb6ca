"""Running the base chains of one hook: effects are applied to the packet, forks split it, verdicts end it.

Source: net/netfilter/nf_nat_core.c (rules of nat chains are asked once per connection and kind of translation),
net/netfilter/nf_nat_masquerade.c (the address is taken on the way out).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple, assert_never

from iptables_gen.dataplane import Hook, Priority
from iptables_gen.effects import (
    Accept,
    Assumed,
    Dnat,
    Drop,
    IpvsNoServer,
    IpvsSend,
    Masquerade,
    NoTrack,
    Path,
    Reject,
    Remember,
    RuleHit,
    RuleRef,
    SetMark,
    Snat,
    Undetermined,
)
from iptables_gen.view import HostView
from netsim.packet.packet import Packet
from netsim.trace.machine import Entry, Machine
from netsim.trace.passage import End, Event, Lost, Nat, Refused, Unknown

NAT_PRIORITY = {
    Hook.PREROUTING: Priority.DSTNAT,
    Hook.OUTPUT: Priority.DSTNAT,
    Hook.POSTROUTING: Priority.SRCNAT,
    Hook.INPUT: Priority.SRCNAT,
    Hook.FORWARD: Priority.SRCNAT,
}


class Strand(NamedTuple):
    """A packet inside a host: what it looks like now, and what has happened to it."""

    weight: Fraction
    packet: Packet
    nat: Nat = Nat()
    asked: frozenset[str] = frozenset()
    """`dst-done`, `src-done`: kinds of translation that are settled for this connection, translated or not."""
    events: tuple[Event, ...] = ()
    remembers: tuple[Remember, ...] = ()
    assumed: tuple[Assumed, ...] = ()
    ended: End | None = None
    taken_at: int = -1
    """Position of the base chain at which IPVS took the packet; -1 when it did not."""


class Run(NamedTuple):
    """Where hooks run: the machine, how it answers rules, and the connection's undo for replies (None: no reply)."""

    machine: Machine
    view: HostView
    undo: Packet | None = None
    """For a packet of a known connection: what it looks like once translations are undone or repeated."""
    next_hop: int = 0
    snat_by: str = ""
    """Who translated the source of the known connection."""


def run_hook(run: Run, hook: Hook, strand: Strand, start: int = 0) -> list[Strand]:
    """Run the base chains at a hook, from a position on; strands that ended keep their `ended`."""
    strands = [strand]
    pending = run.undo is not None
    entries = run.machine.entries(hook, strand.packet.family)
    for position in range(start, len(entries)):
        entry = entries[position]
        if pending and entry.entry.priority >= NAT_PRIORITY[hook]:
            strands, pending = [_undone(run, hook, item) for item in strands], False
        strands = [after for item in strands for after in _through(run, hook, position, entry, item)]
    return [_undone(run, hook, item) for item in strands] if pending else strands


def _undone(run: Run, hook: Hook, strand: Strand) -> Strand:
    """Apply what connection tracking knows: destination before routing, source after it."""
    known, packet, nat = run.undo, strand.packet, strand.nat
    if known is None or strand.ended is not None:
        return strand
    if hook in (Hook.PREROUTING, Hook.OUTPUT):
        changed = packet._replace(dst=known.dst, dport=known.dport)
        nat = nat._replace(dst=known.dst, dport=known.dport)
    elif hook in (Hook.POSTROUTING, Hook.INPUT):
        changed = packet._replace(src=known.src, sport=known.sport)
        nat = nat._replace(src=known.src, sport=known.sport, snat_by=run.snat_by)
    else:
        return strand
    if changed.header == packet.header:
        return strand
    event = Event(hook, None, None, None, f"conntrack: {_difference(packet, changed)}")
    return strand._replace(packet=changed, nat=nat, events=(*strand.events, event))


def _difference(before: Packet, after: Packet) -> str:
    parts = []
    if (before.src, before.sport) != (after.src, after.sport):
        parts.append(f"source {before.source_text} becomes {after.source_text}")
    if (before.dst, before.dport) != (after.dst, after.dport):
        parts.append(f"destination {before.destination_text} becomes {after.destination_text}")
    return ", ".join(parts)


def _through(run: Run, hook: Hook, position: int, entry: Entry, strand: Strand) -> Iterator[Strand]:
    """Yield the strands that come out of one base chain."""
    if strand.ended is not None or strand.taken_at >= 0 or _skipped(entry, strand, run):
        yield strand
        return
    for path in entry.entry.run(strand.packet, run.view):
        after = _taken(run, hook, entry, strand, path)
        yield after._replace(taken_at=position) if isinstance(path.verdict, IpvsSend) else after


def _skipped(entry: Entry, strand: Strand, run: Run) -> bool:
    """Whether a nat chain is not asked: not a new connection, or one that has a translation of this kind already."""
    if not entry.translates:
        return False
    if strand.packet.ct_state != "NEW" or run.undo is not None:
        return True
    if f"{entry.translates}-done" in strand.asked:
        return True
    return strand.nat.dnat if entry.translates == "dst" else strand.nat.src is not None


def _taken(run: Run, hook: Hook, entry: Entry, strand: Strand, path: Path) -> Strand:
    packet, nat = strand.packet, strand.nat
    remembers, assumed = strand.remembers, strand.assumed
    for effect in path.effects:
        match effect:
            case RuleHit():
                pass
            case SetMark(value):
                packet = packet.marked(value)
            case Dnat(address, port):
                dst, dport = packet.dst if address is None else address, packet.dport if port is None else port
                packet, nat = packet.towards(dst, dport), nat._replace(dst=dst, dport=dport)
            case Snat(address, port):
                packet, nat = _source(packet, nat, address, port, entry, path)
            case Masquerade():
                chosen = masquerade_address(run.machine, packet, run.next_hop)
                if chosen is None:
                    return _ended(strand, hook, entry, path, Lost("NO_SOURCE_ADDRESS"))
                packet, nat = _source(packet, nat, chosen, None, entry, path)
            case Remember():
                remembers = (*remembers, effect)
            case NoTrack():
                packet = packet.tracked("UNTRACKED")
            case Assumed():
                assumed = (*assumed, effect)
            case _:
                assert_never(effect)
    event = Event(hook, entry, path)
    strand = Strand(
        strand.weight if path.weight == 1 else strand.weight * path.weight,
        packet,
        nat,
        strand.asked,
        (*strand.events, event) if path.effects else strand.events,
        remembers,
        assumed,
    )
    return _judged(strand, path)


def _source(packet: Packet, nat: Nat, address: int, port: int | None, entry: Entry, path: Path) -> tuple[Packet, Nat]:
    sport = packet.sport if port is None else port
    owner = source_owner(entry, path)
    return packet.sourced(address, sport), nat._replace(src=address, sport=sport, snat_by=owner)


CNI_CHAINS = (
    "CNI-",
    "KIND-MASQ",
    "IP-MASQ",
    "FLANNEL-",
    "cali-",
    "CILIUM_",
    "WEAVE",
    "KUBE-ROUTER",
    "AZURE",
    "AWS-SNAT",
)


def source_owner(entry: Entry, path: Path) -> str:
    """Return who translates a source: `cni` for the CNI's own masquerade, else the program's label."""
    last = next((effect.rule for effect in reversed(path.effects) if isinstance(effect, RuleHit)), None)
    if last is not None and last.chain.startswith(CNI_CHAINS):
        return "cni"
    return entry.label


def masquerade_address(machine: Machine, packet: Packet, next_hop: int) -> int | None:
    """Return the address of the outgoing interface that masquerading takes."""
    from netsim.trace.routing import pick_source

    family = packet.family
    if family == 6 and machine.is_local(6, packet.dst):
        return packet.dst
    interface = machine.interfaces.get(packet.out_interface)
    return pick_source(family, interface, machine.host.interfaces, next_hop)


def _judged(strand: Strand, path: Path) -> Strand:
    match path.verdict:
        case Accept():
            return strand
        case Drop():
            return strand._replace(ended=Lost("DROPPED_BY_RULE", _last_rule(path)))
        case Reject(kind):
            return strand._replace(ended=Refused("REJECTED_BY_RULE", _last_rule(path), kind))
        case Undetermined(rule, reason):
            return strand._replace(ended=Unknown(rule, reason))
        case IpvsSend(address, port):
            packet = strand.packet.towards(address, port).by_ipvs()
            nat = strand.nat._replace(dst=address, dport=port)
            return strand._replace(packet=packet, nat=nat)
        case IpvsNoServer():
            return strand._replace(ended=Refused("NO_ENDPOINTS", _last_rule(path)))
        case _:
            assert_never(path.verdict)


def _last_rule(path: Path) -> RuleRef | None:
    return next((effect.rule for effect in reversed(path.effects) if isinstance(effect, RuleHit)), None)


def _ended(strand: Strand, hook: Hook, entry: Entry, path: Path, end: End) -> Strand:
    return strand._replace(events=(*strand.events, Event(hook, entry, path)), ended=end)
