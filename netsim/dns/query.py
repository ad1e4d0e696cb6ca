"""Questions as people and query files write them -> Query. Raises UsageError with a sentence for what is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from netsim.dns.names import fqdn, packable, parse_ip, presentation, wire_length
from netsim.dns.records import DEFAULT_CLIENT, Edns, Query
from netsim.errors import UsageError

OPCODES = frozenset(("QUERY", "IQUERY", "STATUS", "NOTIFY", "UPDATE"))
MAX_WIRE_NAME = 255
COMMON_TYPES = frozenset(("A", "AAAA", "SRV", "PTR", "TXT", "CNAME", "NS", "SOA", "MX", "ANY"))
QUERY_KEYS = frozenset(
    ("name", "type", "qclass", "transport", "edns", "rd", "cd", "ad", "opcode", "src", "from", "libc")
)


def read_query(data: Mapping[str, Any]) -> Query:
    """Return the Query of one line of a query file (keys of `conformance/dns`)."""
    name = data.get("name")
    if not isinstance(name, str):
        raise UsageError("name: the name to ask for is needed")
    query = Query(question_name(name), rr_type(_text(data, "type", "A")))
    if len(data) <= 3 and data.keys() <= {"id", "name", "type"}:
        return query
    edns = data.get("edns")
    return replace(
        query,
        qclass=rr_class(_text(data, "qclass", "IN")),
        transport=_one_of(data, "transport", ("udp", "tcp"), "udp"),
        edns=None if edns is None else read_edns(edns),
        rd=_flag(data, "rd", True),
        cd=_flag(data, "cd", False),
        ad=_flag(data, "ad", False),
        opcode=_one_of(data, "opcode", OPCODES, "QUERY"),
        src=_address(data),
    )


def question_name(name: str) -> str:
    """Return a name with its final dot, as a question carries it."""
    full = presentation(fqdn(name.strip()))
    if not packable(full) or wire_length(full) > MAX_WIRE_NAME or not full.isascii():
        raise UsageError(f"{name!r} is not a domain name: labels of 1 to 63 bytes, 255 in all")
    return full


def rr_type(text: str) -> str:
    """Return a record type in dig's spelling."""
    return text if text in COMMON_TYPES else _rr_type(text)


@lru_cache(maxsize=1 << 10)
def _rr_type(text: str) -> str:
    import dns.rdatatype

    try:
        return dns.rdatatype.to_text(dns.rdatatype.from_text(text.upper()))
    except (dns.rdatatype.UnknownRdatatype, ValueError) as error:
        raise UsageError(f"{text!r} is not a record type") from error


@lru_cache(maxsize=1 << 8)
def rr_class(text: str) -> str:
    """Return a class in dig's spelling."""
    import dns.rdataclass

    try:
        return dns.rdataclass.to_text(dns.rdataclass.from_text(text.upper()))
    except (dns.rdataclass.UnknownRdataclass, ValueError) as error:
        raise UsageError(f"{text!r} is not a class") from error


def read_edns(data: object) -> Edns:
    """Return EDNS of `{payload, do, version, options: [[code, hex]]}`."""
    if not isinstance(data, dict):
        raise UsageError("edns: an object with payload, do, version, options is needed")
    payload, version = data.get("payload", 1232), data.get("version", 0)
    if not _fits(payload, 65535) or not _fits(version, 255):
        raise UsageError("edns: payload must be 0 to 65535 and version 0 to 255")
    options = data.get("options") or []
    if not isinstance(options, list):
        raise UsageError("edns.options: a list of [code, hex] is needed")
    return Edns(payload, data.get("do") is True, version, tuple(map(_option, options)))


def _fits(value: object, highest: int) -> bool:
    return type(value) is int and 0 <= value <= highest


def _option(entry: object) -> tuple[int, str]:
    match entry:
        case [int(code), str(data)] if 0 <= code <= 65535:
            try:
                return code, bytes.fromhex(data).hex()
            except ValueError:
                pass
    raise UsageError(f"edns.options: {entry!r} is not [code, hex]")


def _text(data: Mapping[str, Any], key: str, default: str) -> str:
    value = data.get(key, default)
    if not isinstance(value, str):
        raise UsageError(f"{key}: a text is needed")
    return value


def _flag(data: Mapping[str, Any], key: str, default: bool) -> bool:
    value = data.get(key, default)
    if not isinstance(value, bool):
        raise UsageError(f"{key}: true or false is needed")
    return value


def _one_of(data: Mapping[str, Any], key: str, allowed: frozenset[str] | tuple[str, ...], default: str) -> str:
    value = data.get(key, default)
    if not isinstance(value, str) or value not in allowed:
        raise UsageError(f"{key}: one of {', '.join(sorted(allowed))} is needed")
    return value


def _address(data: Mapping[str, Any]) -> str:
    value = data.get("src", DEFAULT_CLIENT)
    address = parse_ip(value) if isinstance(value, str) else None
    if address is None:
        raise UsageError(f"src: {value!r} is not an address")
    return address
