"""Addresses and CIDRs as strictly as the API server of v1.36 reads them, with its words."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_NOT_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_NOT_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_LEADING_ZEROS = "must not have leading 0s"
_MAPPED = "must not be an IPv4-mapped IPv6 address"


@lru_cache(maxsize=65536)
def parse(value: str) -> IPAddress | None:
    """Return an address as Go's sloppy parser reads it (leading zeros in IPv4 are decimal), None if it is none."""
    if "%" in value:
        return None
    try:
        return ipaddress.ip_address(value)
    except ValueError:
        plain = re.sub(r"(^|[.:])0+(?=\d+(\.|$))", r"\1", value) if "." in value else ""
        return parse(plain) if plain not in ("", value) else None


@lru_cache(maxsize=65536)
def ip(value: str) -> tuple[str, ...]:
    """Return why a value is no address in strict form: none if it is."""
    address = parse(value)
    if address is None:
        return (_NOT_IP,)
    if _has_leading_zeros(value):
        return (_LEADING_ZEROS,)
    return (_MAPPED,) if _is_mapped(address) else ()


def canonical_name(value: str) -> list[str]:
    """Return why a value is not the canonical text of an address, as the name of an IPAddress must be."""
    parsed = parse(value)
    if parsed is None:
        return ["must be a valid IP address"]
    return [] if str(parsed) == value and not _is_mapped(parsed) else ["must be a canonical format IP address"]


def cidr(value: str) -> list[str]:
    """Return why a value is no CIDR in strict form: leading zeros, IPv4-mapped, host bits."""
    network = parse_cidr(value)
    if network is None:
        return [_NOT_CIDR]
    address, _, length = value.partition("/")
    parsed = parse(address)
    assert parsed is not None
    reasons = []
    if _has_leading_zeros(address):
        reasons.append(_LEADING_ZEROS)
    elif _is_mapped(parsed):
        reasons.append(_MAPPED)
    if length != str(int(length)):
        reasons.append("must not have leading 0s in prefix length")
    if parsed != network.network_address:
        reasons.append("must not have bits set beyond the prefix length")
    return reasons


def parse_cidr(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return a network, host bits dropped, None if the value is none."""
    address, slash, length = value.partition("/")
    parsed = parse(address)
    if not slash or parsed is None or not re.fullmatch("[0-9]{1,4}", length) or int(length) > parsed.max_prefixlen:
        return None
    return ipaddress.ip_network((parsed, int(length)), strict=False)


@lru_cache(maxsize=65536)
def non_special(value: str) -> tuple[str, ...]:
    """Return why an address can be no endpoint and no external IP: unspecified, loopback, link-local."""
    address = parse(value)
    if address is None:
        return ("must be a valid IP address",)
    address = getattr(address, "ipv4_mapped", None) or address
    reasons = []
    if address.is_unspecified:
        reasons.append("may not be unspecified (0.0.0.0 or ::)")
    if address.is_loopback:
        reasons.append("may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address in (_LINK_LOCAL_4 if address.version == 4 else _LINK_LOCAL_6):
        reasons.append("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if _is_link_local_multicast(address):
        reasons.append("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
    return tuple(reasons)


_LINK_LOCAL_4 = ipaddress.ip_network("169.254.0.0/16")
_LINK_LOCAL_6 = ipaddress.ip_network("fe80::/10")
_MULTICAST_4 = ipaddress.ip_network("224.0.0.0/24")


def _is_link_local_multicast(address: IPAddress) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return address in _MULTICAST_4
    # Go's IsLinkLocalMulticast: ff02 with any flags, the scope in the low half of the second byte.
    return address.packed[0] == 0xFF and address.packed[1] & 0x0F == 0x02


def is_ipv6(value: str) -> bool:
    """Return whether a value is an IPv6 address."""
    address = parse(value)
    return address is not None and address.version == 6


def canonical_warning(value: str, field: str) -> str:
    """Return the server's warning of an address that is valid and not in canonical form, "" if it is."""
    address = parse(value)
    if address is None or address.version == 4 or str(address) == value:
        return ""
    return f'{field}: IPv6 address "{value}" should be in RFC 5952 canonical format ("{address}")'


def canonical_cidr_warning(value: str, field: str) -> str:
    """Return the server's warning of an IPv6 CIDR that is not in canonical form, "" if it is."""
    network = parse_cidr(value)
    if network is None or network.version == 4 or str(network) == value:
        return ""
    return f'{field}: IPv6 CIDR value "{value}" should be in RFC 5952 canonical format ("{network}")'


def _has_leading_zeros(value: str) -> bool:
    return "." in value and re.search(r"(^|[.:])0\d", value) is not None


def _is_mapped(address: IPAddress) -> bool:
    return isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None
