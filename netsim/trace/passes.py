"""What happens to a packet on one host: received and forwarded, received and delivered, or sent by a process.

Hook order and routing follow net/ipv4/ip_input.c, ip_forward.c, ip_output.c, net/bridge/br_netfilter_hooks.c and
net/netfilter/ipvs: PREROUTING, routing, INPUT or FORWARD and POSTROUTING; OUTPUT, rerouting, POSTROUTING for processes,
with a second visit through `lo` when the destination is the host itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from iptables_gen.dataplane import Hook
from iptables_gen.values import Family
from netsim.hosts.model import Route
from netsim.packet.packet import Packet
from netsim.trace.machine import Machine, RememberingView
from netsim.trace.netfilter import Run, Strand, run_hook
from netsim.trace.passage import ONE, Delivered, End, Event, Lost, Passage, Sent

BRIDGE_CALLS: dict[Family, str] = {
    4: "net.bridge.bridge-nf-call-iptables",
    6: "net.bridge.bridge-nf-call-ip6tables",
}
LOOPBACK6 = 1


class Arrival(NamedTuple):
    """How a packet enters a host.

    interface: where it comes in. framed: on a bridge, the frame is addressed to another port, not to the host itself.
    trusted: reverse path and martian checks are off (an address that no object has). known: the packet's connection
    is tracked here, and this is what it looks like once it is through; state: what connection tracking calls it.
    """

    interface: str
    framed: bool = False
    trusted: bool = False
    known: Packet | None = None
    state: str = "NEW"
    dnat: bool = False
    snat: bool = False
    original: tuple[int, int, int, int] | None = None
    reply: bool = False
    snat_by: str = ""

    def seen(self, packet: Packet) -> Packet:
        """Return the packet with what connection tracking makes of it."""
        return packet.tracked(self.state, self.dnat, self.snat, self.original, self.reply)


class Detour(NamedTuple):
    """An address that no object has: it is reached through a node, on the interface that routes to it there."""

    family: Family
    address: int
    node: str
    interface: str
    gateway: int | None
    """The node's address, next hop for every other host (None on the node itself)."""


def receive(
    machine: Machine,
    packet: Packet,
    arrival: Arrival,
    detour: Detour | None = None,
    view: RememberingView | None = None,
) -> list[Passage]:
    """Return every way a packet that comes in on an interface takes through the host."""
    if arrival.framed and not machine.sysctl(BRIDGE_CALLS[packet.family]):
        return [Passage(ONE, Sent(arrival.interface, None, True), out_interface=arrival.interface, tracked=False)]
    run = Run(machine, view or machine, arrival.known, snat_by=arrival.snat_by)
    seen = arrival.seen(packet.at(arrival.interface, ""))
    return [
        passage
        for strand in run_hook(run, Hook.PREROUTING, Strand(ONE, seen))
        for passage in after_prerouting(run, strand, packet.dst, arrival, detour)
    ]


def after_prerouting(
    run: Run, strand: Strand, sent_to: int, arrival: Arrival, detour: Detour | None = None
) -> list[Passage]:
    """Return every way a packet takes that PREROUTING let through; *sent_to* is where it was addressed to before."""
    link = run.machine.interfaces.get(arrival.interface)
    calls = link is not None and link.kind == "bridge" and run.machine.sysctl(BRIDGE_CALLS[strand.packet.family])
    bridging = calls and strand.packet.dst != sent_to
    return [_passage(done) for done in _after_prerouting(run, strand, arrival, detour, bridging=bridging)]


def _after_prerouting(
    run: Run, strand: Strand, arrival: Arrival, detour: Detour | None, *, bridging: bool
) -> Iterable[Strand]:
    """Route what PREROUTING let through. `bridging`: a bridged frame whose destination has been translated here."""
    if strand.ended is not None:
        return [strand]
    machine, packet = run.machine, strand.packet
    if arrival.framed and not bridging:
        return _forward(run, strand, Route(packet.family, 0, 0, arrival.interface), bridged=True)
    refused = None if arrival.trusted else _input_refused(machine, packet)
    if refused is not None:
        return [strand._replace(ended=refused)]
    if machine.is_local(packet.family, packet.dst):
        return _deliver(run, _routed(strand, Hook.PREROUTING, None, "local"), detour)
    route = find_route(machine, packet, detour)
    if route is None or route.blackhole:
        return [strand._replace(ended=Lost("NO_ROUTE", disposition="NO_ROUTE"))]
    stays = bridging and route.interface == arrival.interface and route.gateway is None
    return _forward(run, _routed(strand, Hook.PREROUTING, route), route, bridged=stays)


