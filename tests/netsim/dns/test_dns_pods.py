"""What a pod finds in /etc for every dnsPolicy, what stored objects mean to CoreDNS, and resolve() for other verbs."""

from __future__ import annotations

from typing import Any

import pytest

from netsim.cluster.build import build
from netsim.cluster.model import Cluster, Pod
from netsim.cluster.options import BuildOptions
from netsim.dns.open import DnsOptions, open_dns, upstream_note
from netsim.dns.podconf import NODE_RESOLV_CONF, Kubelet, kubelet_of, node_files, pod_files
from netsim.dns.records import Query
from netsim.dns.resolve import look_up, resolve
from netsim.errors import Where
from netsim.manifests.objects import Manifest

NODE = "search corp.example\nnameserver 192.168.1.53\noptions timeout:1\n"
KUBELET = Kubelet(("10.96.0.10",), "cluster.local", NODE)
CLUSTER_SEARCH = "search shop.svc.cluster.local svc.cluster.local cluster.local corp.example\n"


class Nowhere:
    def find(self, path: tuple[str | int, ...], *, key: bool = False) -> Where:
        return Where("test.yaml")


def obj(kind: str, name: str, namespace: str = "shop", api: str = "v1", **content: Any) -> Manifest:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **content.pop("metadata", {})}
    return Manifest({"apiVersion": api, "kind": kind, "metadata": metadata, **content}, Nowhere())


def cluster_of(*objects: Manifest) -> Cluster:
    return build(objects, BuildOptions())


def pod(**spec: Any) -> Pod:
    source = obj("Pod", "cart-0", spec=spec)
    return Pod(
        "shop",
        "cart-0",
        node_name="node-1",
        ips=("10.244.1.5", "fd00:10:244:1::5"),
        host_network=bool(spec.get("hostNetwork")),
        hostname=spec.get("hostname", ""),
        subdomain=spec.get("subdomain", ""),
        dns_policy=spec.get("dnsPolicy", "ClusterFirst"),
        source=source,
    )


CONFIG = {
    "nameservers": ["192.0.2.1"],
    "searches": ["my.dns"],
    "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
}


