"""Names as presentation text: labels, zones, lengths, host kinds. Plain ASCII is handled here, escapes by dnspython."""

from __future__ import annotations

import ipaddress
import re
import socket
from functools import lru_cache
from typing import NamedTuple


class Host(NamedTuple):
    """A service's host: `kind` A, AAAA or CNAME; `text` the rdata; `raw` the text as the object spells it."""

    kind: str
    text: str
    raw: str


def fqdn(name: str) -> str:
    """Return a name with its final dot, as Go's dns.Fqdn does ("" is the root)."""
    if not name.endswith("."):
        return name + "."
    if name.endswith("\\."):
        backslashes = len(name) - 1 - len(name[:-1].rstrip("\\"))
        return name + "." if backslashes % 2 else name
    return name


def labels(name: str) -> list[str]:
    """Return the labels of a name; an escaped dot does not separate."""
    text = name.removesuffix(".") if "\\" not in name else name
    if "\\" not in text:
        return text.split(".") if text else []
    return _escaped_labels(text)


def _escaped_labels(text: str) -> list[str]:
    found, current, position = [], "", 0
    while position < len(text):
        char = text[position]
        if char == "\\":
            current += text[position : position + 2]
            position += 2
            continue
        if char == ".":
            found.append(current)
            current = ""
        else:
            current += char
        position += 1
    return [*found, current] if current else found


def in_zone(name: str, zone: str) -> bool:
    """Whether a lower-case name is the zone (lower-case, final dot) or below it."""
    if zone == ".":
        return True
    if not name.endswith(zone):
        return False
    cut = len(name) - len(zone)
    if cut == 0:
        return True
    if name[cut - 1] != ".":
        return False
    return "\\" not in name or len(labels(name)) - len(labels(zone)) == len(labels(name[:cut]))


def best_zone(name: str, zones: tuple[str, ...]) -> str:
    """Return the longest of the zones that holds a lower-case name, "" if none does."""
    best = ""
    for zone in zones:
        if len(zone) > len(best) and in_zone(name, zone):
            best = zone
    return best


def wire_length(name: str) -> int:
    """Return the bytes that a name takes uncompressed."""
    if "\\" in name:
        return sum(1 + label_length(label) for label in labels(name)) + 1
    return len(name) + 1 if len(name) > 1 else 1


def label_length(label: str) -> int:
    """Return the bytes of one label's content, escapes resolved."""
    length = position = 0
    while position < len(label):
        if label[position] == "\\":
            position += 4 if label[position + 1 : position + 4].isdigit() else 2
        else:
            position += 1
        length += 1
    return length


_PLAIN = re.compile(r"[A-Za-z0-9_*/.-]*")


def presentation(name: str) -> str:
    """Return a name as dig prints it: blanks and control characters as `\\DDD`; one that no wire can hold as it is."""
    if _PLAIN.fullmatch(name):
        return name
    import dns.exception
    import dns.name

    try:
        return dns.name.from_text(name).to_text()
    except (dns.exception.DNSException, UnicodeError):
        return name


@lru_cache(maxsize=1 << 16)
def packable(name: str) -> bool:
    """Whether a name can be written to the wire: no empty label, none over 63 bytes (RFC 1035, 2.3.4)."""
    if name in ("", "."):
        return True
    return all(0 < label_length(label) <= 63 for label in labels(name))


@lru_cache(maxsize=1 << 16)
def host_of(raw: str) -> Host:
    """Return what a host text is, as Go's net.ParseIP sees it; IPv4-mapped IPv6 is an A."""
    address = parse_ip(raw)
    if address is None:
        return Host("CNAME", presentation(fqdn(raw)), raw)
    return Host("AAAA" if ":" in address else "A", address, raw)


@lru_cache(maxsize=1 << 16)
def parse_ip(text: str) -> str | None:
    """Return the canonical text of an address, None if it is none; no zones, no leading zeros."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        packed = socket.inet_pton(family, text)
    except (OSError, ValueError, UnicodeError):
        return None
    if family == socket.AF_INET:
        return text
    value = ipaddress.IPv6Address(packed)
    return str(value.ipv4_mapped or value)


def reverse_address(name: str) -> str:
    """Return the address a lower-case reverse name stands for, "" if it is not a full one.

    Surplus labels on the left of an IPv6 name that do not fill a group of four are ignored, as CoreDNS does.
    """
    if name.endswith(".in-addr.arpa."):
        parts = name[: -len(".in-addr.arpa.")].split(".")[::-1]
        found = parse_ip(".".join(parts)) or ""
        return "" if ":" in found else found
    if not name.endswith(".ip6.arpa."):
        return ""
    parts = name[: -len(".ip6.arpa.")].split(".")[::-1]
    groups = ["".join(parts[i * 4 : i * 4 + 4]) for i in range(len(parts) // 4)]
    return parse_ip(":".join(groups)) or ""


def is_reverse(name: str) -> bool:
    """Whether a name lies in one of the reverse trees (their apexes included)."""
    return in_zone(name, "in-addr.arpa.") or in_zone(name, "ip6.arpa.")


def reverse_name(address: str) -> str:
    """Return the PTR name of an address."""
    return ipaddress.ip_address(address).reverse_pointer + "."
