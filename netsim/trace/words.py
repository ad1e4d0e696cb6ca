"""What the words of queries mean, remembered: the same pods dial the same Services again and again."""

from __future__ import annotations

from dataclasses import replace

from iptables_gen.values import Family
from netsim.hosts.network import Network
from netsim.packet.words import ToWord, parse_from, parse_to
from netsim.trace.answer import Place
from netsim.trace.facts import Facts
from netsim.trace.query import Resolved, Start, goals_of, start_of

MOST = 100_000
"""Words that are remembered before all are forgotten."""


class Words:
    """The meaning of FROM and TO in one cluster."""

    def __init__(self, network: Network, facts: Facts, namespace: str) -> None:
        self._network = network
        self._facts = facts
        self._namespace = namespace
        self._starts: dict[tuple[str, str | None], Start] = {}
        self._targets: dict[tuple[str, str | None, tuple[Family, ...]], tuple[ToWord, str | None, Resolved | None]] = {}

    def start(self, source: str, via: str | None) -> Start:
        """Return where FROM is; raise UsageError when it names nothing."""
        key = (source, via)
        found = self._starts.get(key)
        if found is None:
            if len(self._starts) > MOST:
                self._starts.clear()
            found = self._starts[key] = start_of(parse_from(source, self._namespace), self._network, via)
        return found

    def target(self, text: str, protocol: str | None, start: Start) -> tuple[ToWord, str | None, Resolved | None]:
        """Return (the word TO, the protocol said, where it is); the last is None for a name to be looked up."""
        key = (text, protocol, start.families)
        found = self._targets.get(key)
        if found is None:
            if len(self._targets) > MOST:
                self._targets.clear()
            found = self._targets[key] = self._find(text, protocol, start)
        return found

    def _find(self, text: str, protocol: str | None, start: Start) -> tuple[ToWord, str | None, Resolved | None]:
        word, said = parse_to(text, self._namespace, protocol)
        resolved = goals_of(word, start, self._network, said)
        if resolved is None or not resolved.goals:
            return word, said, resolved
        goal = resolved.goals[0]
        dialled = Place(goal.family, goal.address, goal.port).text
        meaning = self._facts.meaning(*goal)
        return word, said, replace(resolved, meaning=meaning, dialled=dialled, about=meaning.name)
