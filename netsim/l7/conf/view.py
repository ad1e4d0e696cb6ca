"""The nginx configuration as data: what the templates print. Every string is a finished word or a comment."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Directive:
    """One simple directive: its name and its words, already quoted where they come from a manifest."""

    name: str
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the directive's line."""
        return f"{' '.join((self.name, *self.words))};"


@dataclass(frozen=True, slots=True)
class Block:
    """A block of the http level: map, geo, split_clients or upstream with its lines (words without the semicolon)."""

    head: str
    lines: tuple[str, ...]
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """An `if` in a server or location with what it does."""

    test: str
    directives: tuple[Directive, ...]


Step = Directive | Condition


@dataclass(frozen=True, slots=True)
class LocationView:
    """A location: its head (`= "/x"`), a comment naming its origin, and what it does, in the order in which nginx
    does it.
    """

    head: str
    comment: str
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerView:
    """A server: its names, certificate files and locations; `refused` are comments on what was left out."""

    title: str
    names: tuple[str, ...]
    default: bool
    certificate: str
    steps: tuple[Step, ...] = ()
    locations: tuple[LocationView, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfView:
    """The whole configuration. `http`, `https` are what the servers listen on."""

    title: str
    http: str
    https: str
    hash_size: int
    zones: tuple[Directive, ...] = ()
    blocks: tuple[Block, ...] = ()
    servers: tuple[ServerView, ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)