def _routed(strand: Strand, hook: Hook, route: Route | None, text: str = "") -> Strand:
    return strand._replace(events=(*strand.events, Event(hook, None, None, route, text)))


def _input_refused(machine: Machine, packet: Packet) -> Lost | None:
    """Return why the input routing refuses a packet: a martian address, or a failed reverse path check."""
    interface = packet.in_interface
    if interface == "lo":
        return None
    if packet.family == 6:
        return Lost("MARTIAN_SOURCE") if packet.src == LOOPBACK6 or packet.dst == LOOPBACK6 else None
    localnet = machine.sysctl("net.ipv4.conf.all.route_localnet")
    if packet.dst >> 24 == 127 and not localnet:
        return Lost("MARTIAN_DESTINATION")
    if packet.src >> 24 == 127 and not localnet:
        return Lost("MARTIAN_SOURCE")
    if machine.is_local(4, packet.src) and not machine.sysctl("net.ipv4.conf.all.accept_local"):
        return Lost("MARTIAN_SOURCE")
    return _reverse_path(machine, packet)


def _reverse_path(machine: Machine, packet: Packet) -> Lost | None:
    mode = machine.host.sysctls.get("net.ipv4.conf.all.rp_filter", "0")
    if mode == "0":
        return None
    back = machine.route(4, packet.src)
    if back is None or (mode == "1" and back.interface != packet.in_interface):
        return Lost("REVERSE_PATH")
    return None


def find_route(machine: Machine, packet: Packet, detour: Detour | None) -> Route | None:
    """Return the route to the packet's destination; an address that no object has goes through its node."""
    if detour is not None and detour.address == packet.dst and detour.family == packet.family:
        if machine.name == detour.node:
            return Route(packet.family, packet.dst, 0, detour.interface)
        uplink = next((i.name for i in machine.host.interfaces if i.kind == "ethernet"), "eth0")
        if machine.host.kind in ("node", "router") and detour.gateway is not None:
            near = machine.route(packet.family, detour.gateway)
            hop = detour.gateway if near is None or near.gateway is None else near.gateway
            return Route(packet.family, packet.dst, 0, near.interface if near else uplink, hop)
    return machine.route(packet.family, packet.dst)


def _deliver(run: Run, strand: Strand, detour: Detour | None) -> Iterator[Strand]:
    """INPUT, then the sockets; IPVS may take the packet and send it on instead."""
    for item in run_hook(run, Hook.INPUT, strand):
        if item.ended is not None:
            yield item
        elif item.taken_at < 0:
            yield item._replace(ended=Delivered())
        elif run.machine.is_local(item.packet.family, item.packet.dst):
            rest = run_hook(run, Hook.INPUT, item._replace(taken_at=-1), item.taken_at + 1)
            yield from (last if last.ended is not None else last._replace(ended=Delivered()) for last in rest)
        else:
            yield from _ipvs_send(run, item, detour)


def _ipvs_send(run: Run, strand: Strand, detour: Detour | None) -> Iterator[Strand]:
    """IPVS hands its packet to all of LOCAL_OUT, as if the host had sent it (ip_vs_nat_send_or_cont())."""
    route = find_route(run.machine, strand.packet, detour)
    if route is None or route.blackhole:
        yield strand._replace(ended=Lost("NO_ROUTE", disposition="NO_ROUTE"))
        return
    again = strand._replace(
        packet=strand.packet.at("", route.interface), asked=strand.asked | {"dst-done"}, taken_at=-1
    )
    for item in run_hook(run, Hook.OUTPUT, _routed(again, Hook.OUTPUT, route, "rerouted")):
        yield from _leave(run, item, route, bridged=False)


def _forward(run: Run, strand: Strand, route: Route, *, bridged: bool) -> Iterator[Strand]:
    machine, packet = run.machine, strand.packet
    forwarding = "net.ipv4.ip_forward" if packet.family == 4 else "net.ipv6.conf.all.forwarding"
    if not bridged and not machine.sysctl(forwarding):
        yield strand._replace(ended=Lost("NOT_FORWARDING"))
        return
    seen = strand._replace(packet=packet.at(packet.in_interface, route.interface))
    for item in run_hook(run, Hook.FORWARD, seen):
        yield from _leave(run, item, route, bridged=bridged)


