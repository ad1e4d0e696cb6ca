"""What once ended with a traceback, for ever or with a wrong answer: bad input and bad words, verb by verb."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.mutate import HOSTILE, NAMES
from tests.fuzz.verbs import ROOT, Outcome, broken_law, run

SHOP = str(ROOT / "topologies" / "shop")
LONG = "9" * 5000
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: a, uid: x}\nspec: {ports: [{port: 80}]}\n"


def ask(tmp_path: Path, text: str | bytes, *words: str) -> Outcome:
    """Run a verb on a text as its only input."""
    path = tmp_path / "input.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    verb, *rest = words
    return run([verb, "-f", str(path), *rest])


def service(port: dict[str, Any] | None = None, **spec: Any) -> str:
    """Return a stored Service with one port as JSON."""
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP", **(port or {})}]
    ips = {"clusterIP": "10.96.5.5", "clusterIPs": ["10.96.5.5"]}
    metadata = {"name": "web", "namespace": "shop", "uid": "x"}
    data = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {**ips, "ports": ports, **spec}}
    return json.dumps(data)


def doubling_aliases() -> str:
    """Return a document in which every anchor nests the one before 200 levels deeper."""
    steps = [f"x0: &x0 {'[' * 200}1{']' * 200}\n"]
    steps += [f"x{i}: &x{i} {'[' * 200}*x{i - 1}{']' * 200}\n" for i in range(1, 9)]
    return SERVICE + "".join(steps)


@pytest.mark.parametrize("words", [("get", "svc"), ("validate",), ("compile", "--node", "node-1")], ids=lambda w: w[0])
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(SERVICE + "x: " + "[" * 300 + "]" * 300, "exceeded max depth", id="nested-yaml"),
        pytest.param('{"a":' * 300 + "1" + "}" * 300, "exceeded max depth", id="nested-json"),
        pytest.param('{"a":' * 5000 + "1" + "}" * 5000, "depth limit exceeded", id="deeply-nested-json"),
        pytest.param(doubling_aliases(), "exceeded max depth", id="nested-by-aliases"),
        pytest.param("a: &a [*a]\n", "contains itself", id="an-anchor-in-itself"),
        pytest.param(service({"port": "PORT"}).replace('"PORT"', LONG), "cannot unmarshal", id="a-long-number-in-json"),
        pytest.param(SERVICE.replace("80", LONG), "cannot unmarshal", id="a-long-number-in-yaml"),
        pytest.param(f'{{"kind": "Service", "x": {LONG}, "kind": "Pod"}}', "already set", id="a-key-twice"),
        pytest.param('{"kind": "\\ud800"}', "surrogate", id="half-a-surrogate-in-json"),
        pytest.param('kind: "\\uD800"\n', "invalid Unicode", id="half-a-surrogate-in-yaml"),
        pytest.param(bytes(range(256)), "control characters are not allowed", id="binary"),
    ],
)
def test_texts_that_cannot_be_read(text: str | bytes, problem: str, words: tuple[str, ...], tmp_path: Path) -> None:
    done = ask(tmp_path, text, *words)
    assert not broken_law(done)
    assert done.code == (1 if words[0] == "validate" else 2)
    assert problem in done.stderr + done.stdout.decode()


@pytest.mark.parametrize("mode", ["iptables", "nftables", "ipvs"])
@pytest.mark.parametrize(
    ("text", "field"),
    [
        pytest.param(service({"protocol": "a.b"}), "spec.ports[0].protocol: 'a.b' is none of", id="protocol"),
        pytest.param(
            service(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": -1}}),
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: -1",
            id="affinity-below-a-second",
        ),
        pytest.param(
            service(clusterIP="::1", clusterIPs=["::1"], ipFamilies=["IPv4"]),
            "spec.clusterIP: ::1 is no IPv4 address",
            id="an-address-of-the-other-family",
        ),
    ],
)
def test_values_from_which_no_rule_can_be_made_are_refused_with_their_place(
    text: str, field: str, mode: str, tmp_path: Path
) -> None:
    flags = ("--proxy-mode", mode)
    for words in (("compile", "--node", "node-1"), ("trace", "external", "10.96.5.5:80", "--via", "node/node-1")):
        done = ask(tmp_path, text, *words, *flags)
        assert not broken_law(done)
        assert done.code == 2
        assert re.search(rf"^\S+input\.yaml:1:\d+: Service shop/web: {re.escape(field)}", done.stderr, re.MULTILINE)


@pytest.mark.parametrize("name", list(dict.fromkeys((*HOSTILE, *NAMES))), ids=lambda name: ascii(name)[1:30])
def test_a_hostile_name_adds_no_rule(name: str, tmp_path: Path) -> None:
    for mode in ("iptables", "nftables"):
        words = ("compile", "--node", "node-1", "--proxy-mode", mode)
        plain = ask(tmp_path, service(), *words)
        hostile = ask(tmp_path, service({"name": name}), *words)
        assert not broken_law(hostile)
        assert hostile.code == 2 or hostile.stdout.count(b"\n") == plain.stdout.count(b"\n")


def test_a_number_of_pods_that_no_cluster_has_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netsim.cluster.workloads.MOST_PODS", 7)
    workloads = [
        workload("apps/v1", "ReplicaSet", {"replicas": 2**31 - 1, "selector": {"matchLabels": {"a": "b"}}}),
        workload("apps/v1", "StatefulSet", {"replicas": 2**31 - 1, "selector": {"matchLabels": {"a": "b"}}}),
        workload("batch/v1", "Job", {"parallelism": 2**31 - 1, "completions": 2**31 - 1}),
    ]
    done = ask(tmp_path, "\n".join(map(json.dumps, workloads)), "get", "pods", "-A", "-o", "name")
    assert done.code == 0
    assert len(done.stdout.splitlines()) == 7
    assert done.stderr.count("TOO_MANY_PODS") == 3


def workload(version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": kind.lower(), "uid": "x"},
        "spec": {**spec, "template": template},
    }


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2024-01-01T00:00:00+99:00", "x"])
@pytest.mark.parametrize(
    ("schedule", "zone"),
    [("* * * * *", "Europe/Berlin"), (f"{LONG} * * * *", None), ("* * * * *", "America"), ("* * * * *", "é" * 200)],
    ids=["ends-of-the-calendar", "long-number", "a-directory-of-zones", "long-zone"],
)
def test_schedules_and_times_that_cannot_be_met(schedule: str, zone: str | None, at: str, tmp_path: Path) -> None:
    spec = {"schedule": schedule, "jobTemplate": {"spec": workload("batch/v1", "Job", {})["spec"]}}
    data = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c", "uid": "x"}}
    spec |= {"timeZone": zone} if zone else {}
    done = ask(tmp_path, json.dumps({**data, "spec": spec}), "get", "jobs", "--at", at)
    assert not broken_law(done)
    assert "BAD_SCHEDULE" in done.stderr


@pytest.mark.parametrize("amount", ["1e999999999", "1e-999999999", LONG, "²", "Infinity", "1E", -5, 10**30])
def test_quantities_that_are_none(amount: str | int, tmp_path: Path) -> None:
    resources = {"requests": {"cpu": amount, "memory": amount}, "limits": {"cpu": "1"}}
    container = {"name": "c", "image": "i", "resources": resources}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "uid": "x"},
        "spec": {"containers": [container]},
    }
    for words in (("get", "pods", "-o", "wide"), ("validate",), ("compile", "--node", "node-1")):
        assert not broken_law(ask(tmp_path, json.dumps(pod), *words))


def test_a_node_may_be_called_router() -> None:
    texts = [path.read_text() for path in sorted(Path(SHOP).glob("*.yaml"))]
    answers = []
    for name in ("node-1", "router"):
        words = ["trace", "-f", "-", "-q", "external", "192.168.10.1:30080", "-o", "json", "--detail", "minimal"]
        answers.append(run(words, "\n---\n".join(texts).replace("node-1", name).encode()).stdout.decode())
    assert answers[1] == answers[0].replace("node-1", "router")


def test_names_with_slashes_are_followed(tmp_path: Path) -> None:
    text = (ROOT / "topologies" / "dual-stack" / "cluster.yaml").read_text().replace("web-0", '"we/b-0"')
    done = ask(tmp_path, text, "trace", "-q", "pod/client", "svc/web:80", "-o", "json", "--detail", "minimal")
    assert done.code == 0
    assert json.loads(done.stdout)["outcomes"][0]["endpoint"]["pod"] == "default/we/b-0"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        pytest.param(
            ["dns", "--lookup", "a.example", "--api", "nameinfo"], "is not an address", id="nameinfo-of-a-name"
        ),
        pytest.param(["get", "a\x1b[31m"], r'"a\x1b[31m"', id="an-escape-in-a-kind"),
        pytest.param(["compile", "--out-dir", "a" * 300], "--out-dir", id="a-long-directory"),
        pytest.param(["compile", "--config", "/"], "--config /: Is a directory", id="a-directory-as-config"),
        pytest.param(["compile", "--pod-interface-name-prefix=\n"], r'"\n": must be an interface', id="a-line-break"),
        pytest.param(["trace", "external", f"1.2.3.4:{LONG}"], "is not a number from 1 to 65535", id="a-long-port"),
        pytest.param(["trace", "external", "svc/shop/api:²"], "has no port", id="digits-that-are-no-ascii"),
    ],
)
def test_words_that_cannot_be_understood(words: list[str], problem: str) -> None:
    done = run([words[0], "-f", SHOP, *words[1:]])
    assert not broken_law(done)
    assert done.code == 2
    assert problem in done.stderr


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(f"table ip x {{ set s {{ type mark; timeout {LONG}s; }} }}", "digits", id="a-long-time"),
        pytest.param(f"table ip x {{ chain y {{ tcp dport {LONG} accept\n}} }}", "digits", id="a-long-port"),
        pytest.param("add table ip x { what }", "unknown clause 'what'", id="an-unknown-clause"),
        pytest.param(f"*nat\n:PREROUTING ACCEPT [{LONG}:0]\nCOMMIT\n", "digits", id="a-long-counter"),
        pytest.param(
            "*nat\n-A x -m statistic --mode random --probability 1e-999999999 -j DROP\n", None, id="a-tiny-chance"
        ),
        pytest.param(
            "*nat\n-A x -m statistic --mode random --probability 1e999999999\n", "not from 0 to 1", id="a-huge-one"
        ),
        pytest.param('{"nftables": [{"rule": {"expr": [5]}}]}', "not as nft -j prints it", id="no-rule-in-json"),
        pytest.param('{"nftables": ' + "[" * 5000 + "]" * 5000 + "}", "cannot be read as JSON", id="nested-json"),
        pytest.param("-A -t 10.0.0.1:80 -s rr -p " + LONG, "is not a number", id="a-long-timeout"),
        pytest.param(
            "1: d    inet 10.0.0.1/32 scope global d\n1: d    inet x/8 scope global d\n",
            "does not appear to be",
            id="no-address",
        ),
        pytest.param('*nat\n-A x -m comment --comment "a\tb" -j DROP\nCOMMIT\n', None, id="a-tab-in-a-comment"),
        pytest.param("table ip x { chain y { meta mark and 0x1ffffffff == 0x0 drop\n} }", None, id="a-wide-mask"),
    ],
)
def test_dumps_that_cannot_be_read(text: str, problem: str | None, tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_text(text)
    done = run(["trace", "-f", SHOP, "-q", "external", "192.168.10.1:30080", "--ruleset", f"node-1={path}"])
    assert not broken_law(done)
    assert done.code == (0 if problem is None else 2), done.stderr
    assert (problem or "") in done.stderr


def test_short_answers_in_json_are_json() -> None:
    done = run(["dns", "-f", SHOP, "-q", "api.shop.svc.cluster.local", "--short", "-o", "json"])
    assert json.loads(done.stdout)["rcode"] == "NOERROR"


@pytest.mark.parametrize(
    ("verb", "line", "problem"),
    [
        pytest.param("dns", '{"name": "a", "opcode": [[]]}', "opcode: one of", id="an-opcode-that-is-a-list"),
        pytest.param("why", '{"id": ' + "[" * 300 + "]" * 300 + "}", "nested too deep", id="a-nested-id"),
        pytest.param("trace", "\x00", "not a JSON object", id="no-json"),
        pytest.param("route", '{"url": 5}', "url", id="a-url-that-is-a-number"),
    ],
)
def test_query_lines_are_answered_in_their_place(verb: str, line: str, problem: str) -> None:
    done = run([verb, "-f", SHOP, "-q", "--queries", "-"], f"{line}\n{line}\n".encode())
    answers = [json.loads(answer) for answer in done.stdout.splitlines()]
    assert done.code == 2
    assert [set(answer) for answer in answers] == [{"id", "error"}, {"id", "error"}]
    assert problem in answers[0]["error"]


@pytest.mark.parametrize(
    ("files", "code", "said"),
    [
        pytest.param(["missing.yaml"], 2, "does not exist", id="missing"),
        pytest.param(["empty"], 0, "no file named *.yaml, *.yml, *.json in it", id="a-directory-without-manifests"),
        pytest.param(["-", "-"], 0, "<stdin>:1:1: no objects in it", id="stdin-twice"),
    ],
)
def test_files(files: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    done = run(["get", "svc", *(word for file in files for word in ("-f", file))], SERVICE.encode())
    assert done.code == code
    assert said in done.stderr


def test_a_service_range_of_one_address_has_no_address_for_the_api_server(tmp_path: Path) -> None:
    range_ = {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "kubernetes"}}
    done = ask(tmp_path, json.dumps({**range_, "spec": {"cidrs": ["10.0.0.1/32"]}}), "dns", "--zone", "-q")
    assert done.code == 0
    assert b"kubernetes.default" not in done.stdout
