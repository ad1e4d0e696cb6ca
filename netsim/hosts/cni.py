"""What the cluster's CNI does: its bridge, hairpin mode, and whose traffic it masquerades.

Without any hint in the input it is the reference bridge plugin with host routes: bridge `cni0`, hairpin on, and pod
traffic to anything outside the cluster CIDR and multicast masqueraded by the pod's node (decided after DNAT, as
observed on real nodes). A ConfigMap `kube-system/ip-masq-agent` replaces the excluded networks, a CNI conflist in
any ConfigMap replaces the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from iptables_gen.values import Family, format_ip, parse_net
from netsim.cluster.model import Cluster
from netsim.manifests.objects import Manifest
from netsim.notes import Note

MULTICAST: Mapping[Family, str] = {4: "224.0.0.0/4", 6: "ff00::/8"}
LINK_LOCAL: Mapping[Family, str] = {4: "169.254.0.0/16", 6: "fe80::/10"}
_BRIDGES = ("bridge", "flannel")
_HARMLESS = ("portmap", "firewall", "bandwidth", "tuning", "loopback", "host-local", "sbr", "vrf")


@dataclass(frozen=True, slots=True)
class CniSettings:
    """The CNI as it concerns a packet.

    masquerade: `cluster` excludes `excluded` and multicast; `subnet` is the bridge plugin's own ipMasq, which excludes
    only the node's own pod network and multicast; `none` leaves all sources alone.
    gateway: the bridge has the first address of the pod network, and pods a default route through it.
    """

    bridge: str = "cni0"
    hairpin: bool = True
    gateway: bool = True
    masquerade: Literal["cluster", "subnet", "none"] = "cluster"
    excluded: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


def cni_settings(cluster: Cluster, cluster_cidrs: Iterable[str] = ()) -> CniSettings:
    """Return what the CNI does; *cluster_cidrs* are those of `--cluster-cidr`, which win over the cluster's own."""
    cidrs = tuple(cluster_cidrs) or cluster.cluster_cidrs
    settings = CniSettings(excluded=cidrs)
    maps = cluster.objects.get("ConfigMap", ())
    for plugin in _plugins(maps):
        settings = _with_plugin(settings, plugin)
    for config_map in maps:
        if (config_map.namespace, config_map.name) == ("kube-system", "ip-masq-agent"):
            settings = _with_agent(settings, config_map)
    return settings


def _plugins(maps: Iterable[Manifest]) -> Iterator[Mapping[str, Any]]:
    """Yield the plugins of every conflist found in a ConfigMap (`cni-conf.json`, `*.conflist`, `*.conf`)."""
    for config_map in maps:
        for key, text in sorted(_data(config_map).items()):
            if key.endswith((".conflist", ".conf", "cni-conf.json")) and '"type"' in text:
                yield from _parsed(text)


def _data(config_map: Manifest) -> dict[str, str]:
    data = config_map.data.get("data")
    return {k: v for k, v in data.items() if isinstance(v, str)} if isinstance(data, dict) else {}


def _parsed(text: str) -> list[Mapping[str, Any]]:
    try:
        config = json.loads(text)
    except ValueError:
        return []
    listed = config.get("plugins", [config]) if isinstance(config, dict) else []
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def _with_plugin(settings: CniSettings, plugin: Mapping[str, Any]) -> CniSettings:
    kind = plugin.get("type")
    if kind in _HARMLESS:
        return settings
    if kind not in _BRIDGES:
        note = Note(
            "CNI_ASSUMED", f"CNI plugin {kind!r} is not modelled: assuming the reference bridge with host routes"
        )
        return replace(settings, notes=(*settings.notes, note))
    options = plugin.get("delegate", {}) if kind == "flannel" else plugin
    options = options if isinstance(options, dict) else {}
    default_gateway = options.get("isDefaultGateway") is True
    return replace(
        settings,
        bridge=str(options.get("bridge") or "cni0")[:15],
        hairpin=options.get("hairpinMode") is True,
        # flanneld masquerades by itself, and its delegate is the gateway unless it says otherwise.
        gateway=default_gateway or options.get("isGateway") is True or kind == "flannel",
        masquerade="cluster" if kind == "flannel" else "subnet" if options.get("ipMasq") is True else "none",
    )


def _with_agent(settings: CniSettings, config_map: Manifest) -> CniSettings:
    """Apply an ip-masq-agent ConfigMap: `nonMasqueradeCIDRs` are the networks whose destinations are left alone."""
    from yaml import YAMLError, safe_load

    try:
        config = safe_load(_data(config_map).get("config", ""))
    except YAMLError:
        config = None
    if not isinstance(config, dict):
        return settings
    listed = config.get("nonMasqueradeCIDRs")
    cidrs = tuple(cidr for cidr in listed if _is_cidr(cidr)) if isinstance(listed, list) else settings.excluded
    local = () if config.get("masqLinkLocal") is True else (LINK_LOCAL[4],)
    local6 = () if config.get("masqLinkLocalIPv6") is True else (LINK_LOCAL[6],)
    return replace(settings, masquerade="cluster", excluded=(*cidrs, *local, *local6))


def _is_cidr(text: object) -> bool:
    try:
        parse_net(str(text))
    except ValueError:
        return False
    return True


def masquerade_text(settings: CniSettings, family: Family, pod_cidrs: Iterable[str]) -> str:
    """Return the CNI's rules on one node as `iptables-save` prints them; "" when it has none.

    The chain is appended to POSTROUTING, so kube-proxy's jump, which is prepended, comes first.
    """
    own = [network for cidr in pod_cidrs if (network := _masked(cidr, family))]
    if settings.masquerade == "none" or not own:
        return ""
    excluded = settings.excluded if settings.masquerade == "cluster" else tuple(own)
    spared = dict.fromkeys([*(n for cidr in excluded if (n := _masked(cidr, family))), MULTICAST[family]])
    comment = '-m comment --comment "masquerade pod traffic leaving the cluster"'
    return "\n".join(
        (
            "*nat",
            *(f":{name} ACCEPT [0:0]" for name in ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")),
            ":CNI-MASQ - [0:0]",
            *(f"-A POSTROUTING -s {network} {comment} -j CNI-MASQ" for network in own),
            *(f"-A CNI-MASQ -d {network} -j RETURN" for network in spared),
            "-A CNI-MASQ -j MASQUERADE",
            "COMMIT",
            "",
        )
    )


def _masked(cidr: str, family: Family) -> str:
    found, network, prefix = parse_net(cidr)
    return f"{format_ip(family, network)}/{prefix}" if found == family else ""
