"""Running a packet through IPVS where the kernel hooks it: LOCAL_IN and LOCAL_OUT.

Only packets whose destination is bound to the host get to LOCAL_IN: that is why kube-proxy binds virtual addresses to
kube-ipvs0. Source: kernel net/netfilter/ipvs/ip_vs_core.c (hook priorities NF_IP_PRI_NAT_SRC - 2 and
NF_IP_PRI_NAT_DST + 2, `ip_vs_ops4`); ipvsadm(8) "SCHEDULING".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from iptables_gen.dataplane import Hook, HookEntry, Mentions, Priority
from iptables_gen.effects import (
    NOTHING_HAPPENS,
    Accept,
    Assumed,
    Effect,
    IpvsNoServer,
    IpvsSend,
    Path,
    Remember,
    RuleHit,
    Undetermined,
)
from iptables_gen.ipvs.ir import RealServer, VirtualServer
from iptables_gen.ipvs.text import real_text, service_text
from iptables_gen.origin import Origin
from iptables_gen.values import format_endpoint, parse_ip
from iptables_gen.view import HostView, PacketView

TABLE: Final = "ipvs"
LOCAL_IN: Final = Priority.SRCNAT - 2
LOCAL_OUT: Final = Priority.DSTNAT + 2

EVEN: Final = frozenset({"rr", "wrr", "twos"})
"""Schedulers whose shares are the weights."""
BY_LOAD: Final = frozenset({"lc", "wlc", "sed", "nq", "lblc", "lblcr", "ovf"})
"""Schedulers that look at the connections of each server."""
BY_HASH: Final = frozenset({"sh", "dh", "mh"})
"""Schedulers that hash an address; which server a hash names depends on the order in which servers were added."""


@dataclass(frozen=True, slots=True)
class ServerName:
    """A virtual server, or one of its real servers, as a step names it."""

    server: VirtualServer
    real: RealServer | None = None

    @property
    def table(self) -> str:
        """Return `ipvs`."""
        return TABLE

    @property
    def chain(self) -> str:
        """Return the virtual server's name."""
        return self.server.name

    @property
    def text(self) -> str:
        """Return the line of `ipvsadm -Sn`."""
        return service_text(self.server) if self.real is None else real_text(self.server, self.real)

    @property
    def origin(self) -> Origin | None:
        """Return the manifest field behind the server; the virtual server's for a real one without its own."""
        because = (self.real.because if self.real else None) or self.server.because
        return because() if because else None


@dataclass(frozen=True, slots=True)
class Ready:
    """A virtual server made executable: usable real servers with their shares."""

    server: VirtualServer
    shares: tuple[tuple[RealServer, Fraction], ...]


def affinity_table(server: VirtualServer, real: RealServer) -> str:
    """Return the name under which the host remembers a persistence template."""
    return f"ipvs {server.name} {real.key}"


_HOST_EXPOSED: Final = (
    Path(
        Fraction(1),
        Accept(),
        (
            Assumed(
                "IPVS_BOUND_VIP",
                "the virtual address is bound to kube-ipvs0 and no virtual server has this port: "
                "what listens on the node itself answers",
            ),
        ),
    ),
)


class Scheduler:
    """The virtual servers of one family, indexed by (protocol, address, port) and by firewall mark."""

    __slots__ = ("_bound", "_index", "_marks", "_ready", "_settled", "_source")

    def __init__(self, servers: Iterable[VirtualServer], bound: Iterable[str] = ()) -> None:
        self._bound = frozenset(parse_ip(address)[1] for address in bound)
        self._source: tuple[VirtualServer, ...] | None = tuple(servers)
        self._index: dict[tuple[str, int, int], VirtualServer] = {}
        self._marks: dict[int, VirtualServer] = {}
        self._ready: dict[int, Ready] = {}
        self._settled: dict[int, tuple[Path, ...]] = {}

    def _build(self, servers: tuple[VirtualServer, ...]) -> None:
        for server in servers:
            if server.fwmark:
                self._marks[server.fwmark] = server
            else:
                self._index[server.protocol, parse_ip(server.address)[1], server.port] = server
        self._source = None

    def find(self, packet: PacketView) -> VirtualServer | None:
        """Return the virtual server that answers a packet: by mark first, then by address and port, then port 0."""
        if self._source is not None:
            self._build(self._source)
        if self._marks and (marked := self._marks.get(packet.mark)):
            return marked
        key = (packet.protocol, packet.dst, packet.dport)
        return self._index.get(key) or self._index.get((packet.protocol, packet.dst, 0))

    def run(self, packet: PacketView, host: HostView) -> tuple[Path, ...]:
        """Return every server that may be chosen; packets IPVS already handled and other traffic go on untouched."""
        if packet.ipvs or packet.ct_state not in ("NEW", "UNTRACKED"):
            return NOTHING_HAPPENS
        server = self.find(packet)
        if server is None:
            return NOTHING_HAPPENS
        key = id(server)
        known = self._settled.get(key)
        if known is not None:
            return known
        ready = self._ready.get(key)
        if ready is None:
            ready = self._ready[key] = prepare(server)
        paths = schedule(ready, packet, host)
        if not server.persistent and all(real.port for real in server.servers):
            self._settled[key] = paths
        return paths

    def run_at_input(self, packet: PacketView, host: HostView) -> tuple[Path, ...]:
        """Return the same at LOCAL_IN, where a packet to a bound address without a server goes on to the host."""
        paths = self.run(packet, host)
        if paths is NOTHING_HAPPENS and packet.dst in self._bound and packet.ct_state == "NEW" and not packet.ipvs:
            return _HOST_EXPOSED
        return paths

    def mentions(self, side: str) -> Mentions:
        """Return the addresses told apart: as destinations those of virtual servers, as sources none."""
        if self._source is not None:
            self._build(self._source)
        served = frozenset(address for _, address, _ in self._index)
        return Mentions(served | self._bound if side == "dst" else frozenset())