def _leave(run: Run, strand: Strand, route: Route, *, bridged: bool) -> Iterator[Strand]:
    """POSTROUTING, then the wire."""
    if strand.ended is not None:
        yield strand
        return
    packet = strand.packet
    next_hop = packet.dst if route.gateway is None else route.gateway
    # The bridge's POSTROUTING shows the port's bridge as outgoing interface and none as incoming.
    seen = strand._replace(packet=packet.at("", route.interface))
    for item in run_hook(run._replace(next_hop=next_hop), Hook.POSTROUTING, seen):
        yield item if item.ended is not None else item._replace(ended=Sent(route.interface, route.gateway, bridged))


def emit(
    machine: Machine,
    packet: Packet,
    known: Arrival | None = None,
    detour: Detour | None = None,
    view: RememberingView | None = None,
) -> list[Passage]:
    """Return every way a packet that a process of this host sends takes out of it (or back to it)."""
    arrival = known or Arrival("")
    run = Run(machine, view or machine, arrival.known, snat_by=arrival.snat_by)
    first = _output_route(machine, packet, detour)
    if isinstance(first, Lost):
        return [Passage(ONE, first)]
    seen = arrival.seen(packet.at("", first.interface))
    start = _routed(Strand(ONE, seen), Hook.OUTPUT, first)
    return [
        _passage(done)
        for strand in run_hook(run, Hook.OUTPUT, start)
        for done in _after_output(run, strand, packet, first, detour)
    ]


def _output_route(machine: Machine, packet: Packet, detour: Detour | None) -> Route | Lost:
    if machine.is_local(packet.family, packet.dst):
        return Route(packet.family, packet.dst, 0, "lo")
    route = find_route(machine, packet, detour)
    if route is None or route.blackhole:
        return Lost("NO_ROUTE", disposition="NO_ROUTE")
    return route


def _after_output(run: Run, strand: Strand, sent: Packet, first: Route, detour: Detour | None) -> Iterable[Strand]:
    if strand.ended is not None:
        return [strand]
    packet, route = strand.packet, first
    if strand.taken_at >= 0:
        return _after_ipvs(run, strand, detour)
    if packet.dst != sent.dst or packet.mark != sent.mark:
        again = _output_route(run.machine, packet, detour)
        if isinstance(again, Lost):
            return [strand._replace(ended=again)]
        route = again
        if route != first:
            strand = _routed(strand, Hook.OUTPUT, route, "rerouted")
    if _loopback_escapes(run.machine, packet, route):
        return [strand._replace(ended=Lost("MARTIAN_SOURCE"))]
    if route.interface == "lo":
        return _through_loopback(run, strand, route)
    return _leave(run, strand, route, bridged=False)


def _after_ipvs(run: Run, strand: Strand, detour: Detour | None) -> Iterator[Strand]:
    """IPVS took a process' packet: to a server on this host it goes on where it was, else through LOCAL_OUT again."""
    if not run.machine.is_local(strand.packet.family, strand.packet.dst):
        yield from _ipvs_send(run, strand, detour)
        return
    route = Route(strand.packet.family, strand.packet.dst, 0, "lo")
    rest = strand._replace(packet=strand.packet.at("", "lo"), taken_at=-1)
    for item in run_hook(run, Hook.OUTPUT, rest, strand.taken_at + 1):
        yield from [item] if item.ended is not None else _through_loopback(run, item, route)


def _loopback_escapes(machine: Machine, packet: Packet, route: Route) -> bool:
    """Whether a loopback source would leave on a real interface (__mkroute_output() wants route_localnet for that)."""
    if route.interface == "lo":
        return False
    if packet.family == 6:
        return packet.src == LOOPBACK6
    return packet.src >> 24 == 127 and not machine.sysctl("net.ipv4.conf.all.route_localnet")


def _through_loopback(run: Run, strand: Strand, route: Route) -> Iterator[Strand]:
    """POSTROUTING out of lo, PREROUTING and INPUT into lo; nat chains have been asked already, the route is kept."""
    for item in _leave(run, strand, route, bridged=False):
        if not isinstance(item.ended, Sent):
            yield item
            continue
        packet = item.packet.at("lo", "")
        # The translations are settled, so nat chains of the way in are not asked again.
        back = item._replace(packet=packet, ended=None, asked=item.asked | {"dst-done", "src-done"})
        for inside in run_hook(run, Hook.PREROUTING, back):
            if inside.ended is not None:
                yield inside
            else:
                yield from (
                    last if last.ended is not None else last._replace(ended=Delivered())
                    for last in run_hook(run, Hook.INPUT, inside)
                )


def _passage(strand: Strand) -> Passage:
    ended: End | None = strand.ended
    assert ended is not None
    return Passage(
        strand.weight,
        ended,
        strand.nat,
        strand.events,
        strand.remembers,
        strand.assumed,
        ended.interface if isinstance(ended, Sent) else "",
    )
