"""ingress-nginx beyond the recorded requests: laws, and rules read from its sources."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.l7.nginx.annotations import CanaryPolicy, parse_networks, parse_size
from netsim.l7.nginx.canary import backend_key, policy_share
from netsim.l7.nginx.decide import Counters
from netsim.l7.request import Request, from_query
from netsim.l7.router import RouteOptions, build_routers, decide
from tests.netsim.l7.hostile import base, ingress
from tests.netsim.l7.recorded import FILES, cluster_of, options_of, read


def answer(manifests: list[dict[str, Any]], options: RouteOptions | None = None, **query: Any) -> dict[str, Any]:
    routers = build_routers(cluster_of(manifests), options or RouteOptions(dialect="ingress-nginx"))
    return decide(routers, from_query({"host": "a.test", "path": "/x", **query}), Counters()).decision.as_json()


RUNS = [
    pytest.param(path, dialect, id=f"{path.stem}-{dialect}") for path in FILES for dialect in read(path)["dialects"]
]


@pytest.mark.parametrize(("path", "dialect"), RUNS)
def test_the_order_of_objects_does_not_matter(path: Any, dialect: str) -> None:
    recorded = read(path)
    if "manifests" not in recorded:
        return
    shuffled = random.Random(1).sample(recorded["manifests"], len(recorded["manifests"]))
    options = options_of(recorded, dialect)
    first, second = (build_routers(cluster_of(items), options) for items in (recorded["manifests"], shuffled))
    for case in recorded.get("cases") or ():
        if "request" in case and dialect in case.get("dialects", recorded["dialects"]):
            asked = from_query(case["request"])
            expected, got = (decide(routers, asked).decision.as_json() for routers in (first, second))
            for one in (expected, got):
                (one["matched"] or {}).update(file=None, line=None)
            assert got == expected


@pytest.mark.parametrize(("path", "dialect"), RUNS)
def test_the_weights_of_all_backends_sum_to_one(path: Any, dialect: str) -> None:
    recorded = read(path)
    routers = build_routers(cluster_of(recorded.get("manifests", [])), options_of(recorded, dialect))
    for case in recorded.get("cases") or ():
        if "request" not in case or not routers:
            continue
        decision = decide(routers, from_query(case["request"])).decision
        if decision.outcomes:
            assert sum(outcome.weight for outcome in decision.outcomes) == 1
        elif decision.backends:
            assert sum(share.weight for share in decision.backends) == 1


@given(
    st.builds(
        CanaryPolicy,
        weight=st.integers(-10, 300),
        total=st.integers(0, 300),
        header=st.sampled_from(["", "X-C"]),
        value=st.sampled_from(["", "v"]),
        pattern=st.sampled_from(["", "^v", "["]),
        cookie=st.sampled_from(["", "ck"]),
    ),
    st.sampled_from([None, "always", "never", "v", ""]),
    st.sampled_from([None, "always", "never", "x"]),
)
def test_a_canarys_share_is_a_probability(policy: CanaryPolicy, header: str | None, cookie: str | None) -> None:
    headers = {} if header is None else {"x-c": header}
    cookies = {} if cookie is None else {"ck": cookie}
    assert 0 <= policy_share(policy, Request(headers=headers, cookies=cookies)) <= 1


@pytest.mark.parametrize(
    ("weight", "total", "share"),
    [(50, 100, "1/2"), (50, 50, "1/2"), (100, 200, "1/2"), (7, 1000, "7/1000"), (-1, 100, "0"), (300, 100, "1")],
)
def test_a_weight_counts_of_a_hundred_or_a_greater_total(weight: int, total: int, share: str) -> None:
    assert policy_share(CanaryPolicy(weight=weight, total=total), Request()) == Fraction(share)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1k", 1024), ("8m", 8 << 20), ("1G", 1 << 30), ("x", None), ("", None), ("1.5m", None), ("-1", None)],
)
def test_sizes_are_read_as_nginx_reads_them(text: str, size: int | None) -> None:
    assert parse_size(text) == size


def test_networks_may_be_addresses_and_have_host_bits() -> None:
    assert [str(network) for network in parse_networks("10.1.2.3/8, 192.0.2.1,2001:db8::/32")] == [
        "10.0.0.0/8",
        "192.0.2.1/32",
        "2001:db8::/32",
    ]
    with pytest.raises(ValueError, match="x"):
        parse_networks("10.0.0.0/8,x")


def test_a_canary_acts_wherever_its_main_service_is_used() -> None:
    manifests = [
        *base(),
        ingress("main", "a.test", "/x", {}),
        ingress("elsewhere", "b.test", "/y", {}),
        ingress("canary", "a.test", "/x", {"canary": "true", "canary-weight": "100"}),
    ]
    assert answer(manifests, host="b.test", path="/y")["backends"][0]["service"] == "can"


def test_a_canary_with_a_path_of_no_main_is_removed_as_a_whole() -> None:
    canary = ingress("canary", "a.test", "/x", {"canary": "true", "canary-weight": "100"})
    canary["spec"]["rules"][0]["http"]["paths"].append(
        {**canary["spec"]["rules"][0]["http"]["paths"][0], "path": "/none"}
    )
    assert answer([*base(), ingress("main", "a.test", "/x", {}), canary])["backends"][0]["service"] == "web"


def test_an_affinity_cookie_of_the_canary_decides_before_its_policy() -> None:
    manifests = [
        *base(),
        ingress("main", "a.test", "/x", {"affinity": "cookie"}),
        ingress("canary", "a.test", "/x", {"canary": "true", "canary-weight": "0"}),
    ]
    for name, service in (("default-web-80", "web"), ("default-can-80", "can")):
        cookies = {"INGRESSCOOKIE": f"0123|{backend_key(name)}"}
        assert answer(manifests, cookies=cookies)["backends"][0]["service"] == service


def test_the_proxys_own_errors_go_to_the_error_backend_too() -> None:
    annotations = {"custom-http-errors": "403", "default-backend": "can", "whitelist-source-range": "10.0.0.0/8"}
    got = answer([*base(), ingress("tested", "a.test", "/x", annotations)], query="a=b")
    assert (got["code"], got["upstreamPath"], got["upstreamHeaders"]["X-Code"]) == ("CUSTOM_ERROR", "/?a=b", "403")


def test_a_rate_counts_clients_apart_and_all_locations_of_an_ingress_together() -> None:
    manifests = [*base(), ingress("tested", "a.test", "/x", {"limit-rps": "2"})]
    routers, counters = build_routers(cluster_of(manifests)), Counters()

    def asked(client: str, path: str) -> int | None:
        return decide(routers, from_query({"host": "a.test", "path": path, "client": client}), counters).decision.status

    assert [asked("10.0.0.1", "/x") for _ in range(11)] == [200] * 11
    assert asked("10.0.0.1", "/x/y") == 503
    assert asked("10.0.0.2", "/x") == 200


def test_a_rewrite_target_that_is_a_url_redirects() -> None:
    got = answer([*base(), ingress("tested", "a.test", "/x", {"rewrite-target": "https://new.test/y"})], query="q=1")
    assert (got["status"], got["location"]) == (302, "https://new.test/y?q=1")


def test_hsts_is_sent_where_the_host_has_a_certificate() -> None:
    made = ingress("tested", "a.test", "/x", {})
    made["spec"]["tls"] = [{"hosts": ["a.test"]}]
    assert "Strict-Transport-Security" in answer([*base(), made], scheme="https")["responseHeaders"]
    assert (
        "Strict-Transport-Security"
        not in answer([*base(), ingress("t", "a.test", "/x", {})], scheme="https")["responseHeaders"]
    )


def test_the_default_server_answers_health_checks() -> None:
    got = answer([*base(), ingress("tested", "a.test", "/x", {})], host="10.0.0.1", path="/healthz")
    assert (got["status"], got["code"]) == (200, "HEALTH_CHECK")


def test_an_annotation_that_is_not_modelled_qualifies_the_answer() -> None:
    got = answer([*base(), ingress("tested", "a.test", "/x", {"auth-url": "http://auth.test"})])
    assert [note["code"] for note in got["notes"]] == ["NOT_MODELLED"]


def test_a_malformed_path_is_a_bad_request() -> None:
    assert answer([*base(), ingress("tested", "a.test", "/x", {})], path="/%zz")["status"] == 400


def test_an_alias_may_be_a_pattern() -> None:
    manifests = [*base(), ingress("tested", "a.test", "/x", {"server-alias": r"~^www\d+\.a\.test$"})]
    assert answer(manifests, host="www7.a.test")["status"] == 200
    assert answer(manifests, host="www.a.test")["status"] == 404
