"""kube-proxy's settings, field by field: command line, --config, ConfigMap kube-proxy, kubeadm, defaults.

Sources: KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1), kube-proxy v1.36's own validation messages; kubeadm
gives kube-proxy its `networking.podSubnet` as clusterCIDR.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple

from iptables_gen.kubeproxy.detect import MODES as DETECT_MODES
from iptables_gen.kubeproxy.inputs import ProxyConfig
from iptables_gen.kubeproxy.nodeports import PRIMARY
from netsim.cluster.model import Cluster
from netsim.cluster.ranges import read_kubeadm
from netsim.cluster.read import canonical_cidr, dig, family_of
from netsim.errors import ManifestErrors, Problem, UsageError, Where
from netsim.manifests.documents import Document, documents
from netsim.manifests.goformat import go_quote
from netsim.manifests.objects import Positions, spell
from netsim.manifests.sources import Text, texts
from netsim.notes import Note

KIND = "KubeProxyConfiguration"
PROXY_MODES = ("iptables", "ipvs", "nftables")
SCHEDULERS = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "sed", "nq", "fo", "ovf", "mh", "twos")
"""IPVS schedulers of the kernel (ipvsadm(8))."""

Values = Mapping[str, Any]
"""Settings that one source gives, by field of ProxyConfig; absent fields are left to the next source."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings, and what was ignored or assumed on the way."""

    config: ProxyConfig
    notes: tuple[Note, ...] = ()


class Setting(NamedTuple):
    """One setting: field of ProxyConfig, flag of the command line ("" for none), path in KubeProxyConfiguration.

    `read` returns the field's value from either source; it raises ValueError with kube-proxy's words, and returns None
    for a value that means "not set".
    """

    field: str
    flag: str
    path: tuple[str, ...]
    read: Callable[[Any], Any]


def resolve(flags: Mapping[str, Any], config_file: str, cluster: Cluster, *, nfacct: bool = True) -> Resolved:
    """Return kube-proxy's settings.

    *flags* maps flag names (`cluster-cidr`) to their values, without those that were not given.
    Raises:  UsageError for a flag, ManifestErrors for a file or ConfigMap from which no setting can be read.
    """
    notes: list[Note] = []
    files = [*_file(config_file, notes), *_given(cluster, notes)]
    layers = [_of_flags(flags), *files, _of_kubeadm(cluster)]
    values = {name: value for layer in reversed(layers) for name, value in layer.items()}
    mode = values.get("mode", "iptables")
    # The field of the file belongs to a mode; the flag is for every mode (observed on v1.36.2).
    by_mode = values.pop("nftables_masquerade_all", None), values.pop("iptables_masquerade_all", None)
    given = by_mode[0] if mode == "nftables" else by_mode[1]
    if given is not None:
        values.setdefault("masquerade_all", given)
    config = ProxyConfig(**values, nfacct=nfacct)
    _refuse_incomplete(config)
    return Resolved(config, tuple(notes))


def _of_flags(flags: Mapping[str, Any]) -> Values:
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        if setting.flag in flags:
            try:
                value = setting.read(flags[setting.flag])
            except ValueError as error:
                raise UsageError(f"--{setting.flag}: {error}") from error
            # An empty word on the command line is an answer ("none"), unlike an empty field of a file.
            values[setting.field] = _EMPTY.get(setting.field) if value is None else value
    return values


_EMPTY: Mapping[str, Any] = {
    "mode": "iptables",
    "detect_local_mode": "ClusterCIDR",
    "ipvs_scheduler": "rr",
    "cluster_cidrs": (),
    "node_port_addresses": (),
    "ipvs_exclude_cidrs": (),
    "bridge_interface": "",
    "interface_name_prefix": "",
}


def _file(path: str, notes: list[Note]) -> Iterator[Values]:
    if not path:
        return
    if os.path.isdir(path):
        raise UsageError(f"--config {path}: Is a directory")
    for text in texts([path], recursive=False, stdin=None):
        if isinstance(text, Problem):
            raise ManifestErrors([text])
        yield _first(text, notes)


def _given(cluster: Cluster, notes: list[Note]) -> Iterator[Values]:
    """Yield what objects of the input say: a KubeProxyConfiguration, then the ConfigMap that kubeadm makes."""
    for manifest in cluster.objects.get(KIND, ()):
        yield _of_document(Document(manifest.data, manifest.positions), notes)
    for manifest in cluster.objects.get("ConfigMap", ()):
        if (manifest.namespace, manifest.name) == ("kube-system", "kube-proxy"):
            content = dig(manifest.data, "data", "config.conf")
            if isinstance(content, str):
                place = manifest.where("data", "config.conf")
                yield _first(Text(f"{place.file}:{place.line} (config.conf)", content.encode()), notes)


def _of_kubeadm(cluster: Cluster) -> Values:
    cidrs = read_kubeadm(cluster.objects).pod_cidrs
    return {"cluster_cidrs": cidrs} if cidrs else {}


