"""`netsim why`: each broken Service is explained with its first fix and line; text, JSON, SVG and HTML."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner

from netsim.cli.main import cli, run
from netsim.report.why import diagnose
from netsim.report.why_picture import boxes, html, svg
from netsim.report.why_text import MOST_LINES, as_json, text
from tests.netsim.cluster.clusters import THREE_NODES, cluster, pod, service

ROOT = Path(__file__).parents[3]
BROKEN = str(ROOT / "topologies" / "broken")


@pytest.mark.parametrize(
    ("name", "verdict", "code", "line"),
    [
        pytest.param("typo", "BROKEN", "SELECTOR_MATCHES_NOTHING", 98, id="a selector nothing matches"),
        pytest.param("slow", "BROKEN", "NO_ENDPOINTS", 54, id="no pod is ready"),
        pytest.param("wrong-port", "BROKEN", "TARGET_PORT_NOT_DECLARED", 122, id="a targetPort nobody declares"),
        pytest.param("local", "DEGRADED", "NO_LOCAL_ENDPOINTS", 132, id="external policy Local"),
        pytest.param("inner", "DEGRADED", "NO_LOCAL_ENDPOINTS", 144, id="internal policy Local"),
        pytest.param("ranges", "OK", None, None, id="nothing is wrong"),
        pytest.param("nope", "BROKEN", "NO_SUCH_SERVICE", None, id="no such Service"),
    ],
)
def test_the_broken_topology(name: str, verdict: str, code: str | None, line: int | None) -> None:
    words = ["why", f"svc/default/{name}", "-q", "-o", "json", "-f", BROKEN]
    found = json.loads(CliRunner().invoke(cli, words, standalone_mode=False).stdout)
    first = found["fixes"][0] if found["fixes"] else {"code": None, "line": None}
    assert (found["schema"], found["verdict"], first["code"], first["line"]) == ("netsim.why/v1", verdict, code, line)


SPEC = "selector: {app: web}\nports: [{name: http, port: 80, targetPort: %s}]"


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        pytest.param([service("web")], "no pod of namespace default has labels app=web", id="no pods at all"),
        pytest.param(
            [service("web"), pod("p").replace("name: p\n", "name: p\n  namespace: other\n")],
            "pods in namespace other match: a Service sees its own only",
            id="pods of another namespace",
        ),
        pytest.param([service("web", "ports: [{port: 80}]")], "it has no selector", id="no selector and no slice"),
        pytest.param(
            [service("web"), pod("p", extra="nodeSelector: {disk: ssd}", node="")],
            "p 0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. - let pod p be scheduled",
            id="a pod that fits nowhere",
        ),
        pytest.param(
            [service("web", SPEC.replace("%s", "9999")), pod("p")],
            "port 9999/TCP is not declared by p (8080/TCP is)",
            id="a number nobody declares",
        ),
        pytest.param([service("wbe"), pod("p")], "did you mean svc/default/wbe?", id="a name that is near"),
        pytest.param(
            [service("web", SPEC.replace("%s", "http") + "\ntype: LoadBalancer"), pod("p")],
            "the load balancer has no address yet",
            id="pending",
        ),
        pytest.param(
            [
                service("web", SPEC.replace("%s", "http")).replace(
                    "name: web", "name: web\n  labels: {service.kubernetes.io/service-proxy-name: x}"
                ),
                pod("p"),
            ],
            "hides it from kube-proxy",
            id="labelled for another proxy",
        ),
        pytest.param(
            [
                service("web", "ports: [{name: http, port: 80}]"),
                "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
                "metadata: {name: s, labels: {kubernetes.io/service-name: web}}\naddressType: IPv4\n"
                "endpoints: [{addresses: [10.0.0.1]}]\nports: [{name: web, port: 80}]",
            ],
            'no EndpointSlice has a port named "http" (they have web)',
            id="a slice with another port name",
        ),
    ],
)
def test_findings(texts: list[str], said: str) -> None:
    assert said in text(diagnose(cluster(*texts, THREE_NODES), "default", "web"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"not_ready": {"default/p"}}, "p not ready: --not-ready - make pod p ready"),
        ({"terminating": {"default/p"}}, "p: is being deleted"),
        ({"terminating": {"default/p"}}, "p is being deleted - wait until pod p is gone"),
        ({"phases": {"default/p": "Failed"}}, "p has ended (phase Failed) - replace pod p"),
    ],
)
def test_what_ifs_are_told(options: dict[str, object], said: str) -> None:
    assert said in text(diagnose(cluster(service("web"), pod("p"), THREE_NODES, **options), "default", "web"))


@pytest.mark.parametrize(
    ("spec", "ways"),
    [
        pytest.param(
            "type: NodePort",
            ["pod True", "node True", "outside True any node:30100"],
            id="a node port lets the outside in",
        ),
        pytest.param("clusterIP: None", ["pod True DNS", "outside False"], id="headless"),
        pytest.param("externalIPs: [192.0.2.9]", ["outside True 192.0.2.9"], id="external IPs"),
        pytest.param("type: ExternalName\nexternalName: x.example", ["pod True x.example"], id="an alias"),
        pytest.param("internalTrafficPolicy: Local", ["pod True", "node True"], id="local"),
    ],
)
def test_reach(spec: str, ways: list[str]) -> None:
    node_port = ", nodePort: 30100" if "NodePort" in spec else ""
    body = f"{spec}\nselector: {{app: web}}\nports: [{{name: http, port: 80, targetPort: http{node_port}}}]"
    found = diagnose(cluster(service("web", body), pod("p"), THREE_NODES), "default", "web")
    told = "\n".join(f"{way.client} {way.works} {way.via}" for way in found.reach)
    assert all(re.search(re.escape(way), told) for way in ways), told


def test_text_never_exceeds_thirty_lines() -> None:
    ports = ", ".join(f"{{name: p{i}, port: {i + 1}, targetPort: nope{i}}}" for i in range(20))
    body = f"type: LoadBalancer\nexternalTrafficPolicy: Local\nselector: {{app: web}}\nports: [{ports}]"
    pods = [pod(f"p{i}", extra="hostNetwork: true") for i in range(40)]
    status = "\nstatus: {loadBalancer: {ingress: [" + ", ".join(f"{{ip: 192.0.2.{i}}}" for i in range(1, 12)) + "]}}"
    found = diagnose(cluster(service("web", body) + status, *pods, THREE_NODES), "default", "web")
    lines = text(found).splitlines()
    assert len(lines) <= MOST_LINES
    assert any(line.startswith("fix first: ") for line in lines)


HOSTILE = '<script>alert("x")</script>'


def test_pictures_are_well_formed_and_hostile_names_are_text() -> None:
    slice_text = (
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
        "metadata: {name: s, labels: {kubernetes.io/service-name: web}}\naddressType: IPv4\n"
        f"endpoints: [{{addresses: [10.0.0.1], nodeName: '{HOSTILE}'}}]\nports: [{{name: http, port: 80}}]"
    )
    built = cluster(service("web", f"selector: {{app: '{HOSTILE}'}}\nports: [{{name: http, port: 80}}]"), slice_text)
    found = diagnose(built, "default", "web")
    assert ET.fromstring(svg(found)).tag.endswith("svg")
    assert "<script" not in svg(found) + html(found)


@pytest.mark.parametrize(
    ("texts", "states"),
    [
        pytest.param([service("web"), pod("p")], ["ok", "ok", "ok", "ok"], id="all is well"),
        pytest.param([service("web")], ["ok", "ok", "bad", "off"], id="the selector breaks it"),
        pytest.param([], ["ok", "bad", "bad", "off"], id="no Service"),
        pytest.param(
            [service("web", SPEC.replace("%s", "nope")), pod("p")], ["ok", "ok", "ok", "bad"], id="the rules refuse"
        ),
    ],
)
def test_the_picture_breaks_where_the_path_breaks(texts: list[str], states: list[str]) -> None:
    chain, _ = boxes(diagnose(cluster(*texts, THREE_NODES), "default", "web"))
    assert [box.state for box in chain] == states


def test_many_endpoints_fit_the_picture() -> None:
    built = cluster(service("web"), *(pod(f"p{i}") for i in range(20)), THREE_NODES)
    assert "and 12 more" in svg(diagnose(built, "default", "web"))


def test_json_keeps_unready_pods_with_their_place() -> None:
    built = cluster(service("web"), pod("p"), THREE_NODES, not_ready={"default/p"})
    found = as_json(diagnose(built, "default", "web"))
    assert (found["pods"][0]["endpoint"], found["pods"][0]["why"]) == (False, "not ready: --not-ready")
    assert found["pods"][0]["line"] > 0


def test_queries(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text('{"id": 1, "service": "svc/default/slow"}\n{"id": 2}\n')
    assert run(["why", "--queries", str(file), "-q", "-f", BROKEN]) == 2
    first, second = map(json.loads, capfdbinary.readouterr().out.splitlines())
    assert (first["id"], first["verdict"]) == (1, "BROKEN")
    assert "svc/NAMESPACE/NAME" in second["error"]


@pytest.mark.parametrize(
    "words", [["why"], ["why", "svc/a/b/c"], ["why", "svc/"], ["why", "svc/a/b", "--queries", "-"]], ids=" ".join
)
def test_bad_usage(words: list[str]) -> None:
    assert run([*words, "-f", BROKEN]) == 2


@pytest.mark.parametrize("form", ["text", "svg", "html"])
def test_every_form_is_stable(form: str) -> None:
    words = ["why", "slow", "-q", "-o", form, "-f", BROKEN]
    once, twice = (CliRunner().invoke(cli, words, standalone_mode=False).stdout for _ in range(2))
    assert once == twice != ""
