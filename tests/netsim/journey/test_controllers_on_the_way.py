"""URLs through ingress controllers of every kind: where they are reached, their certificates, their random choices."""

from __future__ import annotations

import json
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from netsim.cli.main import run
from tests.netsim.journey.proxied import (
    CANARY,
    MAIN,
    Json,
    certificate,
    controller,
    ingress,
    ingress_class,
    write,
)

WEB = ingress("web", "web.example.com", {"/": "main"})
SECURE = ingress("web", "web.example.com", {"/": "main"}, tls="web-tls")


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def asked(objects: list[Json], source: str, url: str, *words: str) -> Json:
        path = write(tmp_path, *objects)
        assert run(["trace", "-q", "-o", "json", "-f", path, source, url, *words]) == 0
        answer: Json = json.loads(capsys.readouterr().out)
        assert sum(Fraction(outcome["probability"]) for outcome in answer["outcomes"]) == 1
        return answer

    return asked


def shares(answer: Json) -> dict[str, Fraction]:
    """The probability of each endpoint (or code) over all ways to it."""
    found: Counter[str] = Counter()
    for outcome in answer["outcomes"]:
        place = outcome["endpoint"]
        found[f"{place['ip']}:{place['port']}" if place else outcome["code"]] += Fraction(outcome["probability"])
    return dict(found)


def dialled(answer: Json) -> str:
    return str(next(note["text"] for note in answer["notes"] if note["code"] == "HOST_FROM_INGRESS"))


def entered(answer: Json) -> set[str]:
    """The first node on each outcome's way."""
    ways = [[hop["netns"] for hop in outcome["hops"]] for outcome in answer["outcomes"]]
    return {next(name for name in way if name.startswith("node-")) for way in ways}


def test_a_node_port_controller_is_dialled_at_every_node(ask: Any) -> None:
    answer = ask([WEB, *controller("NodePort")], "external", "http://web.example.com/")
    assert answer["verdict"] == "REACHABLE"
    assert entered(answer) == {"node-1", "node-2"}
    assert shares(answer) == dict.fromkeys(MAIN, Fraction(1, 2))
    assert "192.168.10.1:30080 and 1 more" in dialled(answer)


def test_a_local_node_port_controller_answers_at_its_own_node_only(ask: Any) -> None:
    objects = [WEB, *controller("NodePort", externalTrafficPolicy="Local")]
    answer = ask(objects, "external", "http://web.example.com/")
    assert (answer["verdict"], answer["code"]) == ("PARTIAL", "NO_LOCAL_ENDPOINTS")
    assert shares(answer) == {"NO_LOCAL_ENDPOINTS": Fraction(1, 2), **dict.fromkeys(MAIN, Fraction(1, 4))}
    verdicts = [
        ask(objects, "external", "http://web.example.com/", "--via", f"node/node-{n}")["verdict"] for n in (1, 2)
    ]
    assert sorted(verdicts) == ["DROPPED", "REACHABLE"]


def test_a_url_may_name_the_node_port_itself(ask: Any) -> None:
    answer = ask([WEB, *controller("LoadBalancer")], "external", "http://web.example.com:30080/")
    assert answer["verdict"] == "REACHABLE"
    assert "192.168.10.1:30080" in dialled(answer)


