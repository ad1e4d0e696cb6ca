"""Answers from shared walks: a pod dials a Service, and every endpoint of one class goes the same way.

The fork at the client's node is walked for each question; what comes after it, all the way to the server and back, is
walked once for each class of endpoints (`classes`) and then shared. Only the common case is answered here: a pod
without rules of its own, one translated way for each random choice. Everything else is walked in full. The hosts of a
shared outcome are walked in full, too, when somebody looks at them; both must agree.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction
from functools import partial
from typing import NamedTuple, TypeVar, cast

from iptables_gen.dataplane import Hook
from iptables_gen.effects import NOTHING_HAPPENS, Accept, Dnat, IpvsSend, Path, Remember, RuleHit, SetMark
from iptables_gen.values import Family, in_net
from netsim.cluster.collector import paused_collector
from netsim.packet.packet import Packet
from netsim.trace.answer import NOWHERE, Outcome, Place
from netsim.trace.classes import Classes, Role
from netsim.trace.later import Later, Retrace
from netsim.trace.machine import Machine
from netsim.trace.netfilter import Run, Strand, run_hook
from netsim.trace.passage import ONE, Delivered, Lost, Nat, Passage, Sent
from netsim.trace.passes import Arrival, after_prerouting, emit
from netsim.trace.walk import PLAIN, Hop, Leaf, Walker

MOST = 200_000
"""Forks, ways and groups that are remembered before everything is forgotten."""
H = TypeVar("H", bound=Hashable)
Finish = Callable[[Leaf], Sequence[Outcome]]


class Branch(NamedTuple):
    """One random choice at the client's node. `place` is None where only a walk can say whose the address is."""

    weight: Fraction
    address: int
    port: int
    mark: int
    place: Place | None


class Fork(NamedTuple):
    """What PREROUTING of a node makes of a packet: branches, and their numbers in groups that go the same way.

    `paths` are what it was made from (its identity is the key). No branches: it has to be walked in full. weights and
    places are those of the branches, side by side: they are all that most questions look at.
    """

    paths: tuple[Path, ...]
    branches: tuple[Branch, ...] = ()
    groups: tuple[tuple[Hashable, tuple[int, ...]], ...] = ()
    addresses: frozenset[int] = frozenset()
    weights: tuple[Fraction, ...] = ()
    places: tuple[Place | None, ...] = ()
    dialled: Hashable = None
    """The class of the address that was dialled, as the source of an answer."""


class Door(NamedTuple):
    """How a pod's packet to a distant address enters its node."""

    node: Machine
    port: str
    arrival: Arrival
    first: Passage


