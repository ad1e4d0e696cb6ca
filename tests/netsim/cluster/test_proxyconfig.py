"""kube-proxy's settings from the command line, a file, the input's ConfigMap and kubeadm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from iptables_gen.kubeproxy.inputs import ProxyConfig
from netsim.cluster.build import build
from netsim.cluster.model import Cluster
from netsim.cluster.options import BuildOptions
from netsim.cluster.proxyconfig import resolve
from netsim.errors import ManifestErrors, UsageError
from netsim.manifests.load import load

HEAD = {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration"}


def config_map(name: str, **data: Any) -> dict[str, Any]:
    texts = {
        key.replace("_", "."): value if isinstance(value, str) else yaml.safe_dump(value) for key, value in data.items()
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "kube-system"},
        "data": texts,
    }


def kubeadm(subnet: str) -> dict[str, Any]:
    content = {
        "kind": "ClusterConfiguration",
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "networking": {"podSubnet": subnet},
    }
    return config_map("kubeadm-config", ClusterConfiguration=content)


def cluster(directory: Path, *objects: dict[str, Any]) -> Cluster:
    path = directory / "input.yaml"
    path.write_text(yaml.safe_dump_all(objects) or "---\n")
    loaded = load([str(path)])
    assert not [problem for problem in loaded.problems if problem.severity == "error"]
    return build(loaded.objects, BuildOptions())


def config_file(directory: Path, content: dict[str, Any] | str) -> str:
    path = directory / "config.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return str(path)


def test_defaults_are_those_of_kube_proxy() -> None:
    resolved = resolve({}, "", Cluster())
    assert resolved.config == ProxyConfig()
    assert resolved.notes == ()


@pytest.mark.parametrize(
    ("flags", "want"),
    [
        pytest.param({"proxy-mode": "ipvs"}, {"mode": "ipvs"}, id="mode"),
        pytest.param({"proxy-mode": ""}, {}, id="an empty mode is the default"),
        pytest.param({"cluster-cidr": "10.0.0.7/8"}, {"cluster_cidrs": ("10.0.0.0/8",)}, id="one pod network"),
        pytest.param(
            {"cluster-cidr": "10.0.0.0/8,fd00::/48"}, {"cluster_cidrs": ("10.0.0.0/8", "fd00::/48")}, id="two families"
        ),
        pytest.param({"masquerade-all": True}, {"masquerade_all": True}, id="masquerade all"),
        pytest.param({"iptables-masquerade-bit": "0x3"}, {"masquerade_bit": 3}, id="a bit as Go reads numbers"),
        pytest.param({"iptables-localhost-nodeports": False}, {"localhost_node_ports": False}, id="no localhost"),
        pytest.param(
            {"nodeport-addresses": ("10.0.0.0/8,fd00::/48", "192.168.0.0/16")},
            {"node_port_addresses": ("10.0.0.0/8", "fd00::/48", "192.168.0.0/16")},
            id="networks of nodePorts",
        ),
        pytest.param({"nodeport-addresses": ("primary",)}, {"node_port_addresses": ("primary",)}, id="primary"),
        pytest.param(
            {"detect-local-mode": "BridgeInterface", "pod-bridge-interface": "cni0"},
            {"detect_local_mode": "BridgeInterface", "bridge_interface": "cni0"},
            id="bridge",
        ),
        pytest.param(
            {"detect-local-mode": "InterfaceNamePrefix", "pod-interface-name-prefix": "veth"},
            {"detect_local_mode": "InterfaceNamePrefix", "interface_name_prefix": "veth"},
            id="prefix",
        ),
        pytest.param({"conntrack-tcp-be-liberal": True}, {"conntrack_tcp_be_liberal": True}, id="liberal"),
        pytest.param(
            {
                "proxy-mode": "ipvs",
                "ipvs-scheduler": "mh",
                "ipvs-strict-arp": True,
                "ipvs-exclude-cidrs": ("10.0.0.0/8",),
            },
            {"mode": "ipvs", "ipvs_scheduler": "mh", "ipvs_strict_arp": True, "ipvs_exclude_cidrs": ("10.0.0.0/8",)},
            id="ipvs",
        ),
    ],
)
def test_flags_set_their_fields(flags: dict[str, Any], want: dict[str, Any]) -> None:
    assert resolve(flags, "", Cluster()).config == ProxyConfig(**want)


def test_a_file_sets_its_fields_and_flags_go_before_it(tmp_path: Path) -> None:
    content = {
        **HEAD,
        "mode": "iptables",
        "clusterCIDR": "10.1.0.0/16",
        "detectLocalMode": "NodeCIDR",
        "nodePortAddresses": ["192.168.0.0/16"],
        "iptables": {"masqueradeBit": 3, "masqueradeAll": True, "localhostNodePorts": False},
        "nftables": {"masqueradeBit": 5},
        "conntrack": {"tcpBeLiberal": True},
        "ipvs": {"scheduler": "wrr", "strictARP": True, "excludeCIDRs": ["10.9.0.0/16"]},
    }
    resolved = resolve(
        {"cluster-cidr": "10.2.0.0/16", "masquerade-all": False}, config_file(tmp_path, content), Cluster()
    )
    assert resolved.config == ProxyConfig(
        cluster_cidrs=("10.2.0.0/16",),
        detect_local_mode="NodeCIDR",
        node_port_addresses=("192.168.0.0/16",),
        masquerade_bit=3,
        nftables_masquerade_bit=5,
        masquerade_all=False,
        localhost_node_ports=False,
        conntrack_tcp_be_liberal=True,
        ipvs_scheduler="wrr",
        ipvs_strict_arp=True,
        ipvs_exclude_cidrs=("10.9.0.0/16",),
    )
    assert resolved.notes == ()


@pytest.mark.parametrize(
    ("mode", "want"),
    [("iptables", False), ("ipvs", False), ("nftables", True)],
    ids=["iptables reads its own", "ipvs reads that of iptables", "nftables reads its own"],
)
def test_masquerade_all_of_a_file_belongs_to_a_mode(mode: str, want: bool, tmp_path: Path) -> None:
    content = {**HEAD, "iptables": {"masqueradeAll": False}, "nftables": {"masqueradeAll": True}}
    assert resolve({"proxy-mode": mode}, config_file(tmp_path, content), Cluster()).config.masquerade_all is want


def test_the_config_map_of_the_input_comes_after_the_file_and_before_kubeadm(tmp_path: Path) -> None:
    inside = {**HEAD, "mode": "nftables", "clusterCIDR": "10.3.0.0/16", "iptables": {"masqueradeBit": None}}
    given = cluster(tmp_path, config_map("kube-proxy", config_conf=inside), kubeadm("10.4.0.0/16"))
    assert resolve({}, "", given).config == ProxyConfig(mode="nftables", cluster_cidrs=("10.3.0.0/16",))
    file = config_file(tmp_path, {**HEAD, "mode": "ipvs"})
    assert resolve({}, file, given).config == ProxyConfig(mode="ipvs", cluster_cidrs=("10.3.0.0/16",))


def test_kubeadm_gives_its_pod_subnet_as_cluster_cidr(tmp_path: Path) -> None:
    given = cluster(tmp_path, kubeadm("10.4.0.0/16,fd00:4::/48"))
    assert resolve({}, "", given).config.cluster_cidrs == ("10.4.0.0/16", "fd00:4::/48")


def test_empty_fields_of_a_config_map_say_nothing(tmp_path: Path) -> None:
    inside = {
        **HEAD,
        "mode": "",
        "clusterCIDR": "",
        "nodePortAddresses": [],
        "detectLocalMode": "",
        "ipvs": {"scheduler": ""},
    }
    given = cluster(tmp_path, config_map("kube-proxy", config_conf=inside), kubeadm("10.4.0.0/16"))
    assert resolve({}, "", given).config == ProxyConfig(cluster_cidrs=("10.4.0.0/16",))


def test_an_empty_flag_clears_what_a_file_says(tmp_path: Path) -> None:
    file = config_file(tmp_path, {**HEAD, "clusterCIDR": "10.1.0.0/16"})
    assert resolve({"cluster-cidr": ""}, file, Cluster()).config.cluster_cidrs == ()


def test_assumed_pod_ranges_make_no_detector(tmp_path: Path) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "spec": {"podCIDR": "10.244.0.0/24"}}
    assert resolve({}, "", cluster(tmp_path, node)).config.cluster_cidrs == ()


def test_a_file_without_kind_is_taken_for_a_kube_proxy_configuration(tmp_path: Path) -> None:
    assert resolve({}, config_file(tmp_path, {"mode": "ipvs"}), Cluster()).config.mode == "ipvs"


def test_the_kube_proxy_part_of_a_file_with_several_kinds_counts(tmp_path: Path) -> None:
    text = "kind: InitConfiguration\n---\n" + yaml.safe_dump({**HEAD, "mode": "ipvs"})
    assert resolve({}, config_file(tmp_path, text), Cluster()).config.mode == "ipvs"


def test_unknown_fields_of_a_file_are_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    notes = resolve({}, config_file(tmp_path, "iptables:\n  masqueradBit: 3\nfoo: 1\n"), Cluster()).notes
    assert [note.code for note in notes] == ["KUBE_PROXY_FIELD_UNKNOWN"] * 2
    assert "config.yaml:2:3: KubeProxyConfiguration: iptables.masqueradBit is ignored" in notes[0].text
    assert "(did you mean masqueradeBit?)" in notes[0].text


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        pytest.param(
            {"proxy-mode": "kernelspace"},
            '--proxy-mode: Invalid value: "kernelspace": must be iptables,ipvs',
            id="mode",
        ),
        pytest.param({"cluster-cidr": "10.0.0.0/33"}, "must be a valid CIDR block", id="prefix too long"),
        pytest.param({"cluster-cidr": "10.0.0.0"}, "must be a valid CIDR block", id="no prefix"),
        pytest.param(
            {"cluster-cidr": "10.0.0.0/8,10.1.0.0/16"}, "must be a valid DualStack CIDR", id="one family twice"
        ),
        pytest.param({"cluster-cidr": "10.0.0.0/8,fd00::/8,fd01::/16"}, "only one CIDR allowed", id="three"),
        pytest.param({"detect-local-mode": "Auto"}, "blank means the default ClusterCIDR", id="detector"),
        pytest.param({"detect-local-mode": "BridgeInterface"}, "needs --pod-bridge-interface", id="no bridge"),
        pytest.param({"detect-local-mode": "InterfaceNamePrefix"}, "needs --pod-interface-name-prefix", id="no prefix"),
        pytest.param({"pod-bridge-interface": "a b"}, "must be an interface name", id="blank in an interface"),
        pytest.param({"pod-bridge-interface": "much-too-long-name"}, "must be an interface name", id="long interface"),
        pytest.param({"iptables-masquerade-bit": "32"}, "must be within the range [0, 31]", id="bit too high"),
        pytest.param({"iptables-masquerade-bit": "ten"}, "must be a whole number", id="bit no number"),
        pytest.param({"nodeport-addresses": ("here",)}, "or the single string 'primary'", id="nodePort word"),
        pytest.param({"nodeport-addresses": ("primary,10.0.0.0/8",)}, '"primary"', id="primary beside a network"),
        pytest.param({"ipvs-exclude-cidrs": ("x",)}, "must be a valid IP block", id="exclude"),
        pytest.param({"proxy-mode": "ipvs", "ipvs-scheduler": "best"}, "must be in [rr, wrr", id="scheduler"),
    ],
)
def test_flags_that_mean_nothing_are_usage_errors(flags: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(flags, "", Cluster())
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param("mode: [1]\n", "config.yaml:1:7: KubeProxyConfiguration: mode: must be a string", id="type"),
        pytest.param(
            "iptables:\n  masqueradeBit: 40\n",
            ":2:18: KubeProxyConfiguration: iptables.masqueradeBit: Invalid value: 40",
            id="range",
        ),
        pytest.param(
            "iptables:\n  masqueradeAll: 'yes'\n", "iptables.masqueradeAll: must be true or false", id="boolean"
        ),
        pytest.param("nodePortAddresses: 7\n", "nodePortAddresses: must be a list of strings", id="list"),
        pytest.param("mode: {\n", "config.yaml:", id="syntax"),
        pytest.param("kind: Pod\n", "no KubeProxyConfiguration in it", id="kind"),
        pytest.param("", "no KubeProxyConfiguration in it", id="empty"),
    ],
)
def test_files_that_mean_nothing_are_errors_with_their_place(content: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestErrors) as caught:
        resolve({}, config_file(tmp_path, content), Cluster())
    assert text in str(caught.value)


def test_all_mistakes_of_a_file_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(ManifestErrors) as caught:
        resolve({}, config_file(tmp_path, "mode: x\nclusterCIDR: y\n"), Cluster())
    assert len(caught.value.problems) == 2


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestErrors):
        resolve({}, str(tmp_path / "none.yaml"), Cluster())


def test_a_config_map_that_is_no_yaml_is_an_error_at_its_place(tmp_path: Path) -> None:
    given = cluster(tmp_path, config_map("kube-proxy", config_conf="mode: {"))
    with pytest.raises(ManifestErrors, match=r"input.yaml:\d+ \(config.conf\)"):
        resolve({}, "", given)
