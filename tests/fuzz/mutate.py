"""Structural mutations of Kubernetes objects: wrong types, hostile texts, odd addresses, lost and doubled parts."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

Document = dict[str, Any]
Path = tuple[str | int, ...]

NAMES = (
    "a",
    "web",
    "api-1",
    "A",
    "Web-API",
    "a.b",
    "-a",
    "a-",
    "a" * 63,
    "a" * 64,
    "a" * 253,
    "a" * 254,
    "1",
    "kubernetes",
)
HOSTILE = (
    "", " ", "\n", "a\nb", "x\n-A INPUT -j DROP\nCOMMIT", 'q" -j ACCEPT --comment "', "a'b", "$(reboot)", "`reboot`",
    "; drop", "a;b", "a|b", "a&b", "a}b{", "} location / { return 200; }", "$host", "${x}", "{{ x }}", "{% x %}",
    "%s%n",
    "\x1b[31mred", "\x1b]0;title\x07", "\x00", "a\tb", "\r", "\u202eevil", "\u2028", "\ufeff", "é", "日本", "😀",
    "<script>alert(1)</script>", '"><svg onload=x>', "&amp;", "]]>", "--", "-j", "../../etc/passwd", "/", ".", "..",
    "a/b",
    "a:b", "a,b", "a=b", "*", "*.example.com", "\\", "\\n", "#", "%", "%zz", "null", "true", "1e3", "0x10", "~",
    "(a+)+$",
    "[", "(?", "a" * 300, "é" * 200, "²", "٣٣", "9" * 5000, "-" * 70, "1e999999999", "1e-999999999Gi",
    "00000000000000000000000000000001",
)  # fmt: skip
ADDRESSES = (
    "10.0.0.1", "256.1.1.1", "1.2.3", "010.0.0.1", "1.2.3.4.5", "::ffff:10.0.0.1", "::ffff:a00:1", "::", "0.0.0.0",
    "::1",
    "127.0.0.1", "255.255.255.255", "224.0.0.1", "ff02::1", "fe80::1", "fe80::1%eth0", "fd00::1", "FD00::1", "None",
    "none",
    "169.254.1.1", "10.96.0.1", "10.96.0.10", "10.244.1.5", "2001:db8::1", "1::2::3", "[::1]", " 10.0.0.1", "10.0.0.1 ",
    "0x0a.0.0.1", "192.168.1.1",
)  # fmt: skip
NETWORKS = (
    "10.0.0.0/8", "10.0.0.1/8", "0.0.0.0/0", "::/0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0", "fd00::/129", "/24",
    "10.0.0.0/", "::ffff:10.0.0.0/104", "10.96.0.0/12", "10.244.0.0/16", "fd00:10:96::/108", "10.0.0.0/08", "a/b",
    "1.2.3.4/32",
    "::1/128", "10.0.0.0/31",
)  # fmt: skip
NUMBERS = (0, -1, 1, 2, 53, 80, 443, 10250, 30000, 32767, 65535, 65536, 70000, 2**31 - 1, 2**31, 2**63 - 1, 2**63,
           2**64, 10**40, -(2**63) - 1)  # fmt: skip
WRONG = (
    None,
    True,
    False,
    0,
    1.5,
    -0.0,
    1e300,
    "",
    "x",
    [],
    {},
    [None],
    [[]],
    {"": None},
    {"a": {"b": []}},
    [{}],
    ["x", "x"],
)
WORDS = (
    "TCP", "UDP", "SCTP", "tcp", "ICMP", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "Local", "Cluster",
    "IPv4",
    "IPv6", "FQDN", "SingleStack", "PreferDualStack", "RequireDualStack", "ClientIP", "None", "Running", "Succeeded",
    "Failed",
    "Pending", "True", "False", "Unknown", "Ready", "Always", "Never", "OnFailure", "Default", "ClusterFirst",
    "ClusterFirstWithHostNet", "PreferClose", "PreferSameZone", "PreferSameNode", "Exact", "Prefix",
    "ImplementationSpecific",
    "PathPrefix", "RegularExpression", "In", "NotIn", "Exists", "DoesNotExist", "Gt", "http", "nginx", "InternalIP",
    "Hostname",
    "50%", "-1%", "0%", "1000%", "100m", "1Gi", "-5", "1.5.5", "2024-01-01T00:00:00Z", "2024-13-01T00:00:00Z",
    "yesterday",
    "* * * * *", "61 * * * *", "@hourly", "Mars/Olympus", "1s", "-1h", "5x",
)  # fmt: skip
META, SPEC, PORT, STATUS, ANY = "metadata", "spec", "ports", "status", ""
KEYS: tuple[tuple[str, str, Any], ...] = (
    (META, "uid", "6f7e8a90-0000-4000-8000-000000000001"), (META, "deletionTimestamp", "2024-01-01T00:00:00Z"),
    (META, "namespace", "other"), (META, "annotations", {"netsim.dev/host-addresses": "eth0=1.2.3.4/24,,=x/1,lo"}),
    (META, "annotations", {"netsim.dev/host-addresses": "a b=10.0.0.1/8,;x=::1/128"}),
    (META, "finalizers", ["\x1b[2J"]),
    (META, "annotations", {"nginx.ingress.kubernetes.io/rewrite-target": "/$1}\n",
                           "nginx.ingress.kubernetes.io/canary": "true",
                           "nginx.ingress.kubernetes.io/canary-weight": "x",
                           "nginx.ingress.kubernetes.io/use-regex": "true",
                           "nginx.ingress.kubernetes.io/whitelist-source-range": "1.2.3.4/99"}),
    (META, "annotations", {"service.kubernetes.io/topology-mode": "Auto"}), (META, "ownerReferences", [{"kind": "x"}]),
    (META, "labels", {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}),
    (META, "labels", {"kubernetes.io/service-name": "web"}), (META, "labels", {"service.kubernetes.io/headless": ""}),
    (META, "labels", {"service.kubernetes.io/service-proxy-name": ""}), (META, "generateName", "x-"),
    (SPEC, "hostNetwork", True), (SPEC, "clusterIP", "None"), (SPEC, "clusterIP", ""),
    (SPEC, "clusterIPs", ["10.96.0.7", "fd00::7"]),
    (SPEC, "externalIPs", ["1.2.3.4", "::5"]),
    (SPEC, "loadBalancerSourceRanges", ["10.0.0.0/8", "::/0", " 1.2.3.4/32"]),
    (SPEC, "publishNotReadyAddresses", True), (SPEC, "externalTrafficPolicy", "Local"),
    (SPEC, "internalTrafficPolicy", "Local"),
    (SPEC, "sessionAffinity", "ClientIP"), (SPEC, "sessionAffinityConfig", {"clientIP": {"timeoutSeconds": -1}}),
    (SPEC, "sessionAffinityConfig", {"clientIP": {"timeoutSeconds": 2**31 - 1}}), (SPEC, "type", "LoadBalancer"),
    (SPEC, "type", "NodePort"), (SPEC, "type", "ExternalName"), (SPEC, "trafficDistribution", "PreferSameNode"),
    (SPEC, "healthCheckNodePort", 70000), (SPEC, "ipFamilies", ["IPv6", "IPv4"]),
    (SPEC, "ipFamilyPolicy", "RequireDualStack"),
    (SPEC, "externalName", "a..b"), (SPEC, "selector", {}), (SPEC, "selector", {"app": "web"}),
    (SPEC, "nodeName", "node-1"),
    (SPEC, "selector", {"matchExpressions": [{"key": "a", "operator": "In"}]}), (SPEC, "subdomain", "web"),
    (SPEC, "hostname", "A_b"),
    (SPEC, "dnsPolicy", "None"), (SPEC, "hostAliases", [{"ip": "x", "hostnames": ["a b", "\n"]}]),
    (SPEC, "replicas", 5),
    (SPEC, "dnsConfig", {"nameservers": ["x"], "searches": ["\n"],
                         "options": [{"name": None}, {"name": "ndots", "value": "x"}]}),
    (SPEC, "taints", [{"key": "a", "effect": "NoExecute"}]), (SPEC, "replicas", -1),
    (SPEC, "podCIDRs", ["10.244.9.0/24", "fd00::/64"]),
    (SPEC, "initContainers", [{"name": "a", "restartPolicy": "Always",
                               "ports": [{"containerPort": 0, "name": "http"}]}]),
    (SPEC, "defaultBackend", {"service": {"name": "web", "port": {"number": 70000}}}),
    (SPEC, "tls", [{"hosts": ["*"], "secretName": "x"}]),
    (PORT, "nodePort", 30000), (PORT, "nodePort", 70000), (PORT, "targetPort", "http"), (PORT, "targetPort", 0),
    (PORT, "hostPort", 80),
    (PORT, "appProtocol", "h2c"), (PORT, "protocol", "SCTP"), (PORT, "port", 0), (PORT, "name", "\n"),
    (PORT, "containerPort", 70000),
    ("endpoints", "hints", {"forZones": [{"name": ""}], "forNodes": [{"name": "node-1"}]}),
    ("endpoints", "hostname", "A.b"),
    ("endpoints", "conditions", {"ready": None, "serving": True, "terminating": True}), ("endpoints", "addresses", []),
    ("endpoints", "targetRef", {"kind": "Pod", "name": "x\n"}), ("endpoints", "nodeName", ""),
    ("endpoints", "zone", "a b"),
    (STATUS, "loadBalancer", {"ingress": [{"ip": "1.2.3.4", "ipMode": "Proxy"}, {"hostname": "x"}, {}, {"ip": "::9"}]}),
    (STATUS, "podIPs", [{"ip": "fd00::9"}, {}]), (STATUS, "conditions", [{}]),
    (STATUS, "addresses", [{"type": "InternalIP", "address": "fd00::3"}]),
    (STATUS, "phase", "Failed"), (STATUS, "podIP", "10.244.1.5"), (STATUS, "hostIPs", [{"ip": "1.1.1.1"}]),
    (ANY, "unknownField", {"x": [1]}), (ANY, "status", {}), (ANY, "spec", None), (ANY, "data", {"x": "\xff"}),
)  # fmt: skip
"""(key of the mapping, or of the list, that it goes into; key; value)."""


NGINX, APISIX = "nginx.ingress.kubernetes.io/", "k8s.apisix.apache.org/"
NGINX_NAMES = """affinity affinity-canary-behavior affinity-mode allowlist-source-range app-root auth-snippet auth-type
auth-url backend-protocol canary canary-by-cookie canary-by-header canary-by-header-pattern canary-by-header-value
canary-weight canary-weight-total configuration-snippet cors-allow-headers cors-allow-methods cors-allow-origin
cors-expose-headers cors-max-age custom-http-errors default-backend denylist-source-range enable-cors
force-ssl-redirect from-to-www-redirect limit-connections limit-rps limit-whitelist load-balance permanent-redirect
permanent-redirect-code preserve-trailing-slash proxy-body-size rewrite-target satisfy server-alias server-snippet
service-upstream session-cookie-name ssl-passthrough ssl-redirect temporal-redirect temporal-redirect-code
upstream-hash-by upstream-vhost use-regex whitelist-source-range x-forwarded-prefix"""
APISIX_NAMES = """allowlist-source-range auth-type auth-uri blocklist-source-range enable-cors enable-csrf
http-allow-methods http-block-methods http-redirect http-redirect-code http-to-https plugin-config-name rewrite-target
rewrite-target-regex rewrite-target-regex-template svc-namespace use-regex"""
ANNOTATIONS = (*(NGINX + name for name in NGINX_NAMES.split()), *(APISIX + name for name in APISIX_NAMES.split()))
ANSWERS = (
    "true", "false", "cookie", "50", "301", "308", "https://$host$request_uri", "/$1", "(/|$)(.*)",
    "http://a.example/x",
    "GRPC", "ewma", "a.example,*.b.example,~^c", "10.0.0.0/8,::1/128", "$request_uri", "404,503", "8m", "x-canary",
)  # fmt: skip


def mutated(documents: list[Document], rng: random.Random, *, rounds: int) -> list[Document]:
    """Return a copy of a cluster's objects after some mutations; most are taken as a server's objects."""
    found: list[Any] = copy.deepcopy(documents)
    if rng.random() < 0.7:
        _as_stored(found)
    for _ in range(rounds):
        rng.choices(_ACTIONS, _WEIGHTS)[0](found, rng)
        if not found:
            found = copy.deepcopy(documents[:1])
    for document in found:
        _tame(document)
    return found


def _tame(value: Any) -> None:
    """Keep counts of pods small: a hundred thousand pods are slow, and no bug."""
    for path in list(places(value)):
        if path[-1] in ("replicas", "parallelism", "completions") and isinstance(_parent(value, path)[path[-1]], int):
            _parent(value, path)[path[-1]] = min(_parent(value, path)[path[-1]], 300)


def _as_stored(documents: list[Any]) -> None:
    """Give every object a uid: what its server knew and we do not is then only a warning."""
    for index, document in enumerate(documents):
        if isinstance(document, dict) and isinstance(document.get("metadata"), dict):
            document["metadata"].setdefault("uid", f"6f7e8a90-0000-4000-8000-{index:012d}")


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every part below a value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*path, key)
        yield from places(inner, (*path, key))


def _parent(value: Any, path: Path) -> Any:
    for key in path[:-1]:
        value = value[key]
    return value


def _spot(documents: list[Any], rng: random.Random) -> tuple[Any, Any] | None:
    """Return (container, key) of a random part; kind and apiVersion are chosen rarely."""
    document = rng.choice(documents)
    every = list(places(document))
    chosen = [path for path in every if path[-1] not in ("apiVersion", "kind")] if rng.random() < 0.97 else every
    if not chosen:
        return None
    path = rng.choice(chosen)
    return _parent(document, path), path[-1]


def _at_spot(change: Callable[[Any, random.Random], Any]) -> Callable[[list[Any], random.Random], None]:
    def act(documents: list[Any], rng: random.Random) -> None:
        spot = _spot(documents, rng)
        if spot:
            container, key = spot
            container[key] = change(container[key], rng)

    return act


def _delete(documents: list[Any], rng: random.Random) -> None:
    spot = _spot(documents, rng)
    if spot:
        del spot[0][spot[1]]


def _wrong(_value: Any, rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice((*WRONG, *NUMBERS)))


def same_type(value: Any, rng: random.Random) -> Any:
    """Return another value of the same JSON type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice(NUMBERS)
    if isinstance(value, str):
        return _text(value, rng)
    if isinstance(value, list):
        return _listed(value, rng)
    if isinstance(value, dict) and value:
        keys = list(value)
        return {rng.choice(HOSTILE) if rng.random() < 0.2 else key: value[key] for key in rng.sample(keys, len(keys))}
    return value


