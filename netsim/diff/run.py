"""Runs a diff: asks every question of two tracers and groups what differs by cause."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from iptables_gen.kubeproxy.inputs import Mode, ProxyConfig, ProxyInput
from iptables_gen.values import Family, format_ip
from netsim.cluster.model import Cluster
from netsim.cluster.proxy import proxy_input
from netsim.diff.causes import CAUSES, Cause
from netsim.diff.classify import Classifier, Pair
from netsim.diff.compare import Endings, endings, what_differs
from netsim.diff.questions import Question, questions
from netsim.hosts.network import Network
from netsim.notes import Note
from netsim.trace.tracer import Tracer


@dataclass(frozen=True, slots=True)
class Difference:
    """One flow that the two modes answer differently."""

    question: Question
    before: Endings
    after: Endings
    differs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """All flows that differ for one cause; the first is the witness."""

    cause: Cause
    flows: tuple[Difference, ...]

    @property
    def witness(self) -> Difference:
        """Return the flow to reproduce."""
        return self.flows[0]

    @property
    def services(self) -> tuple[str, ...]:
        """Return the Services concerned as `ns/name`, sorted."""
        return tuple(sorted({f"{f.question.service.namespace}/{f.question.service.name}" for f in self.flows}))


@dataclass(frozen=True, slots=True)
class Report:
    """The answer: how many flows were asked, and what differs by cause."""

    modes: tuple[Mode, Mode]
    asked: int
    groups: tuple[Group, ...]
    notes: tuple[Note, ...] = ()

    @property
    def differing(self) -> int:
        """Return how many flows differ."""
        return sum(len(group.flows) for group in self.groups)


def compare_modes(before: Tracer, after: Tracer, config: ProxyConfig, notes: Iterable[Note] = ()) -> Report:
    """Ask everything of both tracers, which stand on the same cluster; `config` is that of either mode."""
    modes = (_mode(before), _mode(after))
    classifier = classifier_of(before.network, config)
    found: dict[str, list[Difference]] = {}
    asked = 0
    for question in questions(before.cluster, before.network):
        asked += 1
        difference = ask(question, before, after)
        if difference is not None:
            pair = Pair(question, difference.before, difference.after, modes)
            found.setdefault(classifier.cause(pair), []).append(difference)
    groups = tuple(Group(cause, tuple(found[code])) for code, cause in CAUSES.items() if code in found)
    return Report(modes, asked, groups, tuple(dict.fromkeys(notes)))


def _mode(tracer: Tracer) -> Mode:
    assert tracer.mode in ("iptables", "nftables", "ipvs")
    return tracer.mode  # type: ignore[return-value]


def ask(question: Question, before: Tracer, after: Tracer) -> Difference | None:
    """Return how the two answer a question differently, None when they agree."""
    first, second = endings(before.trace(question.query)), endings(after.trace(question.query))
    differs = what_differs(first, second)
    return Difference(question, first, second, differs) if differs else None


def classifier_of(network: Network, config: ProxyConfig) -> Classifier:
    """Return a classifier over one cluster."""
    return Classifier(_inputs(network.cluster, config), _client_addresses(network))


def _inputs(cluster: Cluster, config: ProxyConfig) -> Callable[[str, Family], ProxyInput]:
    return lambda node, family: proxy_input(cluster, node, family, config)


def _client_addresses(network: Network) -> Callable[[Question], frozenset[str]]:
    """Return a function that names the addresses a client may use as its own."""

    def addresses(question: Question) -> frozenset[str]:
        word, _, rest = question.query.source.partition("/")
        if word == "pod":
            namespace, _, name = rest.partition("/")
            pod = network.cluster.pod(namespace, name)
            return frozenset(pod.ips if pod else ())
        if word == "node":
            return frozenset(_node_addresses(network, rest))
        return frozenset((rest,) if rest else ())

    return addresses


def _node_addresses(network: Network, node: str) -> Iterator[str]:
    for link in network.facts[node].interfaces:
        yield from (format_ip(a.family, a.value) for a in link.addresses)
