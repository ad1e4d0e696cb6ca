"""Model against kernel: predict with the tracer, send real packets, compare.

Agreement means: every observation is a predicted outcome (what happened, which endpoint, which source it saw), every
predicted outcome was observed, and the frequencies fit the exact probabilities (chi-squared; DOUBT is the chance, a
question, that a true model is called wrong). Protocols without sockets are not verifiable, never agreement.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from iptables_gen.values import format_ip, parse_endpoint, parse_ip
from netsim.cluster.model import Cluster
from netsim.hosts.network import Network
from netsim.lab import enter, holder, state
from netsim.lab.build import vip_route, vip_routes
from netsim.lab.ingress import IDENTITY_REQUEST, sockets
from netsim.lab.listen import dns_addresses
from netsim.lab.names import IDENTITY_QUERY
from netsim.lab.ops import AddRoute, Operation
from netsim.lab.probe import QUESTION, Observation, Probe, probe_all
from netsim.lab.questions import UNVERIFIABLE, Question
from netsim.lab.statistics import chi_squared, enough
from netsim.trace.answer import Answer, Outcome
from netsim.trace.query import TraceQuery
from netsim.trace.tracer import Tracer

DOUBT = 1e-6
PATIENCE, PAUSE = 0.7, 1.0
MAX_TRIES = 120
DNS_PORT = 53
Shares = dict[str, Fraction]
Result = Literal["agree", "differ", "unverifiable"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one question came to. `predicted` and `observed` map an outcome's words to its share and its count.

    `first` says why a first round of tries differed where the repetition agreed: a packet lost on a busy machine.
    """

    question: Question
    result: Result
    predicted: Shares
    observed: dict[str, int]
    why: str = ""
    first: str = ""


def verify(lab: state.LabState, network: Network, tracer: Tracer, questions: Sequence[Question]) -> Iterator[Finding]:
    """Yield a finding a question; questions are grouped by the node at which the router hands packets in."""
    plain = [question for question in questions if question.protocol not in UNVERIFIABLE]
    yield from (_unverifiable(question) for question in questions if question.protocol in UNVERIFIABLE)
    for via in dict.fromkeys(question.via for question in plain):
        group = [question for question in plain if question.via == via]
        if via is not None:
            send_ways(lab, network, group, via)
        # User-mode Linux is slow.
        patience = PATIENCE if lab.mode != "ipvs" else 2 * PATIENCE
        findings = list(_group(lab, tracer, group, patience))
        again = [finding.question for finding in findings if finding.result == "differ"]
        if again:
            time.sleep(PAUSE)
        second = {finding.question: finding for finding in _group(lab, tracer, again, 2 * patience)}
        for finding in findings:
            yield replace(second.get(finding.question, finding), first=finding.why)
    restore_ways(lab, network)


def _unverifiable(question: Question) -> Finding:
    return Finding(question, "unverifiable", {}, {}, f"no {question.protocol} sockets to verify with")


def send_ways(lab: state.LabState, network: Network, group: Iterable[Question], via: str) -> None:
    """Let the router hand packets for the questions' addresses to the node *via*."""
    holder.send_operations(lab, tuple(_ways(network, group, via.removeprefix("node/"))))


def restore_ways(lab: state.LabState, network: Network) -> None:
    """Let the router hand packets for virtual addresses to the nodes of the lab's plan again."""
    holder.send_operations(lab, [route for route in vip_routes(network) if isinstance(route, AddRoute)])


def _ways(network: Network, group: Iterable[Question], node: str) -> Iterator[Operation]:
    for address in dict.fromkeys(parse_endpoint(question.target)[0] for question in group):
        yield from vip_route(network, address, node)


def _group(lab: state.LabState, tracer: Tracer, group: Sequence[Question], patience: float) -> Iterator[Finding]:
    predictions = [predicted(tracer, question) for question in group]
    probes: list[Probe] = []
    spans: list[slice] = []
    for question, shares in zip(group, predictions, strict=True):
        probe = probe_for(lab, tracer, question, shares, patience)
        wanted = 4 if probe.sequence else min(enough(shares, DOUBT), MAX_TRIES)
        spans.append(slice(len(probes), len(probes) + wanted))
        probes.extend([probe] * wanted)
    observations = probe_all(lab, probes) if probes else ()
    for question, shares, span in zip(group, predictions, spans, strict=True):
        yield compare(question, shares, observations[span], sticky=bool(probes[span.start].sequence))


def probe_for(lab: state.LabState, tracer: Tracer, question: Question, shares: Shares, patience: float) -> Probe:
    """Return the probe that asks a question; those of a sticky Service's client form a sequence."""
    # An affinity table belongs to a Service port: all of a client's connections to the Service share it.
    client = client_namespace(lab, tracer.cluster, question.source)
    sequence = f"{client} {question.service}" if is_sticky(tracer, question, shares) else ""
    address, port = parse_endpoint(question.target)
    return Probe(client, address, port, question.protocol, patience, sequence, question_bytes(tracer, question, shares))