def prepare(server: VirtualServer) -> Ready:
    """Return the servers with weight above 0 and the share that each takes."""
    usable = [real for real in server.servers if real.weight > 0]
    if server.scheduler == "fo" and usable:
        best = max(real.weight for real in usable)
        usable = [real for real in usable if real.weight == best][:1]
    by_weight = server.scheduler not in ("rr", "lc")
    total = sum(real.weight if by_weight else 1 for real in usable)
    return Ready(server, tuple((real, Fraction(real.weight if by_weight else 1, total)) for real in usable))


def schedule(ready: Ready, packet: PacketView, host: HostView) -> tuple[Path, ...]:
    """Return one path for each server that a new connection may get."""
    server = ready.server
    if not ready.shares:
        hit = RuleHit(ServerName(server), "IPVS no server")
        return (Path(Fraction(1), IpvsNoServer(server.name), (hit,)),)
    kept = _remembered(ready, packet, host)
    if kept is not None:
        return (_path(server, kept, Fraction(1), packet, ()),)
    notes = _notes(server) if len(ready.shares) > 1 else ()
    return tuple([_path(server, real, share, packet, notes) for real, share in ready.shares])


def _remembered(ready: Ready, packet: PacketView, host: HostView) -> RealServer | None:
    seconds = ready.server.persistent
    if not seconds:
        return None
    ages = [
        (age, real)
        for real, _ in ready.shares
        if (age := host.affinity_age(affinity_table(ready.server, real), packet.family, packet.src)) is not None
    ]
    young = [(age, real) for age, real in ages if age < seconds]
    return min(young, key=lambda pair: pair[0])[1] if young else None


def _path(
    server: VirtualServer, real: RealServer, share: Fraction, packet: PacketView, notes: tuple[Effect, ...]
) -> Path:
    name = ServerName(server, real)
    if real.method != "m":
        reason = "direct routing and tunnelling are not modelled, only masquerading"
        return Path(share, Undetermined(name, reason), ())
    effects: tuple[Effect, ...] = (RuleHit(name, f"IPVS {real.key}", share), *notes)
    if server.persistent:
        table = affinity_table(server, real)
        effects = (*effects, Remember(table, packet.src, server.persistent, real.key))
    # Port 0 of a real server behind an any-port service keeps the packet's own port.
    port = real.port or packet.dport
    return Path(share, IpvsSend(parse_ip(real.address)[1], port, server.name), effects)


def _notes(server: VirtualServer) -> tuple[Effect, ...]:
    name = format_endpoint(server.address, server.port) if server.address else server.name
    if server.scheduler in BY_HASH:
        text = (
            f"{name}: scheduler {server.scheduler} always takes the same server for the same hash; which is not known"
        )
        return (Assumed("IPVS_HASH", text),)
    if server.scheduler in BY_LOAD:
        text = f"{name}: scheduler {server.scheduler} depends on the load; shares are taken to be the weights"
        return (Assumed("IPVS_LOAD", text),)
    if server.scheduler not in EVEN and server.scheduler != "fo":
        text = f"{name}: scheduler {server.scheduler} is not known; shares are taken to be the weights"
        return (Assumed("IPVS_SCHEDULER", text),)
    return ()


def hook_entries(servers: Iterable[VirtualServer], bound: Iterable[str] = ()) -> tuple[HookEntry, ...]:
    """Return IPVS's two hooks for new requests; `bound` are the addresses of kube-ipvs0."""
    scheduler = Scheduler(servers, bound)
    inward, outward, mentions = scheduler.run_at_input, scheduler.run, scheduler.mentions
    return (
        HookEntry(Hook.INPUT, LOCAL_IN, TABLE, False, inward, "ip_vs_remote_request", mentions),
        HookEntry(Hook.OUTPUT, LOCAL_OUT, TABLE, False, outward, "ip_vs_local_request", mentions),
    )
