"""`--pick ENDPOINT`: every random choice on the way falls on one endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from iptables_gen.values import format_ip
from netsim.errors import UsageError
from netsim.packet.names import hint
from netsim.trace.answer import Outcome


def picked(outcomes: tuple[Outcome, ...], pick: str | None) -> tuple[Outcome, ...]:
    """Keep the outcomes that go to an endpoint (`IP:PORT`, an address, `NS/NAME` or `pod/NS/NAME`), weights summing
    to 1; None keeps all. Raise UsageError when none goes there.
    """
    if pick is None:
        return outcomes
    wanted = pick.removeprefix("pod/")
    chosen = [outcome for outcome in outcomes if wanted in _names(outcome)]
    total = sum((outcome.probability for outcome in chosen), Fraction(0))
    if not total:
        raise UsageError(f"--pick {pick}: no outcome goes there{_known(wanted, outcomes)}")
    return tuple(outcome._replace(probability=outcome.probability / total) for outcome in chosen)


def _known(wanted: str, outcomes: Sequence[Outcome]) -> str:
    """Return the endpoints that can be picked, and what else happens."""
    known = sorted({name for outcome in outcomes for name in _names(outcome)})
    if known:
        return f"{hint(wanted, known)}: {', '.join(known)}"
    return f", nor to any endpoint: {', '.join(dict.fromkeys(f'{o.disposition} {o.code}' for o in outcomes))}"


def _names(outcome: Outcome) -> tuple[str, ...]:
    place = outcome.reached or outcome.endpoint
    if place is None:
        return ()
    names = (place.text, format_ip(place.family, place.address), place.pod or "")
    return tuple(name for name in names if name)
