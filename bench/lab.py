"""How fast a lab is (`python -m bench.lab`, part of `make bench`), beside `ip -batch` and mininet in one run.

Everything happens in network, mount and PID namespaces of its own. Needs root; without mininet, bridge-utils or
iproute2 the comparison is left out, with a line that says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.run import NETSIM, Figure
from netsim.lab.ops import AddAddress, AddRoute, AddRule, MakeBridge, MakeNamespace, MakeVeth, Operation

PODS, NODES, ROUNDS = 100, 3, 3
LINKS = (MakeNamespace, MakeBridge, MakeVeth, AddAddress, AddRoute, AddRule)
MININET = f"""
import time
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topo import SingleSwitchTopo
start = time.perf_counter()
net = Mininet(topo=SingleSwitchTopo({PODS}), switch=LinuxBridge, controller=None, autoSetMacs=True)
net.start()
took = time.perf_counter() - start
net.stop()
print("SECONDS", took)
"""


def manifests() -> dict[str, Any]:
    """Return the cluster: 3 nodes, 100 pods behind 10 Services, cluster DNS, an Ingress with its controller assumed."""
    items: list[dict[str, Any]] = [_node(number) for number in range(1, NODES + 1)]
    items += [_pod(number) for number in range(PODS)]
    items += [_service(f"app{number}", {"app": f"app{number}"}, [("http", 80, "TCP")]) for number in range(10)]
    dns = _service("kube-dns", {"k8s-app": "kube-dns"}, [("dns", 53, "UDP"), ("dns-tcp", 53, "TCP")], "kube-system")
    dns["spec"]["clusterIP"] = "10.96.0.10"
    items += [dns, _class(), _ingress()]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _node(number: int) -> dict[str, Any]:
    address = {"type": "InternalIP", "address": f"192.168.10.{number}"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"node-{number}"},
        "spec": {"podCIDR": f"10.244.{number}.0/24", "podCIDRs": [f"10.244.{number}.0/24"]},
        "status": {"addresses": [address]},
    }


def _pod(number: int) -> dict[str, Any]:
    node = number % NODES + 1
    dns = number < 2
    labels = {"k8s-app": "kube-dns"} if dns else {"app": f"app{number % 10}"}
    ports = [("dns", 53, "UDP"), ("dns-tcp", 53, "TCP")] if dns else [("http", 8080, "TCP")]
    listed = [{"name": name, "containerPort": port, "protocol": protocol} for name, port, protocol in ports]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"pod-{number}", "namespace": "kube-system" if dns else "default", "labels": labels},
        "spec": {"nodeName": f"node-{node}", "containers": [{"name": "main", "image": "x", "ports": listed}]},
        "status": {"phase": "Running", "podIP": f"10.244.{node}.{10 + number}", "conditions": [_READY]},
    }


_READY = {"type": "Ready", "status": "True"}


def _service(
    name: str, selector: dict[str, str], ports: Iterable[tuple[str, int, str]], namespace: str = "default"
) -> dict[str, Any]:
    listed = [{"name": n, "port": port, "protocol": protocol, "targetPort": n} for n, port, protocol in ports]
    metadata = {"name": name, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"selector": selector, "ports": listed},
    }


def _class() -> dict[str, Any]:
    spec = {"controller": "k8s.io/ingress-nginx"}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "nginx"}, "spec": spec}


def _ingress() -> dict[str, Any]:
    paths = [
        {"path": f"/app{n}", "pathType": "Prefix", "backend": {"service": {"name": f"app{n}", "port": {"number": 80}}}}
        for n in range(10)
    ]
    spec = {"ingressClassName": "nginx", "rules": [{"host": "bench.example.com", "http": {"paths": paths}}]}
    metadata = {"name": "bench", "namespace": "default"}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec}


def link_plan(path: str) -> tuple[Operation, ...]:
    """Return the namespaces, links, addresses and routes of the cluster's lab."""
    from netsim.cluster.build import build
    from netsim.cluster.options import BuildOptions
    from netsim.hosts.cni import cni_settings
    from netsim.hosts.network import Network
    from netsim.lab.build import lab_hosts
    from netsim.lab.plan import plan_hosts
    from netsim.manifests.load import load

    cluster = build(load([path]).objects, BuildOptions())
    network = Network(cluster, cni_settings(cluster))
    return tuple(op for op in plan_hosts(lab_hosts(network)) if isinstance(op, LINKS))


def apart(work: Callable[[], float]) -> float:
    """Return what *work* returns, run in a child with namespaces of its own and a private /run."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            from netsim.lab import kernel

            kernel.unshare(kernel.CLONE_NEWNET | kernel.CLONE_NEWNS)
            kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
            kernel.mount("none", "/run", "tmpfs")
            os.write(writing, f"{work()}".encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    if not said:
        raise SystemExit("a part of the benchmark failed; see above")
    return float(said)


def netlink_seconds(plan: tuple[Operation, ...]) -> float:
    """Return the seconds that the lab's own code takes for the plan."""
    from netsim.lab import kernel, links
    from netsim.lab.apply import Spaces, apply

    links.link_up(1)  # pyroute2 is loaded before the clock starts, as `ip` is by its first run
    spaces = Spaces(Path("/run"), kernel.new_network())
    start = time.perf_counter()
    apply(plan, spaces, lambda _: None)
    return time.perf_counter() - start


