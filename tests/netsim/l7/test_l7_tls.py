"""Certificates: real ones, placeholders, and which of them a server presents."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from netsim.l7 import compile_ingress
from netsim.l7.conf.certs import pair_of, placeholder
from netsim.l7.request import from_query
from netsim.l7.router import build_routers, decide
from netsim.l7.tls import Certificate, dns_names, read_certificate
from tests.netsim.l7.hostile import base, ingress
from tests.netsim.l7.recorded import cluster_of, loaded_of


def secret(name: str, chain: str, key: str) -> dict[str, Any]:
    data = {"tls.crt": base64.b64encode(chain.encode()).decode(), "tls.key": base64.b64encode(key.encode()).decode()}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": data}


REAL = placeholder("real", ["shop.test", "*.shop.test"])
OTHER = placeholder("other", ["other.test"])


def test_the_names_of_a_real_certificate() -> None:
    assert dns_names(REAL.chain) == ("shop.test", "*.shop.test")


@pytest.mark.parametrize(
    ("host", "covered"),
    [("shop.test", True), ("SHOP.test", True), ("a.shop.test", True), ("b.a.shop.test", False), ("other.test", False)],
)
def test_a_wildcard_covers_one_label(host: str, covered: bool) -> None:
    assert Certificate("default/x", ("shop.test", "*.shop.test")).covers(host) is covered


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(secret("s", "no certificate", REAL.key), id="no PEM"),
        pytest.param(secret("s", "", REAL.key), id="no certificate"),
        pytest.param(secret("s", REAL.chain, ""), id="no key"),
    ],
)
def test_a_secret_without_a_certificate_is_none(broken: dict[str, Any]) -> None:
    [manifest] = loaded_of([broken])
    assert read_certificate(manifest) is None


def test_placeholders_are_the_same_every_time() -> None:
    assert placeholder("x", ["a.test"]) == placeholder("x", ["a.test"])
    assert placeholder("x", ["a.test"]) != placeholder("y", ["a.test"])


def test_a_key_that_does_not_belong_is_replaced() -> None:
    assert pair_of(Certificate("default/s", ("shop.test",), REAL.chain, REAL.key), "default/s").placeholder is False
    assert pair_of(Certificate("default/s", ("shop.test",), REAL.chain, OTHER.key), "default/s").placeholder is True


def secured(host: str) -> list[dict[str, Any]]:
    made = ingress("tested", host, "/", {"ssl-redirect": "false"})
    made["spec"]["tls"] = [{"hosts": [host], "secretName": "real"}]
    return [*base(), secret("real", REAL.chain, REAL.key), made]


def test_a_real_certificate_is_chosen_presented_and_written() -> None:
    cluster = cluster_of(secured("shop.test"))
    query = {"scheme": "https", "host": "shop.test", "path": "/"}
    assert decide(build_routers(cluster), from_query(query)).decision.tls == {"secret": "default/real"}
    [compiled] = compile_ingress(cluster).values()
    assert compiled.files["certs/default_real.crt"] == REAL.chain
    assert compiled.files["certs/default_real.key"] == REAL.key


def test_a_certificate_that_does_not_cover_the_host_gives_way_to_the_default() -> None:
    query = {"scheme": "https", "host": "elsewhere.test", "path": "/"}
    answer = decide(build_routers(cluster_of(secured("elsewhere.test"))), from_query(query))
    assert answer.decision.tls == {"secret": "default"}
