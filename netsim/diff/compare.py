"""Two answers side by side: what of a flow differs, and who gets how much of it."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from iptables_gen.values import format_ip
from netsim.trace.answer import Answer, Outcome

SILENT = "SILENT"
_CLASS = {"DROPPED": SILENT, "NO_ROUTE": SILENT}


class Ending(NamedTuple):
    """How an outcome looks to the client and the server. Silence is one thing, wherever the packet was lost."""

    disposition: str
    endpoint: str = ""
    source: str = ""


Endings = Mapping[Ending, Fraction]


def endings(answer: Answer) -> Endings:
    """Return the endings of an answer with their probabilities."""
    found: dict[Ending, Fraction] = {}
    for outcome in answer.outcomes:
        ending = _ending(outcome)
        found[ending] = found.get(ending, Fraction(0)) + outcome.probability
    return found


def _ending(outcome: Outcome) -> Ending:
    if outcome.disposition != "DELIVERED" or outcome.endpoint is None:
        return Ending(_CLASS.get(outcome.disposition, outcome.disposition))
    seen = outcome.server_sees
    source = "" if seen is None else format_ip(outcome.endpoint.family, seen)
    return Ending("DELIVERED", outcome.endpoint.text, source)


def dispositions(found: Endings) -> frozenset[str]:
    """Return the different dispositions."""
    return frozenset(ending.disposition for ending in found)


def endpoints(found: Endings) -> frozenset[str]:
    """Return the endpoints that may answer."""
    return frozenset(ending.endpoint for ending in found if ending.endpoint)


def sources(found: Endings) -> frozenset[tuple[str, str]]:
    """Return which source each endpoint may see."""
    return frozenset((ending.endpoint, ending.source) for ending in found if ending.endpoint)


def what_differs(before: Endings, after: Endings) -> tuple[str, ...]:
    """Return which of verdict, endpoints, source and probability differ, () for equal answers."""
    if before == after:
        return ()
    parts = (
        ("verdict", dispositions(before) != dispositions(after)),
        ("endpoints", endpoints(before) != endpoints(after)),
        ("source", _common(before, after) != _common(after, before)),
    )
    found = tuple(name for name, differs in parts if differs)
    return found or ("probability",)


def _common(mine: Endings, other: Endings) -> frozenset[tuple[str, str]]:
    """Return the sources at endpoints that both have."""
    shared = endpoints(mine) & endpoints(other)
    return frozenset(pair for pair in sources(mine) if pair[0] in shared)
