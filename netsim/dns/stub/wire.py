"""What a stub resolver sends and sees: packets numbered by socket, answered by a Network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from netsim.dns.records import Answer, Edns, Query, Records

Silence = Literal["silent", "refused"]
Api = Literal["unspec", "inet", "inet6", "addrconfig", "canon", "ghbn", "ghbn2_6", "nameinfo", "srv"]
APIS: tuple[Api, ...] = ("unspec", "inet", "inet6", "addrconfig", "canon", "ghbn", "ghbn2_6", "nameinfo", "srv")


class Network(Protocol):
    """Everything a resolver can reach."""

    def ask(self, server: str, query: Query) -> Answer | Silence:
        """Return an answer, "silent" for none, "refused" when nothing listens there (ICMP port unreachable)."""

    def distance(self, server: str) -> int:
        """Return how far away a nameserver is: of answers to one question the nearest server's arrives first."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One packet sent: question, server, socket (`s0` …), the answer's rcode and number of records (None without one).

    after_ms: the wait before it in milliseconds, 0 for none.
    """

    name: str
    type: str
    to: str
    sock: str
    rcode: str | None = None
    answers: int | None = None
    tcp: bool = False
    edns: int = 0
    ad: bool = False
    tc: bool = False
    after_ms: int = 0
    refused: bool = False

    def as_json(self) -> dict[str, object]:
        """Return the contract's query object; keys that say nothing are left out."""
        found: dict[str, object] = {
            "q": self.name,
            "type": self.type,
            "to": self.to,
            "sock": self.sock,
            "rcode": self.rcode,
            "answers": self.answers,
        }
        extra = {
            "proto": "tcp" if self.tcp else "",
            "edns": self.edns,
            "ad": self.ad,
            "tc": self.tc,
            "after_ms": self.after_ms,
            "refused": self.refused,
        }
        return found | {key: value for key, value in extra.items() if value}

    @property
    def on_wire(self) -> bool:
        """Whether the packet leaves the pod; what is sent to a loopback address does not."""
        return not (self.to.startswith("127.") or self.to == "::1")


class Reply(NamedTuple):
    """What came back for one question."""

    rcode: str | None
    answer: Records = ()
    tc: bool = False
    refused: bool = False

    @property
    def failed(self) -> bool:
        """Whether a library goes on to the next server: an rcode that says nothing about the name."""
        return self.rcode not in ("NOERROR", "NXDOMAIN")


@dataclass(slots=True)
class Wire:
    """The packets of one look-up so far. client: the source address."""

    network: Network
    client: str
    sent: list[Sent] = field(default_factory=list)
    sockets: int = 0

    def socket(self) -> str:
        """Open a socket."""
        self.sockets += 1
        return f"s{self.sockets - 1}"

    def ask(
        self,
        name: str,
        kind: str,
        to: str,
        sock: str,
        *,
        tcp: bool = False,
        edns: int = 0,
        ad: bool = False,
        after: int = 0,
    ) -> Reply:
        """Send one question; edns is the payload size (0: no OPT), after the wait before it in milliseconds."""
        transport = "tcp" if tcp else "udp"
        query = Query(name, kind, transport=transport, edns=Edns(edns) if edns else None, ad=ad, src=self.client)
        found = self.network.ask(to, query)
        reply = _reply(found)
        self.sent.append(
            Sent(
                name,
                kind,
                to,
                sock,
                reply.rcode,
                None if reply.rcode is None else len(reply.answer),
                tcp,
                edns,
                ad,
                reply.tc,
                after,
                reply.refused,
            )
        )
        return reply


def _reply(found: Answer | Silence) -> Reply:
    if found == "refused":
        return Reply(None, refused=True)
    if isinstance(found, str) or found.timeout:
        return Reply(None)
    return Reply(found.rcode, found.answer, "tc" in found.flags)


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up yields: addresses in the library's order, canonical name, aliases, error ("" if none), packets.

    `error` is spelled as the library's own tools print it (`-2 Name or service not known`).
    """

    addresses: tuple[str, ...] = ()
    error: str = ""
    name: str = ""
    aliases: tuple[str, ...] = ()
    queries: tuple[Sent, ...] = ()


def addresses_of(records: Records, kind: str) -> tuple[str, ...]:
    """Return the addresses of one type in an answer section."""
    return tuple(record.rdata for record in records if record.type == kind)


def canonical_of(records: Records, asked: str) -> str:
    """Return the owner of the last record, without final dot: where the CNAMEs lead."""
    last = next((record.name for record in reversed(records)), asked)
    return last.removesuffix(".") or "."


def ordered(addresses: tuple[str, ...], client_ips: tuple[str, ...]) -> tuple[str, ...]:
    """Return addresses as RFC 6724 puts them for a pod: loopback IPv6, then IPv4, then IPv6.

    A pod's IPv6 address is a unique local one at best, which rule 5 puts behind IPv4 for a global destination.
    """

    def rank(address: str) -> int:
        if address == "::1":
            return 0
        own = any(":" in ip for ip in client_ips)
        local = address.startswith(("fd", "fc"))
        return (1 if own and local else 3) if ":" in address else 2

    return tuple(sorted(addresses, key=rank))
