"""Traces of more than one leg, through the command: names are resolved first, URLs go through their controller."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from netsim.cli.main import run

TOPOLOGIES = Path(__file__).parents[3] / "topologies"
SHOP = str(TOPOLOGIES / "shop")


def trace(capsys: pytest.CaptureFixture[str], *words: str, topology: str = SHOP) -> dict[str, Any]:
    assert run(["trace", "-q", "-o", "json", "-f", topology, *words]) == 0
    return dict(json.loads(capsys.readouterr().out))


def total(answer: dict[str, Any]) -> Fraction:
    return sum((Fraction(outcome["probability"]) for outcome in answer["outcomes"]), Fraction(0))


def endpoints(answer: dict[str, Any]) -> set[str]:
    return {f"{o['endpoint']['ip']}:{o['endpoint']['port']}" for o in answer["outcomes"] if o["endpoint"]}


API = {"10.244.1.11:9000", "10.244.2.11:9000", "10.244.3.11:9000"}


def test_a_name_is_resolved_and_its_questions_have_a_way_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    answer = trace(capsys, "pod/shop/frontend-0", "api:80")
    assert answer["verdict"] == "REACHABLE"
    assert endpoints(answer) == API
    resolution = answer["resolution"]
    assert resolution["addresses"] == ["10.96.20.1"]
    assert [query["q"] for query in resolution["queries"]] == ["api.shop.svc.cluster.local."] * 2
    (path,) = resolution["paths"]
    assert path["to"] == "10.96.0.10"
    assert {o["endpoint"]["pod"] for o in path["outcomes"]} == {"kube-system/coredns-0", "kube-system/coredns-1"}


def test_a_headless_name_leads_to_its_pod(capsys: pytest.CaptureFixture[str]) -> None:
    assert endpoints(trace(capsys, "pod/shop/frontend-0", "db:5432")) == {"10.244.3.12:5432"}


def test_without_dns_servers_a_name_fails_with_a_code_of_its_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("nodes.yaml", "pods.yaml", "services.yaml"):
        (tmp_path / name).write_text((TOPOLOGIES / "shop" / name).read_text())
    dns = (TOPOLOGIES / "shop" / "dns.yaml").read_text()
    (tmp_path / "dns.yaml").write_text(dns.replace('status: "True"', 'status: "False"'))
    answer = trace(capsys, "pod/shop/frontend-0", "api:80", topology=str(tmp_path))
    assert (answer["verdict"], answer["code"]) == ("UNREACHABLE", "DNS_UNREACHABLE")
    assert answer["outcomes"][0]["disposition"] == "NO_SUCH_NAME"


def test_manifests_without_any_cluster_dns_are_taken_to_have_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("nodes.yaml", "pods.yaml", "services.yaml"):
        (tmp_path / name).write_text((TOPOLOGIES / "shop" / name).read_text())
    answer = trace(capsys, "pod/shop/frontend-0", "api:80", topology=str(tmp_path))
    assert (answer["verdict"], endpoints(answer)) == ("REACHABLE", API)
    assert "ASSUMED_CLUSTER_DNS" in {note["code"] for note in answer["notes"]}
    assert answer["resolution"]["paths"] == []


def test_a_client_outside_needs_to_be_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert trace(capsys, "external", "shop.example.com:80")["code"] == "NXDOMAIN"
    told = trace(capsys, "external", "shop.example.com:80", "--resolve", "shop.example.com:203.0.113.10")
    assert told["verdict"] == "REACHABLE"


@pytest.mark.parametrize(
    ("url", "backend", "places"),
    [
        pytest.param("http://shop.example.com/api/x", "api", API, id="prefix"),
        pytest.param("http://shop.example.com/", "frontend", {"10.244.1.10:8080", "10.244.2.10:8080"}, id="root"),
    ],
)
def test_a_url_goes_through_its_controller(
    capsys: pytest.CaptureFixture[str], url: str, backend: str, places: set[str]
) -> None:
    answer = trace(capsys, "external", url)
    assert answer["verdict"] == "REACHABLE"
    assert endpoints(answer) == places
    assert total(answer) == 1
    assert {item["service"] for step in answer["http"] for item in step["backends"]} == {backend}
    assert {"CONTROLLER_ASSUMED", "HOST_FROM_INGRESS"} <= {note["code"] for note in answer["notes"]}
    namespaces = {hop["netns"] for outcome in answer["outcomes"] for hop in outcome["hops"]}
    assert "netsim-assumed/ingress-nginx-controller" in namespaces


def test_what_the_controller_answers_itself_ends_there(capsys: pytest.CaptureFixture[str]) -> None:
    answer = trace(capsys, "pod/shop/frontend-0", "http://203.0.113.80/nothing")
    assert (answer["verdict"], answer["code"]) == ("REFUSED", "NO_RULE")
    assert answer["http"][0]["status"] == 404


def test_a_url_of_a_service_has_no_proxy_on_its_way(capsys: pytest.CaptureFixture[str]) -> None:
    answer = trace(capsys, "pod/shop/frontend-0", "http://api/x")
    assert "http" not in answer
    assert endpoints(answer) == API


def test_queries_carry_method_and_headers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    queries = tmp_path / "queries"
    lines = [
        {"id": 1, "from": "external", "to": "http://203.0.113.80/api", "headers": {"Host": "shop.example.com"}},
        {"id": 2, "from": "external", "to": "http://203.0.113.80/", "headers": [1]},
    ]
    queries.write_text("\n".join(map(json.dumps, lines)))
    assert run(["trace", "-q", "-f", SHOP, "--queries", str(queries), "--detail", "minimal"]) == 2
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert endpoints(first) == API
    assert second == {"id": 2, "error": "`headers` is not an object of strings"}


@pytest.mark.parametrize(
    "words", [("-H", "no colon"), ("-H", "a: b\nc: d"), ("--resolve", "nonsense"), ("--resolve", "a:b:c")]
)
def test_words_that_are_none_are_refused(capsys: pytest.CaptureFixture[str], words: tuple[str, str]) -> None:
    assert run(["trace", "-q", "-f", SHOP, "external", "http://shop.example.com/", *words]) == 2
    assert capsys.readouterr().out == ""
