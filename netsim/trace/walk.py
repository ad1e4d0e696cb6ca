"""Walking: a packet from host to host until it is delivered, refused or lost, and its answer all the way back."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from netsim.hosts.layout import bridge_segment, veth_name
from netsim.hosts.model import Neighbour
from netsim.hosts.network import Network
from netsim.packet.packet import Packet
from netsim.trace.machine import Affinities, Machine, RememberingView, segment_of
from netsim.trace.passage import ONE, Delivered, End, Lost, Passage, Sent
from netsim.trace.passes import Arrival, Detour, emit, receive

MAX_HOPS = 32


class Hop(NamedTuple):
    """One host on the way: the packet as it came in and as it went out. `port`: where it came in, "" for a process."""

    machine: Machine
    port: str
    packet: Packet
    passage: Passage
    out: Packet


class Leaf(NamedTuple):
    """Where one way ends. `back` are the hops of the answer, once it has been followed."""

    weight: Fraction
    hops: tuple[Hop, ...]
    end: End
    back: tuple[Hop, ...] = ()


class Scene(NamedTuple):
    """What holds for a whole trace besides the network: a detour, a pinned entry node, affinity tables, known flows.

    entry: the node to which the router hands packets from outside. established: hops of the connection's first packet.
    """

    detour: Detour | None = None
    entry: str = ""
    ages: Affinities | None = None
    established: tuple[Hop, ...] = ()


PLAIN = Scene()
OUTER_PORT, INNER_PORT = "eth1", "eth0"
"""The router's interfaces towards the outside and towards the nodes."""


