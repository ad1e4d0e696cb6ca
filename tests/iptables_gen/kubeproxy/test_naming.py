"""Chain and set names against names that kube-proxy v1.36.2 made."""

from __future__ import annotations

from base64 import b32encode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iptables_gen.kubeproxy import naming


@pytest.mark.parametrize(
    ("name", "protocol", "want"),
    [
        pytest.param("default/web:http", "tcp", "CDGGSHYLG3RE2FKL", id="named-port"),
        pytest.param("kube-system/kube-dns:dns", "udp", "TCOU7JCQXEZGVUNU", id="udp"),
        pytest.param("kube-system/kube-dns:dns-tcp", "tcp", "ERIFXISQEP7F7OF4", id="same-port-other-protocol"),
    ],
)
def test_a_service_hash_is_the_recorded_one(name: str, protocol: str, want: str) -> None:
    assert naming.service_hash(name, protocol) == want


@pytest.mark.parametrize(
    ("endpoint", "want"),
    [
        pytest.param("10.244.1.5:8080", "KUBE-SEP-AFGSLHOD2HFNCBX4", id="ipv4"),
        pytest.param("[fd00:10:244:2::5]:8080", "KUBE-SEP-OESVUFIDOA7435AC", id="ipv6-in-brackets"),
    ],
)
def test_an_endpoint_chain_is_the_recorded_one(endpoint: str, want: str) -> None:
    assert naming.endpoint_chain("default/web:http", "tcp", endpoint) == want


def test_nft_names_are_the_recorded_ones() -> None:
    assert naming.nft_base("default", "web", "tcp", "http") == "SUSTUHLJ-default/web/tcp/http"
    base = naming.nft_endpoint_base("default", "web", "tcp", "http", "10.244.1.5", 8080)
    assert base == "HGNPOIJ5-default/web/tcp/http__10.244.1.5/8080"


def test_nft_names_have_dots_for_the_colons_of_an_address() -> None:
    assert naming.nft_endpoint_base("a", "b", "tcp", "", "fd00::5", 80).endswith("-a/b/tcp/__fd00..5/80")


def test_nft_names_are_cut_to_240_characters() -> None:
    base = naming.nft_base("n" * 63, "s" * 63, "sctp", "p" * 130)
    assert len(base) == 240
    assert base.endswith("...")


@given(st.binary(min_size=10, max_size=64))
def test_base32_is_that_of_rfc_4648(digest: bytes) -> None:
    assert naming.base32_80(digest) == b32encode(digest[:10]).decode()


@given(st.text())
def test_the_hash_of_any_name_is_sixteen_characters_of_its_sha256(name: str) -> None:
    text = name.encode("utf-8", "replace").decode()
    assert naming.hash16(text) == b32encode(sha256(text.encode()).digest()).decode()[:16]
