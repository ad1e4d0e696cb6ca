"""A small cluster as `kubectl get -A -o json` prints it: uids, status, managedFields, and kinds of every sort."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

Object = dict[str, Any]
TIME = "2026-05-01T10:00:00Z"
FIELDS = {"f:spec": {"f:ports": {".": {}, 'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}}}}
MANAGED = [{"manager": "kubectl", "operation": "Update", "apiVersion": "v1", "time": TIME, "fieldsType": "FieldsV1"}]
SERVER = "endpointslice-controller.k8s.io"
COREFILE = ".:53 {\n    kubernetes cluster.local in-addr.arpa ip6.arpa {\n        ttl 30\n    }\n    cache 30\n}\n"
CONFIG = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: nftables\n"
KUBEADM = "kind: ClusterConfiguration\nnetworking:\n  podSubnet: 10.244.0.0/16\n  serviceSubnet: 10.96.0.0/16\n"
_numbers = count(1)


def stored(version: str, kind: str, name: str, namespace: str = "", meta: Object | None = None, **parts: Any) -> Object:
    """Return an object as an API server stores it."""
    number = next(_numbers)
    metadata: Object = {
        "name": name,
        "uid": f"6f7e8a90-0000-4000-8000-{number:012d}",
        "resourceVersion": str(1000 + number),
        "creationTimestamp": TIME,
        "managedFields": [{**MANAGED[0], "fieldsV1": FIELDS}],
        **({"namespace": namespace} if namespace else {}),
        **(meta or {}),
    }
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **parts}


def node(number: int) -> Object:
    """Return a Node with what its kubelet reports, and a field that only a later server knows."""
    name, cidr = f"n{number}", f"10.244.{number}.0/24"
    addresses = [{"type": "InternalIP", "address": f"172.18.0.{number}"}, {"type": "Hostname", "address": name}]
    room = {"cpu": "8", "memory": "16Gi", "pods": "110"}
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": TIME, "lastTransitionTime": TIME, "reason": "Up"}
    status = {"addresses": addresses, "allocatable": room, "capacity": room, "conditions": [ready], "future": {"x": 1}}
    return stored("v1", "Node", name, spec={"podCIDR": cidr, "podCIDRs": [cidr]}, status=status)


def pod(name: str, ip: str, on: str, app: str, **port: int) -> Object:
    """Return a running Pod of namespace shop."""
    ports = [{"name": "http", "containerPort": 8080, "protocol": "TCP", **port}]
    container = {"name": "c", "image": "i", "ports": ports, "resources": {}, "imagePullPolicy": "Always"}
    conditions = [{"type": t, "status": "True", "lastTransitionTime": TIME} for t in ("Ready", "PodScheduled")]
    state = {"name": "c", "image": "i", "imageID": "x", "ready": True, "started": True, "restartCount": 3}
    status = {
        "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "hostIP": "172.18.0.1", "qosClass": "BestEffort",
        "conditions": conditions, "containerStatuses": [{**state, "state": {"running": {"startedAt": TIME}}}],
    }  # fmt: skip
    spec = {"nodeName": on, "containers": [container], "restartPolicy": "Always", "enableServiceLinks": True}
    return stored("v1", "Pod", name, "shop", {"labels": {"app": app}}, spec=spec, status=status)


def service() -> Object:
    """Return the LoadBalancer shop/web, with a field that only a later server knows."""
    port = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http", "nodePort": 30080}
    ips = {
        "clusterIP": "10.96.5.5",
        "clusterIPs": ["10.96.5.5"],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
    }
    spec = {**ips, "type": "LoadBalancer", "ports": [port], "selector": {"app": "web"}, "futureField": "x"}
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7", "ipMode": "VIP"}]}, "conditions": []}
    return stored("v1", "Service", "web", "shop", spec=spec, status=status)


def endpoint_slice() -> Object:
    """Return the slice that the controller made of the two Pods."""
    ready = {"ready": True, "serving": True, "terminating": False}
    points = [
        {
            "addresses": [f"10.244.{number}.5"],
            "conditions": ready,
            "nodeName": f"n{number}",
            "targetRef": {"kind": "Pod", "name": f"web-{number}", "namespace": "shop"},
        }
        for number in (1, 2)
    ]
    labels = {"kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": SERVER}
    meta = {"labels": labels, "generateName": "web-"}
    ports = [{"name": "http", "port": 8080, "protocol": "TCP"}]
    parts = {"addressType": "IPv4", "ports": ports, "endpoints": points}
    return stored("discovery.k8s.io/v1", "EndpointSlice", "web-x1", "shop", meta, **parts)


def modelled() -> list[Object]:
    """Return what answers are made of."""
    subset = {"addresses": [{"ip": "10.244.1.5"}, {"ip": "10.244.2.5"}], "ports": [{"name": "http", "port": 8080}]}
    backend = {"service": {"name": "web", "port": {"name": "http"}}}
    rule = {"host": "shop.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    return [
        node(1),
        node(2),
        pod("web-1", "10.244.1.5", "n1", "web", hostPort=8088),
        pod("web-2", "10.244.2.5", "n2", "web"),
        pod("client", "10.244.1.9", "n1", "client"),
        service(),
        endpoint_slice(),
        stored("v1", "Endpoints", "web", "shop", subsets=[subset]),
        stored("v1", "ConfigMap", "kube-proxy", "kube-system", data={"config.conf": CONFIG}),
        stored("v1", "ConfigMap", "coredns", "kube-system", data={"Corefile": COREFILE}),
        stored("v1", "ConfigMap", "kubeadm-config", "kube-system", data={"ClusterConfiguration": KUBEADM}),
        stored("networking.k8s.io/v1", "IngressClass", "nginx", spec={"controller": "k8s.io/ingress-nginx"}),
        stored("networking.k8s.io/v1", "Ingress", "web", "shop", spec={"ingressClassName": "nginx", "rules": [rule]}),
    ]


def bystanders() -> list[Object]:
    """Return what every cluster is full of and no packet meets."""
    names = {"kind": "Widget", "plural": "widgets", "listKind": "WidgetList", "singular": "widget"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    crd = {"group": "example.com", "names": names, "scope": "Namespaced", "versions": [version]}
    event = {"involvedObject": {"kind": "Pod"}, "reason": "Started", "message": "\x1b[31mred", "eventTime": None}
    parent = {"group": "", "resource": "services", "namespace": "shop", "name": "web"}
    local = {"groupPriorityMinimum": 18000, "versionPriority": 1, "version": "v1"}
    return [
        stored("v1", "Event", "web.17cc", "shop", **event),
        stored("v1", "Secret", "sh.helm.release.v1.x", "shop", type="helm.sh/release.v1", data={"release": "aGVsbG8="}),
        stored("coordination.k8s.io/v1", "Lease", "n1", "kube-node-lease", spec={"holderIdentity": "n1"}),
        stored("apiextensions.k8s.io/v1", "CustomResourceDefinition", "widgets.example.com", spec=crd),
        stored("example.com/v1", "Widget", "w", "shop", spec={"anything": [1, {"a": None}]}),
        stored("apiregistration.k8s.io/v1", "APIService", "v1.", spec=local),
        stored("rbac.authorization.k8s.io/v1", "ClusterRole", "system:node", rules=[]),
        stored("networking.k8s.io/v1", "IPAddress", "fd00:10:96::a", spec={"parentRef": parent}),
        stored("networking.k8s.io/v1", "ServiceCIDR", "kubernetes", spec={"cidrs": ["10.96.0.0/16"]}),
        stored("metrics.k8s.io/v1beta1", "PodMetrics", "web-1", "shop", containers=[]),
    ]


def unmodelled() -> list[Object]:
    """Return what is on the way of packets and not modelled."""
    policy = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]}
    return [
        stored("networking.k8s.io/v1", "NetworkPolicy", "deny", "shop", spec=policy),
        stored("networking.istio.io/v1", "VirtualService", "vs", "shop", spec={"hosts": ["web"]}),
    ]


def dump(*groups: list[Object]) -> bytes:
    """Return the objects as one List, as kubectl prints it."""
    items = [item for group in groups for item in group]
    return json.dumps(
        {"apiVersion": "v1", "kind": "List", "items": items, "metadata": {"resourceVersion": ""}}
    ).encode()
