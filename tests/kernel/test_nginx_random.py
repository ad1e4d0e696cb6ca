"""Random Ingresses: a real nginx with the compiled configuration does what the model says it does."""

from __future__ import annotations

import copy
import random
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from netsim.l7.nginx.decide import Counters
from netsim.l7.request import from_query
from netsim.l7.router import RouteOptions, build_routers, decide
from tests.kernel.test_nginx import run, services_by_address, wire, write
from tests.netsim.l7.recorded import cluster_of

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
]

WORDS = ("a", "b", "ab", "A", "a.b", "x-1")
SERVICES = ("one", "two", "dead", "ghost")
REAL = ("one", "two", "dead", "can", "can2")
REGEX_PATHS = ("/a(/|$)(.*)", "/[ab]+", "/a/[0-9]{2}$", "/(a|b)/(.+)", "/A.b", "/x-\\d")
EXTRAS: tuple[dict[str, str], ...] = (
    {},
    {},
    {},
    {"rewrite-target": "/new"},
    {"rewrite-target": "/$2", "use-regex": "true"},
    {"rewrite-target": "/find?p=$1"},
    {"use-regex": "true"},
    {"app-root": "/start"},
    {"permanent-redirect": "https://new.test$request_uri"},
    {"temporal-redirect": "https://tmp.test/$1", "temporal-redirect-code": "307"},
    {"force-ssl-redirect": "true"},
    {"force-ssl-redirect": "true", "preserve-trailing-slash": "true"},
    {"from-to-www-redirect": "true"},
    {"whitelist-source-range": "10.0.0.0/8"},
    {"denylist-source-range": "192.0.2.0/24", "whitelist-source-range": "0.0.0.0/0"},
    {"whitelist-source-range": "nonsense"},
    {"upstream-vhost": "inside.test"},
    {"proxy-body-size": "1k"},
    {"custom-http-errors": "404,503", "default-backend": "two"},
    {"custom-http-errors": "404,403"},
    {"default-backend": "one"},
    {"server-alias": "alias-{host}"},
    {"enable-cors": "true", "cors-allow-origin": "https://good.test"},
)


def path(chance: random.Random) -> str:
    depth = chance.choice((0, 1, 1, 2, 2, 3))
    return "/" + "/".join(chance.choice(WORDS) for _ in range(depth)) + chance.choice(("", "", "/") if depth else ("",))


def rule_path(chance: random.Random, extra: dict[str, str]) -> dict[str, Any]:
    regex = "use-regex" in extra or (extra.get("rewrite-target", "") and chance.random() < 0.5)
    text = chance.choice(REGEX_PATHS) if regex and chance.random() < 0.7 else path(chance)
    kind = chance.choice(("Prefix", "Prefix", "Exact", "ImplementationSpecific"))
    backend = {"service": {"name": chance.choice(SERVICES[:3] + SERVICES), "port": {"number": 80}}}
    return {"path": text, "pathType": kind, "backend": backend}


def ingress(chance: random.Random, number: int, host: str) -> dict[str, Any]:
    extra = {key: value.format(host=host) for key, value in chance.choice(EXTRAS).items()}
    rule = {"host": host, "http": {"paths": [rule_path(chance, extra) for _ in range(chance.randint(1, 3))]}}
    spec: dict[str, Any] = {"ingressClassName": "nginx", "rules": [rule if host else {"http": rule["http"]}]}
    if chance.random() < 0.15:
        spec["defaultBackend"] = {"service": {"name": "two", "port": {"number": 80}}}
    if chance.random() < 0.15 and host:
        spec["tls"] = [{"hosts": [host], "secretName": "cert"}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": f"ing-{number}",
            "namespace": "default",
            "creationTimestamp": f"2026-01-{chance.randint(1, 28):02}T00:00:00Z",
            "annotations": {f"nginx.ingress.kubernetes.io/{key}": value for key, value in extra.items()},
        },
        "spec": spec,
    }


