"""Deterministic allocation: a hash of who asks chooses the place, so unrelated objects do not move anything.

A clash is settled by hashing again; whoever asks first (callers ask in name order) keeps the place.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Container
from hashlib import blake2b

from netsim.cluster.read import canonical_cidr

NODE_PORTS = (30000, 32767)
ATTEMPTS = 64
# The alphabet of Kubernetes' random suffixes (apimachinery util/rand): no vowels and no 0, 1, 3.
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def digest(*words: object) -> int:
    """Return a 64-bit hash of words, the same on every machine and run."""
    return int.from_bytes(blake2b("\0".join(map(str, words)).encode(), digest_size=8).digest(), "big")


def suffix(*words: object, length: int = 5) -> str:
    """Return the stand-in for a random suffix that Kubernetes would generate for these words."""
    value, base = digest("suffix", *words), len(SUFFIX_ALPHABET)
    return "".join(SUFFIX_ALPHABET[value // base**i % base] for i in range(length))


def generated_name(prefix: str, *words: object) -> str:
    """Return a name as generateName makes it: the prefix cut to 58 characters and five more."""
    return prefix[:58] + suffix(prefix, *words)


def pick(low: int, high: int, used: Container[int], *words: object) -> int | None:
    """Return a free number of [low, high] chosen by hash, None when all are used."""
    size = high - low + 1
    if size <= 0:
        return None
    for attempt in range(ATTEMPTS):
        candidate = low + digest(attempt, *words) % size
        if candidate not in used:
            return candidate
    start = digest(*words) % size
    return next((n for i in range(size) if (n := low + (start + i) % size) not in used), None)


def static_band(size: int, minimum: int, step: int, maximum: int) -> int:
    """Return how many low places are left for static use: min(max(minimum, size/step), maximum), 0 of a small range."""
    if size < minimum:
        return 0
    return min(max(minimum, size // step), maximum)


def pick_node_port(used: Container[int], *words: object) -> int | None:
    """Return a nodePort from the dynamic band (30086-32767), from the static one when that is full."""
    low, high = NODE_PORTS
    offset = static_band(high - low + 1, 16, 32, 128)
    found = pick(low + offset, high, used, *words)
    return found if found is not None else pick(low, low + offset - 1, used, *words)


def pick_cluster_ip(cidr: str, used: Container[int], *words: object) -> str:
    """Return a ClusterIP of a range, from its dynamic (upper) band first; "" when it is full.

    Network and (IPv4) broadcast addresses are never used; of an IPv6 range the first 2^16 addresses serve, which keeps
    the addresses short. Source: ipallocator, KEP-3070.
    """
    network = ipaddress.ip_network(cidr)
    first = int(network.network_address) + 1
    last = int(network.broadcast_address) - (1 if network.version == 4 else 0)
    last = last if network.version == 4 else min(last, first + 0xFFFF)
    offset = static_band(last - first + 1, 16, 16, 256)
    found = pick(first + offset, last, used, *words)
    if found is None:
        found = pick(first, first + offset - 1, used, *words)
    return "" if found is None else _address(network.version, found)


def pick_pod_ip(cidr: str, used: Container[int], *words: object) -> str:
    """Return a pod address of a node's range; its first address is the bridge's. "" when it is full.

    The same words give the same host number in each range of up to 254 hosts, so both families look alike.
    """
    network = ipaddress.ip_network(cidr)
    first = int(network.network_address) + 2
    last = int(network.broadcast_address) - (1 if network.version == 4 else 0)
    found = pick(first, min(last, first + 252), used, *words)
    if found is None:
        found = pick(first, min(last, first + 0xFFFF), used, *words)
    return "" if found is None else _address(network.version, found)


def _address(version: int, value: int) -> str:
    return str(ipaddress.IPv4Address(value) if version == 4 else ipaddress.IPv6Address(value))


def ip_number(address: str) -> int:
    """Return an address as an integer (both families share the number space; their values never meet in practice)."""
    return int(ipaddress.ip_address(address))


def first_address(cidr: str) -> str:
    """Return the first host address of a network (a bridge's, or default/kubernetes' ClusterIP)."""
    network = ipaddress.ip_network(canonical_cidr(cidr))
    return _address(network.version, int(network.network_address) + 1)