class Shared:
    """Remembers forks and ways for one walker."""

    def __init__(self, walker: Walker, finish: Finish) -> None:
        self._walker = walker
        self._network = walker.network
        self._finish = finish
        self._classes: dict[tuple[str, Family, Role], Classes] = {}
        self._doors: dict[tuple[str, Family, int], Door | None] = {}
        self._forks: dict[tuple[str, int, int, int], Fork] = {}
        self._asked: dict[tuple[object, ...], Fork] = {}
        self._ways: dict[Hashable, Outcome | None] = {}
        self._groups: dict[tuple[str, Family, int], int] = {}
        self._numbers: dict[Hashable, int] = {}
        self._values: dict[Hashable, Hashable] = {}

    def outcomes(self, client: str, packet: Packet, retrace: Retrace) -> tuple[Outcome, ...] | None:
        """Return the outcomes of a packet that a pod sends; None when it has to be walked in full."""
        machine = self._walker.machine(client)
        door = self._door(machine, packet)
        if door is None:
            return None
        fork = self._fork_for(door, packet)
        if not fork.branches or (packet.src in self._network.endpoints and packet.src in fork.addresses):
            return None
        return self._answered(machine, door, packet, fork, retrace)

    def _answered(
        self, client: Machine, door: Door, packet: Packet, fork: Fork, retrace: Retrace
    ) -> tuple[Outcome, ...] | None:
        base = (client.name, packet[:3], packet.sport, packet.dport, fork.dialled)
        ways: list[Outcome] = []
        for group, members in fork.groups:
            key = (base, group)
            way = self._ways[key] if key in self._ways else self._walk(key, client, door, packet, fork, members[0])
            if way is None:
                return None
            ways.append(way)
        retrace.expect(partial(_assembled, fork, ways, retrace=None))
        return _assembled(fork, ways, retrace)

    def _class(self, machine: Machine, family: Family, role: Role) -> Classes:
        key = (machine.name, family, role)
        found = self._classes.get(key)
        if found is None:
            found = self._classes[key] = Classes(machine, family, role)
        return found

    def _door(self, client: Machine, packet: Packet) -> Door | None:
        route = client.route(packet.family, packet.dst)
        if route is None or route.gateway is None:
            return None
        key = (client.name, packet.family, route.gateway)
        if key not in self._doors:
            self._doors[key] = self._find_door(client, packet)
        return self._doors[key]

    def _find_door(self, client: Machine, packet: Packet) -> Door | None:
        if client.has_programs or client.host.kind != "pod" or client.is_local(packet.family, packet.dst):
            return None
        (first,) = emit(client, packet)
        if not isinstance(first.end, Sent):
            return None
        hop = Hop(client, "", packet, first, packet)
        place = self._walker.arrive(client, first.end, (hop,), PLAIN)
        if isinstance(place, Lost | Delivered):
            return None
        node, port, arrival = place
        return None if arrival.framed or not node.has_programs else Door(node, port, arrival, first)

    def _fork_for(self, door: Door, packet: Packet) -> Fork:
        """Return what the node makes of a packet, asked once for all clients that its rules do not tell apart."""
        node = door.node
        clients = self._class(node, packet.family, "client")
        if clients.exact:
            return self._fork(door, packet.at(door.arrival.interface, ""))
        family, protocol, src, dst, sport, dport = packet[:6]
        key = (node.name, door.arrival.interface, clients.of(src), family, protocol, dst, sport, dport)
        found = self._asked.get(key)
        if found is None:
            if len(self._asked) > MOST:
                self._asked.clear()
            with paused_collector():
                found = self._asked[key] = self._fork(door, packet.at(door.arrival.interface, ""))
        return found

    def _fork(self, door: Door, packet: Packet) -> Fork:
        """Return what the node makes of a packet before it routes it on: PREROUTING, or IPVS in INPUT.

        Only one base chain may do anything, but for marks that PREROUTING sets before IPVS takes the packet.
        """
        node, paths = door.node, NOTHING_HAPPENS
        for item in node.entries(Hook.PREROUTING, packet.family):
            if _inert(paths):
                paths = item.entry.run(packet, node)
            elif not item.translates:
                return Fork(paths)
            # What is translated is not asked again by nat chains; a path that is not makes no fork (`_branch`).
        if len(paths) == 1 and node.is_local(packet.family, packet.dst):
            return self._fork_at_input(node, packet, paths)
        return self._known_fork(node, packet, paths)

    def _fork_at_input(self, node: Machine, packet: Packet, before: tuple[Path, ...]) -> Fork:
        marked = packet
        for effect in before[0].effects:
            if isinstance(effect, SetMark):
                marked = marked.marked(effect.value)
            elif not isinstance(effect, RuleHit):
                return Fork(before)
        if not isinstance(before[0].verdict, Accept):
            return Fork(before)
        for item in node.entries(Hook.INPUT, packet.family):
            paths = item.entry.run(marked, node)
            if not _inert(paths):
                return self._known_fork(node, marked, paths)
        return Fork(before)

    def _known_fork(self, node: Machine, packet: Packet, paths: tuple[Path, ...]) -> Fork:
        key = (node.name, id(paths), packet.mark, packet.dst)
        found = self._forks.get(key)
        if found is None:
            if len(self._forks) > MOST:
                self._forks.clear()
            found = self._forks[key] = self._make_fork(node, packet, paths)
        return found

    def _make_fork(self, node: Machine, packet: Packet, paths: tuple[Path, ...]) -> Fork:
        if self._class(node, packet.family, "server").exact:
            # Every address is a class of its own: nothing would be shared.
            return Fork(paths)
        branches = [self._branch(packet, path) for path in paths]
        made = tuple([branch for branch in branches if branch is not None])
        if len({(branch.address, branch.port) for branch in made}) < len(paths):
            return Fork(paths)
        groups: dict[Hashable, list[int]] = {}
        for number, branch in enumerate(made):
            alike = self._group(node, packet.family, branch.address)
            groups.setdefault((alike, branch.port, branch.mark), []).append(number)
        listed = tuple([(group, tuple(numbers)) for group, numbers in groups.items()])
        addresses = frozenset(branch.address for branch in made)
        dialled = self._class(node, packet.family, "dialled").of(packet.dst)
        weights = self._one(tuple([self._one(branch.weight) for branch in made]))
        return Fork(
            paths,
            made,
            self._one(listed),
            addresses,
            weights,
            tuple([branch.place for branch in made]),
            self._one(dialled),
        )

    def _one(self, value: H) -> H:
        """Return the one value that equals this: what is the same for all Services stays in the processor's cache."""
        return cast("H", self._values.setdefault(value, value))

    def _branch(self, packet: Packet, path: Path) -> Branch | None:
        """Return where a path translates to; None for a path that does anything else."""
        mark, target = packet.mark, None
        for effect in path.effects:
            match effect:
                case SetMark(value):
                    mark = value
                case Dnat(int() as address, int() as port) if target is None:
                    target = address, port
                case RuleHit() | Remember():
                    pass
                case _:
                    return None
        if isinstance(path.verdict, IpvsSend) and target is None:
            target = path.verdict.address, path.verdict.port
        elif target is None or not isinstance(path.verdict, Accept):
            return None
        return Branch(path.weight, *target, mark, self._place(packet.family, *target))

    def _place(self, family: Family, address: int, port: int) -> Place | None:
        owner = self._network.owner(family, address)
        if owner is None or owner.kind != "pod":
            return None
        return Place(family, address, port, "/".join(owner.pod) if owner.pod else None, owner.node)

    def _group(self, node: Machine, family: Family, address: int) -> int:
        """Return the number of an endpoint's class as packets of a node see it."""
        key = (node.name, family, address)
        found = self._groups.get(key)
        if found is None:
            if len(self._groups) > MOST:
                self._groups.clear()
            alike = self._alike(node, family, address)
            found = self._groups[key] = self._numbers.setdefault(alike, len(self._numbers))
        return found

    def _alike(self, node: Machine, family: Family, address: int) -> Hashable:
        """Return what decides about an endpoint's way: its node and pod network, and its class on every machine there.

        Only pods share: what listens on a node or outside depends on the address itself.
        """
        owner = self._network.owner(family, address)
        if owner is None or owner.kind != "pod":
            return family, address
        networks = self._network.facts[owner.node].pod_networks
        home = [network for network in networks if network[0] == family and in_net(address, *network[1:], family)]
        pod = self._network.cluster.pod(*owner.pod) if owner.pod else None
        declared = None if pod is None else frozenset((port.protocol, port.port) for port in pod.ports)
        there = self._walker.machine(owner.node)
        machines = [node, *([] if there is node else [there]), self._walker.machine(self._network.router)]
        classes = tuple([self._class(machine, family, "server").of(address) for machine in machines])
        return family, owner.node, tuple(home), declared, classes

    def _walk(
        self, key: Hashable, client: Machine, door: Door, packet: Packet, fork: Fork, number: int
    ) -> Outcome | None:
        """Walk one branch in full and remember its outcome for its group; None when it cannot stand for others."""
        if len(self._ways) > MOST:
            self._ways.clear()
        branch = fork.branches[number]
        run = Run(door.node, door.node)
        seen = door.arrival.seen(packet.at(door.arrival.interface, ""))
        strands = run_hook(run, Hook.PREROUTING, Strand(ONE, seen))
        if len(strands) > 1:
            strands = [strand for strand in strands if _target(strand.nat) == (branch.address, branch.port)]
        (strand,) = strands
        before = (Hop(client, "", packet, door.first, packet),)
        # Behind IPVS the choice is made after PREROUTING.
        all_ways = after_prerouting(run, strand, packet.dst, door.arrival)
        passages = [way for way in all_ways if _target(way.nat) == (branch.address, branch.port)]
        leaves = self._walker.follow(door.node, door.port, packet, passages, before)
        found = [outcome for leaf in leaves for outcome in self._finish(leaf)]
        way = found[0] if len(found) == 1 and _may_stand_for_others(found[0], branch) else None
        self._ways[key] = None if way is None else way._replace(trail=NOWHERE)
        return self._ways[key]


