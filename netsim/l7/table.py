"""The routing table behind every dialect: which host's entry, then which path's entry, in time flat in their number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Pattern(Protocol):
    """A compiled regular expression, as `re.Pattern` is."""

    def search(self, string: str, /) -> object | None:
        """Return something true when the pattern is found in *string*."""


@dataclass(frozen=True, slots=True)
class HostTable(Generic[T]):
    """Entries by host: exact names, wildcards by what follows `*`, and the entry of no host at all.

    `any_depth` says whether `*.x` covers several labels (Gateway API, APISIX) or exactly one (Ingress).
    """

    exact: Mapping[str, T] = field(default_factory=dict)
    wildcard: Mapping[str, T] = field(default_factory=dict)
    fallback: T | None = None
    any_depth: bool = False

    def find(self, host: str) -> T | None:
        """Return the most specific entry: exact name, longest wildcard, else the hostless one."""
        entry = self.exact.get(host)
        if entry is not None:
            return entry
        return next(self.covering(host), self.fallback)

    def covering(self, host: str) -> Iterator[T]:
        """Yield the wildcard entries that cover *host*, most specific first."""
        cut = host.find(".")
        while cut > 0:
            entry = self.wildcard.get(host[cut:])
            if entry is not None:
                yield entry
            if not self.any_depth:
                return
            cut = host.find(".", cut + 1)

    def falling(self, host: str) -> Iterator[T]:
        """Yield every entry that covers *host*, most specific first: exact, wildcards, hostless."""
        if (entry := self.exact.get(host)) is not None:
            yield entry
        yield from self.covering(host)
        if self.fallback is not None:
            yield self.fallback


def host_table(entries: Mapping[str, T], *, any_depth: bool = False) -> HostTable[T]:
    """Return the table of entries keyed by host as Ingress spells it: `name`, `*.name`, "" for any."""
    exact = {host: entry for host, entry in entries.items() if host and not host.startswith("*.")}
    wildcard = {host[1:]: entry for host, entry in entries.items() if host.startswith("*.")}
    return HostTable(exact, wildcard, entries.get(""), any_depth)


@dataclass(frozen=True, slots=True)
class PathTable(Generic[T]):
    """Entries of one host by path: exact paths, prefixes that end in `/`, and patterns in the order in which they are
    tried.
    """

    exact: Mapping[str, T] = field(default_factory=dict)
    prefix: Mapping[str, T] = field(default_factory=dict)
    patterns: tuple[tuple[Pattern, T], ...] = ()

    def longest(self, path: str) -> T | None:
        """Return the entry of the longest prefix of *path*."""
        table = self.prefix
        cut = path.rfind("/")
        while cut >= 0:
            entry = table.get(path[: cut + 1])
            if entry is not None:
                return entry
            cut = path.rfind("/", 0, cut)
        return None

    def first(self, path: str, holds: Callable[[T], bool] = lambda entry: True) -> T | None:
        """Return the entry of the first pattern found in *path* for which *holds* is true."""
        return next((entry for pattern, entry in self.patterns if pattern.search(path) and holds(entry)), None)
