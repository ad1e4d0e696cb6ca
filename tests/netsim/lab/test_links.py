"""rtnetlink messages filled into shapes are those that pyroute2 would encode whole."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from netsim.lab import links

NAMES = st.from_regex(r"[a-z#%][a-z0-9.#%-]{0,14}", fullmatch=True)
NUMBERS = st.integers(1, 1 << 20)


@given(NAMES, NUMBERS, NAMES, NUMBERS, st.integers(3, 5000), st.integers(0, 5000))
def test_a_veth_pair(name: str, index: int, peer: str, peer_index: int, space: int, master: int) -> None:
    message = ifinfmsg(links.new_veth(name, index, peer, peer_index, space, master))
    message.decode()
    assert message["index"] == index
    assert message["flags"] == message["change"] == links.IFF_UP
    assert message.get_attr("IFLA_IFNAME") == name
    assert message.get_attr("IFLA_MASTER") == (master or None)
    other = message.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA", "VETH_INFO_PEER")
    assert (other["index"], other.get_attr("IFLA_IFNAME")) == (peer_index, peer)
    assert other.get_attr("IFLA_NET_NS_FD") in (space, str(space))
    assert message["header"]["length"] == len(message.data)


@given(NUMBERS, st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(0, 32))
def test_an_address(index: int, address: IPv4Address | IPv6Address, prefix: int) -> None:
    message = ifaddrmsg(links.add_address(index, str(address), prefix))
    message.decode()
    assert (message["index"], message["prefixlen"]) == (index, prefix)
    assert message["family"] == (socket.AF_INET if address.version == 4 else socket.AF_INET6)
    assert message.get_attr("IFA_ADDRESS") == str(address)


@given(NUMBERS)
def test_a_hairpin_port(index: int) -> None:
    message = ifinfmsg(links.hairpin(index))
    message.decode()
    assert message["index"] == index
