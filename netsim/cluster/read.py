"""Tolerant reading of stored objects: a null, an absent or a wrongly typed value reads as empty, never as a crash.

Wrong types were already reported by the loader; here they only must do no harm.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache
from socket import AF_INET, inet_pton
from typing import Any

from iptables_gen.values import decimal
from netsim.manifests.objects import Manifest

Data = Mapping[str, Any]

EMPTY: Data = {}
IPV4, IPV6 = "IPv4", "IPv6"


def text(value: object) -> str:
    """Return a string, "" for anything else."""
    return value if isinstance(value, str) else ""


def number(value: object, default: int = 0) -> int:
    """Return an integer (80.0 is one), *default* for anything else."""
    if type(value) is int:
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else default


def optional_number(value: object) -> int | None:
    """Return an integer, None for anything else."""
    return number(value) if type(value) is int or isinstance(value, float) else None


def mapping(value: object) -> Data:
    """Return an object, an empty one for anything else."""
    return value if isinstance(value, dict) else EMPTY


def objects(value: object) -> list[Data]:
    """Return the objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts(value: object) -> tuple[str, ...]:
    """Return the strings of a list."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def labels_of(value: object) -> Mapping[str, str]:
    """Return a map of strings; values of other types are left out."""
    found = mapping(value)
    if all(type(item) is str for item in found.values()):
        return found
    return {key: item for key, item in found.items() if isinstance(item, str)}


def dig(data: object, *path: str) -> Any:
    """Return the value at a path of keys, None where there is none."""
    for key in path:
        if not isinstance(data, dict):
            return None
        data = data.get(key)
    return data


def canonical_ip(address: object) -> str:
    """Return the canonical text of an address, "" when it is none.

    Leading zeros are decimal, as in Go's netutils.ParseIPSloppy, with which the real programs read stored addresses.
    """
    if not isinstance(address, str):
        return ""
    try:
        # inet_pton accepts exactly the canonical IPv4 spelling, at a tenth of the cost of the ipaddress module.
        inet_pton(AF_INET, address)
        return address
    except (OSError, ValueError, UnicodeError):
        return _parse_sloppily(address)


@lru_cache(maxsize=1 << 17)
def _parse_sloppily(address: str) -> str:
    parts = address.split(".")
    if len(parts) == 4 and None not in (numbers := [decimal(part) for part in parts]):
        address = ".".join(map(str, numbers))
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    mapped = parsed.ipv4_mapped if parsed.version == 6 else None
    return str(mapped or parsed) if "%" not in address else ""


@lru_cache(maxsize=1 << 12)
def canonical_cidr(cidr: str) -> str:
    """Return a network with host bits cleared, "" when the text (spaces trimmed) is none."""
    address, slash, prefix = cidr.strip().partition("/")
    base = canonical_ip(address)
    if not slash or not base or not (prefix.isascii() and prefix.isdigit()):
        return ""
    try:
        return str(ipaddress.ip_network(f"{base}/{prefix}", strict=False))
    except ValueError:
        return ""


def family_of(address: str) -> str:
    """Return IPv4 or IPv6, the API's names, of an address or network."""
    return IPV6 if ":" in address else IPV4


def canonical_ips(values: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses among texts, canonical, each once, in order."""
    return tuple(dict.fromkeys(ip for value in values if (ip := canonical_ip(value))))


def canonical_cidrs(values: Iterable[str]) -> tuple[str, ...]:
    """Return the networks among texts, masked, each once, in order."""
    return tuple(dict.fromkeys(net for value in values if (net := canonical_cidr(value))))


def metadata_of(manifest: Manifest) -> Data:
    """Return metadata, empty where it is not an object."""
    return mapping(manifest.data.get("metadata"))


def spec_of(manifest: Manifest) -> Data:
    """Return spec, empty where it is not an object."""
    return mapping(manifest.data.get("spec"))


def status_of(manifest: Manifest) -> Data:
    """Return status, empty where it is not an object."""
    return mapping(manifest.data.get("status"))
