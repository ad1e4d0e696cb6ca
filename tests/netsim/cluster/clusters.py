"""Small clusters from YAML text, loaded as every verb loads them."""

from __future__ import annotations

import io
import json
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from netsim.cluster.build import build
from netsim.cluster.model import Cluster
from netsim.cluster.options import BuildOptions
from netsim.manifests.load import load
from netsim.manifests.objects import Manifest

API = Path(__file__).parents[2] / "conformance" / "api"
THREE_NODES = "\n---\n".join(
    f"""
apiVersion: v1
kind: Node
metadata:
  name: node-{n}
  labels: {{kubernetes.io/hostname: node-{n}, topology.kubernetes.io/zone: {zone}, topology.kubernetes.io/region: r1}}
spec: {{podCIDR: 10.244.{n}.0/24, podCIDRs: [10.244.{n}.0/24, "fd00:10:244:{n}::/64"]}}
status:
  addresses: [{{type: InternalIP, address: 192.168.10.{n}}}]
  allocatable: {{cpu: "4", memory: 8Gi, pods: "110"}}
"""
    for n, zone in ((1, "a"), (2, "b"), (3, "c"))
)
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def manifests(*texts: str) -> tuple[Manifest, ...]:
    data = "\n---\n".join(map(textwrap.dedent, texts)).encode()
    loaded = load(["-"], stdin=io.BytesIO(data))
    assert not [problem for problem in loaded.problems if problem.severity == "error"], loaded.problems
    return loaded.objects


def cluster(*texts: str, **options: Any) -> Cluster:
    return build(manifests(*texts), BuildOptions(**options))


def of_objects(objects: Iterable[dict[str, Any]], **options: Any) -> Cluster:
    data = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}).encode()
    return build(load(["-"], stdin=io.BytesIO(data)).objects, BuildOptions(**options))


def pod(name: str, labels: str = "app: web", node: str = "node-1", extra: str = "") -> str:
    """A pod without status; `extra` are further lines of its spec (two blanks in)."""
    lines = [
        "apiVersion: v1",
        "kind: Pod",
        "metadata:",
        f"  name: {name}",
        f"  labels: {{{labels}}}",
        "spec:",
        *([f"  nodeName: {node}"] if node else []),
        "  containers: [{name: c, image: nginx, ports: [{name: http, containerPort: 8080}]}]",
        *([textwrap.indent(textwrap.dedent(extra).strip("\n"), "  ")] if extra else []),
    ]
    return "\n".join(lines)


def service(
    name: str = "web", spec: str = "selector: {app: web}\nports: [{name: http, port: 80, targetPort: http}]"
) -> str:
    body = textwrap.indent(textwrap.dedent(spec).strip("\n"), "  ")
    return f"apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n{body}"
