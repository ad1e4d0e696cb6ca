"""Every verb on a dump of a cluster: stored objects are used as they are, doubts are warnings, limits are notes."""

from __future__ import annotations

import json

import pytest

from tests.fuzz.verbs import broken_law, run
from tests.netsim.cli.stored_dump import bystanders, dump, modelled, unmodelled

WHOLE = dump(modelled(), bystanders(), unmodelled())
CLEAN = dump(modelled(), bystanders())
TRACE = ["trace", "-f", "-", "pod/shop/client", "svc/shop/web:80", "-o", "json", "--detail", "minimal"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param(["compile", "-f", "-", "--node", "n1"], 0, id="compile"),
        pytest.param(["trace", "-f", "-", "pod/shop/client", "svc/shop/web:80"], 0, id="trace"),
        pytest.param(["why", "-f", "-", "svc/shop/web"], 0, id="why"),
        pytest.param(["dns", "-f", "-", "web.shop.svc.cluster.local"], 0, id="dns"),
        pytest.param(["dns", "-f", "-", "--lookup", "web", "--from", "pod/shop/client"], 0, id="lookup"),
        pytest.param(["route", "-f", "-", "http://shop.example.com/"], 0, id="route"),
        pytest.param(["explain", "-f", "-", "service-ips"], 0, id="explain"),
        pytest.param(["diff", "-f", "-", "--proxy-mode", "nftables..nftables"], 0, id="diff-of-one-mode"),
        pytest.param(["diff", "-f", "-", "--proxy-mode", "iptables..nftables"], 1, id="diff"),
        pytest.param(["get", "-f", "-", "all,ing,ep,endpointslices,nodes,cm,secrets,events", "-A"], 0, id="get"),
        pytest.param(["get", "-f", "-", "widgets,leases,netpol,crd,ipaddresses,apiservices", "-A"], 0, id="get-others"),
    ],
)
def test_every_verb_answers(words: list[str], code: int) -> None:
    done = run(words, WHOLE)
    assert not broken_law(done)
    assert done.code == code, done.stderr
    assert not [line for line in done.stderr.splitlines() if not line.startswith(("warning: ", "note: "))]


def test_unknown_fields_and_kinds_of_a_dump_are_warnings() -> None:
    done = run(TRACE, CLEAN)
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert [line.rpartition(": ")[2] for line in warnings] == [
        'unknown field "status.future"',
        'unknown field "status.future"',
        'unknown field "spec.futureField"',
        'no matches for kind "PodMetrics" in version "metrics.k8s.io/v1beta1" (1 object ignored)',
    ]


def test_strict_refuses_what_is_a_warning() -> None:
    done = run([*TRACE, "--strict"], CLEAN)
    assert (done.code, done.stdout) == (2, b"")


def test_settings_come_from_the_dump() -> None:
    answer = json.loads(run(TRACE, CLEAN).stdout)
    assert answer["query"]["proxyMode"] == "nftables"
    assert [outcome["endpoint"]["pod"] for outcome in answer["outcomes"]] == ["shop/web-1", "shop/web-2"]
    assert not any(note["code"].startswith("ASSUMED_") for note in answer["notes"])


def test_custom_resources_are_counted() -> None:
    assert "note: CUSTOM_RESOURCES: not modelled: 1 Widget.example.com\n" in run(TRACE, CLEAN).stderr


def test_policies_and_meshes_on_the_way_qualify_the_answer() -> None:
    plain, qualified = (json.loads(run(TRACE, data).stdout) for data in (CLEAN, WHOLE))
    codes = [note["text"].partition(" ")[0] for note in qualified["notes"] if note["code"] == "NOT_MODELLED"]
    assert (plain["qualified"], qualified["qualified"]) == (False, True)
    assert codes == ["NetworkPolicy", "VirtualService"]
    assert plain["outcomes"] == qualified["outcomes"]


def test_a_host_port_qualifies_only_packets_to_it() -> None:
    asked = ["trace", "-f", "-", "external", "172.18.0.1:8088", "-o", "json"]
    answer = json.loads(run(asked, CLEAN).stdout)
    assert answer["qualified"] is True
    assert any("hostPort 8088 of pod shop/web-1" in note["text"] for note in answer["notes"])


def test_validate_names_what_the_server_would_refuse_and_nothing_else() -> None:
    answer = json.loads(run(["validate", "-f", "-", "-o", "json"], CLEAN).stdout)
    assert [(e["kind"], e["reason"]) for e in answer["errors"]] == [("PodMetrics", "NoKindMatch")]
    fields = [w["field"] for w in answer["warnings"] if w["reason"] == "UnknownField"]
    assert fields == ["status.future", "status.future", "spec.futureField"]


def test_a_dump_steers_no_terminal() -> None:
    done = run(["get", "-f", "-", "events", "-n", "shop", "-o", "wide"], CLEAN)
    assert done.code == 0
    assert b"\x1b" not in done.stdout