def batch_seconds(plan: tuple[Operation, ...]) -> float:
    """Return the seconds that one `ip -batch` takes for the same; files are written before the clock starts.

    A batch cannot change its network namespace: inside each it runs another `ip -batch`.
    """
    names = {op.namespace: f"n{number}" for number, op in enumerate(op for op in plan if isinstance(op, MakeNamespace))}
    bridges = {(op.namespace, op.index): op.name for op in plan if isinstance(op, MakeBridge)}
    inside: dict[str, list[str]] = {name: ["link set lo up"] for name in names}
    for op in plan:
        inside[op.namespace].extend(ip_lines(op, names, bridges))
    for namespace, lines in inside.items():
        Path(f"/run/{names[namespace]}.batch").write_text("\n".join(dict.fromkeys(lines)) + "\n")
    script = [f"netns add {short}" for short in names.values()]
    script += [f"netns exec {short} ip -batch /run/{short}.batch" for short in names.values()]
    Path("/run/all.batch").write_text("\n".join(script) + "\n")
    start = time.perf_counter()
    subprocess.run(["ip", "-batch", "/run/all.batch"], check=True)
    return time.perf_counter() - start


def ip_lines(op: Operation, names: dict[str, str], bridges: dict[tuple[str, int], str]) -> Iterator[str]:
    """Yield the lines of `ip -batch` that do what an operation does, inside its namespace."""
    match op:
        case MakeBridge(_, name, index):
            yield f"link add {name} index {index} up type bridge"
        case MakeVeth(namespace, name, index, peer_namespace, peer, peer_index, master, hairpin):
            port = f" master {bridges[namespace, master]}" if master else ""
            other = f"peer name {peer} index {peer_index} netns {names[peer_namespace]}"
            yield f"link add {name} up index {index}{port} type veth {other}"
            if hairpin:
                yield f"link set {name} type bridge_slave hairpin on"
        case AddAddress(_, interface, _, address, prefix):
            yield f"link set {interface} up"
            yield f"address add {address}/{prefix} dev {interface}{' nodad' if ':' in address else ''}"
        case AddRoute(_, destination, via, interface, _, kind, onlink):
            words = [kind, destination, *(("via", via) if via else ()), *(("dev", interface) if interface else ())]
            yield f"route add {' '.join(words)}{' onlink' if onlink else ''}"
        case _:
            return


def mininet_seconds() -> float | None:
    """Return the seconds that mininet takes for 100 hosts on one Linux bridge, None where it is not installed."""
    if not shutil.which("mn") or not shutil.which("brctl"):
        return None
    command = ("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "/usr/bin/python3", "-c", MININET)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("SECONDS")]
    return float(found[0]) if found else None


def whole_lab(path: str, folder: str) -> tuple[float, float]:
    """Return the seconds of `netsim lab up` and `netsim lab down`; in between DNS, echo and nginx must answer."""
    environment = {**os.environ, "NETSIM_STATE": f"{folder}/labs"}

    def netsim(*words: str) -> tuple[float, str]:
        start = time.perf_counter()
        done = subprocess.run((*NETSIM, "lab", *words), capture_output=True, text=True, check=True, env=environment)
        return time.perf_counter() - start, done.stdout

    up, _ = netsim("up", "bench", "-q", "-f", path)
    for client, url in (("pod/default/pod-7", "http://app3/"), ("external", "http://bench.example.com/app4")):
        _, said = netsim("exec", "bench", client, "--", "curl", "-s", "-m", "2", url)
        if "pod/default/pod-" not in said:
            raise SystemExit(f"{client}: {url} answered {said!r}")
    down, _ = netsim("down", "bench")
    return up, down


def figures(rounds: int = ROUNDS) -> Iterator[Figure]:
    """Yield the lab's figures; yardsticks and lab take turns, each figure is the best of its rounds."""
    if os.geteuid() != 0:
        print("lab: needs root, left out", flush=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/cluster.json"
        Path(path).write_text(json.dumps(manifests()))
        plan = link_plan(path)
        pairs = [(apart(lambda: netlink_seconds(plan)), apart(lambda: batch_seconds(plan))) for _ in range(rounds)]
        ours, batch = min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)
        beside = f"{ours:.2f} s, ip -batch {batch:.2f} s; {PODS / ours:.0f} pods/s"
        yield Figure(f"{PODS} pods on {NODES} nodes: links, routes", ours / batch, 1.0, "x ip -batch", beside)
        others = [seconds for _ in range(2) if (seconds := mininet_seconds()) is not None]
        if not others:
            print("lab: mininet or bridge-utils is not installed, comparison left out", flush=True)
        else:
            beside = f"mininet {min(others):.2f} s for {PODS} hosts on a Linux bridge"
            yield Figure("  the same", ours / min(others), 0.1, "x mininet", beside)
        runs = [whole_lab(path, folder) for _ in range(rounds)]
        yield Figure("lab up with rules, DNS, nginx, echo", min(up for up, _ in runs), 3.0, "s", "whole command")
        yield Figure("lab down", min(down for _, down in runs), 0.5, "s", "whole command")


def main() -> int:
    """Print the figures; return 1 when a limit is not met."""
    shown = []
    for figure in figures():
        verdict = "ok" if figure.kept else "TOO MUCH"
        value = f"{figure.what:42} {figure.value:8.2f} {figure.unit:12}"
        print(f"{value} limit {figure.limit:6.1f}  {verdict:9} {figure.note}", flush=True)
        shown.append(figure)
    return 0 if all(figure.kept for figure in shown) else 1


if __name__ == "__main__":
    sys.exit(main())
