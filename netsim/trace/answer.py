"""What a trace answers: weighted outcomes, one verdict, one code, one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal, NamedTuple, Protocol

from iptables_gen.effects import Assumed, RuleRef
from iptables_gen.values import Family, format_endpoint, format_ip
from netsim.notes import Note
from netsim.trace.walk import Hop

Disposition = Literal["DELIVERED", "REFUSED", "DROPPED", "NO_ROUTE", "NO_SUCH_NAME", "LOOP", "UNDETERMINED"]
VERDICT_OF: dict[str, str] = {
    "REFUSED": "REFUSED",
    "DROPPED": "DROPPED",
    "NO_ROUTE": "UNREACHABLE",
    "NO_SUCH_NAME": "UNREACHABLE",
    "LOOP": "LOOP",
}
"""The verdict of a disposition when nothing is delivered, in the order that breaks ties."""


class Place(NamedTuple):
    """Where a packet was delivered: the address it carried, and whose it is."""

    family: Family
    address: int
    port: int
    pod: str | None = None
    node: str | None = None

    @property
    def text(self) -> str:
        """Return `IP:PORT`."""
        return format_endpoint(format_ip(self.family, self.address), self.port)


class Trail(Protocol):
    """The hosts on the way there and back; they may be walked only when somebody looks."""

    @property
    def hops(self) -> tuple[Hop, ...]:
        """Return the hosts on the way there."""

    @property
    def back(self) -> tuple[Hop, ...]:
        """Return the hosts on the way of the answer."""


class Walked(NamedTuple):
    """A trail that has been walked."""

    hops: tuple[Hop, ...] = ()
    back: tuple[Hop, ...] = ()


NOWHERE = Walked()


class Outcome(NamedTuple):
    """One thing that can happen, with its exact probability.

    endpoint and server_sees are None unless the packet was delivered and the answer comes back; `reached` is where it
    got to all the same. `rule` decided a packet that was not delivered. `undeclared`: the pod declares no such port.
    """

    probability: Fraction
    disposition: Disposition
    code: str
    endpoint: Place | None = None
    server_sees: int | None = None
    snat: bool = False
    cni_snat: bool = False
    reached: Place | None = None
    rule: RuleRef | None = None
    detail: str = ""
    undeclared: bool = False
    assumed: tuple[Assumed, ...] = ()
    trail: Trail = NOWHERE

    @property
    def hops(self) -> tuple[Hop, ...]:
        """Return the hosts on the way there."""
        return self.trail.hops

    @property
    def back(self) -> tuple[Hop, ...]:
        """Return the hosts on the way of the answer."""
        return self.trail.back


class Asked(NamedTuple):
    """The query as understood."""

    source: str
    target: str
    via: str | None
    protocol: str
    mode: str
    client: str = ""
    dialled: str = ""
    about: str = ""


class Hint(NamedTuple):
    """What would help, with a code."""

    code: str
    text: str


class Question(NamedTuple):
    """One DNS question that was sent: name, type, nameserver, rcode (None: no answer), records in the answer."""

    name: str
    type: str
    server: str
    rcode: str | None
    answers: int


class Lookup(NamedTuple):
    """How a host name became addresses. `paths` are the ways of the questions themselves, one a nameserver."""

    name: str
    code: str
    addresses: tuple[str, ...]
    questions: tuple[Question, ...] = ()
    paths: tuple[tuple[str, Answer], ...] = ()


class HttpStep(NamedTuple):
    """What an HTTP proxy on the way decided for a client address that it saw: as a line and as JSON values.

    certificate: what it presented to a TLS client, as a line; "" without TLS.
    """

    client: str
    controller: str
    text: str
    decision: Mapping[str, Any]
    certificate: str = ""


class Answer(NamedTuple):
    """The whole answer; `outcomes` is never empty and its probabilities sum to 1."""

    asked: Asked
    outcomes: tuple[Outcome, ...]
    verdict: str
    code: str
    summary: str
    notes: tuple[Note, ...] = ()
    hints: tuple[Hint, ...] = ()
    lookup: Lookup | None = None
    http: tuple[HttpStep, ...] = ()

    @property
    def qualified(self) -> bool:
        """Whether something on the way is not modelled."""
        return any(note.qualifies for note in self.notes)

    def meets(self, expectation: str) -> bool:
        """Whether the verdict is *expectation*, or every outcome has it as disposition."""
        return self.verdict == expectation or all(o.disposition == expectation for o in self.outcomes)


def judge(outcomes: Sequence[Outcome]) -> tuple[str, str]:
    """Return (verdict, code) of all outcomes together."""
    kinds = {outcome.disposition for outcome in outcomes}
    if kinds == {"DELIVERED"}:
        codes = {outcome.code for outcome in outcomes}
        return "REACHABLE", codes.pop() if len(codes) == 1 else _heaviest(outcomes).code
    if "UNDETERMINED" in kinds:
        return "UNDETERMINED", next(o.code for o in outcomes if o.disposition == "UNDETERMINED")
    if "DELIVERED" in kinds:
        return "PARTIAL", _heaviest([o for o in outcomes if o.disposition != "DELIVERED"]).code
    order = list(VERDICT_OF)
    weights: dict[str, Fraction] = {}
    for outcome in outcomes:
        weights[outcome.disposition] = weights.get(outcome.disposition, Fraction(0)) + outcome.probability
    chosen = min(weights, key=lambda kind: (-weights[kind], order.index(kind)))
    return VERDICT_OF[chosen], _heaviest([o for o in outcomes if o.disposition == chosen]).code


def _heaviest(outcomes: Sequence[Outcome]) -> Outcome:
    return max(outcomes, key=lambda outcome: outcome.probability)


def merge(outcomes: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """Return the outcomes with equal ones added up, in the order in which they first appear."""
    found: dict[object, Outcome] = {}
    for outcome in outcomes:
        key = (*outcome[1:8], tuple([hop.machine.name for hop in outcome.hops]))
        known = found.get(key)
        total = outcome if known is None else known._replace(probability=known.probability + outcome.probability)
        found[key] = total
    return tuple(found.values())