def test_a_load_balancer_keeps_the_client_with_a_local_policy(ask: Any) -> None:
    objects = [WEB, *controller("LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=32000)]
    answer = ask(objects, "external", "http://web.example.com/")
    assert "203.0.113.9:80" in dialled(answer)
    assert len(entered(answer)) == 1
    assert answer["http"][0]["client"] == "198.51.100.10"
    assert answer["http"][0]["upstreamHeaders"]["X-Real-IP"] == "198.51.100.10"


def test_a_cluster_ip_controller_is_for_pods(ask: Any) -> None:
    objects = [WEB, *controller("ClusterIP")]
    assert ask(objects, "external", "http://web.example.com/")["code"] == "CLUSTER_IP_FROM_OUTSIDE"
    assert shares(ask(objects, "pod/default/client", "http://web.example.com/")).keys() == MAIN


def test_a_controller_on_its_hosts_network_is_dialled_there(ask: Any) -> None:
    objects = [WEB, *controller("ClusterIP", host_network=True, replicas=2)]
    answer = ask(objects, "external", "http://web.example.com/")
    assert "192.168.10.1:80 and 1 more" in dialled(answer)
    assert entered(answer) == {"node-1", "node-2"}
    seen = {(outcome["endpoint"]["ip"], outcome["serverSees"]["ip"]) for outcome in answer["outcomes"]}
    assert ("10.244.1.11", "10.244.1.1") in seen
    assert ("10.244.2.11", "192.168.10.1") in seen


def test_the_address_in_the_status_wins(ask: Any) -> None:
    web = {**WEB, "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}}
    answer = ask([web, *controller("LoadBalancer")], "external", "http://web.example.com/")
    assert "203.0.113.9:80" in dialled(answer)
    assert answer["verdict"] == "REACHABLE"


def test_a_path_without_a_rule_is_answered_by_the_controller_of_the_host(ask: Any) -> None:
    web = ingress("web", "web.example.com", {"/api": "main"})
    answer = ask([web, *controller("NodePort")], "external", "http://web.example.com/other")
    assert (answer["verdict"], answer["code"]) == ("REFUSED", "NO_RULE")
    assert answer["http"][0]["status"] == 404


def test_a_host_of_no_ingress_does_not_exist(ask: Any) -> None:
    answer = ask([WEB, *controller("NodePort")], "external", "http://elsewhere.example.org/")
    assert (answer["verdict"], answer["code"]) == ("UNREACHABLE", "NXDOMAIN")


@pytest.mark.parametrize("url", ["http://lost.example.com/", "http://192.168.10.1:30080/"])
def test_an_ingress_that_nobody_handles_is_named_with_the_reason(ask: Any, url: str) -> None:
    lost = ingress("lost", "lost.example.com", {"/": "main"}, "nope")
    answer = ask([WEB, lost, *controller("NodePort")], "external", url, "-H", "Host: lost.example.com")
    assert answer["code"] in ("NXDOMAIN", "NO_RULE")
    (hint,) = [hint for hint in answer["hints"] if hint["code"] == "NO_CLASS"]
    assert "default/lost" in hint["text"]
    assert "'nope' does not exist" in hint["text"]


def test_a_service_without_endpoints_is_a_503(ask: Any) -> None:
    answer = ask([ingress("e", "e.example.com", {"/": "empty"})], "external", "http://e.example.com/")
    assert (answer["verdict"], answer["code"]) == ("REFUSED", "NO_ENDPOINTS")
    assert answer["http"][0]["status"] == 503


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param((), {**dict.fromkeys(MAIN, Fraction(3, 8)), **dict.fromkeys(CANARY, Fraction(1, 4))}, id="weight"),
        pytest.param(("-H", "X-Canary: always"), dict.fromkeys(CANARY, Fraction(1)), id="header-always"),
        pytest.param(("-H", "X-Canary: never"), dict.fromkeys(MAIN, Fraction(1, 2)), id="header-never"),
        pytest.param(("--pick", "10.244.2.12:8080"), dict.fromkeys(CANARY, Fraction(1)), id="pick-of-the-backend"),
    ],
)
def test_a_canary_shares_the_requests(ask: Any, words: tuple[str, ...], expected: dict[str, Fraction]) -> None:
    canary = ingress(
        "canary", "web.example.com", {"/": "canary"}, canary="true", canary_weight="25", canary_by_header="X-Canary"
    )
    answer = ask([WEB, canary, *controller("NodePort")], "external", "http://web.example.com/", *words)
    assert shares(answer) == expected


@pytest.mark.parametrize(
    ("names", "covers"),
    [
        pytest.param("web.example.com", True, id="the-host"),
        pytest.param("*.example.com", True, id="a-wildcard"),
        pytest.param("*.other.example.com", False, id="another-name"),
        pytest.param("", False, id="no-secret"),
    ],
)
def test_the_certificate_is_shown_and_whether_it_covers_the_host(ask: Any, names: str, covers: bool) -> None:
    secrets = [certificate("web-tls", names)] if names else []
    answer = ask([SECURE, *secrets, *controller("NodePort")], "external", "https://web.example.com/")
    shown = answer["http"][0]["certificate"]
    # ingress-nginx presents its own certificate where the Secret's does not cover the host.
    assert shown["secret"] == ("default/web-tls" if covers else "default")
    assert (shown["sni"], shown["covers"]) == ("web.example.com", covers)
    assert ("CERTIFICATE_MISMATCH" in {hint["code"] for hint in answer["hints"]}) is not covers
    assert shares(answer).keys() == MAIN


def test_plain_http_to_a_host_with_tls_is_redirected(ask: Any) -> None:
    answer = ask([SECURE, certificate("web-tls", "web.example.com")], "external", "http://web.example.com/a?b=1")
    assert (answer["verdict"], answer["code"]) == ("REACHABLE", "SSL_REDIRECT")
    assert answer["http"][0]["location"] == "https://web.example.com/a?b=1"
    assert "certificate" not in answer["http"][0]


def test_each_class_goes_through_its_own_controller(ask: Any) -> None:
    args = ("--controller-class=k8s.io/internal-nginx", "--ingress-class=internal")
    objects = [
        WEB,
        *controller("NodePort"),
        ingress_class("internal", "k8s.io/internal-nginx"),
        ingress("int", "int.example.com", {"/a": "canary"}, "internal", rewrite_target="/x"),
        *controller("ClusterIP", name="internal", cluster_ip="10.96.2.2", args=args),
    ]
    answer = ask(objects, "pod/default/client", "http://int.example.com/a/b")
    assert "10.96.2.2:80" in dialled(answer)
    (step,) = answer["http"]
    assert (step["handledBy"], step["upstreamPath"]) == ("internal", "/x")
    assert shares(answer).keys() == CANARY
    assert not any(note["code"] == "CONTROLLER_ASSUMED" for note in answer["notes"])
    assert shares(ask(objects, "external", "http://web.example.com/")).keys() == MAIN


def test_a_controller_of_no_known_dialect_follows_the_specification(ask: Any) -> None:
    objects = [
        ingress_class("traefik", "traefik.io/ingress-controller"),
        ingress("t", "t.example.com", {"/": "main"}, "traefik"),
    ]
    answer = ask(objects, "external", "http://t.example.com/")
    assert shares(answer).keys() == MAIN
    assert answer["http"][0]["handledBy"] == "traefik"


def test_what_the_controller_answers_in_a_split_has_its_own_status(ask: Any) -> None:
    gateway = {"apiVersion": "gateway.networking.k8s.io/v1", "metadata": {"name": "gw", "namespace": "default"}}
    refs = [{"name": "main", "port": 80, "weight": 3}, {"name": "missing", "port": 80, "weight": 1}]
    objects = [
        {**gateway, "kind": "GatewayClass", "metadata": {"name": "c"}, "spec": {"controllerName": "example.com/gw"}},
        {
            **gateway,
            "kind": "Gateway",
            "spec": {"gatewayClassName": "c", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
        },
        {
            **gateway,
            "kind": "HTTPRoute",
            "spec": {"parentRefs": [{"name": "gw"}], "hostnames": ["g.example.com"], "rules": [{"backendRefs": refs}]},
        },
    ]
    answer = ask(objects, "external", "http://g.example.com/")
    assert answer["verdict"] == "PARTIAL"
    assert shares(answer) == {"HTTP_500": Fraction(1, 4), **dict.fromkeys(MAIN, Fraction(3, 8))}


def test_queries_take_method_and_headers_of_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    queries = tmp_path / "queries"
    urls = [{"to": "http://192.168.10.1:30080/"}, {"to": "http://192.168.10.1:30080/", "headers": {"Host": "none"}}]
    queries.write_text("".join(json.dumps({"from": "external", **url}) + "\n" for url in urls))
    path = write(tmp_path, WEB, *controller("NodePort"))
    assert run(["trace", "-q", "-f", path, "--queries", str(queries), "-H", "Host: web.example.com"]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["verdict"], second["code"]) == ("REACHABLE", "NO_RULE")


def test_text_names_the_way_the_certificate_and_who_connects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, SECURE, certificate("web-tls", "web.example.com"), *controller("NodePort"))
    assert run(["trace", "-q", "-f", path, "external", "https://web.example.com/"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 25
    assert "TLS SNI web.example.com: default/web-tls (web.example.com) covers the host" in lines
    branches = [line for line in lines if "DELIVERED" in line]
    assert [line.split(" via ")[1] for line in branches] == ["node-1", "node-1", "node-2", "node-2"]
    (sees,) = [line for line in lines if line.startswith("server sees")]
    assert "the proxy, connects" in sees
    assert lines[-1].endswith("netsim lab exec demo external/198.51.100.10 -- curl -sik https://web.example.com/")
