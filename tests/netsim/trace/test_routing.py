"""Longest prefix and source selection, against the plainest way to say them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from iptables_gen.values import format_ip, in_net, parse_ip
from netsim.hosts.model import Address, Interface, Route
from netsim.trace.routing import FEW, RouteTable, pick_source

ADDRESS = st.integers(0, 255)
ROUTES = st.lists(st.builds(lambda at, bits: route(at, bits), ADDRESS, st.integers(24, 32)), max_size=30)


def route(address: int, prefix: int) -> Route:
    """Return the route to the network of a prefix length that an address lies in."""
    return Route(4, address >> 32 - prefix << 32 - prefix, prefix, f"{address}/{prefix}")


@given(ROUTES, st.lists(ADDRESS, min_size=1, max_size=8))
def test_the_longest_prefix_wins_and_of_equal_ones_the_first(routes: list[Route], addresses: list[int]) -> None:
    table = RouteTable(4, [*routes, Route(6, 0, 0, "never")])
    for address in (*addresses, *addresses):
        fitting = [route for route in routes if in_net(address, route.network, route.prefix, 4)]
        assert table.find(address) == max(fitting, key=lambda route: route.prefix, default=None)


def test_long_tables_remember_their_answers() -> None:
    routes = [Route(4, parse_ip("10.0.0.0")[1], prefix, f"i{prefix}") for prefix in range(8, 9 + FEW)]
    table = RouteTable(4, routes)
    address = parse_ip("10.0.0.1")[1]
    assert table.find(address) is table.find(address) is routes[-1]
    assert table.find(parse_ip("11.0.0.1")[1]) is None
    assert table.find(parse_ip("11.0.0.1")[1]) is None


def link(name: str, *networks: str) -> Interface:
    """Return an interface with addresses such as 10.0.0.1/24."""
    made = []
    for text in networks:
        address, _, length = text.partition("/")
        family, value = parse_ip(address)
        made.append(Address(family, value, int(length)))
    return Interface(name, "ethernet", "lan", tuple(made))


ETH0, ETH1 = link("eth0", "10.0.0.1/24", "10.0.1.1/24", "fd00::1/64", "fd00:1::1/64"), link("eth1", "192.0.2.1/24")


def chosen(interface: Interface | None, next_hop: str) -> str | None:
    """Return the source address towards a next hop."""
    family, value = parse_ip(next_hop)
    found = pick_source(family, interface, (ETH0, ETH1), value)
    return None if found is None else format_ip(family, found)


def test_the_source_is_of_the_next_hops_network() -> None:
    assert chosen(ETH0, "10.0.1.9") == "10.0.1.1"
    assert chosen(ETH0, "10.0.0.9") == "10.0.0.1"


def test_a_next_hop_of_no_network_gets_the_first_address() -> None:
    assert chosen(ETH0, "203.0.113.1") == "10.0.0.1"


def test_an_interface_without_address_borrows_one() -> None:
    assert chosen(None, "203.0.113.1") == "10.0.0.1"
    assert chosen(link("eth2"), "192.0.2.9") == "192.0.2.1"


def test_ipv6_takes_the_address_with_most_bits_in_common() -> None:
    assert chosen(ETH0, "fd00:1::9") == "fd00:1::1"
    assert chosen(ETH1, "fd00::9") == "fd00::1"
    assert pick_source(6, link("eth2"), (), parse_ip("fd00::9")[1]) is None