class Walker:
    """Walks packets through a Network; machines are made once and kept."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._machines: dict[str, Machine] = {}

    def machine(self, name: str) -> Machine:
        """Return a host, ready to run."""
        found = self._machines.get(name)
        if found is None:
            found = self._machines[name] = Machine(self.network.host(name))
        return found

    def view(self, machine: Machine, scene: Scene) -> RememberingView | None:
        """Return how the machine answers rules when earlier connections are remembered."""
        return None if scene.ages is None else RememberingView(machine, scene.ages)

    def send(self, name: str, packet: Packet, scene: Scene = PLAIN) -> list[Leaf]:
        """Follow a packet that a process on a host sends."""
        machine = self.machine(name)
        known = _known(scene.established, machine, packet)
        passages = emit(machine, packet, known, scene.detour, self.view(machine, scene))
        return list(self._continue(machine, "", packet, passages, (), ONE, scene))

    def enter(self, name: str, interface: str, packet: Packet, scene: Scene = PLAIN) -> list[Leaf]:
        """Follow a packet of unknown sender that comes in on an interface of a host, unchecked."""
        machine = self.machine(name)
        arrival = _known(scene.established, machine, packet) or Arrival("")
        arrival = arrival._replace(interface=interface, trusted=True)
        passages = receive(machine, packet, arrival, scene.detour, self.view(machine, scene))
        return list(self._continue(machine, interface, packet, passages, (), ONE, scene))

    def follow(
        self, machine: Machine, port: str, packet: Packet, passages: list[Passage], before: tuple[Hop, ...]
    ) -> list[Leaf]:
        """Follow a packet from a host on which its passages are known already."""
        return list(self._continue(machine, port, packet, passages, before, ONE, PLAIN))

    def _continue(
        self,
        machine: Machine,
        port: str,
        packet: Packet,
        passages: list[Passage],
        before: tuple[Hop, ...],
        weight: Fraction,
        scene: Scene,
    ) -> Iterator[Leaf]:
        for passage in passages:
            out = passage.applied(packet)
            hops = (*before, Hop(machine, port, packet, passage, out))
            share = weight if passage.weight == 1 else weight * passage.weight
            end = passage.end
            if isinstance(end, Sent):
                yield from self._cross(machine, end, hops, share, scene)
            else:
                yield Leaf(share, hops, end)

    def _cross(
        self, machine: Machine, sent: Sent, hops: tuple[Hop, ...], weight: Fraction, scene: Scene
    ) -> Iterator[Leaf]:
        packet = hops[-1].out
        place = self.arrive(machine, sent, hops, scene)
        if isinstance(place, Lost | Delivered):
            yield Leaf(weight, hops, place)
            return
        target, port, arrival = place
        if len(hops) >= MAX_HOPS or _seen(hops, target, port, packet):
            yield Leaf(weight, hops, Lost("LOOP", disposition="LOOP"))
            return
        known = _known(scene.established, target, packet)
        if known is not None:
            arrival = known._replace(interface=arrival.interface, framed=arrival.framed)
        passages = self.passages(target, packet, arrival, scene)
        yield from self._continue(target, port, packet, passages, hops, weight, scene)

    def passages(self, machine: Machine, packet: Packet, arrival: Arrival, scene: Scene) -> list[Passage]:
        """Return how a packet goes through a host; the router hands what comes from outside to the entry node."""
        if scene.entry and machine.name == self.network.router and arrival.interface == OUTER_PORT:
            address = self.network.facts[scene.entry].primary(packet.family)
            if address is None:
                return [Passage(ONE, Lost("NO_ROUTE", disposition="NO_ROUTE"))]
            return [Passage(ONE, Sent(INNER_PORT, address.value), out_interface=INNER_PORT)]
        return receive(machine, packet, arrival, scene.detour, self.view(machine, scene))

    def arrive(
        self, machine: Machine, sent: Sent, hops: tuple[Hop, ...], scene: Scene
    ) -> tuple[Machine, str, Arrival] | Lost | Delivered:
        """Return where a packet that leaves a host comes in: (host, port as people see it, arrival)."""
        packet = hops[-1].out
        detour = scene.detour
        if detour is not None and machine.name == detour.node and packet.dst == detour.address:
            return Delivered()
        segment = segment_of(machine, sent.interface)
        address = packet.dst if sent.gateway is None else sent.gateway
        neighbour = self.network.neighbour(segment, packet.family, address)
        if neighbour is None:
            return Lost("NO_NEIGHBOUR", disposition="NO_ROUTE")
        host = machine.host
        if host.kind == "pod" and host.node and segment == bridge_segment(host.node):
            return self._onto_bridge(machine, neighbour)
        if sent.bridged and not self._turns_back(machine, sent, neighbour, hops):
            return Lost("HAIRPIN_OFF")
        target = self.machine(neighbour.host)
        return target, neighbour.interface, Arrival(neighbour.interface)

    def _onto_bridge(self, pod: Machine, neighbour: Neighbour) -> tuple[Machine, str, Arrival]:
        """A pod's frame enters its node at the pod's port, addressed to the bridge itself or to another port."""
        node = self.machine(pod.host.node)
        bridge = self.network.cni.bridge
        port = veth_name(*pod.host.pod) if pod.host.pod else bridge
        return node, port, Arrival(bridge, framed=neighbour.host != node.name)

    def _turns_back(self, machine: Machine, sent: Sent, neighbour: Neighbour, hops: tuple[Hop, ...]) -> bool:
        """Whether a bridged frame gets to its port: one that came in there needs hairpin mode."""
        same = len(hops) > 1 and hops[-2].machine.name == neighbour.host
        link = machine.interfaces.get(sent.interface)
        return not same or (link is not None and link.hairpin)


def _seen(hops: tuple[Hop, ...], target: Machine, port: str, packet: Packet) -> bool:
    header = packet.header
    return any(hop.machine is target and hop.port == port and hop.packet.header == header for hop in hops)


def _known(established: tuple[Hop, ...], machine: Machine, packet: Packet) -> Arrival | None:
    """Return what connection tracking on a host knows of a packet of an established connection."""
    header = packet.header
    for hop in established:
        if hop.machine is machine and hop.packet.header == header:
            nat = hop.passage.nat
            translated = (nat.dnat, nat.src is not None)
            return Arrival("", False, False, hop.out, "ESTABLISHED", *translated, hop.packet.header, False, nat.snat_by)
    return None
