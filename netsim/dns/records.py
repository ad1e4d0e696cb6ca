"""What is asked and what is answered: Record, Query, Edns, Answer, and the message between CoreDNS plugins.

Names are presentation text with the final dot, rdata is text as dig prints it, and types, classes, rcodes and opcodes
are dig's words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

DEFAULT_CLIENT = "10.244.9.9"


class Record(NamedTuple):
    """One resource record; ttl in seconds. The class is always IN."""

    name: str
    ttl: int
    type: str
    rdata: str


Records = tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Edns:
    """An OPT record: UDP payload size in bytes, the DO bit, options as (code, hex text)."""

    payload: int = 1232
    do: bool = False
    version: int = 0
    options: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """One question as it reaches the server. `src` is the client's address; transport is udp or tcp."""

    name: str
    type: str = "A"
    qclass: str = "IN"
    transport: str = "udp"
    edns: Edns | None = None
    rd: bool = True
    cd: bool = False
    ad: bool = False
    opcode: str = "QUERY"
    src: str = DEFAULT_CLIENT


class Reply(NamedTuple):
    """A message that a plugin wrote, before the server fits it to the client's size limit.

    `opt` tells that the message carries an OPT record of its own (a forwarded answer to a query with EDNS).
    """

    rcode: str
    answer: Records = ()
    authority: Records = ()
    additional: Records = ()
    aa: bool = True
    ra: bool = False
    tc: bool = False
    opt: bool = False


class Unwritten(NamedTuple):
    """No plugin wrote a message: the server will send the bare rcode. `error`: a Go error came with it."""

    rcode: str
    error: bool = True


Outcome = Reply | Unwritten


class Answer(NamedTuple):
    """What the client receives. wire_length in bytes; `compressed` says how names are written on the wire.

    `timeout`: the server sends nothing at all; then every other field is empty. `question` is () in a bare header.
    """

    query: Query
    rcode: str = ""
    flags: tuple[str, ...] = ()
    answer: Records = ()
    authority: Records = ()
    additional: Records = ()
    edns: Edns | None = None
    wire_length: int = 0
    compressed: bool = False
    timeout: bool = False
    has_question: bool = True
