"""What the ipsets of a host hold, as `-m set` asks.

Source: ipset(8); kernel net/netfilter/ipset/ip_set_hash_ipport.c and neighbours: a part `src`/`dst` of a port dimension
is the packet's source/destination port with its protocol, of an address dimension its address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from iptables_gen.dataplane import Mentions
from iptables_gen.ipvs.ir import IpSet
from iptables_gen.values import BITS, in_net, net_mask, parse_ip, parse_net
from iptables_gen.view import PacketView, Tri, tri

Net = tuple[int, int]
Contains = Callable[[tuple[str, ...], PacketView], Tri]
_PORTED = frozenset({"tcp", "udp", "sctp", "udplite", "dccp"})
_DIMENSIONS = {
    "bitmap:port": 1,
    "hash:ip": 1,
    "hash:net": 1,
    "hash:ip,port": 2,
    "hash:ip,port,ip": 3,
    "hash:ip,port,net": 3,
}


class HostSets:
    """The ipsets by name, each indexed when first asked."""

    __slots__ = ("_ready", "_sets")

    def __init__(self, sets: Iterable[IpSet]) -> None:
        self._sets = {found.name: found for found in sets}
        self._ready: dict[str, Contains] = {}

    def contains(self, name: str, flags: tuple[str, ...], packet: PacketView) -> Tri:
        """Return whether the packet's parts are in a set; UNKNOWN for no such set or a type the model does not know."""
        ready = self._ready.get(name)
        if ready is None:
            found = self._sets.get(name)
            if found is None or found.type not in _DIMENSIONS:
                return Tri.UNKNOWN
            ready = self._ready[name] = _prepare(found)
        return ready(flags, packet)

    def mentions(self, name: str, flags: tuple[str, ...], side: str) -> Mentions | None:
        """Return the addresses that a set tells apart on one side (`src`, `dst`); None for a set that is not known."""
        found = self._sets.get(name)
        if found is None or found.type not in _DIMENSIONS:
            return None
        singles: set[int] = set()
        networks: dict[tuple[int, int], None] = {}
        for flag, texts in _addresses(found, flags):
            for text in texts if flag == side else ():
                family, network, length = parse_net(text)
                if length == BITS[family]:
                    singles.add(network)
                else:
                    networks[net_mask(family, length), network] = None
        return Mentions(frozenset(singles), tuple(networks))


def _addresses(found: IpSet, flags: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """Yield (flag, addresses or networks) for each dimension that holds addresses.

    Entries that pair an address with itself at both ends are about packets sent to their own source: no mention.
    """
    if found.type == "bitmap:port" or not flags:
        return
    third = found.type in ("hash:ip,port,ip", "hash:ip,port,net") and len(flags) > 2
    both_ends = third and flags[0] != flags[2]
    entries = [entry for entry in found.entries if not (both_ends and entry.address == entry.second)]
    yield flags[0], [entry.address for entry in entries]
    if third:
        yield flags[2], [entry.second for entry in entries]


def _prepare(found: IpSet) -> Contains:
    needed = _DIMENSIONS[found.type]
    test = _TESTS[found.type](found)

    def contains(flags: tuple[str, ...], packet: PacketView) -> Tri:
        if len(flags) < needed:
            return Tri.NO
        # A set of addresses holds none of the other family.
        if found.type != "bitmap:port" and packet.family != found.family:
            return Tri.NO
        return tri(test(flags, packet))

    return contains


Test = Callable[[tuple[str, ...], PacketView], bool]


def _ip(packet: PacketView, flag: str) -> int:
    return packet.src if flag == "src" else packet.dst


def _port(packet: PacketView, flag: str) -> int:
    return packet.sport if flag == "src" else packet.dport


def _bitmap_port(found: IpSet) -> Test:
    ports = frozenset(entry.port for entry in found.entries)
    # bitmap:port knows no protocol: any packet with ports matches.
    return lambda flags, packet: packet.protocol in _PORTED and _port(packet, flags[0]) in ports


def _hash_ip(found: IpSet) -> Test:
    addresses = frozenset(parse_ip(entry.address)[1] for entry in found.entries)
    return lambda flags, packet: _ip(packet, flags[0]) in addresses


def _hash_net(found: IpSet) -> Test:
    family = found.family
    nets = [parse_net(entry.address)[1:] for entry in found.entries]
    return lambda flags, packet: any(in_net(_ip(packet, flags[0]), net, length, family) for net, length in nets)


def _hash_ip_port(found: IpSet) -> Test:
    keys = frozenset((parse_ip(e.address)[1], e.protocol, e.port) for e in found.entries)
    return lambda flags, packet: (_ip(packet, flags[0]), packet.protocol, _port(packet, flags[1])) in keys


def _hash_ip_port_ip(found: IpSet) -> Test:
    keys = frozenset((parse_ip(e.address)[1], e.protocol, e.port, parse_ip(e.second)[1]) for e in found.entries)
    return lambda flags, packet: (
        (_ip(packet, flags[0]), packet.protocol, _port(packet, flags[1]), _ip(packet, flags[2])) in keys
    )


def _hash_ip_port_net(found: IpSet) -> Test:
    family = found.family
    nets: dict[tuple[int, str, int], list[Net]] = {}
    for entry in found.entries:
        key = (parse_ip(entry.address)[1], entry.protocol, entry.port)
        nets.setdefault(key, []).append(parse_net(entry.second)[1:])

    def test(flags: tuple[str, ...], packet: PacketView) -> bool:
        key = (_ip(packet, flags[0]), packet.protocol, _port(packet, flags[1]))
        value = _ip(packet, flags[2])
        return any(in_net(value, net, length, family) for net, length in nets.get(key, ()))

    return test


_TESTS: dict[str, Callable[[IpSet], Test]] = {
    "bitmap:port": _bitmap_port,
    "hash:ip": _hash_ip,
    "hash:net": _hash_net,
    "hash:ip,port": _hash_ip_port,
    "hash:ip,port,ip": _hash_ip_port_ip,
    "hash:ip,port,net": _hash_ip_port_net,
}
