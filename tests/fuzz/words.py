"""Command lines that ask about a cluster, right and wrong ones."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from typing import Any

from tests.fuzz.mutate import ADDRESSES, HOSTILE, NAMES

MODES = ("iptables", "nftables", "ipvs")
KINDS = (
    "pods", "svc", "endpointslices", "nodes", "endpoints", "ingress", "deploy", "all", "ns", "cm", "secrets", "rs",
    "jobs",
    "cronjobs", "sts", "ds", "ingressclasses", "networkpolicies", "servicecidrs", "hpa", "x", "", "svc,pods",
    "svc/web", "po/",
)  # fmt: skip


def command_line(documents: Sequence[Any], rng: random.Random) -> list[str]:
    """Return a verb and its words, without -f."""
    known = Known(documents)
    if known.routed and rng.random() < 0.5:
        return _route(known, rng) if rng.random() < 0.7 else ["compile", "--ingress"]
    match rng.randrange(12):
        case 0 | 1 | 2:
            return _compile(known, rng)
        case 3 | 4 | 5:
            return _trace(known, rng)
        case 6:
            kinds = rng.choice(KINDS) if rng.random() < 0.8 else rng.choice(HOSTILE)
            return ["get", kinds, "-A", "-o", rng.choice(("table", "wide", "yaml", "json", "name"))]
        case 7:
            return ["why", known.service(rng), "-o", rng.choice(("text", "json", "svg", "html"))]
        case 8 | 9:
            return _dns(known, rng)
        case 10:
            return _route(known, rng)
        case _:
            return _others(known, rng)


class Known:
    """The names, ports, hosts and addresses in a cluster that words may use."""

    def __init__(self, documents: Sequence[Any]) -> None:
        self.names: dict[str, list[tuple[str, str]]] = {}
        self.hosts: list[str] = []
        self.routed = any(isinstance(d, dict) and d.get("kind") in ("Ingress", "Gateway") for d in documents)
        whole = json.dumps(documents)
        self.ports = re.findall(r'"(?:port|nodePort|containerPort)": (\d+)', whole) or ["80"]
        self.addresses = re.findall(r'"([0-9a-f.:]*[.:][0-9a-f.:]*)"', whole) or ["10.96.0.1"]
        for document in documents:
            if isinstance(document, dict) and isinstance(document.get("metadata"), dict):
                meta = document["metadata"]
                pair = (str(meta.get("namespace") or "default"), str(meta.get("name")))
                self.names.setdefault(str(document.get("kind")), []).append(pair)
            self.hosts += re.findall(r'"host(?:name)?": "([^"]+)"', json.dumps(document))

    def one(self, kind: str, rng: random.Random) -> tuple[str, str]:
        found = self.names.get(kind) or [("default", "web")]
        return rng.choice(found) if rng.random() < 0.93 else (rng.choice(NAMES), rng.choice((*HOSTILE, *NAMES)))

    def service(self, rng: random.Random) -> str:
        return "svc/{}/{}".format(*self.one("Service", rng)) if rng.random() < 0.95 else rng.choice(HOSTILE)

    def pod(self, rng: random.Random) -> str:
        return "pod/{}/{}".format(*self.one("Pod", rng))


def _compile(known: Known, rng: random.Random) -> list[str]:
    if rng.random() < 0.2:
        return ["compile", "--ingress", *(["--class", known.one("IngressClass", rng)[1]] if rng.random() < 0.7 else [])]
    mode = rng.choice(MODES)
    fitting = {
        "iptables": ("restore", "save"),
        "nftables": ("nft",),
        "ipvs": ("restore", "ipvsadm", "ipset", "addresses"),
    }[mode]
    form = rng.choice((*fitting, "json") if rng.random() < 0.97 else ("nft", "save"))
    words = ["compile", "--proxy-mode", mode, "-o", form, "--family", rng.choice(("ipv4", "ipv6"))]
    if rng.random() < 0.9:
        words += ["--node", known.one("Node", rng)[1] if known.names.get("Node") else "node-1"]
    return words + _flags(rng)


def _flags(rng: random.Random) -> list[str]:
    if rng.random() < 0.7:
        return []
    return rng.sample(
        (
            "--masquerade-all", "--cluster-cidr=10.244.0.0/16", "--cluster-cidr=x",
            "--cluster-cidr=10.0.0.0/8,fd00::/8,::/0",
            "--detect-local-mode=NodeCIDR", "--detect-local-mode=BridgeInterface", "--pod-bridge-interface=cni0",
            '--pod-bridge-interface=a" -j DROP', "--pod-interface-name-prefix=veth", "--pod-interface-name-prefix=\n",
            "--detect-local-mode=InterfaceNamePrefix", "--detect-local-mode=ClusterCIDR",
            "--iptables-masquerade-bit=31",
            "--iptables-masquerade-bit=99", "--nodeport-addresses=primary", "--nodeport-addresses=10.0.0.0/8,::1/128",
            "--nodeport-addresses=", "--ipvs-scheduler=lc", "--ipvs-scheduler=$(x)", "--ipvs-exclude-cidrs=x",
            "--iptables-localhost-nodeports=false", "--ipvs-strict-arp", "--conntrack-tcp-be-liberal=x",
        ),
        2,
    )  # fmt: skip


def _trace(known: Known, rng: random.Random) -> list[str]:
    node = "node/" + (known.one("Node", rng)[1] if known.names.get("Node") else "node-1")
    starts = (node, node, "external", "external/1.2.3.4", rng.choice(known.addresses), rng.choice(ADDRESSES))
    source = known.pod(rng) if known.names.get("Pod") and rng.random() < 0.5 else rng.choice(starts)
    if rng.random() < 0.04:
        source = rng.choice(HOSTILE)
    port = rng.choice(known.ports) if rng.random() < 0.9 else rng.choice(("http", "0", "70000", "", "-1", *HOSTILE))
    address = rng.choice(known.addresses) if rng.random() < 0.8 else rng.choice(ADDRESSES)
    goals = (
        known.service(rng),
        f"{known.service(rng)}:{port}",
        f"[{address}]:{port}" if ":" in address else f"{address}:{port}",
        f"{known.pod(rng)}:{port}",
        f"{node}:{port}",
        "{1}.{0}.svc.cluster.local:80".format(*known.one("Service", rng)),
        f"http://{rng.choice(known.hosts or ['example.com'])}/",
        f"{known.one('Service', rng)[1]}:{port}",
        "https://a.example.com:x/\x1b",
        rng.choice(HOSTILE),
    )
    target = rng.choice(goals[:3] if rng.random() < 0.6 else goals)
    form = rng.choice(("text", "text", "json", "json", "yaml", "dot", "svg", "html", "kernel", "pcap"))
    words = ["trace", source, target, "-o", form, "--proxy-mode", rng.choice(MODES)]
    options = (
        ["--return"], ["--detail", "full"], ["--detail", "minimal"], ["--protocol", rng.choice(("udp", "sctp", "x"))],
        ["--via", "node/" + known.one("Node", rng)[1]], ["--pick", rng.choice(ADDRESSES)], ["--ct", "established"],
        ["--expect", "REACHABLE"], ["-H", rng.choice(HOSTILE)], ["--not-ready", known.pod(rng)],
    )  # fmt: skip
    return words + [word for option in options if rng.random() < 0.12 for word in option]


def _dns(known: Known, rng: random.Random) -> list[str]:
    names = (
        "{1}.{0}.svc.cluster.local".format(*known.one("Service", rng)),
        known.one("Service", rng)[1],
        rng.choice(HOSTILE),
        "a" * 70,
    )
    name = rng.choice(names[:2] if rng.random() < 0.85 else names)
    source = ["--from", known.pod(rng)] if rng.random() < 0.5 else []
    form = ["-o", rng.choice(("text", "json", "yaml"))]
    match rng.randrange(4):
        case 0:
            return ["dns", "--zone", *form]
        case 1:
            apis = ("unspec", "inet", "inet6", "addrconfig", "canon", "ghbn", "ghbn2_6", "nameinfo", "srv")
            return [
                "dns",
                "--lookup",
                name,
                "--libc",
                rng.choice(("glibc", "musl", "go")),
                "--api",
                rng.choice(apis),
                *source,
                *form,
            ]
        case 2:
            return ["dns", "-x", rng.choice(ADDRESSES), *source, *form]
        case _:
            kind = rng.choice(
                ("A", "AAAA", "SRV", "ANY", "PTR", "TXT", "SOA", "NS", "CNAME", "HTTPS", "x", "TYPE65535")
            )
            return ["dns", name, kind, *source, *form, *(["--short"] if rng.random() < 0.2 else [])]


def _route(known: Known, rng: random.Random) -> list[str]:
    form = ["-o", rng.choice(("text", "json"))]
    if rng.random() < 0.2:
        return ["route", rng.choice(("--lint", "--status")), *form]
    path = rng.choice(("", "/", "/a/b?c=d", "/%00", "/../x", "/\x1b[31m", "/" + "a" * 3000, rng.choice(HOSTILE)))
    url = f"{rng.choice(('http', 'https'))}://{rng.choice(known.hosts or ['example.com'])}{path}"
    dialect = (
        ["--dialect", rng.choice(("spec", "ingress-nginx", "apisix", "gateway-api"))] if rng.random() < 0.6 else []
    )
    extra = ["-H", rng.choice(("a: b", "Cookie: a=b", *HOSTILE))] if rng.random() < 0.2 else []
    return ["route", url if rng.random() < 0.95 else rng.choice(HOSTILE), *dialect, *extra, *form]


def _others(known: Known, rng: random.Random) -> list[str]:
    match rng.randrange(4):
        case 0:
            chains = (
                "KUBE-SERVICES",
                "KUBE-NODEPORTS",
                "KUBE-CLUSTER-IP",
                "service-ips",
                "-A KUBE-SERVICES -j ACCEPT",
                *HOSTILE,
            )
            return [
                "explain",
                "--proxy-mode",
                rng.choice(MODES),
                "-o",
                rng.choice(("text", "json")),
                "--",
                rng.choice(chains),
            ]
        case 1:
            modes = rng.choice(("iptables..nftables", "iptables..ipvs", "nftables..ipvs", "x..y"))
            return ["diff", "--proxy-mode", modes, "-o", rng.choice(("text", "json", "markdown"))]
        case _:
            return ["validate", "-o", rng.choice(("text", "json"))]