def _listed(value: list[Any], rng: random.Random) -> list[Any]:
    match rng.randrange(4):
        case 0:
            return [*value, *copy.deepcopy(value)]
        case 1:
            return value[::-1]
        case 2:
            return [*value, copy.deepcopy(rng.choice(WRONG))]
        case _:
            return []


def _text(value: str, rng: random.Random) -> str:
    if re.fullmatch(r"[0-9a-fA-F.:]*[.:][0-9a-fA-F.:]*", value) and rng.random() < 0.7:
        return rng.choice(ADDRESSES)
    if re.fullmatch(r"[0-9a-fA-F.:]+/\d+", value) and rng.random() < 0.7:
        return rng.choice(NETWORKS)
    match rng.randrange(8):
        case 0:
            return value.upper()
        case 1:
            return value + rng.choice(HOSTILE)
        case 2:
            return rng.choice(NAMES)
        case 3 | 4:
            return rng.choice(WORDS)
        case 5:
            return rng.choice((*ADDRESSES, *NETWORKS))
        case _:
            return rng.choice(HOSTILE)


def _deep(value: Any, rng: random.Random) -> Any:
    inner = value
    for _ in range(rng.choice((3, 60, 300))):
        inner = [inner] if rng.random() < 0.5 else {"a": inner}
    return inner


