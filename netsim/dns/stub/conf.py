"""resolv.conf and /etc/hosts as the three libraries read them.

Source: resolv.conf(5), hosts(5); observed on glibc 2.36, musl 1.2.3 and Go 1.27.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from iptables_gen.values import decimal
from netsim.dns.names import parse_ip

Libc = Literal["glibc", "musl", "go"]
MAX_NAMESERVERS = 3
LOCAL = "127.0.0.1"
FLAGS = ("rotate", "single-request", "single-request-reopen", "use-vc", "edns0", "no-aaaa", "no-tld-query", "trust-ad")
MUSL_SEARCH_BYTES = 256


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """Nameservers (at most three), search list as written, ndots, timeout in seconds, attempts, and flag options."""

    nameservers: tuple[str, ...] = (LOCAL,)
    search: tuple[str, ...] = ()
    ndots: int = 1
    timeout: int = 5
    attempts: int = 2
    options: frozenset[str] = frozenset()


class HostsLine(NamedTuple):
    """One line of /etc/hosts: canonical address, names in order."""

    address: str
    names: tuple[str, ...]


def read_resolv_conf(text: str, libc: Libc, localdomain: str = "") -> ResolvConf:
    """Return what a library makes of a resolv.conf; *localdomain* is the environment's LOCALDOMAIN (glibc only)."""
    nameservers: list[str] = []
    search: tuple[str, ...] = ()
    options: dict[str, str] = {}
    for words in _lines(text):
        match words:
            case ["nameserver", address, *_] if parse_ip(address) and len(nameservers) < MAX_NAMESERVERS:
                nameservers.append(address)
            case ["domain", name, *_]:
                search = (name,)
            case ["search", *names]:
                search = tuple(names)
            case ["options", *listed]:
                options |= {key: value for key, _, value in (word.partition(":") for word in listed)}
            case _:
                pass
    if libc == "glibc" and localdomain:
        search = tuple(localdomain.split())
    return ResolvConf(
        tuple(nameservers) or ((LOCAL, "::1") if libc == "go" else (LOCAL,)),
        _search_of(search, libc),
        _ndots(options, libc),
        _bounded(options.get("timeout"), 5, 1, 60 if libc == "musl" else 30),
        _bounded(options.get("attempts"), 2, 1, 10 if libc == "musl" else 5),
        frozenset(options) & frozenset(FLAGS) if libc != "musl" else frozenset(),
    )


def _lines(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if words:
            yield words


def _search_of(search: tuple[str, ...], libc: Libc) -> tuple[str, ...]:
    if libc == "go":
        return tuple(name for name in search if name != ".")
    if libc == "musl" and len(" ".join(search)) >= MUSL_SEARCH_BYTES:
        return ()
    return search


def _ndots(options: dict[str, str], libc: Libc) -> int:
    text = options.get("ndots")
    if text is None:
        return 1
    digits = text[: len(text) - len(text.lstrip("0123456789"))]
    if not digits:
        # atoi of no number is 0; musl wants a digit and keeps its default.
        return 1 if libc == "musl" else 0
    return min(int(digits[:20]), 15)


def _bounded(text: str | None, default: int, low: int, high: int) -> int:
    value = decimal(text or "")
    return default if value is None else min(max(value, low), high)


def read_hosts(text: str) -> tuple[HostsLine, ...]:
    """Return the lines of an /etc/hosts file that have an address and a name."""
    found = []
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        address = parse_ip(words[0]) if words else None
        if address and len(words) > 1:
            found.append(HostsLine(address, tuple(words[1:])))
    return tuple(found)


def nsswitch_sources(text: str) -> tuple[str, ...]:
    """Return which of files and dns nsswitch.conf's `hosts:` line asks, in order; without a line files, then dns."""
    for words in _lines(text):
        if words[0] == "hosts:":
            return tuple(word for word in words[1:] if word in ("files", "dns"))
    return ("files", "dns")
