"""What becomes of a packet, and the code that says why."""

from __future__ import annotations

from typing import Any

import pytest

from netsim.errors import UsageError
from netsim.trace.query import TraceQuery
from netsim.trace.sequence import Sequence
from tests.conformance_support.small import WEB, ask, node, pod, service, tracer_of


def endpoints(answer: Any) -> set[str]:
    return {outcome.endpoint.text for outcome in answer.outcomes if outcome.endpoint}


def config_map(name: str, namespace: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


VIP = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
BALANCED = (*WEB[:-1], service("web", "10.96.1.1", node_port=30080, type="LoadBalancer", status=VIP))


@pytest.mark.parametrize(
    ("source", "target", "verdict", "code"),
    [
        pytest.param("pod/client-1", "svc/web:80", "REACHABLE", "OK", id="cluster-ip"),
        pytest.param("pod/client-1", "svc/web", "REACHABLE", "OK", id="the-only-port"),
        pytest.param("pod/client-1", "svc/web:http", "REACHABLE", "OK", id="port-by-name"),
        pytest.param("pod/client-1", "svc/web:81", "UNREACHABLE", "UNUSED_CLUSTER_IP_PORT", id="unused-port"),
        pytest.param("pod/client-1", "svc/web:80/udp", "UNREACHABLE", "UNUSED_CLUSTER_IP_PORT", id="wrong-protocol"),
        pytest.param("pod/client-1", "10.96.9.9:80", "UNREACHABLE", "UNALLOCATED_CLUSTER_IP", id="unallocated"),
        pytest.param("pod/client-1", "10.244.1.77:80", "UNREACHABLE", "NO_NEIGHBOUR", id="nobody-on-the-own-bridge"),
        pytest.param("pod/client-1", "10.244.2.77:80", "UNREACHABLE", "NO_NEIGHBOUR", id="nobody-on-another-bridge"),
        pytest.param("pod/client-1", "192.168.10.77:80", "UNREACHABLE", "NO_NEIGHBOUR", id="nobody-on-the-switch"),
        pytest.param("pod/client-1", "8.8.8.8:53/udp", "REACHABLE", "OUTSIDE", id="the-world"),
        pytest.param("pod/client-1", "node/node-1:22", "REFUSED", "NOTHING_LISTENS", id="no-socket-on-the-own-node"),
        pytest.param("pod/client-1", "node/node-2:22", "REFUSED", "NOTHING_LISTENS", id="no-socket-on-another-node"),
        pytest.param("pod/client-1", "node/node-2:10250", "REACHABLE", "OK", id="the-kubelet"),
        pytest.param("pod/client-1", "node/node-2:30080", "REACHABLE", "OK", id="node-port"),
        pytest.param("pod/client-1", "pod/web-2:9999", "REACHABLE", "OK", id="a-pod-takes-any-port"),
        pytest.param("node/node-1", "127.0.0.1:30080", "REACHABLE", "OK", id="node-port-on-localhost"),
        pytest.param("node/node-1", "[::1]:30080", "REFUSED", "NODEPORT_NOT_ON_ADDRESS", id="not-on-v6-localhost"),
        pytest.param("external", "svc/web:80", "UNREACHABLE", "CLUSTER_IP_FROM_OUTSIDE", id="cluster-ip-from-outside"),
        pytest.param("external", "node/node-1:30080", "REACHABLE", "OK", id="node-port-from-outside"),
        pytest.param("external", "10.244.1.5:8080", "REACHABLE", "OK", id="pod-from-outside"),
        pytest.param("192.168.10.1", "svc/web:80", "REACHABLE", "OK", id="an-address-that-is-a-node"),
        pytest.param("10.244.1.100", "svc/web:80", "REACHABLE", "OK", id="an-address-that-is-a-pod"),
        pytest.param("198.51.100.99", "192.168.10.1:30080", "REACHABLE", "OK", id="an-address-outside"),
    ],
)
def test_verdict_and_code(source: str, target: str, verdict: str, code: str) -> None:
    answer = ask(tracer_of(*WEB), source, target)
    assert (answer.verdict, answer.code) == (verdict, code)
    assert answer.summary
    assert sum(outcome.probability for outcome in answer.outcomes) == 1


@pytest.mark.parametrize("source", ["::1", "fd00:99::1"], ids=["a node's own", "nobody's"])
def test_an_address_of_the_other_family_sends_nothing(source: str) -> None:
    answer = ask(tracer_of(*WEB), source, "svc/web:80", via="node/node-1")
    assert (answer.verdict, answer.code) == ("UNREACHABLE", "NO_SOURCE_ADDRESS")
    assert [outcome.probability for outcome in answer.outcomes] == [1]


def test_a_port_that_the_pod_does_not_declare_is_a_note() -> None:
    notes = {note.code for note in ask(tracer_of(*WEB), "pod/client-1", "pod/web-2:9999").notes}
    assert "PORT_NOT_DECLARED" in notes
    assert "PORT_NOT_DECLARED" not in {n.code for n in ask(tracer_of(*WEB), "pod/client-1", "pod/web-2:8080").notes}


def test_a_load_balancer_address_enters_at_every_node() -> None:
    answer = ask(tracer_of(*BALANCED), "external", "203.0.113.7:80")
    assert answer.verdict == "REACHABLE"
    assert sorted(str(outcome.probability) for outcome in answer.outcomes) == ["1/4"] * 4
    assert endpoints(answer) == {"10.244.1.5:8080", "10.244.2.5:8080"}


def test_a_local_load_balancer_enters_where_a_health_check_answers() -> None:
    local = service(
        "web", "10.96.1.1", type="LoadBalancer", status=VIP, externalTrafficPolicy="Local", healthCheckNodePort=31000
    )
    tracer = tracer_of(*[o for o in WEB[:-1] if o["metadata"]["name"] != "web-2"], local)
    answer = ask(tracer, "external", "203.0.113.7:80")
    assert answer.verdict == "REACHABLE"
    assert {hop.machine.name for o in answer.outcomes for hop in o.hops} >= {"router", "node-1"}
    assert all(outcome.server_sees == 0xC633640A for outcome in answer.outcomes)
    assert ask(tracer, "external", "203.0.113.7:80", via="node/node-2").code == "NO_LOCAL_ENDPOINTS"
    assert ask(tracer, "external", "node/node-1:31000").verdict == "REACHABLE"
    empty = tracer_of(*[o for o in WEB[:-1] if not o["metadata"]["name"].startswith("web")], local)
    assert ask(empty, "external", "203.0.113.7:80").code == "NO_HEALTHY_NODE"


def test_source_ranges_drop_and_say_so() -> None:
    ranged = service("web", "10.96.1.1", type="LoadBalancer", status=VIP, loadBalancerSourceRanges=["203.0.113.0/24"])
    answer = ask(tracer_of(*WEB[:-1], ranged), "external", "203.0.113.7:80")
    assert (answer.verdict, answer.code) == ("DROPPED", "SOURCE_RANGES")
    assert answer.outcomes[0].rule is not None
    assert [hint.code for hint in answer.hints] == ["SOURCE_RANGES"]


def test_no_endpoints_is_refused_with_the_rule_and_its_origin() -> None:
    answer = ask(tracer_of(*WEB, service("none", "10.96.1.2")), "pod/client-1", "svc/none:80")
    assert (answer.verdict, answer.code) == ("REFUSED", "NO_ENDPOINTS")
    rule = answer.outcomes[0].rule
    assert rule is not None
    assert rule.origin is not None
    assert (rule.origin.kind, rule.origin.name) == ("Service", "none")


def test_a_proxied_address_is_answered_by_nobody() -> None:
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7", "ipMode": "Proxy"}]}}
    tracer = tracer_of(*WEB[:-1], service("web", "10.96.1.1", type="LoadBalancer", status=status))
    assert ask(tracer, "pod/client-1", "203.0.113.7:80").code == "PROXIED_VIP"
    assert ask(tracer, "external", "203.0.113.7:80").verdict == "DROPPED"


def test_host_network_endpoints_see_the_client_that_the_mark_did_not_reach() -> None:
    tracer = tracer_of(
        node(1),
        node(2),
        pod("web-1", 1, 0, host=True),
        pod("client-2", 2, 9),
        service("web", "10.96.1.1", node_port=30080),
    )
    answer = ask(tracer, "external", "node/node-1:30080")
    assert [o.server_sees for o in answer.outcomes] == [0xC633640A]
    assert not answer.outcomes[0].snat
    assert answer.outcomes[0].endpoint is not None
    assert answer.outcomes[0].endpoint.pod == "default/web-1"


def test_a_pod_needs_hairpin_mode_to_reach_itself() -> None:
    conflist = '{"plugins": [{"type": "bridge", "bridge": "br9", "isGateway": true, "ipMasq": true}]}'
    lone = (node(1), pod("web-1", 1, 5), service("web", "10.96.1.1"))
    assert ask(tracer_of(*lone), "pod/web-1", "svc/web:80").verdict == "REACHABLE"
    tracer = tracer_of(*lone, config_map("cni", "kube-system", **{"10-x.conflist": conflist}))
    answer = ask(tracer, "pod/web-1", "svc/web:80")
    assert (answer.verdict, answer.code) == ("DROPPED", "HAIRPIN_OFF")


def test_the_bridge_plugins_own_masquerade_spares_only_its_subnet() -> None:
    conflist = '{"type": "bridge", "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true}'
    tracer = tracer_of(*WEB, config_map("cni", "kube-system", **{"cni-conf.json": conflist}))
    answer = ask(tracer, "pod/client-1", "pod/web-2:8080")
    assert answer.outcomes[0].cni_snat
    assert answer.outcomes[0].server_sees == 0xC0A80A01


def test_an_ip_masq_agent_says_what_is_not_masqueraded() -> None:
    agent = config_map("ip-masq-agent", "kube-system", config="nonMasqueradeCIDRs: [10.0.0.0/8, 192.168.0.0/16]\n")
    plain = ask(tracer_of(*WEB), "pod/client-1", "node/node-2:10250").outcomes[0]
    spared = ask(tracer_of(*WEB, agent), "pod/client-1", "node/node-2:10250").outcomes[0]
    assert (plain.cni_snat, spared.cni_snat) == (True, False)
    assert spared.server_sees == 0x0AF40164


def test_an_answer_that_goes_around_the_translating_node_is_lost() -> None:
    agent = config_map("ip-masq-agent", "kube-system", config="nonMasqueradeCIDRs: [10.0.0.0/8, 192.168.0.0/16]\n")
    local = service("web", "10.96.1.1", node_port=30080, externalTrafficPolicy="Local")
    answer = ask(tracer_of(*WEB[:-1], local, agent), "pod/client-1", "node/node-2:30080")
    assert (answer.verdict, answer.code) == ("PARTIAL", "ASYMMETRIC_RETURN")
    lost = next(outcome for outcome in answer.outcomes if outcome.disposition == "DROPPED")
    assert lost.endpoint is None
    assert lost.reached is not None
    assert lost.reached.text == "10.244.1.5:8080"


def test_pick_supposes_every_choice() -> None:
    answer = ask(tracer_of(*WEB), "pod/client-1", "svc/web:80", pick="default/web-2")
    assert [str(o.probability) for o in answer.outcomes] == ["1"]
    assert endpoints(answer) == {"10.244.2.5:8080"}
    with pytest.raises(UsageError, match="no outcome goes there"):
        ask(tracer_of(*WEB), "pod/client-1", "svc/web:80", pick="default/web-9")


def test_established_packets_meet_no_nat_rule() -> None:
    answer = ask(tracer_of(*WEB), "pod/client-1", "svc/web:80", established=True)
    assert answer.verdict == "REACHABLE"
    assert endpoints(answer) == {"10.244.1.5:8080", "10.244.2.5:8080"}
    for outcome in answer.outcomes:
        events = [event for hop in outcome.hops for event in hop.passage.events if event.entry is not None]
        assert not any(event.entry.translates for event in events)
        assert any(event.entry.entry.table == "filter" for event in events)


def test_affinity_sticks_only_within_a_sequence_and_only_for_its_time() -> None:
    sticky = service(
        "web", "10.96.1.1", sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 60}}
    )
    for mode in ("iptables", "nftables", "ipvs"):
        tracer = tracer_of(*WEB[:-1], sticky, flags=(f"--proxy-mode={mode}",))
        query = TraceQuery("pod/client-1", "svc/web:80")
        sequence = Sequence(tracer)
        first, taken = sequence.connect(query, lambda answer: answer.outcomes[-1])
        assert len(first.outcomes) == 2
        again, _ = sequence.connect(query)
        assert [o.endpoint for o in again.outcomes] == [taken.endpoint]
        assert len(tracer.trace(query).outcomes) == 2
        sequence.wait(61)
        assert len(sequence.connect(query)[0].outcomes) == 2


