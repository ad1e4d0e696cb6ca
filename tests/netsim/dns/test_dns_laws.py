"""Laws that hold for every cluster: what is answered is there, what is there is answered, sizes are true."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.cluster.model import Cluster, EndpointSlice, Service, ServicePort, SliceEndpoint, SlicePort
from netsim.dns.names import in_zone, labels, packable, parse_ip, reverse_address, reverse_name, wire_length
from netsim.dns.open import ClusterDns, DnsOptions, open_dns
from netsim.dns.records import Edns, Query
from netsim.dns.wire import Request, name_wire, parse, render
from netsim.dns.zone import zone_records
from tests.fuzz.dns import NAMES, TYPES, target

COREFILE = """.:53 {
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl 30
    }
}
"""
NAME = st.from_regex(r"[a-z][a-z0-9-]{0,6}[a-z0-9]", fullmatch=True)
IPV4 = st.integers(0x0A000001, 0x0AFFFFFE).map(lambda n: ".".join(str(n >> s & 255) for s in (24, 16, 8, 0)))
IPV6 = st.integers(1, (1 << 64) - 2).map(lambda n: str(ipaddress.IPv6Address((0xFD00 << 112) | n)))
PORTS = st.lists(st.tuples(NAME, st.integers(1, 65535)), max_size=3, unique_by=lambda port: port[0])


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """A few Services of every type, with slices whose endpoints are ready, not ready, or say nothing."""
    keys = draw(st.lists(st.tuples(st.sampled_from(("a", "b")), NAME), min_size=1, max_size=6, unique=True))
    ips = draw(st.lists(st.one_of(IPV4, IPV6), min_size=len(keys) * 2, max_size=len(keys) * 2, unique=True))
    services, slices = [], []
    for index, (namespace, name) in enumerate(keys):
        kind = draw(st.sampled_from(("ClusterIP", "headless", "ExternalName")))
        ports = draw(PORTS)
        own = {"ClusterIP": tuple(ips[index * 2 : index * 2 + 2]), "headless": ("None",)}.get(kind, ())
        services.append(
            Service(
                namespace,
                name,
                type="ExternalName" if kind == "ExternalName" else "ClusterIP",
                cluster_ips=own,
                ports=tuple(ServicePort(port, number) for port, number in ports),
                external_name=f"{draw(NAME)}.example.com" if kind == "ExternalName" else "",
            )
        )
        slices += draw(slices_of(namespace, name, ports))
    return Cluster(services=tuple(services), slices=tuple(slices), namespaces={"a": {}, "b": {}})


@st.composite
def slices_of(draw: st.DrawFn, namespace: str, name: str, ports: list[tuple[str, int]]) -> list[EndpointSlice]:
    found = []
    for number, family in enumerate(draw(st.sets(st.sampled_from(("IPv4", "IPv6"))))):
        addresses = draw(st.lists(IPV4 if family == "IPv4" else IPV6, max_size=5, unique=True))
        ready = draw(st.lists(st.sampled_from((True, False, None)), min_size=len(addresses), max_size=len(addresses)))
        endpoints = tuple(SliceEndpoint((ip,), ready=r) for ip, r in zip(addresses, ready, strict=True))
        slice_ports = tuple(SlicePort(port, number) for port, number in ports)
        found.append(EndpointSlice(namespace, f"{name}-{number}", name, family, ports=slice_ports, endpoints=endpoints))
    return found


def opened(cluster: Cluster) -> ClusterDns:
    return open_dns(cluster, DnsOptions(COREFILE))


def ready_addresses(cluster: Cluster, service: Service, family: str) -> set[str]:
    return {
        address
        for item in cluster.slices
        if (item.namespace, item.service, item.address_type) == (service.namespace, service.name, family)
        for endpoint in item.endpoints
        if endpoint.ready is not False
        for address in endpoint.addresses
    }


@given(clusters())
def test_a_headless_name_has_exactly_the_ready_endpoints(cluster: Cluster) -> None:
    server = opened(cluster).server
    for service in cluster.services:
        if not service.headless:
            continue
        name = f"{service.name}.{service.namespace}.svc.cluster.local."
        for kind, family in (("A", "IPv4"), ("AAAA", "IPv6")):
            answer = server.answer(Query(name, kind, transport="tcp"))
            assert {record.rdata for record in answer.answer} == ready_addresses(cluster, service, family)
            anything = ready_addresses(cluster, service, "IPv4") | ready_addresses(cluster, service, "IPv6")
            assert answer.rcode == ("NOERROR" if anything else "NXDOMAIN")


@given(clusters())
def test_the_name_of_every_cluster_ip_leads_back_to_it(cluster: Cluster) -> None:
    server = opened(cluster).server
    for service in cluster.services:
        for ip in service.cluster_ips:
            if ip == "None":
                continue
            names = server.answer(Query(reverse_name(ip), "PTR")).answer
            assert [record.rdata for record in names] == [f"{service.name}.{service.namespace}.svc.cluster.local."]
            back = server.answer(Query(names[0].rdata, "AAAA" if ":" in ip else "A"))
            assert ip in {record.rdata for record in back.answer}


@given(clusters())
def test_srv_targets_have_addresses_that_their_own_names_answer(cluster: Cluster) -> None:
    server = opened(cluster).server
    for service in cluster.services:
        name = f"{service.name}.{service.namespace}.svc.cluster.local."
        answer = server.answer(Query(name, "SRV", transport="tcp"))
        targets = {record.rdata.split(" ")[3] for record in answer.answer}
        assert {record.name for record in answer.additional} == targets
        for record in answer.additional:
            own = server.answer(Query(record.name, record.type, transport="tcp"))
            assert record.rdata in {found.rdata for found in own.answer}


@given(clusters())
def test_every_record_of_the_zone_is_answered(cluster: Cluster) -> None:
    server = opened(cluster).server
    records = list(zone_records(server))
    assert len(records) == len(set(records))
    for record in records:
        answer = server.answer(Query(record.name, record.type, transport="tcp"))
        assert record in answer.answer, record


@given(clusters(), st.randoms(use_true_random=False))
def test_the_order_of_objects_makes_no_difference(cluster: Cluster, rng: object) -> None:
    services, slices = list(cluster.services), list(cluster.slices)
    rng.shuffle(services)  # type: ignore[attr-defined]
    other = replace(cluster, services=tuple(services), slices=tuple(slices))
    assert sorted(zone_records(opened(other).server)) == sorted(zone_records(opened(cluster).server))


EDNS = st.one_of(st.none(), st.builds(Edns, st.integers(0, 65535), st.booleans(), st.integers(0, 1)))


@given(
    st.sampled_from(NAMES), st.sampled_from(TYPES), st.sampled_from(("udp", "tcp")), EDNS, st.booleans(), st.booleans()
)
def test_sizes_are_those_of_the_message_and_never_over_the_limit(
    name: str, kind: str, transport: str, edns: Edns | None, rd: bool, cd: bool
) -> None:
    answer = target().server.answer(Query(name, kind, transport=transport, edns=edns, rd=rd, cd=cd))
    reply = render(1, answer)
    assert reply is not None
    assert len(reply) == answer.wire_length
    limit = 65535 if transport == "tcp" else max(512, edns.payload) if edns else 512
    assert len(reply) <= limit
    parsed = dns.message.from_wire(reply)
    total = len(answer.answer) + len(answer.authority) + len(answer.additional)
    assert (
        sum(len(rrset) for section in (parsed.answer, parsed.authority, parsed.additional) for rrset in section)
        == total
    )


@given(st.sampled_from(NAMES), st.sampled_from(TYPES), EDNS)
def test_a_question_survives_the_wire(name: str, kind: str, edns: Edns | None) -> None:
    message = dns.message.make_query(name, kind)
    if edns:
        message.use_edns(edns.version, edns.do << 15, edns.payload)
    parsed = parse(message.to_wire(), "udp", "10.1.2.3")
    assert parsed == Request(message.id, Query(name, kind, edns=edns, src="10.1.2.3"))


@given(st.one_of(IPV4, IPV6))
def test_reverse_names_are_their_own_inverse(address: str) -> None:
    assert reverse_address(reverse_name(address)) == address


@given(st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,10}", fullmatch=True), min_size=1, max_size=6), st.integers(0, 6))
def test_names_and_zones(parts: list[str], cut: int) -> None:
    name = ".".join(parts) + "."
    zone = ".".join(parts[cut:]) + "."
    assert labels(name) == parts
    assert in_zone(name, zone if zone != "." else ".")
    assert wire_length(name) == len(name_wire(name))
    assert packable(name)


@pytest.mark.parametrize("name", [r"web\.x.default.", r"a\032b.c.", r"\\.x.", "."])
def test_escaped_names_have_the_length_of_their_bytes(name: str) -> None:
    assert wire_length(name) == len(name_wire(name))


@pytest.mark.parametrize("text", ["10.0.0.01", "1.2.3", "fe80::1%eth0", "", "a", "1.2.3.4.5", "::g", "10.0.0.1 "])
def test_what_is_no_address_to_go_is_none_here(text: str) -> None:
    assert parse_ip(text) is None


def test_an_unpackable_target_gets_no_reply() -> None:
    assert render(1, target().server.answer(Query("bad.default.svc.cluster.local."))) is None
