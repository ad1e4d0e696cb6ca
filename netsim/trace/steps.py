"""Steps: what happened on one host, in the kernel's own shape (compare `xtables-monitor --trace`, `nft monitor trace`).

Steps are made from a hop on demand: a trace keeps only which paths were taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from iptables_gen.effects import (
    Accept,
    Dnat,
    Drop,
    Effect,
    IpvsNoServer,
    IpvsSend,
    Masquerade,
    Path,
    Reject,
    RuleHit,
    RuleRef,
    SetMark,
    Snat,
    Undetermined,
)
from iptables_gen.origin import Origin
from netsim.packet.packet import Packet
from netsim.trace.passage import Event, Passage
from netsim.trace.walk import Hop


class Step(NamedTuple):
    """One rule that matched (or, in full detail, a decision of the kernel: then `rule` is None and `text` says it).

    before and after are the packet around it; `program` is whose rule it is.
    """

    hook: str
    table: str
    chain: str
    rule: RuleRef | None
    verdict: str
    before: Packet
    after: Packet
    text: str = ""
    program: str = ""
    choice: str = "1"

    @property
    def origin(self) -> Origin | None:
        """Return the manifest field behind the rule."""
        return None if self.rule is None else self.rule.origin


def steps_of(hop: Hop, *, full: bool = False, reply: bool = False) -> list[Step]:
    """Return the steps on one host; `full` adds routing, connection tracking and the policies of base chains."""
    packet = hop.packet
    found: list[Step] = []
    for event in hop.passage.events:
        if event.path is None:
            after = (
                _tracked(event, packet, hop) if event.route is None and event.text.startswith("conntrack") else packet
            )
            if full:
                found.append(_decision(event, packet, after))
            packet = after
        else:
            made, packet = _rule_steps(event, event.path, packet, hop.passage, full=full)
            found += made
    return found


def _tracked(event: Event, packet: Packet, hop: Hop) -> Packet:
    if event.hook.name in ("PREROUTING", "OUTPUT"):
        return packet._replace(dst=hop.out.dst, dport=hop.out.dport)
    return packet._replace(src=hop.out.src, sport=hop.out.sport)


def _decision(event: Event, before: Packet, after: Packet) -> Step:
    if event.route is None and event.text == "local":
        return Step(event.hook.name, "", "", None, "ROUTE local", before, after, "routed to this host")
    if event.route is not None:
        text = f"{event.text + ': ' if event.text else ''}{event.route}"
        return Step(event.hook.name, "", "", None, f"ROUTE {event.route.interface}", before, after, text)
    return Step(event.hook.name, "", "", None, "CONNTRACK", before, after, event.text)


def _rule_steps(event: Event, path: Path, packet: Packet, passage: Passage, *, full: bool) -> tuple[list[Step], Packet]:
    assert event.entry is not None
    table, program = event.entry.entry.table, event.entry.label
    found: list[Step] = []
    hits = [index for index, effect in enumerate(path.effects) if isinstance(effect, RuleHit)]
    bounds = [*hits, len(path.effects)]
    for start, end in pairwise(bounds):
        hit = path.effects[start]
        assert isinstance(hit, RuleHit)
        after = _after(packet, path.effects[start + 1 : end], passage)
        rule = hit.rule
        found.append(
            Step(
                event.hook.name, rule.table, rule.chain, rule, hit.verdict, packet, after, "", program, str(hit.choice)
            )
        )
        packet = after
    if not isinstance(path.verdict, Accept) or full:
        packet = _ended(path, packet)
        if full or not hits:
            text = verdict_text(path)
            found.append(
                Step(event.hook.name, table, event.hook.name, None, text, packet, packet, "end of chain", program)
            )
    return found, packet


def _after(packet: Packet, effects: Sequence[Effect], passage: Passage) -> Packet:
    for effect in effects:
        match effect:
            case SetMark(value):
                packet = packet.marked(value)
            case Dnat(address, port):
                dst = packet.dst if address is None else address
                packet = packet.towards(dst, packet.dport if port is None else port)
            case Snat() | Masquerade():
                nat = passage.nat
                src = packet.src if nat.src is None else nat.src
                packet = packet.sourced(src, packet.sport if nat.sport is None else nat.sport)
            case _:
                pass
    return packet


def _ended(path: Path, packet: Packet) -> Packet:
    verdict = path.verdict
    return packet.towards(verdict.address, verdict.port).by_ipvs() if isinstance(verdict, IpvsSend) else packet


def verdict_text(path: Path) -> str:
    """Return how a base chain ended."""
    match path.verdict:
        case Accept():
            return "ACCEPT"
        case Drop(policy):
            return "DROP (policy)" if policy else "DROP"
        case Reject(kind):
            return f"REJECT {kind}"
        case Undetermined(_, reason):
            return f"UNDETERMINED {reason}"
        case IpvsSend(label=label):
            return f"IPVS {label}".strip()
        case IpvsNoServer():
            return "IPVS no server"


def deciding(hops: Sequence[Hop], *, full: bool = False) -> Iterator[tuple[Hop, Step]]:
    """Yield (hop, step) of all hosts on a way."""
    for hop in hops:
        for step in steps_of(hop, full=full):
            yield hop, step