@pytest.mark.parametrize(
    ("spec", "want"),
    [
        pytest.param({}, f"{CLUSTER_SEARCH}nameserver 10.96.0.10\noptions ndots:5\n", id="ClusterFirst"),
        pytest.param({"hostNetwork": True}, NODE, id="ClusterFirst with hostNetwork is the node's"),
        pytest.param(
            {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"},
            f"{CLUSTER_SEARCH}nameserver 10.96.0.10\noptions ndots:5\n",
            id="ClusterFirstWithHostNet",
        ),
        pytest.param({"dnsPolicy": "Default"}, NODE, id="Default"),
        pytest.param(
            {"dnsPolicy": "None", "dnsConfig": CONFIG},
            "search my.dns\nnameserver 192.0.2.1\noptions ndots:2 edns0\n",
            id="None with dnsConfig",
        ),
        pytest.param(
            {"dnsConfig": CONFIG},
            CLUSTER_SEARCH.replace("\n", " my.dns\n")
            + "nameserver 10.96.0.10\nnameserver 192.0.2.1\noptions ndots:2 edns0\n",
            id="dnsConfig adds to ClusterFirst",
        ),
        pytest.param(
            {"dnsPolicy": "None", "dnsConfig": {"nameservers": [f"192.0.2.{n}" for n in range(1, 6)]}},
            "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n",
            id="three nameservers at most",
        ),
    ],
)
def test_resolv_conf(spec: dict[str, Any], want: str) -> None:
    assert pod_files(pod(**spec), KUBELET).resolv_conf == want


def test_search_lists_are_cut_to_what_the_kubelet_accepts() -> None:
    many = pod(
        dnsPolicy="None", dnsConfig={"nameservers": ["192.0.2.1"], "searches": [f"d{n}.test" for n in range(40)]}
    )
    assert len(pod_files(many, KUBELET).resolv_conf.splitlines()[0].split()) == 1 + 32
    long = pod(dnsPolicy="None", dnsConfig={"searches": [f"{n:02}" + "x" * 98 for n in range(30)]})
    assert len(pod_files(long, KUBELET).resolv_conf) <= 2048 + len("search \n")


def test_without_cluster_dns_a_pod_has_the_nodes() -> None:
    assert pod_files(pod(), Kubelet((), "cluster.local", NODE)).resolv_conf == NODE


def test_an_assumed_node_file_is_a_note_only_where_it_counts() -> None:
    assumed = Kubelet(("10.96.0.10",), "cluster.local", NODE_RESOLV_CONF)
    assert [note.code for note in pod_files(pod(dnsPolicy="Default"), assumed).notes] == ["ASSUMED_NODE_RESOLV_CONF"]
    assert pod_files(pod(), assumed).notes == ()
    assert [note.code for note in node_files(assumed).notes] == ["ASSUMED_NODE_RESOLV_CONF"]


@pytest.mark.parametrize(
    ("spec", "lines"),
    [
        pytest.param({}, ["10.244.1.5\tcart-0", "fd00:10:244:1::5\tcart-0"], id="its name, for every address"),
        pytest.param({"hostname": "db"}, ["10.244.1.5\tdb"], id="hostname"),
        pytest.param(
            {"hostname": "db", "subdomain": "dbs"},
            ["10.244.1.5\tdb.dbs.shop.svc.cluster.local\tdb"],
            id="hostname and subdomain",
        ),
        pytest.param(
            {"hostAliases": [{"ip": "10.1.2.3", "hostnames": ["a.test", "b.test"]}]},
            ["# Entries added by HostAliases.", "10.1.2.3\ta.test\tb.test"],
            id="hostAliases",
        ),
        pytest.param(
            {"hostNetwork": True, "hostAliases": [{"ip": "10.1.2.3", "hostnames": ["a.test"]}]},
            ["# Kubernetes-managed hosts file (host network).", "10.1.2.3\ta.test"],
            id="hostNetwork",
        ),
    ],
)
def test_hosts_file(spec: dict[str, Any], lines: list[str]) -> None:
    content = pod_files(pod(**spec), KUBELET).hosts.splitlines()
    assert all(line in content for line in lines), content


def test_kubelet_settings_come_from_kubeadms_config_map() -> None:
    text = "clusterDNS: [10.100.0.10]\nclusterDomain: k8s.test\n"
    config = obj("ConfigMap", "kubelet-config", "kube-system", data={"kubelet": text})
    assert kubelet_of(cluster_of(config), ("10.96.0.10",)) == Kubelet(("10.100.0.10",), "k8s.test", NODE_RESOLV_CONF)
    broken = obj("ConfigMap", "kubelet-config", "kube-system", data={"kubelet": "{"})
    assert kubelet_of(cluster_of(broken), ("10.96.0.10",)).cluster_dns == ("10.96.0.10",)


def service(name: str, **spec: Any) -> Manifest:
    status = spec.pop("status", None)
    return obj("Service", name, spec=spec, **({"status": status} if status is not None else {}))


PORTS = [{"name": "http", "port": 80}]


def asked(cluster: Cluster, name: str, kind: str = "A") -> tuple[str, list[str]]:
    answer = open_dns(cluster).server.answer(Query(name, kind))
    return answer.rcode, [record.rdata for record in answer.answer]


def test_a_plain_manifest_gets_defaults_and_an_address() -> None:
    cluster = cluster_of(service("web", ports=PORTS))
    own = cluster.service("shop", "web")
    assert own is not None
    assert asked(cluster, "web.shop.svc.cluster.local.") == ("NOERROR", [own.cluster_ips[0]])
    assert asked(cluster, "_http._tcp.web.shop.svc.cluster.local.", "SRV")[0] == "NOERROR"


def test_a_stored_service_is_taken_as_stored() -> None:
    """An empty clusterIP is a CNAME to the root (observed), a port without protocol has none."""
    cluster = cluster_of(service("web", ports=PORTS, status={"loadBalancer": {}}))
    assert asked(cluster, "web.shop.svc.cluster.local.", "CNAME") == ("NOERROR", ["."])
    assert asked(cluster, "_http._tcp.web.shop.svc.cluster.local.")[0] == "NXDOMAIN"


def test_namespaces_exist_when_none_are_given_and_only_as_given_otherwise() -> None:
    web = service("web", ports=PORTS, clusterIP="10.96.1.1")
    assert asked(cluster_of(web), "web.shop.svc.cluster.local.")[0] == "NOERROR"
    other = cluster_of(web, obj("Namespace", "other", ""))
    assert asked(other, "web.shop.svc.cluster.local.")[0] == "NXDOMAIN"
    assert "NAMESPACE_MISSING" in [note.code for note in open_dns(other).notes]
    assert asked(cluster_of(web, obj("Namespace", "shop", "")), "web.shop.svc.cluster.local.")[0] == "NOERROR"


def test_default_kubernetes_exists_where_the_input_lacks_it() -> None:
    assert asked(cluster_of(service("web")), "kubernetes.default.svc.cluster.local.") == ("NOERROR", ["10.96.0.1"])


def test_an_input_of_namespaces_only_is_an_api_server_never_reached() -> None:
    cluster = cluster_of(obj("Namespace", "default", ""))
    assert asked(cluster, "web.default.svc.cluster.local.")[0] == "SERVFAIL"
    assert "API_NOT_SYNCED" in [note.code for note in open_dns(cluster).notes]
    up = open_dns(cluster, DnsOptions(reachable=True))
    assert up.server.answer(Query("web.default.svc.cluster.local.")).rcode == "NXDOMAIN"


def test_what_ifs_on_pods_reach_the_dns() -> None:
    objects = [
        service("db", clusterIP="None", selector={"app": "db"}, ports=PORTS),
        obj("Pod", "db-0", metadata={"labels": {"app": "db"}}, spec={"containers": [{"name": "c"}]}),
        obj("Pod", "db-1", metadata={"labels": {"app": "db"}}, spec={"containers": [{"name": "c"}]}),
    ]
    both = asked(build(objects, BuildOptions()), "db.shop.svc.cluster.local.")[1]
    one = asked(build(objects, BuildOptions(not_ready=frozenset({"shop/db-0"}))), "db.shop.svc.cluster.local.")[1]
    assert len(both) == 2
    assert len(one) == 1
    assert set(one) < set(both)


COREDNS = [
    obj("Service", "kube-dns", "kube-system", spec={"clusterIP": "10.96.0.53", "selector": {"k8s-app": "kube-dns"}}),
    obj(
        "Pod", "coredns-1", "kube-system", metadata={"labels": {"k8s-app": "kube-dns"}},
        status={"phase": "Running", "podIP": "10.244.9.9", "conditions": [{"type": "Ready", "status": "True"}]},
    ),
    obj("ConfigMap", "coredns", "kube-system", data={"Corefile": ".:53 {\n kubernetes k8s.test\n}\n"}),
]  # fmt: skip


def test_corefile_and_addresses_are_found_in_the_input() -> None:
    dns = open_dns(cluster_of(*COREDNS, service("web", clusterIP="10.96.1.1", ports=PORTS)))
    assert dns.coredns_ips == ("10.244.9.9",)
    assert dns.kubelet.cluster_dns == ("10.96.0.53",)
    assert dns.notes == ()
    assert dns.server.answer(Query("web.shop.svc.k8s.test.")).rcode == "NOERROR"
    places = ("10.96.0.53", "10.244.9.9", "127.0.0.1", "192.0.2.53", "10.96.77.7")
    assert [dns.place(ip) for ip in places] == ["coredns", "coredns", "refused", "upstream", "silent"]


def test_resolve_as_a_pod_and_as_a_node() -> None:
    cluster = cluster_of(service("web", clusterIP="10.96.1.1", ports=PORTS), obj("Pod", "cart-0", spec={}))
    found = resolve(cluster, cluster.pod("shop", "cart-0"), "web")
    assert (found.addresses, found.code, found.error) == (("10.96.1.1",), "OK", "")
    assert {query.to for query in found.queries} == {"10.96.0.10"}
    assert [(query.name, query.type, query.rcode) for query in found.queries] == [
        ("web.shop.svc.cluster.local.", "A", "NOERROR"),
        ("web.shop.svc.cluster.local.", "AAAA", "NOERROR"),
    ]
    outside = resolve(cluster, None, "web")
    assert outside.addresses == ()
    assert outside.code == "DNS_NO_ANSWER"


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("missing", "DNS_NO_ANSWER"),
        ("web.shop.svc.cluster.local.", "OK"),
        ("-x", "NOT_A_HOST_NAME"),
        ("10.1.2.3", "OK"),
    ],
)
def test_codes_without_upstream(host: str, code: str) -> None:
    cluster = cluster_of(service("web", clusterIP="10.96.1.1", ports=PORTS), obj("Pod", "cart-0", spec={}))
    assert resolve(cluster, cluster.pod("shop", "cart-0"), host).code == code


def test_nodata_and_nxdomain_are_told_apart() -> None:
    cluster = cluster_of(service("web", clusterIP="10.96.1.1", ports=PORTS))
    dns = open_dns(cluster)
    files = pod_files(pod(dnsPolicy="None", dnsConfig={"nameservers": ["10.96.0.10"]}), KUBELET)
    for host, code in (("web.shop.svc.cluster.local.", "NODATA"), ("no.shop.svc.cluster.local.", "NXDOMAIN")):
        assert look_up(host, files, dns, ("10.244.1.5",), api="inet6").code == code


def test_answers_that_need_the_world_outside_say_so() -> None:
    external = service("ext", type="ExternalName", externalName="www.example.com")
    dns = open_dns(cluster_of(external))
    for name in ("example.com.", "ext.shop.svc.cluster.local."):
        assert [note.code for note in upstream_note(dns, dns.server.answer(Query(name)))] == ["NO_UPSTREAM"]
    assert upstream_note(dns, dns.server.answer(Query("kubernetes.default.svc.cluster.local."))) == ()
