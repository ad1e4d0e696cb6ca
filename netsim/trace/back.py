"""The way back: does the answer of whoever a packet reached come back to the client as the client expects it?

Connection tracking undoes every translation on the hosts that made them. An answer that goes around one of them reaches
the client from an address it never dialled, or is INVALID for a host in between: the client gets nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from netsim.packet.packet import Packet
from netsim.trace.machine import Machine
from netsim.trace.passage import ONE, Delivered, End, Lost, Passage, Refused, Sent
from netsim.trace.passes import Arrival, emit, receive
from netsim.trace.walk import MAX_HOPS, Hop, Leaf, Scene, Walker

ASYMMETRIC = Lost("ASYMMETRIC_RETURN")


def with_return(walker: Walker, leaf: Leaf, scene: Scene) -> Iterator[Leaf]:
    """Yield the leaf with the way of its answer; where no answer can come back, the leaf ends lost."""
    if not isinstance(leaf.end, Delivered | Refused):
        yield leaf
        return
    for share, back, arrived in answers(walker, leaf, scene):
        weight = leaf.weight if share == 1 else leaf.weight * share
        end: End = leaf.end if arrived else ASYMMETRIC
        yield Leaf(weight, leaf.hops, end, back)


def answers(walker: Walker, leaf: Leaf, scene: Scene) -> Iterator[tuple[Fraction, tuple[Hop, ...], bool]]:
    """Yield (share, hops, whether the client gets it) for every way the answer may take."""
    last = leaf.hops[-1]
    machine, packet = last.machine, last.out.reversed()
    state = "RELATED" if isinstance(leaf.end, Refused) else "ESTABLISHED"
    back_scene = scene._replace(entry="", established=())
    if scene.detour is not None and isinstance(leaf.end, Delivered) and last.out.dst == scene.detour.address:
        yield ONE, (), False
        return
    arrival = _tracked(leaf.hops, machine, packet, state)
    passages = emit(machine, packet, arrival, scene.detour, walker.view(machine, scene))
    yield from _follow(walker, leaf, machine, "", packet, passages, (), ONE, back_scene, state)


def _follow(
    walker: Walker,
    leaf: Leaf,
    machine: Machine,
    port: str,
    packet: Packet,
    passages: list[Passage],
    before: tuple[Hop, ...],
    weight: Fraction,
    scene: Scene,
    state: str,
) -> Iterator[tuple[Fraction, tuple[Hop, ...], bool]]:
    for passage in passages:
        out = _answered(passage, packet, leaf.hops, machine)
        hops = (*before, Hop(machine, port, packet, passage, out))
        share = weight if passage.weight == 1 else weight * passage.weight
        if not isinstance(passage.end, Sent):
            yield share, hops, isinstance(passage.end, Delivered) and _expected(leaf, machine, out)
            continue
        place = walker.arrive(machine, passage.end, hops, scene)
        if isinstance(place, Delivered):
            yield share, hops, out.header == leaf.hops[0].packet.reversed().header
        elif isinstance(place, Lost) or len(hops) >= MAX_HOPS:
            yield share, hops, False
        else:
            target, target_port, arrival = place
            tracked = _tracked(leaf.hops, target, out, state)
            tracked = tracked._replace(interface=arrival.interface, framed=arrival.framed)
            onward = receive(target, out, tracked, scene.detour, walker.view(target, scene))
            yield from _follow(walker, leaf, target, target_port, out, onward, hops, share, scene, state)


def _tracked(hops: tuple[Hop, ...], machine: Machine, packet: Packet, state: str) -> Arrival:
    """Return what connection tracking on a host makes of an answer."""
    hop = _connection(hops, machine, packet)
    if hop is not None:
        nat = hop.passage.nat
        known = hop.packet.reversed()
        translated, first = (nat.dnat, nat.src is not None), hop.packet.header
        return Arrival("", False, False, known, state, *translated, first, True)
    # A TCP SYN-ACK or RST without a connection is INVALID, so is an ICMP error; a datagram starts a new connection.
    fresh = packet.protocol == "udp" and state != "RELATED"
    return Arrival("", state="NEW" if fresh or not machine.has_programs else "INVALID")


def _connection(hops: tuple[Hop, ...], machine: Machine, packet: Packet) -> Hop | None:
    wanted = (packet.dst, packet.dport, packet.src, packet.sport)
    for hop in reversed(hops):
        if hop.machine is machine and hop.out.header == wanted:
            return hop
    return None


def _answered(passage: Passage, packet: Packet, hops: tuple[Hop, ...], machine: Machine) -> Packet:
    hop = _connection(hops, machine, packet) if passage.tracked else None
    return passage.applied(packet) if hop is None else hop.packet.reversed()


def _expected(leaf: Leaf, machine: Machine, packet: Packet) -> bool:
    """Whether the client's socket takes the answer: on its host, from the address it dialled."""
    first = leaf.hops[0]
    return machine is first.machine and packet.header == first.packet.reversed().header
