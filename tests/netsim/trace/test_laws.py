"""Laws that hold for every trace."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.report.trace_json import answer_json
from netsim.trace.query import TraceQuery
from tests.conformance_support.kernel import kernel_cases, read_rows
from tests.conformance_support.model import flags_for, manifests_of, tracer_for
from tests.conformance_support.small import WEB, ask, node, pod, service, tracer_of

CASES = [(mode, case) for mode in ("iptables", "nftables", "ipvs") for case in kernel_cases(mode)]


@pytest.mark.parametrize(("mode", "case"), CASES, ids=[f"{mode}-{case.name}" for mode, case in CASES])
def test_weights_sum_to_one_and_answers_come_from_the_address_dialled(mode: str, case: Path) -> None:
    tracer = tracer_for(manifests_of(case), flags_for(case, mode))
    for row in read_rows(case, mode)[::3]:
        answer = tracer.trace(TraceQuery(row["from"], row["to"], row["via"], row["protocol"]))
        assert sum(outcome.probability for outcome in answer.outcomes) == 1
        for outcome in answer.outcomes:
            if outcome.disposition == "DELIVERED":
                # Translating back is the identity: the client gets the mirror image of what it sent.
                assert outcome.back[-1].out.header == outcome.hops[0].packet.reversed().header
                assert outcome.back[-1].machine is outcome.hops[0].machine


NODES = st.integers(1, 3)


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[str]]:
    """A cluster of up to three nodes, its clients, and addresses to dial."""
    count = draw(NODES)
    objects: list[dict[str, Any]] = [node(number) for number in range(1, count + 1)]
    backends = draw(st.lists(st.tuples(st.integers(1, count), st.booleans()), max_size=4))
    for number, (on, host) in enumerate(backends):
        objects.append(pod(f"web-{number}", on, 10 + number, host=host, ports=(8080 + number if host else 8080,)))
    policy = draw(st.sampled_from(["Cluster", "Local"]))
    internal = draw(st.sampled_from(["Cluster", "Local"]))
    ranges = draw(st.sampled_from([None, ["198.51.100.0/24"], ["10.0.0.0/8"]]))
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
    extra = {"loadBalancerSourceRanges": ranges} if ranges else {}
    objects.append(
        service(
            "web", "10.96.1.1", node_port=30080, type="LoadBalancer", status=status,
            externalTrafficPolicy=policy, internalTrafficPolicy=internal, **extra,
        )
    )  # fmt: skip
    objects.append(pod("client-0", count, 200))
    clients = ["pod/client-0", "node/node-1", "external", *(f"pod/web-{n}" for n in range(len(backends)))]
    return objects, clients


TARGETS = ["svc/web:80", "203.0.113.7:80", "192.168.10.1:30080", "127.0.0.1:30080", "10.244.1.1:30080", "10.96.1.1:81"]


@settings(max_examples=25)
@given(clusters(), st.sampled_from(["iptables", "nftables", "ipvs"]), st.data())
def test_the_order_of_objects_never_matters(
    drawn: tuple[list[dict[str, Any]], list[str]], mode: str, data: st.DataObject
) -> None:
    objects, clients = drawn
    shuffled = data.draw(st.permutations(objects))
    first = tracer_of(*objects, flags=(f"--proxy-mode={mode}",))
    second = tracer_of(*shuffled, flags=(f"--proxy-mode={mode}",))
    for client in clients:
        for target in TARGETS:
            if target.startswith("127.") and not client.startswith("node/"):
                continue
            one, other = ask(first, client, target), ask(second, client, target)
            assert without_lines(answer_json(one, back=True)) == without_lines(answer_json(other, back=True))
            assert sum(outcome.probability for outcome in one.outcomes) == Fraction(1)


def without_lines(document: Any) -> Any:
    """Return a document without the places of manifests, which do depend on the order."""
    if isinstance(document, dict):
        return {key: without_lines(value) for key, value in document.items() if key not in ("line", "file")}
    return [without_lines(item) for item in document] if isinstance(document, list) else document


def test_tracing_is_a_function() -> None:
    tracer = tracer_of(*WEB)
    first = [answer_json(ask(tracer, "pod/client-1", target), back=True) for target in TARGETS if "127." not in target]
    again = [answer_json(ask(tracer, "pod/client-1", target), back=True) for target in TARGETS if "127." not in target]
    assert first == again