def _insert(documents: list[Any], rng: random.Random) -> None:
    """Put a known field where its like belongs, rarely anywhere."""
    document = rng.choice(documents)
    place, key, value = rng.choice(KEYS)
    spots = [((), document), *((p, _parent(document, p)[p[-1]]) for p in places(document))]
    fitting = [item for p, item in spots if isinstance(item, dict) and _belongs(p, place, rng)]
    if fitting:
        target = rng.choice(fitting)
        old = target.get(key)
        merged = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
        target[key] = copy.deepcopy(merged)


def _belongs(path: Path, place: str, rng: random.Random) -> bool:
    names = [part for part in path[-2:] if isinstance(part, str)]
    return (names[-1:] == [place] if place else not path) or rng.random() < 0.002


def _annotate(documents: list[Any], rng: random.Random) -> None:
    """Give an Ingress some annotations of its controllers, with good and hostile values."""
    found = [d for d in documents if isinstance(d, dict) and d.get("kind") == "Ingress"] or documents
    metadata = next((d["metadata"] for d in rng.sample(found, len(found)) if _has_metadata(d)), None)
    if metadata is not None:
        values = (*ANSWERS, *ANSWERS, *HOSTILE, *NETWORKS, *map(str, NUMBERS))
        new = {rng.choice(ANNOTATIONS): rng.choice(values) for _ in range(rng.choice((1, 2, 6)))}
        old = metadata.get("annotations")
        metadata["annotations"] = {**old, **new} if isinstance(old, dict) else new


