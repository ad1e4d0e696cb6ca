"""Label selectors of policies, and the codes that small clusters do not show."""

from __future__ import annotations

from typing import Any

import pytest

from netsim.hosts.dumps import Dumps
from netsim.trace.limits import selects
from tests.conformance_support.small import WEB, ask, service, tracer_of

LABELS = {"app": "web", "tier": "front"}


@pytest.mark.parametrize(
    ("selector", "want"),
    [
        pytest.param({}, True, id="an-empty-selector-selects-everything"),
        pytest.param(None, True, id="no-selector"),
        pytest.param({"matchLabels": {"app": "web"}}, True, id="labels"),
        pytest.param({"matchLabels": {"app": "api"}}, False, id="other-labels"),
        pytest.param({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}, True, id="in"),
        pytest.param(
            {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False, id="not-in"
        ),
        pytest.param({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, True, id="exists"),
        pytest.param({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False, id="does-not-exist"),
        pytest.param({"matchExpressions": ["?"]}, True, id="what-cannot-be-read-may-select"),
    ],
)
def test_selectors(selector: Any, want: bool) -> None:
    assert selects(selector, LABELS) is want


def dump(rules: str) -> Dumps:
    from iptables_gen.xtables.text import parse

    text = f"*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{rules}\nCOMMIT\n"
    return {"node-1": {4: parse(text, "dump", 4)}}


@pytest.mark.parametrize(
    ("rule", "source", "target", "code"),
    [
        pytest.param("-A FORWARD -p udp -j DROP", "pod/client-1", "svc/web:80", "OK", id="another-protocol"),
        pytest.param("-A FORWARD -p tcp -j DROP", "pod/client-1", "pod/web-2:8080", "DROPPED_BY_RULE", id="drop"),
        pytest.param("-A FORWARD -p tcp -j REJECT", "pod/client-1", "pod/web-2:8080", "REJECTED_BY_RULE", id="reject"),
        pytest.param("-A OUTPUT -p tcp -j DROP", "node/node-1", "pod/web-2:8080", "DROPPED_BY_RULE", id="output"),
        pytest.param("-A INPUT -p tcp -j DROP", "pod/client-2", "node/node-1:10250", "DROPPED_BY_RULE", id="input"),
    ],
)
def test_a_host_firewall_beside_the_compiled_rules(rule: str, source: str, target: str, code: str) -> None:
    assert ask(tracer_of(*WEB, dumps=dump(rule)), source, target).code == code


def test_an_answer_that_a_firewall_takes_for_invalid_is_lost() -> None:
    # The request is let through, the answer is not: the client gets nothing.
    rules = "-A FORWARD -m conntrack --ctstate ESTABLISHED -j DROP"
    answer = ask(tracer_of(*WEB, dumps=dump(rules)), "pod/client-1", "svc/web:80")
    assert (answer.verdict, answer.code) == ("DROPPED", "ASYMMETRIC_RETURN")


def test_a_service_of_another_proxy_is_not_programmed() -> None:
    other = service("other", "10.96.1.9")
    other["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "mine"}
    answer = ask(tracer_of(*WEB, other), "pod/client-1", "svc/other:80")
    assert (answer.verdict, answer.code) == ("UNREACHABLE", "NOT_PROGRAMMED")


def test_a_process_on_a_node_gets_silence_from_an_address_without_endpoints() -> None:
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}
    lonely = service("lonely", "10.96.1.8", type="LoadBalancer", status=status)
    tracer = tracer_of(*WEB, lonely)
    assert ask(tracer, "node/node-1", "203.0.113.9:80").outcomes[0].disposition == "NO_ROUTE"
    assert ask(tracer, "pod/client-1", "203.0.113.9:80").outcomes[0].disposition == "REFUSED"
    for source in ("node/node-1", "pod/client-1"):
        assert ask(tracer, source, "203.0.113.9:80").code == "NO_ENDPOINTS"


def test_a_headless_service_stands_for_its_endpoints() -> None:
    headless = service("web", "None")
    answer = ask(tracer_of(*WEB[:-1], headless), "pod/client-1", "svc/web:80")
    assert answer.verdict == "REACHABLE"
    assert {outcome.endpoint.text for outcome in answer.outcomes if outcome.endpoint} == {
        "10.244.1.5:8080",
        "10.244.2.5:8080",
    }
    assert "HEADLESS" in {note.code for note in answer.notes}
