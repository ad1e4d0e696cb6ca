"""`netsim route` end to end: every recorded file through --queries, the text answer, bad input, exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from netsim.cli.main import run
from netsim.l7.explain import explain
from netsim.l7.request import from_query
from netsim.l7.router import build_routers, decide
from tests.netsim.l7.expectations import differences
from tests.netsim.l7.recorded import FILES, cluster_of, flags_of, options_of, read


def arguments(recorded: dict[str, Any], dialect: str) -> Iterator[str]:
    yield from ("--dialect", dialect)
    for name, value in flags_of(recorded).items():
        yield f"--controller-flag=--{name}={value}"
    for host, address in (recorded.get("dns") or {}).items():
        yield from ("--resolve", f"{host}:{address}")


def questions(recorded: dict[str, Any], dialect: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for case in recorded.get("cases") or ():
        if dialect not in case.get("dialects", recorded["dialects"]):
            continue
        if "sequence" in case:
            for step in case["sequence"]:
                expect = {key: value for key, value in step["expect"].items() if key != "sameEndpointAsPrevious"}
                yield from [({**step["request"], "id": case["id"]}, expect)] * step.get("repeat", 1)
        else:
            yield {**case["request"], "id": case["id"]}, (case.get("overrides") or {}).get(dialect, case["expect"])


RUNS = [
    pytest.param(path, dialect, id=f"{path.stem}-{dialect}")
    for path in FILES
    for dialect in read(path)["dialects"]
    if list(questions(read(path), dialect))
]


@pytest.mark.parametrize(("path", "dialect"), RUNS)
def test_a_recorded_file_through_queries(
    path: Path, dialect: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recorded = read(path)
    asked = list(questions(recorded, dialect))
    manifests, queries = tmp_path / "input.yaml", tmp_path / "queries.jsonl"
    manifests.write_text(yaml.safe_dump_all(recorded["manifests"]))
    queries.write_text("".join(json.dumps(query) + "\n" for query, _ in asked))
    code = run(["route", "-q", "-f", str(manifests), "--queries", str(queries), *arguments(recorded, dialect)])
    answers = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert code == 0
    assert [answer["id"] for answer in answers] == [query["id"] for query, _ in asked]
    for (_, expect), answer in zip(asked, answers, strict=True):
        # A cookie of a first answer is not sent here: which endpoint it would stick to is no matter of one query.
        assert list(differences({k: v for k, v in expect.items() if k != "setCookie"}, answer)) == []


@pytest.mark.parametrize(("path", "dialect"), RUNS)
def test_every_recorded_request_can_be_explained(path: Path, dialect: str) -> None:
    recorded = read(path)
    routers = build_routers(cluster_of(recorded["manifests"]), options_of(recorded, dialect))
    for query, _ in questions(recorded, dialect):
        request = from_query(query)
        answer = decide(routers, request)
        lines = explain(answer, request, routers)
        verdict = answer.decision.outcome or answer.decision.status
        assert lines[0].startswith(f"{verdict} {answer.decision.code}")
        assert len(lines) <= 25
        if answer.decision.code == "OK":
            assert sum(line.startswith("  > ") for line in lines) == 1 or request.scheme in ("tcp", "udp", "tls")


SHOP = """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.10, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.244.1.5], conditions: {ready: true}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
spec:
  ingressClassName: nginx
  rules:
  - host: shop.example.com
    http:
      paths:
      - path: /cart
        pathType: Prefix
        backend: {service: {name: web, port: {number: 80}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: lost, namespace: shop}
spec:
  rules:
  - host: lost.example.com
    http:
      paths:
      - path: /
        pathType: Prefix
        backend: {service: {name: web, port: {number: 80}}}
"""


@pytest.fixture
def shop(tmp_path: Path) -> str:
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP)
    return str(path)


def test_the_text_names_the_winner_and_the_losers(shop: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["route", "-q", "-f", shop, "http://shop.example.com/cart/1?x=y"]) == 0
    shown = capfd.readouterr().out
    assert shown.splitlines()[0] == "200 OK: forwarded to a backend"
    assert "> /cart/ " in shown
    assert "longest matching prefix" in shown
    assert f"Ingress shop/web ({shop}:" in shown
    assert "backend     shop/web:80 -> 10.244.1.5:8080" in shown
    assert len(shown.splitlines()) <= 25


def test_an_unhandled_ingress_says_why(shop: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["route", "-q", "-f", shop, "http://lost.example.com/"]) == 0
    shown = capfd.readouterr().out
    assert shown.startswith("404 NO_RULE")
    assert "ignored     Ingress shop/lost" in shown
    assert "it names no class (--watch-ingress-without-class is off)" in shown


def test_json_has_the_documented_keys_in_order(shop: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["route", "-q", "-f", shop, "https://shop.example.com/cart", "-o", "json"]) == 0
    answer = json.loads(capfd.readouterr().out)
    documented = (
        "schema id status code handledBy backends outcomes upstreamPath upstreamHost upstreamHeaders responseHeaders "
        "location tls matched notes"
    )
    assert list(answer)[: len(documented.split())] == documented.split()
    assert answer["matched"]["file"] == shop
    assert SHOP.splitlines()[answer["matched"]["line"] - 1].strip() == "- path: /cart"
    assert answer["backends"] == [
        {
            "namespace": "shop",
            "service": "web",
            "port": 80,
            "servicePort": 80,
            "weight": "1",
            "endpoints": ["10.244.1.5:8080"],
        }
    ]


def test_header_method_and_client_are_part_of_the_request(shop: str, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["http://10.0.0.1/cart", "-H", "Host: shop.example.com", "-X", "PUT", "--client", "198.51.100.7"]
    assert run(["route", "-q", "-f", shop, *words, "-o", "json"]) == 0
    answer = json.loads(capfd.readouterr().out)
    assert (answer["status"], answer["upstreamHeaders"]["X-Real-IP"]) == (200, "198.51.100.7")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param([], "give one of URL", id="nothing asked"),
        pytest.param(["shop.example.com/cart"], "is not a URL", id="no scheme"),
        pytest.param(["http://[::1/"], "is not a URL", id="a broken address"),
        pytest.param(["http://a.test/", "--class", "nope"], "names no IngressClass", id="an unknown class"),
        pytest.param(["http://a.test/", "--client", "me"], "is not an address", id="a client that is no address"),
        pytest.param(["http://a.test/", "--resolve", "x"], "write HOST:ADDR", id="a resolve word without address"),
        pytest.param(["http://a.test/", "-H", "x"], "write 'Name: value'", id="a header without value"),
        pytest.param(["http://a.test/", "--controller-config", "x"], "write KEY=VALUE", id="a setting without value"),
        pytest.param(["http://a.test/", "--lint"], "give one of URL", id="two questions"),
        pytest.param(
            ["http://a.test/", "--controller-flag=--watch-ingress-without-class=maybe"],
            "is not a boolean",
            id="no boolean",
        ),
    ],
)
def test_bad_usage_is_exit_2_with_one_line(
    words: list[str], said: str, shop: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["route", "-q", "-f", shop, *words]) == 2
    shown = capfd.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.parametrize(
    ("query", "said"),
    [
        pytest.param({"host": 5}, "host: 5 is not a string", id="a host that is a number"),
        pytest.param({"port": "80"}, "port: '80' is not a number", id="a port that is text"),
        pytest.param({"headers": []}, "headers: [] is not an object", id="headers that are a list"),
        pytest.param({"client": "x"}, "client: 'x' is not an address", id="a client that is no address"),
        pytest.param({"backendStatus": 9}, "is no HTTP status", id="a status that is none"),
        pytest.param({"scheme": "ftp"}, "is none of http", id="an unknown scheme"),
        pytest.param({"gateway": 3}, "gateway: 3", id="a gateway that is a number"),
    ],
)
def test_a_query_that_cannot_be_understood_is_answered_in_its_place(
    query: dict[str, Any], said: str, shop: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    queries = tmp_path / "q.jsonl"
    queries.write_text(
        json.dumps({"id": 1, **query}) + "\n" + json.dumps({"id": 2, "host": "shop.example.com", "path": "/cart"})
    )
    assert run(["route", "-q", "-f", shop, "--queries", str(queries)]) == 2
    first, second = map(json.loads, capfd.readouterr().out.splitlines())
    assert (first["id"], said in first["error"]) == (1, True)
    assert (second["id"], second["status"]) == (2, 200)


def test_lint_exits_1_when_it_finds_an_error(shop: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["route", "-q", "-f", shop, "--lint"]) == 1
    shown = capfd.readouterr().out
    assert "error NO_CLASS: Ingress shop/lost" in shown
    assert run(["route", "-q", "-f", shop, "--lint", "-o", "json"]) == 1
    found = json.loads(capfd.readouterr().out)["findings"]
    assert [(one["code"], one["file"]) for one in found] == [("NO_CLASS", shop)]
    assert "name: lost" in SHOP.splitlines()[found[0]["line"] - 1]