def _first(text: Text, notes: list[Note]) -> Values:
    """Return the settings of the first KubeProxyConfiguration of a text (kubeadm's file may hold other kinds too)."""
    found = list(documents(text))
    problems = [part for part in found if isinstance(part, Problem)]
    if problems:
        raise ManifestErrors(problems)
    read = [part for part in found if isinstance(part, Document)]
    for document in read:
        if isinstance(document.data, dict) and document.data.get("kind", KIND) == KIND:
            return _of_document(document, notes)
    where = read[0].positions.find(()) if read else Where(text.name, 1, 1)
    raise ManifestErrors([Problem(where, f"no {KIND} in it", hint="apiVersion: kubeproxy.config.k8s.io/v1alpha1")])


def _of_document(document: Document, notes: list[Note]) -> Values:
    problems = list(document.problems)
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        value = dig(document.data, *setting.path) if setting.path else None
        if value is None:
            continue
        try:
            read = setting.read(value)
        except ValueError as error:
            problems.append(_problem(document.positions, setting.path, str(error)))
            continue
        if read is not None:
            values[setting.field] = read
    if any(problem.severity == "error" for problem in problems):
        raise ManifestErrors(problems)
    notes += [_unknown(document.positions, path) for path in unknown_fields(document.data)]
    return values


def _problem(positions: Positions, path: tuple[str, ...], message: str) -> Problem:
    return Problem(positions.find(path), message, kind=KIND, field=spell(path), reason="FieldValueInvalid")


