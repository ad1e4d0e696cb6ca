"""Ingresses whose every free text is hostile, and the shape of the configuration that comes of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import crossplane

from netsim.l7 import compile_ingress
from tests.netsim.l7.recorded import cluster_of

PREFIX = "nginx.ingress.kubernetes.io/"

# Bodies of known attacks (CVE-2021-25742, CVE-2023-5043, CVE-2025-1974 and their kind) and of plain accidents.
STRINGS = (
    '/x" {}} server { listen 9999; } location "/y',
    "/x;} load_module /tmp/evil.so; #",
    "/x\n}\nserver { listen 81; }\n#",
    "/x\\",
    '/x\\"',
    '/x\\\\"; return 200 "owned',
    "/x';return 200;#",
    "/x${literal_dollar}$request_uri$evil",
    "/x$1$2$9${10}",
    "/x # comment",
    "/x{a",
    "/x}",
    "/x;",
    "/x`id`",
    "/x\tb",
    "/x\x00b",
    "/x\x7f",
    "/é/ü",
    "/x" + "a" * 5000,
    "@named",
    "= /exact",
    "~* evil",
    "",
    " ",
    "\\",
    '"',
    "'",
    "$",
    "${",
    "}",
    ";",
    "default",
    "include /etc/passwd",
    "~",
    "(",
    ")",
    "[",
    "a{99999}",
    "(?<host>x)",
    "(?#c)(?x) y",
    "(?R)",
    "\\Q;\\E",
    "*",
    "+",
    "_",
    ".example.com",
    "a..b",
    "*.*",
    "-a",
    "http://x/;}",
    'https://x" ; return 200 "',
)

TEMPLATE = {
    "rewrite-target": "/t",
    "app-root": "/root",
    "permanent-redirect": "https://new.test",
    "temporal-redirect": "https://new.test",
    "permanent-redirect-code": "301",
    "server-alias": "alias.test",
    "upstream-vhost": "v.test",
    "x-forwarded-prefix": "/p",
    "whitelist-source-range": "10.0.0.0/8",
    "denylist-source-range": "10.0.0.0/8",
    "backend-protocol": "HTTP",
    "proxy-body-size": "1m",
    "limit-rps": "5",
    "limit-whitelist": "10.0.0.0/8",
    "session-cookie-name": "SID",
    "upstream-hash-by": "$request_uri",
    "load-balance": "round_robin",
    "cors-allow-origin": "https://a.test",
    "cors-allow-methods": "GET",
    "cors-allow-headers": "X-A",
    "cors-expose-headers": "X-B",
    "custom-http-errors": "404",
    "default-backend": "web",
    "canary-by-header": "X-C",
    "canary-by-header-value": "yes",
    "canary-by-header-pattern": "^y",
    "canary-by-cookie": "ck",
    "canary-weight": "5",
    "configuration-snippet": "return 200;",
    "server-snippet": "return 200;",
}
"""Annotations that are put to the test, with a harmless value."""

COMPANIONS = {
    "limit-whitelist": {"limit-rps": "5"},
    "session-cookie-name": {"affinity": "cookie"},
    "x-forwarded-prefix": {"rewrite-target": "/t"},
    **{name: {"enable-cors": "true"} for name in TEMPLATE if name.startswith("cors-")},
    **{name: {"canary": "true"} for name in TEMPLATE if name.startswith("canary-")},
    "canary-by-header-value": {"canary": "true", "canary-by-header": "X-C"},
    "canary-by-header-pattern": {"canary": "true", "canary-by-header": "X-C"},
}


def ingress(name: str, host: str, path: str, annotations: dict[str, str], path_type: str = "Prefix") -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": name,
            "namespace": "default",
            "creationTimestamp": "2026-01-01T00:00:00Z" if name == "main" else "2026-01-02T00:00:00Z",
            "annotations": {PREFIX + key: value for key, value in annotations.items()},
        },
        "spec": {
            "ingressClassName": "nginx",
            "rules": [
                {
                    "host": host,
                    "http": {
                        "paths": [
                            {
                                "path": path,
                                "pathType": path_type,
                                "backend": {
                                    "service": {
                                        "name": "can" if "canary" in annotations else "web",
                                        "port": {"number": 80},
                                    }
                                },
                            }
                        ]
                    },
                }
            ],
        },
    }


def base() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": "nginx"},
            "spec": {"controller": "k8s.io/ingress-nginx"},
        }
    ]
    for number, name in enumerate(("web", "can"), 1):
        spec = {"clusterIP": f"10.96.0.{number + 1}", "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
        found.append(
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec}
        )
        found.append({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"{name}-1", "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": [f"10.244.1.{number}"], "conditions": {"ready": True}}],
        })  # fmt: skip
    return found


def annotated(name: str, value: str, host: str) -> list[dict[str, Any]]:
    """Ingresses whose one annotation *name* has the value; a canary gets a main Ingress beside it."""
    annotations = {**COMPANIONS.get(name, {}), name: value}
    tested = ingress("tested", host, "/x", annotations)
    return [ingress("main", host, "/x", {}), tested] if "canary" in annotations else [tested]


def with_annotation(name: str, value: str) -> list[dict[str, Any]]:
    return [*base(), *annotated(name, value, "a.test")]


def everywhere(value: str) -> list[dict[str, Any]]:
    """A cluster with the value in every place, each place on a host of its own."""
    found = [one for number, name in enumerate(TEMPLATE) for one in annotated(name, value, f"h{number}.test")]
    found += [ingress("tested", f"p{number}.test", value, {}, kind) for number, kind in enumerate(("Prefix", "Exact"))]
    found.append(
        ingress("tested", "r.test", value, {"use-regex": "true", "rewrite-target": "/$1"}, "ImplementationSpecific")
    )
    found.append(ingress("tested", value, "/x", {"from-to-www-redirect": "true"}))
    for number, one in enumerate(found):
        one["metadata"]["name"] += f"-{number}"
    return [*base(), *found]


def with_path(path_type: str) -> Callable[[str], list[dict[str, Any]]]:
    return lambda path: [*base(), ingress("tested", "a.test", path, {}, path_type)]


def with_regex_path(path: str) -> list[dict[str, Any]]:
    return [
        *base(),
        ingress("tested", "a.test", path, {"use-regex": "true", "rewrite-target": "/$1"}, "ImplementationSpecific"),
    ]


def with_host(host: str) -> list[dict[str, Any]]:
    return [*base(), ingress("tested", host, "/x", {"from-to-www-redirect": "true"})]


def configuration(manifests: list[dict[str, Any]]) -> str:
    files = next(iter(compile_ingress(cluster_of(manifests)).values())).files
    return files["nginx.conf"]


Tree = tuple[tuple[str, "Tree"], ...]


def tree(text: str) -> Tree:
    """The directives of a configuration by name and nesting, without their arguments."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nginx.conf"
        path.write_text(text)
        parsed = crossplane.parse(str(path), single=True, check_ctx=False, check_args=True)
    assert parsed["status"] == "ok", parsed["errors"]
    return shape(parsed["config"][0]["parsed"])


def shape(block: list[dict[str, Any]]) -> Tree:
    entries = (one for one in block if one["directive"] != "#")
    # Inside maps the "directive" is a key that a manifest may choose: it is counted, not compared.
    return tuple((one["directive"], shape_inside(one)) for one in entries)


def shape_inside(one: dict[str, Any]) -> Tree:
    block = one.get("block") or []
    if one["directive"] in ("map", "geo", "split_clients"):
        return tuple(("key", ()) for entry in block if entry["directive"] != "#")
    return shape(block)


def size(found: Tree) -> int:
    return sum(1 + size(inside) for _, inside in found)


def allowed(found: Tree, expected: Tree) -> bool:
    """Whether a tree is the expected one, or lacks some of its directives."""
    rest = list(expected)
    for name, inside in sorted(found, key=lambda entry: -size(entry[1])):
        fitting = [one for one in rest if one[0] == name and allowed(inside, one[1])]
        if not fitting:
            return False
        rest.remove(min(fitting, key=lambda entry: size(entry[1])))
    return True
