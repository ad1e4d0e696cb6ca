"""rtnetlink messages for links, addresses and routes: pyroute2 encodes them, one send carries many.

Opening an `IPRoute` for each namespace is several times slower than one raw socket and a batch of messages.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from netsim.errors import LabError

RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR = 16, 17, 20, 21
RTM_NEWROUTE, RTM_DELROUTE, RTM_NEWRULE = 24, 25, 32
REQUEST_ACK, CREATE_EXCL, CREATE_REPLACE = 0x5, 0x600, 0x500
NLMSG_ERROR = 2
IFF_UP = 1
IFA_F_NODAD = 0x2
RTNH_F_ONLINK = 0x4
ON_LINK, ANY_SCOPE = 253, 255
ROUTE_KINDS = {"unicast": 1, "blackhole": 6}
BATCH = 64
# Encoding a message costs more than the kernel's work: each shape is encoded once, with marks for what differs.
MARKS = (0x5EED_0001, 0x5EED_0002, 0x5EED_0003, 0x5EED_0004)
SHORTEST = 4
STAND_IN = {socket.AF_INET: "198.18.94.237", socket.AF_INET6: "2001:db8:5eed:5eed:5eed:5eed:5eed:5eed"}
TRIAL = 9999


@cache
def link_up(index: int) -> bytes:
    """Set an interface up."""
    return _encode(_link(index, up=True), RTM_NEWLINK, 0)


def new_bridge(name: str, index: int, kind: str = "bridge") -> bytes:
    """Make a bridge or a dummy, up."""
    attrs = [("IFLA_IFNAME", name), ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", kind)]})]
    return _encode(_link(index, attrs, up=True), RTM_NEWLINK, CREATE_EXCL)


def new_veth(name: str, index: int, peer: str, peer_index: int, peer_namespace: int, master: int = 0) -> bytes:
    """Make a veth pair, this end up; the peer is born down in another namespace (it cannot be up before both exist)."""
    if min(len(name), len(peer)) < SHORTEST or not {"#", "%"}.isdisjoint(name + peer):
        return _new_veth(name, index, peer, peer_index, peer_namespace, master)
    words = ("#" * len(name), "%" * len(peer))
    shape = _new_veth(words[0], MARKS[0], words[1], MARKS[1], MARKS[2], MARKS[3] if master else 0)
    shape = shape.replace(words[0].encode(), name.encode()).replace(words[1].encode(), peer.encode())
    return _filled(shape, (index, peer_index, peer_namespace, master))


@cache
def _new_veth(name: str, index: int, peer: str, peer_index: int, peer_namespace: int, master: int) -> bytes:
    other = {"index": peer_index, "attrs": [("IFLA_IFNAME", peer), ("IFLA_NET_NS_FD", peer_namespace)]}
    info = {"attrs": [("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", {"attrs": [("VETH_INFO_PEER", other)]})]}
    port = [("IFLA_MASTER", master)] if master else []
    return _encode(
        _link(index, [("IFLA_IFNAME", name), *port, ("IFLA_LINKINFO", info)], up=True), RTM_NEWLINK, CREATE_EXCL
    )


def _filled(shape: bytes, numbers: Sequence[int]) -> bytes:
    """Return a message with numbers in place of the marks that it was encoded with."""
    for mark, number in zip(MARKS, numbers, strict=False):
        shape = shape.replace(struct.pack("=I", mark), struct.pack("=I", number))
    return shape


def hairpin(index: int) -> bytes:
    """Let a bridge send frames back out of the port that they came from."""
    return _filled(_hairpin(MARKS[0]), (index,))


@cache
def _hairpin(index: int) -> bytes:
    data = {"attrs": [("IFLA_BRPORT_MODE", 1)]}
    info = {"attrs": [("IFLA_INFO_SLAVE_KIND", "bridge"), ("IFLA_INFO_SLAVE_DATA", data)]}
    return _encode(_link(index, [("IFLA_LINKINFO", info)]), RTM_NEWLINK, 0)


def delete_link(index: int) -> bytes:
    """Delete an interface."""
    return _encode(_link(index), RTM_DELLINK, 0)


def add_address(index: int, address: str, prefix: int) -> bytes:
    """Add an address; IPv6 skips duplicate address detection, which would delay its use by a second."""
    return _address(index, address, prefix, RTM_NEWADDR, CREATE_EXCL)


def delete_address(index: int, address: str, prefix: int) -> bytes:
    """Delete an address."""
    return _address(index, address, prefix, RTM_DELADDR, 0)


def _address(index: int, address: str, prefix: int, kind: int, flags: int) -> bytes:
    family = _family(address)
    shape = _address_shape(MARKS[0], STAND_IN[family], prefix, kind, flags)
    packed = socket.inet_pton(family, address)
    return _filled(shape.replace(socket.inet_pton(family, STAND_IN[family]), packed), (index,))


@cache
def _address_shape(index: int, address: str, prefix: int, kind: int, flags: int) -> bytes:
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg

    message = ifaddrmsg()
    message["family"] = _family(address)
    message["prefixlen"] = prefix
    message["index"] = index
    message["attrs"] = [("IFA_LOCAL", address), ("IFA_ADDRESS", address)]
    if ":" in address:
        message["flags"] = IFA_F_NODAD
        message["attrs"] = [("IFA_ADDRESS", address), ("IFA_FLAGS", IFA_F_NODAD)]
    return _encode(message, kind, flags)


@lru_cache(256)
def route(
    destination: str,
    via: str = "",
    index: int = 0,
    kind: str = "unicast",
    *,
    onlink: bool = False,
    delete: bool = False,
    table: int = 254,
) -> bytes:
    """Add (or replace) or delete a route; `destination` is CIDR text, `0.0.0.0/0` or `::/0` for the default."""
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

    network, _, prefix = destination.partition("/")
    message = rtmsg()
    message["family"] = _family(network)
    message["dst_len"] = int(prefix)
    message["table"], message["proto"], message["type"] = table, 4, ROUTE_KINDS[kind]
    message["flags"] = RTNH_F_ONLINK if onlink and via else 0
    message["scope"] = ANY_SCOPE if delete else 0 if via or kind != "unicast" or ":" in network else ON_LINK
    message["attrs"] = [
        *([("RTA_DST", network)] if int(prefix) else []),
        *([("RTA_GATEWAY", via)] if via else []),
        *([("RTA_OIF", index)] if index else []),
    ]
    return _encode(message, RTM_DELROUTE if delete else RTM_NEWROUTE, 0 if delete else CREATE_REPLACE)


def rule(family: int, interface: str, table: int) -> bytes:
    """Look up packets that come in at an interface in a table first (ip-rule(8))."""
    from pyroute2.netlink.rtnl.fibmsg import fibmsg

    message = fibmsg()
    message["family"] = socket.AF_INET6 if family == 6 else socket.AF_INET
    message["table"], message["action"] = table, 1
    message["attrs"] = [("FRA_IIFNAME", interface), ("FRA_PRIORITY", 100), ("FRA_TABLE", table)]
    return _encode(message, RTM_NEWRULE, CREATE_EXCL)


def has_dummies() -> bool:
    """Whether the kernel can make dummy interfaces; tried in the current namespace."""
    try:
        send([new_bridge("trial", TRIAL, "dummy"), delete_link(TRIAL)], "a dummy")
    except LabError:
        return False
    return True


def send(messages: Sequence[bytes], what: str) -> None:
    """Send messages in the calling thread's namespace and read every acknowledgement; LabError names a refusal."""
    if not messages:
        return
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as channel:
        channel.bind((0, 0))
        for start in range(0, len(messages), BATCH):
            batch = messages[start : start + BATCH]
            channel.send(b"".join(batch))
            for code in _acknowledgements(channel, len(batch)):
                if code:
                    hint = " (kernel modules veth and bridge are needed)" if -code == errno.EOPNOTSUPP else ""
                    raise LabError(f"the kernel refused {what}: {os.strerror(-code)}{hint}")


def _acknowledgements(channel: socket.socket, expected: int) -> list[int]:
    codes: list[int] = []
    while len(codes) < expected:
        data = channel.recv(1 << 16)
        offset = 0
        while offset < len(data):
            length, kind = struct.unpack_from("=IH", data, offset)
            if kind == NLMSG_ERROR:
                codes.append(struct.unpack_from("=i", data, offset + 16)[0])
            offset += (length + 3) & ~3
    return codes


def _link(index: int, attrs: Sequence[tuple[str, Any]] = (), *, up: bool = False) -> Any:
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

    message = ifinfmsg()
    message["index"] = index
    message["flags"] = message["change"] = IFF_UP if up else 0
    message["attrs"] = list(attrs)
    return message


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _encode(message: Any, kind: int, flags: int) -> bytes:
    message["header"]["type"] = kind
    message["header"]["flags"] = REQUEST_ACK | flags
    message["header"]["sequence_number"] = 1
    message.encode()
    return bytes(message.data)