def manifests(chance: random.Random) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": "nginx"},
            "spec": {"controller": "k8s.io/ingress-nginx"},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {
                "name": "cert",
                "namespace": "default",
                "annotations": {"netsim.test/cert-sans": "h1.test,*.h.test"},
            },
        },
    ]
    for number, name in enumerate(REAL, 1):
        spec = {"clusterIP": f"10.96.0.{number + 1}", "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
        addresses = [f"10.244.{number}.{i}" for i in (1, 2)] if name != "dead" else []
        found.append(
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec}
        )
        found.append({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"{name}-1", "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        })  # fmt: skip
    hosts = [*(f"h{i}.test" for i in range(25)), "*.h.test", "x.h.test", ""]
    made = [ingress(chance, number, chance.choice(hosts)) for number in range(60)]
    return [*found, *made, *(canary(chance, number, chance.choice(made)) for number in range(15))]


CANARIES = (
    {"canary-by-header": "X-C"},
    {"canary-by-header": "X-C", "canary-by-header-value": "Yes"},
    {"canary-by-header": "x-c", "canary-by-header-pattern": "^(al|ne)"},
    {"canary-by-header": "X-C", "canary-by-header-pattern": "["},
    {"canary-by-cookie": "ck", "canary-weight": "100"},
    {"canary-by-header": "X-C", "canary-by-cookie": "ck", "canary-weight": "0"},
)


def canary(chance: random.Random, number: int, main: dict[str, Any]) -> dict[str, Any]:
    """A canary of one rule of another Ingress, with a Service of its own or one that others use."""
    rule = copy.deepcopy(main["spec"]["rules"][0])
    for one in rule["http"]["paths"]:
        one["backend"]["service"]["name"] = chance.choice(("can", "can2", "two"))
    annotations = {"canary": "true", **chance.choice(CANARIES)}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": f"canary-{number}",
            "namespace": "default",
            "creationTimestamp": f"2026-02-{chance.randint(1, 28):02}T00:00:00Z",
            "annotations": {f"nginx.ingress.kubernetes.io/{key}": value for key, value in annotations.items()},
        },
        "spec": {"ingressClassName": "nginx", "rules": [rule]},
    }


def request(chance: random.Random) -> dict[str, Any]:
    host = chance.choice(
        (*(f"h{i}.test" for i in range(26)), "x.h.test", "y.h.test", "www.h3.test", "alias-h2.test", "nobody.test")
    )
    raw = path(chance) + chance.choice(("", "", "", "/12", "//", "/../a", "%2Fa", "?"))
    raw, mark, _ = raw.partition("?")
    asked: dict[str, Any] = {
        "scheme": chance.choice(("http", "http", "https")),
        "host": host,
        "method": chance.choice(("GET", "GET", "POST", "OPTIONS")),
        "path": raw,
        "client": chance.choice(("192.0.2.10", "10.9.9.9")),
        "headers": {
            "X-Want-Status": chance.choice(("200", "404", "503")),
            "Origin": chance.choice(("https://good.test", "https://bad.test")),
        },
        "bodyBytes": chance.choice((0, 0, 0, 2000)),
        "cookies": {"ck": chance.choice(("always", "never", "other"))} if chance.random() < 0.3 else {},
    }
    if chance.random() < 0.5:
        asked["headers"]["X-C"] = chance.choice(("always", "never", "Yes", "yes", "other"))
    asked["port"] = 443 if asked["scheme"] == "https" else 80
    if mark or chance.random() < 0.3:
        asked["query"] = chance.choice(("q=1", "a=b&c=/d", ""))
    return asked


def expected(answer: dict[str, Any]) -> dict[str, Any]:
    """What of a decision can be seen from outside."""
    share = answer["backends"][0] if answer["backends"] else None
    return {
        "status": answer["status"],
        "location": answer["location"],
        "backend": (share["namespace"], share["service"]) if share else None,
        "path": answer["upstreamPath"],
        "host": answer["upstreamHost"],
        "cors": answer["responseHeaders"].get("Access-Control-Allow-Origin"),
    }


def seen(answer: dict[str, Any], owners: dict[str, tuple[str, str]]) -> dict[str, Any]:
    backend = answer["seen"]
    return {
        "status": answer["status"],
        "location": answer["headers"].get("location"),
        "backend": owners[backend["endpoint"].rpartition(":")[0]] if backend else None,
        "path": backend["path"] if backend else None,
        "host": backend["headers"]["host"] if backend else None,
        "cors": answer["headers"].get("access-control-allow-origin"),
    }


@pytest.mark.parametrize("seed", range(6))
def test_model_and_nginx_agree(seed: int) -> None:
    chance = random.Random(seed)
    recorded = {"manifests": manifests(chance)}
    asked = [request(chance) for _ in range(400)]
    routers = build_routers(cluster_of(recorded["manifests"]), RouteOptions(dialect="ingress-nginx"))
    with TemporaryDirectory(prefix="netsim-nginx-") as folder:
        Path(folder).chmod(0o755)
        write(Path(folder), recorded)
        answers = run(folder, recorded, [wire(one) for one in asked])
    owners = services_by_address(recorded)
    different = []
    for one, answer in zip(asked, answers, strict=True):
        model = decide(routers, from_query(one), Counters()).decision.as_json()
        if model["outcomes"] or len(model["backends"]) > 1:
            continue
        if expected(model) != seen(answer, owners):
            different.append((one, expected(model), seen(answer, owners), model["code"], model["matched"]))
    assert different[:3] == []
