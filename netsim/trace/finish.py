"""From where a walk ends to an outcome: sockets take the packet or refuse it, and the end gets its code."""

from __future__ import annotations

from collections.abc import Iterator

from iptables_gen.effects import Assumed
from netsim.trace.answer import Disposition, Outcome, Place, Walked
from netsim.trace.back import with_return
from netsim.trace.codes import code_of, land
from netsim.trace.facts import Facts
from netsim.trace.passage import Delivered, Lost, Refused, Unknown
from netsim.trace.walk import Hop, Leaf, Scene, Walker


class Finisher:
    """Finishes the leaves of one walker's walks."""

    def __init__(self, walker: Walker, facts: Facts) -> None:
        self._walker = walker
        self._facts = facts

    def finished(self, leaf: Leaf, scene: Scene) -> Iterator[Leaf]:
        """Yield the leaf once the last host has taken the packet and the answer has been followed."""
        yield from with_return(self._walker, self._landed(leaf), scene)

    def _landed(self, leaf: Leaf) -> Leaf:
        if not isinstance(leaf.end, Delivered) or not isinstance(leaf.hops[-1].passage.end, Delivered):
            return leaf
        landing = land(self._facts, self._walker.network, leaf.hops[-1])
        return leaf if isinstance(landing.end, Delivered) else leaf._replace(end=landing.end)

    def outcome(self, leaf: Leaf) -> Outcome:
        """Return what a finished leaf means to the client."""
        last = leaf.hops[-1]
        nats = [hop.passage.nat for hop in leaf.hops]
        landing = land(self._facts, self._walker.network, last) if isinstance(last.passage.end, Delivered) else None
        pod = "/".join(landing.pod) if landing and landing.pod else None
        reached = _place(last, pod, last.machine.host.node or None) if landing else None
        common = Outcome(
            leaf.weight,
            "DELIVERED",
            landing.code if landing else "OUTSIDE",
            snat=any(nat.src is not None and nat.snat_by != "cni" for nat in nats),
            cni_snat=any(nat.snat_by == "cni" for nat in nats),
            reached=reached,
            undeclared=landing is not None and landing.undeclared,
            assumed=tuple(_assumed((*leaf.hops, *leaf.back))),
            trail=Walked(leaf.hops, leaf.back),
        )
        match leaf.end:
            case Delivered():
                return common._replace(endpoint=reached or _place(last, None, None), server_sees=last.out.src)
            case Unknown(rule, reason):
                return common._replace(disposition="UNDETERMINED", code="UNKNOWN_RULE", rule=rule, detail=reason)
            case Refused(_, rule, kind):
                code = code_of(self._facts, leaf)
                return common._replace(disposition="REFUSED", code=code, rule=rule, detail=kind)
            case Lost(_, rule, disposition, detail):
                code = code_of(self._facts, leaf)
                return common._replace(disposition=_disposition(disposition), code=code, rule=rule, detail=detail)
        raise AssertionError(leaf.end)


def _place(hop: Hop, pod: str | None, node: str | None) -> Place:
    return Place(hop.out.family, hop.out.dst, hop.out.dport, pod, node)


def _assumed(hops: tuple[Hop, ...]) -> Iterator[Assumed]:
    for hop in hops:
        yield from hop.passage.assumed


def _disposition(text: str) -> Disposition:
    return "NO_ROUTE" if text == "NO_ROUTE" else "LOOP" if text == "LOOP" else "DROPPED"