def test_names_of_nothing_are_explained_with_the_nearest() -> None:
    tracer = tracer_of(*WEB)
    for source, target, near in [
        ("pod/clint-1", "svc/web:80", "did you mean 'default/client-1'?"),
        ("node/nod-1", "svc/web:80", "did you mean 'node-1'?"),
        ("pod/client-1", "svc/wep:80", "did you mean 'default/web'?"),
        ("pod/client-1", "svc/web:htp", "did you mean 'http'?"),
    ]:
        with pytest.raises(UsageError) as error:
            ask(tracer, source, target)
        assert near in str(error.value)
    with pytest.raises(UsageError, match="no such node"):
        ask(tracer, "external", "svc/web:80", via="node/node-9")
    with pytest.raises(UsageError, match="an address of every node"):
        ask(tracer, "127.0.0.1", "svc/web:80")


def test_via_of_a_pod_is_a_note() -> None:
    answer = ask(tracer_of(*WEB), "pod/client-1", "svc/web:80", via="node/node-2")
    assert "VIA_IGNORED" in {note.code for note in answer.notes}


def test_policies_and_sidecars_on_the_way_qualify_the_answer() -> None:
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny", "namespace": "default"},
        "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]},
    }
    tracer = tracer_of(*WEB, policy)
    answer = ask(tracer, "pod/client-1", "svc/web:80")
    assert answer.qualified
    assert any("NetworkPolicy default/deny" in note.text for note in answer.notes)
    assert not ask(tracer, "pod/web-1", "pod/client-1:8080").qualified


def test_host_ports_and_mesh_objects_qualify_the_answer() -> None:
    mapped = pod("edge-1", 1, 50)
    mapped["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 8443}]
    routed = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "v", "namespace": "default"},
        "spec": {"hosts": ["web.default.svc.cluster.local"]},
    }
    tracer = tracer_of(*WEB, mapped, routed)
    answer = ask(tracer, "external", "node/node-1:8443")
    assert answer.qualified
    assert any("hostPort 8443 of pod default/edge-1" in note.text for note in answer.notes)
    assert not ask(tracer, "external", "node/node-2:8443").qualified
    meshed = ask(tracer, "pod/client-1", "svc/web:80")
    assert any("VirtualService default/v" in note.text for note in meshed.notes)
