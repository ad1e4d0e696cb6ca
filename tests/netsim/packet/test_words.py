"""The words of the command line that name a flow."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iptables_gen.values import parse_ip
from netsim.errors import UsageError
from netsim.packet.words import (
    AddressRef,
    External,
    HostRef,
    NodeRef,
    PodRef,
    ServiceRef,
    UrlRef,
    parse_from,
    parse_to,
    parse_via,
)


def ip(text: str, port: int = 0) -> AddressRef:
    return AddressRef(*parse_ip(text), port)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("pod/shop/cart-0", PodRef("shop", "cart-0"), id="pod-with-namespace"),
        pytest.param("pod/cart-0", PodRef("default-ns", "cart-0"), id="pod-in-the-namespace-of-n"),
        pytest.param("node/node-1", NodeRef("node-1"), id="node-is-a-process-there"),
        pytest.param("external", External(), id="the-usual-client"),
        pytest.param("external/203.0.113.9", External(parse_ip("203.0.113.9")), id="a-client-outside"),
        pytest.param("external/2001:db8::1", External(parse_ip("2001:db8::1")), id="a-client-outside-v6"),
        pytest.param("10.244.1.5", ip("10.244.1.5"), id="bare-address"),
        pytest.param("::1", ip("::1"), id="bare-v6-address"),
        pytest.param("[fd00::1]", ip("fd00::1"), id="bare-v6-address-in-brackets"),
    ],
)
def test_from(text: str, want: object) -> None:
    assert parse_from(text, "default-ns") == want


@pytest.mark.parametrize(
    ("text", "want", "protocol"),
    [
        pytest.param("svc/shop/api", ServiceRef("shop", "api"), None, id="service-without-port"),
        pytest.param("svc/api:http", ServiceRef("d", "api", "http"), None, id="service-port-by-name"),
        pytest.param("svc/shop/api:80/udp", ServiceRef("shop", "api", "80"), "udp", id="protocol-suffix"),
        pytest.param("svc/shop/udp", ServiceRef("shop", "udp"), None, id="a-service-called-udp"),
        pytest.param("svc/shop/dns/udp", ServiceRef("shop", "dns"), "udp", id="suffix-without-port"),
        pytest.param("pod/shop/api-0:8080", PodRef("shop", "api-0", 8080), None, id="pod-port"),
        pytest.param("node/node-1:30080/sctp", NodeRef("node-1", 30080), "sctp", id="node-port"),
        pytest.param("10.96.0.10:53/UDP", ip("10.96.0.10", 53), "udp", id="address"),
        pytest.param("[fd00::a]:80", ip("fd00::a", 80), None, id="v6-address"),
        pytest.param("10.96.0.10/icmp", ip("10.96.0.10"), "icmp", id="a-protocol-without-ports"),
        pytest.param("api.shop:80", HostRef("api.shop", 80), None, id="host"),
        pytest.param("api:80/udp", HostRef("api", 80), "udp", id="host-with-suffix"),
        pytest.param("https://a.b/x?y=1", UrlRef("https://a.b/x?y=1", "https", "a.b", 443), None, id="url"),
        pytest.param("http://[fd00::1]:81/", UrlRef("http://[fd00::1]:81/", "http", "fd00::1", 81), None, id="url-v6"),
    ],
)  # fmt: skip
def test_to(text: str, want: object, protocol: str | None) -> None:
    assert parse_to(text, "d") == (want, protocol)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("svc/shop/api/x/y", "write svc/", id="too-many-parts"),
        pytest.param("pod/shop/api", "has no port", id="pod-without-port"),
        pytest.param("node/node-1", "has no port", id="node-without-port"),
        pytest.param("10.96.0.10", "has no port", id="address-without-port"),
        pytest.param("10.96.0.10:0", "from 1 to 65535", id="port-zero"),
        pytest.param("10.96.0.10:70000", "from 1 to 65535", id="port-too-large"),
        pytest.param("10.96.0.10:http", "is not a number", id="port-name-of-an-address"),
        pytest.param("10.96.0.300:80", "neither an IP address nor a host name", id="not-an-address"),
        pytest.param("fd00::1:80", "in brackets", id="v6-without-brackets"),
        pytest.param("service-x/shop/api:80", "names no destination", id="unknown-kind"),
        pytest.param("svcs/shop/api:80", "did you mean 'svc'?", id="kind-with-a-slip"),
        pytest.param("http:///path", "it has no host", id="url-without-host"),
        pytest.param("http://host:99999/", "is not a URL", id="url-port"),
        pytest.param("a b:80", "neither an IP address nor a host name", id="blank-in-host"),
        pytest.param("$(reboot):80", "neither an IP address nor a host name", id="shell-words"),
    ],
)
def test_bad_destinations_are_explained(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=None) as error:
        parse_to(text, "d")
    assert problem in str(error.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("pods/", "write pod/", id="empty-name"),
        pytest.param("pdo/x", "did you mean 'pod'?", id="kind-with-a-slip"),
        pytest.param("external/nowhere", "is not an IP address", id="external-name"),
        pytest.param("extenal", "did you mean 'external'?", id="word-with-a-slip"),
        pytest.param("cart-0", "names no source", id="bare-name"),
        pytest.param("", "names no source", id="nothing"),
    ],
)
def test_bad_sources_are_explained(text: str, problem: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_from(text, "d")
    assert problem in str(error.value)


def test_via_names_a_node() -> None:
    assert parse_via("node/n1") == "n1"
    for bad in ("n1", "pod/n1", "node/", "node/a/b"):
        with pytest.raises(UsageError):
            parse_via(bad)


def test_protocols_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match="says udp"):
        parse_to("10.0.0.1:53/udp", "d", "tcp")
    assert parse_to("10.0.0.1:53/udp", "d", "UDP")[1] == "udp"
    with pytest.raises(UsageError, match="did you mean 'tcp'"):
        parse_to("10.0.0.1:53", "d", "tcpp")


@given(st.text(max_size=40))
def test_no_word_is_a_crash(text: str) -> None:
    for parse in (lambda: parse_from(text, "d"), lambda: parse_to(text, "d"), lambda: parse_via(text)):
        with suppress(UsageError):
            parse()