def _target(nat: Nat) -> tuple[int | None, int | None]:
    return nat.dst, nat.dport


def _assembled(fork: Fork, ways: Sequence[Outcome], retrace: Retrace | None) -> tuple[Outcome, ...]:
    """Return the outcomes of a fork whose groups go these ways."""
    found: list[Outcome] = [_NOTHING] * len(fork.branches)
    weights, places = fork.weights, fork.places
    for way, (_, members) in zip(ways, fork.groups, strict=True):
        _, disposition, code, endpoint, sees, snat, cni, reached, *rest, trail = way
        for number in members:
            place = places[number]
            # Positions, not names: this runs once an outcome.
            found[number] = _outcome(
                (
                    weights[number],
                    disposition,
                    code,
                    endpoint and (place or endpoint),
                    sees,
                    snat,
                    cni,
                    reached and (place or reached),
                    *rest,
                    trail if retrace is None else Later(retrace, number),
                )
            )
    return tuple(found)


_outcome = Outcome._make


def _may_stand_for_others(outcome: Outcome, branch: Branch) -> bool:
    """Whether an outcome is certain once the branch is taken, and its answer met no host without the connection."""
    known = {hop.machine.name for hop in outcome.hops}
    strangers = [hop for hop in outcome.back if hop.machine.has_programs and hop.machine.name not in known]
    return outcome.probability == branch.weight and not outcome.assumed and not strangers


def _inert(paths: tuple[Path, ...]) -> bool:
    if len(paths) != 1 or not isinstance(paths[0].verdict, Accept):
        return False
    return all(isinstance(effect, RuleHit) for effect in paths[0].effects)


_NOTHING = Outcome(ONE, "DROPPED", "")