def question_bytes(tracer: Tracer, question: Question, shares: Shares) -> bytes:
    """Return what a probe says: who it may reach is asked in its own language who it is."""
    places = [endpoint for endpoint in map(_endpoint, shares) if endpoint]
    cluster = tracer.cluster
    if any(port == DNS_PORT and address in dns_addresses(cluster) for address, port in places):
        prefix = len(IDENTITY_QUERY).to_bytes(2, "big") if question.protocol == "tcp" else b""
        return prefix + IDENTITY_QUERY
    http = question.protocol == "tcp" and not sockets(cluster).isdisjoint(places)
    return IDENTITY_REQUEST if http else QUESTION


def _endpoint(words: str) -> tuple[str, int] | None:
    """Return the endpoint in an outcome's words, None when nothing is delivered."""
    kind, _, rest = words.partition(" ")
    return parse_endpoint(rest.split(" ")[0]) if kind == "DELIVERED" else None


def client_namespace(lab: state.LabState, cluster: Cluster, source: str) -> str:
    """Return the namespace of a client; a hostNetwork pod is a process of its node."""
    _, _, name = source.partition("/")
    pod = cluster.pod(*name.split("/", 1)) if source.startswith("pod/") and "/" in name else None
    return enter.namespace_of(lab, f"node/{pod.node_name}" if pod and pod.host_network else source)


def predicted(tracer: Tracer, question: Question) -> Shares:
    """Return the share of each outcome, in the words of an observation."""
    return shares_of(tracer.trace(query_of(question)))


def query_of(question: Question) -> TraceQuery:
    """Return a question as the tracer takes it."""
    return TraceQuery(question.source, question.target, question.via, question.protocol)


def shares_of(answer: Answer) -> Shares:
    """Return the share of each outcome of an answer, in the words of an observation."""
    shares: Shares = {}
    for outcome in answer.outcomes:
        words = outcome_words(outcome)
        shares[words] = shares.get(words, Fraction(0)) + outcome.probability
    return shares


def outcome_words(outcome: Outcome) -> str:
    """Return `DELIVERED ip:port from SOURCE`, `REFUSED` or `SILENCE`."""
    if outcome.disposition == "DELIVERED" and outcome.endpoint is not None:
        source = "?" if outcome.server_sees is None else format_ip(outcome.endpoint.family, outcome.server_sees)
        return f"DELIVERED {outcome.endpoint.text} from {source}"
    return "REFUSED" if outcome.disposition == "REFUSED" else "SILENCE"


def observation_words(observation: Observation) -> str:
    """Return an observation in the words of `outcome_words`; an answer that says not whose it is has no endpoint."""
    if observation.verdict == "DELIVERED" and not observation.sees:
        return "DELIVERED somewhere"
    if observation.verdict == "DELIVERED":
        return f"DELIVERED {observation.endpoint} from {format_ip(*parse_ip(observation.sees))}"
    return "REFUSED" if observation.verdict == "REFUSED" else "SILENCE"


def is_sticky(tracer: Tracer, question: Question, shares: Shares) -> bool:
    """Whether the Service keeps clients at one endpoint and answers: then tries are not independent."""
    return has_affinity(tracer, question) and any(words.startswith("DELIVERED") for words in shares)


def has_affinity(tracer: Tracer, question: Question) -> bool:
    """Whether the Service that a question is about keeps clients at one endpoint."""
    namespace, _, name = question.service.partition("/")
    service = tracer.cluster.service(namespace, name)
    return service is not None and service.affinity_seconds is not None


def compare(
    question: Question, shares: Shares, observations: Sequence[Observation], *, sticky: bool = False
) -> Finding:
    """Return whether observations fit the predicted shares."""
    counts = dict(Counter(observation_words(item) for item in observations))
    why = _sticky_difference(shares, counts) if sticky else _difference(shares, counts)
    return Finding(question, "differ" if why else "agree", shares, counts, why)


def _difference(shares: Shares, counts: dict[str, int]) -> str:
    strange = sorted(counts.keys() - shares.keys())
    if strange:
        return f"observed but not predicted: {'; '.join(strange)}"
    missing = sorted(shares.keys() - counts.keys())
    if missing and sum(counts.values()) >= enough(shares, DOUBT):
        return f"predicted but not observed: {'; '.join(missing)}"
    chance = chi_squared(counts, shares)
    return f"frequencies do not fit (chance {chance:.1e})" if chance < DOUBT else ""


def _sticky_difference(shares: Shares, counts: dict[str, int]) -> str:
    strange = sorted(counts.keys() - shares.keys())
    if strange:
        return f"observed but not predicted: {'; '.join(strange)}"
    return f"affinity did not hold: {'; '.join(sorted(counts))}" if len(counts) > 1 else ""