def _has_metadata(document: Any) -> bool:
    return isinstance(document, dict) and isinstance(document.get("metadata"), dict)


def _splice(documents: list[Any], rng: random.Random) -> None:
    """Put a part of one object where another has one of the same key, or anywhere."""
    here, there = _spot(documents, rng), _spot(documents, rng)
    if here and there:
        here[0][here[1]] = copy.deepcopy(there[0][there[1]])


def _drop(documents: list[Any], rng: random.Random) -> None:
    del documents[rng.randrange(len(documents))]


def _double(documents: list[Any], rng: random.Random) -> None:
    documents.insert(rng.randrange(len(documents) + 1), copy.deepcopy(rng.choice(documents)))


def _shuffle(documents: list[Any], rng: random.Random) -> None:
    rng.shuffle(documents)


def _replace(documents: list[Any], rng: random.Random) -> None:
    documents[rng.randrange(len(documents))] = copy.deepcopy(
        rng.choice((*WRONG, {"kind": "Service"}, {"apiVersion": "v1", "kind": "Pod"}))
    )


def _rename(documents: list[Any], rng: random.Random) -> None:
    """Give an object another's name, or a hostile one, or another namespace."""
    owner = rng.choice(documents)
    metadata = owner.get("metadata") if isinstance(owner, dict) else None
    if isinstance(metadata, dict):
        metadata[rng.choice(("name", "namespace"))] = rng.choice((*NAMES, *HOSTILE))


def _other_family(value: Any, _rng: random.Random) -> Any:
    if not isinstance(value, str):
        return value
    if "." in value and re.fullmatch(r"[0-9.]+(/\d+)?", value):
        address, slash, length = value.partition("/")
        return f"fd00:{address.replace('.', ':')}:0:0:1{slash}{length and int(length) * 4}"
    return "192.0.2.77" if ":" in value else value


_ACTIONS: tuple[Callable[[list[Any], random.Random], None], ...] = (
    _at_spot(same_type), _at_spot(_wrong), _delete, _insert, _splice, _rename, _drop, _double, _shuffle, _replace,
    _at_spot(_deep), _at_spot(_other_family), _annotate,
)  # fmt: skip
_WEIGHTS = (60, 4, 10, 30, 4, 5, 2, 4, 2, 0.5, 0.5, 5, 10)
