"""Leaf values that every rule language shares: addresses, networks, ports and marks, text both ways.

Addresses are a pair (family, value): family is 4 or 6, value the address as an unsigned integer.
Raises:  ValueError with a sentence for text that is none of them; callers add file:line:column.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Literal

Family = Literal[4, 6]

BITS: dict[Family, int] = {4: 32, 6: 128}


@lru_cache(maxsize=1 << 18)
def parse_ip(text: str) -> tuple[Family, int]:
    """Return (family, value) of a plain address; no prefix length, zone or port is accepted."""
    address = ipaddress.ip_address(text)
    return (4 if address.version == 4 else 6), int(address)


@lru_cache(maxsize=1 << 18)
def format_ip(family: Family, value: int) -> str:
    """Return the canonical text (RFC 5952 for IPv6) of an address."""
    return str(ipaddress.IPv4Address(value) if family == 4 else ipaddress.IPv6Address(value))


@lru_cache(maxsize=1 << 12)
def parse_net(text: str) -> tuple[Family, int, int]:
    """Return (family, network, prefix length); host bits are cleared, a bare address is its /32 or /128."""
    network = ipaddress.ip_network(text, strict=False)
    return (4 if network.version == 4 else 6), int(network.network_address), network.prefixlen


def net_mask(family: Family, prefix: int) -> int:
    """Return the netmask of a prefix length as an integer."""
    bits = BITS[family]
    return ((1 << prefix) - 1) << (bits - prefix)


def in_net(value: int, network: int, prefix: int, family: Family) -> bool:
    """Whether an address value lies in a network of the same family."""
    shift = BITS[family] - prefix
    return value >> shift == network >> shift


def format_endpoint(ip: str, port: int) -> str:
    """Return `IP:PORT`, with brackets around an IPv6 address (net.JoinHostPort of Go)."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def decimal(text: str) -> int | None:
    """Return the number that ASCII digits spell; None for any other text and for more digits than 64 bits may need."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else None


def parse_endpoint(text: str) -> tuple[str, int]:
    """Return (ip, port) of `IP:PORT` or `[V6]:PORT`."""
    ip, colon, port = text.rpartition(":")
    number = decimal(port)
    if not colon or number is None:
        raise ValueError(f"{text!r} is not ADDRESS:PORT")
    ip = ip[1:-1] if ip.startswith("[") and ip.endswith("]") else ip
    parse_ip(ip)
    return ip, number
