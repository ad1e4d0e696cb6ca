"""Ingress controllers in a lab: real nginx in the namespace of each ingress-nginx pod, with the compiled configuration.

One nginx process a pod and family, as stock nginx binds IPv4 and IPv6 apart. Each configuration gets one server more,
for the host `netsim.invalid`, which says who answered: that is how `lab verify` knows a controller from a backend.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import cast

from iptables_gen.values import Family, parse_ip
from netsim.cluster.model import Cluster, Pod
from netsim.hosts.services import service_vips
from netsim.l7 import compile_ingress
from netsim.l7.conf.build import Target
from netsim.l7.frontend import Frontend, find
from netsim.l7.router import RouteOptions, Router, build_routers
from netsim.lab.ops import Operation, Spawn, WriteFile
from netsim.notes import Note

DIALECT = "ingress-nginx"
IDENTITY_HOST = "netsim.invalid"
IDENTITY_REQUEST = f"GET / HTTP/1.0\r\nHost: {IDENTITY_HOST}\r\n\r\n".encode()
# A user namespace has no other user that nginx could become: it stays root, in one process.
PLAIN = re.compile(r"[A-Za-z0-9./-]+")
FLAGS = "user root root; daemon off; master_process off;"


@dataclass(frozen=True, slots=True)
class Proxy:
    """One nginx: the pod it runs in, that pod's address of one family, and the ports for HTTP and HTTPS."""

    namespace: str
    owner: str
    address: str
    http: int
    https: int
    class_name: str

    @property
    def family(self) -> Family:
        """Return the family that it listens in."""
        return parse_ip(self.address)[0]

    @property
    def folder(self) -> str:
        """Return the folder of its files below the state folder."""
        return f"ingress/{self.owner}/{'ip' if self.family == 4 else 'ip6'}"

    def listen(self, port: int) -> str:
        """Return the address part of nginx's listen directive."""
        return str(port) if self.family == 4 else f"[::]:{port}"


def proxies(cluster: Cluster) -> tuple[Proxy, ...]:
    """Return every nginx of a cluster: one a running pod of an ingress-nginx controller and family."""
    key = "lab.ingress.proxies"
    if key not in cluster.memo:
        cluster.memo[key] = tuple(_proxies(cluster))
    return cast("tuple[Proxy, ...]", cluster.memo[key])


def sockets(cluster: Cluster) -> frozenset[tuple[str, int]]:
    """Return the (address, port) pairs on which an nginx answers."""
    return frozenset((proxy.address, port) for proxy in proxies(cluster) for port in (proxy.http, proxy.https))


def frontends(cluster: Cluster) -> Iterator[tuple[str, Router, Frontend]]:
    """Yield each class that ingress-nginx handles, its router, and how its controller is reached."""
    if not any(router.dialect == DIALECT for router in build_routers(cluster)):
        return
    for name in compile_ingress(cluster):
        options = RouteOptions(dialect=DIALECT, class_name=name if _is_class(cluster, name) else "")
        (router,) = build_routers(cluster, options)
        yield name, router, find(cluster, router)


def _is_class(cluster: Cluster, name: str) -> bool:
    return any(manifest.name == name for manifest in cluster.objects.get("IngressClass", ()))


def outside_names(cluster: Cluster) -> dict[str, tuple[str, ...]]:
    """Return what a DNS zone outside would say of the hosts of Ingresses: host -> addresses of the controller's LBs."""
    found: dict[str, tuple[str, ...]] = {}
    for _, router, front in frontends(cluster):
        addresses = tuple(
            ip for s in front.services for ip, vip in service_vips(s) if vip.kind == "loadBalancer" and not vip.proxied
        )
        for ingress in router.handled:
            hosts = (rule.host for rule in ingress.rules if PLAIN.fullmatch(rule.host))
            found.update((host, addresses) for host in hosts if addresses and host not in found)
    return found


def _proxies(cluster: Cluster) -> Iterator[Proxy]:
    taken: set[tuple[str, str]] = set()
    for name, _, front in frontends(cluster):
        http, https = _port(front, "http", 80), _port(front, "https", 443)
        for pod in front.pods:
            if (pod.namespace, pod.name) not in taken and _runs(pod):
                taken.add((pod.namespace, pod.name))
                for address in _addresses(cluster, pod):
                    yield Proxy(_home(pod), f"{pod.namespace}/{pod.name}", address, http, https, name)


def _port(front: Frontend, scheme: str, default: int) -> int:
    return next((port for port, found in front.schemes.items() if found == scheme), default)


def _runs(pod: Pod) -> bool:
    return bool(pod.node_name) and pod.phase == "Running"


def _home(pod: Pod) -> str:
    return f"node/{pod.node_name}" if pod.host_network else f"pod/{pod.namespace}/{pod.name}"


def _addresses(cluster: Cluster, pod: Pod) -> tuple[str, ...]:
    node = cluster.node(pod.node_name)
    found = (node.internal_ips if node else ()) if pod.host_network else pod.ips
    return tuple({parse_ip(ip)[0]: ip for ip in reversed(found)}.values())


def proxy_operations(cluster: Cluster) -> Iterator[Operation]:
    """Yield the files and the process of every nginx."""
    for proxy in proxies(cluster):
        files = _files(cluster, proxy)
        yield from (WriteFile(f"{proxy.folder}/{name}", text) for name, text in files.items())
        folder = f"{{state}}/{proxy.folder}"
        command = ("nginx", "-p", folder, "-e", "stderr", "-c", "nginx.conf", "-g", FLAGS)
        digest = sha256(json.dumps(files).encode()).hexdigest()[:12]
        yield Spawn(
            proxy.namespace, command, f"nginx of {proxy.owner} {proxy.address}", proxy.address, proxy.http, digest
        )


def _files(cluster: Cluster, proxy: Proxy) -> Mapping[str, str]:
    target = Target(proxy.listen(proxy.http), proxy.listen(proxy.https))
    name = proxy.class_name if _is_class(cluster, proxy.class_name) else ""
    compiled = compile_ingress(cluster, name, target=target)[proxy.class_name].files
    return {**compiled, "nginx.conf": with_identity(compiled, proxy)}


def with_identity(files: Mapping[str, str], proxy: Proxy) -> str:
    """Return nginx.conf with the server that says who it is, also to plain HTTP on the port for HTTPS (497)."""
    text, _, _ = files["nginx.conf"].rstrip().rpartition("}")
    stem = next(name for name in sorted(files) if name.startswith("certs/") and name.endswith(".crt"))[: -len(".crt")]
    owner = proxy.owner if PLAIN.fullmatch(proxy.owner) else "unnamed"
    client = '"client":{"ip":"$remote_addr","port":$remote_port}'
    line = f'{{"pod":"pod/{owner}","server":{{"ip":"$server_addr","port":$server_port}},{client}}}'
    return f"""{text}
    # the lab's own: who answers
    server {{
        listen {proxy.listen(proxy.http)};
        listen {proxy.listen(proxy.https)} ssl;
        server_name {IDENTITY_HOST};
        ssl_certificate {stem}.crt;
        ssl_certificate_key {stem}.key;
        error_page 497 =200 @identity;
        location / {{ return 200 '{line}\\n'; }}
        location @identity {{ return 200 '{line}\\n'; }}
    }}
}}
"""


def ingress_notes(cluster: Cluster) -> tuple[Note, ...]:
    """Return what the configurations leave out."""
    found = {proxy.class_name for proxy in proxies(cluster)}
    compiled = compile_ingress(cluster) if found else {}
    return tuple(dict.fromkeys(note for name in compiled if name in found for note in compiled[name].notes))
