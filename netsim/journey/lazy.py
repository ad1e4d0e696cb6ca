"""A resolver that imports DNS only when a name is asked for: most traces dial addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from iptables_gen.values import parse_ip
from netsim.errors import UsageError
from netsim.hosts.network import Network
from netsim.packet.words import HostRef, UrlRef
from netsim.trace.query import Resolved, Resolver, Start


def names_of(network: Network, mode: str, given: Mapping[str, tuple[str, ...]]) -> Resolver:
    """Return the resolver of a network; `given` are the addresses of --resolve by host."""

    @cache
    def opened() -> Resolver:
        from netsim.journey.names import Names

        return Names(network, mode, given)

    def resolver(word: HostRef | UrlRef, start: Start, protocol: str) -> Resolved:
        return opened()(word, start, protocol)

    return resolver


def given_names(words: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return what `--resolve HOST:ADDR` says; UsageError for a word of another form."""
    found: dict[str, tuple[str, ...]] = {}
    for word in words:
        host, _, address = word.partition(":")
        bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
        try:
            parse_ip(bare)
        except ValueError as error:
            raise UsageError(f"--resolve {word!r}: write HOST:ADDRESS") from error
        found[host] = (*found.get(host, ()), bare)
    return found