def _unknown(positions: Positions, path: tuple[str, ...]) -> Note:
    parent = ".".join(path[:-1])
    near = get_close_matches(path[-1], FIELDS.get(parent, ()), n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return Note("KUBE_PROXY_FIELD_UNKNOWN", f"{positions.find(path, key=True)}: {KIND}: {spell(path)} is ignored{hint}")


def unknown_fields(data: Mapping[str, Any], parent: str = "") -> Iterator[tuple[str, ...]]:
    """Yield the paths of fields that KubeProxyConfiguration v1alpha1 does not have; kube-proxy ignores them too."""
    for key, value in data.items():
        path = f"{parent}.{key}" if parent else key
        if key not in FIELDS[parent]:
            yield tuple(path.split("."))
        elif path in FIELDS and isinstance(value, dict):
            yield from unknown_fields(value, path)


def _refuse_incomplete(config: ProxyConfig) -> None:
    if config.detect_local_mode == "BridgeInterface" and not config.bridge_interface:
        raise UsageError("--detect-local-mode=BridgeInterface needs --pod-bridge-interface")
    if config.detect_local_mode == "InterfaceNamePrefix" and not config.interface_name_prefix:
        raise UsageError("--detect-local-mode=InterfaceNamePrefix needs --pod-interface-name-prefix")
    if config.mode == "ipvs" and config.ipvs_scheduler not in SCHEDULERS:
        known = ", ".join(SCHEDULERS)
        raise UsageError(f"--ipvs-scheduler: Invalid value: {config.ipvs_scheduler!r}: must be in [{known}]")


def read_mode(value: Any) -> str | None:
    """Return a proxy mode; kube-proxy takes an empty one for the default."""
    why = "must be iptables,ipvs,nftables or blank (blank means the best-available proxy [currently iptables])"
    return _one_of(value, PROXY_MODES, why)


def read_detect_mode(value: Any) -> str | None:
    """Return a mode of local traffic detection."""
    known = ",".join(sorted(DETECT_MODES))
    return _one_of(value, DETECT_MODES, f"must be {known} or blank (blank means the default ClusterCIDR)")


def _one_of(value: Any, known: Iterable[str], why: str) -> str | None:
    text = read_text(value)
    if text and text not in known:
        raise ValueError(f"Invalid value: {go_quote(text)}: {why}")
    return text


def read_text(value: Any) -> str | None:
    """Return a string, None for an empty one."""
    if not isinstance(value, str):
        raise ValueError("must be a string")
    return value or None


def read_interface(value: Any) -> str | None:
    """Return (the start of) an interface name: at most 15 characters, no blank, no slash (kernel, dev_valid_name)."""
    text = read_text(value)
    if text and (len(text) > 15 or "/" in text or not text.isprintable() or any(c.isspace() for c in text)):
        raise ValueError(f"Invalid value: {go_quote(text)}: must be an interface name")
    return text


def read_bool(value: Any) -> bool:
    """Return a boolean."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def read_bit(value: Any) -> int:
    """Return a bit of the packet mark; words are read as Go reads them (`0xe` is 14)."""
    try:
        number = int(value, 0) if isinstance(value, str) else value
    except ValueError:
        number = None
    if type(number) is not int:
        raise ValueError(f"Invalid value: {value!r}: must be a whole number")
    if not 0 <= number <= 31:
        raise ValueError(f"Invalid value: {number}: must be within the range [0, 31]")
    return number


def read_cluster_cidrs(value: Any) -> tuple[str, ...] | None:
    """Return the pod network, or one of each family, of the comma-separated text."""
    text = read_text(value)
    if text is None:
        return None
    cidrs = tuple(canonical_cidr(part) for part in text.split(","))
    why = "must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)"
    if len(cidrs) > 2:
        why = "only one CIDR allowed or a valid DualStack CIDR (e.g. 10.100.0.0/16,fde4:8dba:82e1::/48)"
    elif len(cidrs) == 2:
        why = "must be a valid DualStack CIDR (e.g. 10.100.0.0/16,fde4:8dba:82e1::/48)"
    if not all(cidrs) or len({family_of(cidr) for cidr in cidrs}) != len(cidrs):
        raise ValueError(f"Invalid value: {go_quote(text)}: {why}")
    return cidrs


def read_node_port_addresses(value: Any) -> tuple[str, ...] | None:
    """Return networks, or the one word `primary`."""
    listed = _listed(value)
    if listed == (PRIMARY,):
        return listed
    return _networks(listed, "must be a valid CIDR block, or the single string 'primary'")


def read_cidrs(value: Any) -> tuple[str, ...] | None:
    """Return networks."""
    return _networks(_listed(value), "must be a valid IP block")


def _networks(listed: tuple[str, ...], why: str) -> tuple[str, ...] | None:
    for text in listed:
        if not canonical_cidr(text):
            raise ValueError(f"Invalid value: {go_quote(text)}: {why}")
    return tuple(canonical_cidr(text) for text in listed) or None


def _listed(value: Any) -> tuple[str, ...]:
    """Return the items of a list of strings; each may hold several, separated by commas (Go's StringSlice flags)."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError("must be a list of strings")
    return tuple(part.strip() for item in items for part in item.split(",") if part.strip())


SETTINGS = (
    Setting("mode", "proxy-mode", ("mode",), read_mode),
    Setting("cluster_cidrs", "cluster-cidr", ("clusterCIDR",), read_cluster_cidrs),
    Setting("detect_local_mode", "detect-local-mode", ("detectLocalMode",), read_detect_mode),
    Setting("bridge_interface", "pod-bridge-interface", ("detectLocal", "bridgeInterface"), read_interface),
    Setting(
        "interface_name_prefix", "pod-interface-name-prefix", ("detectLocal", "interfaceNamePrefix"), read_interface
    ),
    Setting("masquerade_all", "masquerade-all", (), read_bool),
    Setting("iptables_masquerade_all", "", ("iptables", "masqueradeAll"), read_bool),
    Setting("nftables_masquerade_all", "", ("nftables", "masqueradeAll"), read_bool),
    Setting("masquerade_bit", "iptables-masquerade-bit", ("iptables", "masqueradeBit"), read_bit),
    Setting("nftables_masquerade_bit", "", ("nftables", "masqueradeBit"), read_bit),
    Setting("localhost_node_ports", "iptables-localhost-nodeports", ("iptables", "localhostNodePorts"), read_bool),
    Setting("node_port_addresses", "nodeport-addresses", ("nodePortAddresses",), read_node_port_addresses),
    Setting("conntrack_tcp_be_liberal", "conntrack-tcp-be-liberal", ("conntrack", "tcpBeLiberal"), read_bool),
    Setting("ipvs_scheduler", "ipvs-scheduler", ("ipvs", "scheduler"), read_text),
    Setting("ipvs_strict_arp", "ipvs-strict-arp", ("ipvs", "strictARP"), read_bool),
    Setting("ipvs_exclude_cidrs", "ipvs-exclude-cidrs", ("ipvs", "excludeCIDRs"), read_cidrs),
)
"""Every setting that changes a rule."""

FIELDS: Mapping[str, frozenset[str]] = {
    "": frozenset(
        [
            "kind",
            "apiVersion",
            "metadata",
            "featureGates",
            "clientConnection",
            "logging",
            "hostnameOverride",
            "bindAddress",
            "healthzBindAddress",
            "metricsBindAddress",
            "bindAddressHardFail",
            "enableProfiling",
            "showHiddenMetricsForVersion",
            "mode",
            "iptables",
            "ipvs",
            "nftables",
            "winkernel",
            "detectLocalMode",
            "detectLocal",
            "clusterCIDR",
            "nodePortAddresses",
            "oomScoreAdj",
            "conntrack",
            "configSyncPeriod",
            "portRange",
            "windowsRunAsService",
            "udpIdleTimeout",
        ]
    ),
    "iptables": frozenset(["masqueradeBit", "masqueradeAll", "localhostNodePorts", "syncPeriod", "minSyncPeriod"]),
    "ipvs": frozenset(
        [
            "syncPeriod",
            "minSyncPeriod",
            "scheduler",
            "excludeCIDRs",
            "strictARP",
            "tcpTimeout",
            "tcpFinTimeout",
            "udpTimeout",
        ]
    ),
    "nftables": frozenset(["masqueradeBit", "masqueradeAll", "syncPeriod", "minSyncPeriod"]),
    "detectLocal": frozenset(["bridgeInterface", "interfaceNamePrefix"]),
    "conntrack": frozenset(
        [
            "maxPerCore",
            "min",
            "tcpEstablishedTimeout",
            "tcpCloseWaitTimeout",
            "tcpBeLiberal",
            "udpTimeout",
            "udpStreamTimeout",
        ]
    ),
}
"""Fields of KubeProxyConfiguration v1alpha1 and of its parts that hold settings."""
